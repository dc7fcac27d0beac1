"""Tables of numbers: a CSV, TSV or Parquet file of a user's own, or a table that comes with scikit-learn.

What becomes of a column: numbers stay as they are; a column of text with two values becomes one 0/1 column `name=value`, with
more (up to 20) one such column a value; a missing cell is NaN in each of them. Missing are empty cells, "?", and the
words NA, N/A, NaN, null and None in any case.

What becomes of the target: text gives classes; so do whole numbers with at most 10 values (make them numbers with --task number).
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from ..errors import DataError
from .kinds.table import Table

FEWEST_ROWS = 10
MOST_VALUES = 20  # of a text column; with more it is likelier a name or a note than a category
MOST_CLASSES = 10  # of a target of whole numbers; with more it is likelier a count or a measurement
MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}
FORMS = {".csv": None, ".tsv": "\t", ".tab": "\t"}  # None: a comma; without one in the header a semicolon, then a tab


def packaged(name: str) -> Table:
    """A table of scikit-learn: "breast_cancer", "wine" or "diabetes"."""
    from sklearn import datasets
    bunch = getattr(datasets, f"load_{name}")()
    classes = tuple(str(one) for one in getattr(bunch, "target_names", ()))
    return Table(bunch.data, bunch.target, tuple(str(one) for one in bunch.feature_names), classes)


def load(path: Path, target: str = "", task: str = "", drop: str = "") -> Table:
    """A table from a file with one header line (CSV, TSV) or from Parquet.

    Args:
        path: the file; its extension says its form.
        target: name of the column to be predicted.
        task: "classes" or "number", where the guess from the target's values would be wrong.
        drop: names of columns to leave out, separated by commas.
    """
    if not path.is_file():
        raise DataError(f"{path} is not a file", "A table is one file: .csv, .tsv or .parquet.")
    if task not in ("", "classes", "number"):
        raise DataError(f"--task is {task!r}", "Expected classes or number.")
    columns = _parquet(path) if path.suffix.lower() == ".parquet" else _delimited(path)
    names = [column.name for column in columns]
    if not target:
        raise DataError(f"{path}: which column is to be predicted?", f"Name it with --target, one of: {', '.join(names)}.")
    dropped = [name.strip() for name in drop.split(",")] if drop else []
    for name in [target, *dropped]:
        if name not in names:
            near = get_close_matches(name, names, 3, 0.5)
            hint = (f"Did you mean {' or '.join(near)}? " if near else "") + f"It has: {', '.join(names)}."
            raise DataError(f"{path} has no column {name!r}", hint)
    if len(columns[0].cells) < FEWEST_ROWS:
        raise DataError(f"{path}: found {len(columns[0].cells)} rows", f"Expected at least {FEWEST_ROWS}.")
    features = [part for one in columns if one.name not in (target, *dropped) for part in _features(one)]
    if not features:
        raise DataError(f"{path} has no column beside the target", "Expected at least one to predict from.")
    values, classes = _target(columns[names.index(target)], task)
    return Table(np.stack([numbers for _, numbers in features], 1), values, tuple(name for name, _ in features), classes)


@dataclass(frozen=True)
class _Column:
    """A column as it stands in the file: texts, None where missing; `where[i]` names row i as a person would find it."""

    path: Path
    name: str
    cells: list[str | None]
    where: list[str]

    def numbers(self) -> tuple[np.ndarray, list[int]]:
        """The cells as numbers (NaN where missing), and the positions of those that are none."""
        values, wrong = np.full(len(self.cells), np.nan), []
        for i, cell in enumerate(self.cells):
            if cell is not None:
                try:
                    values[i] = float(cell)
                except ValueError:
                    wrong.append(i)
        if len(infinite := np.flatnonzero(np.abs(values) > np.finfo(np.float32).max)):
            raise self.error(infinite[0], f"found {self.cells[infinite[0]]!r}", "Expected a finite number, below 3e38, or an empty cell.")
        return values, wrong

    def error(self, row: int, found: str, expected: str) -> DataError:
        return DataError(f"{self.path}, {self.where[row]}, column {self.name!r}: {found}", expected)


def _features(column: _Column) -> list[tuple[str, np.ndarray]]:
    present = [cell for cell in column.cells if cell is not None]
    if not present:
        raise DataError(f"{column.path}, column {column.name!r}: every cell is missing", f"Leave it out with --drop {column.name!r}.")
    numbers, wrong = column.numbers()
    if not wrong:
        return [(column.name, numbers)]
    if len(wrong) < len(present) / 2:
        raise column.error(wrong[0], f"found {column.cells[wrong[0]]!r}", "Expected a number, as in most of this column, or an empty cell.")
    values = sorted(set(present))
    if len(values) > MOST_VALUES:
        raise DataError(f"{column.path}, column {column.name!r}: found {len(values)} different texts, such as {values[0]!r}",
                        f"Expected numbers, or at most {MOST_VALUES} categories; leave it out with --drop {column.name!r}.")
    missing = np.array([cell is None for cell in column.cells])
    return [(f"{column.name}={value}", np.where(missing, np.nan, [float(cell == value) for cell in column.cells]))
            for value in (values[1:] if len(values) == 2 else values)]


def _target(column: _Column, task: str) -> tuple[np.ndarray, tuple[str, ...]]:
    if missing := [i for i, cell in enumerate(column.cells) if cell is None]:
        raise column.error(missing[0], f"the target is missing, as in {len(missing)} rows in all",
                           "Expected it in every row; remove those rows.")
    numbers, wrong = column.numbers()
    present = len(column.cells)
    if wrong and (task == "number" or len(wrong) < present / 2):
        raise column.error(wrong[0], f"found {column.cells[wrong[0]]!r}", "Expected a number, as in the rest of the target.")
    whole = not wrong and bool((numbers == np.round(numbers)).all())
    if task == "number" or not (task == "classes" or wrong or (whole and len(np.unique(numbers)) <= MOST_CLASSES)):
        if numbers.min() == numbers.max():
            raise DataError(f"{column.path}, column {column.name!r}: every row has the same value", "There is nothing to predict.")
        return numbers, ()
    if whole and np.abs(numbers).max() > 2**53:
        raise DataError(f"{column.path}, column {column.name!r}: its whole numbers are too large to be told apart", "Write them as text.")
    labels = column.cells if wrong else [str(int(number)) if number == int(number) else repr(float(number)) for number in numbers]
    classes = sorted(set(labels), key=None if wrong else float)
    if not 2 <= len(classes) <= present / 2:
        raise DataError(f"{column.path}, column {column.name!r}: found {len(classes)} classes in {present} rows",
                        "Expected at least 2 classes, with 2 rows a class or more; for numbers give --task number.")
    number = {label: float(i) for i, label in enumerate(classes)}
    return np.array([number[label] for label in labels]), tuple(classes)


def _delimited(path: Path) -> list[_Column]:
    if path.suffix.lower() not in FORMS:
        raise DataError(f"{path} ends in {path.suffix or 'no extension'!r}", "Expected .csv, .tsv or .parquet.")
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            unquoted = re.sub(r'"[^"]*"', "", stream.readline())
            stream.seek(0)
            delimiter = FORMS[path.suffix.lower()] or next((one for one in ",;\t" if one in unquoted), ",")
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            rows = [(reader.line_num, row) for row in reader if row]
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is not UTF-8 text (byte {problem.start:,})", "Save it as CSV with UTF-8 encoding.") from None
    except csv.Error as problem:
        raise DataError(f"{path}, line {reader.line_num}: {problem}", "Check the quotes on that line.") from None
    if not rows:
        raise DataError(f"{path} is empty", "Expected a header line with the names of the columns, then one line a row.")
    (_, header), *body = rows
    names = _checked_names(path, header)
    for line, row in body:
        if len(row) != len(names):
            raise DataError(f"{path}, line {line}: found {len(row)} cells", f"Expected {len(names)}, one a column of the header.")
    where = [f"line {line}" for line, _ in body]
    return [_Column(path, name, [_cell(row[i]) for _, row in body], where) for i, name in enumerate(names)]


def _parquet(path: Path) -> list[_Column]:
    import pyarrow
    import pyarrow.parquet
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as problem:
        raise DataError(f"{path} is not a Parquet file that can be read: {str(problem).splitlines()[0]}", "Save it anew.") from None
    names = _checked_names(path, table.column_names)
    for name, kind in zip(names, table.schema.types, strict=True):
        if pyarrow.types.is_nested(kind) or pyarrow.types.is_temporal(kind) or pyarrow.types.is_binary(kind):
            raise DataError(f"{path}, column {name!r}: found values of type {kind}",
                            f"Expected numbers or texts; turn them into numbers, or leave the column out: --drop {name!r}.")
    where = [f"row {i}" for i in range(1, table.num_rows + 1)]
    return [_Column(path, name, [_parquet_cell(value) for value in column.to_pylist()], where)
            for name, column in zip(names, table.columns, strict=True)]


def _parquet_cell(value) -> str | None:
    return None if value is None else str(float(value)) if isinstance(value, bool) else _cell(str(value))


def _cell(text: str) -> str | None:
    text = text.strip()
    return None if text.casefold() in MISSING else text


def _checked_names(path: Path, header: list[str]) -> list[str]:
    names = [name.strip() for name in header]
    if not names:
        raise DataError(f"{path} has no columns", "Expected named columns.")
    for i, name in enumerate(names):
        if not name:
            raise DataError(f"{path}: column {i + 1} has no name", "Expected a header line with a name for every column.")
        if name in names[:i]:
            raise DataError(f"{path}: two columns are called {name!r}", "Rename one of them.")
    return names
