"""Distances predicted from noise and found by attacks, against linear classifiers whose truth is known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from bakeoff.data.kinds.images import Images
from bakeoff.papers.robustness import corruption_robustness as paper
from bakeoff.papers.robustness.corruption_robustness import half_space_distance, minimal_l2, noise_error_rate
from bakeoff.parts.seeding import seeded

FREE = (-math.inf, math.inf)


def linear(*weights):
    """Class 1 where the weighted sum of the pixels is above 0."""
    model = nn.Linear(len(weights), 2, bias=False)
    model.weight.data = torch.tensor([[-weight for weight in weights], list(weights)])
    return model


def points(count, size):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(0))


def test_the_distance_falls_with_the_error_rate_and_is_zero_at_one_half():
    rates = np.linspace(0.001, 0.999, 50)
    distances = half_space_distance(rates, 0.3)
    assert (np.diff(distances) < 0).all()
    assert half_space_distance(0.5, 0.3) == 0
    assert half_space_distance(0.0, 0.3) == math.inf
    np.testing.assert_allclose(half_space_distance(rates, 0.6), 2 * distances)
    np.testing.assert_allclose(distances[::-1], -distances)


def test_for_a_linear_classifier_prediction_measurement_and_truth_agree():
    x, weights = 0.3 * points(30, 5), (0.6, -0.3, 0.2, 0.5, -0.4)
    exact = x @ torch.tensor(weights) / math.sqrt(0.9)
    y, model = (exact > 0).long(), linear(*weights)
    predicted = half_space_distance(noise_error_rate(model, x, y, 0.4, 20_000).numpy(), 0.4)
    np.testing.assert_allclose(predicted, exact.abs(), atol=0.03)
    np.testing.assert_allclose(minimal_l2(model, x, y, bounds=FREE), exact.abs(), rtol=0.02, atol=1e-4)


def test_scaling_images_and_noise_scales_both_distances_alike():
    x, model = points(10, 3), linear(1.0, 2.0, -2.0)
    y = model(x).argmax(1)
    assert torch.equal(noise_error_rate(model, 7 * x, y, 7 * 0.4, 200), noise_error_rate(model, x, y, 0.4, 200))
    torch.testing.assert_close(minimal_l2(model, 7 * x, y, bounds=FREE, noise=2.1), 7 * minimal_l2(model, x, y, bounds=FREE, noise=0.3),
                               rtol=5e-3, atol=1e-4)


def test_no_noise_that_fools_is_shorter_than_the_smallest_change_found():
    with seeded(0):
        network = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 3))
    x = points(20, 16)
    with torch.no_grad():
        y = network(x).argmax(1)
    found = minimal_l2(network, x, y, bounds=FREE, steps=30)
    rng = torch.Generator().manual_seed(2)
    errors = 0
    for _ in range(200):
        noise = 0.3 * torch.randn(x.shape, generator=rng)
        with torch.no_grad():
            wrong = network(x + noise).argmax(1) != y
        errors += int(wrong.sum())
        assert (noise.norm(dim=1)[wrong] >= found[wrong]).all()
    assert errors > 50


def test_a_classifier_without_gradients_cannot_hide_the_errors_that_noise_meets():
    class Stepped(nn.Module):
        def forward(self, x):
            return torch.stack((-x[:, 0].sign(), x[:, 0].sign()), 1) + 0 * x

    x, y = torch.tensor([[0.1, 0.0], [0.2, 0.5]]), torch.tensor([1, 1])
    assert not torch.autograd.functional.jacobian(Stepped(), x).any()
    found = minimal_l2(Stepped(), x, y, bounds=FREE, noise=0.3, draws=200)
    np.testing.assert_allclose(found, x[:, 0], rtol=0.1)
    assert (found >= x[:, 0]).all()


def test_what_is_wrong_already_is_at_distance_zero_and_what_never_errs_at_infinity():
    x = torch.tensor([[0.5, 0.5]])
    assert float(minimal_l2(linear(1.0, 1.0), x, torch.tensor([0]))) == 0
    assert float(minimal_l2(linear(1.0, 1.0), x, torch.tensor([1]), bounds=(0.1, 1.0))) == math.inf
    assert float(noise_error_rate(linear(1.0, 1.0), x, torch.tensor([0]), 1e-3, 50)) == 1


def test_correlations_are_of_ranks_and_zero_where_there_is_nothing_to_rank():
    assert paper._correlation(np.array([1.0, 2, 9]), np.array([0.1, 0.2, 0.21])) == pytest.approx(1)
    assert paper._correlation(np.ones(5), np.arange(5)) == 0


@pytest.mark.parametrize("asked", [lambda: half_space_distance(1.2, 0.1), lambda: half_space_distance(0.1, 0.0),
                                   lambda: noise_error_rate(linear(1.0), torch.ones(1, 1), torch.tensor([0]), -1.0),
                                   lambda: minimal_l2(linear(1.0), torch.ones(1), torch.tensor(0))])
def test_what_makes_no_sense_is_refused(asked):
    with pytest.raises(ValueError, match="expected"):
        asked()


def test_a_net_that_says_one_class_for_ever_is_as_far_from_errors_as_the_cube_is_wide():
    always = nn.Sequential(nn.Flatten(), nn.Linear(9, 2))
    always[1].weight.data.zero_()
    always[1].bias.data = torch.tensor([1.0, 0.0])
    test = Images(np.full((10, 1, 3, 3), 0.5), [0] * 8 + [1] * 2, ("a", "b"))
    assert paper.score((always, 10, 20), test)["median minimal L2 change"] == 3


def test_what_is_no_number_and_one_logit_are_refused_and_the_result_has_no_gradient():
    x, y = torch.tensor([[0.5, 0.2]]), torch.tensor([1])
    for model, pixels in ((linear(math.nan, 1.0), x), (nn.Linear(2, 1), x), (linear(1.0, 1.0), x * math.nan)):
        for measure in (lambda model, x: noise_error_rate(model, x, y, 0.1, 5), lambda model, x: minimal_l2(model, x, y)):
            with pytest.raises(ValueError, match="expected"):
                measure(model, pixels)
    assert not minimal_l2(linear(1.0, 1.0), x.requires_grad_(), y).requires_grad
