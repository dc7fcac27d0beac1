"""Plain networks of dense layers with ReLUs between them, alone or as an ensemble of critics evaluated at once."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from .dense import dense, large


class MLP(nn.Sequential):
    """Dense layers and ReLUs, each layer and the ReLU behind it in one call; what `mlp` makes."""

    def forward(self, x: Tensor) -> Tensor:  # (..., I) -> (..., U)
        parts = list(self)
        for layer, after in itertools.zip_longest(parts, parts[1:]):
            if isinstance(layer, nn.Linear):
                x = dense(x, layer.weight, layer.bias, relu=isinstance(after, nn.ReLU))
        return x


def mlp(*sizes: int) -> MLP:
    """Dense layers from the first size to the last, a ReLU between any two of them.

    Args:
        sizes: the sizes of input, hidden layers and output.

    Example:
        >>> mlp(3, 8, 2)(torch.zeros(5, 3)).shape
        torch.Size([5, 2])
    """
    layers = [part for pair in itertools.pairwise(sizes) for part in (nn.Linear(*pair), nn.ReLU())]
    return MLP(*layers[:-1])


class Critics(nn.Module):
    """Critics Q_1, ..., Q_K of an observation and an action, one batched product a layer for all of them while it is small.

    Every weight and bias starts uniform within 1 / sqrt(inputs), as those of `nn.Linear`.

    Args:
        observation_dim, action_dim: O and A.
        hidden: widths of the hidden layers.
        count: K.

    Example:
        >>> critics = Critics(3, 1, hidden=(8, 8))
        >>> critics(torch.zeros(5, 3), torch.zeros(5, 1)).shape, critics.first(torch.zeros(5, 3), torch.zeros(5, 1)).shape
        (torch.Size([2, 5]), torch.Size([5]))
    """

    def __init__(self, observation_dim: int, action_dim: int, hidden: tuple[int, ...], count: int = 2):
        super().__init__()
        sizes = list(itertools.pairwise((observation_dim + action_dim, *hidden, 1)))
        self.weights = nn.ParameterList(torch.empty(count, *pair).uniform_(-pair[0] ** -0.5, pair[0] ** -0.5) for pair in sizes)
        self.biases = nn.ParameterList(torch.empty(count, out).uniform_(-size ** -0.5, size ** -0.5) for size, out in sizes)

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """The values (K, ...) at each observation (..., O) and action (..., A)."""
        x = torch.cat([observation, action], -1)
        count, rows = len(self.weights[0]), x[..., 0].numel()
        if large(rows * self.weights[-1].shape[1] ** 2, torch.is_grad_enabled()):
            return torch.stack([self._alone(one, x) for one in range(count)])
        values = x.reshape(1, rows, -1).expand(count, -1, -1)  # (K, N, O + A)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = torch.baddbmm(bias[:, None], values.relu() if layer else values, weight)
        return values.view(count, *x.shape[:-1])

    def first(self, observation: Tensor, action: Tensor) -> Tensor:
        """The first critic's value (...) at each observation (..., O) and action (..., A)."""
        return self._alone(0, torch.cat([observation, action], -1))

    def _alone(self, one: int, values: Tensor) -> Tensor:  # (..., O + A) -> (...)
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = dense(values, weight[one].T, bias[one], relu=layer < last)
        return values.squeeze(-1)
