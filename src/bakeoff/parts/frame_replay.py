"""Minibatches of a batch of discrete actions, wherever it lies: stacks of frames on disk are put together when they are drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from ..data.kinds.frame_transitions import FrameTransitions
from .replay import DiscreteReplay


def discrete_replay(transitions) -> DiscreteReplay:
    """What gives minibatches of this batch, a `DiscreteTransitions` or `FrameTransitions` record.

    Raises:
        DataError: the actions are continuous, or there are no transitions.
        TypeError: it is no batch.

    Example:
        >>> import numpy as np
        >>> batch = FrameTransitions(np.zeros((3, 8, 8), np.uint8), [0, 1], [1, 1], [0, 1], [0, 1], actions=2)
        >>> [one.shape for one in next(discrete_replay(batch).minibatches(5, steps=1, seed=0))[:2]]
        [torch.Size([5, 8, 8, 4]), torch.Size([5])]
    """
    return FrameReplay(transitions) if isinstance(transitions, FrameTransitions) else DiscreteReplay(transitions)


class FrameReplay(DiscreteReplay):
    """A batch whose frames stay where they are: in memory are some 30 bytes a step.

    Args:
        transitions: a `FrameTransitions` record.

    Attributes:
        observation_shape: (H, W, S).
        actions: how many there are to choose from.
    """

    def __init__(self, transitions: FrameTransitions):
        self.observation_shape, self.actions = transitions.observation_shape, transitions.actions
        self._columns = (_Stacks(transitions, after=0), torch.tensor(transitions.action), torch.tensor(transitions.reward),
                         _Stacks(transitions, after=1), torch.tensor(~transitions.terminated, dtype=torch.float32))


class _Stacks:
    """The column (N, H, W, S) of what was observed, or followed, as far as a tensor is asked for when minibatches are drawn."""

    def __init__(self, transitions: FrameTransitions, after: int):
        self._transitions, self._after = transitions, after
        self.shape = (len(transitions), *transitions.observation_shape)

    def __len__(self):
        return self.shape[0]

    def index_select(self, dimension: int, rows: Tensor) -> Tensor:
        if dimension:
            raise ValueError(f"rows are drawn along dimension 0, not {dimension}")
        return torch.from_numpy(self._transitions.stacks(rows.numpy(), self._after))
