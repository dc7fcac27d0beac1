"""Episodes that pursue goals: made, kept, and drawn from with goals that were achieved later in the same episode (hindsight).

Andrychowicz et al. Hindsight Experience Replay. NeurIPS 2017. arXiv:1707.01495 (the strategy *future*).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.kinds.demonstrations import Demonstrations
from .replay import floats


class Steps(NamedTuple):
    """Steps of episodes, rows of one or more minibatches: tensors of floats."""

    observation: Tensor  # (..., O)
    action: Tensor  # (..., A)
    following: Tensor  # (..., O) the next observation
    achieved: Tensor  # (..., G) by the action
    goal: Tensor  # (..., G)


class GoalEpisodes:
    """A store of episodes.

    Args:
        capacity: the most steps that it will hold; nothing is ever dropped.
        observation_dim, action_dim, goal_dim: O, A and G.

    Example:
        >>> store = GoalEpisodes(4, 1, 1, 1)
        >>> position = np.arange(5.0)[:, None]
        >>> store.add(position[:4], np.ones((4, 1)), position[1:], position[1:], np.full((4, 1), 9.0), [0, 1, 0, 1])
        >>> drawn = store.draw((6,), 1.0, torch.Generator().manual_seed(0))
        >>> bool((drawn.goal >= drawn.achieved).all()), drawn.goal.max().item() <= 4
        (True, True)
    """

    def __init__(self, capacity: int, observation_dim: int, action_dim: int, goal_dim: int):
        sizes = observation_dim, action_dim, observation_dim, goal_dim, goal_dim
        self._columns = [torch.zeros(capacity, size) for size in sizes]
        self._last = torch.zeros(capacity, dtype=torch.long)  # the last row of the episode of each
        self._count = 0

    def __len__(self):
        return self._count

    def add(self, observation, action, following, achieved, goal, ended) -> None:
        """Keep whole episodes, one after another: `ended` (n,) is true at the last step of each."""
        rows = slice(self._count, self._count + len(ended))
        for column, values in zip(self._columns, (observation, action, following, achieved, goal), strict=True):
            column[rows] = _tensor(values)
        ends = np.flatnonzero(ended)
        self._last[rows] = torch.as_tensor(self._count + np.repeat(ends, np.diff(ends, prepend=-1)))
        self._count += len(ended)

    def draw(self, shape: tuple[int, ...], hindsight: float, rng: torch.Generator) -> Steps:
        """Steps drawn uniformly; a share `hindsight` of their goals is replaced by what the same episode achieved then or later."""
        row = torch.randint(self._count, shape, generator=rng)
        left = self._last[row] - row + 1
        later = row + (torch.rand(shape, generator=rng) * left).long().clamp(max=left - 1)
        replaced = torch.rand(shape, generator=rng) < hindsight
        drawn = Steps(*(column[row] for column in self._columns))
        return drawn._replace(goal=torch.where(replaced[..., None], self._columns[3][later], drawn.goal))


class Sight:
    """Observations and goals as networks see them: together, in deviations of the demonstrations' own.

    Args:
        demonstrations: whose mean and deviation count.

    Example:
        >>> one = Demonstrations([[0.0], [2.0]], [[0.0]] * 2, [[2.0], [4.0]], [[2.0], [4.0]], [[4.0]] * 2, [0, 1], [-1], [1])
        >>> Sight(one)([[3.0]], [[4.0]])
        tensor([[2., 0.]])
    """

    def __init__(self, demonstrations: Demonstrations):
        columns = np.concatenate([demonstrations.observation, demonstrations.goal], 1)
        deviation = columns.std(0)
        self._mean, self._scale = torch.tensor(columns.mean(0)), torch.tensor(1 / np.where(deviation > 1e-6, deviation, 1.0))

    def __call__(self, observation, goal) -> Tensor:  # (..., O), (..., G) -> (..., O + G)
        return (torch.cat([_tensor(observation), _tensor(goal)], -1) - self._mean) * self._scale


def _tensor(values) -> Tensor:
    return values if isinstance(values, Tensor) else floats(values)


def demonstrated(demonstrations: Demonstrations, unit: Callable[[Tensor], Tensor]) -> GoalEpisodes:
    """A store of demonstrations, their actions changed by `unit` to those that the learner uses."""
    one = demonstrations
    store = GoalEpisodes(len(one), one.observation.shape[1], one.action.shape[1], one.goal.shape[1])
    store.add(one.observation, unit(torch.tensor(one.action)).numpy(), one.next_observation, one.achieved, one.goal, one.ended)
    return store


def episodes(worlds, act: Callable[[np.ndarray, np.ndarray], np.ndarray], seed: int) -> tuple[np.ndarray, ...]:
    """One episode in each world, from `reset(seed)`, by `act(observation (B, O), goal (B, G)) -> (B, A)`.

    Returns:
        observation, action, following, achieved, goal (n, size) and ended (n,): the steps of the first world, then of the second, ...
    """
    now, goal = worlds.reset(seed)
    made, going = [], np.ones(len(now), bool)
    while going.any():
        action = act(now, goal)
        following, achieved, over = worlds.step(action)
        made.append((now, action, following, achieved, goal, over, going))
        now, going = following, going & ~over
    *columns, lived = (np.stack(column, 1) for column in zip(*made, strict=True))  # (B, T, ...)
    return tuple(column[lived] for column in columns)


def practice(worlds, act: Callable, steps: int, seed: int) -> Iterator[tuple[np.ndarray, ...]]:
    """`episodes` again and again, by `act` as it is then, until there are `steps` steps; the last are cut there."""
    seeds = np.random.default_rng(seed)
    while steps > 0:
        columns = [column[:steps] for column in episodes(worlds, act, int(seeds.integers(2**31)))]
        columns[-1][-1] = True
        steps -= len(columns[0])
        yield tuple(columns)


def success(worlds, act: Callable, seed: int) -> float:
    """The share in % of episodes, one in each world, that reach their goal by `act(observation, goal)`, which gives a tensor."""
    *_, achieved, goal, ended = episodes(worlds, lambda now, goal: act(now, goal).numpy(), seed)
    return float(100 * worlds.reached(achieved, goal).sum() / ended.sum())


def returns(reward: np.ndarray, ended: np.ndarray, discount: float) -> np.ndarray:
    """The discounted sum (E,) of each episode's rewards (n,).

    Example:
        >>> returns(np.array([1.0, 1.0, 2.0]), np.array([False, True, True]), 0.5)
        array([1.5, 2. ])
    """
    ends = np.flatnonzero(ended)
    clock = np.arange(len(reward)) - np.repeat(ends - np.diff(ends, prepend=-1) + 1, np.diff(ends, prepend=-1))
    return np.add.reduceat(discount**clock * reward, ends - np.diff(ends, prepend=-1) + 1)
