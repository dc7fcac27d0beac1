"""Attacks that ask a model for its labels alone: the boundary attack."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .balls import lengths, require, rows_of
from .outcomes import attacking, finite, fools

CHECKED = 5  # of so many labels, one says whether the orthogonal change alone fools


def boundary(model: nn.Module, x: Tensor, y: Tensor, *, steps: int = 1000, starts: Tensor | None = None, tries: int = 20,
             spherical_step: float = 0.1, source_step: float = 0.1, targeted: bool = False, seed: int = 0,
             bounds: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """A walk along the decision boundary towards the input, asking for labels only. Brendel, Rauber, Bethge, ICLR 2018.

    Each step draws a change at right angles to the line back to x, then goes a little along that line, and is taken if the
    result fools. arXiv:1712.04248.

    Args:
        model: (B, ...) -> (B, K) logits, of which only the highest one's number is used; left as it was.
        x: (B, ...) inputs inside the bounds.
        y: (B,) true classes; with targeted, classes wanted.
        steps: labels asked for each input on the walk.
        starts: (B, ...) points that fool, to start from; without them uniform noise and the other inputs are tried.
        tries: draws of noise tried for a start.
        spherical_step: first length of the orthogonal change, as a share of the distance; adapted.
        source_step: first length of the step towards x, as a share of the distance; adapted.
        targeted: whether y is what the model shall say.
        seed: decides every draw.
        bounds: (lowest, highest) value of an entry; finite unless starts are given.

    Returns:
        (B, ...), a new tensor, in bounds; rows for which no start fools as they were.

    Raises:
        ValueError: shapes or bounds do not fit, or logits are not finite.

    Example:
        >>> model = nn.Linear(2, 2, bias=False)
        >>> _ = model.weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> x = torch.tensor([[0.7, 0.5]])
        >>> moved = boundary(model, x, torch.tensor([0]), steps=300)
        >>> round(float((moved - x).norm()), 2)  # 0.2 / sqrt 2 is the least
        0.14
    """
    require(steps >= 0 and tries >= 0 and min(spherical_step, source_step) > 0,
            "expected steps and tries of at least 0, spherical_step and source_step above 0")
    require(starts is None or starts.shape == x.shape, f"expected starts of shape {tuple(x.shape)}")
    with attacking(model, x, y, bounds) as (x, y), torch.no_grad():
        rng = torch.Generator(x.device).manual_seed(seed)

        def wrong(places, rows):
            return fools(finite(model(places)), y[rows], targeted) if len(rows) else y[rows] > 0

        everyone = torch.arange(len(x), device=x.device)
        done = wrong(x, everyone)
        place, found = (x.clone(), done.clone()) if starts is None else (starts.detach().clamp(*bounds), done.clone())
        if starts is None:
            place, found = _starts(model, x, y, place, found, tries, targeted, rng, bounds)
        else:
            found = found | wrong(place, everyone)
        result = torch.where((found & ~done).view(rows_of(x)), place, x)
        rows = everyone[found & ~done]
        if len(rows):
            result[rows] = _walk(wrong, x[rows], _closer(wrong, x[rows], result[rows], rows, 12), rows, steps, spherical_step,
                                 source_step, rng, bounds)
        return result


def _starts(model, x, y, place, found, tries, targeted, rng, bounds):
    """A point that fools for every row, where one is found: the nearest other input of fitting label, or uniform noise."""
    low, high = bounds
    said = finite(model(x)).argmax(1) if len(x) else y
    fits = (said[None] == y[:, None]) if targeted else (said[None] != y[:, None])  # (B, B)
    far = torch.cdist(x.flatten(1), x.flatten(1)).masked_fill(~fits, torch.inf)
    if len(x):
        near = far.argmin(1)
        has = fits.any(1) & ~found
        place[has], found = x[near[has]], found | has
    for _ in range(tries):
        rows = (~found).nonzero()[:, 0]
        if not len(rows):
            break
        drawn = low + (high - low) * torch.rand(x[rows].shape, generator=rng, dtype=x.dtype, device=x.device)
        hit = fools(finite(model(drawn)), y[rows], targeted)
        place[rows[hit]] = drawn[hit]
        found[rows[hit]] = True
    return place, found


def _closer(wrong, x, place, rows, halvings):
    """Bisection of the line from x to a point that fools, to one that still does."""
    low, high = x.new_zeros(len(x)), x.new_ones(len(x))
    best = place.clone()
    for _ in range(halvings):
        middle = (low + high) / 2
        tried = x + middle.view(rows_of(x)) * (place - x)
        hit = wrong(tried, rows)
        low, high = torch.where(hit, low, middle), torch.where(hit, middle, high)
        best[hit] = tried[hit]
    return best


def _walk(wrong, x, place, rows, steps, spherical_step, source_step, rng, bounds):
    """Steps along the boundary: orthogonal ones as long as half of them fool, towards x as long as a quarter of the whole steps do."""
    turn, pull = x.new_full((len(x),), spherical_step), x.new_full((len(x),), source_step)
    shape, asked = rows_of(x), 0
    while asked < steps:
        back = x - place
        far = lengths(back, 2).clamp_min(1e-12).view(shape)
        unit = back / far
        drawn = torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)
        drawn = drawn - (drawn * unit).flatten(1).sum(1).view(shape) * unit
        drawn = drawn * (turn.view(shape) * far / lengths(drawn, 2).clamp_min(1e-30).view(shape))
        around = (x - (back - drawn) / (1 + turn.square()).sqrt().view(shape)).clamp(*bounds)  # about as far from x as place
        if asked % CHECKED == 0:
            turn = (turn * torch.where(wrong(around, rows), 1.3, 1 / 1.3)).clamp(1e-5, 1.0)
            asked += 1
        tried = (around + pull.view(shape) * (x - around)).clamp(*bounds)
        hit = wrong(tried, rows)
        nearer = hit & (lengths(tried - x, 2) < far.view(-1))
        place[nearer] = tried[nearer]
        pull = (pull * torch.where(hit, 1.06, 0.98)).clamp(1e-6, 0.9)
        asked += 1
    return place
