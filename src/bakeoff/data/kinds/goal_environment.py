"""The kind `GoalEnvironment`: where a policy that is told its goal is judged; and one way to step any such environment.

`as_worlds` gives every goal environment the same shape, that of `data.four_rooms.FourRooms`: attributes `copies` (B),
`observation_dim`, `goal_dim`, `action_low`, `action_high`, and the methods

    reset(seed) -> observation (B, O), goal (B, G)
    step(action (B, A)) -> next observation (B, O), achieved (B, G), over (B,)
    reached(achieved (..., G), goal (..., G)) -> (...)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import DataError, MissingPackage
from ..four_rooms import NAME, FourRooms

PARTS = ("observation", "achieved_goal", "desired_goal")


@dataclass(frozen=True)
class GoalEnvironment:
    """A goal environment to be judged in.

    Args:
        name: "four-rooms", or the id of a Gymnasium environment with observations {observation, achieved_goal, desired_goal}.
        seed: of the starts and goals.
        episodes: how many there are.
    """

    name: str
    seed: int = 0
    episodes: int = 100

    def worlds(self, copies: int | None = None):
        """Fresh copies, as many as there are episodes unless told, to be reset and stepped together."""
        copies = copies or self.episodes
        if self.name == NAME:
            return FourRooms(copies)
        try:
            import gymnasium
        except ImportError:
            raise MissingPackage("gymnasium", "rl") from None
        try:
            return GymnasiumGoals([gymnasium.make(self.name) for _ in range(copies)])
        except gymnasium.error.Error as problem:
            raise DataError(f"no environment {self.name!r}: {problem}", f"Give {NAME}, or a Gymnasium id.") from None
        except ImportError:
            raise MissingPackage("mujoco", "rl") from None


class GymnasiumGoals:
    """Copies of a Gymnasium goal environment, stepped one after another.

    Args:
        environments: B of them, each a `gymnasium.Env` with `compute_reward(achieved_goal, desired_goal, info)`.

    Raises:
        DataError: the observations are no dictionary with the three parts, or there is no `compute_reward`.
    """

    def __init__(self, environments: list):
        first = environments[0]
        found = getattr(first.observation_space, "spaces", None) or {}
        if any(name not in found for name in PARTS) or not callable(getattr(first.unwrapped, "compute_reward", None)):
            raise DataError(f"{type(first.unwrapped).__name__} is no goal environment: its observations have {list(found) or 'no names'}",
                            f"Observations need {', '.join(PARTS)}, and the environment compute_reward(achieved, desired, info).")
        if len(getattr(first.action_space, "shape", None) or ()) != 1:
            raise DataError(f"{type(first.unwrapped).__name__} has actions {first.action_space}", "Expected a Box of shape (A,).")
        self._environments, self.copies = environments, len(environments)
        self.observation_dim, self.goal_dim = (int(np.prod(found[name].shape)) for name in ("observation", "desired_goal"))
        self.action_low, self.action_high = first.action_space.low, first.action_space.high

    def reset(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """New episodes from seeds that follow from `seed`: observation (B, O) and goal (B, G)."""
        seeds = np.random.default_rng(seed).integers(2**31, size=self.copies)
        self._last = [one.reset(seed=int(own))[0] for one, own in zip(self._environments, seeds, strict=True)]
        self._over = np.zeros(self.copies, bool)
        return self._column("observation"), self._column("desired_goal")

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Act (B, A) in the episodes that are not over: next observation (B, O), achieved (B, G), over (B,)."""
        for number in np.flatnonzero(~self._over):
            self._last[number], _, terminated, truncated, _ = self._environments[number].step(np.asarray(action[number], np.float32))
            self._over[number] = terminated or truncated
        achieved = self._column("achieved_goal")
        return self._column("observation"), achieved, self._over | self.reached(achieved, self._column("desired_goal"))

    def reached(self, achieved: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """True where the environment rewards what was achieved (..., G) no less than it rewards being exactly at the goal (...)."""
        achieved, goal = np.broadcast_arrays(np.asarray(achieved), np.asarray(goal))
        flat = achieved.reshape(-1, achieved.shape[-1]), goal.reshape(-1, goal.shape[-1])
        rewards, most = (np.asarray(self._reward(one, flat[1])) for one in flat)
        return (rewards >= most).reshape(achieved.shape[:-1])

    def _reward(self, achieved: np.ndarray, goal: np.ndarray) -> np.ndarray:
        infos = np.array([{}] * len(goal))
        return self._environments[0].unwrapped.compute_reward(achieved, goal, infos)

    def _column(self, name: str) -> np.ndarray:
        return np.stack([np.asarray(one[name], float).ravel() for one in self._last])


def as_worlds(environment):
    """Worlds of any goal environment: those that step many copies as they are, a Gymnasium environment as one copy.

    Example:
        >>> as_worlds(FourRooms(copies=4)).copies
        4
    """
    if hasattr(environment, "unwrapped"):
        return GymnasiumGoals([environment])
    if all(hasattr(environment, name) for name in ("copies", "reset", "step", "reached")):
        return environment
    raise DataError(f"{type(environment).__name__} is no goal environment",
                    "Give a Gymnasium goal environment, or worlds with copies, reset, step and reached.")
