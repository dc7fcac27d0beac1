"""Rigid superposition: frames of one molecule laid on another, without mirroring, so that what differs is shape (Kabsch 1976)."""

from __future__ import annotations

import numpy as np


def superposed(frames: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Each frame turned and shifted so that the sum of its squared distances to `onto` is the least possible.

    Args:
        frames: (T, A, 3).
        onto: (A, 3), one for all; or (T, A, 3), one for each.

    Returns:
        (T, A, 3) in float64.

    Example:
        >>> triangle = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0]])
        >>> turned = triangle @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) + 5
        >>> np.abs(superposed(turned[None], triangle) - triangle).max() < 1e-12
        np.True_
    """
    frames, onto = np.asarray(frames, float), np.asarray(onto, float)
    moving, fixed = (one - one.mean(-2, keepdims=True) for one in (frames, onto))
    return moving @ rotations(moving, fixed) + onto.mean(-2, keepdims=True)


def rotations(moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Kabsch's rotations (T, 3, 3), to be multiplied from the right, of centred moving (T, A, 3) onto centred fixed (A, 3) or (T, A, 3)."""
    left, _, right = np.linalg.svd(moving.swapaxes(-1, -2) @ fixed)
    left[..., :, -1] *= np.sign(np.linalg.det(left @ right))[..., None]  # no reflections: the axis of least weight turns instead
    return left @ right


def rmsd(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Root mean square distance (T,) of atoms, after superposition; first (T, A, 3), second (A, 3) or (T, A, 3).

    Example:
        >>> square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
        >>> rmsd(2 * square[None], square).round(4)  # from corner to corner of squares about one centre
        array([0.7071])
    """
    return np.sqrt(((superposed(first, second) - second) ** 2).sum(-1).mean(-1))


def mean_structure(frames: np.ndarray, rounds: int = 3) -> np.ndarray:
    """The mean (A, 3) of frames (T, A, 3) superposed on it: begun with the first frame, then that many rounds; centred."""
    reference = np.asarray(frames[0], float)
    for _ in range(rounds):
        reference = superposed(frames, reference).mean(0)
    return reference - reference.mean(0)
