"""Checked where the answer is known: in a language of three words that remembers one word, a small decision process."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from bakeoff.data.kinds.text import Text
from bakeoff.errors import DataError, NotFitted
from bakeoff.papers.offline_rl import way_off_policy
from bakeoff.papers.offline_rl.way_off_policy import KLControl, best_of
from bakeoff.parts.language_model import LanguageModel, Replies
from bakeoff.parts.seeding import seeded
from bakeoff.parts.words import Vocabulary

WORDS = 4  # 0 ends a reply, 1 is where it starts, 2 and 3 are words
EXACT = {"learning_rate": 0.05, "rate": 0.5, "masks": 0, "batch_size": 64}


class Table(nn.Module):
    """A language model that is a table: what comes next after each word."""

    def __init__(self, seed=0):
        super().__init__()
        with seeded(seed):
            self.logits = nn.Embedding(WORDS, WORDS)
        self.vocabulary = SimpleNamespace(rows=lambda texts, longest, end: torch.zeros(len(texts), longest, dtype=torch.long))

    def forward(self, tokens, skip=0, masks=None):
        found = self.logits(tokens[:, skip:])
        return found if masks is None else found * masks[:, :, :, None]

    def masks(self, count, batch, rng):
        return torch.ones(count, batch, 1)

    @property
    def p(self):
        return self.logits.weight.detach().softmax(-1).double().numpy()


def replies(reward, count=600, longest=7, seed=0):
    """Random replies of which every word earns what a table (WORDS, WORDS) of last and next word says."""
    rng = torch.Generator().manual_seed(seed)
    text = torch.randint(0, WORDS, (count, longest), generator=rng)
    text[:, -1] = 0
    tokens = torch.cat([torch.ones(count, 1, dtype=torch.long), text], 1)
    tokens[:, 1:] *= (text == 0).cumsum(1) - (text == 0).int() == 0
    return Replies(tokens, 1, torch.as_tensor(reward, dtype=torch.float32)[tokens[:, :-1], tokens[:, 1:]])


def soft_values(prior, reward, scale, discount):
    """Psi by soft value iteration from the prior (eq. 2)."""
    psi = np.log(prior)
    for _ in range(500):
        worth = np.log(np.exp(psi).sum(1))
        psi = reward / scale + np.log(prior) + discount * np.where(np.arange(WORDS) > 0, worth, 0)
    return psi


def policy(learned):
    return learned.log_policy(torch.arange(WORDS)[None])[0].exp().numpy()


REWARD = np.random.default_rng(1).normal(size=(WORDS, WORDS))


def test_psi_is_soft_value_iteration_from_the_prior():
    prior = Table()
    learned = KLControl(prior, scale=0.8, discount=0.7, **EXACT).fit(replies(REWARD), steps=500)
    psi = soft_values(prior.p, REWARD, 0.8, 0.7)
    np.testing.assert_allclose(policy(learned)[1:], (np.exp(psi) / np.exp(psi).sum(1, keepdims=True))[1:], atol=0.01)
    first = Replies(torch.tensor([[1, 0], [1, 2], [1, 3]]), 1, torch.zeros(3, 1))
    np.testing.assert_allclose(learned.foreseen(first), np.full(3, 0.8 * np.log(np.exp(psi[1]).sum())), atol=0.03)


def test_psi_foresees_what_replies_drawn_from_it_earn_less_their_divergence():
    learned = KLControl(Table(), scale=0.8, discount=0.7, **EXACT).fit(replies(-REWARD), steps=500)
    rng, tokens = torch.Generator().manual_seed(1), torch.ones(2000, 1, dtype=torch.long)
    for _ in range(40):
        tokens = torch.cat([tokens, torch.multinomial(learned.log_policy(tokens[:, -1:])[:, 0].exp(), 1, generator=rng)], 1)
    said = Replies(tokens, 1, torch.as_tensor(-REWARD, dtype=torch.float32)[tokens[:, :-1], tokens[:, 1:]])
    foreseen, realised = learned.foreseen(said), learned.realised(said)
    np.testing.assert_allclose(realised.mean(), foreseen.mean(), atol=1e-4)
    np.testing.assert_allclose(realised, foreseen, atol=1e-3)  # of the best policy of reward less divergence, every reply is worth the same
    earned = (said.reward * said.alive() * 0.7 ** torch.arange(40)).sum(1)
    assert realised.mean() < earned.mean() - 0.2  # the divergence is charged


def test_batch_q_lets_the_learner_without_a_mask_choose_and_its_slow_copy_value():
    prior, batch = Table(), replies(REWARD, count=3)
    learned = KLControl(prior, form="plain", masks=0).fit(batch, 0)
    with torch.no_grad():
        learned._net.logits.weight.zero_()[:, 2] = 1.0  # it chooses word 2
    masked = torch.randn(1, 3, 7, WORDS, generator=torch.Generator().manual_seed(0))
    assert torch.equal(learned._worth(masked, None, batch), masked[..., 2])


def test_without_reward_the_policy_stays_the_prior():
    prior = Table()
    learned = KLControl(prior, discount=0.9, **EXACT | {"learning_rate": 1e-3}).fit(replies(0 * REWARD), steps=300)
    np.testing.assert_allclose(policy(learned), prior.p, atol=1e-3)
    rewarded = KLControl(prior, discount=0.9, **EXACT).fit(replies(0 * REWARD + 1), steps=300)  # a constant a word: stay away from the end
    assert (policy(rewarded)[1:, 0] < prior.p[1:, 0] - 0.02).all()


def test_a_small_scale_is_greedy_and_a_large_one_the_prior():
    prior, batch = Table(), replies(REWARD)
    greedy = np.zeros((WORDS, WORDS))
    for _ in range(200):
        greedy = REWARD + 0.7 * np.where(np.arange(WORDS) > 0, greedy.max(1), 0)
    sharp = KLControl(prior, scale=0.02, discount=0.7, **EXACT | {"learning_rate": 1.0}).fit(batch, steps=800)
    assert (policy(sharp).argmax(1)[1:] == greedy.argmax(1)[1:]).all()
    assert policy(sharp).max(1)[1:].min() > 0.98
    loose = KLControl(prior, scale=1e4, discount=0.7, **EXACT | {"learning_rate": 1e-3}).fit(batch, steps=300)
    np.testing.assert_allclose(policy(loose), prior.p, atol=1e-3)


def test_batch_q_solves_the_linear_equations_at_the_discount_that_is_given():
    for discount in (0.0, 0.6):
        batch = replies(REWARD)
        learned = KLControl(Table(), form="plain", discount=discount, temperature=0, **EXACT).fit(batch, steps=500)
        values = REWARD.copy()
        best = policy(learned).argmax(1)
        for _ in range(200):
            values = REWARD + discount * np.where(np.arange(WORDS) > 0, values[np.arange(WORDS), best], 0)
        assert (values.argmax(1) == best)[1:].all()
        first = Replies(torch.tensor([[1, 0], [1, 2], [1, 3]]), 1, torch.zeros(3, 1))
        np.testing.assert_allclose(learned.foreseen(first), values[1, [0, 2, 3]], atol=0.03)


def test_the_q_form_without_reward_keeps_the_square_root_of_the_prior_at_a_last_word():
    prior = Table()
    learned = KLControl(prior, form="q", discount=0.0, **EXACT).fit(replies(0 * REWARD), steps=500)
    root = np.sqrt(prior.p) / np.sqrt(prior.p).sum(1, keepdims=True)  # Q = log p - log softmax(Q): 2 Q = log p + a constant
    np.testing.assert_allclose(policy(learned)[1:], root[1:], atol=0.01)


def test_the_best_of_one_is_the_prior_of_many_the_greatest_and_of_some_what_draws_show():
    rng = np.random.default_rng(0)
    prior, values = rng.dirichlet(np.ones(6)), rng.normal(size=6)
    log_p, value = torch.tensor(prior), torch.tensor(values)
    np.testing.assert_allclose(best_of(log_p.log(), value, 1).exp(), prior, atol=1e-9)
    assert best_of(log_p.log(), value, 10_000).argmax() == value.argmax()
    draws = rng.choice(6, (200_000, 3), p=prior)
    shown = np.bincount(draws[np.arange(len(draws)), values[draws].argmax(1)], minlength=6) / len(draws)
    np.testing.assert_allclose(best_of(log_p.log(), value, 3).exp(), shown, atol=0.005)


def test_more_masks_lower_the_target_and_without_dropout_they_change_nothing():
    texts = ["a b c", "b c a", "c a"] * 4
    losses = {}
    for dropout in (0.0, 0.5):
        with seeded(0):
            prior = LanguageModel(Vocabulary(texts), hidden=8, dropout=dropout)
        batch, rng = Replies.of(texts, prior.vocabulary, 5), torch.Generator().manual_seed(0)
        masks = prior.masks(50, len(batch), rng)
        worth = KLControl(prior)._worth(prior(batch.tokens[:, :-1], masks=masks), None, None)  # (50, N, T)
        few, many, mean = worth[:5].amin(0), worth.amin(0), worth.mean(0)
        assert (many <= few).all()
        assert (few <= mean + 1e-5).all()
        assert torch.allclose(few, mean, atol=1e-5) == (dropout == 0)
        losses[dropout] = [KLControl(prior, masks=count).fit(batch, 5).log_policy(batch.tokens) for count in (0, 5)]
    assert torch.allclose(*losses[0.0], atol=1e-6)
    assert not torch.allclose(*losses[0.5], atol=1e-6)


def test_replies_come_from_the_policy_and_end_where_it_ends_them():
    texts = ["a b", "a c"] * 10
    with seeded(0):
        prior = LanguageModel(Vocabulary(texts), hidden=8)
    rows = Replies.of(texts, prior.vocabulary, 4)
    prior.learn(rows, 200, torch.Generator().manual_seed(0), learning_rate=0.05, batch_size=8)
    for form in way_off_policy.FORMS:
        found = KLControl(prior, form=form).fit(rows, 0).generate(200, seed=1)
        assert sum(one in ("a b", "a c") for one in found) > 180
        assert not any("unknown" in one or not one for one in found)
    greedy = KLControl(prior, temperature=0).fit(rows, 0)
    assert len(set(greedy.generate(20, seed=1))) == 1
    with pytest.raises(NotFitted):
        KLControl(prior).generate(1, seed=0)
    with pytest.raises(ValueError, match="form='psy'"):
        KLControl(prior, form="psy").fit(rows)


def test_texts_without_labels_are_told():
    with pytest.raises(DataError, match="--target"):
        way_off_policy.usable(Text(("a", "b", "c")))
