"""The kind `Affinities`: how strongly drugs bind proteins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...errors import DataError
from .molecules import texts
from .records import frozen, require, two_parts

SPLITS = ("pairs", "cold drug", "cold target", "published")


@dataclass(frozen=True)
class Affinities:
    """Measured pairs of a drug and a protein.

    Args:
        smiles: D SMILES strings, the drugs.
        sequences: S amino-acid sequences in one-letter codes, the proteins.
        pairs: (P, 2) whole numbers: the drug's position in `smiles`, the protein's in `sequences`.
        values: (P,) float, what was measured for each pair.
        name: what the values are, such as "pKd".
        unit: their unit, such as "-log10 mol/L"; "" for none.
        by: how `split` divides. "pairs": at random; drugs and proteins are then on both sides. "cold drug": no drug of
            the test is in train. "cold target": no protein of the test is in train. "published": as `folds` says.
        folds: (P,) whole numbers, the published division: 0, 1, ... the training folds, -1 the test; (0,) without one.
        unlabelled: SMILES of other molecules, of which nothing was measured, to learn from beforehand; `split` gives them to train.
    """

    smiles: tuple[str, ...]
    sequences: tuple[str, ...]
    pairs: np.ndarray
    values: np.ndarray
    name: str = "affinity"
    unit: str = ""
    by: str = "pairs"
    folds: np.ndarray = ()
    unlabelled: tuple[str, ...] = ()

    def __post_init__(self):
        for name in ("smiles", "sequences", "unlabelled"):
            object.__setattr__(self, name, texts(f"Affinities.{name}", getattr(self, name)))
        given = {"pairs": self.pairs, "folds": self.folds}
        with np.errstate(invalid="ignore"):  # of NaN, told below
            frozen(self, pairs=np.int64, values=np.float64, folds=np.int64)
        for name, found in given.items():
            whole = np.array_equal(np.asarray(found, dtype=np.float64), getattr(self, name))
            require(whole, f"Affinities.{name}", "fractions or missing values", "whole numbers")
        shape, count = self.pairs.shape, len(self.values)
        require(self.values.ndim == 1, "Affinities.values", f"shape {self.values.shape}", "(P,)")
        require(shape == (count, 2), "Affinities.pairs", f"shape {shape}", f"({count}, 2), a drug and a protein for each value")
        for column, (name, known) in enumerate((("smiles", self.smiles), ("sequences", self.sequences))):
            outside = np.flatnonzero((self.pairs[:, column] < 0) | (self.pairs[:, column] >= len(known)))
            require(not len(outside), "Affinities.pairs", f"{self.pairs[outside[:1], column]} in row {outside[:1]}, column {column}",
                    f"positions in {name}, 0 to {len(known) - 1}")
        bad = np.flatnonzero(~np.isfinite(self.values))
        require(not len(bad), "Affinities.values", f"a missing or infinite value in row {bad[:1]}", "a number for every pair")
        require(self.folds.shape in ((0,), (count,)), "Affinities.folds", f"shape {self.folds.shape}", f"({count},) or (0,)")
        require(self.by in SPLITS, "Affinities.by", repr(self.by), f"one of {', '.join(SPLITS)}")

    def __len__(self):
        return len(self.values)

    def take(self, rows) -> Affinities:
        """The pairs at these positions, with the drugs and proteins that they need and no others."""
        pairs = self.pairs[rows]
        drugs, first = np.unique(pairs[:, 0], return_inverse=True)
        proteins, second = np.unique(pairs[:, 1], return_inverse=True)
        return Affinities(tuple(self.smiles[i] for i in drugs), tuple(self.sequences[i] for i in proteins), np.stack([first, second], 1),
                          self.values[rows], self.name, self.unit, self.by, self.folds[rows] if len(self.folds) else (),
                          self.unlabelled)

    def split(self, seed: int) -> tuple[Affinities, Affinities]:
        """Train and test as `by` says: 80 % and 20 % of the pairs, of the drugs or of the proteins, or the published division.

        Two drugs (proteins) of the same text count as one.
        """
        if self.by == "pairs":
            train, test = two_parts(len(self), seed)
            return self.take(train), replace(self.take(test), unlabelled=())
        if self.by == "published":
            if not len(self.folds):
                raise DataError("these affinities come without a published division", "Split by pairs, cold drug or cold target.")
            held_out = self.folds == -1
        else:
            column, texts = (0, self.smiles) if self.by == "cold drug" else (1, self.sequences)
            held_out = _cold(np.unique(texts, return_inverse=True)[1][self.pairs[:, column]], seed)
        return self.take(np.flatnonzero(~held_out)), replace(self.take(np.flatnonzero(held_out)), unlabelled=())


def _cold(identity: np.ndarray, seed: int) -> np.ndarray:
    """(P,) bool: True for the pairs of the fifth of the identities (P,) that the seed holds out."""
    known = np.unique(identity)
    _, test = two_parts(len(known), seed)
    return np.isin(identity, known[test])
