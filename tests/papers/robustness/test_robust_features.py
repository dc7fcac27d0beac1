"""Data sets of one sort of feature: closed forms for linear nets, targets that tell nothing, and the arms' equal lengths."""

import numpy as np
import pytest
import torch
from torch import nn

from bakeoff.papers.robustness import robust_features as paper
from bakeoff.papers.robustness.robust_features import nonrobust_dataset, robust_dataset
from bakeoff.parts.small_cnn import small_cnn


def pictures(count, seed=0, side=8):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, side, side, generator=rng), torch.randint(10, (count,), generator=rng)


def linear(weight):
    network = nn.Sequential(nn.Flatten(), nn.Linear(weight.shape[1], weight.shape[0], bias=False))
    network[1].weight.data.copy_(weight)
    return network


def test_changes_stay_within_the_radius_and_bring_the_target_nearer():
    images, labels = pictures(60)
    network = small_cnn((1, 8, 8), 10, seed=0)
    for mode in ("random", "shifted"):
        changed, targets = nonrobust_dataset(network, images, labels, 0.5, mode, steps=10)
        assert float((changed - images).flatten(1).norm(dim=1).max()) <= 0.5
        assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
        with torch.no_grad():
            before, after = (network(x).log_softmax(1).gather(1, targets[:, None]) for x in (images, changed))
        assert bool((after > before).all())


def test_a_linear_net_of_two_classes_is_followed_straight_to_the_edge():
    images, weight = 0.4 + 0.2 * pictures(20)[0], torch.randn(2, 64, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(20) % 2
    changed, targets = nonrobust_dataset(linear(weight), images, labels, 0.5, "shifted", steps=7)
    straight = (weight[1] - weight[0]) / (weight[1] - weight[0]).norm() * 0.5
    known = torch.where((targets == 1)[:, None], straight, -straight)
    torch.testing.assert_close((changed - images).flatten(1), known, atol=1e-4, rtol=1e-3)


def test_random_targets_tell_nothing_of_labels_and_shifted_ones_the_next():
    _, labels = pictures(20_000)
    images, network = torch.full((20_000, 1, 1, 1), 0.5), linear(torch.zeros(10, 1))
    _, targets = nonrobust_dataset(network, images, labels, 0.0, "random", steps=1, batch=20_000, seed=3)
    together = torch.zeros(10, 10).index_put_((labels, targets), torch.tensor(1.0), accumulate=True) / 20_000
    information = float((together * (together / (together.sum(1, keepdim=True) * together.sum(0))).log()).sum())
    assert information < 0.004  # 81 / 40,000 = 0.002 is expected of independent draws
    _, shifted = nonrobust_dataset(network, images, labels, 0.0, "shifted", steps=1, batch=20_000)
    assert torch.equal(shifted, (labels + 1) % 10)


def test_an_image_that_is_its_own_start_stays():
    images, _ = pictures(12)
    network = small_cnn((1, 8, 8), 10, seed=0)
    assert torch.equal(robust_dataset(network[:-1], images, starts=images, steps=5), images)


def test_a_linear_representation_is_met_by_the_shortest_way_from_the_start():
    images, starts = (0.45 + 0.1 * pictures(10, seed)[0] for seed in (0, 1))
    rows = torch.linalg.qr(torch.randn(64, 3, generator=torch.Generator().manual_seed(2))).Q.T
    with torch.no_grad():  # it needs gradients whatever surrounds it
        made = robust_dataset(lambda x: x.flatten(1) @ rows.T, images, starts=starts, steps=400, step_size=0.002)
    known = starts.flatten(1) + (images - starts).flatten(1) @ rows.T @ rows
    np.testing.assert_allclose(made.flatten(1), known, atol=0.004)
    assert float((images.flatten(1) - known).abs().max()) > 0.05


def test_the_controls_noise_is_as_long_as_the_radius_also_at_the_edge():
    images = torch.cat((torch.zeros(5, 1, 8, 8), torch.ones(5, 1, 8, 8), pictures(5)[0]))
    moved = paper.noisy(images, 0.75, seed=0)
    np.testing.assert_allclose((moved - images).flatten(1).norm(dim=1), 0.75, rtol=1e-3)
    assert 0 <= float(moved.min()) <= float(moved.max()) <= 1


def test_an_unknown_mode_and_unfitting_starts_are_refused():
    images, labels = pictures(4)
    with pytest.raises(ValueError, match="'random' or 'shifted'"):
        nonrobust_dataset(linear(torch.zeros(2, 64)), images, labels, 0.5, "next")
    with pytest.raises(ValueError, match="one start each"):
        robust_dataset(lambda x: x, images, starts=images[:2])
    for wrong in (255 * images, images.clone().fill_(torch.nan)):
        with pytest.raises(ValueError, match="divide bytes by 255"):
            robust_dataset(lambda x: x, wrong)
