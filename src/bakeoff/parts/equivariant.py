"""What networks on molecules in space share: packed batches of all pairs of atoms, sums over them, and random rotations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B molecules packed into one: A atoms, and the P ordered pairs (i, j) of different atoms of one molecule, i rising.

    Args:
        kind: (A,) which element, 0..E-1.
        place: (A, 3) in angstrom.
        molecule: (A,) which molecule, 0..B-1.
        sizes: (B,) atoms of each.
        i, j: (P,) the atom that hears and the atom that speaks.
        cutoff: length in angstrom at which a message has faded to nothing; None for all pairs alike.
    """

    kind: Tensor
    place: Tensor
    molecule: Tensor
    sizes: Tensor
    i: Tensor
    j: Tensor
    cutoff: float | None

    def fade(self) -> Tensor:
        """How loud each pair is, (P, 1): (1 + cos(pi length / cutoff)) / 2; (1, 1) of 1 where all are alike."""
        if self.cutoff is None:
            return self.place.new_ones(1, 1)
        length = (self.place[self.i] - self.place[self.j]).norm(dim=1, keepdim=True)
        return (1 + torch.cos(math.pi * length / self.cutoff)) / 2

    def per_atom(self, values: Tensor) -> Tensor:
        """Sums (A, ...) over the pairs in which an atom hears."""
        return values.new_zeros(len(self.kind), *values.shape[1:]).index_add(0, self.i, values)

    def mean_per_atom(self, values: Tensor) -> Tensor:
        """The same over the number of other atoms, n - 1."""
        others = (self.sizes - 1).clamp(min=1)[self.molecule]
        return self.per_atom(values) / others.view(-1, *[1] * (values.ndim - 1))

    def per_molecule(self, values: Tensor) -> Tensor:
        """Sums (B, ...) over the atoms of a molecule."""
        return values.new_zeros(len(self.sizes), *values.shape[1:]).index_add(0, self.molecule, values)

    def turned(self, rotations: Tensor) -> Batch:
        """Each molecule turned by its matrix of (B, 3, 3)."""
        return replace(self, place=(rotations[self.molecule] @ self.place[:, :, None])[:, :, 0])


@dataclass(frozen=True)
class Atoms:
    """The atoms of N molecules, one molecule after another, to be made into batches.

    Args:
        kind: (A,) which element, 0..E-1.
        place: (A, 3) in angstrom.
        offsets: (N + 1,) from 0 to A: molecule k has the rows offsets[k] to offsets[k + 1].
        cutoff: length in angstrom from which atoms do not hear each other; None for all pairs.

    Example:
        >>> import torch
        >>> from bakeoff.parts.equivariant import Atoms
        >>> atoms = Atoms(torch.zeros(5, dtype=torch.long), torch.rand(5, 3), torch.tensor([0, 2, 5]), None)
        >>> batch = atoms.batch(torch.tensor([1]))  # the molecule of three atoms
        >>> batch.i.tolist(), batch.j.tolist()
        ([0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1])
    """

    kind: Tensor
    place: Tensor
    offsets: Tensor
    cutoff: float | None

    def batch(self, rows: Tensor) -> Batch:
        """The molecules at these positions (B,)."""
        sizes = self.offsets.diff()[rows]
        molecule = torch.repeat_interleave(sizes)  # (A,)
        first = sizes.cumsum(0) - sizes  # (B,), in the batch
        atom = torch.arange(len(molecule)) + (self.offsets[rows] - first)[molecule]  # (A,), in the record
        heard = sizes[molecule]  # (A,), itself included
        i = torch.repeat_interleave(heard)
        j = torch.arange(len(i)) + (first[molecule] + heard - heard.cumsum(0))[i]
        place = self.place[atom]
        near = i != j
        if self.cutoff is not None:
            near &= (place[i] - place[j]).norm(dim=1) < self.cutoff
        return Batch(self.kind[atom], place, molecule, sizes, i[near], j[near], self.cutoff)

    def portions(self, pairs: int = 100_000) -> tuple[Tensor, ...]:
        """The positions of all molecules, in runs of about so many pairs."""
        portion = self.offsets.diff().square().cumsum(0) // pairs
        return torch.arange(len(portion)).split(portion.unique_consecutive(return_counts=True)[1].tolist())


def random_rotations(count: int, rng: torch.Generator) -> Tensor:
    """Rotation matrices drawn uniformly, from unit quaternions (w, v): R = 1 + 2 w [v] + 2 [v]^2, where [v] u = v x u.

    Args:
        count: B, how many.
        rng: draws them.

    Returns:
        (B, 3, 3), float32.

    Example:
        >>> import torch
        >>> from bakeoff.parts.equivariant import random_rotations
        >>> turn = random_rotations(2, torch.Generator().manual_seed(0))
        >>> torch.allclose(turn @ turn.mT, torch.eye(3).expand(2, 3, 3), atol=1e-6), torch.allclose(turn.det(), torch.ones(2))
        (True, True)
    """
    q = F.normalize(torch.randn(count, 4, generator=rng), dim=1)
    one = torch.eye(3).expand(count, 3, 3)
    cross = torch.linalg.cross(q[:, None, 1:].expand(-1, 3, 3), one).mT  # column k is v x e_k
    return one + 2 * q[:, :1, None] * cross + 2 * cross @ cross
