"""A log of experience as people have it, read to plain arrays: a NumPy archive, a Minari data set, a table with a row a step.

Both kinds of batch are read from it. Nothing in a file is run: no pickles, no links out of an HDF5 file, and no environment that
would have a module imported.
"""

from __future__ import annotations

import os
import secrets
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ..errors import DataError
from . import log_tables, minari_files
from .kinds.environment import Environment

NEEDED = ("observation", "action", "reward", "next_observation", "terminated")
OTHERS = {"observations": "observation", "obs": "observation", "state": "observation", "states": "observation", "actions": "action",
          "rewards": "reward", "next_observations": "next_observation", "next_obs": "next_observation", "next_state": "next_observation",
          "next_states": "next_observation", "terminations": "terminated", "terminal": "terminated", "terminals": "terminated",
          "truncations": "truncated", "timeouts": "truncated"}  # names that mean nothing else, and what they mean
CUTS = {"truncated", "ended"}  # either says where episodes end
LARGEST = 16 << 30  # bytes of an archive when it is unpacked


@dataclass
class Log:
    """What a file holds, checked as far as both kinds of batch ask alike.

    Args:
        path: the file.
        observation, next_observation: (N, ...).
        action: (N,) or (N, A), as the file has it.
        reward, terminated, ended: (N,).
        space: of the actions, if the environment is known.
        environment: its Gymnasium id, or "".
        behaviour: facts about who made it.
        place: says where in the file a row stands.
        found: everything else that the file holds.
    """

    path: Path
    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_observation: np.ndarray
    terminated: np.ndarray
    ended: np.ndarray
    space: object
    environment: str
    behaviour: tuple[tuple[str, float], ...]
    place: Callable[[int], str]
    found: Mapping

    @property
    def chosen(self) -> bool:
        """Whether the actions are choices: as the environment says, else whole numbers from 0 in one column."""
        if self.space is not None:
            return hasattr(self.space, "n")
        return self.action.dtype.kind in "iub" and self.action.size == len(self.action) and bool((self.action >= 0).all())


def read(path: Path, environment: str = "") -> Log:
    """A log from a file in any of the forms.

    Args:
        path: an archive, a Minari folder or HDF5 file, or a table.
        environment: the Gymnasium id to judge policies in; overrides the one that the file names.

    Raises:
        DataError: something is missing, of another length, not a number, or not in order.
        MissingPackage: a form or an environment needs a package that is not installed.
    """
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in (".hdf5", ".h5"):
        found = minari_files.read(path)
    elif suffix == ".npz":
        found = archive(path)
    elif suffix in (".csv", ".tsv", ".parquet", ".pq"):
        found = log_tables.read(path)
    else:
        raise DataError(f"{path} is no batch of transitions that can be read: found {path.suffix or 'no ending'}",
                        "Give an .npz archive, a Minari folder or .hdf5 file, a .csv or a .parquet.")
    return _checked(path, _named(path, found), environment)


def save(batch, path: Path) -> None:
    """Write a batch so that its loader reads it: as an .npz archive, or as a Minari data set where `path` has no ending (`v1.0` has none).

    Whoever reads sees all of it or nothing. A Minari data set is a folder, `minari.load_dataset(path.name)` where
    MINARI_DATASETS_PATH names the folder that it lies in.
    """
    if not path.suffix or path.suffix[1:2].isdigit():
        return minari_files.write(batch, path)
    if path.suffix.lower() != ".npz":
        raise DataError(f"{path}: batches are not written as {path.suffix}", "Give a name with .npz, or without an ending for Minari.")
    arrays = {one.name: np.asarray(getattr(batch, one.name)) for one in fields(batch) if one.name != "behaviour"}
    arrays |= {"fact": np.array([name for name, _ in batch.behaviour], dtype=str),
               "fact_value": np.array([value for _, value in batch.behaviour], dtype=float)}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb") as stream:
            np.savez_compressed(stream, **arrays)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def archive(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz, none of them of objects.

    Raises:
        DataError: it is no such archive, too large, or holds two arrays of one name.
    """
    try:
        with zipfile.ZipFile(path) as members:
            size = sum(one.file_size for one in members.infolist())
            names = Counter(one.removesuffix(".npy") for one in members.namelist())
        if size > LARGEST:
            raise DataError(f"{path}: {size / 2**30:.0f} GiB when unpacked", f"At most {LARGEST >> 30} GiB are read.")
        if twice := [name for name, count in names.items() if count > 1]:
            raise DataError(f"{path}: {names[twice[0]]} arrays are called {twice[0]!r}", "Give every array a name of its own.")
        with np.load(path, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except (ValueError, TypeError, OSError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error) as problem:
        reason = "an array holds objects, or is none" if "allow_pickle" in str(problem) else str(problem)
        if "not a zip file" in reason:
            reason = "no zip archive, or cut short"
        raise DataError(f"{path} cannot be read as a NumPy archive: {reason}", "Write it with numpy.savez, without objects.") from None


def _named(path: Path, found: dict) -> dict:
    """The arrays by our names; two that mean one thing are refused, and so is a `done` that may mean either end."""
    named = {}
    for name, array in found.items():
        known = name if name == "actions" and "action" in found else OTHERS.get(name, name)  # then it tells how many choices there are
        if known in named:
            raise DataError(f"{path}: two arrays mean {known}: found {', '.join(found)}", f"Keep one of them, as {known}.")
        named[known] = array
    missing = [name for name in NEEDED if name not in named]
    if missing == ["next_observation"] and CUTS & set(named):
        return _followed(path, named)
    if missing:
        done = next((name for name in ("done", "dones") if name in named), "")
        hint = f"A batch has {', '.join(NEEDED)}."
        if missing == ["terminated"]:
            hint = log_tables.about_done(done)
        if missing == ["next_observation"]:
            hint = "Add it; or say in `truncated` or `timeouts` where episodes were cut, and the next row's observation is taken."
        raise DataError(f"{path} lacks {', '.join(missing)}; found {', '.join(found) or 'nothing'}", hint)
    return named


def _followed(path: Path, named: dict) -> dict:
    """A log whose next observations are those of the next rows, as in D4RL's older files.

    The last row of an episode that was cut only serves as that; where the task ended, what came next does not count.
    """
    arrays = {name: _numbers(path, name, named[name]) for name in NEEDED if name in named}
    count = _length(path, arrays)
    over, last = (np.any([_flags(path, name, named[name], count, "row {}".format) for name in names], 0)
                  for names in (["terminated"], sorted(CUTS & set(named))))
    last = last | over | (np.arange(count) == count - 1)
    kept = np.flatnonzero(~last | over)
    observation = arrays["observation"]
    arrays["next_observation"] = np.where(over.reshape(-1, *[1] * (observation.ndim - 1)), observation, np.roll(observation, -1, 0))
    ended = last | np.append((last & ~over)[1:], False)
    others = {name: value for name, value in named.items() if name not in CUTS}
    return others | {name: array[kept] for name, array in arrays.items()} | {"ended": ended[kept], "place": lambda row: f"row {kept[row]}"}


def _checked(path: Path, found: Mapping, asked: str) -> Log:
    place = found.get("place") or (lambda row: f"row {row}")
    columns = {name: _numbers(path, name, found[name]) for name in NEEDED}
    count = _length(path, columns)
    if not count:
        raise DataError(f"{path}: there are no transitions", "At least one is needed.")
    if empty := [name for name in ("observation", "action") if not columns[name].size]:
        raise DataError(f"{path}: {empty[0]} has shape {columns[empty[0]].shape}", "Give at least one number a step.")
    columns["reward"] = _single(path, "reward", columns["reward"], count)
    columns["terminated"] = _single(path, "terminated", columns["terminated"], count)
    for name in NEEDED:
        _all_finite(path, name, columns[name], place, found.get("columns", {}).get(name, ()))
    if columns["observation"].shape != columns["next_observation"].shape:
        raise DataError(f"{path}: observation has shape {columns['observation'].shape}, next_observation "
                        f"{columns['next_observation'].shape}", "Give them alike.")
    columns["terminated"] = _flags(path, "terminated", columns["terminated"], count, place)
    ended = _ended(path, found, columns, place)
    environment = asked or told_environment(path, found)
    size = columns["observation"].shape[1:] or (1,)
    return Log(path, **columns, ended=ended, space=_space(path, environment, size), environment=environment, place=place, found=found,
               behaviour=_facts(path, found))


def _numbers(path: Path, name: str, values) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{path}: {name} holds {array.dtype}", "Give numbers.")
    return array


def _length(path: Path, columns: Mapping[str, np.ndarray]) -> int:
    """The number of rows, which is that of all columns."""
    lengths = {name: len(column) if column.ndim else 0 for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{path}: lengths differ: " + ", ".join(f"{name} {count}" for name, count in lengths.items()),
                        "Give one row a step in every array.")
    return next(iter(lengths.values()))


def _flags(path: Path, name: str, values, count: int, place: Callable) -> np.ndarray:
    """(count,) bool from true and false, or 1 and 0."""
    column = _single(path, name, _numbers(path, name, values), count)
    if len(wrong := np.flatnonzero(~np.isin(column, (0, 1)))):
        raise DataError(f"{path}, {place(wrong[0])}: {name} holds numbers other than 0 and 1: {column[wrong[0]]}",
                        "Give true or false for every step.")
    return column.astype(bool)


def _single(path: Path, name: str, column: np.ndarray, count: int) -> np.ndarray:
    if column.shape not in ((count,), (count, 1)):
        raise DataError(f"{path}: {name} has shape {column.shape}", f"Expected ({count},), one a step.")
    return column.reshape(-1)


def _all_finite(path: Path, name: str, column: np.ndarray, place: Callable, parts: Sequence[str]) -> None:
    """Every number is one, and one that 32 bits can hold; `parts` names the columns of a table."""
    if column.dtype.kind != "f":
        return
    rows = column.reshape(len(column), -1)
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(rows.astype(np.float32))
    if len(where := np.flatnonzero(bad.any(1))):
        row, at = where[0], int(bad[where[0]].argmax())
        which = parts[at] if len(parts) == rows.shape[1] else f"{name} {at}" if rows.shape[1] > 1 else name
        found = f"{rows[row, at]:g}, too large for 32 bits" if np.isfinite(rows[row, at]) else "missing or infinite"
        more = f"; {len(where)} of {len(rows)} rows are like that" if len(where) > 1 else ""
        raise DataError(f"{path}, {place(row)}: {which} is {found}{more}", "Give finite numbers, or leave the episode out.")


def _ended(path: Path, found: Mapping, columns: dict[str, np.ndarray], place: Callable) -> np.ndarray:
    """Where episodes end: as told, or where the next row does not begin at this row's next observation."""
    terminated = columns["terminated"]
    follows = columns["next_observation"][:-1], columns["observation"][1:]
    apart = ~np.isclose(*follows, rtol=1e-4, atol=1e-6).all(tuple(range(1, columns["observation"].ndim)))
    told = CUTS & set(found)
    ended = np.append(terminated[:-1] | (apart & (not told)), True)
    for name in sorted(told):
        ended |= _flags(path, name, found[name], len(ended), place)
    if len(torn := np.flatnonzero(apart & ~ended[:-1])):
        raise DataError(f"{path}, {place(torn[0])}: the episode goes on, but its next observation is not the observation of the row after; "
                        f"{len(torn)} rows are like that",
                        "Give the steps of an episode one after another, and mark its last one in `ended` or `truncated`.")
    alone = ended & np.insert(ended[:-1], 0, True) & ~terminated
    if alone.sum() > ended.sum() / 2:
        all_ = "all" if alone.all() else f"{alone.sum()} of"
        raise DataError(f"{path}: {all_} {ended.sum()} episodes have a length of one step and no termination",
                        "Give the steps of an episode one after another.")
    if ended.all():
        warnings.warn(f"{path}: every one of the {len(ended)} episodes has a single step, after which the task ended: if it went on, "
                      "`terminated` is wrong, and no value will be learned", UserWarning, stacklevel=5)
    return ended


def _facts(path: Path, found: Mapping) -> tuple[tuple[str, float], ...]:
    names, values = (np.asarray(found.get(name, ())).reshape(-1) for name in ("fact", "fact_value"))
    if len(names) != len(values) or (len(values) and values.dtype.kind not in "fiub"):
        raise DataError(f"{path}: fact holds {len(names)} names, fact_value {len(values)} values ({values.dtype})", "Give as many numbers.")
    return tuple((str(name), float(value)) for name, value in zip(names, values, strict=True))


def bounds(path: Path, found: Mapping, action: np.ndarray, environment: str, known: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """The action's bounds: the environment's, else as the file tells them, else the batch's extremes; of these the first that is finite.

    Args:
        path: the file.
        found: what it holds, perhaps `action_low` and `action_high`.
        action: (N, A).
        environment: whose bounds are known.
        known: its two bounds (A,), or () without an environment.

    Raises:
        DataError: the file's bounds are no numbers, the wrong way round, or other than the environment's.
    """
    both = []
    for name, own, extreme in zip(("action_low", "action_high"), known or (np.inf, np.inf), (action.min(0), action.max(0)), strict=True):
        own = np.broadcast_to(own, extreme.shape)
        told = np.asarray(found.get(name, own))
        if told.dtype.kind not in "fiu" or told.size != extreme.size:
            raise DataError(f"{path}: {name} holds {told.dtype} of shape {told.shape}", f"Give {extreme.size} numbers.")
        told = told.reshape(-1)
        if np.isnan(told).any():
            raise DataError(f"{path}: {name} is {told.tolist()}", "Give a number for each action, or leave it out.")
        if (np.isfinite(told) & np.isfinite(own) & ~np.isclose(told, own, rtol=1e-4, atol=1e-6)).any():
            raise DataError(f"{path}: {name} is {told.tolist()}, but in {environment} it is {own.tolist()}",
                            "Leave the bounds out of the file, or name the environment that has them.")
        both.append(np.where(np.isfinite(own), own, np.where(np.isfinite(told), told, extreme)))
    low, high = both
    if (low > high).any():
        raise DataError(f"{path}: action_low {low.tolist()} is above action_high {high.tolist()}", "Give the lower bounds as action_low.")
    return low, high


def told_environment(path: Path, found: Mapping) -> str:
    """The id that the file names, as a text, bytes, or an array of one; never one whose module would be imported for it."""
    told = np.asarray(found.get("environment", ""))
    if told.size != 1 or told.dtype.kind not in "US":
        raise DataError(f"{path}: environment holds {told.dtype} of shape {told.shape}", "Give one Gymnasium id, as a text.")
    name = told.reshape(-1)[0]
    name = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
    if not name.isprintable():
        raise DataError(f"{path}: environment is {name[:80]!r}", "Give one Gymnasium id, as a text.")
    if ":" in name or len(name) > 200:
        raise DataError(f"{path} names the environment {name[:80]!r}, for which a module would be imported",
                        "A data file may not ask for that. If you know the module, give it yourself: --environment MODULE:ID.")
    return name


def _space(path: Path, environment: str, size: tuple[int, ...]):
    """The action space of the environment, whose observations must be of this size."""
    if not environment:
        return None
    try:
        with Environment(environment).make() as made:
            seen, space = made.observation_space, made.action_space
    except DataError as problem:
        raise DataError(f"{path}: {problem.message}", problem.hint) from None
    if not hasattr(seen, "low") or not (hasattr(space, "low") or hasattr(space, "n")) or not hasattr(space, "dtype"):
        raise DataError(f"{path}: {environment} has observations {type(seen).__name__} and actions {type(space).__name__}",
                        "Observations are to be one Box, actions a Box or Discrete: register it wrapped.")
    if getattr(space, "start", 0):
        raise DataError(f"{path}: the choices of {environment} begin at {space.start}", "They are to begin at 0: register it wrapped.")
    if seen.shape != size:
        raise DataError(f"{path}: observations of size {size}", f"{environment} has observations of size {seen.shape}, actions {space}.")
    return space
