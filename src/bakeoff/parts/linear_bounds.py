"""Bounds on what a network can answer when each input number may move by up to a radius: by intervals, and by linear functions (CROWN).

The interval bound pushes a box, of centre c and spread r, through the layers: W c + b and |W| r, both ends of a ReLU. The linear bound
goes the other way: rows A of the answer are pulled back, A W through an affine layer, and through a ReLU whose input lies in [l, u]
by two lines,

    a z <= ReLU(z) <= u (z - l) / (u - l),    a = 1 where u > -l, else 0,

the lower line where A is positive and the upper where it is negative, until A x + d <= rows of the answer, whose minimum over the box
is A c - |A| r + d. With [l, u] from intervals this is CROWN-IBP; with [l, u] from pulling back too, CROWN. There a ReLU whose sign
intervals know is exact already, so only the open ones are pulled back, each sample's own; and what a unit of a convolution is made
from is a small window, in which it is pulled back as in a network of its own.

Zhang et al. (CROWN), NeurIPS 2018, arXiv:1811.00866. Gowal et al. (intervals), arXiv:1810.12715. Zhang et al. (CROWN-IBP), ICLR 2020,
arXiv:1906.06316. The bounds are those of real numbers: a float computed beside one may pass it by its rounding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.parts.conv_windows import IDLE, windows

SHAPED = (nn.Flatten, nn.AvgPool2d, nn.AdaptiveAvgPool2d)  # linear, no weight negative
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
KNOWN = (nn.Linear, nn.Conv2d, nn.ReLU, *SHAPED, *NORMS, *IDLE)
Box = tuple[Tensor, Tensor]  # lower and upper ends, of one shape
AT_ONCE = 1 << 19  # numbers in the rows that are pulled back together: what still lies in a cache


def interval_bounds(model: nn.Module, x: Tensor, radius: float, *, of: Tensor | None = None,
                    bounds: tuple[float, float] | None = (0.0, 1.0)) -> Box:
    """Bounds of the model's outputs by intervals: cheap, loose unless the model was trained for them.

    Args:
        model: a `Sequential` of Linear, Conv2d, ReLU, Flatten, average pooling, BatchNorm, Dropout and Identity, nested or not; it is
            bounded as it answers in evaluation mode, whatever mode it is in. (B, ...) -> (B, K).
        x: (B, ...) inputs.
        radius: how far each number of x may move, 0 or more.
        of: (B, S, K) or (S, K), sums of the outputs to bound, taken together with a last Linear; None for the outputs themselves.
        bounds: ends of the range that inputs keep to, inside which the box is cut; None for no ends.

    Returns:
        lower and upper, each (B, K), or (B, S) with `of`; differentiable.

    Raises:
        ValueError: a layer is of another kind, or x or radius is out of range.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> for name, value in {"0.weight": [[1.0], [-1.0]], "0.bias": [0.0, 0.0], "2.weight": [[1.0, 1.0]], "2.bias": [0.0]}.items():
        ...     model.get_parameter(name).data = torch.tensor(value)  # |x|
        >>> lower, upper = interval_bounds(model, torch.tensor([[0.0]]), radius=0.5, bounds=None)
        >>> lower.tolist(), upper.tolist()
        ([[0.0]], [[1.0]])
    """
    layers = _layers(model)
    boxes = _push(layers, _box(x, radius, bounds))
    return boxes[-1] if of is None else _both(*_last(layers, boxes), of)


def crown_bounds(model: nn.Module, x: Tensor, radius: float, *, of: Tensor | None = None,
                 bounds: tuple[float, float] | None = (0.0, 1.0), between: str = "intervals") -> Box:
    """Bounds of the model's outputs by linear functions of the input: CROWN-IBP, or CROWN.

    Args:
        model: as for `interval_bounds`.
        x: (B, ...) inputs.
        radius: how far each number of x may move, 0 or more.
        of: (B, S, K) or (S, K), sums of the outputs to bound; None for the outputs themselves.
        bounds: ends of the range that inputs keep to, inside which the box is cut; None for no ends.
        between: how the inputs of ReLUs are bounded: "intervals" (CROWN-IBP; one pass back) or "lines" (CROWN; tighter in an untrained or
            plainly trained network, and slower by the number of its units).

    Returns:
        lower and upper, each (B, K), or (B, S) with `of`; differentiable.

    Raises:
        ValueError: a layer is of another kind, or an argument is out of range.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> for name, value in {"0.weight": [[1.0], [-1.0]], "0.bias": [0.0, 0.0], "2.weight": [[1.0, 1.0]], "2.bias": [0.0]}.items():
        ...     model.get_parameter(name).data = torch.tensor(value)  # |x|
        >>> lower, upper = crown_bounds(model, torch.tensor([[0.0]]), radius=0.5, bounds=None)
        >>> lower.tolist(), upper.tolist()
        ([[0.0]], [[0.5]])
    """
    if between not in ("intervals", "lines"):
        raise ValueError(f"between is {between!r}; expected 'intervals' or 'lines'")
    layers = _layers(model)
    return _both(layers, _push(layers, _box(x, radius, bounds), between == "lines"), of)


def margin_bounds(model: nn.Module, x: Tensor, y: Tensor, radius: float, *, crown: float = 1.0,
                  bounds: tuple[float, float] | None = (0.0, 1.0)) -> Tensor:
    """Lower bounds of logit y less each other logit: where all are above 0, no input of the box is given another label than y.

    Args:
        model: as for `interval_bounds`; (B, ...) -> (B, K) logits.
        x: (B, ...) inputs.
        y: (B,) the label of each.
        radius: how far each number of x may move, 0 or more.
        crown: the bound is this share of the CROWN-IBP bound and the rest of the interval bound; 0 takes no pass back.
        bounds: ends of the range that inputs keep to, inside which the box is cut; None for no ends.

    Returns:
        (B, K - 1), the other labels in rising order; differentiable.

    Raises:
        ValueError: a layer is of another kind, or an argument is out of range.

    Example:
        >>> model = nn.Linear(2, 2, bias=False)
        >>> model.weight.data = torch.eye(2)
        >>> margin_bounds(model, torch.tensor([[0.75, 0.25]]), torch.tensor([0]), radius=0.125)  # 0.5 - 2 * 0.125
        tensor([[0.2500]], grad_fn=<AddBackward0>)
    """
    if not 0 <= crown <= 1:
        raise ValueError(f"crown is {crown}; expected a share in [0, 1]")
    layers = _layers(model)
    boxes = _push(layers, _box(x, radius, bounds))
    of = margins(y, boxes[-1][0].shape[1], x.dtype)
    lower = 0.0
    if crown < 1:
        lower = lower + (1 - crown) * _lower(*_last(layers, boxes), of)
    if crown > 0:
        lower = lower + crown * _lower(layers, boxes, of)
    return lower


def margins(y: Tensor, classes: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The sums of logits that are margins: logit y less each of the others.

    Args:
        y: (B,) labels.
        classes: K.
        dtype: of the answer.

    Returns:
        (B, K - 1, K) of -1, 0 and 1.

    Example:
        >>> margins(torch.tensor([1]), 3).tolist()
        [[[-1.0, 1.0, 0.0], [0.0, 1.0, -1.0]]]
    """
    one = torch.eye(classes, dtype=dtype, device=y.device)
    other = torch.arange(classes - 1, device=y.device) + (torch.arange(classes - 1, device=y.device) >= y[:, None])  # (B, K - 1)
    return one[y][:, None] - one[other]


def _layers(model: nn.Module) -> list[nn.Module]:
    """The layers in order, Sequentials opened."""
    if isinstance(model, nn.Sequential) and type(model).forward is nn.Sequential.forward:
        return [layer for part in model for layer in _layers(part)]
    kind = next((kind for kind in KNOWN if isinstance(model, kind) and type(model).forward is kind.forward), None)
    if kind is None:
        raise ValueError(f"no bounds are known for a layer {type(model).__name__}; expected a Sequential of "
                         f"{', '.join(one.__name__ for one in KNOWN)}")
    if kind in NORMS and model.running_var is None:
        raise ValueError("a BatchNorm without running statistics has no bounds of one input; expected track_running_stats=True")
    if kind is nn.Conv2d and (model.padding_mode != "zeros" or isinstance(model.padding, str)):
        raise ValueError(f"a Conv2d pads by {model.padding!r}, {model.padding_mode!r}; expected numbers, and zeros")
    return [model]


def _box(x: Tensor, radius: float, bounds: tuple[float, float] | None) -> Box:
    if not (0 <= radius < float("inf")):
        raise ValueError(f"radius is {radius}; expected a finite number, 0 or more")
    if not (x.is_floating_point() and x.numel()):
        raise ValueError("x is empty or of whole numbers; expected finite floats (B, ...) with B > 0")
    least, most = (float(end) for end in x.detach().aminmax())  # both nan where a number is
    if not (-float("inf") < least and most < float("inf")):
        raise ValueError(f"x is not finite: it goes from {least:g} to {most:g}")
    if bounds is None:
        return x - radius, x + radius
    low, high = bounds
    if not low <= least <= most <= high:
        raise ValueError(f"x goes from {least:g} to {most:g}; expected it within bounds={bounds}, "
                         "or give the ends of your inputs' range, or None")
    return (x - radius).clamp(min=low), (x + radius).clamp(max=high)


def _push(layers: list[nn.Module], box: Box, lines: bool = False) -> list[Box]:
    """The boxes of each layer's input, and last that of the output: by intervals, or with `lines` those of ReLUs' inputs by lines.

    Where one affine layer lies between, intervals are as tight.
    """
    boxes = [box]
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.ReLU):
            if lines and sum(not isinstance(one, (nn.Flatten, *NORMS, *IDLE)) for one in layers[:index]) > 1:
                boxes[-1] = _tightened(layers[:index], boxes)
            boxes.append(tuple(end.relu() for end in boxes[-1]))
        elif isinstance(layer, IDLE):
            boxes.append(boxes[-1])
        else:
            lower, upper = boxes[-1]
            centre, spread = _affine(layer, (lower + upper) / 2, (upper - lower) / 2)
            boxes.append((centre - spread, centre + spread))
    return boxes


def _affine(layer: nn.Module, centre: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """W c + b and |W| r."""
    if isinstance(layer, nn.Linear):
        return layer(centre), F.linear(spread, layer.weight.abs())
    if isinstance(layer, nn.Conv2d):
        return layer(centre), F.conv2d(spread, layer.weight.abs(), None, layer.stride, layer.padding, layer.dilation, layer.groups)
    if isinstance(layer, NORMS):
        scale, shift = _normalisation(layer, centre.ndim - 2)
        return scale * centre + shift, scale.abs() * spread
    return layer(centre), layer(spread)


def _normalisation(layer: nn.Module, sides: int) -> tuple[Tensor, Tensor]:
    """What BatchNorm multiplies by and adds in evaluation mode, each (C, 1, ...) with `sides` ones."""
    scale = (layer.running_var + layer.eps).rsqrt()
    shift = -layer.running_mean * scale
    if layer.affine:
        scale, shift = scale * layer.weight, shift * layer.weight + layer.bias
    return scale.view(-1, *[1] * sides), shift.view(-1, *[1] * sides)


def _lower(layers: list[nn.Module], boxes: list[Box], rows: Tensor) -> Tensor:
    """Lower bounds (B, S) of rows (B, S, ...) times the output of the layers, the first one's input being in boxes[0]."""
    step = max(1, AT_ONCE // (rows.shape[1] * max(lower[0].numel() for lower, _ in boxes)))
    found = []
    for at in range(0, len(rows), step):
        near = [(lower[at:at + step], upper[at:at + step]) for lower, upper in boxes]
        pulled, constant = _back(layers, near, rows[at:at + step])
        lower, upper = (end[:, None] for end in near[0])  # (B, 1, ...)
        found.append(constant + torch.addcmul(pulled * ((lower + upper) / 2), pulled.abs(), (lower - upper) / 2).flatten(2).sum(2))
    return torch.cat(found)


def _back(layers: list[nn.Module], boxes: list[Box], rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (B, S, ...) and a constant (B, S) of the first layer's input, no more than rows of the last one's output."""
    bound = rows.new_zeros(rows.shape[:2])
    for layer, (lower, upper) in zip(layers[::-1], boxes[:len(layers)][::-1], strict=True):
        rows, constant = _pull(layer, rows, lower, upper)
        bound = bound + constant
    return rows, bound


def _pull(layer: nn.Module, rows: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor | float]:
    """Rows and a constant of the layer's input, (B, S, ...) and (B, S), no more than rows of its output."""
    if isinstance(layer, nn.ReLU):
        under, over = lower.clamp(max=0)[:, None], upper.clamp(min=0)[:, None]
        slope = over / (over - under).clamp(min=torch.finfo(rows.dtype).tiny)  # 0 where always off, 1 where always on
        line = (over > -under).to(rows.dtype)
        negative = rows.clamp(max=0)
        return torch.addcmul(rows * line, negative, slope - line), -(negative * (slope * under)).flatten(2).sum(2)
    if isinstance(layer, nn.Linear):
        return rows @ layer.weight, 0.0 if layer.bias is None else (rows @ layer.bias).reshape(*rows.shape[:2], -1).sum(2)
    if isinstance(layer, nn.Conv2d):
        return _pull_convolution(layer, rows, lower.shape[1:])
    if isinstance(layer, NORMS):
        scale, shift = _normalisation(layer, rows.ndim - 3)
        return rows * scale, (rows * shift).flatten(2).sum(2)
    return (rows if isinstance(layer, IDLE) else _pull_shaped(layer, rows, lower.shape[1:])), 0.0


def _pull_convolution(layer: nn.Conv2d, rows: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor | float]:
    missed = [side - ((out - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1) for side, out, stride, padding, dilation, kernel in
              zip(shape[1:], rows.shape[-2:], layer.stride, layer.padding, layer.dilation, layer.kernel_size, strict=True)]
    if layer.groups == 1 and layer.in_channels <= 4:  # few: quicker as one product, whose windows are summed
        pulled = F.fold(layer.weight.flatten(1).T @ rows.flatten(0, 1).flatten(2), shape[1:], layer.kernel_size, layer.dilation,
                        layer.padding, layer.stride)
    else:
        pulled = F.conv_transpose2d(rows.flatten(0, 1), layer.weight, None, layer.stride, layer.padding, missed, layer.groups,
                                    layer.dilation)
    return pulled.unflatten(0, rows.shape[:2]), 0.0 if layer.bias is None else rows.sum((3, 4)) @ layer.bias


def _pull_shaped(layer: nn.Module, rows: Tensor, shape: torch.Size) -> Tensor:
    """By the gradient of the layer, which is linear."""
    keep = torch.is_grad_enabled()
    with torch.enable_grad():
        start = rows.new_zeros(rows.shape[0] * rows.shape[1], *shape, requires_grad=True)
        pulled, = torch.autograd.grad(layer(start), start, rows.flatten(0, 1), create_graph=keep)
    return pulled.unflatten(0, rows.shape[:2])


def _last(layers: list[nn.Module], boxes: list[Box]) -> tuple[list[nn.Module], list[Box]]:
    """What interval bounds pull rows back through: a last Linear, otherwise nothing."""
    count = int(isinstance(layers[-1], nn.Linear))
    return layers[len(layers) - count:], boxes[len(layers) - count:]


def _both(layers: list[nn.Module], boxes: list[Box], of: Tensor | None, at_once: int = 256) -> Box:
    """Lower and upper bounds (B, S) of `of` times the output; of the output's own numbers without `of`."""
    out = boxes[-1][0]  # (B, ...)
    if of is None:
        of = torch.eye(out[0].numel(), dtype=out.dtype, device=out.device)
    elif of.shape[-1] != out[0].numel() or of.ndim not in (2, 3) or (of.ndim == 3 and len(of) != len(out)):
        raise ValueError(f"of has shape {tuple(of.shape)}; expected (S, {out[0].numel()}) or ({len(out)}, S, {out[0].numel()})")
    of = of[None] if of.ndim == 2 else of
    found = [_between(layers, boxes, part.unflatten(2, out.shape[1:])) for part in of.split(at_once, 1)]
    return tuple(torch.cat(ends, 1) for ends in zip(*found, strict=True))


def _between(layers: list[nn.Module], boxes: list[Box], rows: Tensor, of: Tensor | None = None) -> Box:
    """Lower and upper bounds (B, S) of rows (B or 1, S, ...) times the output, or of those that `of` (B, S) picks of rows (1, R, ...)."""
    end = max((at + 1 for at, layer in enumerate(layers) if isinstance(layer, nn.ReLU)), default=0)
    rows, constant = (one if of is None else one[0, of] for one in _back(layers[end:], boxes[end:], rows))  # exact for both signs
    rows = rows.expand(len(boxes[0][0]), *rows.shape[1:])
    lower, upper = _lower(layers[:end], boxes[:end + 1], torch.cat((rows, -rows), 1)).chunk(2, 1)
    return constant + lower, constant - upper


def _tightened(layers: list[nn.Module], boxes: list[Box]) -> Box:
    """The last box, those of its units whose sign it leaves open pulled back to the input.

    Samples, or their places where units have windows, go by their number of open units, so that few rows are pulled for nothing.
    """
    cut = windows(layers, boxes)
    old = [end.movedim(1, -1) if cut else end.flatten(1) for end in boxes[-1]]  # each (B, D) or (B, H, W, C)
    shape = (-1, 1, 1) if cut else boxes[-1][0].shape[1:]
    layers, boxes = cut or (layers, boxes)
    *dims, count = old[0].shape
    ends = [end.flatten(0, -2) for end in old]  # each (N, D)
    open_ = (ends[0] < 0) & (ends[1] > 0)
    counts, order = open_.sum(1).sort(descending=True)
    counts, most = counts.tolist(), max(1, AT_ONCE // (2 * max(end[(0,) * len(dims)].numel() for end, _ in boxes)))
    at, new = 0, ends
    while at < len(order) and counts[at]:
        some = order[at:at + max(1, most // counts[at])]  # (n,)
        near = [tuple(end[torch.unravel_index(some, dims)] for end in box) for box in boxes]  # each (n, ...)
        for units in open_[some].byte().topk(counts[at], 1).indices.split(most, 1):  # (n, S)
            kinds, of = units.unique(return_inverse=True)
            rows = ends[0].new_zeros(1, len(kinds), count).scatter_(2, kinds[None, :, None], 1).unflatten(2, shape)
            found = _between(layers, near, rows, of)
            new = [end.index_put((some[:, None], units), one) for end, one in zip(new, found, strict=True)]
        at += len(some)
    ends = [torch.where(open_, one, end).view(old[0].shape) for one, end in zip(new, ends, strict=True)]
    return tuple(end.movedim(-1, 1) if cut else end.unflatten(1, shape) for end in ends)
