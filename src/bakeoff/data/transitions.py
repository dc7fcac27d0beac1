"""Transitions with continuous actions: a user's log, and the sets that are made here.

- `.npz`: arrays `observation` (N, O), `action` (N, A), `reward` (N,), `next_observation` (N, O), `terminated` (N,);
  optional `truncated` or `ended` (N,), `action_low`, `action_high` (A,), `environment` (a Gymnasium id). With either of the
  former `next_observation` may be left out: the next row of the episode is taken, as in a table.
- a Minari data set: its folder, or its HDF5 file.
- `.csv` or `.parquet`: a row a step, with columns episode, step, obs_0 ..., act_0 ..., reward, terminated. The next row of
  the episode is the next observation, so the last row of an episode that did not terminate only serves as that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DataError
from . import logs, made
from .kinds.transitions import Transitions
from .logs import save

__all__ = ["collected", "early", "load", "ranked", "save"]


def load(path: Path, environment: str = "") -> Transitions:
    """A batch of the user's own.

    Args:
        path: an archive, Minari folder or HDF5 file, or table, as above.
        environment: the Gymnasium id to judge policies in; overrides the one the file names.

    Raises:
        DataError: something is missing, of another length, not a number, or outside the action's bounds; or actions are choices.
        MissingPackage: a Minari set, or the bounds of an environment, without the packages for them.
    """
    log = logs.read(path, environment)
    if log.chosen:
        raise DataError(f"{path}: actions are whole numbers from {log.action.min():g} to {log.action.max():g}, choices among a few",
                        "This method is for continuous actions, as bcq, bear and brac are; discrete_bcq learns from choices. Forces that "
                        "happen to be whole numbers need --environment ID.")
    if log.observation.ndim > 2:
        raise DataError(f"{path}: observations of shape {log.observation.shape[1:]}", "These methods take vectors: (N, O).")
    count = len(log.reward)
    observation, action, following = (one.reshape(count, -1) for one in (log.observation, log.action, log.next_observation))
    low, high = _bounds(log, action)
    outside = ((action < low - 1e-4) | (action > high + 1e-4)).any(1)
    if outside.any():
        first = int(outside.argmax())
        raise DataError(f"{path}, {log.place(first)}: found the action {action[first].tolist()}; {outside.sum()} rows outside the bounds",
                        f"Expected actions from {low.tolist()} to {high.tolist()}.")
    try:
        return Transitions(observation, action, log.reward, following, log.terminated, log.ended, low, high, log.environment, log.behaviour)
    except DataError as problem:
        raise DataError(f"{path}: {problem.message}", problem.hint) from None


def collected(environment: str, behaviour: str, steps: str, **learning: str) -> Transitions:
    """`steps` transitions by one of `collect.BEHAVIOURS`, made once and kept under a hash of the procedure."""
    return made.batch("collected", environment, load, behaviour=behaviour, steps=int(steps), **learning)


def ranked(environment: str, episodes: str, until: str, **learning: str) -> Transitions:
    """Episodes by a learner's successive checkpoints, as `collect.ranked` says; kept alike."""
    return made.batch("ranked", environment, load, episodes=int(episodes), until=float(until), **learning)


def early(environment: str, episodes: str, share: str, **learning: str) -> Transitions:
    """Episodes by one checkpoint, as `collect.early` says; kept alike."""
    return made.batch("early", environment, load, episodes=int(episodes), share=float(share), **learning)


def _bounds(log: logs.Log, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if log.space is not None and log.space.shape != action.shape[1:]:
        raise DataError(f"{log.path}: actions of size {action.shape[1:]}", f"{log.environment} has actions of size {log.space.shape}.")
    known = () if log.space is None else (log.space.low, log.space.high)
    return logs.bounds(log.path, log.found, action, log.environment, known)
