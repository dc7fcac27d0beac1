"""What a molecule is made of, in 51 numbers: the descriptors from which the discriminator of Nigam et al. (2020, arXiv:1909.11655) judges.

RDKit's counts of rings, hetero and hydrogen-bonding atoms (13); two indices of shape; radical and valence electrons; atoms, hydrogens
and six elements for each carbon; shares of bond orders (4); ring systems, triple bonds in rings, atoms with two double bonds in a ring
and anywhere; rings of 3 to 20 atoms (18).
"""

from __future__ import annotations

import numpy as np

from .molecule_texts import readable

CALCULATED = ("Rings", "AliphaticCarbocycles", "AliphaticHeterocycles", "AliphaticRings", "AromaticCarbocycles", "AromaticHeterocycles",
              "AromaticRings", "SaturatedCarbocycles", "SaturatedHeterocycles", "SaturatedRings", "Heteroatoms", "HBA", "HBD")
ELEMENTS = (7, 16, 8, 17, 35, 9)
BONDS = (1.0, 2.0, 3.0, 1.5)  # single, double, triple, aromatic
RING_SIZES = range(3, 21)
DESCRIPTORS = len(CALCULATED) + 4 + 2 + len(ELEMENTS) + len(BONDS) + 4 + len(RING_SIZES)


def descriptors(smiles: str) -> list[float]:
    """The 51 numbers of a readable SMILES.

    Raises:
        ValueError: RDKit cannot read it.
        MissingPackage: RDKit is not installed.

    Example:
        >>> numbers = descriptors("c1ccccc1O")
        >>> len(numbers), numbers[0], numbers[-15]  # one ring, of six atoms
        (51, 1.0, 1.0)
    """
    molecule = readable(smiles)
    from rdkit.Chem import GetAdjacencyMatrix, GetFormalCharge, GetPeriodicTable, GraphDescriptors, rdMolDescriptors
    outer = GetPeriodicTable().GetNOuterElecs
    atoms = [(atom.GetAtomicNum(), atom.GetNumRadicalElectrons()) for atom in molecule.GetAtoms()]
    elements, count = [element for element, _ in atoms], len(atoms)
    hydrogens = molecule.GetNumAtoms(onlyExplicit=False) - count
    orders = GetAdjacencyMatrix(molecule, useBO=True)  # (count, count)
    rings = molecule.GetRingInfo()
    ring_atoms, ring_bonds = ({place for ring in part for place in ring} for part in (rings.AtomRings(), rings.BondRings()))
    sizes, adjacent = [len(ring) for ring in rings.AtomRings()], np.flatnonzero((orders == 2).sum(0) > 1)
    outside = molecule.GetNumBonds() - len(ring_bonds), count - len(ring_atoms)  # bonds, and atoms, in no ring
    numbers = [
        *(getattr(rdMolDescriptors, f"CalcNum{name}")(molecule) for name in CALCULATED),
        rdMolDescriptors.CalcHallKierAlpha(molecule), GraphDescriptors.BalabanJ(molecule),
        sum(radical for _, radical in atoms), sum(map(outer, elements)) + hydrogens - GetFormalCharge(molecule),
        *(number / max(elements.count(6), 1) for number in (count, hydrogens, *map(elements.count, ELEMENTS))),
        *((orders == order).sum() / 2 / max(molecule.GetNumBonds(), 1) for order in BONDS),
        outside[0] - outside[1] + 1,  # ring systems: with the atoms outside, joined by the bonds outside to one tree
        sum(molecule.GetBondWithIdx(bond).GetBondTypeAsDouble() == 3 for bond in ring_bonds),
        sum(place in ring_atoms for place in adjacent.tolist()), len(adjacent),
        *map(sizes.count, RING_SIZES)]
    return [float(number) for number in numbers]
