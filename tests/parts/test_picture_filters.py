"""Filters against scipy's and against the loops that they replace."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from bakeoff.parts.picture_filters import blurred, clouds, disc, filtered, shuffled, streaked, zoomed


def pictures(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sigma", [0.05, 0.4, 1.0, 3.0])
def test_a_blur_is_scipys_gaussian_filter(sigma):
    images = pictures(2, 3, 17, 12)
    known = ndimage.gaussian_filter(images.double().numpy(), sigma, mode="nearest", truncate=4, axes=(2, 3))
    np.testing.assert_allclose(blurred(images, sigma), known, atol=1e-6)


def test_filtering_is_scipys_correlation_each_image_with_its_own_kernel():
    images, kernels = pictures(3, 2, 9, 14), pictures(3, 5, 5, seed=1)
    known = [[ndimage.correlate(plane, kernel, mode="nearest") for plane in image]
             for image, kernel in zip(images.double().numpy(), kernels.double().numpy(), strict=True)]
    np.testing.assert_allclose(filtered(images, kernels), known, atol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 37.0, 90.0, -110.0])
def test_a_streak_is_the_weighted_sum_of_shifted_images(angle):
    image = pictures(1, 1, 11, 13)
    weights = np.exp(-0.5 * (np.arange(9) / 2.5) ** 2)
    known, turn = 0, math.radians(angle)
    for step, weight in enumerate(weights / weights.sum()):
        shift = -round(step * math.sin(turn)), -round(step * math.cos(turn))
        known = known + weight * ndimage.shift(image[0, 0].double().numpy(), shift, order=0, mode="nearest")
    np.testing.assert_allclose(streaked(image, 4, 2.5, torch.tensor([angle]))[0, 0], known, atol=1e-5)


@pytest.mark.parametrize(("reach", "share"), [(1, 1.0), (2, 1.0), (3, 0.5)])
def test_shuffling_gives_what_swapping_one_by_one_gives(reach, share):
    images, (height, width), rounds = pictures(3, 2, 15, 11), (15, 11), 2
    found = shuffled(images, reach, rounds, torch.Generator().manual_seed(7), share)

    places = [(h, w) for h in range(height - reach, reach, -1) for w in range(width - reach, reach, -1)]
    when = sorted(range(len(places)), key=lambda one: (2 * reach + 1) * (height - places[one][0]) + width - places[one][1])
    rng, known = torch.Generator().manual_seed(7), images.clone()
    for _ in range(rounds):
        shifts = torch.randint(-reach, reach, (2, 3, len(places)), generator=rng)
        if share < 1:
            shifts = shifts * (torch.rand(3, len(places), generator=rng) < share)
        drawn = {places[one]: shifts[:, :, column].T.tolist() for column, one in enumerate(when)}
        for h, w in places:
            for image, (down, right) in zip(known, drawn[h, w], strict=True):
                mine, theirs = image[:, h, w].clone(), image[:, h + down, w + right].clone()
                image[:, h, w], image[:, h + down, w + right] = theirs, mine
    assert torch.equal(found, known)
    assert not torch.equal(found, images)
    small = images[..., :2 * reach]  # no pixel has all its partners
    assert torch.equal(shuffled(small, reach, rounds, torch.Generator(), share), small)


@pytest.mark.parametrize("factor", [1.0, 1.13, 2.0, 4.5])
def test_zooming_is_scipys_zoom_of_the_middle(factor):
    image = pictures(1, 1, 24, 24)
    cut = math.ceil(24 / factor)
    top = (24 - cut) // 2
    large = ndimage.zoom(image[0, 0, top:top + cut, top:top + cut].numpy(), factor, order=1)
    trim = (len(large) - 24) // 2
    np.testing.assert_allclose(zoomed(image, factor)[0, 0], large[trim:trim + 24, trim:trim + 24], atol=1e-5)


def test_a_disc_weighs_one_in_all_and_is_a_disc():
    for radius, softness in ((0.5, 0.5), (3, 0.1), (10, 0.5)):
        assert float(disc(radius, softness).sum()) == pytest.approx(1, abs=1e-5)
    hard = disc(3, 0.1)[0]  # too hard an edge to be smoothed
    assert int((hard > 1e-6).sum()) == sum(x * x + y * y <= 9 for x in range(-3, 4) for y in range(-3, 4))


def test_clouds_reach_from_0_to_1_and_follow_the_means_of_their_neighbours_where_offsets_have_died():
    sky = clouds(4, 16, 16, 1e4, torch.Generator().manual_seed(0))[:, 0]  # only the largest square's offsets are left
    assert torch.equal(sky.amin((1, 2)), torch.zeros(4))
    assert torch.equal(sky.amax((1, 2)), torch.ones(4))
    corners = sky[:, ::2, ::2]
    across = corners + corners.roll(-1, 1)
    torch.testing.assert_close(sky[:, 1::2, 1::2], (across + across.roll(-1, 2)) / 4, atol=1e-4, rtol=0)
    middles = sky[:, 1::2, 1::2]
    torch.testing.assert_close(sky[:, ::2, 1::2], (middles + middles.roll(1, 1) + corners + corners.roll(-1, 2)) / 4, atol=1e-4, rtol=0)


def test_the_faster_the_offsets_decay_the_smoother_the_clouds():
    rough, smooth = (clouds(20, 64, 64, decay, torch.Generator().manual_seed(0)).diff(dim=-1).abs().mean() for decay in (1.2, 2.5))
    assert smooth < rough / 3
