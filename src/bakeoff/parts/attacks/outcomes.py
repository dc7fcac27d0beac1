"""What an attack has come to: which inputs a model still gets right, and the losses that attacks climb."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..evaluating import evaluating
from .balls import require


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """-log softmax(logits)_y of every row: (B, K), (B,) -> (B,)."""
    return F.cross_entropy(logits, y, reduction="none")


def margin_loss(logits: Tensor, y: Tensor) -> Tensor:
    """The highest logit of another class minus the one of y, after Carlini and Wagner: above 0 where the model says another class.

    Args:
        logits: (B, K), K >= 2.
        y: (B,) class numbers.

    Returns:
        (B,).

    Example:
        >>> margin_loss(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0])).tolist()
        [-1.0]
    """
    true = logits.gather(1, y[:, None])[:, 0]
    return logits.scatter(1, y[:, None], -torch.inf).amax(1) - true


def dlr_loss(logits: Tensor, y: Tensor) -> Tensor:
    """The margin divided by the first minus the third highest logit (Croce, Hein, ICML 2020): blind to the logits' scale.

    Args:
        logits: (B, K); with K = 2 the second highest stands in for the third.
        y: (B,) class numbers.

    Returns:
        (B,), the loss to climb.

    Example:
        >>> dlr_loss(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0])).tolist()
        [-0.5]
    """
    top = logits.topk(min(3, logits.shape[1]), dim=1).values
    return margin_loss(logits, y) / (top[:, 0] - top[:, -1] + 1e-12)


def right(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Whether the model, in evaluation mode, says y.

    Args:
        model: (B, ...) -> (B, K) logits.
        x: (B, ...).
        y: (B,) class numbers.

    Returns:
        (B,) of bool.

    Raises:
        ValueError: x and y do not fit each other, or logits are not finite.
    """
    _labels(x, y)
    with evaluating(model), torch.no_grad():
        return finite(model(x), y).argmax(1) == y


def accuracy(model: nn.Module, x: Tensor, y: Tensor, batch: int = 500) -> float:
    """The share of inputs for which the model, in evaluation mode, says y.

    Args:
        model: (B, ...) -> (B, K) logits.
        x: (B, ...), B > 0.
        y: (B,) class numbers.
        batch: inputs seen at once.

    Returns:
        A share in [0, 1].

    Raises:
        ValueError: there is no input, x and y do not fit each other, or logits are not finite.

    Example:
        >>> accuracy(nn.Identity(), torch.eye(3), torch.tensor([0, 1, 1]))
        0.6666666666666666
    """
    _labels(x, y)
    require(len(x) > 0, "expected at least one input")
    return sum(int(right(model, *part).sum()) for part in zip(x.split(batch), y.split(batch), strict=True)) / len(x)


def worst_of(model: nn.Module, x: Tensor, y: Tensor, candidates: Sequence[Tensor]) -> Tensor:
    """Of several attacks' results the worst for every image: one that fools if any does, else the one of highest margin loss.

    Args:
        model: (B, ...) -> (B, K) logits.
        x: (B, ...) what was attacked; a candidate too, so an image that is already wrong counts as fooled.
        y: (B,) the true classes.
        candidates: tensors (B, ...) from attacks on x.

    Returns:
        (B, ...), a new tensor.

    Raises:
        ValueError: a candidate is not of x's shape, or logits are not finite.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
        >>> worst_of(nn.Identity(), x, torch.tensor([0, 0]), [x * 0.5, 1 - x]).tolist()
        [[0.0, 1.0], [0.0, 1.0]]
    """
    worst, top = x.detach().clone(), None
    for candidate in (x, *candidates):
        require(candidate.shape == x.shape, f"expected candidates of shape {tuple(x.shape)}, got {tuple(candidate.shape)}")
        with evaluating(model), torch.no_grad():
            logits = finite(model(candidate), y)
        height = margin_loss(logits, y).masked_fill(logits.argmax(1) != y, torch.inf)
        better = torch.ones_like(y, dtype=torch.bool) if top is None else height > top
        worst[better] = candidate[better].detach()
        top = height if top is None else torch.maximum(top, height)
    return worst


def fools(logits: Tensor, y: Tensor, targeted: bool) -> Tensor:
    """Whether the class said is not y, or with targeted is y: (B,) of bool."""
    said = logits.argmax(1)
    return said == y if targeted else said != y


def finite(logits: Tensor, y: Tensor | None = None) -> Tensor:
    """The logits themselves, looked at: (B, K), all finite, and the classes y among 0..K-1; or ValueError."""
    require(isinstance(logits, Tensor), f"expected a model that gives logits (B, K), got {type(logits).__name__}")
    require(logits.ndim == 2 and logits.shape[1] > 1, f"expected a model that gives logits (B, K), K >= 2, got {tuple(logits.shape)}")
    require(bool(logits.detach().isfinite().all()), "expected finite logits; the model gives others, as one does whose training diverged")
    if y is not None and len(y):
        low, high = int(y.min()), int(y.max())
        require(low >= 0 and high < logits.shape[1], f"expected classes 0 to {logits.shape[1] - 1}, one a logit, got {low} to {high}")
    return logits


def slope(model: nn.Module, x: Tensor, loss, wanted: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (B, K), values (B,) of loss(logits), and the values' gradient in x, with no other gradient computed; zeros if not wanted."""
    x = x.detach().requires_grad_(wanted)
    with torch.set_grad_enabled(wanted):
        logits = finite(model(x))
        values = loss(logits)
    require(not bool(values.detach().isnan().any()), "expected a loss that is a number, it gives NaN")
    return logits.detach(), values.detach(), torch.autograd.grad(values.sum(), x)[0] if wanted else torch.zeros_like(x)


@contextmanager
def attacking(model: nn.Module, x: Tensor, y: Tensor, bounds: tuple[float, float]) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs looked at, the model in evaluation mode, gradients on whatever surrounds the call; gives x and y detached."""
    require(isinstance(model, nn.Module), f"expected a torch.nn.Module, got {type(model).__name__}")
    require(isinstance(x, Tensor) and x.is_floating_point() and x.ndim > 1,
            "expected x as a tensor of floats (B, ...); for one image, x[None]")
    _labels(x, y)
    for parameter in model.parameters():
        require(parameter.dtype == x.dtype, f"expected x in the model's {parameter.dtype}, got {x.dtype}; x.to({parameter.dtype}) is it")
        break
    low, high = bounds
    require(low < high, f"expected bounds (lowest, highest), got {bounds}")
    require(len(x) == 0 or bool((x >= low).all() and (x <= high).all()),
            f"expected finite x in {bounds}; scale the images, or give the bounds they have as bounds=")
    with evaluating(model), torch.inference_mode(False):
        x, y = x.detach().clone(), y.detach().long()
        with torch.no_grad():
            if len(x):
                finite(model(x[:1]), y)
        with torch.enable_grad():
            yield x, y


def _labels(x: Tensor, y: Tensor) -> None:
    require(isinstance(y, Tensor) and y.shape == x.shape[:1] and not y.is_floating_point(),
            f"expected y as whole numbers of shape ({len(x)},), one class an input; got {getattr(y, 'dtype', type(y).__name__)}, "
            f"{tuple(getattr(y, 'shape', ()))}")
