"""The kind `Poses`: where a docking program put ligands in proteins, as graphs of contacts."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from .records import frozen, require, two_parts

ELEMENTS = ("C", "N", "O", "S", "metal", "other")
RESIDUES = ("hydrophobic", "aromatic", "polar", "positive", "negative", "other")
TRAITS = (*(f"element {one}" for one in ELEMENTS), "aromatic", "donor", "acceptor", *(f"residue {one}" for one in RESIDUES))


@dataclass(frozen=True)
class Poses:
    """Complexes of a ligand and a protein, each with the poses that a docking program kept, best energy first.

    Everything ragged is packed: complex i has the Q poses pose_offsets[i] to pose_offsets[i + 1] and the protein atoms
    pocket_offsets[i] to pocket_offsets[i + 1]; pose q has the contacts contact_offsets[q] to contact_offsets[q + 1].

    Args:
        smiles: N SMILES, the ligands; stereo is kept.
        groups: N names, such as protein families: `split` keeps a group on one side.
        pose_offsets: (N + 1,) whole numbers from 0 to Q.
        rank: (Q,) whole numbers, the docking program's rank of each pose, 0 the best.
        energy: (Q,) float, its energy in kcal/mol; NaN unknown.
        rmsd: (Q,) float, how far in angstrom from the pose in the crystal: heavy atoms, symmetric ones matched, nothing moved; NaN unknown.
        pocket_offsets: (N + 1,) whole numbers from 0 to S.
        pocket: (S,) whole numbers, the type of each protein atom, made by `typed`.
        contact_offsets: (Q + 1,) whole numbers from 0 to E.
        contacts: (E, 2) whole numbers, two heavy atoms that are near: the ligand's by its place in the SMILES, the protein's by its
            place in the pocket of the complex.
        distances: (E,) float, how far apart they are, in angstrom.
        active: (N,) float, 1 where the ligand binds the protein, 0 where not, NaN unknown; (0,) for all unknown.
        names: N names of the complexes; () for none.
    """

    smiles: tuple[str, ...]
    groups: tuple[str, ...]
    pose_offsets: np.ndarray
    rank: np.ndarray
    energy: np.ndarray
    rmsd: np.ndarray
    pocket_offsets: np.ndarray
    pocket: np.ndarray
    contact_offsets: np.ndarray
    contacts: np.ndarray
    distances: np.ndarray
    active: np.ndarray = ()
    names: tuple[str, ...] = ()

    def __post_init__(self):
        for name in ("smiles", "groups", "names"):
            object.__setattr__(self, name, tuple(map(str, getattr(self, name))))
        frozen(self, pose_offsets=np.int64, rank=np.int64, energy=np.float64, rmsd=np.float64, pocket_offsets=np.int64, pocket=np.int64,
               contact_offsets=np.int64, contacts=np.int64, distances=np.float32, active=np.float64)
        if not self.active.size:
            object.__setattr__(self, "active", np.full(len(self.smiles), np.nan))
            self.active.setflags(write=False)
        count, poses, edges = len(self.smiles), len(self.rank), len(self.distances)
        _check_offsets("pose_offsets", self.pose_offsets, count, poses, least=1)
        _check_offsets("pocket_offsets", self.pocket_offsets, count, len(self.pocket))
        _check_offsets("contact_offsets", self.contact_offsets, poses, edges)
        for name, shape in (("rank", (poses,)), ("energy", (poses,)), ("rmsd", (poses,)), ("pocket", (len(self.pocket),)),
                            ("contacts", (edges, 2)), ("distances", (edges,)), ("active", (count,))):
            found = getattr(self, name).shape
            require(found == shape, f"Poses.{name}", f"shape {found}", f"{shape}")
        require(len(self.groups) == count, "Poses.groups", f"{len(self.groups)} groups", f"{count}, one a complex")
        require(len(self.names) in (0, count), "Poses.names", f"{len(self.names)} names", f"{count} or none")
        require(bool((self.rank >= 0).all()), "Poses.rank", "a rank below 0", "0 for the best pose, then 1, 2, ...")
        bad = np.flatnonzero(~np.isfinite(self.distances) | (self.distances < 0))
        require(not len(bad), "Poses.distances", f"{self.distances[bad[:1]]} at contact {bad[:1]}", "lengths in angstrom")
        types = len(ELEMENTS) * 8 * len(RESIDUES)
        require(bool(((self.pocket >= 0) & (self.pocket < types)).all()), "Poses.pocket", "a type that there is not", f"0 to {types - 1}")
        room = np.repeat(np.diff(self.pocket_offsets), np.diff(self.contact_offsets[self.pose_offsets]))
        outside = np.flatnonzero((self.contacts < 0).any(1) | (self.contacts[:, 1] >= room))
        require(not len(outside), "Poses.contacts", f"{self.contacts[outside[:1]].tolist()} at contact {outside[:1]}", "places of atoms")
        wrong = ~np.isin(self.active, (0, 1)) & ~np.isnan(self.active)
        require(not wrong.any(), "Poses.active", f"{self.active[wrong][:1]}", "0, 1 or NaN")

    def __len__(self):
        return len(self.smiles)

    @property
    def complex_of(self) -> np.ndarray:
        """(Q,): the complex 0..N-1 of each pose."""
        return np.repeat(np.arange(len(self)), np.diff(self.pose_offsets))

    def take(self, rows) -> Poses:
        """The complexes at these positions, with all their poses."""
        rows = np.arange(len(self))[rows]
        pose, pose_ends = ranges(self.pose_offsets, rows)
        return self._chosen(rows, pose, pose_ends)

    def first(self) -> Poses:
        """Of every complex only the pose that the docking program ranked best."""
        order = np.lexsort([self.rank, self.complex_of])
        return self._chosen(np.arange(len(self)), order[self.pose_offsets[:-1]], np.arange(len(self) + 1))

    def split(self, seed: int) -> tuple[Poses, Poses]:
        """Train and test: 80 % and 20 % of the groups, shuffled; a group is never on both sides."""
        known, group = np.unique(self.groups, return_inverse=True)
        _, test = two_parts(len(known), seed)
        held_out = np.isin(group, test)
        return self.take(np.flatnonzero(~held_out)), self.take(np.flatnonzero(held_out))

    def _chosen(self, rows, pose, pose_ends) -> Poses:
        atom, atom_ends = ranges(self.pocket_offsets, rows)
        edge, edge_ends = ranges(self.contact_offsets, pose)
        return Poses(tuple(self.smiles[i] for i in rows), tuple(self.groups[i] for i in rows), pose_ends, self.rank[pose],
                     self.energy[pose], self.rmsd[pose], atom_ends, self.pocket[atom], edge_ends, self.contacts[edge],
                     self.distances[edge], self.active[rows], tuple(self.names[i] for i in rows) if self.names else ())


def ranges(offsets: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places that these rows of a packed array have, one row after another, and the rows' new offsets (len(rows) + 1,).

    Example:
        >>> [one.tolist() for one in ranges(np.array([0, 2, 2, 5]), np.array([2, 0]))]
        [[2, 3, 4, 0, 1], [0, 3, 5]]
    """
    counts = (offsets[1:] - offsets[:-1])[rows]
    ends = np.concatenate([[0], np.cumsum(counts)])
    return np.repeat(offsets[:-1][rows] - ends[:-1], counts) + np.arange(ends[-1]), ends


def typed(element: int, aromatic: bool, donor: bool, acceptor: bool, residue: int) -> int:
    """The type of a protein atom, from its place in `ELEMENTS`, what it can do, and its residue's place in `RESIDUES`."""
    return (((element * 2 + aromatic) * 2 + donor) * 2 + acceptor) * len(RESIDUES) + residue


def traits(pocket: np.ndarray) -> np.ndarray:
    """What the types (S,) of protein atoms mean, as 0 and 1 in the order of `TRAITS`: (S, 15).

    Example:
        >>> [TRAITS[i] for i in np.flatnonzero(traits(np.array([typed(1, True, True, False, 3)]))[0])]
        ['element N', 'aromatic', 'donor', 'residue positive']
    """
    rest, residue = np.divmod(np.asarray(pocket), len(RESIDUES))
    bits = np.stack([rest // 4 % 2, rest // 2 % 2, rest % 2], 1)
    return np.concatenate([np.eye(len(ELEMENTS))[rest // 8], bits, np.eye(len(RESIDUES))[residue]], 1).astype(np.float32)


def joined(parts: list[Poses]) -> Poses:
    """Several records as one."""
    def together(name):
        values = [getattr(one, name) for one in parts]
        if name.endswith("offsets"):
            starts = np.cumsum([0] + [one[-1] for one in values])
            return np.concatenate([[0]] + [one[1:] + start for one, start in zip(values, starts[:-1], strict=True)])
        return sum(values, ()) if isinstance(values[0], tuple) else np.concatenate(values)
    return Poses(*(together(one.name) for one in fields(Poses)))


def _check_offsets(name: str, offsets: np.ndarray, rows: int, last: int, least: int = 0) -> None:
    good = offsets.shape == (rows + 1,) and offsets[0] == 0 and offsets[-1] == last and bool((np.diff(offsets) >= least).all())
    require(good, f"Poses.{name}", f"{offsets.tolist()[:4]}... to {offsets.tolist()[-1:]}, shape {offsets.shape}",
            f"({rows + 1},) rising from 0 to {last}" + ", at least one pose a complex" * least)
