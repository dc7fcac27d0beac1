"""Molecules as one packed graph: atoms, bonds in both directions, and to which molecule each belongs.

The features are those of chemprop 2's default set, which are those of Yang et al. (2019, arXiv:1904.01561) with fewer elements. A
one-hot code has a last place for every other value.

    atom (72): element 1..36, 53, other (38) · bonds with hydrogens counted 0..5, other (7) · charge -1, -2, 1, 2, 0, other (6) ·
        chirality: none, clockwise, anticlockwise, other kind, rarer (5) · hydrogens 0..4, other (6) ·
        hybridisation s, sp, sp2, sp2d, sp3, sp3d, sp3d2, other (8) · aromatic (1) · mass / 100 (1)
    bond (13): single, double, triple, aromatic (4; none of them: another order) · conjugated (1) · in a ring (1) ·
        stereo: none, any, Z, E, cis, trans, other (7)

What RDKit is asked is one number an atom or bond and question, kept as bytes a molecule; codes are made for the whole batch at
once, and spelled out as one-hot rows only when a network wants them. So a library's graphs take some 30 bytes an atom.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, MissingPackage
from .molecule_texts import listed

ATOM_FEATURES, BOND_FEATURES, BOND_KINDS = 72, 13, 140

ATOM_SIZES = (38, 7, 6, 5, 6, 8)  # of the one-hot codes
BOND_SIZES = (4, 1, 1, 7)
HYBRIDISATIONS = ("S", "SP", "SP2", "SP2D", "SP3", "SP3D", "SP3D2")
TYPES = (np.uint8, np.uint8, np.int8, np.uint8, np.uint8, np.float32,  # number, hydrogens, charge, chirality, hybridisation, mass
         np.uint16, np.uint16, np.float32, np.uint8, np.uint8, np.uint8)  # begin, end, order, conjugated, ring, stereo
STEREO, HYDROGEN = re.compile(r"[@/\\]"), re.compile(r"\[\d*H")  # the latter as atoms of their own
ODD = re.compile(r"\[\d*[Cc][^\]]*\+|[<>~$|]")  # a carbon that lacks electrons; bonds that take no valence, or four
ISOTOPE = re.compile(r"\[\d")
NO_METALS = bytes((1, 5, 6, 7, 8, 9, 15, 16, 17, 34, 35, 53))
OCTET = 255  # instead of a hybridisation: an atom with four pairs of electrons around it
LONE_PAIRS = {6: 0, 7: 1, 8: 2, 9: 3, 17: 3, 35: 3}  # of such elements without a charge
OCTETS = bytes(OCTET if number in LONE_PAIRS else 0 for number in range(256))


@dataclass(frozen=True)
class Graphs:
    """M molecules with N atoms and E directed bonds in all; a bond's two directions follow each other.

    Args:
        atom_codes: (N, 7) uint8; the place in each one-hot code, then whether aromatic.
        mass: (N,) in dalton.
        bond_codes: (E, 4) uint8; order, conjugated, in a ring, stereo.
        index: (2, E); the atom that each directed bond leaves, and the one it enters.
        atom_counts: (M,) atoms of each molecule.
        bond_counts: (M,) directed bonds of each molecule.

    Example:
        >>> both = featurise(["CCO", "C"])
        >>> both.index.tolist(), both.reverse.tolist(), both.molecule.tolist()
        ([[0, 1, 1, 2], [1, 0, 2, 1]], [1, 0, 3, 2], [0, 0, 0, 1])
        >>> both.atoms.shape, both.bonds.shape, len(both.take([1, 0, 1]))
        (torch.Size([4, 72]), torch.Size([4, 13]), 3)
    """

    atom_codes: Tensor
    mass: Tensor
    bond_codes: Tensor
    index: Tensor
    atom_counts: Tensor
    bond_counts: Tensor

    def __len__(self):
        return len(self.atom_counts)

    @cached_property
    def atoms(self) -> Tensor:
        """Features of the atoms, (N, 72) float."""
        found = _one_hot(self.atom_codes[:, :6], ATOM_SIZES, more=2)
        found[:, -2], found[:, -1] = self.atom_codes[:, 6], self.mass / 100
        return found

    @cached_property
    def bonds(self) -> Tensor:
        """Features of the directed bonds, (E, 13) float."""
        return _bond_table()[self.bond_kind]

    @cached_property
    def atom_kind(self) -> Tensor:
        """(N,) int64, below 2^52: equal for atoms of equal features, and only for them."""
        return (_number(self.atom_codes, (*ATOM_SIZES, 2)) << 32) + self.mass.view(torch.int32)

    @cached_property
    def bond_kind(self) -> Tensor:
        """(E,) in 0..139: equal for bonds of equal features, and only for them."""
        return _number(self.bond_codes, (5, 2, 2, 7))

    @cached_property
    def reverse(self) -> Tensor:
        """(E,): for each directed bond the one that runs the other way."""
        return torch.arange(self.index.shape[1]) ^ 1

    @cached_property
    def molecule(self) -> Tensor:
        """(N,): the molecule 0..M-1 of each atom."""
        return torch.repeat_interleave(self.atom_counts)

    def take(self, rows) -> Graphs:
        """The molecules at these positions (list, array or tensor of whole numbers), in this order; nothing is read again."""
        rows = torch.as_tensor(rows)
        atoms, bonds = self.atom_counts[rows], self.bond_counts[rows]
        atom_shift, bond_shift = self._starts[0][rows] - _starts(atoms), self._starts[1][rows] - _starts(bonds)
        atom = torch.repeat_interleave(atom_shift, atoms).add_(torch.arange(int(atoms.sum())))
        bond = torch.repeat_interleave(bond_shift, bonds).add_(torch.arange(int(bonds.sum())))
        index = self.index[:, bond] - torch.repeat_interleave(atom_shift, bonds)
        return Graphs(self.atom_codes[atom], self.mass[atom], self.bond_codes[bond], index, atoms, bonds)

    @cached_property
    def _starts(self) -> tuple[Tensor, Tensor]:
        return _starts(self.atom_counts), _starts(self.bond_counts)


def featurise(smiles: Sequence[str], rows: Sequence[int] | None = None) -> Graphs:
    """The graphs of molecules, hydrogens left implicit. SMILES met before are not read again.

    Args:
        smiles: readable SMILES; several unbonded parts make one molecule.
        rows: positions of the M that are wanted; all by default.

    Returns:
        One packed batch, its atoms in the order of each SMILES.

    Raises:
        DataError: a SMILES that RDKit does not read, or without an atom.
        ValueError: one text instead of a list of them.
        MissingPackage: RDKit is not installed.

    Example:
        >>> benzene = featurise(["c1ccccc1"])
        >>> benzene.atom_codes[:, 0].tolist(), int(benzene.atoms[:, 70].sum())  # places count from hydrogen, 0; all six are aromatic
        ([5, 5, 5, 5, 5, 5], 6)
    """
    smiles = listed(smiles)
    rows = range(len(smiles)) if rows is None else rows
    with _rdkit().rdBase.BlockLogs():
        read = [_read(smiles[row]) if isinstance(smiles[row], str) else None for row in rows]
    for row, one in zip(rows, read, strict=True):
        if one is None:
            raise DataError(f"molecule {row}: {smiles[row]!r} is no readable SMILES with an atom", "Leave it out, or correct it.")
    columns = zip(TYPES, list(zip(*read, strict=True)) or [()] * len(TYPES), strict=True)
    atoms, bonds = (np.array([len(one[place]) for one in read], np.int64) for place in (0, -1))  # of each molecule
    return _packed(atoms, bonds, *(np.frombuffer(b"".join(column), dtype) for dtype, column in columns))


@lru_cache(maxsize=50_000)
def _read(text: str) -> tuple[bytes, ...] | None:
    """What RDKit says of a molecule's atoms and bonds, a column a question, in the number types of `TYPES`."""
    Chem = _rdkit().Chem
    Atom, Bond = Chem.Atom, Chem.Bond
    molecule = _parsed(Chem, text)
    if molecule is None or not molecule.GetNumAtoms():
        return None
    atoms, bonds = _all_of(Chem, molecule)
    numbers = bytes(map(Atom.GetAtomicNum, atoms))
    plain = not ODD.search(text) and not numbers.translate(None, NO_METALS) and not (
        "[" in text and any(map(Atom.GetNumRadicalElectrons, atoms)))
    return (
        numbers, bytes(map(Atom.GetTotalNumHs, atoms)), array("b", map(Atom.GetFormalCharge, atoms)).tobytes(),
        bytes(map(Atom.GetChiralTag, atoms)) if "@" in text else bytes(len(atoms)), _hybridisations(Atom, atoms, numbers, plain),
        array("f", map(Atom.GetMass, atoms)).tobytes() if ISOTOPE.search(text) else _masses()[np.frombuffer(numbers, np.uint8)].tobytes(),
        array("H", map(Bond.GetBeginAtomIdx, bonds)).tobytes(), array("H", map(Bond.GetEndAtomIdx, bonds)).tobytes(),
        _orders(Chem, bonds, plain), bytes(map(Bond.GetIsConjugated, bonds)),
        bytes(map(Bond.IsInRing, bonds)), bytes(map(Bond.GetStereo, bonds)) if "/" in text or "\\" in text else bytes(len(bonds)))


def _parsed(Chem, text: str):
    """The molecule, or None. Looking for stereo takes a third of RDKit's time, and for hydrogens as much: only where some are written."""
    if HYDROGEN.search(text):
        return Chem.MolFromSmiles(text)
    if STEREO.search(text):
        return Chem.MolFromSmiles(text, _keeping())
    molecule = Chem.MolFromSmiles(text, sanitize=False)
    if molecule is None or Chem.SanitizeMol(molecule, catchErrors=True):
        return None
    return molecule


def _all_of(Chem, molecule) -> tuple[tuple, tuple]:
    """Its atoms and its bonds. A stereo group hands out what it was given in one call, twice as fast as one call for each."""
    atoms, bonds = list(range(molecule.GetNumAtoms())), list(range(molecule.GetNumBonds()))
    group = Chem.CreateStereoGroup(Chem.StereoGroupType.STEREO_ABSOLUTE, molecule, atoms, bonds)
    return group.GetAtoms(), group.GetBonds()


def _hybridisations(Atom, atoms, numbers: bytes, plain: bool) -> bytes:
    """RDKit's numbers, and OCTET where those follow from degree, charge and conjugation (`_hybridised`): asking RDKit is slow."""
    if not plain:
        return bytes(map(Atom.GetHybridization, atoms))
    kinds = bytearray(numbers.translate(OCTETS))
    for place, kind in enumerate(kinds):
        if not kind:
            kinds[place] = Atom.GetHybridization(atoms[place])
    return bytes(kinds)


def _orders(Chem, bonds, plain: bool) -> bytes:
    """Of the bonds, 0 for a dative one, which RDKit counts as single."""
    orders = map(Chem.Bond.GetBondTypeAsDouble, bonds)
    if not plain:
        orders = [order * (Chem.Bond.GetBondType(bond) != Chem.BondType.DATIVE) for order, bond in zip(orders, bonds, strict=True)]
    return array("f", orders).tobytes()


def _packed(atoms, bonds, numbers, hydrogens, charges, chirality, hybridisation, mass,
            begin, end, order, conjugated, ring, stereo) -> Graphs:
    shift = np.repeat(np.cumsum(atoms) - atoms, bonds)  # (B,)
    pairs = np.stack([begin + shift, end + shift], 1)  # (B, 2)
    index = np.stack([pairs.ravel(), pairs[:, ::-1].ravel()])  # (2, E)
    aromatic = np.zeros(len(numbers), np.uint8)
    aromatic[pairs[order == 1.5]] = 1
    degree = np.bincount(index[0], minlength=len(numbers)) + hydrogens
    tables = _tables()
    kind = np.where(hybridisation == OCTET, _hybridised(numbers, degree, charges, pairs[conjugated == 1]),
                    tables["hybridisation"][hybridisation])
    codes = np.stack([tables["element"][numbers], np.minimum(degree, 6), tables["charge"][charges.astype(int) + 128],
                      np.minimum(chirality, 4), np.minimum(hydrogens, 5), kind, aromatic], 1)
    bond_codes = np.stack([tables["order"][(2 * order).astype(np.uint8)], conjugated, ring, np.minimum(stereo, 6)], 1)
    return Graphs(*(torch.from_numpy(one) for one in (
        codes.astype(np.uint8), np.array(mass), bond_codes.astype(np.uint8).repeat(2, 0), index, atoms, 2 * bonds)))


def _hybridised(numbers, degree, charges, conjugated) -> np.ndarray:
    """The places (N,) of hybridisations of atoms with an octet: neighbours and lone pairs have an orbital each, and where they
    are four, a conjugated bond takes one of them out."""
    orbitals = degree + _tables()["lone pairs"][numbers] - charges  # (N,)
    flat = np.zeros(len(numbers), bool)
    flat[conjugated] = True
    return _tables()["orbitals"][np.where(flat & (orbitals == 4), 3, orbitals.clip(0, 6))]


def _one_hot(codes: Tensor, sizes: Sequence[int], more: int = 0) -> Tensor:
    """Places (N, C) in codes of these sizes, spelled out side by side, and room for more: (N, sum of sizes + more)."""
    first = torch.tensor(sizes).cumsum(0) - torch.tensor(sizes)
    return torch.zeros(len(codes), sum(sizes) + more).scatter_(1, codes.long() + first, 1.0)


def _number(codes: Tensor, sizes: Sequence[int]) -> Tensor:
    """Codes (N, C) as one number a row, as of digits: (N,)."""
    return codes.long() @ torch.tensor([math.prod(sizes[place + 1:]) for place in range(len(sizes))])


def _starts(counts: Tensor) -> Tensor:
    return counts.cumsum(0) - counts


@cache
def _bond_table() -> Tensor:
    """The features of every bond there can be, (5 orders x 2 x 2 x 7 stereo, 13)."""
    order, conjugated, ring, stereo = torch.cartesian_prod(*(torch.arange(n) for n in (5, 2, 2, 7))).T
    hot = _one_hot(torch.stack([order, stereo], 1), (5, 7))  # (140, 12)
    return torch.cat([hot[:, :4], torch.stack([conjugated, ring], 1), hot[:, 5:]], 1)


@cache
def _tables() -> dict[str, np.ndarray]:
    """From RDKit's numbers to places in the codes."""
    element, charge, hybridisation, order = np.full(256, 37), np.full(256, 5), np.full(256, 7), np.full(256, 4)
    element[1:37], element[53] = np.arange(36), 36
    charge[128 + np.array([-1, -2, 1, 2, 0])] = np.arange(5)
    kinds = _rdkit().Chem.HybridizationType
    hybridisation[[int(getattr(kinds, name)) for name in HYBRIDISATIONS]] = np.arange(7)
    order[[2, 4, 6, 3]] = np.arange(4)  # twice the order: an aromatic bond counts 1.5
    pairs = np.zeros(256, np.int64)
    pairs[list(LONE_PAIRS)] = list(LONE_PAIRS.values())
    orbitals = np.array([HYBRIDISATIONS.index(name) for name in ("S", "S", "SP", "SP2", "SP3", "SP3D", "SP3D2")])  # by their number
    return {"element": element, "charge": charge, "hybridisation": hybridisation, "order": order, "orbitals": orbitals, "lone pairs": pairs}


@cache
def _keeping():
    """How to read SMILES without looking for hydrogens to take away."""
    params = _rdkit().Chem.SmilesParserParams()
    params.removeHs = False
    return params


@cache
def _masses() -> np.ndarray:
    """Mean mass of each element, by its number."""
    table = _rdkit().Chem.GetPeriodicTable()
    return np.array([table.GetAtomicWeight(number) for number in range(119)], np.float32)


@cache
def _rdkit():
    try:
        import rdkit.Chem
        import rdkit.rdBase
    except ImportError:
        raise MissingPackage("rdkit", "molecules") from None
    return rdkit
