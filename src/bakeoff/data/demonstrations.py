"""Demonstrations with goals: from a NumPy archive or a Minari data set, and those that are made here.

- `.npz`: arrays `observation`, `next_observation` (N, O), `action` (N, A), `achieved` (what the action achieved) and `goal` (N, G),
  `ended` (N,), true at the last step of an episode; optional `action_low`, `action_high` (A,), `environment`.
- a Minari data set of a goal environment: its folder, or its HDF5 file. Its observations have the parts `observation`,
  `achieved_goal` and `desired_goal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import DataError
from . import four_rooms as rooms
from . import logs, minari_files
from .kinds.demonstrations import Demonstrations
from .kinds.goal_environment import PARTS, GoalEnvironment

NEEDED = ("observation", "action", "next_observation", "achieved", "goal", "ended")


def load(path: Path, environment: str = "") -> Demonstrations:
    """Demonstrations of the user's own.

    Args:
        path: an archive or Minari set, as above.
        environment: "four-rooms" or the Gymnasium id to act and be judged in; overrides the one the file names.

    Raises:
        DataError: something is missing, of another length, not a number, or outside the action's bounds.
        MissingPackage: a Minari set, or a Gymnasium environment, without the packages for them.
    """
    if path.is_dir() or path.suffix.lower() in (".hdf5", ".h5"):
        found = minari_files.together(path, _episode)
    elif path.suffix.lower() == ".npz":
        found = logs.archive(path)
    else:
        raise DataError(f"{path} holds no demonstrations that can be read: found {path.suffix or 'no ending'}",
                        "Give an .npz archive, a Minari folder or a .hdf5 file.")
    return _demonstrations(path, found, environment or logs.told_environment(path, found))


def four_rooms(episodes: str, random_share: str = "0.2", seed: str = "0") -> Demonstrations:
    """Walks of the shortest way through four rooms, a share of the actions random."""
    columns = rooms.demonstrate(int(episodes), int(seed), float(random_share))
    reached = rooms.FourRooms().reached(columns["achieved"], columns["goal"])
    facts = {"episodes": int(episodes), "success (%)": 100 * reached.sum() / int(episodes), "share of random actions": float(random_share)}
    return Demonstrations(**columns, action_low=rooms.FourRooms.action_low, action_high=rooms.FourRooms.action_high,
                          environment=rooms.NAME, demonstrator=tuple((name, float(value)) for name, value in facts.items()))


def _demonstrations(path: Path, found: Mapping[str, np.ndarray], environment: str) -> Demonstrations:
    """The arrays of one file, checked, with the bounds of its actions."""
    if missing := [name for name in NEEDED if name not in found]:
        raise DataError(f"{path} lacks {', '.join(missing)}; found {', '.join(found) or 'nothing'}",
                        f"Demonstrations have {', '.join(NEEDED)}.")
    columns = {name: np.asarray(found[name]) for name in NEEDED}
    for name, column in columns.items():
        if column.dtype.kind not in "fiub":
            raise DataError(f"{path}: {name} holds {column.dtype}", "Give numbers.")
    lengths = {name: len(column) if column.ndim else 0 for name, column in columns.items()}
    if len(set(lengths.values())) > 1 or not lengths["action"]:
        raise DataError(f"{path}: lengths are " + ", ".join(f"{name} {count}" for name, count in lengths.items()),
                        "Give one row a step in every array, and at least one.")
    if columns["action"].dtype.kind in "iub":
        raise DataError(f"{path}: action holds whole numbers ({columns['action'].dtype}): discrete actions",
                        "These methods are for continuous actions: floats of shape (N, A).")
    if not np.isin(columns["ended"], (0, 1)).all():
        raise DataError(f"{path}: ended holds numbers other than 0 and 1", "Give true at the last step of each episode, false elsewhere.")
    columns |= {name: column.reshape(len(column), -1) for name, column in columns.items() if name != "ended"}
    low, high = _bounds(path, found, columns, environment)
    try:
        return Demonstrations(**columns, action_low=low, action_high=high, environment=environment)
    except DataError as problem:
        raise DataError(f"{path}: {problem.message}", problem.hint) from None


def _bounds(path: Path, found: Mapping, columns: dict[str, np.ndarray], environment: str) -> tuple[np.ndarray, np.ndarray]:
    known = ()
    if environment:
        try:
            worlds = GoalEnvironment(environment).worlds(1)
        except DataError as problem:
            raise DataError(f"{path}: {problem.message}", problem.hint) from None
        sizes = tuple(columns[name].shape[1] for name in ("observation", "action", "goal"))
        if sizes != (expected := (worlds.observation_dim, len(worlds.action_low), worlds.goal_dim)):
            raise DataError(f"{path}: observations, actions and goals of sizes {sizes}", f"{environment} has {expected}.")
        known = worlds.action_low, worlds.action_high
    return logs.bounds(path, found, columns["action"], environment, known)


def _episode(where: str, group, h5py) -> dict[str, np.ndarray]:
    """The columns of one episode of a Minari data set; it ends at its last row, whatever that says."""
    observations, actions = (minari_files.held(f"{where}/{name}", group, name, h5py) if name in group else None
                             for name in ("observations", "actions"))
    if not isinstance(observations, h5py.Group) or not set(PARTS) <= set(observations):
        found = "one plain array" if isinstance(observations, h5py.Dataset) else ", ".join(observations or ()) or "nothing"
        raise DataError(f"{where}: its observations are {found}", f"Those of a goal environment have the parts {', '.join(PARTS)}.")
    if not isinstance(actions, h5py.Dataset):
        raise DataError(f"{where}: no plain array of actions", "Flatten dictionary actions first.")
    seen = (minari_files.held(f"{where}/observations/{name}", observations, name, h5py) for name in PARTS)
    observation, achieved, goal = (minari_files.array(f"{where}/observations", one) for one in seen)
    action = minari_files.array(f"{where}/actions", actions)
    if not len(action) or {len(observation), len(achieved), len(goal)} != {len(action) + 1}:
        raise DataError(f"{where}: {len(observation)} observations for {len(action)} actions",
                        "Expected one observation more, that after the last step, and at least one step.")
    return {"observation": observation[:-1], "action": action, "next_observation": observation[1:], "achieved": achieved[1:],
            "goal": goal[:-1], "ended": np.arange(1, len(action) + 1) == len(action)}
