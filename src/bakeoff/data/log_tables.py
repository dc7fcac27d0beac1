"""A log of experience from a table, a row a step: columns episode, step, the observations, the actions, reward, terminated.

Observations are columns obs_0, obs_1, ..., or one column of lists; other common words than `obs` and `act` are understood where
no two of them stand together. The next row of the episode is the next observation, unless there are columns next_obs_0, ...
A column `environment`, the same in all rows, names the Gymnasium id.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np

from ..errors import DataError

WORDS = {"episode": ("episode", "episode_id", "trajectory", "traj"), "step": ("step", "timestep", "time_step", "t"),
         "reward": ("reward", "rewards", "r"), "terminated": ("terminated", "termination", "terminations", "terminal", "terminals"),
         "truncated": ("truncated", "truncation", "truncations", "timeout", "timeouts")}
STARTS = {"observation": ("obs", "observation", "observations", "state", "states", "o", "s"), "action": ("act", "action", "actions", "a"),
          "next_observation": ("next_obs", "next_observation", "next_observations", "next_state", "next_states")}
SHOWN = 30  # columns told of
EXACT = 2**53  # whole numbers up to here are kept apart by a float


def read(path: Path) -> dict:
    """The arrays of a log, and `place`, which says from what row of the file a row of theirs is."""
    frame = _frame(path)
    one = {field: _one_of(path, frame, words) for field, words in WORDS.items()}
    many = {field: _numbered(path, frame, words) for field, words in STARTS.items()}
    _whole(path, frame, one, many)
    arrays = {field: _vectors(path, frame, columns) for field, columns in many.items() if columns}
    arrays |= {field: _numeric(path, frame, one[field]) for field in ("step", "reward", "terminated", "truncated") if one[field]}
    arrays["row"] = np.arange(1, len(frame) + 1)
    episode = frame[one["episode"]]
    filled = ~frame.isna().all(axis=1).to_numpy()  # empty lines
    if len(empty := np.flatnonzero(filled & episode.isna().to_numpy())):
        raise DataError(f"{path}, row {empty[0] + 1}: {one['episode']} is empty", "Say in every row of which episode it is.")
    if not filled.any():
        raise DataError(f"{path}: there are no rows", "Give a row a step.")
    for field in ("step", "terminated", "truncated"):
        if field in arrays and len(empty := np.flatnonzero(filled & ~np.isfinite(arrays[field]))):
            more = f", the first of {len(empty)} such rows" if len(empty) > 1 else ""
            raise DataError(f"{path}, row {empty[0] + 1}: {one[field]} holds no number{more}", "Give one in every row, or true and false.")
    for field in ("terminated", "truncated"):
        if field in arrays and len(wrong := np.flatnonzero(filled & ~np.isin(arrays[field], (0, 1)))):
            found = f"{arrays[field][wrong[0]]:g}"
            raise DataError(f"{path}, row {wrong[0] + 1}: {one[field]} holds {found}", "Expected true or false, or 1 and 0.")
    number = episode[filled].to_numpy() if episode.dtype.kind in "iuf" else episode[filled].factorize()[0]  # texts as they come
    order = np.flatnonzero(filled)[np.lexsort((arrays["step"][filled], number))]
    found = _followed(path, {field: array[order] for field, array in arrays.items()}, episode.to_numpy()[order])
    return found | {"columns": many | {field: [name] for field, name in one.items() if name},
                    "environment": _environment(path, frame)}


def _followed(path: Path, arrays: dict[str, np.ndarray], episode: np.ndarray) -> dict:
    """Rows in order -> transitions."""
    rows, step, terminated = arrays.pop("row"), arrays.pop("step"), arrays["terminated"]
    same = episode[1:] == episode[:-1]
    last = np.append(~same, True)
    if len(torn := np.flatnonzero(same & (np.diff(step) != 1))):
        at = torn[0]
        hint = "Number the rows of an episode 0, 1, 2, ..." if step[at + 1] > step[at] else "A step comes twice: number the episodes apart."
        raise DataError(f"{path}, rows {rows[at]} and {rows[at + 1]}: the steps of episode {episode[at]} do not follow one another: "
                        f"found {step[at]:.17g} and then {step[at + 1]:.17g}", hint)
    cut = np.zeros(len(rows), bool)
    for field in ("terminated", "truncated"):
        if len(early := np.flatnonzero((arrays.get(field, cut) == 1) & ~last)):
            raise DataError(f"{path}, row {rows[early[0]]}: episode {episode[early[0]]} goes on after a row with {field}",
                            "Give what follows another number of episode.")
    over = last & (terminated == 1)
    observation = arrays["observation"]
    if "next_observation" in arrays:
        kept, ended = np.ones(len(rows), bool), last
    else:
        if len(alone := np.flatnonzero(last & np.insert(~same, 0, True) & ~over)):
            raise DataError(f"{path}, row {rows[alone[0]]}: episode {episode[alone[0]]} has one row and no termination, so no next "
                            f"observation; {len(alone)} episodes are like that", "Give every episode its following rows, or leave it out.")
        kept, ended = ~last | over, last | np.append(last[1:] & ~over[1:], False)
        arrays["next_observation"] = np.where(over[:, None], observation, np.roll(observation, -1, 0))
    found = {field: array[kept] for field, array in arrays.items() if field != "truncated"}
    if found["action"].shape[1] == 1 and (np.abs(found["action"]) < EXACT).all() and (found["action"] == np.round(found["action"])).all():
        found["action"] = found["action"].astype(np.int64)  # a table does not tell 1 from 1.0
    numbers = rows[kept]
    return found | {"ended": ended[kept], "place": lambda row: f"row {numbers[row]}"}


def _frame(path: Path):
    """The table, each empty line of a text a row of nothing, so that rows keep their numbers."""
    import pandas
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pandas.read_parquet(path)
        else:
            with open(path, encoding="utf-8-sig", newline="") as stream:
                header = stream.readline()
            mark = max(",;\t", key=header.count)
            names = Counter(name.strip() for name in next(csv.reader([header], delimiter=mark), []))
            if twice := [name for name, count in names.items() if name and count > 1]:
                raise DataError(f"{path}: {names[twice[0]]} columns are called {twice[0]!r}", "Give every column a name of its own.")
            frame = pandas.read_csv(path, sep=mark, encoding="utf-8-sig", skip_blank_lines=False, index_col=False, low_memory=False)
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is not UTF-8 text: byte {problem.start}", "Save it as UTF-8.") from None
    except (ValueError, OSError, csv.Error) as problem:
        raise DataError(f"{path} cannot be read as a table: {' '.join(str(problem).split())}",
                        "Give a CSV or Parquet file with named columns.") from None
    frame.columns = [str(name).strip() for name in frame]
    return frame


def _one_of(path: Path, frame, words: tuple[str, ...]) -> str:
    """The column that one of these words names, in any case of letters, or ""."""
    return _only(path, [name for name in frame if name.lower() in words], words[0])


def _numbered(path: Path, frame, words: tuple[str, ...]) -> list[str]:
    """The columns of one word, in the order of their numbers: obs_2 before obs_10."""
    found: dict[str, dict[str, str]] = {}
    for name in frame:
        for word in words:
            match = re.fullmatch(rf"{word}(?:[_.\- ]?(\d+)|\[(\d+)\]|[_.](\w+)|)", name.lower())
            if match and (len(word) > 1 or match[1]):
                found.setdefault(word, {})[match[1] or match[2] or match[3] or ""] = name
    if not found:
        return []
    columns = found[_only(path, list(found), words[0])]
    if not all(map(str.isdecimal, columns)):
        return list(columns.values())
    numbers, inorder = sorted(map(int, columns)), [columns[one] for one in sorted(columns, key=int)]
    if gaps := set(range(numbers[0], numbers[-1])) - set(numbers):
        raise DataError(f"{path}: among the columns {inorder[0]} to {inorder[-1]} number {min(gaps)} is missing", "Give it too.")
    return inorder


def _only(path: Path, found: list[str], meaning: str) -> str:
    if len(found) > 1:
        raise DataError(f"{path}: columns of {' and of '.join(map(repr, found))}, which mean the same", f"Keep one of them, as {meaning}.")
    return found[0] if found else ""


def _environment(path: Path, frame) -> str:
    """The one value of the column `environment`, or "" where there is none."""
    column = _one_of(path, frame, ("environment",))
    names = [str(one).strip() for one in frame[column].dropna().unique()] if column else []
    if len(set(names)) > 1:
        raise DataError(f"{path}, column {column!r}: found {names[0][:80]!r} and {names[1][:80]!r}",
                        "Expected one Gymnasium id in all rows: policies are judged in one environment.")
    return names[0] if names else ""


def _whole(path: Path, frame, one: dict[str, str], many: dict[str, list[str]]) -> None:
    """Nothing that a log needs is missing."""
    missing = [name for name in ("episode", "step") if not one[name]]
    missing += [told for field, told in (("observation", "obs_0"), ("action", "act_0")) if not many[field]]
    missing += [name for name in ("reward", "terminated") if not one[name]]
    if not missing:
        if many["next_observation"] and len(many["next_observation"]) != len(many["observation"]):
            raise DataError(f"{path}: {len(many['observation'])} columns of observations and {len(many['next_observation'])} of next ones",
                            "Give as many.")
        return
    found = ", ".join(list(frame)[:SHOWN]) + (f" and {len(frame.columns) - SHOWN} more" if len(frame.columns) > SHOWN else "")
    done = next((name for name in frame if name.lower() in ("done", "dones")), "")
    hint = "A batch has the columns episode, step, obs_0, obs_1, ..., act_0, ..., reward, terminated."
    raise DataError(f"{path} lacks the columns {', '.join(missing)}; found {found}",
                    about_done(done) if missing == ["terminated"] else hint)


def about_done(name: str) -> str:
    """What to say where it is not told whether the task ended, but perhaps there is a column of this name."""
    if name:
        return (f"{name!r} does not say whether the task ended or time was up: call it terminated if it is only ever the task's end; "
                "else give the task's end alone as terminated.")
    return "Say at every step whether the task ended there (1) or not (0); a task that only ever runs out of time has 0 everywhere."


def _vectors(path: Path, frame, columns: list[str]) -> np.ndarray:
    """(rows, size) from a column a number, or one column of lists."""
    first = next(iter(frame[columns[0]].dropna()), None)
    if len(columns) == 1 and (isinstance(first, str) or np.ndim(first)) and (vector := _list(first)) is not None:
        size = len(vector)
        rows = np.full((len(frame), size), np.nan)
        for row, cell in enumerate(frame[columns[0]]):
            vector = _list(cell)
            if vector is not None and len(vector) == size:
                rows[row] = vector
            elif isinstance(cell, str) or np.ndim(cell):
                raise DataError(f"{path}, row {row + 1}, column {columns[0]!r}: found {str(cell)[:60]!r}",
                                f"Expected a list of {size} numbers, as in the rows before.")
        return rows
    return np.stack([_numeric(path, frame, name) for name in columns], 1)


def _list(cell) -> np.ndarray | None:
    """A list of numbers, as Parquet has them or as text in brackets; None for anything else."""
    try:
        found = np.asarray(json.loads(cell) if isinstance(cell, str) and cell.lstrip().startswith("[") else cell)
    except (ValueError, RecursionError):
        return None
    return found.astype(float) if found.ndim == 1 and found.dtype.kind in "iufb" else None


def _numeric(path: Path, frame, name: str) -> np.ndarray:
    """A column as numbers, NaN where it has none; other cells are told."""
    import pandas
    column = frame[name]
    dates = column.dtype.kind in "mM"
    try:
        numbers = pandas.to_numeric(column.isna() * np.nan if dates else column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    except OverflowError:
        raise DataError(f"{path}, column {name!r}: a whole number is too large", "Expected numbers of at most 64 bits.") from None
    if len(wrong := np.flatnonzero(np.isnan(numbers) & column.notna().to_numpy())):
        more = f", the first of {len(wrong)} such cells" if len(wrong) > 1 else ""
        raise DataError(f"{path}, row {wrong[0] + 1}, column {name!r}: found {str(column.iloc[wrong[0]])[:60]!r}{more}",
                        "Expected true or false, or 1 and 0." if name.lower() in WORDS["terminated"] + WORDS["truncated"]
                        else "Expected a number.")
    return numbers
