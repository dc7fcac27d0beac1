"""Named columns of a user's CSV, TSV or Parquet file, for the loaders that need a few of them."""

from __future__ import annotations

import difflib
import gzip
import math
import re
import zlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from ..errors import DataError

SEPARATED = (".csv", ".tsv", ".tab")
COLUMNAR = (".parquet", ".pq")
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
MISSING = {"", "na", "n/a", "nan", "null", "none"}


def form_of(path: Path) -> str:
    """The suffix that says how to read a file, small, without a last .gz."""
    return path.with_suffix("").suffix.lower() if path.suffix == ".gz" else path.suffix.lower()


def frame(path: Path):
    """A pandas table of stripped texts, its header stripped too; row i of it is row i + 1 of the file.

    Empty rows stay, but for those at the end of a text file.
    """
    import pandas
    form = form_of(path)
    try:
        if form in COLUMNAR:
            found = pandas.read_parquet(path)
            found = found.astype(object).where(found.notna(), "").astype(str)
        else:
            found = pandas.read_csv(path, sep=_separator(path, form), dtype=str, keep_default_na=False, skip_blank_lines=False,
                                    encoding="utf-8-sig", index_col=False, header=None)
            found = found.iloc[1:].set_axis(found.iloc[0], axis=1).reset_index(drop=True)  # pandas would rename a repeated column
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is not UTF-8 text: byte {problem.start}", "Save it as UTF-8.") from None
    except DAMAGED as problem:
        raise damaged(path, problem) from None
    except (ValueError, OSError) as problem:  # pandas' and Arrow's reading errors are ValueErrors
        reason = " ".join(str(problem).split()).removeprefix("Error tokenizing data. C error: ")
        raise DataError(f"{path} cannot be read: {reason}",
                        "Give a table with one header row, and quotes around cells with a separator in them.") from None
    found.columns = [str(name).strip() for name in found.columns]
    found = found.map(str.strip)
    filled = (found != "").any(axis=1).to_numpy().nonzero()[0]
    return found if form in COLUMNAR else found.iloc[:filled[-1] + 1 if len(filled) else 0]


def damaged(path: Path, problem: Exception) -> DataError:
    """What to say of a compressed file that cannot be unpacked to its end."""
    return DataError(f"{path} cannot be unpacked: {problem}", "It was cut short or damaged: copy or fetch it again.")


def column(path: Path, names: list[str], wanted: str, option: str) -> str:
    """The column that `wanted` means, in any case of letters; a missing one is told with the likely ones."""
    matches = [one for one in names if one.casefold() == wanted.casefold()]
    if wanted in matches:
        matches = [wanted]
    if len(matches) == 1 and list(names).count(matches[0]) == 1:
        return matches[0]
    if matches:
        count = sum(one.casefold() == wanted.casefold() for one in names)
        raise DataError(f"{path}: {count} columns are called {wanted!r} when case is ignored", "Rename all but one of them.")
    lower = {one.casefold(): one for one in names}
    near = [lower[one] for one in difflib.get_close_matches(wanted.casefold(), lower, 3, 0.5)]
    near += [one for key, one in lower.items() if wanted.casefold() in key and one not in near]
    hint = f"Did you mean --{option} {near[0]!r}? " if near else f"Name it with --{option} COLUMN. "
    raise DataError(f"{path}: there is no column {wanted!r}", f"{hint}The columns: {', '.join(names)}.")


def numbers(path: Path, name: str, cells: Sequence[str]) -> list[float]:
    """A column as numbers, NaN where a cell says that there is none. Other texts are told: the first, and how many there are."""
    found, wrong = [], []
    for row, cell in enumerate(cells, 1):
        try:
            found.append(number(path, row, name, cell))
        except DataError as problem:
            wrong.append(problem)
    if wrong:
        more = f", the first of {len(wrong)} such cells of {len(cells)}" if len(wrong) > 1 else ""
        raise DataError(f"{wrong[0].message}{more}", wrong[0].hint)
    return found


def number(path: Path, row: int, name: str, cell: str) -> float:
    """The cell as a number, NaN where it says that there is none."""
    if cell.casefold() in MISSING:
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        value = math.inf
    if math.isinf(value) or "_" in cell:  # Python reads 1_5 as 15
        raise DataError(f"{path}, row {row}, column {name!r}: found {cell!r}",
                        f"{_advice(cell)}Expected a number, or an empty cell where nothing was measured.")
    return value


def _advice(cell: str) -> str:
    """What to do about the texts that often stand where a number should."""
    if re.fullmatch(r"[+-]?\d+,\d+", cell):
        return f"Write decimals with a point, as {cell.replace(',', '.')}. "
    if re.match(r"[<>~=≤≥]", cell):
        return "A bound is not a measured value: leave such cells empty, or decide on a number for them. "
    if unit := re.fullmatch(r"[+-]?\d[\d.]*(?:[eE][+-]?\d+)?\s*([^\d\s.,_].*)", cell):
        return f"Take {unit[1]!r} out of the cells, and bring all values to one unit first. "
    return ""


def choice(option: str, found: str, known: tuple[str, ...]) -> str:
    """The choice that was meant; words may be joined by a dash."""
    if (meant := found.replace("-", " ")) not in known:
        raise DataError(f"--{option} {found}: no such choice", f"The choices: {', '.join(one.replace(' ', '-') for one in known)}.")
    return meant


def _separator(path: Path, form: str) -> str:
    """The one of comma, semicolon and tab that most lines have as often as the header, quoted cells not counted."""
    if form != ".csv":
        return "\t"
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as stream:
        header, *others = re.sub(r'"[^"]*"', "", "".join(islice(stream, 50))).splitlines() or [""]
    lines = [line for line in others if line.strip()]

    def fit(mark: str) -> tuple[int, int]:
        count = header.count(mark)
        return sum(line.count(mark) == count for line in lines) if count else 0, count

    best = max(";\t,", key=fit)  # between equals the semicolon, as commas may be those of numbers
    return best if best in header else ","
