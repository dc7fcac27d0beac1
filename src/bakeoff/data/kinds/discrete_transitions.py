"""The kind `DiscreteTransitions`: a fixed batch of experience whose actions are choices among a few."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .records import frozen, require
from .transitions import Batch


@dataclass(frozen=True)
class DiscreteTransitions(Batch):
    """A fixed batch of experience with discrete actions, in the order it was made.

    Args:
        observation: (N, O), or (N, ...) such as images; uint8 and bool stay as they are, other numbers become float32.
        action: (N,) whole numbers from 0 to actions - 1.
        reward: (N,).
        next_observation: of the shape and type of `observation`.
        terminated: (N,) bool; True where the task ended, not where a time limit cut it.
        ended: (N,) bool; True at the last step of an episode, for either reason.
        actions: how many actions there are to choose from.
        environment: Gymnasium id of the task, or "" if there is none to be judged in.
        behaviour: facts about the policy that made the batch, as (name, value).
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_observation: np.ndarray
    terminated: np.ndarray
    ended: np.ndarray
    actions: int
    environment: str = ""
    behaviour: tuple[tuple[str, float], ...] = field(default=())

    def __post_init__(self):
        chosen = np.asarray(self.action)
        whole = chosen.dtype.kind in "iub" or (chosen.dtype.kind == "f" and (np.isfinite(chosen) & (chosen == np.round(chosen))).all())
        require(bool(whole), "DiscreteTransitions.action", f"{chosen.dtype} that are no whole numbers", "whole numbers from 0")
        require(chosen.ndim == 1, "DiscreteTransitions.action", f"shape {chosen.shape}", "(N,), one choice a step")
        kept = {str(np.asarray(one).dtype) for one in (self.observation, self.next_observation)}
        seen = kept.pop() if len(kept) == 1 and kept <= {"uint8", "bool"} else np.float32
        frozen(self, observation=seen, action=np.int64, reward=np.float32, next_observation=seen, terminated=bool, ended=bool)
        require(self.observation.ndim >= 2, "DiscreteTransitions.observation", f"shape {self.observation.shape}", "(N, ...)")
        self._check_rows()
        object.__setattr__(self, "actions", int(self.actions))
        outside = np.flatnonzero((self.action < 0) | (self.action >= self.actions))
        require(not len(outside), "DiscreteTransitions.action",
                f"{len(outside)} rows with other choices, first row {outside[:1]} with {self.action[outside[:1]]}",
                f"whole numbers from 0 to {self.actions - 1}")
