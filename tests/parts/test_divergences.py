"""Divergences: the primal KL against its closed form, the dual forms against known distances that they may reach and not pass."""

import pytest
import torch

from bakeoff.parts.divergences import dual_kl, dual_wasserstein, primal_kl, steepness
from bakeoff.parts.mlp import Critics
from bakeoff.parts.seeding import seeded

NORMAL = torch.distributions.Normal


def gaussian(mean, deviation):
    """A Gaussian of two actions at one state, as mean and log deviation (1, 2)."""
    return torch.tensor([mean]), torch.tensor([deviation]).log()


def drawn(pair, count, rng):
    return pair[0][:, None] + pair[1].exp()[:, None] * torch.randn(1, count, 2, generator=rng)


def closed(one, other):
    return torch.distributions.kl_divergence(NORMAL(one[0], one[1].exp()), NORMAL(other[0], other[1].exp())).sum(-1)


def test_the_primal_kl_is_the_closed_form_of_two_gaussians_and_nothing_for_equal_ones():
    one, other = gaussian([0.3, -0.2], [0.5, 1.2]), gaussian([-0.1, 0.4], [0.8, 0.7])
    raw = drawn(one, 200_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(primal_kl(raw, one, other), closed(one, other), atol=0.01, rtol=0)
    assert primal_kl(raw, one, one).item() == 0


def test_the_primal_kl_of_squashed_gaussians_is_that_of_their_densities_over_actions():
    one, other = gaussian([0.3, -0.2], [0.5, 1.2]), gaussian([-0.1, 0.4], [0.8, 0.7])
    raw = drawn(one, 50, torch.Generator().manual_seed(0)).double()
    squash = torch.distributions.TanhTransform()
    densities = [torch.distributions.TransformedDistribution(NORMAL(mean.double(), deviation.exp().double()), squash)
                 for mean, deviation in (one, other)]
    ours, theirs = (density.log_prob(raw.tanh()).sum(-1).mean(1) for density in densities)
    torch.testing.assert_close(primal_kl(raw, one, other).float(), (ours - theirs).float(), atol=1e-4, rtol=1e-4)


def test_the_gradient_of_the_primal_kl_is_that_of_the_closed_form():
    other = gaussian([-0.1, 0.4], [0.8, 0.7])
    found, known = (tuple(one.requires_grad_() for one in gaussian([0.3, -0.2], [0.5, 1.2])) for _ in range(2))
    primal_kl(drawn(found, 400_000, torch.Generator().manual_seed(0)), found, other).sum().backward()
    closed(known, other).sum().backward()
    for one, two in zip(found, known, strict=True):
        torch.testing.assert_close(one.grad, two.grad, atol=0.02, rtol=0)


def test_the_dual_kl_reaches_the_closed_form_at_the_ratio_of_densities_and_stays_below_it_elsewhere():
    one, other = gaussian([0.3, -0.2], [0.5, 0.6]), gaussian([-0.1, 0.4], [0.8, 0.7])
    rng = torch.Generator().manual_seed(0)
    at = drawn(one, 400_000, rng), drawn(other, 400_000, rng)

    def value(factor):
        """The dual form where softplus(g) is the ratio of densities to a power: 1 is the best witness."""
        ratios = [(factor * (NORMAL(one[0], one[1].exp()).log_prob(x) - NORMAL(other[0], other[1].exp()).log_prob(x)).sum(-1)).exp()
                  for x in at]
        return dual_kl(*(ratio.double().expm1().log() for ratio in ratios)).item()

    truth = closed(one, other).item()
    assert value(1.0) == pytest.approx(truth, abs=0.01)
    for factor in (0.0, 0.5, 0.8, 1.2):
        assert value(factor) < truth - 0.01
    assert value(0.0) == pytest.approx(0, abs=1e-6)


def learned(divergence, one, other, weight, steps=400):
    """A witness taught as the paper does, and its estimate on fresh draws."""
    rng, nowhere = torch.Generator().manual_seed(0), torch.zeros(1, 512, 1)
    with seeded(0):
        witness = Critics(1, 2, (32, 32), count=1)
    optimizer = torch.optim.Adam(witness.parameters(), 3e-3, fused=True)
    for _ in range(steps):
        at = drawn(one, 512, rng), drawn(other, 512, rng)
        reached = divergence(*(witness(nowhere, x) for x in at)).mean()
        loss = weight * steepness(witness, nowhere, *at, rng).mean() - reached
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    many = torch.zeros(1, 20_000, 1)
    with torch.no_grad():
        return divergence(*(witness(many, drawn(pair, 20_000, rng)) for pair in (one, other))).item()


def test_a_learned_witness_brings_the_dual_kl_to_the_closed_form_and_not_above():
    one, other = gaussian([0.3, 0.0], [0.6, 0.7]), gaussian([-0.2, 0.1], [0.7, 0.7])
    truth = closed(one, other).item()
    assert 0.85 * truth < learned(dual_kl, one, other, weight=0.0) < truth + 0.03


def test_a_learned_witness_of_slope_one_measures_how_far_two_points_and_two_shifted_gaussians_are_apart():
    points = gaussian([0.6, 0.0], [1e-6, 1e-6]), gaussian([-0.2, 0.6], [1e-6, 1e-6])  # 1 apart
    assert learned(dual_wasserstein, *points, weight=100.0) == pytest.approx(1.0, abs=0.05)
    shifted = gaussian([0.6, 0.0], [0.3, 0.3]), gaussian([-0.2, 0.6], [0.3, 0.3])
    assert learned(dual_wasserstein, *shifted, weight=100.0) == pytest.approx(1.0, abs=0.08)


def test_only_slopes_above_one_are_penalised_and_by_the_square_of_what_is_above():
    ends = torch.zeros(5, 2), torch.ones(5, 2)
    for slope, expected in ((0.5, 0.0), (1.0, 0.0), (3.0, (3 * 2 ** 0.5 - 1) ** 2)):
        found = steepness(lambda _, action, slope=slope: slope * action.sum(-1) / (2 ** 0.5 if slope == 1 else 1), ends[0], *ends,
                          torch.Generator().manual_seed(0))
        torch.testing.assert_close(found, torch.full((5,), expected), atol=1e-5, rtol=1e-5)
