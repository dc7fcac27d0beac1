"""Attacks that change few pixels by any amount: greedy saliency, projected gradient in the L0 ball, random single pixels.

A pixel is a position of (B, C, H, W) images with all its channels, and one entry of any other input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .balls import require, rows_of
from .outcomes import attacking, finite, fools, margin_loss, slope


def saliency(model: nn.Module, x: Tensor, y: Tensor, *, pixels: int, targeted: bool = False,
             bounds: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Greedy: pixel after pixel, the one that by the gradient gains most goes to the bounds. After Papernot and others (JSMA), 2016.

    The gain of a pixel is the sum over channels of |d margin / d entry| times the way to the bound; a row ends once it fools.
    JSMA's map multiplies the target's gradient with the others'; the margin's adds them. arXiv:1511.07528.

    Args:
        model: (B, ...) -> (B, K) logits; left as it was.
        x: (B, C, H, W) images, or (B, ...), inside the bounds.
        y: (B,) true classes; with targeted, classes wanted.
        pixels: changed at most, each once.
        targeted: whether y is what the model shall say.
        bounds: (lowest, highest) value of an entry; both finite.

    Returns:
        (B, ...), a new tensor, in bounds and at most `pixels` pixels from x.

    Raises:
        ValueError: shapes, bounds or pixels do not fit, or logits are not finite.

    Example:
        >>> model = nn.Linear(3, 2, bias=False)
        >>> _ = model.weight.data.copy_(torch.tensor([[3.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
        >>> saliency(model, torch.full((1, 3), 0.5), torch.tensor([0]), pixels=1).tolist()
        [[0.0, 0.5, 0.5]]
    """
    require(pixels >= 0, f"expected pixels of at least 0, got {pixels}")
    sign = -1.0 if targeted else 1.0
    with attacking(model, x, y, bounds) as (x, y):
        result, live = x.clone(), torch.arange(len(x), device=x.device)
        place, taken = x, torch.zeros_like(_by_pixel(x)[:, 0], dtype=torch.bool)  # (B, P)
        for _ in range(min(pixels, taken.shape[1])):
            if not len(live):
                break
            logits, _, gradient = slope(model, place, lambda logits: sign * margin_loss(logits, y))  # noqa: B023
            stay = ~fools(logits, y, targeted)
            live, place, taken, y, gradient = (part[stay] for part in (live, place, taken, y, gradient))
            if not len(live):
                break
            end = torch.where(gradient > 0, bounds[1], bounds[0])
            gain = _by_pixel(gradient * (end - place)).sum(1).masked_fill(taken, -1)  # (b, P)
            chosen = torch.zeros_like(taken).scatter_(1, gain.argmax(1, keepdim=True), True)
            place = torch.where(_as(chosen, place), end, place)
            taken = taken | chosen
            result[live] = place
        return result


def sparse_pgd(model: nn.Module, x: Tensor, y: Tensor, *, pixels: int, steps: int = 50, step_size: float = 0.2, restarts: int = 1,
               targeted: bool = False, seed: int = 0, bounds: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Projected gradient ascent on the margin over changes of few pixels. Croce, Hein, ICCV 2019 (PGD0). arXiv:1909.05040.

    Args:
        model: (B, ...) -> (B, K) logits; left as it was.
        x: (B, C, H, W) images, or (B, ...), inside the bounds.
        y: (B,) true classes; with targeted, classes wanted.
        pixels: changed at most.
        steps: gradients a restart.
        step_size: largest change of an entry in a step.
        restarts: starts tried; rows fooled are left out of later ones.
        targeted: whether y is what the model shall say.
        seed: decides the starts.
        bounds: (lowest, highest) value of an entry; both finite.

    Returns:
        (B, ...), a new tensor, in bounds and at most `pixels` pixels from x: the first iterate that fools, else the one of highest margin.

    Raises:
        ValueError: shapes, bounds or a number do not fit, or logits are not finite.

    Example:
        >>> x = torch.full((1, 3, 4, 4), 0.5)
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
        >>> moved = sparse_pgd(model, x, torch.tensor([0]), pixels=2)
        >>> int((moved != x).any(1).sum()) <= 2
        True
    """
    require(pixels >= 0 and min(steps, restarts) > 0 and step_size > 0,
            "expected pixels of at least 0, steps, restarts and step_size above 0")
    sign = -1.0 if targeted else 1.0
    with attacking(model, x, y, bounds) as (x, y):
        rng = torch.Generator(x.device).manual_seed(seed)
        result, best = x.clone(), x.new_full((len(x),), -torch.inf)
        with torch.no_grad():
            fooled = fools(finite(model(x)), y, targeted) if len(x) else y > 0
        for _ in range(restarts):
            live = (~fooled).nonzero()[:, 0]
            noise = torch.rand(x[live].shape, generator=rng, dtype=x.dtype, device=x.device) * (bounds[1] - bounds[0]) + bounds[0]
            place = _few(x[live], noise, pixels, bounds, torch.rand(_by_pixel(x[live])[:, 0].shape, generator=rng, dtype=x.dtype,
                                                                    device=x.device))
            for step in range(steps + 1):
                if not len(live):
                    break
                logits, value, gradient = slope(model, place, lambda logits: sign * margin_loss(logits, y[live]))  # noqa: B023
                hit = fools(logits, y[live], targeted)
                better = hit | (value > best[live])
                result[live[better]], best[live[better]] = place[better], value[better]
                fooled[live[hit]] = True
                if step == steps:
                    break
                live, place, gradient = (part[~hit] for part in (live, place, gradient))
                if not len(live):
                    break
                move = gradient * (step_size / gradient.flatten(1).abs().amax(1).clamp_min(1e-30)).view(rows_of(x))
                place = _few(x[live], place + move, pixels, bounds)
        return result


def one_pixel(model: nn.Module, x: Tensor, y: Tensor, *, tries: int = 200, targeted: bool = False, seed: int = 0,
              bounds: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """A single pixel, moved to a random corner of the box: of many draws the best by the margin. Logits are asked, no gradients.

    Su, Vargas, Sakurai search the same changes by evolution, 2019. arXiv:1710.08864.

    Args:
        model: (B, ...) -> (B, K) logits; left as it was.
        x: (B, C, H, W) images, or (B, ...), inside the bounds.
        y: (B,) true classes; with targeted, classes wanted.
        tries: changes tried for each input; a row ends once it fools.
        targeted: whether y is what the model shall say.
        seed: decides the draws.
        bounds: (lowest, highest) value of an entry; both finite.

    Returns:
        (B, ...), a new tensor, in bounds and at most one pixel from x.

    Raises:
        ValueError: shapes, bounds or tries do not fit, or logits are not finite.

    Example:
        >>> x = torch.full((1, 3, 4, 4), 0.5)
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
        >>> int((one_pixel(model, x, torch.tensor([0])) != x).any(1).sum()) <= 1
        True
    """
    require(tries > 0, f"expected tries above 0, got {tries}")
    sign = -1.0 if targeted else 1.0
    with attacking(model, x, y, bounds) as (x, y), torch.no_grad():
        rng = torch.Generator(x.device).manual_seed(seed)
        result, best = x.clone(), x.new_full((len(x),), -torch.inf)
        fooled = fools(finite(model(x)), y, targeted) if len(x) else y > 0
        for _ in range(tries):
            live = (~fooled).nonzero()[:, 0]
            if not len(live):
                break
            start = x[live]
            corner = torch.where(torch.rand(start.shape, generator=rng, device=x.device) < 0.5, bounds[0], bounds[1]).to(x.dtype)
            place = _few(start, corner, 1, bounds, torch.rand(_by_pixel(start)[:, 0].shape, generator=rng, dtype=x.dtype, device=x.device))
            logits = finite(model(place))
            value, hit = sign * margin_loss(logits, y[live]), fools(logits, y[live], targeted)
            better = hit | (value > best[live])
            result[live[better]], best[live[better]] = place[better], value[better]
            fooled[live[hit]] = True
        return result


def _by_pixel(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, H W); anything else -> (B, 1, D)."""
    return x.flatten(2) if x.ndim == 4 else x.flatten(1)[:, None]


def _as(chosen: Tensor, x: Tensor) -> Tensor:
    """A choice of pixels (B, P), as it broadcasts against x."""
    return chosen.view(len(x), 1, *x.shape[2:]) if x.ndim == 4 else chosen.view_as(x)


def _few(x: Tensor, there: Tensor, pixels: int, bounds: tuple[float, float], worth: Tensor | None = None) -> Tensor:
    """The nearest point to `there` in bounds that differs from x in few pixels; or those of the highest `worth` (B, P)."""
    clipped = there.clamp(*bounds)
    if worth is None:  # what keeping a pixel saves of the squared distance
        worth = _by_pixel((there - x).square() - (there - clipped).square()).sum(1)
    chosen = torch.zeros_like(worth, dtype=torch.bool)
    chosen.scatter_(1, worth.topk(min(pixels, worth.shape[1]), dim=1).indices, True)
    return torch.where(_as(chosen, x), clipped, x)
