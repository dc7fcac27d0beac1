"""Bytes, NaN and shapes that do not fit are told by what takes pictures without `fit`."""

import pytest
import torch
from torch import nn

from bakeoff.papers.robustness.batch_norm_vulnerability import compare_normalisation, plain_or_normalised
from bakeoff.papers.robustness.blind_spot_attack import blind_spot_attack
from bakeoff.papers.robustness.camera_stickers import CameraSticker
from bakeoff.papers.robustness.caps_attacks import ssim
from bakeoff.papers.robustness.patch_gaussian import PatchGaussian
from bakeoff.papers.robustness.robust_distillation import ard_loss

X, Y = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 1])


def linear(classes: int = 2) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))


def normalisation(x, y):
    return compare_normalisation(lambda kind: plain_or_normalised((1, 8, 8), 2, kind), x, y, steps=1)


@pytest.mark.parametrize("call", [
    lambda x: PatchGaussian(3)(x, torch.Generator()),
    lambda x: CameraSticker(dots=1).fit(linear(), x, 0, 1, calls=10),
    lambda x: blind_spot_attack(linear(), x, Y),
    lambda x: normalisation(x.repeat(4, 1, 1, 1), Y.repeat(4)),
    lambda x: ssim(x, X)])
def test_bytes_and_numbers_that_are_none_are_told(call):
    for wrong in (255 * X, X.where(X.min() < X, torch.nan)):
        with pytest.raises(ValueError, match=r"in \[0, 1\]"):
            call(wrong)


def test_fewer_images_than_a_fifth_can_be_kept_of_are_told():
    with pytest.raises(ValueError, match="five images"):
        normalisation(X, Y)


def test_pictures_are_wholly_like_themselves_and_those_of_another_shape_are_told():
    assert ssim(X.numpy(), X).tolist() == pytest.approx([1.0] * 3)
    with pytest.raises(ValueError, match="one shape"):
        ssim(X, X[:2])


@pytest.mark.parametrize(("teacher", "attacked", "settings", "told"), [
    (linear(), X, {"alpha": 2}, "alpha in"), (linear(), X, {"temperature": 0}, "temperature above 0"),
    (linear(), X[:2], {}, "one shape"), (linear(3), X, {}, "student and teacher")])
def test_a_distillation_that_does_not_fit_is_told(teacher, attacked, settings, told):
    with pytest.raises(ValueError, match=told):
        ard_loss(linear(), teacher, X, attacked, Y, **settings)
