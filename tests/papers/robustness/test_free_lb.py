"""FreeLB's slopes against autograd on the same points, its ball, its padding, and its limits: plain training and one last pass."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bakeoff.papers.robustness.free_lb import FreeLB, TextCNN, attacked, freelb_step
from bakeoff.parts.seeding import seeded

TOKENS = torch.tensor([[0, 0, 5, 4, 3], [6, 7, 8, 3, 4], [0, 0, 0, 0, 9]])
MASK, LABELS = TOKENS != 0, torch.tensor([0, 1, 1])


def network(dropout=0.0):
    with seeded(0):
        return TextCNN(10, 2, width=6, filters=4, dropout=dropout).double()


def slopes_of(model, **ascent):
    model.zero_grad()
    loss = freelb_step(model, model.vectors(TOKENS), MASK, LABELS, **ascent)
    return loss, [one.grad.clone() for one in model.parameters()]


def same(found, known):
    for one, other in zip(found, known, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_one_pass_without_a_radius_is_plain_training_slope_for_slope():
    model = network(dropout=0.5)
    loss, found = slopes_of(model, radius=0.0, step_size=0.7, k=1, seed=3)
    with seeded(3):
        known = F.cross_entropy(model(model.vectors(TOKENS), MASK), LABELS)
    assert loss == pytest.approx(known.item(), abs=1e-12)
    same(found, torch.autograd.grad(known, list(model.parameters())))
    same(slopes_of(model, radius=0.0, step_size=0.7, k=4, seed=3)[1], found)  # the four quarters make a whole, the masks are one


@pytest.mark.parametrize(("learn_from", "points"), [("all", slice(None)), ("last", slice(-1, None))])
def test_the_slope_is_that_of_the_mean_loss_at_the_points_of_the_ascent(learn_from, points):
    model, changes = network(dropout=0.5), []
    loss, found = slopes_of(model, radius=0.8, step_size=0.5, k=3, seed=1, learn_from=learn_from, pushed=changes.append)
    losses = []
    for change in changes[points]:
        with seeded(1):
            losses.append(F.cross_entropy(model(model.vectors(TOKENS) + change, MASK), LABELS))
    known = torch.stack(losses).mean()
    assert len(changes) == 3
    assert loss == pytest.approx(known.item(), abs=1e-12)
    same(found, torch.autograd.grad(known, list(model.parameters())))


def test_the_ascent_follows_the_slope_inside_the_ball_and_off_the_padding():
    model, changes, radius = network(), [], 0.3
    freelb_step(model, model.vectors(TOKENS), MASK, LABELS, radius=radius, step_size=0.7, k=4, pushed=changes.append)
    lengths = torch.stack([one.flatten(1).norm(dim=1) for one in changes])
    assert (lengths <= radius * (1 + 1e-12)).all()
    assert (lengths[0] < radius).all()
    torch.testing.assert_close(lengths[-1], torch.full((3,), radius).double())  # a step of 0.7 leaves it
    assert not any(one[~MASK].any() for one in changes)
    assert (changes[0][MASK].abs() <= radius / (MASK.sum(1)[:, None].expand(MASK.shape)[MASK][:, None] * 6) ** 0.5).all()
    x = (model.vectors(TOKENS) + changes[0]).detach().requires_grad_()
    slope, = torch.autograd.grad(F.cross_entropy(model(x, MASK), LABELS), x)
    slope = slope * MASK[..., None]
    stepped = changes[0] + 0.7 * slope / slope.flatten(1).norm(dim=1)[:, None, None]
    known = stepped * (radius / stepped.flatten(1).norm(dim=1)).clamp(max=1)[:, None, None]
    torch.testing.assert_close(changes[1], known)


def test_the_ascent_finds_the_furthest_point_of_a_linear_classifier():
    linear = nn.Linear(2 * 3, 2).double()
    x, mask, y = torch.ones(4, 2, 3).double(), torch.ones(4, 2, dtype=torch.bool), torch.tensor([0, 1, 0, 1])
    change = attacked(lambda x, mask: linear(x.flatten(1)), x, mask, y, radius=0.5)
    away = linear.weight[1 - y] - linear.weight[y]  # (4, 6)
    torch.testing.assert_close(change.flatten(1), (0.5 * away / away.norm(dim=1, keepdim=True)).detach())


def test_the_attack_leaves_padding_alone_and_more_of_it_changes_nothing():
    model, wider = network(), F.pad(TOKENS, (3, 2))
    change, wide = (attacked(model, model.vectors(tokens).detach(), tokens != 0, LABELS, radius=0.3) for tokens in (TOKENS, wider))
    assert not wide[wider == 0].any()
    assert change[MASK].any(1).all()
    torch.testing.assert_close(wide[:, 3:-2], change)


def test_padding_is_not_read_and_word_vectors_cannot_grow():
    model = network()
    wider = F.pad(TOKENS, (3, 2))
    torch.testing.assert_close(model(model.vectors(wider), wider != 0), model(model.vectors(TOKENS), MASK))
    with torch.no_grad():
        model.table.weight *= 100
    lengths = model.vectors(TOKENS).norm(dim=2)
    torch.testing.assert_close(lengths[MASK], torch.full((9,), 6**0.5).double(), rtol=1e-3, atol=0)
    assert not lengths[~MASK].any()


def test_learning_finds_the_words_that_decide_and_spends_what_it_is_given():
    texts = [f"the {word} film of {i} ." for i in range(30) for word in ("fine", "dull")]
    spent = []
    model = FreeLB(width=8, filters=4, learning_rate=0.01).fit(texts, [1, 0] * 30, steps=100, on_step=lambda loss, k: spent.append(k))
    assert model.predict(["a fine day", "dull , dull"]).tolist() == [1, 0]
    assert sum(spent) == 99


def test_what_makes_no_sense_is_refused():
    x, mask, y = torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool), torch.tensor([0])
    for wrong in ({"radius": -1.0}, {"k": 0}, {"learn_from": "first"}):
        with pytest.raises(ValueError, match="expected radius"):
            freelb_step(lambda x, mask: x[:, 0], x, mask, y, **{"radius": 1.0, "step_size": 1.0} | wrong)
    with pytest.raises(ValueError, match="ten texts"):
        FreeLB().fit(["a b"] * 20, [0] * 19, steps=1)
