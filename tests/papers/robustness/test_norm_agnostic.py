"""The second-order attack against PGD, power iteration and finite differences of a smoothed loss; training in several norms dealt out."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bakeoff.baselines.adversarial_training import AdversarialTraining, climbed
from bakeoff.errors import NotFitted
from bakeoff.papers.robustness import norm_agnostic as paper
from bakeoff.papers.robustness.norm_agnostic import MultiNormTraining, second_order_attack
from bakeoff.parts.attacks import margin_loss, pgd
from bakeoff.parts.seeding import seeded
from bakeoff.parts.small_cnn import small_cnn


class Bowl(nn.Module):
    """Two classes whose cross-entropy for class 1 grows with the quadratic form (x - centre)' H (x - centre)."""

    def __init__(self, hessian, centre):
        super().__init__()
        self.hessian, self.centre = hessian, centre

    def forward(self, x):
        d = x.flatten(1) - self.centre
        value = (d @ self.hessian * d).sum(1)
        return torch.stack((value, torch.zeros_like(value)), 1)


def images(count=6, side=4, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, side, side, generator=rng), torch.randint(3, (count,), generator=rng)


def weights(network):
    return torch.cat([one.detach().flatten() for one in network.parameters()])


@pytest.mark.parametrize("norm", [2, math.inf])
def test_without_noise_and_with_one_draw_it_is_pgd(norm):
    (x, y), network = images(), small_cnn((1, 4, 4), 3, seed=1, width=3, hidden=6)
    found = second_order_attack(network, x, y, radius=0.3, norm=norm, noise=0.0, draws=1, steps=7, restarts=1, seed=5)
    torch.testing.assert_close(found, pgd(network, x, y, radius=0.3, norm=norm, steps=7, seed=5), rtol=0, atol=1e-6)


def test_with_a_linear_model_both_attacks_end_at_the_same_place():
    with seeded(1):
        network, x = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), 0.5 + 0.1 * torch.randn(6, 1, 4, 4)
    y = network(x).argmax(1)
    found = [margin_loss(network(one), y) for one in (second_order_attack(network, x, y, radius=0.2, noise=0.1, steps=200),
                                                      pgd(network, x, y, radius=0.2, norm=2, steps=200))]
    slope = network[1].weight[1] - network[1].weight[0]
    known = margin_loss(network(x), y) + 0.2 * slope.norm()  # along the slope to the edge of the ball
    torch.testing.assert_close(found[0], known, rtol=0, atol=2e-3)
    torch.testing.assert_close(found[1], known, rtol=0, atol=2e-3)


def test_where_the_gradient_is_0_it_goes_along_the_leading_eigenvector():
    with seeded(2):
        basis, _ = torch.linalg.qr(torch.randn(9, 9))
    hessian = basis @ torch.diag(torch.tensor([5.0, 2.0, 1.5, 1, 1, 0.5, 0.2, 0.1, 0.1])) @ basis.T
    x = torch.full((20, 1, 3, 3), 0.5)
    found = second_order_attack(Bowl(hessian, 0.5), x, torch.ones(20).long(), radius=0.3, noise=0.01, draws=20, steps=30, step_size=0.3)
    direction = (found - x).flatten(1) / 0.3
    torch.testing.assert_close((direction @ basis[:, 0]).abs(), torch.ones(20), rtol=0, atol=5e-3)


def test_the_direction_is_the_slope_of_the_loss_smoothed_by_the_noise():
    """Where the loss is a step, seen from one point it is flat; under noise e its mean is Phi(a'x / |a| e), which falls along -a."""

    class Steps(nn.Module):
        def forward(self, x):
            value = (8 * (x.flatten(1) @ torch.tensor([3.0, -4.0]) / 5)).tanh() * 3
            return torch.stack((value, -value), 1)

    x, y = torch.tensor([[0.9, 0.1], [0.8, 0.2]])[:, None, None], torch.tensor([0, 0])
    gradient = paper._around(Steps(), x, y, noise=0.3, draws=4000, rng=torch.Generator().manual_seed(0)).flatten(1)
    direction = gradient / gradient.norm(dim=1, keepdim=True)
    torch.testing.assert_close(direction, torch.tensor([[-0.6, 0.8]]).expand(2, 2), rtol=0, atol=1e-4)
    rng, shift = torch.Generator().manual_seed(1), 0.02 * torch.tensor([-0.6, 0.8])
    noise = 0.3 * torch.randn(200_000, 2, generator=rng)
    high, low = (F.cross_entropy(Steps()(x[0, 0] + noise + sign * shift), torch.zeros(200_000).long()) for sign in (1, -1))
    torch.testing.assert_close(gradient[0].norm(), (high - low) / 0.04, rtol=0.1, atol=0)


@pytest.mark.parametrize(("norm", "radius"), [(2, 0.7), (math.inf, 0.1)])
def test_the_attack_stays_in_ball_and_box_and_leaves_the_model_as_it_was(norm, radius):
    (x, y), network = images(seed=3), nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 3)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = second_order_attack(network, x, y, radius=radius, norm=norm, noise=0.2, draws=3, steps=5, restarts=2)
    assert torch.linalg.vector_norm((found - x).flatten(1).double(), norm, dim=1).max() <= radius
    assert 0 <= found.min() <= found.max() <= 1
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(one.grad is None for one in network.parameters())
    assert torch.equal(found, second_order_attack(network, x, y, radius=radius, norm=norm, noise=0.2, draws=3, steps=5, restarts=2))


def test_training_in_one_norm_is_adversarial_training_bit_for_bit():
    (x, y), network = images(40), small_cnn((1, 4, 4), 3, seed=1, width=3, hidden=6)
    setting = {"attack_steps": 3, "batch_size": 16, "warm_up": 0.4, "learning_rate": 1e-2, "seed": 2}
    for norm in (2, math.inf):
        known = AdversarialTraining(network, radius=0.2, norm=norm, **setting).fit(x, y, steps=9).network
        assert torch.equal(weights(MultiNormTraining(network, {norm: 0.2}, **setting).fit(x, y, steps=9).network), weights(known))


def test_in_two_norms_each_half_of_a_minibatch_is_attacked_in_its_own():
    (x, y), shown = images(10), []

    class Watched(nn.Linear):
        def forward(self, x):
            shown.append(x.detach().clone()) if self.training else None
            return super().forward(x.flatten(1))

    with seeded(3):
        network = Watched(16, 3)
    MultiNormTraining(network, {math.inf: 0.1, 2: 0.5}, batch_size=10).fit(x, y, steps=1)
    rows = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(0)
    known = [climbed(network, x[part], y[part], radius=radius, norm=norm, steps=10, rng=rng)
             for part, radius, norm in ((rows[:5], 0.1, math.inf), (rows[5:], 0.5, 2))]
    assert torch.equal(shown[0], torch.cat(known))


def test_wrong_numbers_are_refused():
    (x, y), network = images(), small_cnn((1, 4, 4), 3, seed=1, width=3, hidden=6)
    for wrong in ({"noise": -1.0}, {"draws": 0}, {"steps": 0}, {"radius": -1.0}, {"norm": 3}):
        with pytest.raises(ValueError, match="expected"):
            second_order_attack(network, x, y, **wrong)
    for wrong in ({}, {3: 1.0}, {2: -1.0}):
        with pytest.raises(ValueError, match="expected radii"):
            MultiNormTraining(network, wrong).fit(x, y, steps=1)
    with pytest.raises(NotFitted):
        MultiNormTraining(network, {2: 1.0}).predict(x)
