"""Principal modes of a molecule's motion: the few straight directions along which its superposed atoms move most.

Amadei, Linssen, Berendsen 1993 ("essential dynamics"). It needs no training; whatever a network finds must be seen beside it.
"""

from __future__ import annotations

import numpy as np

from ..errors import NotFitted
from ..parts.superposition import mean_structure, superposed


class PrincipalModes:
    """Principal components of the coordinates of frames that are superposed on their mean.

    Args:
        modes: K, how many to keep; at most one less than there are frames.
        rounds: of superposition on the mean of the one before, begun with the first frame; 0 lays all on that frame.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> rest, way = rng.normal(size=(2, 6, 3))
        >>> frames = rest + 0.1 * np.linspace(-1, 1, 9)[:, None, None] * (way - way.mean(0))
        >>> found = PrincipalModes(2).fit(frames)
        >>> np.abs(found.decode(found.encode(frames)) - superposed(frames, found.mean)).max() < 0.01
        np.True_
    """

    def __init__(self, modes: int = 16, rounds: int = 3):
        self.modes, self.rounds = modes, rounds

    def fit(self, frames: np.ndarray) -> PrincipalModes:
        """Learn from frames (T, A, 3); returns self."""
        self._reference = mean_structure(frames, self.rounds)
        self._mean = superposed(frames, self._reference).mean(0)
        _, spread, axes = np.linalg.svd(self._deviations(frames), full_matrices=False)
        self._axes = axes[:min(self.modes, len(frames) - 1)]  # (K, 3A)
        self._variances = (spread ** 2 / (len(frames) - 1))[:len(self._axes)]
        return self

    @property
    def mean(self) -> np.ndarray:
        """The mean structure (A, 3), on which frames lie."""
        return self._fitted._mean

    @property
    def variances(self) -> np.ndarray:
        """Of the frames learned from, along each mode (K,), largest first, in squared angstrom."""
        return self._fitted._variances

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """How far each of the frames (T, A, 3) has gone along each mode: (T, K)."""
        return self._fitted._deviations(frames) @ self._axes.T

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The frames (T, A, 3) at these places (T, K) along the modes."""
        return self.mean + (codes @ self._axes).reshape(len(codes), -1, 3)

    def _deviations(self, frames) -> np.ndarray:  # (T, 3A)
        return (superposed(frames, self._reference) - self._mean).reshape(len(frames), -1)

    @property
    def _fitted(self) -> PrincipalModes:
        if not hasattr(self, "_axes"):
            raise NotFitted()
        return self
