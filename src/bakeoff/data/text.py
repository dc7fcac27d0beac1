"""Texts: a user's own sentences or conversations, two named sets, and small talk that is made here.

A label may be a column of anything; its values, in order, are the classes (numbers in order of size).
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path

import numpy as np

from ..errors import DataError
from . import columns
from .kinds.text import Text

FEWEST = 20
MOST_CLASSES = 20
USUAL = {"text": ("text", "sentence", "reply"), "target": ("label",), "before": ("before", "context")}  # columns taken without being asked
WARM = re.compile(r"\b(amazing|awesome|beautiful|congrat\w*|cool|cute|delicious|excellent|excit\w+|fantastic|fun|funny|glad|great|haha\w*|"
                  r"happy for|impress\w+|incredible|interesting|lovely?|lol|neat|nice|perfect|sweet|thank\w*|wonderful|wow|yum\w*)\b")
WORD = re.compile(r"\w[\w'’]*")
TURN = re.compile(r"[\s*]*(User [12])\s*:[\s*]*(.*\S)")


def load(path: Path, text: str = "", target: str = "", before: str = "") -> Text:
    """Texts from a file with one a line (.txt), or with named columns (CSV, TSV, Parquet) or keys (JSON lines).

    Args:
        path: the file; its extension says its form.
        text: the column with the texts; by default `text`, `sentence` or `reply`.
        target: the column with their labels; by default `label` where there is one.
        before: the column with what was said before each; by default `before` or `context` where there is one.
    """
    form = columns.form_of(path) if path.is_file() else ""
    asked = {"text": text, "target": target, "before": before}
    if form == ".txt":
        for option, name in asked.items():
            if name:
                raise DataError(f"{path} has no columns, so --{option} {name} means nothing", "Give a .csv, .tsv or .jsonl file.")
        return _enough(path, Text(tuple(one for one in (line.strip() for line in _read(path).splitlines()) if one)))
    if form not in (".jsonl", *columns.SEPARATED, *columns.COLUMNAR):
        raise DataError(f"{path} is no file of texts",
                        "Give a .txt file with one text a line, or .csv, .tsv, .jsonl or .parquet with a column of texts.")
    table = _json_lines(path) if form == ".jsonl" else _table(path)
    names = list(table)
    found = {option: columns.column(path, names, name, option) if name else _usual(names, option) for option, name in asked.items()}
    if not found["text"]:
        raise DataError(f"{path}: which column has the texts?", f"Name it with --text, one of: {', '.join(names)}.")
    texts = table[found["text"]]
    if blank := [row for row, one in enumerate(texts, 1) if not one]:
        raise DataError(f"{path}, row {blank[0]}, column {found['text']!r}: found no text, as in {len(blank)} rows in all",
                        "Expected a text in every row; remove those rows.")
    label, classes = _labels(path, found["target"], table[found["target"]]) if found["target"] else ((), ())
    return _enough(path, Text(tuple(texts), label, classes, tuple(table[found["before"]]) if found["before"] else ()))


def labelled_lines(files: list[Path]) -> Text:
    """Files without a header, a text, a tab and 0 or 1 a line: SST-2, where 1 is a friendly review."""
    rows = [line.rsplit("\t", 1) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return Text(tuple(text.strip() for text, _ in rows), [int(label) for _, label in rows], ("negative", "positive"))


def conversations(files: list[Path]) -> Text:
    """Replies of the conversations in Synthetic-Persona-Chat, each with what was said before and how it was answered.

    A reply's label is 1 where the answer to it has a warm word ("great", "love", "haha", ...); replies without an answer are left out.
    """
    rows, group = [], []
    for file in files:
        with open(file, encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                said = [match[2] for line in row["Best Generated Conversation"].splitlines() if (match := TURN.match(line))]
                rows += zip(["", *said], said, said[1:], strict=False)  # before, the reply, its answer
                group += [len(group)] * (len(rows) - len(group))
    before, texts, answers = zip(*rows, strict=True)
    return Text(texts, [int(bool(WARM.search(one.casefold()))) for one in answers], ("cold answer", "warm answer"), before, group)


def made(count: str = "1200", seed: str = "0") -> Text:
    """Small talk from a dozen templates, answered warmly if a reply tells of something nice: for a first try, and for tests."""
    rng = np.random.default_rng(int(seed))
    nice, dull = ("music", "dogs", "cake", "hiking", "books"), ("taxes", "traffic", "rain", "noise", "queues")
    asked = ("what do you like ?", "how was your day ?", "what did you see today ?", "tell me about you .")
    told = ("i really like {} .", "today i had {} and more {} .", "i saw a lot of {} there .", "{} , what about you ?", "do you like {} ?")
    before, texts, label = [], [], []
    for _ in range(int(count)):
        good = int(rng.random() < 0.5)
        thing = rng.choice(nice if good else dull)
        before.append(str(rng.choice(asked)))
        texts.append(str(rng.choice(told)).replace("{}", str(thing)))
        label.append(good if rng.random() < 0.9 else 1 - good)
    return Text(tuple(texts), label, ("cold answer", "warm answer"), tuple(before))


def _usual(names: list[str], option: str) -> str:
    return next((one for usual in USUAL[option] for one in names if one.casefold() == usual), "")


def _table(path: Path) -> dict[str, list[str]]:
    frame = columns.frame(path)
    return {name: list(frame.iloc[:, i]) for i, name in enumerate(frame.columns)}


def _json_lines(path: Path) -> dict[str, list[str]]:
    rows = []
    for number, line in enumerate(_read(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as problem:
            raise DataError(f"{path}, line {number}: {problem}", "Expected one JSON object a line.") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: found {line.strip()[:40]!r}", 'Expected an object: {"text": "hello", "label": 1}.')
        rows.append({key: "" if value is None else str(value).strip() for key, value in row.items()})
    return {name: [row.get(name, "") for row in rows] for name in dict.fromkeys(key for row in rows for key in row)}


def _read(path: Path) -> str:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as stream:
            return stream.read()
    except columns.DAMAGED as problem:
        raise columns.damaged(path, problem) from None
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is not UTF-8 text: byte {problem.start}", "Save it as UTF-8.") from None


def _labels(path: Path, name: str, cells: list[str]) -> tuple[list[int], tuple[str, ...]]:
    if missing := [row for row, cell in enumerate(cells, 1) if not cell]:
        raise DataError(f"{path}, row {missing[0]}, column {name!r}: the label is missing, as in {len(missing)} rows in all",
                        "Expected it in every row; remove those rows.")
    classes = sorted(set(cells), key=_size)
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise DataError(f"{path}, column {name!r}: found {len(classes)} different labels",
                        f"Expected 2 to {MOST_CLASSES}; name another column with --target.")
    number = {one: i for i, one in enumerate(classes)}
    return [number[cell] for cell in cells], tuple(classes)


def _size(label: str) -> tuple[float, str]:
    """Numbers in order of size, before other labels in order of the alphabet."""
    try:
        return float(label), label
    except ValueError:
        return float("inf"), label


def _enough(path: Path, texts: Text) -> Text:
    if len(texts) < FEWEST:
        raise DataError(f"{path}: found {len(texts)} texts", f"Expected at least {FEWEST}.")
    if len(set(texts.texts)) == 1:
        raise DataError(f"{path}: all {len(texts)} texts are the same, so there is nothing to tell labels apart by",
                        "Give different texts; another column may hold them: --text.")
    if not any(len(WORD.findall(one)) > 1 for one in texts.texts):
        raise DataError(f"{path}: none of the {len(texts)} texts has two words, so there is too little to tell labels apart by",
                        "Give sentences, with spaces between words; another column may hold them: --text.")
    return texts
