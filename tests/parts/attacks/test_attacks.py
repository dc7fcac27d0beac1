"""Attacks: in ball and bounds to the last bit, closed forms on linear models, the model left as it was."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from bakeoff.parts.attacks import (
    accuracy,
    bim,
    boundary,
    carlini_wagner,
    cross_entropy,
    decoupled,
    deepfool,
    dlr_loss,
    fgsm,
    lengths,
    margin_loss,
    one_pixel,
    pgd,
    project,
    random_change,
    right,
    saliency,
    sparse_pgd,
    worst_of,
)
from bakeoff.parts.attacks.balls import inside, steepest, within
from bakeoff.parts.evaluating import evaluating
from bakeoff.parts.small_cnn import small_cnn

NORMS = (math.inf, 2, 1)
BALLS = {math.inf: 0.1, 2: 0.7, 1: 3.0}
EVERY = {
    "fgsm": lambda *a, **k: fgsm(*a, radius=0.1, **k), "bim": lambda *a, **k: bim(*a, radius=0.1, **k),
    "pgd": lambda *a, **k: pgd(*a, radius=0.1, restarts=2, **k), "pgd first": lambda *a, **k: pgd(*a, radius=0.1, keep="first", **k),
    "pgd L2": lambda *a, **k: pgd(*a, radius=0.7, norm=2, momentum=0.9, **k), "pgd L1": lambda *a, **k: pgd(*a, radius=3, norm=1, **k),
    "pgd noise": lambda *a, **k: pgd(*a, radius=0.1, noise=0.1, draws=2, loss=margin_loss, **k),
    "carlini_wagner": lambda *a, **k: carlini_wagner(*a, steps=40, binary_searches=2, learning_rate=0.05, **k),
    "decoupled": lambda *a, **k: decoupled(*a, steps=30, **k),
    "boundary": lambda *a, **k: boundary(*a, steps=30, **k), "saliency": lambda *a, **k: saliency(*a, pixels=10, **k),
    "sparse_pgd": lambda *a, **k: sparse_pgd(*a, pixels=10, steps=10, **k), "one_pixel": lambda *a, **k: one_pixel(*a, tries=20, **k),
    "deepfool": deepfool, "deepfool Linf": lambda *a: deepfool(*a, norm=math.inf)}


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def images(rng):
    return torch.rand(12, 3, 12, 12, generator=rng).mul_(1.4).sub_(0.2).clamp_(0, 1)


@pytest.fixture
def model(images):
    """A network in training mode, whose answers differ among the images."""
    network = small_cnn((3, 12, 12), 5, seed=1, width=4, hidden=16)
    with torch.no_grad():
        spread, middle = torch.std_mean(network(images), 0)
    norm = nn.BatchNorm1d(5)
    norm.running_mean, norm.running_var = middle, spread.square()
    return nn.Sequential(network, norm, nn.Dropout(0.5))


@pytest.fixture
def batch(images, model):
    return images, said(model, images)


def said(model, x):
    with evaluating(model), torch.no_grad():
        return model(x).argmax(1)


def line(weights, bias=0.0):
    """Two classes, told apart by the sign of weights . x + bias."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(weights.numel(), 2))
    model[1].weight.data = torch.stack([weights, -weights]) / 2
    model[1].bias.data = torch.tensor([bias, -bias]) / 2
    return model


@pytest.mark.parametrize("norm", NORMS)
def test_a_projection_is_the_nearest_point_of_the_ball(norm, rng):
    changes = 2 * torch.randn(40, 2, generator=rng, dtype=torch.float64)
    angle = torch.linspace(0, 2 * math.pi, 20_001, dtype=torch.float64)
    edge = torch.stack([angle.cos(), angle.sin()], 1)
    edge = 0.8 * edge / lengths(edge, norm)[:, None]  # the ball's edge, all round
    nearest = edge[torch.cdist(changes, edge).argmin(1)]
    inside = lengths(changes, norm) <= 0.8
    nearest[inside] = changes[inside]
    assert 0 < inside.sum() < 40
    assert torch.allclose(project(changes, 0.8, norm), nearest, atol=5e-4)


def test_the_l1_projection_has_duchis_threshold(rng):
    changes = torch.randn(20, 784, generator=rng, dtype=torch.float64)
    sizes = changes.abs().sort(1, descending=True).values
    excess = sizes.cumsum(1) - 5.0
    count = torch.arange(1, 785)
    last = (sizes - excess / count > 0).sum(1) - 1
    threshold = (excess / count).gather(1, last[:, None])
    assert torch.allclose(project(changes, 5.0, 1), changes.sign() * (changes.abs() - threshold).clamp_min(0), atol=1e-9)


def test_l1_ball_and_box_are_met_at_once_by_the_nearest_point_of_both(rng):
    x, change = torch.tensor([[0.9, 0.5]], dtype=torch.float64), torch.tensor([[0.7, 0.5]], dtype=torch.float64)
    side = torch.linspace(0, 1, 1001, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    grid = grid[(grid - x).abs().sum(1) <= 0.3]
    nearest = grid[(grid - x - change).square().sum(1).argmin()]
    assert torch.allclose(within(x, change, 0.3, 1, (0.0, 1.0))[0], nearest, atol=2e-3)


@pytest.mark.parametrize("norm", NORMS)
def test_a_random_change_is_spread_over_a_box_evenly_and_over_other_balls_by_its_length(norm, rng):
    drawn = random_change(torch.zeros(20_000, 3), 2.0, norm, rng)
    far = lengths(drawn, norm)
    assert float(far.max()) <= 2.0 * (1 + 1e-6)
    nearer = 1 / 8 if norm == math.inf else 1 / 2  # half the radius holds an eighth of the box's volume
    assert float((far < 1.0).double().mean()) == pytest.approx(nearer, abs=0.015)
    assert drawn.mean(0).abs().max() < 0.03


@pytest.mark.parametrize("norm", NORMS)
def test_placing_many_points_near_one_input_is_placing_each_change(norm, rng):
    x, points = torch.rand(20, 8, 8, generator=rng), torch.randn(20, 8, 8, generator=rng)
    assert torch.allclose(inside(x, 0.3, norm, (0.0, 1.0))(points), within(x, points - x, 0.3, norm, (0.0, 1.0)), atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_attacks_stay_in_ball_and_bounds_to_the_last_bit(norm, dtype, rng, model):
    x = torch.rand(30, 3, 12, 12, generator=rng, dtype=dtype).mul_(1.4).sub_(0.2).clamp_(0, 1)
    y = torch.randint(0, 5, (30,), generator=rng)
    for radius in (BALLS[norm], 0.3, 8 / 255, 1 / 3):
        for attack in (fgsm, lambda *a, **k: pgd(*a, steps=4, restarts=2, **k)):
            moved = attack(model.to(dtype), x, y, radius=radius, norm=norm)
            change = moved.double().numpy() - x.double().numpy()
            order = {math.inf: np.inf, 2: 2, 1: 1}[norm]
            assert np.linalg.norm(change.reshape(30, -1), order, axis=1).max() <= radius  # as real numbers
            assert float(lengths(moved - x, norm).max()) <= radius  # as floats of this precision
            assert moved.min() >= 0
            assert moved.max() <= 1
            assert np.linalg.norm(change.reshape(30, -1), order, axis=1).max() > 0.9 * radius  # and use it


@pytest.mark.parametrize("name", EVERY)
def test_an_attack_leaves_the_model_as_it_was_and_stays_in_bounds(name, model, batch):
    x, y = batch
    model[0][0].weight.requires_grad_(False)
    model[0].eval()
    modes, state = [part.training for part in model.modules()], {name: value.clone() for name, value in model.state_dict().items()}
    needs = [weight.requires_grad for weight in model.parameters()]
    kept, random = x.clone(), torch.get_rng_state()
    with torch.no_grad():
        moved = EVERY[name](model, x, y)
    assert [part.training for part in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [weight.requires_grad for weight in model.parameters()] == needs
    assert all(weight.grad is None for weight in model.parameters())
    assert torch.equal(x, kept)
    assert torch.equal(torch.get_rng_state(), random)
    assert moved.data_ptr() != x.data_ptr()
    assert not moved.requires_grad
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert accuracy(model, x, y) == 1.0
    if name != "one_pixel":
        assert accuracy(model, moved, y) < 1.0
    assert torch.equal(moved, EVERY[name](model, x, y))


@pytest.mark.parametrize("attack", [lambda *a, seed: pgd(*a, radius=0.01, steps=1, seed=seed),
                                    lambda *a, seed: boundary(*a, steps=5, seed=seed), lambda *a, seed: one_pixel(*a, tries=3, seed=seed),
                                    lambda *a, seed: sparse_pgd(*a, pixels=3, steps=1, seed=seed)])
def test_another_seed_draws_otherwise(attack, model, batch):
    assert not torch.equal(attack(model, *batch, seed=0), attack(model, *batch, seed=1))


@pytest.mark.parametrize(("norm", "dual"), [(math.inf, 1), (2, 2), (1, math.inf)])
def test_on_a_linear_model_pgd_reaches_the_best_of_the_ball(norm, dual, rng):
    weights, x = torch.randn(16, generator=rng), torch.full((1, 16), 0.5)
    radius = 0.05
    moved = pgd(line(weights), x, torch.tensor([0]), radius=radius, norm=norm, steps=100, random_start=False, loss=margin_loss)
    gain = float((x - moved)[0] @ weights)
    best = radius * float(torch.linalg.vector_norm(weights, dual))
    assert gain == pytest.approx(best, rel=1e-3)


def test_an_l1_step_moves_several_entries_and_none_that_is_at_its_bound():
    gradient = torch.tensor([[5.0, -4.0, 3.0, 0.1]])
    step = steepest(gradient, 1, torch.tensor([[1.0, 0.5, 0.5, 0.5]]), (0.0, 1.0), share=0.5)
    assert step.tolist() == [[0.0, -0.5, 0.5, 0.0]]


@pytest.mark.parametrize("attack", ["deepfool", "carlini_wagner", "decoupled", "boundary"])
def test_the_smallest_l2_change_of_a_linear_model_is_the_distance_to_its_plane(attack, rng):
    weights = torch.randn(6, generator=rng)
    x = torch.full((8, 6), 0.5) + 0.1 * torch.randn(8, 6, generator=rng)
    model = line(weights, -0.5 * float(weights.sum()))
    with torch.no_grad():
        y = model(x).argmax(1)
    distance = ((x - 0.5) @ weights).abs() / weights.norm()
    search = {"deepfool": lambda: deepfool(model, x, y, overshoot=0.001), "decoupled": lambda: decoupled(model, x, y, steps=200),
              "carlini_wagner": lambda: carlini_wagner(model, x, y, steps=400, binary_searches=8),
              "boundary": lambda: boundary(model, x, y, steps=3000)}[attack]
    moved = search()
    assert not right(model, moved, y).any()
    slack = {"deepfool": 0.002, "decoupled": 0.02, "carlini_wagner": 0.02, "boundary": 0.05}[attack]
    assert torch.allclose(lengths(moved - x, 2), distance, rtol=slack, atol=2e-4)


def test_deepfool_in_l_infinity_moves_every_entry_by_the_distance_over_the_dual_norm(rng):
    weights = torch.randn(6, generator=rng)
    x = torch.full((1, 6), 0.5)
    moved = deepfool(line(weights, 0.1), x, said(line(weights, 0.1), x), norm=math.inf, overshoot=0.0)
    distance = abs(float(0.5 * weights.sum()) + 0.1) / float(weights.abs().sum())
    assert torch.allclose((moved - x).abs(), torch.full((1, 6), distance), rtol=1e-3, atol=1.1e-4)


def test_deepfool_crosses_to_the_nearest_of_several_classes():
    model = nn.Linear(2, 3, bias=True)
    model.weight.data, model.bias.data = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([0.0, -0.8, -0.7])
    x = torch.tensor([[0.5, 0.5]])  # class 0; 0.3 from class 1, 0.2 from class 2
    moved = deepfool(model, x, torch.tensor([0]))
    assert model(moved).argmax(1).tolist() == [2]
    assert torch.allclose(moved, torch.tensor([[0.5, 0.7]]), atol=0.005)


@pytest.mark.parametrize("name", ["pgd", "pgd first", "pgd L2", "carlini_wagner", "decoupled", "boundary"])
def test_targeted_attacks_reach_the_class_wanted(name, model, batch):
    x, y = batch
    wanted = (y + 1) % 5 if name != "boundary" else y.roll(1)
    start = right(model, x, wanted)
    moved = EVERY[name](model, x, wanted, targeted=True)
    reached = right(model, moved, wanted)
    assert reached[start].all()
    if name == "boundary":
        assert reached.all()  # another image of the batch has that class
    else:
        with evaluating(model), torch.no_grad():
            before, after = (margin_loss(model(z), wanted) for z in (x, moved))
        assert (after <= before + 1e-6).all()
        assert reached.sum() > start.sum()


def test_minimal_attacks_leave_inputs_that_are_wrong_already(model, batch):
    x, y = batch[0], (batch[1] + 1) % 5
    for attack in (deepfool, carlini_wagner, decoupled, boundary, lambda *a: pgd(*a, radius=0.1, keep="first"),
                   lambda *a: saliency(*a, pixels=3), lambda *a: sparse_pgd(*a, pixels=3), one_pixel):
        assert torch.allclose(attack(model, x, y), x, atol=2e-6)


def test_rows_that_nothing_fools_come_back_as_they_were():
    model = nn.Linear(4, 2)
    model.weight.data.zero_()
    model.bias.data = torch.tensor([1.0, 0.0])
    x, y = torch.full((2, 4), 0.25), torch.tensor([0, 0])
    for attack in (deepfool, decoupled, boundary, lambda *a: carlini_wagner(*a, steps=5)):
        assert torch.equal(attack(model, x, y), x)


def test_more_restarts_and_keeping_the_first_break_no_less(model, batch):
    x, y = batch
    once, often, first = (accuracy(model, pgd(model, x, y, radius=0.02, steps=3, **extra), y)
                          for extra in ({}, {"restarts": 5}, {"restarts": 5, "keep": "first"}))
    assert often <= once
    assert first <= once


def test_the_best_iterate_has_a_loss_no_lower_than_the_last(model, batch):
    x, y = batch
    best, last = (pgd(model, x, y, radius=0.1, steps=8, step_size=0.1, keep=keep) for keep in ("best", "last"))
    with evaluating(model), torch.no_grad():
        gap = cross_entropy(model(best), y) - cross_entropy(model(last), y)
    fooled_by_both = ~right(model, best, y) & ~right(model, last, y)
    assert (gap[fooled_by_both] >= -1e-5).all()
    assert gap.max() > 1e-3


def test_bim_and_fgsm_are_pgd_from_the_input(model, batch):
    x, y = batch
    assert torch.equal(bim(model, x, y, radius=0.1), pgd(model, x, y, radius=0.1, random_start=False))
    x.requires_grad_()
    model.eval()
    gradient = torch.autograd.grad(nn.functional.cross_entropy(model(x), y, reduction="sum"), x)[0]
    assert torch.allclose(fgsm(model, x, y, radius=0.1), (x + 0.1 * gradient.sign()).clamp(0, 1), atol=1e-6)


def test_saliency_of_a_linear_model_takes_the_pixels_of_largest_gain():
    weights = torch.tensor([3.0, -2.0, 1.0, 0.5, -2.5, 0.1])
    x = torch.tensor([[0.1, 0.1, 1.0, 0.5, 0.9, 0.5]])  # gains 0.3, 1.8, 1.0, 0.25, 0.25, 0.05
    moved = saliency(line(weights, 10.0), x, torch.tensor([0]), pixels=2)
    assert moved.tolist() == [[pytest.approx(value) for value in (0.1, 1.0, 0.0, 0.5, 0.9, 0.5)]]


@pytest.mark.parametrize("attack", [saliency, sparse_pgd])
def test_sparse_attacks_change_no_more_pixels_than_allowed(attack, model, batch):
    x, y = batch
    for pixels in (0, 1, 2):
        changed = (attack(model, x, y, pixels=pixels) != x).any(1).flatten(1).sum(1)
        assert changed.max() == pixels
    assert ((one_pixel(model, x, y, tries=5) != x).any(1).flatten(1).sum(1) <= 1).all()


def test_losses_are_their_closed_forms():
    logits, y = torch.tensor([[4.0, 1.0, 3.0, 0.0], [4.0, 1.0, 3.0, 0.0]]), torch.tensor([0, 2])
    assert margin_loss(logits, y).tolist() == [-1.0, 1.0]
    assert dlr_loss(logits, y).tolist() == pytest.approx([-1 / 3, 1 / 3])
    assert torch.allclose(dlr_loss(50 * logits, y), dlr_loss(logits, y))


def test_the_worst_of_several_takes_what_fools_and_else_the_nearest_to_it():
    x, y = torch.tensor([[1.0, 0.0]]).repeat(3, 1), torch.tensor([0, 0, 1])
    near, over = torch.tensor([[1.0, 0.9]]).repeat(3, 1), torch.tensor([[0.0, 1.0], [1.0, 0.2], [0.0, 1.0]])
    assert worst_of(nn.Identity(), x, y, [near, over]).tolist() == [over[0].tolist(), near[0].tolist(), x[2].tolist()]


@pytest.mark.parametrize(("change", "words"), [
    ({"radius": -0.1}, "radius"), ({"norm": 3}, "norm"), ({"steps": 0}, "steps"), ({"keep": "all"}, "keep"),
    ({"keep": "last", "restarts": 2}, "restart"), ({"x": torch.full((2, 4), 1.5)}, "bounds"),
    ({"x": torch.full((2, 4), math.nan)}, "bounds"), ({"x": torch.zeros(2, 4).long()}, "floats"),
    ({"y": torch.zeros(3).long()}, "whole numbers"), ({"bounds": (1.0, 0.0)}, "bounds"), ({"model": nn.Flatten(0)}, "logits")])
def test_what_does_not_fit_is_said(change, words):
    call = {"model": nn.Linear(4, 2), "x": torch.full((2, 4), 0.5), "y": torch.zeros(2).long(), "radius": 0.1} | change
    with pytest.raises(ValueError, match=words):
        pgd(call.pop("model"), call.pop("x"), call.pop("y"), **call)


def test_an_empty_batch_gives_an_empty_batch():
    for attack in (deepfool, carlini_wagner, decoupled, boundary, one_pixel, lambda *a: pgd(*a, radius=0.1), lambda *a: fgsm(*a, radius=1),
                   lambda *a: pgd(*a, radius=0.1, keep="first"), lambda *a: saliency(*a, pixels=1), lambda *a: sparse_pgd(*a, pixels=1)):
        assert attack(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.zeros(0, 1, 2, 2), torch.zeros(0).long()).shape == (0, 1, 2, 2)
