"""SMILES cut into tokens: nothing is lost, and atoms stay whole."""

import numpy as np
import pytest
import torch

from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.data.molecules import drugs
from bakeoff.parts.smiles_tokens import BEGIN, END, MASK, PAD, REP, SPECIAL, UNKNOWN, SmilesVocabulary, tokens, with_gaps


def test_a_thousand_molecules_of_zinc_come_back_from_their_numbers():
    smiles = sets.load(Source("zinc"), "molecules").smiles[:1000]
    vocabulary = SmilesVocabulary.of(smiles)
    assert vocabulary.smiles(vocabulary.numbers(smiles, longest=200)) == list(smiles)
    assert all("".join(tokens(one)) == one for one in smiles)


def test_there_is_one_token_for_each_atom():
    from rdkit import Chem
    for smiles in drugs().smiles:
        atoms = [one for one in tokens(smiles) if one[0] == "[" or one[0].isalpha()]
        assert len(atoms) == Chem.MolFromSmiles(smiles).GetNumAtoms()


def test_brackets_two_letter_elements_and_two_digit_rings_are_whole():
    assert tokens("[nH]1c([13C@@H](Cl)Br)cc%12c1C%12[Na+].[*]") == [
        "[nH]", "1", "c", "(", "[13C@@H]", "(", "Cl", ")", "Br", ")", "c", "c", "%12", "c", "1", "C", "%12", "[Na+]", ".", "[*]"]


def test_numbers_frame_the_molecule_pad_it_and_cut_it():
    vocabulary = SmilesVocabulary(("C", "O"))
    c, o = len(SPECIAL), len(SPECIAL) + 1
    assert np.array_equal(vocabulary.numbers(["CO", "CNCC"], longest=6), [[REP, BEGIN, c, o, END, PAD], [REP, BEGIN, c, UNKNOWN, c, c]])


@pytest.mark.parametrize(("text", "place"), [("CC?", 3), ("C[NH", 2), ("CXl", 2), (" C", 1), ("Cu", 2), ("", 1)])
def test_what_is_no_smiles_is_refused_with_its_place(text, place):
    with pytest.raises(ValueError, match=f"at character {place}$"):
        tokens(text)


def test_gaps_are_masked_replaced_and_left_in_the_shares_of_bert():
    numbers = torch.randint(UNKNOWN, 40, (500, 400), generator=torch.Generator().manual_seed(1))
    numbers[:, 0], numbers[:, -50:] = REP, PAD
    seen, chosen = with_gaps(numbers, 40, 0.15, torch.Generator().manual_seed(0))
    open_to_choice = (numbers >= UNKNOWN)
    assert not chosen[~open_to_choice].any()
    assert torch.equal(seen[~chosen], numbers[~chosen])
    assert chosen[open_to_choice].double().mean().item() == pytest.approx(0.15, abs=0.004)
    masked, same = seen[chosen] == MASK, seen[chosen] == numbers[chosen]
    assert masked.double().mean().item() == pytest.approx(0.8, abs=0.01)
    assert same.double().mean().item() == pytest.approx(0.1 + 0.1 / 34, abs=0.01)  # a random token may be the true one
    assert seen[chosen & (seen != MASK)].min() >= UNKNOWN


def test_what_rdkit_writes_of_metals_comes_back_with_arrows_as_one_token():
    from rdkit import Chem
    for smiles in ("[NH3]->[Pt](<-[NH3])(Cl)Cl", "C1C[NH2]->[Pt+2]<-[NH2]1", "c1cccc[n]1->[Zn+2]", "O=C1O[Pt]2(OC1=O)NCCN2->[Zn]"):
        written = Chem.MolToSmiles(Chem.MolFromSmiles(smiles, sanitize=False))
        assert "".join(tokens(written)) == written
        assert {"->", "<-"} & set(tokens(written))
    assert tokens("[NH3]->[Pt]<-N") == ["[NH3]", "->", "[Pt]", "<-", "N"]


def test_one_string_in_place_of_a_list_is_refused():
    for asked in (SmilesVocabulary.of, lambda one: SmilesVocabulary(("C", "O")).numbers(one, 9)):
        with pytest.raises(ValueError, match="found the string 'CCO'; expected a list of SMILES"):
            asked("CCO")
