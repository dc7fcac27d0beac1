"""Plain networks of dense layers with ReLUs between them, alone or as a pair of critics."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn


def mlp(*sizes: int) -> nn.Sequential:
    """Dense layers from the first size to the last, a ReLU between any two of them.

    Args:
        sizes: the sizes of input, hidden layers and output.

    Example:
        >>> mlp(3, 8, 2)(torch.zeros(5, 3)).shape
        torch.Size([5, 2])
    """
    layers = [part for pair in itertools.pairwise(sizes) for part in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


class Critics(nn.Module):
    """Two critics Q_1, Q_2 of an observation and an action.

    Args:
        observation_dim, action_dim: O and A.
        hidden: widths of the hidden layers.

    Example:
        >>> Critics(3, 1, hidden=(8, 8))(torch.zeros(5, 3), torch.zeros(5, 1)).shape
        torch.Size([2, 5])
    """

    def __init__(self, observation_dim: int, action_dim: int, hidden: tuple[int, ...]):
        super().__init__()
        self.pair = nn.ModuleList(mlp(observation_dim + action_dim, *hidden, 1) for _ in range(2))

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:  # (..., O), (..., A) -> (2, ...)
        x = torch.cat([observation, action], -1)
        return torch.stack([one(x).squeeze(-1) for one in self.pair])

    def first(self, observation: Tensor, action: Tensor) -> Tensor:  # (..., O), (..., A) -> (...)
        return self.pair[0](torch.cat([observation, action], -1)).squeeze(-1)
