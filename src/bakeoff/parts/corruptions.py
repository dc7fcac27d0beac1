"""Noise, blurs, weather and digital damage for pictures of any size, at severities 1 to 5.

The kinds and constants are those of Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019, arXiv:1903.12261. They set them twice: for pictures of 32 pixels (CIFAR-10-C) and of 224 (ImageNet-C).
Here those are met at 32 and at 224; between the two, each constant moves evenly with the logarithm of the picture's smaller side;
beyond them, lengths grow or shrink with the side and nothing else changes.

Departures: frost is a ridged fractal in place of six photographs; the drops of `spatter` below severity 4 brighten by their depth,
without the embossed rim; motion blur is a sum over rounded steps of the streak; elastic warps reflect at the edge at every size.
"""

from __future__ import annotations

import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .picture_filters import blurred, clouds, disc, filtered, shuffled, streaked, zoomed

KINDS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
NAMES = tuple(name for names in KINDS.values() for name in names)
EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
SMALL, LARGE = 32, 224  # sides, in pixels, for which the constants are known
BLOCK = 2 ** 19  # numbers of pictures worked on at once

# name: constants at SMALL and at LARGE, each for severities 1 to 5
LEVELS = {
    "gaussian_noise": ((0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38)),  # standard deviation
    "shot_noise": ((500, 250, 100, 75, 50), (60, 25, 12, 5, 3)),  # photons of a white pixel
    "impulse_noise": ((0.01, 0.02, 0.03, 0.05, 0.07), (0.03, 0.06, 0.09, 0.17, 0.27)),  # share of the numbers
    "speckle_noise": ((0.06, 0.1, 0.12, 0.16, 0.2), (0.15, 0.2, 0.35, 0.45, 0.6)),  # standard deviation at white
    "gaussian_blur": ((0.4, 0.6, 0.7, 0.8, 1), (1, 2, 3, 4, 6)),  # sigma
    "defocus_blur": (((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),  # radius, softness
                     ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))),
    "glass_blur": (((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),  # sigma, reach, rounds
                   ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))),
    "motion_blur": (((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)), ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))),  # radius, sigma
    "zoom_blur": (((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),  # below which factor, in which steps
                  ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))),
    "snow": (((0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
              (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8)),
             ((0.1, 0.3, 3, 0.5, 10, 4, 0.8), (0.2, 0.3, 2, 0.5, 12, 4, 0.7), (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
              (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65), (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55))),  # mean, sd, zoom, floor, radius, sigma, keep
    "frost": (((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)), ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))),
    "fog": (((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)), ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))),  # amount, decay
    "brightness": ((0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5)),  # added value
    "spatter": (((0.62, 0.1, 0.7, 0.7, 0.5, 0), (0.65, 0.1, 0.8, 0.7, 0.5, 0), (0.65, 0.3, 1, 0.69, 0.5, 0),
                 (0.65, 0.1, 0.7, 0.69, 0.6, 1), (0.65, 0.1, 0.5, 0.68, 0.6, 1)),
                ((0.65, 0.3, 4, 0.69, 0.6, 0), (0.65, 0.3, 3, 0.68, 0.6, 0), (0.65, 0.3, 2, 0.68, 0.5, 0),
                 (0.65, 0.3, 1, 0.65, 1.5, 1), (0.67, 0.4, 1, 0.65, 1.5, 1))),  # mean, sd, sigma, floor, strength or sigma, mud?
    "contrast": ((0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05)),  # share kept
    "saturate": (((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)), ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))),  # factor, added
    "elastic_transform": (((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
                          ((0.0625, 0.01, 0), (0.08125, 0.01, 0), (0.10625, 0.01, 0), (0.125, 0.01, 0), (0.15, 0.01, 0))),
    # amount, sigma, jitter of three corners: shares of the side
    "pixelate": ((0.95, 0.9, 0.85, 0.75, 0.65), (0.6, 0.5, 0.4, 0.3, 0.25)),  # share of the side kept
    "jpeg_compression": ((80, 65, 58, 50, 40), (25, 18, 15, 10, 7)),  # quality
}


def corrupted(images: Tensor, name: str, severity: int, seed: int = 0) -> Tensor:
    """The images under one corruption, the labels of which stay what they were.

    Args:
        images: (N, C, H, W), floats in [0, 1]; C is 1 or 3.
        name: one of `NAMES` (`KINDS` sorts them) or of `EXTRA`.
        severity: 1 (mild) to 5.
        seed: decides all that is random; an image's share of it depends on its place in the batch.

    Returns:
        New images of the same shape and type, in [0, 1].

    Raises:
        ValueError: images of another shape, type or range; an unknown name or severity.

    Example:
        >>> images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> milder, stronger = (corrupted(images, "gaussian_noise", severity) for severity in (1, 5))
        >>> bool((milder - images).std() < (stronger - images).std())
        True
    """
    _check(images, name, severity)
    if not images.numel():
        return images.clone()
    side = min(images.shape[-2:])
    constants = levels(name, severity, side)
    size = side / min(max(side, SMALL), LARGE)  # factor of lengths
    rng = torch.Generator(images.device).manual_seed(seed)
    change = globals()["_" + name]
    blocks = images.float().split(max(1, BLOCK // images[0].numel()))
    return torch.cat([change(block, *constants, size, rng).clamp(0, 1) for block in blocks]).to(images.dtype)


def levels(name: str, severity: int, side: int) -> tuple[float, ...]:
    """The constants of a corruption for pictures whose smaller side is `side`.

    Example:
        >>> [levels("contrast", 5, side)[0] for side in (28, 32, 224)], round(levels("contrast", 5, 85)[0], 2)
        ([0.15, 0.15, 0.05], 0.1)
    """
    share = min(max(math.log(side / SMALL) / math.log(LARGE / SMALL), 0.0), 1.0)
    small, large = (np.atleast_1d(table[severity - 1]).astype(float) for table in LEVELS[name])
    return tuple(float(number) for number in (1 - share) * small + share * large)


def _check(images, name: str, severity) -> None:
    if name not in LEVELS:
        raise ValueError(f"no corruption is called {name!r}; there are {', '.join(NAMES + EXTRA)}")
    if severity not in range(1, 6):
        raise ValueError(f"severity {severity!r}; it goes from 1 to 5")
    if not (isinstance(images, Tensor) and images.ndim == 4 and images.shape[1] in (1, 3) and images.is_floating_point()):
        raise ValueError("images must be a tensor of floats, (N, 1 or 3, H, W)")
    if images.numel() and not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(f"pixels from {images.min():g} to {images.max():g}; they must lie in [0, 1], so divide bytes by 255")


def _normal(shape, rng: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=rng, device=rng.device)


def _uniform(shape, low: float, high: float, rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=rng, device=rng.device)


def _gaussian_noise(x, deviation, size, rng):
    return x + deviation * _normal(x.shape, rng)


def _shot_noise(x, photons, size, rng):
    return torch.poisson(x * photons, generator=rng) / photons


def _impulse_noise(x, share, size, rng):
    chance = _uniform(x.shape, 0, 1, rng)
    return torch.where(chance < share, (chance < share / 2).float(), x)


def _speckle_noise(x, deviation, size, rng):
    return x * (1 + deviation * _normal(x.shape, rng))


def _gaussian_blur(x, sigma, size, rng):
    return blurred(x, sigma * size)


def _defocus_blur(x, radius, softness, size, rng):
    return filtered(x, disc(round(2 * radius * size) / 2, softness * size, x.device))


def _glass_blur(x, sigma, reach, rounds, size, rng):
    return blurred(shuffled(blurred(x, sigma * size), max(1, round(reach * size)), round(rounds), rng), sigma * size)


def _motion_blur(x, radius, sigma, size, rng):
    return streaked(x, max(1, round(radius * size)), sigma * size, _uniform(len(x), -45, 45, rng))


def _zoom_blur(x, below, step, size, rng):
    factors = np.arange(1, below, step)
    return (x + sum(zoomed(x, factor) for factor in factors)) / (len(factors) + 1)


def _snow(x, mean, deviation, zoom, floor, radius, sigma, keep, size, rng):
    flakes = zoomed(mean + deviation * _normal((len(x), 1, *x.shape[2:]), rng), max(1.0, zoom * size))
    flakes = torch.where(flakes < floor, 0.0, flakes).clamp(0, 1)
    flakes = streaked(flakes, max(1, round(radius * size)), sigma * size, _uniform(len(x), -135, -45, rng))
    pale = torch.maximum(x, 1.5 * _grey(x) + 0.5)
    return keep * x + (1 - keep) * pale + flakes + flakes.flip(-1, -2)


def _frost(x, keep, amount, size, rng):
    ridges = 1 - (2 * clouds(len(x), *x.shape[2:], 1.6, rng) - 1).abs()
    return keep * x + amount * ridges * _colour((0.75, 0.85, 0.95), x)


def _fog(x, amount, decay, size, rng):
    top = x.amax((1, 2, 3), keepdim=True)
    return (x + amount * clouds(len(x), *x.shape[2:], decay, rng)) * top / (top + amount)


def _brightness(x, added, size, rng):
    value = x.amax(1, keepdim=True)
    tint = torch.where(value > 0, x / value.clamp(min=1e-12), 1.0)
    return tint * (value + added).clamp(0, 1)


def _spatter(x, mean, deviation, sigma, floor, strength, mud, size, rng):
    layer = blurred(mean + deviation * _normal((len(x), 1, *x.shape[2:]), rng), sigma * size)
    if mud > 0.5:
        cover = blurred((layer > floor).float(), strength * size)
        cover = torch.where(cover < 0.8, 0.0, cover)
        return x * (1 - cover) + cover * _colour((63 / 255, 42 / 255, 20 / 255), x)
    depth = (layer - floor).clamp(min=0)
    depth = depth / depth.amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    return x + strength * depth * _colour((175 / 255, 238 / 255, 238 / 255), x)


def _contrast(x, kept, size, rng):
    mean = x.mean((2, 3), keepdim=True)
    return mean + kept * (x - mean)


def _saturate(x, factor, added, size, rng):
    value = x.amax(1, keepdim=True)
    below = value - x  # saturation S = max(below) / value; its change scales what lies below the value
    saturation = below.amax(1, keepdim=True) / value.clamp(min=1e-12)
    return value - below * torch.where(saturation > 0, (factor * saturation + added).clamp(0, 1) / saturation.clamp(min=1e-12), 0.0)


def _elastic_transform(x, amount, sigma, jitter, size, rng):
    sides = torch.tensor(x.shape[:1:-1], device=x.device)  # (2,) W, H
    side = float(sides.min())
    field = blurred(_uniform((len(x), 2, *x.shape[2:]), -1, 1, rng), sigma * side) * amount * side
    axes = [torch.arange(count, device=x.device) + 0.5 for count in x.shape[2:]]
    place = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], -1)  # (H, W, 2) x and y, in pixels
    first, second, third = _uniform((3, len(x), 1, 1, 2), -jitter * side, jitter * side, rng)
    across, down = ((place - sides / 2) * 1.5 / side).split(1, -1)  # the three lie a third of the side from the middle
    warp = (first + third) / 2 + (second - third) * across + (first - second) * down + field.permute(0, 2, 3, 1)
    return F.grid_sample(x, 2 * (place + warp) / sides - 1, padding_mode="reflection", align_corners=False)


def _pixelate(x, kept, size, rng):
    for axis in (3, 2):
        full, few = x.shape[axis], max(1, int(x.shape[axis] * kept + 1e-9))
        edges = torch.arange(1, few, device=x.device) * full / few
        cell = torch.bucketize(torch.arange(full, device=x.device) + 0.5, edges.add(0.5).floor())  # (full,) the cell of each pixel
        mean = (F.one_hot(cell, few) / torch.bincount(cell, minlength=few)).float()  # (full, few)
        shown = ((torch.arange(full, device=x.device) + 0.5) * few / full).long()
        x = (x @ mean if axis == 3 else mean.T @ x).index_select(axis, shown)
    return x


def _jpeg_compression(x, quality, size, rng):
    pixels = (x * 255).byte().movedim(1, -1).contiguous().cpu().numpy()  # (N, H, W, C)
    grey = pixels.shape[-1] == 1
    out = []
    for picture in pixels:
        file = io.BytesIO()
        Image.fromarray(picture[..., 0] if grey else picture).save(file, "JPEG", quality=round(quality))
        out.append(np.asarray(Image.open(file)).reshape(picture.shape))
    return torch.from_numpy(np.stack(out)).to(x.device).movedim(-1, 1).contiguous().float() / 255


def _grey(x: Tensor) -> Tensor:
    """Luminance (N, 1, H, W)."""
    return (x * x.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True) if x.shape[1] == 3 else x


def _colour(colour: tuple[float, float, float], like: Tensor) -> Tensor:
    """A colour as (1, C, 1, 1); its luminance where the images are grey."""
    found = like.new_tensor(colour).view(1, 3, 1, 1)
    return found if like.shape[1] == 3 else _grey(found)
