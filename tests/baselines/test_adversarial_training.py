"""Adversarial training against standard training, closed forms of the worst change of a linear classifier, and what it is for."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bakeoff.baselines.adversarial_training import AdversarialTraining, climbed
from bakeoff.errors import NotFitted
from bakeoff.parts.seeding import seeded
from bakeoff.parts.small_cnn import small_cnn
from bakeoff.parts.supervised import minibatches, train


def weights(network):
    return torch.cat([one.detach().flatten() for one in network.parameters()])


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def problem():
    """Pictures whose one bright pixel tells the class surely, and many faint ones together, which a small change turns round."""
    labels = torch.randint(2, (400,), generator=rng(1))
    images = 0.5 + 0.1 * torch.randn(400, 1, 6, 6, generator=rng(2)) + 0.06 * (2 * labels - 1).view(-1, 1, 1, 1)
    images[:, 0, 2, 2] = 0.5 + 0.4 * (2 * labels - 1)
    return images.clamp(0, 1), labels


@pytest.mark.parametrize("setting", [{"fraction": 0.0, "radius": 0.1}, {"radius": 0.0}, {"radius": 0.0, "norm": 2}])
def test_without_attacked_images_it_is_standard_training_bit_for_bit(problem, setting):
    network = small_cnn((1, 6, 6), 2, seed=3, width=4, hidden=8)
    losses, known = [], []
    found = AdversarialTraining(network, **setting, batch_size=32, seed=5).fit(*problem, steps=30, on_step=losses.append).network
    standard = train(deepcopy(network), *problem, steps=30, learning_rate=1e-3, batch_size=32, seed=5, on_step=known.append)
    assert losses == known
    assert torch.equal(weights(found), weights(standard))


class Watched(nn.Module):
    """A linear classifier that keeps what it is shown in training mode, and counts what it is shown in evaluation mode."""

    def __init__(self, images):
        super().__init__()
        with seeded(0):
            self.linear = nn.Linear(images[0].numel(), 2)
        self.shown, self.looks = [], 0

    def forward(self, x):
        if self.training:
            self.shown.append(x.detach().clone())
        else:
            self.looks += 1
        return self.linear(x.flatten(1))


@pytest.mark.parametrize(("fraction", "count"), [(0.01, 0), (0.1, 3), (0.5, 15), (0.75, 22), (0.99, 30)])
def test_exactly_the_rounded_fraction_of_a_minibatch_is_replaced_and_no_pass_is_wasted(problem, fraction, count):
    images, labels = problem
    network = AdversarialTraining(Watched(images), radius=0.1, fraction=fraction, attack_steps=4, batch_size=30, seed=2).fit(
        images, labels, steps=6).network
    for shown, rows in zip(network.shown, minibatches(len(images), 30, 6, 2), strict=True):
        changed = (shown - images[rows]).flatten(1).abs().amax(1)
        assert int((changed > 0).sum()) == count
        assert changed.max() <= 0.1 + 1e-7
        assert 0 <= shown.min() <= shown.max() <= 1
    assert network.looks == (6 * 4 if count else 0)


def test_the_radius_grows_over_the_warm_up(problem):
    images, labels = problem
    method = AdversarialTraining(Watched(images), radius=0.2, step_size=0.3, warm_up=0.5, batch_size=50)
    network = method.fit(images, labels, steps=8).network
    found = [float((shown - images[rows]).abs().max()) for shown, rows in zip(network.shown, minibatches(400, 50, 8, 0), strict=True)]
    np.testing.assert_allclose(found, [0, 0.05, 0.1, 0.15, 0.2, 0.2, 0.2, 0.2], atol=1e-6)


@pytest.mark.parametrize("norm", [math.inf, 2])
def test_the_climb_on_a_linear_classifier_ends_at_the_worst_change_there_is(norm):
    with seeded(4):
        network, x, y = nn.Linear(9, 2), 0.4 + 0.2 * torch.rand(20, 9), torch.randint(2, (20,))
    slope = (network.weight[1 - y] - network.weight[y]).detach()
    worst = slope.sign() if norm == math.inf else slope / slope.norm(dim=1, keepdim=True)
    found = climbed(network, x, y, radius=0.3, norm=norm, steps=20, step_size=0.1, rng=rng())
    torch.testing.assert_close(found, x + 0.3 * worst, rtol=0, atol=2e-3 if norm == 2 else 1e-6)
    assert network.weight.grad is None
    assert not found.requires_grad
    assert network.training


def test_the_start_is_uniform_in_the_box_and_its_length_in_an_l2_ball():
    x = torch.full((4000, 3), 0.5)
    flat = nn.Linear(3, 2)
    box = climbed(flat, x, torch.zeros(4000).long(), radius=0.3, norm=math.inf, steps=1, step_size=0.0, rng=rng()) - x
    ball = (climbed(flat, x, torch.zeros(4000).long(), radius=0.3, norm=2, steps=1, step_size=0.0, rng=rng()) - x).norm(dim=1)
    for found in (box.flatten() / 0.6 + 0.5, ball / 0.3):  # both uniform on [0, 1]
        quantiles = torch.quantile(found, torch.linspace(0, 1, 11))
        torch.testing.assert_close(quantiles, torch.linspace(0, 1, 11), rtol=0, atol=0.035)


@pytest.mark.parametrize(("norm", "radius"), [(math.inf, 0.12), (2, 0.4)])
def test_it_withstands_attacks_that_break_standard_training(problem, norm, radius):
    images, labels = problem
    network = small_cnn((1, 6, 6), 2, seed=0, width=4, hidden=8)

    def accuracy(fraction):
        method = AdversarialTraining(network, radius=radius, norm=norm, fraction=fraction, learning_rate=5e-3, batch_size=50, warm_up=0.3)
        method.fit(images[:300], labels[:300], steps=150)
        x, y = images[300:], labels[300:]
        attacked = climbed(method.network, x, y, radius=radius, norm=norm, steps=40, rng=rng(7))
        return [float((method.predict(one) == y).double().mean()) for one in (x, attacked)]

    (natural, broken), (still, robust) = accuracy(0.0), accuracy(1.0)
    assert min(natural, still) > 0.95
    assert robust > broken + 0.3


def test_the_given_network_is_left_alone_and_a_second_fit_starts_afresh(problem):
    given = small_cnn((1, 6, 6), 2, seed=3, width=4, hidden=8)
    before = weights(given).clone()
    method = AdversarialTraining(given, radius=0.1, norm=2, batch_size=32)
    first = weights(method.fit(*problem, steps=5).network).clone()
    assert torch.equal(weights(given), before)
    assert not torch.equal(first, before)
    assert torch.equal(weights(method.fit(*problem, steps=5).network), first)
    arrays = [one.numpy() for one in problem]
    assert torch.equal(weights(method.fit(*arrays, steps=5).network), first)


def test_the_loss_is_the_cross_entropy_where_the_climb_ends(problem):
    images, labels = problem
    given, losses = Watched(images), []
    AdversarialTraining(given, radius=0.1, batch_size=40, seed=1).fit(images, labels, steps=1, on_step=losses.append)
    rows = next(minibatches(400, 40, 1, 1))
    end = climbed(given, images[rows], labels[rows], radius=0.1, norm=math.inf, steps=7, rng=rng(1))
    assert losses == [pytest.approx(F.cross_entropy(given(end), labels[rows]).item(), rel=1e-6)]


@pytest.mark.parametrize("wrong", [{"norm": 3}, {"radius": -0.1}, {"fraction": 1.5}, {"attack_steps": 0}, {"warm_up": 2.0}])
def test_settings_out_of_range_are_refused(problem, wrong):
    with pytest.raises(ValueError, match="expected"):
        AdversarialTraining(nn.Flatten(), **({"radius": 0.1} | wrong)).fit(*problem, steps=1)
    with pytest.raises(NotFitted):
        AdversarialTraining(nn.Flatten(), radius=0.1).predict(problem[0])
