"""The kind `FrameTransitions`: a batch of discrete actions whose observations are stacks of frames, each frame kept once, also on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from .discrete_transitions import DiscreteTransitions
from .records import frozen, require
from .transitions import Batch


@dataclass(frozen=True)
class FrameTransitions(Batch):
    """A fixed batch of experience with discrete actions, an observation being the last few frames of its episode.

    An episode of T steps has T + 1 frames, the last of which no action followed. Before its first frame an episode is taken to have
    looked like it. Episodes stand one after another, as many as `ended` says.

    Args:
        frames: (N + episodes, H, W) uint8, such as a memory map of a file: it is not copied.
        action: (N,) whole numbers from 0 to actions - 1.
        reward: (N,).
        terminated: (N,) bool; True where the task ended, not where a time limit cut it.
        ended: (N,) bool; True at the last step of an episode, for either reason, and of the batch.
        actions: how many actions there are to choose from.
        stacked: frames of an observation, S.
        environment: Gymnasium id of the task, or "" if there is none to be judged in.
        behaviour: facts about the policy that made the batch, as (name, value).

    Example:
        >>> frames = np.arange(5, dtype=np.uint8).reshape(5, 1, 1)
        >>> batch = FrameTransitions(frames, [0, 1, 0], np.ones(3), [0, 1, 0], [0, 1, 1], actions=2, stacked=2)
        >>> batch.stacks([0, 1, 2])[:, 0, 0].tolist(), batch.stacks([0, 1, 2], after=1)[:, 0, 0].tolist()
        ([[0, 0], [0, 1], [3, 3]], [[0, 1], [1, 2], [3, 4]])
    """

    frames: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    ended: np.ndarray
    actions: int
    stacked: int = 4
    environment: str = ""
    behaviour: tuple[tuple[str, float], ...] = field(default=())

    def __post_init__(self):
        kind = np.asarray(self.action).dtype
        require(kind.kind in "iub", "FrameTransitions.action", f"{kind}", "whole numbers from 0")
        frozen(self, action=np.int64, reward=np.float32, terminated=bool, ended=bool)
        rows = self.ended.size
        for name in ("action", "reward", "terminated", "ended"):
            shape = getattr(self, name).shape
            require(shape == (rows,), f"FrameTransitions.{name}", f"shape {shape}", f"({rows},), one number a step")
        require(bool(np.isfinite(self.reward).all()), "FrameTransitions.reward", "missing or infinite values", "finite numbers")
        require(bool(rows and self.ended[-1]), "FrameTransitions.ended", "no end of the last episode", "some steps, and true at the last")
        require(bool((self.ended | ~self.terminated).all()), "FrameTransitions.terminated", "true where `ended` is not", "both")
        require(bool(((self.action >= 0) & (self.action < self.actions)).all()), "FrameTransitions.action",
                f"choices from {self.action.min()} to {self.action.max()}", f"whole numbers from 0 to {self.actions - 1}")
        require(self.stacked >= 1, "FrameTransitions.stacked", f"{self.stacked}", "one frame or more")
        last = np.flatnonzero(self.ended)
        require(isinstance(self.frames, np.ndarray) and self.frames.dtype == np.uint8 and self.frames.ndim == 3, "FrameTransitions.frames",
                f"{getattr(self.frames, 'dtype', type(self.frames))} of shape {np.shape(self.frames)}", "(N + episodes, H, W) uint8")
        require(len(self.frames) == rows + len(last), "FrameTransitions.frames", f"{len(self.frames)} frames",
                f"{rows + len(last)}, for {rows} steps in {len(last)} episodes")
        object.__setattr__(self, "_last", last)  # row of each episode
        object.__setattr__(self, "_first", np.concatenate([[0], last[:-1] + 1]) + np.arange(len(last)))  # frame of each episode

    @property
    def observation_shape(self) -> tuple[int, int, int]:
        """(H, W, S)."""
        return (*self.frames.shape[1:], self.stacked)

    def stacks(self, rows, after: int = 0) -> np.ndarray:
        """Observations (B, H, W, S) uint8 at these rows (B,), the latest frame last; with `after=1` those that followed."""
        episode = np.searchsorted(self._last, rows)  # (B,)
        latest = np.asarray(rows) + episode + after
        wanted = np.maximum(latest[:, None] + np.arange(1 - self.stacked, 1), self._first[episode][:, None])  # (B, S)
        return np.moveaxis(self.frames[wanted], 1, -1)

    def steps(self, piece: int = 1024) -> Iterator[tuple]:
        """Every step as (observation, action, reward, next observation, terminated, ended), a piece of the batch in memory at a time."""
        for rows in np.array_split(np.arange(len(self)), max(1, len(self) // piece)):
            yield from zip(self.stacks(rows), self.action[rows], self.reward[rows], self.stacks(rows, after=1), self.terminated[rows],
                           self.ended[rows], strict=True)

    def in_memory(self) -> DiscreteTransitions:
        """The same batch with every stack made: 2 S times as large, for learners that know of no frames."""
        every = np.arange(len(self))
        return DiscreteTransitions(self.stacks(every), self.action, self.reward, self.stacks(every, after=1), self.terminated, self.ended,
                                   self.actions, self.environment, self.behaviour)
