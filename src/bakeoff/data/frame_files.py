"""Batches of frames on disk, of any length: a folder that is written while the game is played, and read where it lies.

- `frames.npy`: (N + episodes, H, W) uint8, an episode's frames one after another, that behind its last step included; read as a memory map.
- `steps.npz`: `action`, `reward`, `terminated`, `ended` (N,), `actions`, `stacked`, `environment`, `fact`, `fact_value`, and `crc32`,
  the checksum of the frames.

A frame of 84 x 84 takes 7 KB: 10 million steps are 71 GB on disk, and as stacks of four in memory would be 564 GB.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tokenize
import zlib
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from ..errors import DataError
from . import logs
from .kinds.environment import Environment
from .kinds.frame_transitions import FrameTransitions

FRAMES, STEPS = "frames.npy", "steps.npz"
COLUMNS = {"action": "q", "reward": "f", "terminated": "b", "ended": "b"}
ENDS = ("terminated", "ended")
RANGES = {"actions": (1, 10_000), "stacked": (1, 64), "crc32": (0, 2**32 - 1)}
CHUNK = 1 << 24  # bytes


def is_one(path: Path) -> bool:
    """Whether this is the folder of such a batch."""
    return path.is_dir() and (path / FRAMES).exists()


def load(path: Path, environment: str = "") -> FrameTransitions:
    """The batch in a folder, its frames left there.

    Args:
        path: the folder.
        environment: the Gymnasium id to judge policies in; overrides the one that the folder names.

    Raises:
        DataError: a file is missing, cut short or damaged, its arrays do not fit together, or are not of the environment.
        MissingPackage: the environment needs a package that is not installed.
    """
    steps, told = logs.archive(path / STEPS) if (path / STEPS).is_file() else {}, path / STEPS
    if missing := [name for name in (*COLUMNS, *RANGES) if name not in steps]:
        raise DataError(f"{told} lacks {', '.join(missing)}; found {', '.join(steps) or 'nothing'}", "Make the batch again.")
    if wrong := [name for name in COLUMNS if steps[name].dtype.kind not in "fiub" or (name in ENDS and steps[name].dtype.kind == "f")]:
        raise DataError(f"{told}: {wrong[0]} holds {steps[wrong[0]].dtype}", "Give numbers, and whether it ended as true or false.")
    for name, (least, most) in RANGES.items():
        if steps[name].dtype.kind not in "iu" or steps[name].shape != () or not least <= int(steps[name]) <= most:
            raise DataError(f"{told}: {name} is {str(steps[name])[:40]}", f"Give a whole number from {least} to {most}.")
    environment = environment or logs.told_environment(told, steps)
    frames = _mapped(path / FRAMES)
    try:
        batch = FrameTransitions(frames, *(steps[name] for name in COLUMNS), int(steps["actions"]), int(steps["stacked"]), environment,
                                 _facts(steps))
    except (DataError, TypeError, ValueError) as problem:
        raise DataError(f"{path}: {getattr(problem, 'message', problem)}", getattr(problem, "hint", "Make the batch again.")) from None
    if (found := _checksum(path / FRAMES, frames.offset)) != int(steps["crc32"]):
        raise DataError(f"{path / FRAMES} is damaged: its checksum is {found:08x}, when it was written {int(steps['crc32']):08x}",
                        "Copy it again, or make the batch again.")
    if environment:
        _fitting(path, batch)
    return batch


def write(path: Path, steps: Iterable[tuple], about: Callable[[], tuple]) -> None:
    """Write a batch as it comes; only a frame is in memory, and some bytes a step.

    Args:
        path: the folder, which is there when all is written.
        steps: observation (H, W, S) uint8, the latest frame last, action, reward, next observation, terminated, ended; true at the last.
        about: asked after the last step for how many actions there are, the environment's id, and facts as (name, value).

    Raises:
        DataError: the folder is there already or cannot be made, there are no steps, or a frame is not like the first.
    """
    part = _room(path)
    try:
        columns, shape, crc = {name: array(code) for name, code in COLUMNS.items()}, (), 0
        with open(part / FRAMES, "xb") as file:
            count, begins = 0, True
            for seen, *step, following, terminated, ended in steps:
                if not count:
                    shape = seen.shape
                    _header(file, 0, shape)
                for frame in (seen, following)[not begins:]:
                    if frame.dtype != np.uint8 or frame.shape != shape:
                        raise DataError(f"{path}: step {len(columns['ended'])} has frames of {frame.dtype}, {frame.shape}",
                                        f"Give uint8, {shape}, as the first.")
                    crc = zlib.crc32(piece := np.ascontiguousarray(frame[..., -1]).data, crc)
                    count += file.write(piece) // piece.nbytes
                for column, value in zip(columns.values(), (*step, bool(terminated), bool(ended)), strict=True):
                    column.append(value)
                begins = ended
            if not count:
                raise DataError(f"{path}: there are no steps to write", "Give at least one.")
            _header(file, count, shape)
        actions, environment, facts = about()
        np.savez(part / STEPS, **{name: np.array(column) for name, column in columns.items()}, actions=actions, stacked=shape[-1],
                 environment=environment, crc32=crc, fact=np.array([name for name, _ in facts], dtype=str),
                 fact_value=np.array([value for _, value in facts], dtype=float))
        os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _room(path: Path) -> Path:
    """A folder beside this one, empty; `DataError` where this one could not be made."""
    if path.exists() or path.is_symlink():
        raise DataError(f"{path} is there already", "Give another folder, or remove it.")
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        part.mkdir(parents=True)
    except OSError as problem:
        raise DataError(f"{path} cannot be made: {problem}", "Give another folder.") from None
    return part


def makeable(path: Path) -> None:
    """Raise `DataError` unless `write` could make this folder now: asked before the work that is to be kept there."""
    _room(path).rmdir()


def _header(file, count: int, shape: tuple[int, ...]) -> None:
    """At the file's beginning, of the same length whatever the count: NumPy leaves room for an array to grow."""
    file.seek(0)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (count, *shape[:2])})


def _mapped(path: Path) -> np.memmap:
    try:
        frames = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, TypeError, OverflowError, OSError, EOFError, tokenize.TokenError) as problem:
        raise DataError(f"{path} cannot be read: {problem}", "It is cut short or damaged: copy it again, or make it again.") from None
    if not isinstance(frames, np.memmap) or frames.flags.fnc or path.stat().st_size != frames.offset + frames.nbytes:
        raise DataError(f"{path} is no plain array of frames", "Make the batch again.")
    return frames


def _checksum(path: Path, offset: int) -> int:
    crc = 0
    with open(path, "rb") as file:
        file.seek(offset)
        while piece := file.read(CHUNK):
            crc = zlib.crc32(piece, crc)
    return crc


def _facts(steps: dict) -> tuple[tuple[str, float], ...]:
    names, values = (np.atleast_1d(steps.get(name, ())) for name in ("fact", "fact_value"))
    return tuple((str(name), float(value)) for name, value in zip(names, values, strict=True))


def _fitting(path: Path, batch: FrameTransitions) -> None:
    """The environment has such observations and so many actions."""
    with Environment(batch.environment).make() as made:
        seen, actions = made.observation_space.shape, getattr(made.action_space, "n", None)
    if (seen, actions) != (batch.observation_shape, batch.actions):
        raise DataError(f"{path}: observations of size {batch.observation_shape}, {batch.actions} actions",
                        f"{batch.environment} has observations of size {seen} and {actions or 'continuous'} actions.")
