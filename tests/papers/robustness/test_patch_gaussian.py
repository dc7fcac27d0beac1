"""Squares of noise: where they lie, how much they cover, what their limits are; and the rule that chooses among them."""

import pytest
import torch

from bakeoff.claim import Budget
from bakeoff.data.kinds.images import Images
from bakeoff.papers.robustness import patch_gaussian as paper
from bakeoff.papers.robustness.patch_gaussian import Cutout, PatchGaussian, choose, squares


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(*shape):
    return 0.2 + 0.6 * torch.rand(*shape, generator=generator(1))


def test_outside_one_square_every_pixel_is_bit_identical_and_inside_none_is():
    images = pictures(50, 3, 20, 24)
    noisy = PatchGaussian(7, 1.0)(images, generator())
    changed = (noisy != images).all(1)
    assert torch.equal(changed, (noisy != images).any(1))
    for one in changed:
        rows, columns = one.any(1).nonzero()[:, 0], one.any(0).nonzero()[:, 0]
        for span, length in ((rows, 20), (columns, 24)):
            assert span.tolist() == list(range(span[0], span[-1] + 1))
            assert len(span) == 7 or span[0] == 0 or span[-1] == length - 1
        assert one.sum() == len(rows) * len(columns)


@pytest.mark.parametrize(("side", "height", "width"), [(5, 8, 8), (4, 8, 11), (25, 32, 32)])
def test_the_mean_area_covered_is_that_of_clipped_squares(side, height, width):
    covered = squares(torch.zeros(4000, 1, height, width), side, generator()).float().mean()
    shares = [sum(min(c - side // 2 + side, length) - max(c - side // 2, 0) for c in range(length)) / length ** 2
              for length in (height, width)]
    assert float(covered) == pytest.approx(shares[0] * shares[1], rel=0.03)


def test_a_square_of_twice_the_side_is_gaussian_augmentation_with_a_uniform_scale():
    images = torch.full((20_000, 1, 4, 4), 0.5)
    noise = PatchGaussian(8, 0.1)(images, generator()) - 0.5
    assert float((noise != 0).float().mean()) > 0.999  # the faintest round to nothing
    assert float(noise.var()) == pytest.approx(0.1 ** 2 / 3, rel=0.03)
    spread = noise.flatten(1).std(1)
    assert float(spread.mean()) == pytest.approx(0.05 * 0.9835, rel=0.03)  # the standard deviation of 16 draws falls short by this factor


def test_no_noise_and_no_square_are_the_identity_and_boundless_noise_is_black_and_white():
    images = pictures(4, 1, 8, 8)
    assert torch.equal(PatchGaussian(25, 0.0)(images, generator()), images)
    assert torch.equal(PatchGaussian(0, 1.0)(images, generator()), images)
    assert set(PatchGaussian(16, 1e6)(images, generator()).unique().tolist()) == {0.0, 1.0}


def test_cutout_removes_the_square_that_patch_gaussian_would_blur():
    images = pictures(10, 3, 12, 12)
    cut = Cutout(5, fill=0.5)(images, generator(3))
    assert torch.equal(cut != images, (PatchGaussian(5)(images, generator(3)) != images))
    assert bool((cut[cut != images] == 0.5).all())


def test_the_control_cuts_out_to_the_mean_colour_of_the_training_pixels(monkeypatch):
    x = pictures(20, 3, 8, 8) * torch.tensor([1.0, 0.5, 0.1])[:, None, None]
    train, asked = Images(x.numpy(), torch.arange(20).numpy() % 2, ("dark", "bright")), []
    monkeypatch.setattr(paper, "tuned", lambda train, budget, seed, settings: asked.extend(settings))
    paper.control(train, Budget("smoke", 24), 0)
    for cutout, side in zip(asked[:2], (2, 4), strict=True):
        black = torch.zeros(9, 3, 8, 8)  # a ground that Cutout to black would leave as it is
        cut = cutout(black, generator())
        inside = squares(black, side, generator())
        for channel in range(3):
            torch.testing.assert_close(cut[:, channel][inside[:, 0]], x[:, channel].mean().expand(int(inside.sum())))
        assert torch.equal((cut != 0).any(1, keepdim=True), inside)


def test_the_rule_takes_the_noise_proof_among_the_accurate():
    assert choose([0.91, 0.90, 0.92], [0.3, 0.6, 0.5], 0.90) == 1
    assert choose([0.91, 0.90, 0.92], [0.3, 0.6, 0.5], 0.92) == 2
    assert choose([0.80, 0.85, 0.70], [0.9, 0.1, 0.9], 0.90) == 1


def test_the_tuning_spends_six_shares_and_keeps_the_chosen_network(monkeypatch):
    x = torch.rand(100, 1, 8, 8, generator=generator()).numpy()
    train = Images(x, (x.mean((1, 2, 3)) > 0.5).astype(int), ("dark", "bright"))
    asked = []
    monkeypatch.setattr(paper, "choose", lambda clean, noisy, floor: asked.append((clean, noisy, floor)) or 2)
    budget = Budget("smoke", 24)
    network, _, _, best = paper.treatment(train, budget, 0)
    assert (budget.spent, best, len(asked[0][0]), len(asked[0][1])) == (24, 2, 4, 4)
    assert network(torch.tensor(x)).shape == (100, 2)


@pytest.mark.parametrize("made", [lambda: PatchGaussian(-1), lambda: PatchGaussian(3, -1.0), lambda: Cutout(-2)])
def test_negative_settings_are_refused(made):
    with pytest.raises(ValueError, match="expected 0 or above"):
        made()(pictures(1, 1, 4, 4), generator())
