"""The kind `Trajectory`: one molecule moving."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .records import frozen, require, two_parts


@dataclass(frozen=True)
class Trajectory:
    """Frames of one molecule in motion, in the order of time.

    Args:
        frames: (T, A, 3) float, the coordinates of A atoms in angstrom; nothing is superposed.
        atoms: A atom names, such as "CA".
        residues: (A,) whole numbers 0..R-1 that never fall: the residue of each atom.
        block: `split` holds out whole blocks of about this many frames that follow each other.
    """

    frames: np.ndarray
    atoms: tuple[str, ...]
    residues: np.ndarray
    block: int = 8

    def __post_init__(self):
        object.__setattr__(self, "atoms", tuple(map(str, self.atoms)))
        frozen(self, frames=np.float32, residues=np.int64)
        shape, residues = self.frames.shape, self.residues
        require(len(shape) == 3 and shape[2] == 3, "Trajectory.frames", f"shape {shape}", "(T, A, 3)")
        require(len(self.atoms) == shape[1], "Trajectory.atoms", f"{len(self.atoms)} names", f"{shape[1]}, one an atom")
        require(residues.shape == shape[1:2], "Trajectory.residues", f"shape {residues.shape}", f"({shape[1]},)")
        require(not len(residues) or (residues[0] == 0 and bool(np.isin(np.diff(residues), (0, 1)).all())), "Trajectory.residues",
                f"{residues.tolist()[:6]}...", "numbers from 0 that stay or rise by one from atom to atom")
        bad = np.flatnonzero(~np.isfinite(self.frames.reshape(shape[0], -1)).all(1))
        require(not len(bad), "Trajectory.frames", f"a missing or infinite coordinate in frame {bad[:1]}", "finite numbers")
        require(self.block >= 1, "Trajectory.block", str(self.block), "at least 1 frame")

    def __len__(self):
        return len(self.frames)

    def take(self, rows) -> Trajectory:
        """The frames at these positions."""
        return replace(self, frames=self.frames[rows])

    def select(self, names: tuple[str, ...]) -> Trajectory:
        """Only the atoms of these names; residues that have none of them vanish."""
        kept = np.isin(self.atoms, names)
        atoms = tuple(name for name, keep in zip(self.atoms, kept, strict=True) if keep)
        return replace(self, frames=self.frames[:, kept], atoms=atoms, residues=np.unique(self.residues[kept], return_inverse=True)[1])

    def split(self, seed: int) -> tuple[Trajectory, Trajectory]:
        """About 80 % train, 20 % test: whole blocks of neighbouring frames that the seed picks, each part in the order of time.

        Frames next to each other are near copies, so single frames are never drawn.
        """
        blocks = np.array_split(np.arange(len(self)), max(len(self) // self.block, min(2, len(self))))
        train, test = two_parts(len(blocks), seed)
        return tuple(self.take(np.concatenate([blocks[i] for i in np.sort(part)])) for part in (train, test))
