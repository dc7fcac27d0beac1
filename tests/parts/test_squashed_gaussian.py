"""The density of a squashed Gaussian: it is one, torch's own agrees, and it holds out where tanh rounds to 1."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from bakeoff.parts.seeding import seeded
from bakeoff.parts.squashed_gaussian import SquashedGaussian


def policy(actions=1, hidden=(8,), **options) -> SquashedGaussian:
    with seeded(3):
        return SquashedGaussian(2, actions, hidden, **options)


def fixed(mean: float, deviation: float, **options) -> SquashedGaussian:
    """One action, the same at every observation; `deviation` is log sigma before it is cut."""
    one = policy(hidden=(), **options)
    with torch.no_grad():
        one.network[0].weight.zero_()
        one.network[0].bias.copy_(torch.tensor([mean, deviation]))
    return one


@pytest.mark.parametrize(("mean", "log_deviation"), [(0.0, 0.0), (1.0, -1.0), (-0.5, 0.7)])
def test_the_density_integrates_to_one(mean, log_deviation):
    edges = torch.linspace(-1, 1, 200_001, dtype=torch.float64)
    middles = ((edges[1:] + edges[:-1]) / 2).float()[:, None]
    density = fixed(mean, log_deviation).log_density(torch.zeros(1, 2), middles).exp()
    assert density.double().sum().item() * 1e-5 == pytest.approx(1, abs=2e-3)


def test_torchs_transformed_distribution_has_the_same_density_and_the_same_draws():
    one, x = policy(3).double(), torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean, log_deviation = one.gaussian(x)
    theirs = TransformedDistribution(Independent(Normal(mean, log_deviation.exp()), 1), TanhTransform())
    raw, action, log_density = one.sample_raw(x, torch.Generator().manual_seed(1))
    noise = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(action, torch.tanh(mean + log_deviation.exp() * noise))
    torch.testing.assert_close(raw.tanh(), action)
    torch.testing.assert_close(log_density, theirs.log_prob(action), rtol=1e-5, atol=1e-5)
    inside = (action.abs() < 1 - 1e-6).all(1)  # a bound has no density
    assert inside.sum() > 45
    torch.testing.assert_close(one.log_density(x, action)[inside], log_density[inside], rtol=1e-5, atol=1e-5)


def test_where_tanh_rounds_to_one_density_and_gradient_stay_what_they_are():
    one = fixed(30.0, 0.0)
    raw, action, log_density = one.sample_raw(torch.zeros(100, 2), torch.Generator().manual_seed(0))
    assert (action == 1).all()
    expected = Normal(30.0, 1.0).log_prob(raw)[:, 0] - (2 * math.log(2) - 2 * raw[:, 0])  # 1 - tanh(u)^2 -> 4 exp(-2 u)
    torch.testing.assert_close(log_density, expected)
    log_density.mean().backward()
    assert one.network[0].bias.grad.tolist() == pytest.approx([2, -1 + 2 * (raw.mean().item() - 30)], abs=1e-4)
    assert torch.isfinite(one.log_density(torch.zeros(2, 2), torch.tensor([[1.0], [-1.0]]))).all()


def test_several_draws_at_an_observation_are_as_many_with_the_observation_repeated():
    one, x = policy(2), torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    action, log_density = one.sample(x, torch.Generator().manual_seed(1), count=7)
    repeated = one.sample(x[:, None].expand(-1, 7, -1), torch.Generator().manual_seed(1))
    torch.testing.assert_close(action, repeated[0])
    torch.testing.assert_close(log_density, repeated[1])
    torch.testing.assert_close(one.log_density(x[:, None], action), log_density, rtol=1e-4, atol=1e-4)


def test_the_deviation_stays_in_its_bounds_and_the_mean_is_squashed():
    x = torch.zeros(1, 2)
    assert fixed(0.5, -9.0, log_deviation=(-5.0, 2.0)).gaussian(x)[1].item() == -5
    assert fixed(0.5, 9.0).gaussian(x)[1].item() == 2
    assert fixed(0.5, 9.0).mean(x).item() == pytest.approx(np.tanh(0.5))
