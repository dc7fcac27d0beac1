"""The kind `Molecules`: SMILES with measured values, and three ways of splitting them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .records import frozen, require, two_parts
from .scaffolds import balanced_parts, scaffold_parts

SPLITS = ("shuffle", "scaffold", "balanced scaffold")


@dataclass(frozen=True)
class Molecules:
    """Molecules as SMILES, with measured values where there are any.

    Args:
        smiles: N SMILES strings, each one that RDKit reads.
        targets: (N, T) finite float, NaN where nothing was measured; (N, 0) without measurements.
        names: T target names.
        by: how `split` divides. "shuffle": at random. "scaffold": as MoleculeNet does, the molecules of the rarest
            Bemis-Murcko scaffolds for the test, whatever the seed. "balanced scaffold": no scaffold on both sides,
            large ones in train, the others in the seed's order.
        unlabelled: SMILES of further molecules, to learn from without values; they stay with the training part.
    """

    smiles: tuple[str, ...]
    targets: np.ndarray | None = None
    names: tuple[str, ...] = ()
    by: str = "shuffle"
    unlabelled: tuple[str, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "smiles", texts("Molecules.smiles", self.smiles))
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "unlabelled", texts("Molecules.unlabelled", self.unlabelled))
        if self.targets is None:
            object.__setattr__(self, "targets", np.zeros((len(self.smiles), 0)))
        frozen(self, targets=np.float64)
        expected = (len(self.smiles), len(self.names))
        require(self.targets.shape == expected, "Molecules.targets", f"shape {self.targets.shape}", f"{expected}")
        infinite = np.flatnonzero(np.isinf(self.targets).any(1))
        require(not len(infinite), "Molecules.targets", f"an infinite value in row {infinite[:1]}", "numbers, NaN where not measured")
        require(self.by in SPLITS, "Molecules.by", repr(self.by), f"one of {', '.join(SPLITS)}")

    def __len__(self):
        return len(self.smiles)

    def take(self, rows) -> Molecules:
        """The molecules at these positions, with all unlabelled ones."""
        return Molecules(tuple(self.smiles[i] for i in rows), self.targets[rows], self.names, self.by, self.unlabelled)

    def split(self, seed: int) -> tuple[Molecules, Molecules]:
        """80 % train, 20 % test, divided as `by` says."""
        if self.by == "shuffle":
            train, test = two_parts(len(self), seed)
        else:
            train, test = scaffold_parts(self.smiles) if self.by == "scaffold" else balanced_parts(self.smiles, seed)
        return self.take(train), replace(self.take(test), unlabelled=())


def texts(where: str, found) -> tuple[str, ...]:
    """A sequence of strings as a tuple; one string, or anything else in it, is refused."""
    require(not isinstance(found, (str, bytes)), where, f"one text, {found!r:.60}", "a sequence of texts")
    found = tuple(found)
    wrong = next((place for place, one in enumerate(found) if not isinstance(one, str)), None)
    require(wrong is None, where, "" if wrong is None else f"{found[wrong]!r:.60} at position {wrong}", "texts alone")
    return found
