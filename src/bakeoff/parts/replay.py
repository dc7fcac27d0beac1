"""Learning from transitions: a fixed batch as minibatches, a learner's own experience, actions in units of their bounds, slow copies."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from ..data.kinds.discrete_transitions import DiscreteTransitions
from ..data.kinds.transitions import Transitions
from ..errors import DataError

BLOCK = 2**18  # numbers that minibatches are read ahead by: one look-up serves many small ones


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
    """A batch of transitions with continuous actions, as tensors.

    Args:
        transitions: the batch.

    Attributes:
        observation_dim, action_dim: O and A.
        observation_shape: (O,).
        box: the bounds of its actions.

    Raises:
        DataError: the actions are discrete, or there are no transitions.
        TypeError: it is no batch.
    """

    def __init__(self, transitions: Transitions):
        _some(transitions)
        if isinstance(transitions, DiscreteTransitions):
            raise DataError(f"this batch has discrete actions, one of {transitions.actions}; this method is for continuous actions",
                            "Give a batch whose actions are (N, A) floats, or take a method for discrete actions.")
        self.observation_dim, self.action_dim = transitions.observation.shape[1], transitions.action.shape[1]
        self.observation_shape = (self.observation_dim,)
        self.box = Box(transitions.action_low, transitions.action_high)
        self._columns = _columns(transitions, self.box.unit(torch.tensor(transitions.action)))

    def minibatches(self, batch_size: int, steps: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
        """`steps` times: observation (B, O), action in units (B, A), reward (B,), next observation (B, O), and
        alive (B,), 0 where the task ended; rows drawn uniformly, in an order that `seed` alone decides."""
        return _minibatches(self._columns, batch_size, steps, seed)


class DiscreteReplay:
    """A batch of transitions with discrete actions, as tensors.

    Args:
        transitions: the batch.

    Attributes:
        observation_shape: of one observation, (O,) or (H, W, C).
        actions: how many there are to choose from.

    Raises:
        DataError: the actions are continuous, or there are no transitions.
        TypeError: it is no batch.
    """

    def __init__(self, transitions: DiscreteTransitions):
        _some(transitions)
        if isinstance(transitions, Transitions):
            raise DataError(f"this batch has continuous actions of size {transitions.action.shape[1]}; this method is for discrete actions",
                            "Give a batch whose actions are (N,) whole numbers, or take a method for continuous actions.")
        self.observation_shape, self.actions = transitions.observation.shape[1:], transitions.actions
        self._columns = _columns(transitions, torch.tensor(transitions.action))

    def minibatches(self, batch_size: int, steps: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
        """`steps` times: observation (B, ...) as floats, action (B,) as whole numbers, reward (B,), next observation (B, ...), and
        alive (B,), 0 where the task ended; rows drawn uniformly, in an order that `seed` alone decides."""
        return _minibatches(self._columns, batch_size, steps, seed)


class Experience:
    """What an online learner has lived through: the last `capacity` steps, the oldest overwritten first.

    Args:
        capacity: steps that are kept.
        observation_shape: of one observation.
        action_dim: A of continuous actions; None for discrete ones, which are single whole numbers.
        dtype: in which observations are kept; they are drawn as float32.

    Example:
        >>> seen, rng = Experience(2, (3,), 1), torch.Generator().manual_seed(0)
        >>> for reward in range(5):
        ...     seen.add(np.zeros(3), [0.5], reward, np.ones(3), terminated=False)
        >>> len(seen), set(seen.draw(20, rng)[2].tolist())
        (2, {3.0, 4.0})
    """

    def __init__(self, capacity: int, observation_shape: tuple[int, ...], action_dim: int | None, dtype=np.float32):
        shapes = observation_shape, () if action_dim is None else (action_dim,), (), observation_shape, ()
        dtypes = dtype, np.int64 if action_dim is None else np.float32, np.float32, dtype, np.float32
        self._rows = [np.zeros((capacity, *shape), kind) for shape, kind in zip(shapes, dtypes, strict=True)]
        self._columns = [torch.from_numpy(one) for one in self._rows]
        self._added = 0

    def __len__(self):
        return min(self._added, len(self._rows[0]))

    def add(self, observation, action, reward: float, following, terminated: bool) -> None:
        """Keep one step; `terminated` where the task ended there, not where a time limit cut it."""
        place = self._added % len(self._rows[0])
        for column, one in zip(self._rows, (observation, action, reward, following, not terminated), strict=True):
            column[place] = one
        self._added += 1

    def draw(self, batch_size: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """A minibatch as `Replay` and `DiscreteReplay` give it, drawn uniformly from what is kept."""
        return _rows(self._columns, torch.randint(len(self), (batch_size,), generator=rng))


def _some(transitions) -> None:
    if not isinstance(transitions, (Transitions, DiscreteTransitions)):
        raise TypeError(f"expected a batch of transitions, not {type(transitions).__name__}: "
                        "make a Transitions or DiscreteTransitions record of the arrays")
    if not len(transitions):
        raise DataError("there are no transitions in this batch", "At least one is needed.")


def _columns(transitions, action: Tensor) -> tuple[Tensor, ...]:
    return (torch.tensor(transitions.observation), action, torch.tensor(transitions.reward), torch.tensor(transitions.next_observation),
            torch.tensor(~transitions.terminated, dtype=torch.float32))


def _rows(columns, rows: Tensor) -> tuple[Tensor, ...]:
    """Some rows of observation, action, reward, next observation and alive; observations as float32."""
    observation, action, reward, following, alive = (column.index_select(0, rows) for column in columns)
    return observation.float(), action, reward, following.float(), alive


def _minibatches(columns: tuple[Tensor, ...], batch_size: int, steps: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
    for name, number, least in (("steps", steps, 0), ("batch_size", batch_size, 1)):
        if number != int(number) or number < least:
            raise ValueError(f"{name} is {number}; expected a whole number from {least}")
    return _drawn(columns, batch_size, steps, seed)


def _drawn(columns: tuple[Tensor, ...], batch_size: int, steps: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
    rng = torch.Generator().manual_seed(seed)
    width = sum(math.prod(column.shape[1:]) for column in columns)
    ahead = max(1, BLOCK // (batch_size * width))  # minibatches; their rows are those of as many single draws
    for start in range(0, steps, ahead):
        count = min(ahead, steps - start)
        drawn = torch.randint(len(columns[0]), (count * batch_size,), generator=rng)
        yield from zip(*(one.unflatten(0, (count, batch_size)).unbind() for one in _rows(columns, drawn)), strict=True)


def floats(values) -> Tensor:
    """Numbers of any kind, a list's, a tensor's or those of a batch's read-only arrays, as float32.

    Example:
        >>> floats([[1, 2]]), floats(np.array([True]))
        (tensor([[1., 2.]]), tensor([1.]))
    """
    values = values.detach() if isinstance(values, Tensor) else values
    return torch.from_numpy(np.asarray(values).astype(np.float32))


def asked(values, shape: tuple[int, ...], what: str = "observations") -> Tensor:
    """What a policy is asked about, (B, *shape), as float32.

    Raises:
        ValueError: it has another shape, or holds a missing or infinite value.

    Example:
        >>> asked(np.zeros((2, 3)), (3,)).dtype
        torch.float32
    """
    found = floats(values)
    if found.shape[1:] != shape or found.ndim != len(shape) + 1:
        told = f"{what} of shape {tuple(found.shape)}; this policy learned from (N, {', '.join(map(str, shape))})"
        raise ValueError(told + (": give a single one as one[None]" if found.shape == shape else ""))
    if not found.isfinite().all():
        raise ValueError(f"{what} with a missing or infinite value in row {int((~found.isfinite()).flatten(1).any(1).nonzero()[0])}")
    return found


def asked_both(observation, action, shape: tuple[int, ...], action_dim: int) -> tuple[Tensor, Tensor]:
    """Observations (B, *shape) and an action (B, A) at each, as float32; `ValueError` as `asked` says, or if there are not as many."""
    observation, action = asked(observation, shape), asked(action, (action_dim,), "actions")
    if len(observation) != len(action):
        raise ValueError(f"{len(observation)} observations and {len(action)} actions; give as many")
    return observation, action


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
        torch._foreach_lerp_(list(slow.parameters()), list(network.parameters()), rate)
