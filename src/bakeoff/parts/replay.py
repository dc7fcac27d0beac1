"""Learning from a fixed batch of transitions: the batch as minibatches, its actions in units of their bounds, slow copies."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..data.kinds.transitions import Transitions


class Box:
    """The action's bounds, and the way between actions and units, in which the bounds are -1 and 1.

    Args:
        low, high: (A,) bounds.

    Example:
        >>> box = Box([0.0, -2.0], [4.0, 2.0])
        >>> box.unit(torch.tensor([1.0, 2.0])), box.action(torch.tensor([-0.5, 1.0]))
        (tensor([-0.5000,  1.0000]), tensor([1., 2.]))
    """

    def __init__(self, low, high):
        low, high = torch.tensor(low, dtype=torch.float32), torch.tensor(high, dtype=torch.float32)
        self.middle = (high + low) / 2
        self.half = torch.where(high > low, (high - low) / 2, 1.0)

    def unit(self, action: Tensor) -> Tensor:  # (..., A)
        return (action - self.middle) / self.half

    def action(self, unit: Tensor) -> Tensor:  # (..., A)
        return self.middle + self.half * unit


class Replay:
    """A batch of transitions as tensors.

    Args:
        transitions: the batch.

    Attributes:
        observation_dim, action_dim: O and A.
        box: the bounds of its actions.
    """

    def __init__(self, transitions: Transitions):
        self.observation_dim, self.action_dim = transitions.observation.shape[1], transitions.action.shape[1]
        self.box = Box(transitions.action_low, transitions.action_high)
        self._columns = (torch.tensor(transitions.observation), self.box.unit(torch.tensor(transitions.action)),
                         torch.tensor(transitions.reward), torch.tensor(transitions.next_observation),
                         torch.tensor(~transitions.terminated, dtype=torch.float32))

    def minibatches(self, batch_size: int, steps: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
        """`steps` times: observation (B, O), action in units (B, A), reward (B,), next observation (B, O), and
        alive (B,), 0 where the task ended; rows drawn uniformly, in an order that `seed` alone decides."""
        rng = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            rows = torch.randint(len(self._columns[0]), (batch_size,), generator=rng)
            yield tuple(column[rows] for column in self._columns)


def slow_copy(network: nn.Module) -> nn.Module:
    """A copy that no optimiser moves: a target network."""
    return copy.deepcopy(network).requires_grad_(False)


def follow(slow: nn.Module, network: nn.Module, rate: float) -> None:
    """Move a target network by `rate` of the way towards its network (Polyak averaging).

    Example:
        >>> network, slow = nn.Linear(1, 1), slow_copy(nn.Linear(1, 1))
        >>> follow(slow, network, 1.0)
        >>> torch.equal(slow.weight, network.weight)
        True
    """
    with torch.no_grad():
        for behind, ahead in zip(slow.parameters(), network.parameters(), strict=True):
            behind.lerp_(ahead, rate)
