"""Contexts and motifs against RDKit's own counts and brute force."""

from collections import Counter

import pytest
import torch
from rdkit import Chem
from rdkit.Chem import Fragments

from bakeoff.data.molecules import drugs
from bakeoff.errors import DataError
from bakeoff.parts.contexts import asked, contexts, motif_names, motifs, vocabulary
from bakeoff.parts.molecular_graphs import featurise

DRUGS = drugs().smiles


def by_distance(smiles, radius):
    """Every atom's and bond's context, from the matrix of distances."""
    molecule = Chem.MolFromSmiles(smiles)
    away = Chem.GetDistanceMatrix(molecule)
    symbol = [atom.GetSymbol() for atom in molecule.GetAtoms()]

    def outward(distance):
        for bond in molecule.GetBonds():
            for near, far in ((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()), (bond.GetEndAtomIdx(), bond.GetBeginAtomIdx())):
                if distance[far] == distance[near] + 1 <= radius:
                    yield near, far, bond

    def told(head, words):
        return "_".join([head, *sorted(f"{word}{count}" for word, count in Counter(words).items())])

    def kind(bond):
        return f"({bond.GetBondType().name}-{bond.GetStereo().name[6:]})"

    atoms = [told(symbol[i], [f"{symbol[far]}-{bond.GetBondType().name}" for _, far, bond in outward(away[i])]) for i in range(len(symbol))]
    bonds = [told(kind(one), [f"{symbol[near]}-{kind(bond)}" for near, _, bond in outward(
        [min(a, b) for a, b in zip(away[one.GetBeginAtomIdx()], away[one.GetEndAtomIdx()], strict=True)])]) for one in molecule.GetBonds()]
    return atoms, bonds


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_contexts_equal_a_count_by_the_distance_matrix(radius):
    for smiles in (*DRUGS[:20], "F/C=C/F", "C1CC1", "C12C3C4C1C5C2C3C45", "[Na+].[Cl-]"):
        assert contexts(smiles, radius) == by_distance(smiles, radius)


def test_contexts_known_by_hand():
    assert contexts("CCO")[0] == ["C_C-SINGLE1", "C_C-SINGLE1_O-SINGLE1", "O_C-SINGLE1"]
    assert contexts("C") == (["C"], [])
    assert contexts("C/C=C/C")[1][1] == "(DOUBLE-E)_C-(SINGLE-NONE)2"


def test_rewriting_a_smiles_leaves_the_contexts():
    for smiles in (*DRUGS[:10], "F/C=C/Cl"):
        molecule = Chem.MolFromSmiles(smiles)
        for start in (0, 3):
            rewritten = Chem.MolToSmiles(molecule, rootedAtAtom=start, canonical=False)
            assert [sorted(side) for side in contexts(rewritten, 2)] == [sorted(side) for side in contexts(smiles, 2)]


def test_bonds_come_in_the_order_of_the_graphs():
    for smiles in (*DRUGS, "F/C=C/F", "[2H]C([H])O", "C[C@H](N)O"):
        pairs = [[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()] for bond in Chem.MolFromSmiles(smiles).GetBonds()]
        assert featurise([smiles]).index.T[::2].tolist() == pairs


def test_the_vocabulary_is_a_brute_force_count():
    texts = [contexts(one)[0] for one in DRUGS]
    counts = Counter(text for one in texts for text in one)
    classes = vocabulary(texts, 30)
    assert sorted(classes.values()) == list(range(1, 31))
    assert [counts[text] for text in classes] == sorted(counts.values(), reverse=True)[:30]
    assert vocabulary(reversed(texts), 30) == classes


def test_motifs_are_those_that_rdkit_counts():
    assert motif_names() == tuple(name for name, _ in Fragments.fns)
    assert len(motif_names()) == 85
    for smiles in (*DRUGS, "CC(=O)O", "[Na+].[Cl-]"):
        molecule = Chem.MolFromSmiles(smiles)
        assert motifs(smiles) == [count(molecule) > 0 for _, count in Fragments.fns]


def test_a_molecules_share_is_asked_and_the_rest_left_out():
    counts, rng = torch.tensor([7, 0, 1, 40]), torch.Generator().manual_seed(0)
    classes = torch.arange(48)
    drawn = [asked(classes, counts, rng) for _ in range(50)]
    for one in drawn:
        assert [int((part >= 0).sum()) for part in one.split(counts.tolist())] == [2, 0, 1, 6]  # ceil(0.15 n)
        assert torch.equal(one[one >= 0], classes[one >= 0])
    assert (torch.stack(drawn) >= 0).any(0).all()


def test_what_is_no_molecule_is_named():
    with pytest.raises(DataError, match="C1CC"):
        contexts("C1CC")


@pytest.mark.parametrize("wrong", [float("nan"), None, 3])
def test_what_is_no_text_has_no_context(wrong):
    for asked_of in (contexts, motifs):
        with pytest.raises(DataError, match="is no readable SMILES"):
            asked_of(wrong)
