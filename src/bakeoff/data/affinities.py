"""Affinities of drugs and proteins, from a user's table and from the public sets.

A doubtful row stops the loading with one message, as for molecules; the same options settle it.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path

import numpy as np

from ..errors import DataError
from .columns import COLUMNAR, SEPARATED, choice, column, form_of, frame, numbers
from .kinds.affinities import SPLITS, Affinities
from .molecules import DRUGS, SETTLED_BY, SHIPPED, beforehand, chosen_ways, examine, judge, lines

AMINO_ACIDS = set("ACDEFGHIKLMNPQRSTVWYBJOUXZ")  # the twenty, the two rare ones, and letters for one of several
HORMONES = {"oxytocin": "CYIQNCPLG", "vasopressin": "CYFQNCPRG", "angiotensin II": "DRVYIHPF", "bradykinin": "RPPGFSPFR",
            "substance P": "RPKPQQFFGLM", "leucine enkephalin": "YGGFL", "gonadoliberin": "QHWSYGLRPG", "somatostatin": "AGCKNFFWKTFTSC"}

NO_VALUE, BAD_SEQUENCE = "no value", "unreadable sequence"
AGAIN, CONFLICT = "a pair of an earlier row", "a pair of an earlier row, with another value"
DISAGREEING = "a pair of several rows, with different values"
SETTLED = SETTLED_BY | {NO_VALUE: "invalid", BAD_SEQUENCE: "invalid"} | dict.fromkeys((AGAIN, CONFLICT, DISAGREEING), "duplicates")


def load(path: Path, *, smiles: str = "smiles", sequence: str = "sequence", target: str = "value", unit: str = "", split: str = "pairs",
         invalid: str = "error", mixtures: str = "error", radicals: str = "error", wildcards: str = "error", large: str = "error",
         duplicates: str = "error", unlabelled: str = SHIPPED) -> Affinities:
    """Affinities from a CSV, TSV or Parquet file with one measured pair a row.

    Args:
        path: the file.
        smiles, sequence, target: the columns of the drug's SMILES, of the protein's amino acids in one-letter codes, of the value.
        unit: the unit of the values, in words.
        split: "pairs", "cold-drug" or "cold-target", as `Affinities` explains.
        invalid: rows without a readable SMILES, a readable sequence or a value: "error", or "drop".
        mixtures, radicals, wildcards, large: as for molecules.
        duplicates: one pair in several rows: "error", "keep", "mean" (one pair, its values averaged), or "drop" (one where
            they agree, else none).
        unlabelled: molecules to learn from without values, as for molecules.

    Returns:
        The pairs in the file's order; drugs as canonical SMILES and proteins, each once, in the order of their first row.

    Raises:
        DataError: the file, a column or a row is not as expected.
        MissingPackage: RDKit is not installed.
    """
    ways = chosen_ways(invalid=invalid, mixtures=mixtures, radicals=radicals, wildcards=wildcards, large=large, duplicates=duplicates)
    by = choice("split", split, SPLITS[:3])
    path = Path(path)
    if not path.is_file() or form_of(path) not in SEPARATED + COLUMNAR:
        raise DataError(f"{path} is not a table", f"Affinities come as one file: {', '.join(SEPARATED + COLUMNAR)}.")
    cells = frame(path)
    name = column(path, cells.columns, target, "target")
    drugs, proteins, measured = (cells[one] for one in (column(path, cells.columns, smiles, "smiles"),
                                                        column(path, cells.columns, sequence, "sequence"), name))
    rows = list(range(1, len(cells) + 1))
    texts = [None if blank else text for text, blank in zip(drugs, (cells == "").all(axis=1), strict=True)]
    doubts, read = examine(texts, ways)
    values = numbers(path, name, list(measured))
    sequences = ["".join(text.split()).upper() for text in proteins]
    for place in (place for place, text in enumerate(texts) if text is not None):
        readable = sequences[place] and set(sequences[place]) <= AMINO_ACIDS
        for doubt, found in ((NO_VALUE, math.isnan(values[place])), (BAD_SEQUENCE, not readable)):
            if found:
                doubts[doubt].append(place)
                read.pop(place, None)
    groups = defaultdict(list)
    for place, canonical in read.items():
        groups[canonical, sequences[place]].append(place)
    for first, *others in groups.values():
        if duplicates == "drop" and any(values[place] != values[first] for place in others):
            doubts[DISAGREEING] += [first, *others]
            continue
        for place in others:
            doubts[AGAIN if values[place] == values[first] else CONFLICT].append(place)
    judge(path, doubts, rows, ways, texts, SETTLED, {BAD_SEQUENCE: list(proteins)})
    if duplicates == "drop":
        groups = {pair: places for pair, places in groups.items() if len({values[place] for place in places}) == 1}
    if duplicates != "keep":
        kept = [(pair, float(np.mean([values[place] for place in places]))) for pair, places in groups.items()]
    else:
        kept = [((canonical, sequences[place]), values[place]) for place, canonical in read.items()]
    if not kept:
        raise DataError(f"{path}: no pair is left of {len(rows)} rows", "Give a file with a SMILES, a sequence and a value in every row.")
    first = {drug: i for i, drug in enumerate(dict.fromkeys(pair[0] for pair, _ in kept))}
    second = {protein: i for i, protein in enumerate(dict.fromkeys(pair[1] for pair, _ in kept))}
    return Affinities(tuple(first), tuple(second), [(first[drug], second[protein]) for (drug, protein), _ in kept],
                      [value for _, value in kept], name, unit, by, unlabelled=beforehand(unlabelled, smiles, ways))


def made(*, split: str = "pairs") -> Affinities:
    """Bakeoff's medicines against short hormones with made-up values: greasy drugs like greasy peptides, each has a level of its own."""
    smiles = tuple(DRUGS.values())
    greasy = np.array([sum(letter in "cCF" for letter in one) / len(one) for one in smiles])  # (D,)
    likes = np.array([sum(letter in "AFILMVWY" for letter in one) / len(one) for one in HORMONES.values()])  # (S,)
    level = np.random.default_rng(0).normal(6, 0.5, len(smiles))
    matrix = level[:, None] + 10 * np.outer(greasy - greasy.mean(), likes - likes.mean())
    return Affinities(smiles, tuple(HORMONES.values()), np.argwhere(matrix), matrix.ravel(), "made-up affinity", "",
                      choice("split", split, SPLITS[:3]))


def davis(files: list[Path], *, split: str = "pairs") -> Affinities:
    """Kinase inhibitors: Kd in nM as a matrix (drugs, proteins), read as pKd = 9 - log10 Kd; every pair was measured."""
    return _matrix(files, lambda kd: 9 - np.log10(kd), "pKd", "-log10 mol/L", split)


def kiba(files: list[Path], *, split: str = "pairs") -> Affinities:
    """KIBA scores as a matrix (drugs, proteins); pairs without a score (nan) are left out."""
    return _matrix(files, lambda score: score, "KIBA score", "", split)


def _matrix(files: list[Path], measure, name: str, unit: str, split: str) -> Affinities:
    """The files: drugs and proteins as JSON, in the order of the matrix; the matrix; training folds and test, as numbers
    of known pairs; then unlabelled SMILES, one a line."""
    drugs, proteins, folds, held_out = (json.loads(files[i].read_text(encoding="utf-8")) for i in (0, 1, 3, 4))
    matrix = np.loadtxt(files[2])  # (D, S)
    pairs = np.argwhere(~np.isnan(matrix))  # (P, 2), drug by drug
    if sorted(sum(folds, held_out)) != list(range(len(pairs))):
        raise DataError(f"{files[3]} and {files[4]} are no division of {len(pairs)} pairs", "Fetch the files again.")
    fold = np.full(len(pairs), -1)
    for place, rows in enumerate(folds):
        fold[rows] = place
    return Affinities(tuple(drugs.values()), tuple(proteins.values()), pairs, measure(matrix[tuple(pairs.T)]), name, unit,
                      choice("split", split, SPLITS), fold, lines(files[5:]).smiles)
