"""The maximum mean discrepancy of samples: its double sum, its limits, and that few samples see support and not density."""

import math

import pytest
import torch

from bakeoff.parts.discrepancy import mmd


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kernel", ["laplacian", "gaussian"])
def test_it_is_the_double_sum_of_the_kernel(kernel):
    x, y, sigma = draws(3, 4, 2), draws(3, 6, 2, seed=1) + 1, 1.5

    def k(one, other):
        distance = sum(abs(a - b) if kernel == "laplacian" else (a - b) ** 2 for a, b in zip(one, other, strict=True))
        return math.exp(-distance / (2 * sigma))

    def mean(ones, others):
        return sum(k(one, other) for one in ones for other in others) / (len(ones) * len(others))

    known = [mean(a, a) - 2 * mean(a, b) + mean(b, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    torch.testing.assert_close(mmd(x, y, sigma, kernel), torch.tensor(known))


@pytest.mark.parametrize("kernel", ["laplacian", "gaussian"])
def test_equal_sets_have_none_and_unequal_ones_some_in_either_order(kernel):
    x, y = draws(20, 5, 3), draws(20, 5, 3, seed=1)
    assert mmd(x, x[:, torch.tensor([3, 0, 4, 1, 2])], 1.0, kernel).abs().max() < 1e-6
    assert (mmd(x, y, 1.0, kernel) > 0).all()
    torch.testing.assert_close(mmd(x, y, 1.0, kernel), mmd(y, x, 1.0, kernel))


def test_few_samples_see_that_the_support_is_left_and_hardly_that_the_density_differs():
    wide = draws(4000, 5, 1)
    narrow, beside = 0.3 * draws(4000, 5, 1, seed=1), 2.5 + draws(4000, 5, 1, seed=2)
    inside, outside = (mmd(wide, other, 20.0).mean().item() for other in (narrow, beside))
    assert 3 * inside < outside
    # the KL divergence of the same Gaussians ranks them the other way round
    matched, left = ((math.log(s) + (1 + m**2) / (2 * s**2) - 0.5) for m, s in ((0.0, 0.3), (2.5, 1.0)))
    assert matched > left


def test_an_unknown_kernel_is_told():
    with pytest.raises(ValueError, match="cauchy"):
        mmd(draws(1, 2, 1), draws(1, 2, 1), kernel="cauchy")
