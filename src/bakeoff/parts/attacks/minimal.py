"""Attacks that look for the smallest change that fools: DeepFool, Carlini-Wagner, decoupled direction and norm."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .balls import lengths, placed, require, rows_of
from .outcomes import attacking, cross_entropy, finite, fools, margin_loss, slope

BEYOND = 1e-4  # added to each step of DeepFool, or a clipped iterate creeps up to the boundary without end


def deepfool(model: nn.Module, x: Tensor, y: Tensor, *, norm: float = 2, steps: int = 50, overshoot: float = 0.02, candidates: int = 10,
             bounds: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Steps to the nearest boundary of the model's linearisation. Moosavi-Dezfooli, Fawzi, Frossard, CVPR 2016. arXiv:1511.04599.

    Args:
        model: (B, ...) -> (B, K) logits; left as it was.
        x: (B, ...) inputs inside the bounds.
        y: (B,) true classes.
        norm: 2 or math.inf, in which the boundary is nearest.
        steps: linearisations at most.
        overshoot: share by which the change is lengthened, to cross the boundary.
        candidates: classes looked at, those of highest logits.
        bounds: (lowest, highest) value of an entry.

    Returns:
        (B, ...), a new tensor, in bounds; rows never fooled, and those wrong from the start, as they were.

    Raises:
        ValueError: shapes, bounds or norm do not fit, or logits are not finite.

    Example:
        >>> model = nn.Linear(2, 2, bias=False)
        >>> _ = model.weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> x = torch.tensor([[0.7, 0.5]])
        >>> moved = deepfool(model, x, torch.tensor([0]), overshoot=0.02)
        >>> [round(value, 3) for value in (moved - x)[0].tolist()]  # 0.1 each is the least
        [-0.102, 0.102]
    """
    require(norm in (2, math.inf), f"expected norm 2 or math.inf, got {norm}")
    require(steps > 0 and overshoot >= 0 and candidates > 1, "expected steps above 0, overshoot of at least 0, candidates above 1")
    with attacking(model, x, y, bounds) as (x, y):
        result = x.clone()
        live, start, change = torch.arange(len(x), device=x.device), x, torch.zeros_like(x)
        for _ in range(steps + 1):
            if not len(live):
                break
            place = placed(start, (1 + overshoot) * change, bounds).requires_grad_()
            logits = finite(model(place))
            hit = fools(logits, y, False).detach()
            result[live[hit]] = place.detach()[hit]
            step = _to_boundary(logits, place, y, norm, candidates)
            live, start, y, place, step = (part[~hit] for part in (live, start, y, place.detach(), step))
            change = (place - start) / (1 + overshoot) + step
        return result


def _to_boundary(logits: Tensor, x: Tensor, y: Tensor, norm: float, candidates: int) -> Tensor:
    """The shortest change that makes another class's linearised logit equal to y's: (B, ...)."""
    others = logits.detach().scatter(1, y[:, None], -torch.inf).topk(min(candidates, logits.shape[1]) - 1, dim=1).indices  # (B, k)
    gaps = logits.gather(1, others) - logits.gather(1, y[:, None])  # (B, k)
    nearest, step = torch.full_like(gaps[:, 0].detach(), torch.inf), torch.zeros_like(x)
    for k in range(others.shape[1]):
        normal = torch.autograd.grad(gaps[:, k].sum(), x, retain_graph=k + 1 < others.shape[1])[0]
        size = lengths(normal, 1 if norm == math.inf else 2).clamp_min(1e-12)
        distance = gaps[:, k].detach().abs() / size
        closer = distance < nearest
        nearest = torch.where(closer, distance, nearest)
        unit = normal.sign() if norm == math.inf else normal / size.view(rows_of(x))
        step[closer] = ((distance + BEYOND).view(rows_of(x)) * unit)[closer]
    return step


def carlini_wagner(model: nn.Module, x: Tensor, y: Tensor, *, steps: int = 200, binary_searches: int = 5, learning_rate: float = 0.01,
                   constant: float = 0.1, confidence: float = 0.0, patience: float = 0.1, targeted: bool = False,
                   bounds: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """The smallest L2 change by Adam on distance and margin. Carlini, Wagner, IEEE S&P 2017. arXiv:1608.04644.

        minimise over w  |x' - x|^2 + c max(margin + confidence, 0),  x' = tanh(w) brought to the bounds

    Each input has its c, found by bisection: raised where nothing fooled, lowered where something did.

    Args:
        model: (B, ...) -> (B, K) logits; left as it was.
        x: (B, ...) inputs inside the bounds.
        y: (B,) true classes; with targeted, classes wanted.
        steps: of Adam for each constant.
        binary_searches: constants tried.
        learning_rate: Adam's.
        constant: the first c; raised tenfold until something fools.
        confidence: margin by which a wrong class must lead.
        patience: share of the steps without progress after which a row is given up.
        targeted: whether y is what the model shall say.
        bounds: (lowest, highest) value of an entry; both finite.

    Returns:
        (B, ...), a new tensor, in bounds; rows never fooled as they were.

    Raises:
        ValueError: shapes or bounds do not fit, or logits are not finite.

    Example:
        >>> model = nn.Linear(2, 2, bias=False)
        >>> _ = model.weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> x = torch.tensor([[0.7, 0.5]])
        >>> moved = carlini_wagner(model, x, torch.tensor([0]))
        >>> round(float((moved - x).norm()), 2)  # 0.2 / sqrt 2 is the least
        0.14
    """
    require(min(steps, binary_searches) > 0 and min(learning_rate, constant) > 0,
            "expected steps, binary_searches, learning_rate and constant above 0")
    require(all(map(math.isfinite, bounds)), f"expected finite bounds, got {bounds}")
    with attacking(model, x, y, bounds) as (x, y):
        result, shortest = x.clone(), x.new_full((len(x),), torch.inf)
        low, high, weight = (x.new_full((len(x),), value) for value in (0.0, torch.inf, constant))
        for _ in range(binary_searches):
            hit = _descend(model, x, y, weight, result, shortest, steps, learning_rate, confidence, patience, targeted, bounds)
            low, high = torch.where(hit, low, weight), torch.where(hit, weight, high)
            weight = torch.where(high.isinf(), 10 * weight, (low + high) / 2)
        return result


def _descend(model, x, y, weight, result, shortest, steps, learning_rate, confidence, patience, targeted, bounds):
    """Adam at one constant a row; shorter changes that fool are written to result and shortest. Gives whether any fooled: (B,)."""
    low, high = bounds
    hit_ever = torch.zeros_like(y, dtype=torch.bool)
    live, lowest, since = torch.arange(len(x), device=x.device), torch.full_like(weight, torch.inf), torch.zeros_like(y)
    w = torch.atanh(((x - low) / (high - low) * 2 - 1) * 0.999999)
    first, second = torch.zeros_like(w), torch.zeros_like(w)
    for step in range(1, steps + 1):
        w = w.detach().requires_grad_()
        squashed = w.tanh()
        place = ((squashed + 1) * ((high - low) / 2) + low).clamp(low, high)
        logits = finite(model(place))
        margin = margin_loss(logits, y)
        short = (margin if targeted else -margin) + confidence
        far = (place - x).flatten(1).square().sum(1)
        loss = far + weight * short.clamp_min(0)
        gradient = torch.autograd.grad(loss.sum(), w)[0]
        far, loss, place = far.detach(), loss.detach(), place.detach()
        hit = fools(logits.detach(), y, targeted) & (short.detach() <= 0)
        shorter = hit & (far < shortest[live])
        result[live[shorter]], shortest[live[shorter]] = place[shorter], far[shorter]
        hit_ever[live[hit]] = True
        better = loss < 0.9999 * lowest
        lowest, since = torch.where(better, loss, lowest), torch.where(better, 0, since + 1)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient ** 2
        w = w.detach() - learning_rate * (first / (1 - 0.9 ** step)) / ((second / (1 - 0.999 ** step)).sqrt() + 1e-8)
        stay = since < max(1, patience * steps)
        if not bool(stay.all()):
            live, x, y, w, first, second, weight, lowest, since = (
                part[stay] for part in (live, x, y, w, first, second, weight, lowest, since))
            if not len(live):
                break
    return hit_ever


def decoupled(model: nn.Module, x: Tensor, y: Tensor, *, steps: int = 100, radius: float = 1.0, gamma: float = 0.05,
              targeted: bool = False, bounds: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Small L2 changes by deciding direction and norm apart. Rony and others, CVPR 2019 (DDN). arXiv:1811.09600.

    Args:
        model: (B, ...) -> (B, K) logits; left as it was.
        x: (B, ...) inputs inside the bounds.
        y: (B,) true classes; with targeted, classes wanted.
        steps: gradients.
        radius: the first norm tried.
        gamma: share by which the norm shrinks after a change that fools and grows after one that does not.
        targeted: whether y is what the model shall say.
        bounds: (lowest, highest) value of an entry.

    Returns:
        (B, ...), a new tensor, in bounds; rows never fooled as they were.

    Raises:
        ValueError: shapes or bounds do not fit, or logits are not finite.

    Example:
        >>> model = nn.Linear(2, 2, bias=False)
        >>> _ = model.weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> x = torch.tensor([[0.7, 0.5]])
        >>> moved = decoupled(model, x, torch.tensor([0]))
        >>> round(float((moved - x).norm()), 2)  # 0.2 / sqrt 2 is the least
        0.14
    """
    require(steps > 0 and radius > 0 and 0 < gamma < 1, "expected steps and radius above 0, gamma between 0 and 1")
    sign = -1.0 if targeted else 1.0
    with attacking(model, x, y, bounds) as (x, y):
        result, shortest = x.clone(), x.new_full((len(x),), torch.inf)
        change, norm = torch.zeros_like(x), x.new_full((len(x),), radius)
        for step in range(steps + 1) if len(x) else ():
            place = placed(x, change, bounds)
            logits, _, gradient = slope(model, place, lambda logits: sign * cross_entropy(logits, y))
            hit = fools(logits, y, targeted)
            far = lengths(place - x, 2)
            shorter = hit & (far < shortest)
            result[shorter], shortest[shorter] = place[shorter], far[shorter]
            rate = 0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2  # from 1 down to 0.01
            change = change + rate * gradient / lengths(gradient, 2).clamp_min(1e-30).view(rows_of(x))
            norm = norm * torch.where(hit, 1 - gamma, 1 + gamma)
            change = placed(x, change * (norm / lengths(change, 2).clamp_min(1e-30)).view(rows_of(x)), bounds) - x
        return result
