"""Transitions: a fixed batch from a NumPy archive, a Minari data set or a table, and the sets that are made here.

- `.npz`: arrays `observation` (N, O), `action` (N, A), `reward` (N,), `next_observation` (N, O), `terminated` (N,);
  optional `truncated` or `ended` (N,), `action_low`, `action_high` (A,), `environment` (a Gymnasium id).
- a Minari data set: its folder, or its HDF5 file.
- `.csv` or `.parquet`: a row a step, with columns episode, step, obs_0 ..., act_0 ..., reward, terminated. The next row of
  the episode is the next observation, so the last row of an episode that did not terminate only serves as that.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

from .. import places
from ..errors import DataError, MissingPackage
from . import collect
from .kinds.environment import Environment
from .kinds.transitions import Transitions

NEEDED = ("observation", "action", "reward", "next_observation", "terminated")


def load(path: Path, environment: str = "") -> Transitions:
    """A batch of the user's own.

    Args:
        path: an archive, Minari folder or table, as above.
        environment: the Gymnasium id to judge policies in; overrides the one the file names.

    Raises:
        DataError: something is missing, of another length, not a number, or outside the action's bounds.
        MissingPackage: a Minari set, or the bounds of an environment, without the packages for them.
    """
    if path.is_dir() or path.suffix in (".hdf5", ".h5"):
        found = _minari(path)
    elif path.suffix == ".npz":
        found = _archive(path)
    elif path.suffix in (".csv", ".parquet"):
        found = _table(path)
    else:
        raise DataError(f"{path} is no batch of transitions that can be read: found {path.suffix or 'no ending'}",
                        "Give an .npz archive, a Minari folder or .hdf5 file, a .csv or a .parquet.")
    return _batch(path, found, environment or str(found.get("environment", "")))


def save(batch: Transitions, path: Path) -> None:
    """Write a batch as an .npz archive that `load` reads; whoever reads sees the whole file or none."""
    arrays = {name: getattr(batch, name) for name in (*NEEDED, "ended", "action_low", "action_high", "environment")}
    arrays |= {"fact": np.array([name for name, _ in batch.behaviour], dtype=str),
               "fact_value": np.array([value for _, value in batch.behaviour], dtype=float)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
        try:
            np.savez_compressed(part, **arrays)
            part.close()
            os.replace(part.name, path)
        finally:
            Path(part.name).unlink(missing_ok=True)


def imperfect(environment: str, steps: str, learning_steps: str, step_size: str, noise: str, survival_bonus: str = "0",
              random_share: str = "0.3", action_noise: str = "0.3") -> Transitions:
    """Imperfect demonstrations by a policy learned here: 30 % of its actions are random, the others carry noise of 0.3.

    They are made once and kept under a hash of this procedure; `BAKEOFF_DATA/batches` is looked in first.
    """
    asked = {"steps": int(steps), "learning_steps": int(learning_steps), "step_size": float(step_size), "noise": float(noise),
             "survival_bonus": float(survival_bonus), "random_share": float(random_share), "action_noise": float(action_noise)}
    Environment(environment).make().close()  # a missing package is told before anything else is asked of it
    procedure = Path(collect.__file__).read_text(encoding="utf-8")
    made_by = (environment, sorted(asked.items()), version("gymnasium"), version("mujoco"), procedure)
    file = f"{environment}-{hashlib.sha256(repr(made_by).encode()).hexdigest()[:16]}.npz"
    given = places.given_data()
    for folder in ([given] if given else []) + [places.cache()]:
        if (path := folder / "batches" / file).is_file():
            return load(path)
    batch = collect.imperfect(environment, **asked)
    save(batch, places.cache() / "batches" / file)
    return batch


def _batch(path: Path, found: Mapping[str, np.ndarray], environment: str) -> Transitions:
    """The arrays of one file, checked, with what they leave out filled in."""
    if missing := [name for name in NEEDED if name not in found]:
        raise DataError(f"{path} lacks {', '.join(missing)}; found {', '.join(found) or 'nothing'}",
                        f"A batch has {', '.join(NEEDED)}.")
    columns = {name: _numbers(path, name, found[name]) for name in NEEDED}
    observation, action = columns["observation"], columns["action"]
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{path}: lengths differ: " + ", ".join(f"{name} {count}" for name, count in lengths.items()),
                        "Give one row a step in every array.")
    if not len(observation):
        raise DataError(f"{path}: there are no transitions", "At least one is needed.")
    if np.issubdtype(action.dtype, np.integer) or action.dtype == bool:
        raise DataError(f"{path}: action holds whole numbers ({action.dtype}): discrete actions",
                        "These methods are for continuous actions: floats of shape (N, A).")
    if not np.isin(columns["terminated"], (0, 1)).all():
        raise DataError(f"{path}: terminated holds numbers other than 0 and 1", "Give true or false for every step.")
    columns["action"] = action = action.reshape(len(action), -1)
    ended = _ended(path, found, columns)
    if ended.all() and not columns["terminated"].all():
        raise DataError(f"{path}: all {len(ended)} episodes have a length of one step", "Give the steps of an episode one after another.")
    low, high = _bounds(path, found, observation, action, environment)
    facts = zip(found.get("fact", ()), found.get("fact_value", ()), strict=True)
    try:
        return Transitions(**columns, ended=ended, action_low=low, action_high=high, environment=environment,
                           behaviour=tuple((str(name), float(value)) for name, value in facts))
    except DataError as problem:
        raise DataError(f"{path}: {problem.message}", problem.hint) from None


def _numbers(path: Path, name: str, values) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{path}: {name} holds {array.dtype}", "Give numbers.")
    return array


def _ended(path: Path, found: Mapping[str, np.ndarray], columns: dict[str, np.ndarray]) -> np.ndarray:
    """Where episodes end: as told, or where the next row does not begin at this row's next observation."""
    terminated = columns["terminated"].astype(bool)
    if name := next((name for name in ("ended", "truncated") if name in found), ""):
        told = _numbers(path, name, found[name]).astype(bool)
        if told.shape != terminated.shape:
            raise DataError(f"{path}: {name} has shape {told.shape}", f"Expected {terminated.shape}, one a step.")
        ended = terminated | told
    else:
        ended = terminated.copy()
        ended[:-1] |= (columns["next_observation"][:-1] != columns["observation"][1:]).reshape(len(ended) - 1, -1).any(1)
    ended[-1] = True
    return ended


def _bounds(path: Path, found: Mapping, observation: np.ndarray, action: np.ndarray, environment: str) -> tuple[np.ndarray, np.ndarray]:
    """The action's bounds: as told by the file, else by the environment, else the extremes of the batch."""
    if environment:
        with Environment(environment).make() as made:
            sizes = made.observation_space.shape, made.action_space.shape
            bounds = getattr(made.action_space, "low", None), getattr(made.action_space, "high", None)
        if sizes != (observation.shape[1:], action.shape[1:]):
            raise DataError(f"{path}: observations of size {observation.shape[1:]} and actions of size {action.shape[1:]}",
                            f"{environment} has sizes {sizes[0]} and {sizes[1]}.")
    else:
        bounds = None, None
    extremes = action.min(0), action.max(0)
    told = [_numbers(path, name, found[name]).reshape(-1) if name in found else bound
            for name, bound in zip(("action_low", "action_high"), bounds, strict=True)]
    return tuple(extreme if bound is None else np.where(np.isfinite(bound), bound, extreme) if bound.shape == extreme.shape else bound
                 for bound, extreme in zip(told, extremes, strict=True))


def _archive(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as problem:
        raise DataError(f"{path} cannot be read as a NumPy archive: {problem}", "Write it with numpy.savez, without objects.") from None


def _minari(path: Path) -> dict[str, np.ndarray]:
    try:
        import h5py
    except ImportError:
        raise MissingPackage("h5py", "rl") from None
    files = [path] if path.is_file() else sorted(path.rglob("main_data.hdf5"))
    if len(files) != 1:
        found = f"are {len(files)} files" if files else "is no"
        raise DataError(f"{path}: there {found} main_data.hdf5", "Give the folder of one Minari data set.")
    try:
        with h5py.File(files[0]) as archive:
            names = sorted((name for name in archive if name.startswith("episode_")), key=lambda name: int(name.partition("_")[2]))
            episodes = [_minari_episode(f"{files[0]}, {name}", archive[name], h5py.Dataset) for name in names]
            spec = json.loads(archive.attrs.get("env_spec") or "null")  # older versions of Minari keep it here, others in a file beside
        if spec is None and (beside := files[0].with_name("metadata.json")).is_file():
            spec = json.loads(json.loads(beside.read_text(encoding="utf-8")).get("env_spec") or "null")
    except (OSError, ValueError) as problem:
        raise DataError(f"{files[0]} cannot be read as a Minari data set: {problem}", "Give a folder that Minari wrote.") from None
    if not episodes:
        raise DataError(f"{files[0]}: there are no episodes", "Give the folder of a Minari data set.")
    columns = {name: np.concatenate([one[name] for one in episodes]) for name in episodes[0]}
    return columns | {"environment": (spec or {}).get("id", "")}


def _minari_episode(where: str, group, array: type) -> dict[str, np.ndarray]:
    """The columns of one episode; it ends at its last row, whatever that says."""
    wanted = ("observations", "actions", "rewards", "terminations")
    if missing := [name for name in wanted if not isinstance(group.get(name), array)]:
        raise DataError(f"{where}: no plain array for {', '.join(missing)}; found {', '.join(group)}",
                        "Flatten dictionary observations and actions first.")
    observation, action, reward, terminated = (group[name][:] for name in wanted)
    if len(observation) != len(reward) + 1:
        raise DataError(f"{where}: {len(observation)} observations for {len(reward)} rewards",
                        "Expected one observation more, that after the last step.")
    return {"observation": observation[:-1], "action": action, "reward": reward, "next_observation": observation[1:],
            "terminated": terminated, "ended": np.arange(1, len(reward) + 1) == len(reward)}


def _table(path: Path) -> dict[str, np.ndarray]:
    import pandas
    try:
        frame = pandas.read_parquet(path) if path.suffix == ".parquet" else pandas.read_csv(path)
    except (ValueError, OSError) as problem:
        raise DataError(f"{path} cannot be read as a table: {problem}", "Give a CSV or Parquet file with named columns.") from None
    observed, acted = (_numbered(frame, start) for start in ("obs_", "act_"))
    needed = ["episode", "step", *(observed or ["obs_0"]), *(acted or ["act_0"]), "reward", "terminated"]
    if missing := [name for name in needed if name not in frame]:
        raise DataError(f"{path} lacks the columns {', '.join(missing)}; found {', '.join(map(str, frame))}",
                        f"A batch has {', '.join(needed)}.")
    for name in ("episode", "step", "terminated"):
        if frame[name].isna().any() or (name != "episode" and frame[name].dtype.kind not in "biuf"):
            raise DataError(f"{path}: {name} holds {frame[name].dtype}, or nothing in some rows",
                            "Give a number in every row, or true and false.")
    frame = frame.sort_values(["episode", "step"], kind="stable")
    episode, terminated = frame["episode"].to_numpy(), frame["terminated"].to_numpy(bool)
    last = np.append(episode[1:] != episode[:-1], True)
    if len(gaps := episode[:-1][~last[:-1] & (np.diff(frame["step"].to_numpy(float)) != 1)]):
        raise DataError(f"{path}: the steps of episode {gaps[0]} do not follow one another", "Number the rows of an episode 0, 1, 2, ...")
    if len(early := episode[terminated & ~last]):
        raise DataError(f"{path}: episode {early[0]} goes on after a row with terminated", "Give what follows another number of episode.")
    if len(alone := episode[last & np.insert(last[:-1], 0, True) & ~terminated]):
        raise DataError(f"{path}: episode {alone[0]} has one row and no termination, so no next observation",
                        "Give every episode its following rows, or leave it out.")
    kept = ~last | terminated
    observation = frame[observed].to_numpy()
    following = np.where((last & terminated)[:, None], observation, np.roll(observation, -1, 0))
    return {"observation": observation[kept], "action": frame[acted].to_numpy()[kept], "reward": frame["reward"].to_numpy()[kept],
            "next_observation": following[kept], "terminated": terminated[kept],
            "ended": (last | np.append(last[1:] & ~terminated[1:], False))[kept]}


def _numbered(frame, start: str) -> list[str]:
    """The columns whose names begin so, in the order of their numbers: obs_2 before obs_10."""
    found = [name for name in map(str, frame) if name.startswith(start)]
    numbers = [name.removeprefix(start) for name in found]
    return sorted(found, key=lambda name: int(name.removeprefix(start))) if all(map(str.isdecimal, numbers)) else found
