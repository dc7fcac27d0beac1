"""Molecular graphs against what RDKit says of each molecule, atom by atom and bond by bond."""

import numpy as np
import pytest
import torch
from rdkit import Chem

from bakeoff.data.molecules import drugs
from bakeoff.errors import DataError
from bakeoff.parts.molecular_graphs import HYBRIDISATIONS, Graphs, featurise

ODD = ("C", "[Na+].[Cl-]", "[2H]C([2H])([2H])O", "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "F/C=C/F", "F/C=C\\F", "CN(=O)=O", "c1cc[nH]c1",
       "[U]", "FS(F)(F)(F)(F)F", "[H][H]", "C#N", "[NH4+]", "CP(Cl)(Cl)(Cl)Cl", "*C", "[CH3]", "C1CC1.c1ccccc1", "[Fe+2]", "[13CH4]",
       "[H]OC",
       # carbons of fewer than four valences, of dative bonds, and those whose neighbours do not tell their hybridisation
       "[CH2]C", "C[CH]C", "C[C]C", "[CH3+]", "[CH2-]C=C", "[C-]#[O+]", "C[C@](F)Cl", "CC |^1:0|", "C[Fe]C", "C=C=C", "C$C",
       "CC1(C)=C(C)(C)[Fe]1", "N->[Pt](Cl)(Cl)<-N", "C[N+]#[C-]", "[cH-]1cccc1", "C1CCCC=CC1", "C/C=C/[C@H](F)Cl",
       # lone pairs beside conjugated bonds, and of atoms with a charge, without an octet or with more than one
       "CNC=O", "COC=C", "CS(=O)(=O)N", "C[S+](C)[O-]", "CN=[N+]=[N-]", "NC(N)=[NH2+]", "[N-]1C=CC=C1", "c1cc[o+]cc1", "C=[O+]C",
       "CN(C)(C)=O", "C[N+]C", "[O-]C", "[OH-]", "[O]C", "C[NH]", "O=Cl(=O)(=O)O", "C[Cl+]C", "FC=C", "CI=O", "Cl[I-]Cl", "OB(O)C=C",
       "C[CH2+]", "C[N+](C)(C)C")
SMILES = (*drugs().smiles, *ODD)


def hot(value, choices) -> list[float]:
    return [float(value == one) for one in choices] + [float(value not in choices)]


def atom_features(atom) -> list[float]:
    """One atom, asked question by question."""
    return [*hot(atom.GetAtomicNum(), [*range(1, 37), 53]), *hot(atom.GetTotalDegree(), range(6)),
            *hot(atom.GetFormalCharge(), [-1, -2, 1, 2, 0]), *hot(int(atom.GetChiralTag()), range(4)), *hot(atom.GetTotalNumHs(), range(5)),
            *hot(str(atom.GetHybridization()), HYBRIDISATIONS), float(atom.GetIsAromatic()), atom.GetMass() / 100]


def bond_features(bond) -> list[float]:
    kinds = [Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.AROMATIC]
    return [*(float(bond.GetBondType() == kind) for kind in kinds), float(bond.GetIsConjugated()), float(bond.IsInRing()),
            *hot(int(bond.GetStereo()), range(6))]


def same(one: Graphs, other: Graphs) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("atoms", "bonds", "index", "molecule", "reverse"))


def test_every_feature_is_what_rdkit_says_of_the_molecule_read_in_the_usual_way():
    molecules = [Chem.MolFromSmiles(one) for one in SMILES]
    graphs = featurise(SMILES)
    atoms = [atom_features(atom) for one in molecules for atom in one.GetAtoms()]
    bonds = [bond_features(bond) for one in molecules for bond in one.GetBonds() for _ in range(2)]
    assert torch.allclose(graphs.atoms, torch.tensor(atoms), atol=1e-6)
    assert torch.equal(graphs.bonds, torch.tensor(bonds))
    assert graphs.atom_counts.tolist() == [one.GetNumAtoms() for one in molecules]
    assert graphs.bond_counts.tolist() == [2 * one.GetNumBonds() for one in molecules]


def test_the_directed_bonds_are_those_of_rdkit_and_stay_inside_their_molecule():
    graphs, first = featurise(SMILES), 0
    ends = []
    for smiles in SMILES:
        molecule = Chem.MolFromSmiles(smiles)
        ends += [pair for bond in molecule.GetBonds() for pair in (
            (first + bond.GetBeginAtomIdx(), first + bond.GetEndAtomIdx()), (first + bond.GetEndAtomIdx(), first + bond.GetBeginAtomIdx()))]
        first += molecule.GetNumAtoms()
    assert graphs.index.T.tolist() == [list(pair) for pair in ends]
    assert torch.equal(*graphs.molecule[graphs.index])


def test_the_reverse_of_the_reverse_is_the_bond_itself_and_runs_the_other_way():
    graphs = featurise(SMILES)
    assert torch.equal(graphs.reverse[graphs.reverse], torch.arange(len(graphs.reverse)))
    assert torch.equal(graphs.index[:, graphs.reverse], graphs.index.flip(0))
    assert torch.equal(graphs.bonds[graphs.reverse], graphs.bonds)


def test_a_packed_batch_of_two_is_the_two_single_ones_side_by_side():
    for pair in (("CCO", "c1ccccc1N"), ("[Na+]", "CC"), ("F/C=C/F", "[Na+]")):
        both, (one, other) = featurise(pair), (featurise([text]) for text in pair)
        assert torch.equal(both.atoms, torch.cat([one.atoms, other.atoms]))
        assert torch.equal(both.bonds, torch.cat([one.bonds, other.bonds]))
        assert torch.equal(both.index, torch.cat([one.index, other.index + len(one.atoms)], 1))
        assert both.molecule.tolist() == [0] * len(one.atoms) + [1] * len(other.atoms)


@pytest.mark.parametrize("rows", [[3, 0, 3, 7], np.arange(20)[::-1].copy(), torch.tensor([9]), []])
def test_molecules_taken_are_those_featurised_alone_in_that_order(rows):
    taken = featurise(SMILES).take(torch.as_tensor(rows, dtype=torch.long))
    assert same(taken, featurise([SMILES[int(row)] for row in rows]))
    assert len(taken) == len(rows)


def test_atoms_and_bonds_have_one_number_exactly_where_their_features_are_the_same():
    graphs = featurise(SMILES)
    for features, kinds in ((graphs.atoms, graphs.atom_kind), (graphs.bonds, graphs.bond_kind)):
        assert len(features.unique(dim=0)) == len(kinds.unique()) == len(torch.cat([features, kinds[:, None].float()], 1).unique(dim=0))


def test_an_unreadable_smiles_is_named_with_its_place():
    for wrong in ("C1CC", "CC(C)(C)(C)C", "", "c1cccc1"):
        with pytest.raises(DataError, match="molecule 1"):
            featurise(["CCO", wrong])


def test_what_is_no_text_is_named_with_its_place_and_one_text_is_no_list():
    for wrong in (float("nan"), None, 3, ["C"]):
        with pytest.raises(DataError, match=r"molecule 1: .* is no readable SMILES"):
            featurise(["CCO", wrong])
    with pytest.raises(ValueError, match="found the string 'CCO'; expected a list of SMILES"):
        featurise("CCO")


def test_of_a_list_only_the_rows_asked_for_are_read_and_they_keep_their_names():
    assert same(featurise(["C1CC", "CCO", "N"], [2, 1]), featurise(["N", "CCO"]))
    assert same(featurise(one for one in ("N", "CCO")), featurise(["N", "CCO"]))
    with pytest.raises(DataError, match="molecule 2: 'C1CC'"):
        featurise(["N", "CCO", "C1CC"], np.array([1, 2]))
