"""Docked poses as graphs for a network: a pose's ligand atoms and protein atoms, and the contacts between them.

Each pose has its own nodes, and only atoms with a contact nearer than the cut-off are nodes; so poses are independent of each other, and
one that touches nothing has an empty graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..data.kinds.poses import TRAITS, Poses, ranges, traits
from ..errors import DataError
from .molecular_graphs import ATOM_FEATURES, BOND_FEATURES, Graphs, featurise


@dataclass(frozen=True)
class Batch:
    """P poses of M ligands, with their A ligand nodes, B protein nodes and E contacts.

    Args:
        ligands: the graphs of the M ligands.
        ligand: (P,) which of them each pose has.
        rank: (P,) the docking program's rank, from 0.
        atoms: (A,) which of the ligands' atoms each ligand node is.
        atom_pose: (A,) its pose.
        traits: (B, 15) what each protein node is, in the order of `TRAITS`.
        ends: (2, E) the ligand node and the protein node of each contact.
        distances: (E,) in angstrom.
    """

    ligands: Graphs
    ligand: Tensor
    rank: Tensor
    atoms: Tensor
    atom_pose: Tensor
    traits: Tensor
    ends: Tensor
    distances: Tensor


class ContactGraphs:
    """The graphs of all poses of a record, built once; `batch(rows)` gives those of some complexes.

    Args:
        poses: the record.
        cutoff: in angstrom; contacts further apart are left out.

    Raises:
        DataError: a contact names an atom that the ligand does not have.
    """

    def __init__(self, poses: Poses, cutoff: float):
        self.poses, self.ligands = poses, featurise(poses.smiles)
        pose = np.repeat(np.arange(len(poses.rank)), np.diff(poses.contact_offsets))  # (E,)
        near = poses.distances < cutoff
        self._distances, pose = poses.distances[near], pose[near]
        self._atom, self._atom_offsets, first = _nodes(pose, poses.contacts[near, 0], len(poses.rank))
        self._pocket, self._pocket_offsets, second = _nodes(pose, poses.contacts[near, 1], len(poses.rank))
        self._ends = np.stack([first, second])  # (2, E), counted within each pose
        self._edge_offsets = np.concatenate([[0], np.cumsum(np.bincount(pose, minlength=len(poses.rank)))])
        counts = self.ligands.atom_counts.numpy()[poses.complex_of]
        beyond = np.flatnonzero(self._atom >= np.repeat(counts, np.diff(self._atom_offsets)))
        if len(beyond):
            raise DataError(f"a contact names the ligand atom {self._atom[beyond[0]]}, which its SMILES does not have",
                            "Count the heavy atoms of the SMILES from 0.")

    def batch(self, rows) -> Batch:
        """The poses of the complexes at these positions (a list, array or tensor), in their order."""
        rows = np.asarray(rows)
        ligands = self.ligands.take(rows)
        pose, pose_ends = ranges(self.poses.pose_offsets, rows)
        ligand = np.repeat(np.arange(len(rows)), np.diff(pose_ends))
        atom, atom_ends = ranges(self._atom_offsets, pose)
        pocket, pocket_ends = ranges(self._pocket_offsets, pose)
        edge, edge_ends = ranges(self._edge_offsets, pose)
        per_pose = np.diff(edge_ends)
        ends = self._ends[:, edge] + np.stack([np.repeat(atom_ends[:-1], per_pose), np.repeat(pocket_ends[:-1], per_pose)])
        atom_pose = np.repeat(np.arange(len(pose)), np.diff(atom_ends))
        starts = ligands.atom_counts.numpy().cumsum() - ligands.atom_counts.numpy()
        complexes = np.repeat(self.poses.complex_of[pose], np.diff(pocket_ends))
        types = self.poses.pocket[self.poses.pocket_offsets[complexes] + self._pocket[pocket]]
        return Batch(ligands, *map(torch.from_numpy, (
            ligand, self.poses.rank[pose], starts[ligand[atom_pose]] + self._atom[atom], atom_pose, traits(types), ends,
            self._distances[edge])))


class LigandGraph(nn.Module):
    """Graph convolution on the bonds of ligands: a batch -> (M, hidden), whatever the poses are."""

    def __init__(self, hidden: int, layers: int):
        super().__init__()
        self.start = nn.Linear(ATOM_FEATURES, hidden)
        self.own = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers))
        self.heard = nn.ModuleList(nn.Linear(hidden + BOND_FEATURES, hidden, bias=False) for _ in range(layers))

    def forward(self, batch: Batch) -> Tensor:
        graphs = batch.ligands
        h = self.start(graphs.atoms).relu()  # (A, hidden)
        for own, heard in zip(self.own, self.heard, strict=True):
            messages = torch.cat([h[graphs.index[0]], graphs.bonds], 1)
            h = (own(h) + heard(_sums(messages, graphs.index[1], len(h)))).relu()
        return _sums(h, graphs.molecule, len(graphs)) / PER_GATHER


class ContactGraph(nn.Module):
    """Graph convolution on the contacts of poses: a batch -> (P, hidden); zeros for a pose without contacts.

    A contact passes on the features of the atom at its one end to the atom at its other, weighed by how long it is: each feature by its own
    mixture of Gaussians of the distance, from 2 angstrom to the cut-off.
    """

    def __init__(self, hidden: int, layers: int, cutoff: float, basis: int = 8):
        super().__init__()
        self.register_buffer("centre", torch.linspace(2.0, cutoff, basis))
        self.width = (cutoff - 2.0) / (basis - 1)
        self.ligand, self.protein = nn.Linear(ATOM_FEATURES, hidden), nn.Linear(len(TRAITS), hidden)
        self.layers = nn.ModuleList(nn.ModuleList((
            nn.Linear(basis, hidden, bias=False), *(nn.Linear(hidden, hidden) for _ in range(2)),
            *(nn.Linear(hidden, hidden, bias=False) for _ in range(2)))) for _ in range(layers))

    def forward(self, batch: Batch) -> Tensor:
        to, of = batch.ends
        basis = (((batch.distances[:, None] - self.centre) / self.width).square() * -0.5).exp()  # (E, basis)
        ligand = self.ligand(batch.ligands.atoms)[batch.atoms].relu()  # (A, hidden)
        protein = self.protein(batch.traits).relu()  # (B, hidden)
        for weigh, ligand_own, protein_own, ligand_heard, protein_heard in self.layers:
            weight = weigh(basis)  # (E, hidden)
            from_protein = _sums(protein_heard(protein)[of] * weight, to, len(ligand)) / PER_ATOM
            from_ligand = _sums(ligand_heard(ligand)[to] * weight, of, len(protein)) / PER_ATOM
            ligand, protein = (ligand_own(ligand) + from_protein).relu(), (protein_own(protein) + from_ligand).relu()
        return _sums(ligand, batch.atom_pose, len(batch.rank)) / PER_GATHER


PER_ATOM, PER_GATHER = 4.0, 20.0  # sums are brought to the size of one atom's features: about so many contacts an atom and atoms a ligand


def _sums(values: Tensor, where: Tensor, count: int) -> Tensor:
    return values.new_zeros(count, values.shape[1]).index_add_(0, where, values)


def _nodes(pose: np.ndarray, atom: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The atoms with a contact, pose by pose; the poses' offsets among them; for each contact its node, counted within its pose."""
    span = int(atom.max(initial=0)) + 1
    nodes, node = np.unique(pose * span + atom, return_inverse=True)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(nodes // span, minlength=count))])
    return nodes % span, offsets, node - offsets[pose]
