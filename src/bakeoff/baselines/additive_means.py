"""Affinity as a drug's mean plus a protein's: what is known of a pair without looking at either structure."""

from __future__ import annotations

import numpy as np

from ..data.kinds.affinities import Affinities
from ..errors import NotFitted


class AdditiveMeans:
    """y = m + a_drug + b_protein by least squares; a drug or protein that was not met before adds 0.

    Where pairs are divided at random, drugs and proteins of the test have been met in training: what is above this floor is interaction.

    Args:
        rounds: times that the drugs' and the proteins' means are taken in turn; it converges fast unless few pairs are known.

    Example:
        >>> known = Affinities(["C", "O"], ["MK", "GA"], [[0, 0], [0, 1], [1, 0]], [5.0, 6.0, 7.0])
        >>> AdditiveMeans().fit(known).predict(Affinities(["O"], ["GA"], [[0, 0]], [0.0])).round(3)
        array([8.])
    """

    def __init__(self, rounds: int = 50):
        self.rounds = rounds

    def fit(self, pairs: Affinities) -> AdditiveMeans:
        """Learn from pairs; returns self."""
        self._mean = pairs.values.mean()
        places = [_places(texts, column) for texts, column in zip((pairs.smiles, pairs.sequences), pairs.pairs.T, strict=True)]
        effects = [np.zeros(len(known)) for known, _ in places]
        for side in (0, 1) * self.rounds:
            rows, other = places[side][1], effects[1 - side][places[1 - side][1]]
            effects[side] = np.bincount(rows, pairs.values - self._mean - other) / np.bincount(rows)
        self._effects = [dict(zip(known, one, strict=True)) for (known, _), one in zip(places, effects, strict=True)]
        return self

    def predict(self, pairs: Affinities) -> np.ndarray:
        """The affinities (P,) of pairs; what was measured of them is not looked at."""
        if not hasattr(self, "_effects"):
            raise NotFitted()
        drug, protein = (np.array([one.get(text, 0.0) for text in texts])[column] for one, texts, column in
                         zip(self._effects, (pairs.smiles, pairs.sequences), pairs.pairs.T, strict=True))
        return self._mean + drug + protein


def _places(texts: tuple[str, ...], column: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The distinct texts that a column (P,) of positions names, and each row's place among them."""
    known, rows = np.unique(np.array(texts, dtype=object)[column], return_inverse=True)
    return list(known), rows
