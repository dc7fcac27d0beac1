"""The 51 descriptors against RDKit's own and counts by hand."""

import pytest
from rdkit import Chem
from rdkit.Chem import Descriptors

from bakeoff.data.molecules import drugs
from bakeoff.parts.molecule_descriptors import descriptors


def test_descriptors_are_those_of_rdkit_and_counts_by_hand():
    for smiles in drugs().smiles[::3]:
        molecule, found = Chem.MolFromSmiles(smiles), descriptors(smiles)
        assert found[0] == Descriptors.RingCount(molecule)
        assert found[14:17] == pytest.approx([Descriptors.BalabanJ(molecule), 0, Descriptors.NumValenceElectrons(molecule)])
    assert descriptors("C1CC1CC=C=CC1CCC2CC2C1")[29:35] == [2, 0, 0, 1, 2, 0]  # systems, triples in rings, adjacent doubles, 3-, 4-rings
    assert descriptors("C")[17:19] == [1, 4]  # atoms and hydrogens a carbon


def test_bonds_are_shared_out_by_order():
    assert descriptors("CC=CC#C")[25:29] == [0.5, 0.25, 0.25, 0]
    assert descriptors("c1ccccc1C")[25:29] == pytest.approx([1 / 7, 0, 0, 6 / 7])
    assert descriptors("C1CCCCCCC#C1")[30] == 1  # a triple bond in a ring
    assert descriptors("C1=C=CCCCCC1")[31:33] == [1, 1]  # adjacent double bonds in a ring
    assert descriptors("[CH2]C")[15] == 1  # an unpaired electron


def test_a_molecule_has_51_that_do_not_depend_on_its_writing():
    assert descriptors("OC(=O)c1ccccc1OC(C)=O") == pytest.approx(descriptors("CC(=O)Oc1ccccc1C(=O)O"))
    assert len(descriptors("C")) == 51
