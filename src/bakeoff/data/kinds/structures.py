"""The kind `Structures`: molecules in three dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .records import frozen, require, two_parts


@dataclass(frozen=True)
class Structures:
    """Molecules as atoms in space, with measured or computed values. `record.molecule(i)` is one of them.

    The atoms of all N molecules stand one after another: molecule i has the rows offsets[i] to offsets[i + 1].

    Args:
        numbers: (A,) whole numbers, the atomic number of each of the A atoms of all molecules.
        coordinates: (A, 3) float, in angstrom.
        offsets: (N + 1,) whole numbers, from 0 to A.
        targets: (N, T) float, NaN where there is no value; (N, 0) without values.
        names: T target names.
        units: T units, such as "kcal/mol".
    """

    numbers: np.ndarray
    coordinates: np.ndarray
    offsets: np.ndarray
    targets: np.ndarray | None = None
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()

    def __post_init__(self):
        for name in ("names", "units"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.targets is None:
            object.__setattr__(self, "targets", np.zeros((len(self.offsets) - 1, 0)))
        frozen(self, numbers=np.int64, coordinates=np.float64, offsets=np.int64, targets=np.float64)
        atoms, ends = len(self.numbers), self.offsets
        require(self.numbers.ndim == 1, "Structures.numbers", f"shape {self.numbers.shape}", "(A,)")
        require(self.coordinates.shape == (atoms, 3), "Structures.coordinates", f"shape {self.coordinates.shape}", f"({atoms}, 3)")
        require(ends.ndim == 1 and len(ends) > 0 and ends[0] == 0 and ends[-1] == atoms and bool((np.diff(ends) > 0).all()),
                "Structures.offsets", f"{ends.tolist()[:4]}... to {ends.tolist()[-1:]}",
                f"(N + 1,) rising from 0 to {atoms}, at least one atom a molecule")
        require(bool(((self.numbers > 0) & (self.numbers < 119)).all()), "Structures.numbers", "a number that no element has", "1 to 118")
        require(bool(np.isfinite(self.coordinates).all()), "Structures.coordinates", "missing or infinite values", "numbers in angstrom")
        expected = (len(self), len(self.names))
        require(self.targets.shape == expected, "Structures.targets", f"shape {self.targets.shape}", f"{expected}")
        require(len(self.units) == len(self.names), "Structures.units", f"{len(self.units)} units", f"{len(self.names)}, one a target")

    def __len__(self):
        return len(self.offsets) - 1

    def molecule(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Atomic numbers (n,) and coordinates (n, 3) in angstrom of the molecule at position i."""
        atoms = slice(self.offsets[i], self.offsets[i + 1])
        return self.numbers[atoms], self.coordinates[atoms]

    def take(self, rows) -> Structures:
        """The molecules at these positions."""
        rows = np.arange(len(self))[rows]
        parts = [np.arange(self.offsets[i], self.offsets[i + 1]) for i in rows]
        atoms = np.concatenate(parts) if parts else np.zeros(0, int)
        ends = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        return Structures(self.numbers[atoms], self.coordinates[atoms], ends, self.targets[rows], self.names, self.units)

    def split(self, seed: int) -> tuple[Structures, Structures]:
        """80 % train, 20 % test, shuffled."""
        train, test = two_parts(len(self), seed)
        return self.take(train), self.take(test)
