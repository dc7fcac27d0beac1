"""Corruptions against the statistics, libraries and published constants that they follow."""

import colorsys
import io

import numpy as np
import pytest
import torch
from PIL import Image

from bakeoff.parts.corruptions import EXTRA, KINDS, LEVELS, NAMES, corrupted, levels
from bakeoff.parts.picture_filters import clouds


def pictures(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).cumsum(-1) / shape[-1]


def grey(value, *shape):
    return torch.full(shape, value)


def per_pixel(images, rule):
    rows = images.movedim(1, -1)
    return torch.tensor([rule(*pixel) for pixel in rows.reshape(-1, 3).tolist()]).view(rows.shape).movedim(-1, 1)


@pytest.mark.parametrize("name", NAMES + EXTRA)
@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 20, 35)])
def test_every_corruption_is_repeatable_in_range_and_leaves_its_input_alone(name, shape):
    images = pictures(*shape)
    before = images.clone()
    for severity in range(1, 6):
        found = corrupted(images, name, severity, seed=3)
        assert found.shape == images.shape
        assert 0 <= float(found.min()) <= float(found.max()) <= 1
        assert torch.equal(found, corrupted(images, name, severity, seed=3))
        assert torch.equal(corrupted(images.double(), name, severity, seed=3), found.double())
    assert torch.equal(images, before)
    assert name == "saturate" or not torch.equal(found, images)


def test_the_fifteen_are_sorted_into_noise_blur_weather_and_digital():
    assert [len(names) for names in KINDS.values()] == [3, 4, 4, 4]
    assert {*NAMES, *EXTRA} == set(LEVELS)
    assert not set(NAMES) & set(EXTRA)


def test_the_constants_are_the_published_ones_at_32_and_at_224_pixels():
    assert levels("gaussian_noise", 3, 32) == (0.08,)
    assert levels("gaussian_noise", 3, 224) == pytest.approx((0.18,))
    assert levels("motion_blur", 5, 32) == (9, 2.5)
    assert levels("motion_blur", 5, 500) == pytest.approx((20, 15))
    assert levels("fog", 2, 8) == (0.5, 3)


@pytest.mark.parametrize("severity", range(1, 6))
def test_noises_have_the_variance_of_their_level(severity):
    (deviation,), (photons,), (speckle,) = (levels(name, severity, 32) for name in ("gaussian_noise", "shot_noise", "speckle_noise"))
    for name, variance in (("gaussian_noise", deviation ** 2), ("shot_noise", 0.4 / photons), ("speckle_noise", (0.4 * speckle) ** 2)):
        noisy = corrupted(grey(0.4, 40, 3, 32, 32), name, severity)
        assert float(noisy.mean()) == pytest.approx(0.4, abs=2e-3)
        assert float(noisy.var()) == pytest.approx(variance, rel=0.03)


def test_impulses_turn_their_share_of_the_numbers_half_black_half_white():
    noisy = corrupted(grey(0.4, 40, 3, 32, 32), "impulse_noise", 5)
    assert float((noisy == 0).float().mean()) == pytest.approx(0.035, abs=0.003)
    assert float((noisy == 1).float().mean()) == pytest.approx(0.035, abs=0.003)
    assert float((noisy == 0.4).float().mean()) == pytest.approx(0.93, abs=0.005)


@pytest.mark.parametrize("name", ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "gaussian_blur", "elastic_transform",
                                  "pixelate", "contrast"])
def test_blurs_and_warps_leave_an_even_picture_even(name):
    for side in (8, 28, 40):
        torch.testing.assert_close(corrupted(grey(0.3, 2, 3, side, side), name, 5), grey(0.3, 2, 3, side, side), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("glass_blur", "elastic_transform")])
@pytest.mark.parametrize("side", [28, 64])
def test_severity_five_does_more_than_severity_one(name, side):
    images = clouds(24, side, side, 1.5, torch.Generator().manual_seed(0)).view(8, 3, side, side)
    mild, strong = ((corrupted(images, name, severity) - images).abs().mean() for severity in (1, 5))
    assert strong > 1.1 * mild > 0


def test_brightness_and_saturation_change_value_and_saturation_alone():
    images = pictures(1, 3, 8, 8)
    added, = levels("brightness", 4, 32)
    factor, more = levels("saturate", 5, 32)

    def brighter(*pixel):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        return colorsys.hsv_to_rgb(hue, saturation, min(1, value + added))

    def stronger(*pixel):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        return colorsys.hsv_to_rgb(hue, min(1, factor * saturation + more), value)

    torch.testing.assert_close(corrupted(images, "brightness", 4), per_pixel(images, brighter))
    torch.testing.assert_close(corrupted(images, "saturate", 5), per_pixel(images, stronger))


@pytest.mark.parametrize("side", [32, 44, 224])
def test_pixels_and_jpeg_are_pillows(side):
    picture = (pictures(1, 3, side, side) * 255).byte()
    image, images = Image.fromarray(picture[0].movedim(0, -1).numpy()), picture.float() / 255
    few = int(side * levels("pixelate", 5, side)[0])
    coarse = np.asarray(image.resize((few, few), Image.Resampling.BOX).resize((side, side), Image.Resampling.NEAREST)) / 255
    np.testing.assert_allclose(corrupted(images, "pixelate", 5)[0].movedim(0, -1), coarse, atol=1.01 / 255)  # it rounds twice
    file = io.BytesIO()
    image.save(file, "JPEG", quality=round(levels("jpeg_compression", 5, side)[0]))
    np.testing.assert_allclose(corrupted(images, "jpeg_compression", 5)[0].movedim(0, -1), np.asarray(Image.open(file)) / 255, atol=1e-6)


def test_a_long_batch_is_cut_into_blocks_without_repeating_their_chance():
    images = grey(0.5, 1500, 1, 28, 28)  # more than two blocks
    noise = corrupted(images, "gaussian_noise", 3)
    assert len(noise) == 1500
    assert len(noise.flatten(1).unique(dim=0)) == 1500


@pytest.mark.parametrize(("images", "name", "severity", "said"), [
    (grey(0.5, 1, 1, 8, 8), "rain", 1, "no corruption is called 'rain'"),
    (grey(0.5, 1, 1, 8, 8), "fog", 6, "severity 6"),
    (grey(0.5, 1, 8, 8), "fog", 1, "(N, 1 or 3, H, W)"),
    (grey(0.5, 1, 2, 8, 8), "fog", 1, "(N, 1 or 3, H, W)"),
    (torch.ones(1, 1, 8, 8, dtype=torch.long), "fog", 1, "floats"),
    (grey(255.0, 1, 1, 8, 8), "fog", 1, "divide bytes by 255"),
    (grey(float("nan"), 1, 1, 8, 8), "fog", 1, "must lie in"),
])
def test_what_cannot_be_corrupted_is_refused_with_the_reason(images, name, severity, said):
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is compared below
        corrupted(images, name, severity)
    assert said in str(raised.value)


@pytest.mark.parametrize("name", NAMES + EXTRA)
def test_an_empty_batch_is_given_back_and_a_single_pixel_is_a_picture(name):
    assert corrupted(torch.zeros(0, 3, 8, 8), name, 5).shape == (0, 3, 8, 8)
    for sides in ((1, 1), (1, 9)):
        found = corrupted(grey(0.3, 2, 3, *sides), name, 3)
        assert found.shape == (2, 3, *sides)
        assert bool(found.isfinite().all())


def test_pixels_kept_are_counted_without_the_error_of_floats(monkeypatch):
    monkeypatch.setitem(LEVELS, "pixelate", ((0.29,) * 5, (0.29,) * 5))
    columns = torch.arange(100.0).expand(1, 1, 100, 100) / 100
    assert len(corrupted(columns, "pixelate", 1)[0, 0, 0].unique()) == 29
