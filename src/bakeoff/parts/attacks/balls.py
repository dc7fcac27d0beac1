"""Balls of L-infinity, L2 and L1 around an input: lengths, projections, draws and steepest steps, exact in floating point."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

NORMS = (math.inf, 2, 1)


def lengths(change: Tensor, norm: float) -> Tensor:
    """The norm of every row.

    Args:
        change: (B, ...).
        norm: math.inf, 2 or 1; 0 counts the entries that are not zero.

    Returns:
        (B,).

    Example:
        >>> lengths(torch.tensor([[3.0, -4.0]]), 2).tolist()
        [5.0]
    """
    return torch.linalg.vector_norm(change.flatten(1), norm, dim=1)


def project(change: Tensor, radius: float, norm: float) -> Tensor:
    """The nearest point of the ball around 0, in Euclidean distance; onto the L1 ball after Duchi and others (ICML 2008).

    Args:
        change: (B, ...).
        radius: of the ball.
        norm: math.inf, 2 or 1.

    Returns:
        (B, ...); rows inside the ball as they were.

    Raises:
        ValueError: another norm, or a radius below 0.

    Example:
        >>> project(torch.tensor([[3.0, 2.0]]), radius=2.0, norm=1)
        tensor([[1.5000, 0.5000]])
    """
    require(norm in NORMS and radius >= 0, f"expected norm math.inf, 2 or 1 and a radius of at least 0, got {norm} and {radius}")
    if norm == math.inf:
        return change.clamp(-radius, radius)
    if norm == 2:
        return change * (radius / lengths(change, 2).clamp_min(1e-30)).clamp_max(1).view(rows_of(change))
    return _project_l1(change, radius, None)


def random_change(x: Tensor, radius: float, norm: float, rng: torch.Generator) -> Tensor:
    """A change drawn from the ball, for every row of x: uniformly in L-infinity; else any direction, and any length, alike.

    Uniform points of a ball of many dimensions in L2 or L1 lie at its surface; from there an ascent ends lower.

    Args:
        x: (B, ...), whose shape, dtype and device the change has.
        radius: of the ball.
        norm: math.inf, 2 or 1.
        rng: generator on x's device.

    Returns:
        (B, ...).

    Raises:
        ValueError: another norm, or a radius below 0.

    Example:
        >>> change = random_change(torch.zeros(1, 3), radius=0.1, norm=2, rng=torch.Generator().manual_seed(0))
        >>> bool(lengths(change, 2) <= 0.1)
        True
    """
    require(norm in NORMS and radius >= 0, f"expected norm math.inf, 2 or 1 and a radius of at least 0, got {norm} and {radius}")
    uniform = torch.rand(x.shape, generator=rng, dtype=x.dtype, device=x.device)
    if norm == math.inf:
        return radius * (2 * uniform - 1)
    share = torch.rand(len(x), generator=rng, dtype=x.dtype, device=x.device)
    if norm == 2:
        raw = torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)
    else:  # exponential lengths with random signs, normalised, are uniform on the L1 sphere
        signs = torch.randint(0, 2, x.shape, generator=rng, device=x.device).to(x.dtype) * 2 - 1
        raw = -signs * torch.log1p(-uniform)
    return raw * (radius * share / lengths(raw, norm).clamp_min(1e-30)).view(rows_of(x))


def within(x: Tensor, change: Tensor, radius: float, norm: float, bounds: tuple[float, float]) -> Tensor:
    """x + change, brought into ball and bounds: the nearest such point for L-infinity and L1; for L2 projected, then clipped.

    Exact: the change that is left is no longer than radius, in real numbers (seen up to 3 x 299 x 299 float32 entries; in L2 at
    3 x 1024 x 1024 it was longer by 4e-5 of it). A norm summed in float32 can itself be off, by a thousandth at 3 x 224 x 224.

    Args:
        x: (B, ...) inside the bounds.
        change: (B, ...).
        radius: of the ball around x.
        norm: math.inf, 2 or 1.
        bounds: (lowest, highest) value of an entry.

    Returns:
        (B, ...).

    Example:
        >>> within(torch.tensor([[0.5, 1.0]]), torch.tensor([[0.2, 0.2]]), radius=0.1, norm=math.inf, bounds=(0.0, 1.0))
        tensor([[0.6000, 1.0000]])
    """
    radius = _rounded_down(radius, norm, x.dtype)
    if norm == 1:
        change = _project_l1(change, radius, room(x, change, bounds))
    else:
        change = project(change, radius, norm)
    return placed(x, change, bounds)


def inside(x: Tensor, radius: float, norm: float, bounds: tuple[float, float]) -> Callable[[Tensor], Tensor]:
    """What `within` does, for many points near the same x: the function that brings points (B, ...) into x's ball and bounds.

    Args:
        x: (B, ...) inside the bounds.
        radius: of the ball around x.
        norm: math.inf, 2 or 1.
        bounds: (lowest, highest) value of an entry.

    Returns:
        A function (B, ...) -> (B, ...), of new tensors.

    Example:
        >>> inside(torch.tensor([[0.5, 1.0]]), radius=0.1, norm=math.inf, bounds=(0.0, 1.0))(torch.tensor([[0.7, 1.2]]))
        tensor([[0.6000, 1.0000]])
    """
    if norm != math.inf:
        return lambda points: within(x, points - x, radius, norm, bounds)
    far = torch.full_like(x, _rounded_down(radius, norm, x.dtype))
    lowest, highest = placed(x, -far, bounds), placed(x, far, bounds)  # ball and box in one
    return lambda points: points.clamp(lowest, highest)


def placed(x: Tensor, change: Tensor, bounds: tuple[float, float]) -> Tensor:
    """x + change clipped to the bounds, rounded towards x: no entry of the result lies further from x than change says.

    Args:
        x: (B, ...) inside the bounds.
        change: (B, ...).
        bounds: (lowest, highest) value of an entry.

    Returns:
        (B, ...).
    """
    return torch.nextafter(x + change, x).clamp(*bounds)  # the sum may have been rounded away from x, by one float at most


def steepest(gradient: Tensor, norm: float, at: Tensor, bounds: tuple[float, float], share: float = 0.05) -> Tensor:
    """The step of length 1 along which a loss of this gradient grows: its sign, its direction, or the signs of its largest entries.

    In L1 the fastest step moves one entry alone; moving a share of them together, as the sparse descent of Tramèr and Boneh
    (NeurIPS 2019) does, fills the box less early. Entries at a bound that the gradient pushes against are passed over.

    Args:
        gradient: (B, ...).
        norm: math.inf, 2 or 1.
        at: (B, ...), where it was taken.
        bounds: (lowest, highest) value of an entry.
        share: of the entries, moved by an L1 step.

    Returns:
        (B, ...); 0 where the gradient is.
    """
    if norm == math.inf:
        return gradient.sign()
    if norm == 2:
        return gradient / lengths(gradient, 2).clamp_min(1e-30).view(rows_of(gradient))
    worth = (gradient.abs() * room(at, gradient, bounds).sign()).flatten(1)  # (B, D)
    least = _order_statistic(worth, max(1, round(share * worth.shape[1]))).clamp_min(1e-30)
    step = (worth >= least).to(worth.dtype)
    return (step / step.sum(1, keepdim=True).clamp_min(1)).view_as(gradient) * gradient.sign()


def room(x: Tensor, change: Tensor, bounds: tuple[float, float]) -> Tensor:
    """How far each entry of x may move in the direction of change before it meets a bound: (B, ...)."""
    low, high = max(bounds[0], -1e30), min(bounds[1], 1e30)
    return ((high - low) / 2 - change.sign() * (x - (low + high) / 2)).clamp_min(0)


def rows_of(x: Tensor) -> tuple[int, ...]:
    """The shape under which one number a row broadcasts against x: (-1, 1, ..., 1)."""
    return (-1,) + (1,) * (x.ndim - 1)


def require(good: bool, message: str) -> None:
    """Raise ValueError(message) unless good."""
    if not good:
        raise ValueError(message)


def _order_statistic(values: Tensor, k: int) -> Tensor:
    """The k-th largest of every row: (B, D) -> (B, 1)."""
    if values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64):  # ten times as fast as topk
        place = values.shape[1] - k
        return torch.from_numpy(np.partition(values.detach().numpy(), place, axis=1)[:, place:place + 1])
    return values.topk(k, dim=1).values[:, -1:]


def _project_l1(change: Tensor, radius: float, free: Tensor | None) -> Tensor:
    """The nearest point of the L1 ball, and of the box that leaves `free` to each entry: sizes min(max(|c| - t, 0), free)."""
    result, size = change.flatten(1).clone(), change.flatten(1).abs()  # (B, D)
    free = size if free is None else torch.minimum(free.flatten(1), size)
    result = free * result.sign()
    rows = (free.sum(1) > radius).nonzero()[:, 0]
    if len(rows):
        sizes = _thresholded(size[rows], free[rows], radius)
        result[rows] = sizes * (radius / sizes.sum(1, keepdim=True)).clamp_max(1) * result[rows].sign()
    return result.view_as(change)


def _thresholded(size: Tensor, free: Tensor, radius: float) -> Tensor:
    """min(max(size - t, 0), free) with each row's t so that it sums to radius: Newton's steps inside a bracket, exact at the end."""
    low, high = torch.zeros_like(size[:, :1]), size.amax(1, keepdim=True)
    threshold = low
    for _ in range(30):
        kept = torch.minimum((size - threshold).clamp_min_(0), free)
        excess = kept.sum(1, keepdim=True) - radius
        if bool((excess.abs() <= 100 * torch.finfo(size.dtype).eps * radius).all()):
            break
        low, high = torch.where(excess > 0, threshold, low), torch.where(excess > 0, high, threshold)
        slope = (kept.sign() * (free - kept).sign_()).sum(1, keepdim=True)  # entries between 0 and their free way
        newton = threshold + excess / slope.clamp_min(1)
        threshold = torch.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
    return kept


def _rounded_down(radius: float, norm: float, dtype: torch.dtype) -> float:
    """The largest float of that precision up to radius; where a norm is a sum, less what rounding may add to it."""
    if norm != math.inf:
        radius = radius * (1 - 16 * torch.finfo(dtype).eps)
    near = torch.tensor(radius, dtype=dtype)
    return float(torch.nextafter(near, torch.zeros_like(near)) if float(near) > radius else near)
