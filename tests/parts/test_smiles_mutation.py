"""Mutation of SMILES: edits by hand, and that only molecules come out."""

import pytest
import torch
from rdkit import Chem

from bakeoff.data.molecules import drugs
from bakeoff.parts.smiles_mutation import edited, mutate_smiles


def rows(written, piece, times=300):
    rng = torch.Generator().manual_seed(0)
    return {"".join(edited(list(written), piece, rng)) for _ in range(times)}


def test_a_piece_goes_in_or_over_one_a_pair_goes_in_at_two_places_and_a_part_may_go():
    assert rows("CN", ("O",)) == {"OCN", "CON", "CNO", "ON", "CO", "CN", "C", "N", ""}
    assert rows("CN", ("9", "9")) == {"99CN", "9C9N", "9CN9", "C99N", "C9N9", "CN99", "CN", "C", "N", ""}
    assert rows("CN", ("(", ")")) == {"()CN", "(C)N", "(CN)", "C()N", "C(N)", "CN()", "CN", "C", "N", ""}


@pytest.mark.parametrize("longest", [12, 60])
def test_every_mutant_is_a_molecule_within_the_length(longest):
    rng = torch.Generator().manual_seed(1)
    text, seen = "C", set()
    for _ in range(400):
        text, smiles = mutate_smiles(text, longest, rng)
        assert text == smiles == Chem.MolToSmiles(Chem.MolFromSmiles(smiles))
        assert 0 < len(smiles) <= longest
        assert "." not in smiles
        seen.add(smiles)
    assert len(seen) > 100


def test_rings_branches_and_double_bonds_can_come_and_go():
    rng = torch.Generator().manual_seed(2)
    of_chain = {mutate_smiles("CCCCC", 81, rng)[1] for _ in range(1500)}
    assert {"C1CCCC1", "CCC(C)C", "C=CCCC", "CCCC", "CCCCCC", "CC"} <= of_chain
    of_ring = {mutate_smiles("C1CCCC1", 81, rng)[1] for _ in range(1500)}
    assert {"C1CCC1", "C1CCCCC1", "CC1CCCC1", "C1CCNC1"} <= of_ring


def test_medicines_mutate_with_their_charges_and_two_letter_elements():
    rng = torch.Generator().manual_seed(3)
    for one in drugs().smiles:
        assert len(mutate_smiles(one, 120, rng)[1]) <= 120
