import math

import torch

from bakeoff.parts.language_model import LanguageModel, Replies, fitting
from bakeoff.parts.seeding import seeded
from bakeoff.parts.words import Vocabulary


def model(dropout=0.2):
    with seeded(0):
        return LanguageModel(Vocabulary(["a b c d"]), hidden=16, dropout=dropout)


def test_the_model_learns_the_frequencies_that_it_is_shown():
    texts = ["a b", "a c", "a c", "a c"]
    one, rng = model(), torch.Generator().manual_seed(0)
    rows = Replies.of(texts, one.vocabulary, longest=4)
    one.learn(rows, 300, rng, learning_rate=0.01, batch_size=32)
    after_a = one(rows.tokens[:1, :-1])[0, 1].softmax(-1).tolist()
    b, c = one.vocabulary.numbers("b c")
    assert math.isclose(after_a[b], 0.25, abs_tol=0.05)
    assert math.isclose(after_a[c], 0.75, abs_tol=0.05)


def test_no_word_is_told_from_words_behind_it_and_skipping_drops_the_first_positions():
    one = model()
    rows = torch.randint(7, (3, 6), generator=torch.Generator().manual_seed(1))
    changed = rows.clone()
    changed[:, 4:] = 3
    assert torch.equal(one(rows)[:, :4], one(changed)[:, :4])
    assert torch.allclose(one(rows, skip=2), one(rows)[:, 2:])


def test_masks_without_dropout_change_nothing_and_hide_the_right_share_with_it():
    rows, rng = torch.ones(2, 3, dtype=torch.long), torch.Generator().manual_seed(0)
    plain = model(dropout=0.0)
    assert torch.equal(plain(rows, masks=plain.masks(4, 2, rng)), plain(rows).expand(4, -1, -1, -1))
    masks = model().masks(200, 50, rng)
    assert math.isclose(float((masks == 0).float().mean()), 0.2, abs_tol=0.01)
    assert math.isclose(float(masks.mean()), 1, abs_tol=0.01)


def test_replies_hold_the_words_before_and_the_reward_at_the_end():
    vocabulary = Vocabulary(["a b c d"])
    rows = Replies.of(["c d", "a"], vocabulary, 4, before=["a b", ""], reward=[2.0, -1.0], context=1)
    a, b, c, d = vocabulary.numbers("a b c d")
    assert rows.tokens.tolist() == [[b, 1, c, d, 0, 0], [0, 1, a, 0, 0, 0]]
    assert rows.reward.tolist() == [[0, 0, 2, 0], [0, -1, 0, 0]]
    assert rows.alive().sum(1).tolist() == [3, 2]
    assert fitting(["a b c", "", "a"], 3) == [2]
