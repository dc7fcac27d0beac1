"""What corruptions of pictures are made of: blurs, streaks, shuffled neighbours, zoom and fractal clouds, a batch at a time.

Wherever a filter looks past an edge it sees the edge's own pixel again. Sources of chance are generators that the caller gives.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Blur by a Gaussian, cut off at four standard deviations.

    Args:
        images: (N, C, H, W).
        sigma: standard deviation in pixels; below 1/8 nothing is left of it.

    Example:
        >>> blurred(torch.eye(3)[None, None], sigma=100.0).std().item() < 0.01
        True
    """
    if not (radius := int(4 * sigma + 0.5)):
        return images
    line = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=images.device) / sigma) ** 2)
    line = (line / line.sum()).to(images.dtype)
    planes = F.pad(images, (radius,) * 4, "replicate").flatten(0, 1)[:, None]  # (N C, 1, H + 2 radius, W + 2 radius)
    return F.conv2d(F.conv2d(planes, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1)).view(images.shape)


def filtered(images: Tensor, kernels: Tensor) -> Tensor:
    """Each image correlated with its kernel, by Fourier transforms.

    Args:
        images: (N, C, H, W).
        kernels: (N, K, K), or (1, K, K) for all; K odd, the middle is where a pixel itself counts.

    Example:
        >>> ahead = torch.tensor([[[0.0, 0, 0], [0, 0, 1], [0, 0, 0]]])
        >>> [round(pixel, 4) for pixel in filtered(torch.arange(3.0).expand(1, 1, 3, 3), ahead)[0, 0, 1].tolist()]
        [1.0, 2.0, 2.0]
    """
    size, (height, width) = kernels.shape[-1], images.shape[2:]
    padded = F.pad(images, (size // 2,) * 4, "replicate")
    sides = [next_fast_len(side, real=True) for side in padded.shape[2:]]
    spectrum = torch.fft.rfft2(kernels.flip(-1, -2), sides)[:, None] * torch.fft.rfft2(padded, sides)
    return torch.fft.irfft2(spectrum, sides)[..., size - 1:size - 1 + height, size - 1:size - 1 + width]


def disc(radius: float, softness: float, device=None) -> Tensor:
    """The kernel (1, K, K) of a lens out of focus: a disc of `radius` pixels whose edge a Gaussian of `softness` pixels smooths."""
    reach, soft = (int(radius), 1) if radius <= 8 else (int(radius), 2)
    axis = torch.arange(-reach - soft, reach + soft + 1, device=device)
    flat = (axis[:, None] ** 2 + axis ** 2 <= radius ** 2).float()
    line = torch.exp(-0.5 * (torch.arange(-soft, soft + 1, device=device) / softness) ** 2)
    edge = line[:, None] * line
    return F.conv2d((flat / flat.sum())[None, None], (edge / edge.sum())[None, None], padding=soft)[0]


def streaked(images: Tensor, radius: int, sigma: float, angles: Tensor) -> Tensor:
    """Motion blur: each pixel becomes a mean of the 2 radius + 1 that lie ahead of it, weighted by half a Gaussian.

    Args:
        images: (N, C, H, W).
        radius: half the length of the streak in pixels.
        sigma: standard deviation of the weights in pixels.
        angles: (N,) directions in degrees; 0 looks right, 90 down.

    Example:
        >>> still = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> torch.allclose(streaked(still, 3, 1e-3, torch.tensor([0.0, 40.0])), still, atol=1e-6)
        True
    """
    along = torch.arange(2 * radius + 1, device=images.device)
    weights = torch.exp(-0.5 * (along / sigma) ** 2)
    turn = torch.deg2rad(angles)[:, None]
    down, right = (torch.round(along * part).long() for part in (turn.sin(), turn.cos()))  # each (N, 2 radius + 1)
    size = 4 * radius + 1
    at = (down + 2 * radius) * size + right + 2 * radius
    kernels = torch.zeros(len(images), size * size, device=images.device)
    kernels.scatter_add_(1, at, (weights / weights.sum()).expand(len(images), -1))
    return filtered(images, kernels.view(-1, size, size))


def shuffled(images: Tensor, reach: int, rounds: int, rng: torch.Generator, share: float = 1.0) -> Tensor:
    """Pixels swapped with near neighbours, one after another from the last row and column to the first, as through rough glass.

    A pixel may travel, so the order counts. Swaps that lie 2 reach + 1 columns apart in following rows never touch each other and
    are made at once, which gives the very result of making them one by one.

    Args:
        images: (N, C, H, W).
        reach: a partner is up to `reach` before and `reach` - 1 behind, in rows and in columns; pixels.
        rounds: passes over each image.
        rng: decides the partners.
        share: probability of a swap.

    Example:
        >>> before = torch.arange(36.0).view(1, 1, 6, 6)
        >>> after = shuffled(before, reach=1, rounds=2, rng=torch.Generator().manual_seed(0))
        >>> torch.equal(before, after), torch.equal(before.flatten(), after.flatten().sort().values)
        (False, True)
    """
    count, _, height, width = images.shape
    device = images.device
    if min(height, width) <= 2 * reach:  # no pixel has all its partners
        return images
    rows = torch.arange(height - reach, reach, -1, device=device)
    columns = torch.arange(width - reach, reach, -1, device=device)
    when = (2 * reach + 1) * torch.arange(len(rows), device=device)[:, None] + torch.arange(len(columns), device=device)
    order = when.flatten().argsort(stable=True)
    fronts = (rows[:, None] * width + columns).flatten()[order].split(torch.bincount(when.flatten()).tolist())
    origin = torch.arange(height * width, device=device).repeat(count, 1)  # (N, H W) where each pixel comes from
    for _ in range(rounds):
        shifts = torch.randint(-reach, reach, (2, count, len(order)), generator=rng, device=device)
        moves = shifts[0] * width + shifts[1]
        if share < 1:
            moves *= torch.rand(moves.shape, generator=rng, device=device) < share
        for here, move in zip(fronts, moves.split([len(front) for front in fronts], 1), strict=True):
            there = here + move  # (N, front)
            mine, theirs = origin[:, here], origin.gather(1, there)
            origin[:, here] = theirs
            origin.scatter_(1, there, mine)
    return images.flatten(2).gather(2, origin[:, None].expand(-1, images.shape[1], -1)).view(images.shape)


def zoomed(images: Tensor, factor: float) -> Tensor:
    """The middle of each image, enlarged by `factor` (1 or more) to the size it had; bilinear.

    Example:
        >>> [round(pixel, 4) for pixel in zoomed(torch.arange(4.0).expand(1, 1, 4, 4), 2.0)[0, 0, 0].tolist()]
        [1.0, 1.3333, 1.6667, 2.0]
    """
    sides = images.shape[-2:]
    cut = [math.ceil(side / factor) for side in sides]
    top, left = ((side - part) // 2 for side, part in zip(sides, cut, strict=True))
    middle = images[..., top:top + cut[0], left:left + cut[1]]
    large = F.interpolate(middle, [max(side, round(part * factor)) for side, part in zip(sides, cut, strict=True)], mode="bilinear",
                          align_corners=True)
    top, left = ((found - side) // 2 for found, side in zip(large.shape[-2:], sides, strict=True))
    return large[..., top:top + sides[0], left:left + sides[1]]


def clouds(count: int, height: int, width: int, decay: float, rng: torch.Generator) -> Tensor:
    """Fractal clouds by the diamond-square procedure, each stretched to reach from 0 to 1 over its whole square.

    A square torus of side 2^k: midpoints of ever smaller squares get the mean of their four corners and a random offset,
    uniform within w^2, where w falls by the factor `decay` from each size to the next.

    Args:
        count: N, how many.
        height: rows that are cut out of each.
        width: columns.
        decay: w's; the higher, the smoother.
        rng: decides the offsets.

    Returns:
        (N, 1, height, width) on the generator's device.

    Example:
        >>> clouds(3, 20, 30, 2.0, torch.Generator().manual_seed(0)).shape
        torch.Size([3, 1, 20, 30])
    """
    side = 2 ** math.ceil(math.log2(max(height, width, 2)))
    sky = torch.zeros(count, side, side, device=rng.device)
    step, wide = side, 1.0
    while step >= 2:
        half = step // 2
        corners = sky[:, ::step, ::step]
        sums = corners + corners.roll(-1, 1)
        _offset(sky[:, half::step, half::step], sums + sums.roll(-1, 2), wide, rng)
        middles = sky[:, half::step, half::step]
        _offset(sky[:, ::step, half::step], middles + middles.roll(1, 1) + corners + corners.roll(-1, 2), wide, rng)
        _offset(sky[:, half::step, ::step], middles + middles.roll(1, 2) + corners + corners.roll(-1, 1), wide, rng)
        step, wide = half, wide / decay
    low, high = (edge.view(-1, 1, 1) for edge in sky.flatten(1).aminmax(dim=1))
    return ((sky - low) / (high - low))[:, None, :height, :width]


def _offset(target: Tensor, sums: Tensor, wide: float, rng: torch.Generator) -> None:
    target.copy_(sums / 4 + wide ** 2 * (2 * torch.rand(sums.shape, generator=rng, device=rng.device) - 1))
