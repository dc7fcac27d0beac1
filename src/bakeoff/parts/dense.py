"""A dense layer with its ReLU, and its gradients, by oneDNN's products where PyTorch has them and they are the faster ones.

PyTorch multiplies float32 matrices on x86 by MKL, which leaves half the width of the vector units of some processors unused; oneDNN,
which PyTorch brings too, does not, and applies the ReLU on the way. Both give the same numbers up to rounding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
LARGE, LARGE_WITH_SLOPES = 2**20, 2**22  # multiplications: below, the calls cost more than the faster product saves


def dense(x: Tensor, weight: Tensor, bias: Tensor | None = None, relu: bool = False) -> Tensor:
    """x weight^T + bias, and the positive part of it if asked for.

    Args:
        x: (..., I).
        weight: (U, I).
        bias: (U,).
        relu: whether negative values become 0.

    Returns:
        (..., U).

    Example:
        >>> dense(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [-1.0, 0.0]]), torch.tensor([0.5, 0.5]), relu=True)
        tensor([[11.5000,  0.0000]])
    """
    slopes = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    if not large(x.numel() * len(weight), slopes) or x.dtype != torch.float32 or x.device.type != "cpu":
        y = F.linear(x, weight, bias)
        return y.relu() if relu else y
    return _Dense.apply(x, weight, bias, relu) if slopes else _product(x, weight, bias, relu)


def large(multiplications: int, slopes: bool) -> bool:
    """Whether a product is left to oneDNN, by its size and whether slopes will be asked of it."""
    return ONEDNN and multiplications >= (LARGE_WITH_SLOPES if slopes else LARGE)


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, relu):
        y = _product(x, weight, bias, relu)
        ctx.save_for_backward(x, weight, y if relu else None)
        return y

    @staticmethod
    def backward(ctx, slope):  # (..., U); made of differentiable operations, so that it has derivatives too
        x, weight, y = ctx.saved_tensors
        by_x, by_weight, by_bias, _ = ctx.needs_input_grad
        slope = slope if y is None else torch.ops.aten.threshold_backward(slope, y, 0)
        rows, inputs = slope.reshape(-1, len(weight)), x.reshape(-1, x.shape[-1])
        return (dense(slope, weight.T) if by_x else None, dense(rows.T, inputs.T) if by_weight else None,
                rows.sum(0) if by_bias else None, None)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "relu" if relu else "none", [], "")
