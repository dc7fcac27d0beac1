"""Minari data sets, read and written with h5py alone: a folder `data` with `main_data.hdf5` and `metadata.json`.

Of an HDF5 file only arrays that lie in it are read: no links to other files, no arrays kept outside, none of objects.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..errors import DataError, MissingPackage
from .kinds.environment import Environment
from .log_tables import about_done

FILE, BESIDE = "main_data.hdf5", "metadata.json"
WANTED = ("observations", "actions", "rewards", "terminations")
LARGEST = 16 << 30  # bytes of all arrays
WRITTEN_AS = "0.5.0"  # of Minari: a version whose form this is


def read(path: Path) -> dict:
    """The arrays of a data set's episodes put together, its environment's id, and `place`, which says where a row stands."""
    return together(path, _episode, _flat)


def together(path: Path, episode: Callable, flat: Callable | None = None) -> dict:
    """The arrays of a data set's episodes, put together, its environment's id, and `place`, which says where a row stands.

    Args:
        path: the data set's folder, or its HDF5 file.
        episode: reads one episode from what is said of where it stands, its group, and h5py; to arrays with a row a step.
        flat: reads a file without episodes from the file, what it holds, and h5py; without it, such a file is refused.
    """
    h5py = _h5py()
    file = _main(path)
    try:
        with h5py.File(file, locking=False) as archive:
            _small(file, archive, h5py)
            names = sorted((name for name in archive if re.fullmatch(r"episode_\d+", name)), key=lambda name: int(name[8:]))
            if not names and flat:
                return flat(file, archive, h5py)
            if not names:
                raise DataError(f"{file} is no Minari data set: there are no episodes", "Give the folder of a data set.")
            episodes = [episode(f"{file}, {name}", _group(f"{file}, {name}", archive, name, h5py), h5py) for name in names]
            about = _json(archive.attrs.get("env_spec")) or {}  # older versions of Minari keep it here, others in the file beside
    except (OSError, RuntimeError, KeyError, ValueError, MemoryError) as problem:
        raise DataError(f"{file} cannot be read as a Minari data set: {problem}", "Give a folder or HDF5 file that Minari wrote.") from None
    beside = _beside(file)
    about = about or _json(beside.get("env_spec")) or {"id": beside.get("environment")}
    starts = np.cumsum([0, *(len(one["action"]) for one in episodes)])
    for name in episodes[0]:
        if len(shapes := {one[name].shape[1:] for one in episodes}) > 1:
            raise DataError(f"{file}: {name} has several shapes: {', '.join(map(str, sorted(shapes)))}", "Give episodes of one task.")

    def place(row: int) -> str:
        number = int(np.searchsorted(starts, row, "right")) - 1
        return f"{names[number]}, step {row - starts[number]}"

    found = {name: np.concatenate([one[name] for one in episodes]) for name in episodes[0]} | {"place": place}
    return found | _told(file, beside) | {"environment": _environment(file, about)}


def write(batch, path: Path) -> None:
    """Write a batch as a Minari data set: the folder `path`, whose last name is the data set's id.

    Raises:
        DataError: the folder is there already, or the batch's rows do not follow one another.
    """
    h5py = _h5py()
    if path.exists():
        raise DataError(f"{path} is there already", "Give another folder, or remove it.")
    goes_on = np.flatnonzero(~batch.ended[:-1])
    if not np.allclose(batch.next_observation[goes_on], batch.observation[goes_on + 1], rtol=1e-4, atol=1e-6):
        raise DataError("the rows of this batch do not follow one another", "Minari keeps whole episodes: write it as .npz.")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        (part / "data").mkdir(parents=True)
        ends = np.flatnonzero(np.append(batch.ended[:-1], True)) + 1
        with h5py.File(part / "data" / FILE, "w", track_order=True) as archive:
            for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
                _write_episode(archive.create_group(f"episode_{number}"), number, batch, slice(int(start), int(end)))
        (part / "data" / BESIDE).write_text(json.dumps(_about(batch, path.name, len(ends))), encoding="utf-8")
        os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_episode(group, number: int, batch, rows: slice) -> None:
    over = np.zeros(rows.stop - rows.start, bool)
    cut = over.copy()
    over[-1] = batch.terminated[rows][-1]
    cut[-1] = not over[-1]
    group.attrs.update({"id": number, "total_steps": len(over)})
    group["observations"] = np.concatenate([batch.observation[rows], batch.next_observation[rows][-1:]])
    for name, array in (("actions", batch.action[rows]), ("rewards", batch.reward[rows]), ("terminations", over), ("truncations", cut)):
        group[name] = array


def _about(batch, name: str, episodes: int) -> dict:
    seen = batch.observation
    high = 1e999 if seen.dtype.kind == "f" else int(seen.max(initial=0)) if seen.dtype == bool else 255
    box = {"type": "Box", "dtype": str(seen.dtype), "shape": list(seen.shape[1:]),
           "low": np.full(seen.shape[1:], -high if seen.dtype.kind == "f" else 0).tolist(), "high": np.full(seen.shape[1:], high).tolist()}
    if hasattr(batch, "actions"):
        actions = {"type": "Discrete", "dtype": "int64", "start": 0, "n": batch.actions}
    else:
        actions = {"type": "Box", "dtype": "float32", "shape": [batch.action.shape[1]], "low": batch.action_low.tolist(),
                   "high": batch.action_high.tolist()}
    about = {"total_episodes": episodes, "total_steps": len(batch), "data_format": "hdf5", "jpeg_encoding": False,
             "observation_space": json.dumps(box), "action_space": json.dumps(actions), "dataset_id": name, "minari_version": WRITTEN_AS,
             "environment": batch.environment, "behaviour": dict(batch.behaviour)}
    if batch.environment:
        with Environment(batch.environment).make() as made, suppress(ValueError):  # one made of functions cannot be told as JSON
            about["env_spec"] = made.spec.to_json()
    return about


def _main(path: Path) -> Path:
    if path.is_file():
        return path
    files = sorted(path.rglob(FILE))
    if len(files) != 1:
        if len(files) > 1:
            raise DataError(f"{path}: there are {len(files)} files {FILE}", "Give the folder of one Minari data set.")
        form = next((_json(one.read_text(encoding="utf-8", errors="replace")) for one in sorted(path.rglob(BESIDE))), None)
        form = form.get("data_format") if isinstance(form, dict) else None
        raise DataError(f"{path}: there is no {FILE}" + (f", as the data set is kept in the form {form!r}" if form else ""),
                        "Give the folder of one Minari data set" + (", made with data_format='hdf5'." if form else "."))
    return files[0]


def _told(file: Path, beside: dict) -> dict:
    """What the file beside says of the actions and, where we wrote it, of who made them."""
    space, facts = _json(beside.get("action_space")) or {}, beside.get("behaviour") or {}
    try:
        told = {"fact": np.array(list(facts), dtype=str), "fact_value": np.array(list(facts.values()), dtype=float)}
        if space.get("type") == "Discrete":
            return told | {"actions": np.array(int(space["n"]))}
        if space.get("type") == "Box":
            return told | {f"action_{end}": np.array(space[end], dtype=float).reshape(-1) for end in ("low", "high")}
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise DataError(f"{file.with_name(BESIDE)} cannot be read: {type(problem).__name__}: {problem}",
                        "Give it as Minari writes it.") from None
    return told


def _environment(file: Path, about) -> str:
    """The environment's id; that it was made otherwise than by default is told."""
    if not isinstance(about, dict):
        return ""
    if changed := about.get("kwargs"):
        warnings.warn(f"{file}: made in {about.get('id')} with {changed}; policies are judged in it as it is by default", stacklevel=2)
    return str(about.get("id") or "")


def _beside(file: Path) -> dict:
    path = file.with_name(BESIDE)
    found = _json(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def _json(text):
    """What a text of JSON holds; None if it is none."""
    try:
        return json.loads(text) if text is not None else None
    except (ValueError, TypeError, RecursionError):
        return None


def _group(where: str, archive, name: str, h5py):
    group = held(where, archive, name, h5py)
    if not isinstance(group, h5py.Group):
        raise DataError(f"{where} is no group", "Give a data set that Minari wrote.")
    return group


def _episode(where: str, group, h5py) -> dict[str, np.ndarray]:
    """The columns of one episode; it ends at its last row, whatever that says."""
    found = {one: held(f"{where}/{one}", group, one, h5py) for one in WANTED if one in group}
    if missing := [one for one in WANTED if not isinstance(found.get(one), h5py.Dataset)]:
        inside = [f"{one} (with {', '.join(found[one])})" for one in missing if isinstance(found.get(one), h5py.Group)]
        hint = about_done("") if missing == ["terminations"] else f"A Minari episode has {', '.join(WANTED)}, truncations."
        raise DataError(f"{where}: no plain array for {', '.join(missing)}; found {', '.join([*group, *inside])}",
                        "Flatten dictionary observations and actions first." if inside else hint)
    observation, action, reward, terminated = (array(f"{where}/{one}", found[one]) for one in WANTED)
    if not len(reward) or len(observation) != len(reward) + 1:
        raise DataError(f"{where}: {len(observation)} observations for {len(reward)} rewards",
                        "Expected one observation more, that after the last step, and at least one step.")
    if len(action) != len(reward) or len(terminated) != len(reward):
        raise DataError(f"{where}: {len(reward)} rewards, {len(action)} actions, {len(terminated)} terminations", "Expected as many.")
    if len(early := np.flatnonzero((terminated.reshape(len(reward), -1)[:-1] == 1).any(1))):
        raise DataError(f"{where}, step {early[0]}: the task ended here, but the episode goes on",
                        "Give what follows an episode of its own.")
    return {"observation": observation[:-1], "action": action, "reward": reward, "next_observation": observation[1:],
            "terminated": terminated, "ended": np.arange(1, len(reward) + 1) == len(reward)}


def _flat(file: Path, archive, h5py) -> dict:
    """An HDF5 file that is no Minari data set, but may hold arrays of the whole batch, as D4RL's files do."""
    inside = {name: held(f"{file}, {name}", archive, name, h5py) for name in archive}
    arrays = {name: array(f"{file}, {name}", one) for name, one in inside.items()
              if isinstance(one, h5py.Dataset) and one.ndim and one.dtype.kind in "fiub"}
    if not {"observations", "actions", "rewards"} <= set(arrays):
        raise DataError(f"{file} is no Minari data set: there are no episodes; found {', '.join(list(archive)[:20]) or 'nothing'}",
                        "A Minari file has groups episode_0, episode_1, ...; write other batches as .npz (see docs/your-data.md).")
    return arrays


def held(where: str, group, name: str, h5py):
    """What lies in the file under this name; links that lead out of it are refused."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise DataError(f"{where} is a link", "Links are not followed: write the arrays into one file.")
    return group[name]


def array(where: str, dataset) -> np.ndarray:
    if dataset.is_virtual or dataset.external:
        raise DataError(f"{where} is kept in another file", "Write the arrays into one file.")
    if dataset.dtype.kind not in "fiub" or not dataset.ndim:
        raise DataError(f"{where} holds {dataset.dtype} of shape {dataset.shape}", "Give arrays of numbers, images not encoded.")
    return dataset[:]


def _small(file: Path, archive, h5py) -> None:
    """All arrays together are of a size that can be read, whatever their compression."""
    total = 0

    def add(name, one):
        nonlocal total
        total += one.nbytes if isinstance(one, h5py.Dataset) else 0

    archive.visititems(add)
    if total > LARGEST:
        raise DataError(f"{file}: {total / 2**30:.0f} GiB of arrays", f"At most {LARGEST >> 30} GiB are read.")


def _h5py():
    try:
        import h5py
    except ImportError:
        raise MissingPackage("h5py", "rl") from None
    return h5py
