"""Attacks that climb a loss inside a ball: FGSM, BIM and PGD in L-infinity, L2 and L1."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .balls import NORMS, inside, random_change, require, rows_of, steepest
from .outcomes import attacking, cross_entropy, fools, slope

Loss = Callable[[Tensor, Tensor], Tensor]
Look = Callable[[Tensor, Tensor, bool], tuple[Tensor, Tensor, Tensor]]
TOGETHER = 256  # rows up to which restarts run side by side


def fgsm(model: nn.Module, x: Tensor, y: Tensor, *, radius: float, norm: float = math.inf, targeted: bool = False,
         bounds: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """One step along the loss's gradient to the edge of the ball. Goodfellow, Shlens, Szegedy, ICLR 2015.

    Args:
        model: (B, ...) -> (B, K) logits; left as it was.
        x: (B, ...) inputs inside the bounds.
        y: (B,) true classes; with targeted, classes wanted.
        radius: of the ball around each input.
        norm: math.inf, 2 or 1.
        targeted: whether y is what the model shall say.
        bounds: (lowest, highest) value of an entry.

    Returns:
        (B, ...), a new tensor, in ball and bounds.

    Raises:
        ValueError: shapes, bounds, norm or radius do not fit, or logits are not finite.

    Example:
        >>> slopes = nn.Linear(2, 2)
        >>> _ = slopes.weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> fgsm(slopes, torch.tensor([[0.5, 0.5]]), torch.tensor([0]), radius=0.25)
        tensor([[0.2500, 0.7500]])
    """
    return pgd(model, x, y, radius=radius, norm=norm, steps=1, step_size=radius, random_start=False, keep="last",
               targeted=targeted, bounds=bounds)


def bim(model: nn.Module, x: Tensor, y: Tensor, *, radius: float, norm: float = math.inf, steps: int = 10,
        step_size: float | None = None, loss: Loss = cross_entropy, targeted: bool = False,
        bounds: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """PGD that starts from the input itself. Kurakin, Goodfellow, Bengio, 2016. arXiv:1607.02533. Arguments as of `pgd`."""
    return pgd(model, x, y, radius=radius, norm=norm, steps=steps, step_size=step_size, random_start=False, loss=loss,
               targeted=targeted, bounds=bounds)


def pgd(model: nn.Module, x: Tensor, y: Tensor, *, radius: float, norm: float = math.inf, steps: int = 10,
        step_size: float | None = None, restarts: int = 1, random_start: bool = True, momentum: float = 0.0, noise: float = 0.0,
        draws: int = 1, loss: Loss = cross_entropy, keep: str = "best", targeted: bool = False, seed: int = 0,
        bounds: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Projected gradient ascent on a loss inside a ball. Madry and others, ICLR 2018. arXiv:1706.06083.

        x' <- the point of ball and bounds nearest to x' + step_size steepest(dloss/dx')

    The steepest step is the gradient's sign in L-infinity, its direction in L2, the signs of its largest twentieth in L1.

    Args:
        model: (B, ...) -> (B, K) logits; left as it was.
        x: (B, ...) inputs inside the bounds.
        y: (B,) true classes; with targeted, classes wanted.
        radius: of the ball around each input.
        norm: math.inf, 2 or 1.
        steps: gradients a restart.
        step_size: length of a step in the norm; 2.5 radius / steps unless given.
        restarts: starts tried.
        random_start: start at a point drawn from the ball, as `random_change` does, not at the input.
        momentum: of the gradients, each divided by its mean size (Dong and others, 2018).
        noise: standard deviation of Gaussian noise on the input, under which loss and gradient are taken.
        draws: copies over which they are averaged, for a model that draws by itself or noise above 0.
        loss: of (logits (B, K), y (B,)) -> (B,), to be climbed; descended where targeted.
        keep: what comes back. "best": the iterate of highest loss, one that fools if any does. "first": the first that fools, and
            rows fooled are left out of later steps: the fastest to measure accuracy; an input wrong from the start comes back as it
            was. "last": the last iterate, not looked at: the fastest for training.
        targeted: whether y is what the model shall say.
        seed: decides starts and noise.
        bounds: (lowest, highest) value of an entry.

    Returns:
        (B, ...), a new tensor, in ball and bounds.

    Raises:
        ValueError: shapes, bounds, norm, radius or another number do not fit, or logits are not finite.

    Example:
        >>> x, y = torch.full((1, 4), 0.5), torch.tensor([0])
        >>> model = nn.Linear(4, 3)
        >>> moved = pgd(model, x, y, radius=0.1, norm=2, steps=5)
        >>> bool((moved - x).norm() <= 0.1)
        True
    """
    require(norm in NORMS and 0 <= radius < math.inf, f"expected norm math.inf, 2 or 1 and a finite radius from 0, got {norm} and {radius}")
    require(step_size is None or 0 <= step_size < math.inf, f"expected a finite step_size of at least 0, got {step_size}")
    require(min(steps, restarts, draws) > 0 and noise >= 0, "expected steps, restarts and draws above 0, and noise of at least 0")
    require(keep in ("best", "first", "last"), f"expected keep 'best', 'first' or 'last', got {keep!r}")
    require(keep != "last" or restarts == 1, "expected one restart with keep='last', which compares nothing")
    size = 2.5 * radius / steps if step_size is None else step_size
    sign = -1.0 if targeted else 1.0

    def look(z, y, slopes):
        """Whether z fools, how high the loss is, and its gradient if slopes are wanted."""
        many = draws > 1 or noise > 0

        def climbed(logits):
            return sign * (loss(logits, y) if not many else loss(logits, y.repeat(draws)).view(draws, -1).mean(0))

        logits, values, gradient = slope(blurred if many else model, z, climbed, slopes)
        return fools(_voted(logits, draws), y, targeted), values, gradient

    def blurred(z):
        z = z.repeat(draws, *(1,) * (z.ndim - 1))
        return model(z + noise * torch.randn(z.shape, generator=rng, dtype=z.dtype, device=z.device) if noise else z)

    with attacking(model, x, y, bounds) as (x, y):
        rng = torch.Generator(x.device).manual_seed(seed)
        return ascents(look, x, y, radius=radius, norm=norm, steps=steps, size=size, restarts=restarts, random_start=random_start,
                       momentum=momentum, keep=keep, rng=rng, bounds=bounds)


def ascents(look: Look, x: Tensor, y: Tensor, *, radius: float, norm: float, steps: int, size: float, restarts: int, random_start: bool,
            momentum: float, keep: str, rng: torch.Generator, bounds: tuple[float, float]) -> Tensor:
    """What `pgd` does once it is said what is climbed; its arguments, and:

    Args:
        look: of (x (B, ...), y (B,), slopes) -> whether each row fools (B,), how high it is (B,), and its gradient (B, ...) where `slopes`.
        size: of a step.
        rng: draws the starts.

    Returns:
        (B, ...), a new tensor.
    """
    result, todo = x.clone(), torch.arange(len(x), device=x.device)
    fooled, values = torch.zeros_like(y, dtype=torch.bool), x.new_full((len(x),), -torch.inf)
    if keep == "first" and len(x):
        fooled = look(x, y, False)[0]
        todo = todo[~fooled]
    done = 0
    while done < restarts and len(todo):
        copies = max(1, min(restarts - done, TOGETHER // len(todo)))
        rows = todo.repeat(copies)
        found = _climb(look, x[rows], y[rows], radius, norm, steps, size, random_start, momentum, keep, rng, bounds)
        for moved, hit, value in zip(*(part.view(copies, len(todo), *part.shape[1:]) for part in found), strict=True):
            better = (hit & ~fooled[todo]) | ((hit == fooled[todo]) & (value > values[todo]))
            result[todo[better]], fooled[todo[better]], values[todo[better]] = moved[better], hit[better], value[better]
        todo = todo[~fooled[todo]] if keep == "first" else todo
        done += copies
    return result


def _climb(look, x, y, radius, norm, steps, size, random_start, momentum, keep, rng, bounds):
    """One ascent from each row: the iterate kept, whether it fools, and how high it is."""
    nearest = inside(x, radius, norm, bounds)
    place = nearest(x + random_change(x, radius, norm, rng)) if random_start else x
    best, fooled, values = place.clone(), torch.zeros_like(y, dtype=torch.bool), x.new_full((len(x),), -torch.inf)
    live = torch.arange(len(x), device=x.device)
    velocity = torch.zeros_like(x) if momentum else x
    for step in range(steps + (keep != "last")):
        hit, value, gradient = look(place, y, step < steps)
        if keep != "last":
            better = (hit & ~fooled[live]) | ((hit == fooled[live]) & (value > values[live]))
            best[live[better]], fooled[live[better]], values[live[better]] = place[better], hit[better], value[better]
        if step == steps:
            break
        if keep == "first" and bool(hit.any()):
            live, x, y, place, gradient, velocity = (part[~hit] for part in (live, x, y, place, gradient, velocity))
            if not len(live):
                break
            nearest = inside(x, radius, norm, bounds)
        if momentum:
            velocity = momentum * velocity + gradient / gradient.flatten(1).abs().mean(1).clamp_min(1e-30).view(rows_of(x))
            gradient = velocity
        place = nearest(torch.add(place, steepest(gradient, norm, place, bounds), alpha=size))
    return (place, fooled, torch.zeros_like(values)) if keep == "last" else (best, fooled, values)


def _voted(logits: Tensor, draws: int) -> Tensor:
    """Of several draws the mean probabilities: (draws B, K) -> (B, K)."""
    return logits if draws == 1 else logits.softmax(1).view(draws, -1, logits.shape[1]).mean(0)
