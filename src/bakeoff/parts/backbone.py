"""What a protein's backbone, the atoms N, CA, C of its residues in order, looks like: contacts and the directions of bonds."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from ..data.kinds.trajectory import Trajectory
from ..errors import DataError


def backbone(trajectory: Trajectory) -> np.ndarray:
    """The frames (T, 3n, 3) of a trajectory's atoms N, CA, C, of n residues.

    Raises:
        DataError: a residue lacks one of the three, or has them in another order.

    Example:
        >>> backbone(Trajectory(np.zeros((2, 4, 3)), ("N", "CA", "C", "O"), [0, 0, 0, 0])).shape
        (2, 3, 3)
    """
    chosen = trajectory.select(("N", "CA", "C"))
    odd = [place for place, name in enumerate(chosen.atoms) if name != ("N", "CA", "C")[place % 3]]
    if odd or len(chosen.atoms) % 3 or not chosen.atoms:
        raise DataError(f"found the atoms {chosen.atoms[:6]}... of a backbone", "Expected N, CA, C of every residue, in this order.")
    return chosen.frames


def contact_map(alpha, cutoff: float = 8.0, width: float = 1.0) -> np.ndarray:
    """How much each pair of residues touches, from 0 to 1: s((cutoff - d) / width), s the sigmoid, d their distance.

    Args:
        alpha: (T, n, 3) the CA atoms.
        cutoff: the distance in angstrom of half a contact.
        width: in angstrom, of the fall from 1 to 0; 0 for 1 within the cutoff and 0 beyond.

    Returns:
        (T, n, n).

    Example:
        >>> contact_map(np.array([[[0.0, 0, 0], [8, 0, 0]]]))
        array([[[0.99966465, 0.5       ],
                [0.5       , 0.99966465]]])
    """
    alpha = np.asarray(alpha, float)
    nearer = cutoff - np.linalg.norm(alpha[:, :, None] - alpha[:, None], axis=3)  # (T, n, n)
    return expit(nearer / width) if width else (nearer >= 0).astype(float)


def bond_directions(frames) -> np.ndarray:
    """Unit vectors (T, A - 1, 3) from each atom to the next, of frames (T, A, 3).

    Example:
        >>> bond_directions(np.array([[[0.0, 0, 0], [2, 0, 0], [2, 3, 0]]]))
        array([[[1., 0., 0.],
                [0., 1., 0.]]])
    """
    bonds = np.diff(np.asarray(frames, float), axis=1)
    return bonds / np.linalg.norm(bonds, axis=2, keepdims=True)
