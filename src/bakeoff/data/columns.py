"""Named columns of a user's CSV, TSV or Parquet file, for the loaders that need a few of them."""

from __future__ import annotations

import difflib
import gzip
import math
from pathlib import Path

from ..errors import DataError

SEPARATED = (".csv", ".tsv", ".tab")
COLUMNAR = (".parquet", ".pq")
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
                                    encoding="utf-8-sig", index_col=False)
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is not UTF-8 text: byte {problem.start}", "Save it as UTF-8.") from None
    except (ValueError, OSError) as problem:  # pandas' and Arrow's reading errors are ValueErrors
        raise DataError(f"{path} cannot be read: {' '.join(str(problem).split())}", "Give a table with one header row.") from None
    found.columns = [str(name).strip() for name in found.columns]
    found = found.map(str.strip)
    filled = (found != "").any(axis=1).to_numpy().nonzero()[0]
    return found if form in COLUMNAR else found.iloc[:filled[-1] + 1 if len(filled) else 0]


def column(path: Path, names: list[str], wanted: str, option: str) -> str:
    """The column that `wanted` means, in any case of letters; a missing one is told with the likely ones."""
    matches = [one for one in names if one.casefold() == wanted.casefold()]
    if wanted in matches:
        matches = [wanted]
    if len(matches) == 1 and list(names).count(matches[0]) == 1:
        return matches[0]
    if matches:
        raise DataError(f"{path}: {len(matches)} columns are called {wanted!r} when case is ignored", "Rename all but one of them.")
    lower = {one.casefold(): one for one in names}
    near = [lower[one] for one in difflib.get_close_matches(wanted.casefold(), lower, 3, 0.5)]
    near += [one for key, one in lower.items() if wanted.casefold() in key and one not in near]
    hint = f"Did you mean --{option} {near[0]!r}? " if near else f"Name it with --{option} COLUMN. "
    raise DataError(f"{path}: there is no column {wanted!r}", f"{hint}The columns: {', '.join(names)}.")


def number(path: Path, row: int, name: str, cell: str) -> float:
    """The cell as a number, NaN where it says that there is none."""
    if cell.casefold() in MISSING:
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise DataError(f"{path}, row {row}, column {name!r}: found {cell!r}",
                        "Expected a number, or an empty cell where nothing was measured.")
    return value


def choice(option: str, found: str, known: tuple[str, ...]) -> str:
    """The choice that was meant; words may be joined by a dash."""
    if (meant := found.replace("-", " ")) not in known:
        raise DataError(f"--{option} {found}: no such choice", f"The choices: {', '.join(one.replace(' ', '-') for one in known)}.")
    return meant


def _separator(path: Path, form: str) -> str:
    if form != ".csv":
        return "\t"
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as stream:
        header = stream.readline()
    return max(",;\t", key=header.count)
