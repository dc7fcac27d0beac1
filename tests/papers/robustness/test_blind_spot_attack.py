"""The blind-spot attack against nets whose robustness is known, and distances that can be counted by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from bakeoff.papers.robustness import blind_spot_attack as paper
from bakeoff.papers.robustness.blind_spot_attack import blind_spot_attack, manifold_distance
from bakeoff.parts.attacks import cross_entropy, margin_loss, pgd, worst_of
from bakeoff.parts.small_cnn import small_cnn


class Standardised(nn.Module):
    """A net that does not see contrast and brightness: every image is brought to mean 0 and deviation 1 first."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        flat = x.flatten(1).double()
        flat = (flat - flat.mean(1, keepdim=True)) / flat.std(1, keepdim=True)
        return self.network(flat.view(x.shape))


def pictures(count, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, 8, 8, generator=rng), torch.randint(4, (count,), generator=rng)


def test_without_fading_it_is_the_inner_attack_itself():
    images, labels = pictures(40)
    network = small_cnn((1, 8, 8), 4, seed=0)
    attacked, read, success = blind_spot_attack(network, images, labels, scale=1.0, shift=0.0, radius=0.05, steps=10, seed=3)
    known = worst_of(network, images, labels, [pgd(network, images, labels, radius=0.05, steps=10, loss=loss, seed=3)
                                               for loss in (cross_entropy, margin_loss)])
    assert torch.equal(attacked, known)
    with torch.no_grad():
        assert torch.equal(read, network(images).argmax(1) == labels)
        assert torch.equal(success, read & (network(attacked).argmax(1) != labels))


def test_the_change_is_within_the_radius_times_the_contrast():
    images, labels = pictures(40)
    images[:4], images[4:8] = 0, 1
    attacked, _, _ = blind_spot_attack(small_cnn((1, 8, 8), 4, seed=0), images, labels, scale=0.7, shift=0.3, radius=0.3, steps=5)
    faded = (0.7 * images + 0.3).clamp(0, 1)
    assert float((attacked - faded).abs().max()) <= 0.7 * 0.3 + 1e-7
    assert float((attacked - faded).abs().max()) > 0.15
    assert float(attacked.min()) == pytest.approx(0.3)  # black and white, faded, are the bounds
    assert float(attacked.max()) == pytest.approx(1)


def test_fading_gains_nothing_against_a_net_that_does_not_see_contrast():
    """With black and white pixels among them: the attack has the room beside a faded image that it had beside the image."""
    images = (3 * pictures(200)[0].double() - 1).clamp(0, 1)
    network = Standardised(small_cnn((1, 8, 8), 4, seed=1).double())
    with torch.no_grad():
        labels = network(images).argmax(1)

    def rate(scale, shift, **bounds):
        _, read, success = blind_spot_attack(network, images, labels, scale=scale, shift=shift, radius=0.02, steps=20, **bounds)
        assert read.all()
        return float(success.double().mean())

    known = rate(1.0, 0.0)
    assert 0.1 < known < 0.9
    np.testing.assert_allclose([rate(0.7, 0.0), rate(0.7, 0.15), rate(0.7, 0.3), rate(0.2, 0.5)], known, atol=0.006)
    assert rate(0.7, 0.15, bounds=(0.0, 1.0)) > known + 0.1  # room that fading has opened, and no blindness


def test_a_linear_net_loses_exactly_the_images_whose_margin_is_too_small():
    weight = torch.randn(64, generator=torch.Generator().manual_seed(5), dtype=torch.double)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2).double())
    bias = -0.5 * float(weight.sum())
    network[1].weight.data, network[1].bias.data = torch.stack((-weight, weight)) / 2, torch.tensor([-bias, bias]).double() / 2
    images = (0.4 + 0.2 * pictures(300)[0]).double()
    for scale, shift, radius in ((1.0, 0.0, 0.02), (0.7, 0.1, 0.02), (0.5, 0.5, 0.1)):
        margin = (scale * images + shift).flatten(1) @ weight + bias
        labels = torch.ones(300, dtype=torch.long)
        _, read, success = blind_spot_attack(network, images, labels, scale=scale, shift=shift, radius=radius, steps=20)
        assert torch.equal(read, margin > 0)
        assert torch.equal(success, (margin > 0) & (margin < scale * radius * weight.abs().sum()))


def test_distances_are_means_over_the_nearest_of_the_class_and_nothing_for_a_training_image():
    train, labels = pictures(50)
    network = nn.Flatten()
    np.testing.assert_allclose(manifold_distance(network, train, labels, train, labels, k=1), 0)
    test, asked = pictures(9, seed=1)
    known = [np.mean(sorted(math.dist(x.flatten(), z.flatten()) for z in train[labels == label])[:3])
             for x, label in zip(test, asked, strict=True)]
    np.testing.assert_allclose(manifold_distance(network, train, labels, test, asked, k=3), known, rtol=1e-4)
    np.testing.assert_allclose(manifold_distance(lambda x: 3 * x, train, labels, test, asked, k=3), 3 * np.array(known), rtol=1e-4)


def test_the_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 40))
    b += a
    assert paper.rank_correlation(torch.tensor(a), torch.tensor(b)) == pytest.approx(stats.spearmanr(a, b).statistic)


def test_maps_that_leave_the_range_of_pixels_and_classes_without_training_images_are_refused():
    images, labels = pictures(3)
    for scale, shift in ((1.1, 0.0), (0.7, 0.4), (0.0, 0.5), (0.7, -0.1)):
        with pytest.raises(ValueError, match="expected scale in"):
            blind_spot_attack(nn.Flatten(), images, labels, scale=scale, shift=shift)
    with pytest.raises(ValueError, match="expected finite x in"):
        blind_spot_attack(nn.Flatten(), images, labels, scale=0.7, shift=0.15, bounds=(0.3, 1.0))
    with pytest.raises(ValueError, match="every class"):
        manifold_distance(nn.Flatten(), images, torch.tensor([0, 0, 0]), images, torch.tensor([0, 1, 0]))
