"""Transitions with discrete actions: a user's log, and the sets that are made here or come with bakeoff.

The forms are those of continuous transitions (data/transitions.py). An `.npz` has `action` (N,), whole numbers from 0, optionally
`actions`, how many there are to choose from, and observations of any shape; a table has one column `action`. A folder of frames
(data/frame_files.py) may be larger than memory.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DataError
from . import frame_files, logs, made
from .batch_files import packaged
from .kinds.discrete_transitions import DiscreteTransitions
from .kinds.frame_transitions import FrameTransitions

MOST = 10_000  # actions to choose from

__all__ = ["collected", "load", "packaged", "save"]


def save(batch: DiscreteTransitions | FrameTransitions, path: Path) -> None:
    """Write a batch so that `load` reads it: one of frames as a folder of frames, another as `logs.save` does.

    Args:
        batch: what is written.
        path: a folder that is not there yet; or an .npz archive or, without an ending, a Minari data set.

    Raises:
        DataError: a folder of frames is there already, or the ending is another.
    """
    if isinstance(batch, FrameTransitions):
        return frame_files.write(path, batch.steps(), lambda: (batch.actions, batch.environment, batch.behaviour))
    return logs.save(batch, path)


def load(path: Path, environment: str = "") -> DiscreteTransitions | FrameTransitions:
    """A batch of the user's own.

    Args:
        path: an archive, Minari folder or HDF5 file, table, or folder of frames.
        environment: the Gymnasium id to judge policies in; overrides the one the file names.

    Raises:
        DataError: something is missing, of another length, not a number, or no choice of the environment's; or actions are continuous.
        MissingPackage: a Minari set, or the choices of an environment, without the packages for them.
    """
    if frame_files.is_one(path):
        return frame_files.load(path, environment)
    log = logs.read(path, environment)
    action = log.action.reshape(len(log.action), -1)
    whole = (action == np.round(action)).all() and action.min() >= 0
    if not whole or action.shape[1] > 1 or (log.space is not None and not log.chosen):
        raise DataError(f"{path}: actions are continuous, from {action.min():g} to {action.max():g}, {action.shape[1]} to a step",
                        "This method chooses among a few actions: whole numbers from 0, one to a step. bcq, bear and brac learn from "
                        "continuous actions.")
    count = len(log.reward)
    observation, following = (one.reshape(count, -1) if one.ndim == 1 else one for one in (log.observation, log.next_observation))
    actions = _actions(log)
    outside = action[:, 0] >= actions
    if outside.any():
        first = int(outside.argmax())
        raise DataError(f"{path}, {log.place(first)}: found the action {action[first, 0]:g}; {outside.sum()} rows are outside the choices",
                        f"Expected whole numbers from 0 to {actions - 1}.")
    try:
        return DiscreteTransitions(observation, action[:, 0], log.reward, following, log.terminated, log.ended, actions, log.environment,
                                   log.behaviour)
    except DataError as problem:
        raise DataError(f"{path}: {problem.message}", problem.hint) from None


def collected(environment: str, behaviour: str, steps: str, **learning: str) -> DiscreteTransitions:
    """`steps` transitions by one of `collect.BEHAVIOURS`, made once and kept under a hash of the procedure."""
    return made.batch("collected", environment, load, behaviour=behaviour, steps=int(steps), **learning)


def _actions(log: logs.Log) -> int:
    """How many there are to choose from: as told by the environment, else by the file, else as the batch has."""
    if log.space is not None:
        return int(log.space.n)
    told = np.asarray(log.found.get("actions", int(log.action.max()) + 1))
    if told.size != 1 or told.dtype.kind not in "fiu" or not 0 < told <= MOST:
        raise DataError(f"{log.path}: {told.tolist()} actions to choose from", f"Expected one number up to {MOST:,}.")
    return int(told.reshape(()))
