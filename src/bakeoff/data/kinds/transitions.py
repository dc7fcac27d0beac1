"""The kind `Transitions`: a fixed batch of experience with continuous actions."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...errors import DataError
from .environment import Environment
from .records import frozen, require


class Batch:
    """What the two kinds of batch share: rows of equal number, finite numbers, and the way they are split."""

    def __len__(self):
        return len(self.reward)

    def split(self, seed: int) -> tuple[Batch, Environment]:
        """Train: the whole batch. Test: the environment, with ten start states that the seed picks."""
        if not self.environment:
            raise DataError("this batch does not say in which environment a policy is to be judged",
                            "Add --environment ID (a Gymnasium id), or let the file name it under `environment`.")
        starts = np.random.default_rng(seed).integers(2**31, size=10)
        return self, Environment(self.environment, tuple(int(start) for start in starts))

    def _check_rows(self) -> None:
        kind, rows = type(self).__name__, len(self.observation)
        require(self.next_observation.shape == self.observation.shape, f"{kind}.next_observation",
                f"shape {self.next_observation.shape}", f"{self.observation.shape}")
        for name in ("action", "reward", "terminated", "ended"):
            shape = getattr(self, name).shape
            require(shape[:1] == (rows,), f"{kind}.{name}", f"{shape[0] if shape else 'no'} rows", f"{rows}, as many as observations")
            require(name == "action" or len(shape) == 1, f"{kind}.{name}", f"shape {shape}", f"({rows},), one number a step")
        for name in ("observation", "action", "reward", "next_observation"):
            values = getattr(self, name)
            bad = np.flatnonzero(~np.isfinite(values.reshape(rows, -1)).all(1)) if rows and values.dtype.kind == "f" else []
            require(not len(bad), f"{kind}.{name}", f"a missing or infinite value in row {bad[:1]}, the first of {len(bad)} such rows",
                    "finite numbers")


@dataclass(frozen=True)
class Transitions(Batch):
    """A fixed batch of experience with continuous actions, in the order it was made.

    Args:
        observation: (N, O).
        action: (N, A).
        reward: (N,).
        next_observation: (N, O).
        terminated: (N,) bool; True where the task ended, not where a time limit cut it.
        ended: (N,) bool; True at the last step of an episode, for either reason.
        action_low, action_high: (A,) bounds of the action.
        environment: Gymnasium id of the task, or "" if there is none to be judged in.
        behaviour: facts about the policy that made the batch, as (name, value).
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_observation: np.ndarray
    terminated: np.ndarray
    ended: np.ndarray
    action_low: np.ndarray
    action_high: np.ndarray
    environment: str = ""
    behaviour: tuple[tuple[str, float], ...] = field(default=())

    def __post_init__(self):
        frozen(self, observation=np.float32, action=np.float32, reward=np.float32, next_observation=np.float32,
               terminated=bool, ended=bool, action_low=np.float32, action_high=np.float32)
        require(self.observation.ndim == 2, "Transitions.observation", f"shape {self.observation.shape}", "(N, O)")
        require(self.action.ndim == 2, "Transitions.action", f"shape {self.action.shape}", "(N, A), continuous actions")
        self._check_rows()
        for name in ("action_low", "action_high"):
            bound = getattr(self, name)
            require(bound.shape == self.action.shape[1:] and np.isfinite(bound).all(), f"Transitions.{name}",
                    f"{bound.tolist()}", f"a finite number for each of {self.action.shape[1]} actions")
        outside = np.flatnonzero(((self.action < self.action_low - 1e-4) | (self.action > self.action_high + 1e-4)).any(1))
        require(not len(outside), "Transitions.action", f"{len(outside)} rows outside the bounds, first row {outside[:1]}",
                f"actions from {self.action_low.tolist()} to {self.action_high.tolist()}")
