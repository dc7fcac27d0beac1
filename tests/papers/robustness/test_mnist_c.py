"""The fifteen corruptions against what their released procedures give where no chance is involved, and against their statistics."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from bakeoff.papers.robustness import mnist_c as paper
from bakeoff.papers.robustness.mnist_c import NAMES, corrupt, mean_corruption_error


def digits(count=4, side=28):
    """Soft blobs: something like digits, without a file."""
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(count, 1, side, side, generator=rng).numpy()
    soft = ndimage.gaussian_filter(noise, (0, 0, 2, 2))
    return torch.tensor((soft / abs(soft).max((1, 2, 3), keepdims=True) * 1.5).clip(0, 1))


def test_there_are_fifteen_each_repeatable_in_range_and_different_from_the_image():
    images = digits()
    before = images.clone()
    assert len(NAMES) == 15
    for name in NAMES:
        found = corrupt(images, name, seed=1)
        assert found.shape == images.shape
        assert 0 <= float(found.min()) <= float(found.max()) <= 1
        assert torch.equal(found, corrupt(images, name, seed=1))
        assert not torch.equal(found, images)
    assert torch.equal(corrupt(images, "identity"), images)
    assert torch.equal(images, before)


def test_noise_is_three_photons_for_white_and_a_sixth_of_salt_and_pepper():
    even = torch.full((30, 1, 28, 28), 1 / 3)
    photons = corrupt(even, "shot_noise")
    assert {round(3 * float(value), 4) for value in photons.unique()} == {0, 1, 2, 3}
    assert float((photons == 0).float().mean()) == pytest.approx(np.exp(-1), abs=0.01)
    impulses = corrupt(even, "impulse_noise")
    assert float((impulses == 0).float().mean()) == pytest.approx(0.085, abs=0.006)
    assert float((impulses == 1).float().mean()) == pytest.approx(0.085, abs=0.006)


def test_affine_corruptions_are_the_identity_at_strength_zero(monkeypatch):
    images = digits()
    for name, nothing in (("shear", 0.0), ("rotate", 0.0), ("scale", 1.0), ("translate", 0.0)):
        monkeypatch.setitem(paper.LEVELS, name, (((nothing,),) * 5, 1))
        torch.testing.assert_close(corrupt(images, name), images, atol=2e-6, rtol=0)


def test_affine_corruptions_are_scipys_about_the_middle_either_way():
    images = digits(6)
    shear = np.array([[np.cos(0.4), 0], [-np.sin(0.4), 1]])  # rows before columns
    turn = np.array([[np.cos(0.4), np.sin(0.4)], [-np.sin(0.4), np.cos(0.4)]])
    other_shear = [[shear[0, 0], 0], [-shear[1, 0], 1]]
    for name, one, other in (("shear", shear, other_shear), ("rotate", turn, turn.T), ("scale", np.eye(2) / 0.7, None)):
        seen = set()
        for image, found in zip(images[:, 0].numpy(), corrupt(images, name)[:, 0].numpy(), strict=True):
            errors = [np.abs(ndimage.affine_transform(image, matrix, 13.5 - np.array(matrix) @ [13.5, 13.5], order=1, mode="grid-constant")
                             - found).max() for matrix in (one, other) if matrix is not None]
            seen.add(int(np.argmin(errors)))
            assert min(errors) < 1e-5
        assert seen == {0, 1} - ({1} if other is None else set())


def test_translation_moves_by_three_pixels_in_rows_and_columns():
    images = torch.zeros(20, 1, 28, 28)
    images[:, 0, 14, 14] = 1
    places = {tuple(place) for place in corrupt(images, "translate").round(decimals=4).nonzero()[:, 2:].tolist()}
    assert places == {(11, 11), (11, 17), (17, 11), (17, 17)}


def test_stripes_and_brightness_are_exact():
    images = digits()
    striped = corrupt(images, "stripe")
    assert torch.equal(striped[..., 7:21], images[..., 7:21])
    assert torch.equal(striped[..., :7], 1 - images[..., :7])
    assert torch.equal(striped[..., 21:], 1 - images[..., 21:])
    assert torch.equal(corrupt(images, "brightness"), (images + 0.5).clamp(max=1))


def test_fog_keeps_the_range_of_each_image_and_hides_it_behind_three_parts_of_cloud():
    def sky(images):
        top = images.amax((1, 2, 3), keepdim=True)
        return (corrupt(images, "fog", seed=5) * (top + 3) / top - images) / 3

    seen = sky(0.8 * digits())
    assert -1e-5 <= float(seen.min()) < float(seen.max()) <= 1 + 1e-5
    torch.testing.assert_close(seen, sky(torch.full((4, 1, 28, 28), 0.3)), atol=1e-5, rtol=0)


def test_lines_are_dotted_in_twos_and_as_thick_as_their_decay_says():
    found = corrupt(torch.zeros(200, 1, 28, 28), "dotted_line")[:, 0]
    seen = found.amax((0, 1)) > 0
    assert seen.tolist() == [column // 2 % 2 == 1 and column < 27 for column in range(28)]
    flat = paper._line(torch.zeros(1, 1, 28, 28), *(torch.tensor([end]) for end in (0.0, 10.0, 27.0, 10.0)))[0, 0, :, 5]
    np.testing.assert_allclose(flat[8:13], [0, 1 + np.log(1 - 1 / 2.3), 1, 1 + np.log(1 - 1 / 2.3), 0], atol=1e-6)


def test_a_zigzag_has_six_teeth_of_two_pixels():
    found = corrupt(torch.zeros(300, 1, 28, 28), "zigzag", seed=2)[:, 0]
    brightest = found.argmax(1)[(found.amax(1) > 0.9).sum(1) == 23]  # (M, 28) rows of those that the edge leaves whole
    assert len(brightest) > 20
    path = brightest[:, 2:25].double()
    slope = (path[:, -1] - path[:, 0]) / 22
    height = (path - path[:, :1] - slope[:, None] * torch.arange(23)).mean(0)
    turns = [column for column in range(1, 22) if (height[column] - height[column - 1]) * (height[column + 1] - height[column]) < 0]
    assert turns == [2, 6, 10, 14, 18]  # the sixth is where the line ends


def test_canny_finds_the_outline_of_a_disc_thin_and_closed():
    axis = torch.arange(28) - 13.3
    away = torch.hypot(axis[:, None], axis)
    edges = corrupt((8.2 - away).clamp(0, 1)[None, None], "canny_edges")[0, 0].bool().numpy()
    assert float((away[edges] - 7.7).abs().max()) < 1.1
    assert ndimage.label(edges, np.ones((3, 3)))[1] == 1
    assert ndimage.binary_fill_holes(edges)[away.numpy() < 7].all()
    assert edges.sum() < 8 * 7.7  # no thicker than the thinnest ring of touching sides
    for sides in ((1, 1), (1, 9), (2, 1)):  # all rim
        assert not corrupt(torch.rand(2, 1, *sides), "canny_edges").any()


def test_mean_corruption_error_is_100_for_the_baseline_and_weighs_each_corruption_alike():
    baseline = {"identity": 0.01, "fog": 0.21, "shear": 0.05}
    assert mean_corruption_error(baseline, baseline) == mean_corruption_error(baseline, baseline, relative=True) == 100
    errors = {"identity": 0.03, "fog": 0.13, "shear": 0.07}
    del_identity = [{name: one for name, one in error.items() if name != "identity"} for error in (errors, baseline)]
    assert mean_corruption_error(*del_identity) == pytest.approx(50 * (0.13 / 0.21 + 0.07 / 0.05))
    assert mean_corruption_error(errors, baseline, relative=True) == pytest.approx(50 * (0.1 / 0.2 + 0.04 / 0.04))
    with pytest.raises(ValueError, match="no error to divide by for fog"):
        mean_corruption_error(errors, baseline | {"fog": 0.0})


@pytest.mark.parametrize(("name", "severity", "said"), [("rain", None, "no corruption is called 'rain'"), ("fog", 0, "1 to 5"),
                                                        ("stripe", 2, "one strength")])
def test_what_there_is_not_is_refused(name, severity, said):
    with pytest.raises(ValueError, match=said):
        corrupt(digits(1), name, severity)
