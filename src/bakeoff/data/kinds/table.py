"""The kind `Table`: rows of numbers with one target."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .records import frozen, require, two_parts


@dataclass(frozen=True)
class Table:
    """Rows of numbers with one target.

    Args:
        features: (N, M) float; NaN where a value is missing.
        target: (N,) float; for classes the class number 0..K-1.
        names: M column names.
        classes: K class names, or () when the target is a number to be regressed.
    """

    features: np.ndarray
    target: np.ndarray
    names: tuple[str, ...]
    classes: tuple[str, ...] = ()

    def __post_init__(self):
        frozen(self, features=np.float64, target=np.float64)
        shape = self.features.shape
        require(len(shape) == 2, "Table.features", f"shape {shape}", "(N, M)")
        require(self.target.shape == shape[:1], "Table.target", f"shape {self.target.shape}", f"({shape[0]},)")
        require(len(self.names) == shape[1], "Table.names", f"{len(self.names)} names", f"{shape[1]}, one a column")
        require(bool(np.isfinite(self.target).all()), "Table.target", "missing or infinite values", "a number in every row")

    def __len__(self):
        return len(self.target)

    def take(self, rows) -> Table:
        """The rows at these positions."""
        return replace(self, features=self.features[rows], target=self.target[rows])

    def split(self, seed: int) -> tuple[Table, Table]:
        """80 % train, 20 % test, shuffled."""
        train, test = two_parts(len(self), seed)
        return self.take(train), self.take(test)
