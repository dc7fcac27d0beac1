"""The kind `Demonstrations`: episodes of somebody who had goals."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...errors import DataError
from ..four_rooms import NAME
from .goal_environment import GoalEnvironment
from .records import frozen, require


@dataclass(frozen=True)
class Demonstrations:
    """Steps of episodes that pursued goals, one episode after another.

    Args:
        observation: (N, O).
        action: (N, A), continuous.
        next_observation: (N, O), after the action.
        achieved: (N, G), what the action achieved, in the space of goals.
        goal: (N, G), what was pursued.
        ended: (N,) bool; True at the last step of an episode.
        action_low, action_high: (A,) bounds of the action.
        environment: "four-rooms", the Gymnasium id of the task, or "" if there is none to be judged in.
        demonstrator: facts about who demonstrated, as (name, value).
    """

    observation: np.ndarray
    action: np.ndarray
    next_observation: np.ndarray
    achieved: np.ndarray
    goal: np.ndarray
    ended: np.ndarray
    action_low: np.ndarray
    action_high: np.ndarray
    environment: str = ""
    demonstrator: tuple[tuple[str, float], ...] = field(default=())

    def __post_init__(self):
        named = ("observation", "action", "next_observation", "achieved", "goal")
        frozen(self, **dict.fromkeys((*named, "action_low", "action_high"), np.float32), ended=bool)
        rows = len(self.observation) if self.observation.ndim else 0
        require(rows > 0, "Demonstrations.observation", "no rows", "at least one")
        for name in named:
            array = getattr(self, name)
            require(array.ndim == 2 and len(array) == rows, f"Demonstrations.{name}", f"shape {array.shape}", f"({rows}, size)")
            bad = np.flatnonzero(~np.isfinite(array).all(1))
            require(not len(bad), f"Demonstrations.{name}", f"a missing or infinite value in row {bad[:1]}", "finite numbers")
        for name, like in (("next_observation", "observation"), ("goal", "achieved")):
            found, expected = getattr(self, name).shape, getattr(self, like).shape
            require(found == expected, f"Demonstrations.{name}", f"shape {found}", f"{expected}, that of {like}")
        require(self.ended.shape == (rows,), "Demonstrations.ended", f"shape {self.ended.shape}", f"({rows},)")
        require(bool(self.ended[-1]), "Demonstrations.ended", "an episode that does not end", "True in the last row")
        bounds = self.action_low.shape, self.action_high.shape
        require(bounds == (self.action.shape[1:],) * 2, "Demonstrations.action_low and action_high", f"shapes {bounds}",
                f"{self.action.shape[1:]} each")
        outside = np.flatnonzero(((self.action < self.action_low - 1e-4) | (self.action > self.action_high + 1e-4)).any(1))
        require(not len(outside), "Demonstrations.action", f"{len(outside)} rows outside the bounds, first row {outside[:1]}",
                f"actions from {self.action_low.tolist()} to {self.action_high.tolist()}")

    def __len__(self):
        return len(self.observation)

    def split(self, seed: int) -> tuple[Demonstrations, GoalEnvironment]:
        """Train: all demonstrations. Test: the environment, with starts and goals that the seed picks; 100 in four rooms, else 10."""
        if not self.environment:
            raise DataError("these demonstrations do not say in which environment a policy is to be judged",
                            f"Add --environment ID ({NAME}, or a Gymnasium id), or an `environment` entry to the archive.")
        return self, GoalEnvironment(self.environment, seed, 100 if self.environment == NAME else 10)
