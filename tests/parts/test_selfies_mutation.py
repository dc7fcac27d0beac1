"""Mutation of SELFIES: one change at a time, as often one as the other, always a molecule."""

import numpy as np
import pytest
import torch
from rdkit import Chem

from bakeoff.data.molecules import drugs
from bakeoff.parts.selfies_mutation import ALPHABET, BENZENE, decoded, encoded, mutate_selfies


def test_a_mutation_changes_one_place_and_gives_a_molecule_within_the_length():
    rng = torch.Generator().manual_seed(0)
    symbols = BENZENE
    assert decoded(symbols) == "c1ccccc1"
    for _ in range(300):
        mutant, smiles = mutate_selfies(symbols, 20, rng)
        assert len(smiles) <= 20
        assert Chem.MolToSmiles(Chem.MolFromSmiles(smiles)) != ""
        assert len(mutant) - len(symbols) in (0, 1, 7, 8)  # a symbol or a benzene ring, in the place of one or beside
        same = next((i for i, (a, b) in enumerate(zip(symbols, mutant, strict=False)) if a != b), len(symbols))
        assert any(mutant[len(mutant) - tail:] == symbols[len(symbols) - tail:] for tail in (len(symbols) - same, len(symbols) - same - 1))
        symbols = mutant


def test_symbols_are_put_in_as_often_as_over_another_and_every_one_is_drawn():
    rng = torch.Generator().manual_seed(0)
    mutants = [mutate_selfies(("[C]",) * 6, 81, rng)[0] for _ in range(400)]
    assert np.isin([len(one) - 6 for one in mutants], (1, 8)).mean() == pytest.approx(0.5, abs=0.08)
    assert len(ALPHABET) == 21
    assert {symbol for one in mutants for symbol in one} == {symbol for piece in ALPHABET for symbol in piece}


def test_a_molecule_is_the_same_after_writing_it_in_selfies():
    for one in drugs().smiles[:30]:
        assert decoded(encoded(one)) == Chem.MolToSmiles(Chem.MolFromSmiles(one))


def test_a_smiles_may_be_where_it_starts():
    first, second = (mutate_selfies(start, 81, torch.Generator().manual_seed(5)) for start in ("CCO", ("[C]", "[C]", "[O]")))
    assert first == second
