"""How far apart two sets of samples lie: the maximum mean discrepancy (MMD).

Gretton, Borgwardt, Rasch, Schoelkopf, Smola. A Kernel Two-Sample Test. JMLR 2012.

    MMD^2(x, y) = mean_ij k(x_i, x_j) - 2 mean_ij k(x_i, y_j) + mean_ij k(y_i, y_j)
    laplacian k = exp(-|x - y|_1 / (2 sigma)),     gaussian k = exp(-|x - y|_2^2 / (2 sigma))

The kernels' scale is written as in Kumar et al. 2019 (arXiv:1906.00949). With few samples and a wide kernel the number sees
whether the sets lie in the same place and hardly how densely.
"""

from __future__ import annotations

import torch
from torch import Tensor


def mmd(x: Tensor, y: Tensor, sigma: float = 20.0, kernel: str = "laplacian") -> Tensor:
    """The squared MMD of two sets of samples, the means taken over all pairs, equal ones too, so that it is never below 0.

    Args:
        x: (B, n, A) samples.
        y: (B, m, A) samples.
        sigma: the kernel's scale.
        kernel: "laplacian" or "gaussian".

    Returns:
        (B,).

    Raises:
        ValueError: there is no such kernel.

    Example:
        >>> x = torch.tensor([[[0.0], [1.0]]])
        >>> mmd(x, x), mmd(x, x + 3, sigma=1.0) > mmd(x, x + 1, sigma=1.0)
        (tensor([0.]), tensor([True]))
    """
    if kernel not in ("laplacian", "gaussian"):
        raise ValueError(f'kernel is {kernel!r}, expected "laplacian" or "gaussian"')
    both = torch.cat([x, y], 1)  # (B, n + m, A)
    distance = torch.cdist(both, both, p=1.0) if kernel == "laplacian" else (both[:, :, None] - both[:, None]).square().sum(-1)
    weight = torch.cat([x.new_full((x.shape[1],), 1 / x.shape[1]), y.new_full((y.shape[1],), -1 / y.shape[1])])
    return ((distance / (-2 * sigma)).exp() * (weight[:, None] * weight)).sum((1, 2))
