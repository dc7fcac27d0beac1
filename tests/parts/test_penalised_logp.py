"""Penalised logP against hand computation from RDKit's descriptors."""

import pytest
from rdkit import Chem
from rdkit.Chem import Descriptors

from bakeoff.data.molecules import DRUGS
from bakeoff.parts.penalised_logp import penalised_logp, ring_penalty, terms


def test_known_molecules_have_the_value_computed_by_hand():
    benzene = (1.6866 - 2.47294215) / 1.41578798 - (1 - 3.04707971) / 0.83064317 + 0.03813153 / 0.22402747  # logP 1.6866, SA 1
    hexane = (2.5866 - 2.47294215) / 1.41578798 - (1.2090305 - 3.04707971) / 0.83064317 + 0.03813153 / 0.22402747
    assert penalised_logp(["c1ccccc1", "CCCCCC"]) == pytest.approx([benzene, hexane], abs=1e-6)


def test_a_ring_costs_what_it_has_above_six_atoms():
    rings = ["CCCCCC", "c1ccccc1", "C1CCCCCC1", "C1CCCCCCC1", "C1CCCCCCCCCCC1", "C1CC1C1CCCCCCC1"]
    assert [ring_penalty(Chem.MolFromSmiles(one)) for one in rings] == [0, 0, 1, 2, 6, 2]


def test_logp_is_rdkits_and_sa_lies_between_one_and_ten():
    logp, sa, ring = terms(DRUGS.values()).T
    assert logp == pytest.approx([Descriptors.MolLogP(Chem.MolFromSmiles(one)) for one in DRUGS.values()])
    assert 1 <= sa.min() < sa.max() <= 10
    assert ring.max() == 1  # diazepam, and others with seven atoms in a ring


def test_the_writing_of_a_molecule_does_not_matter():
    assert penalised_logp(["OC(=O)c1ccccc1OC(C)=O"]) == pytest.approx(penalised_logp([DRUGS["aspirin"]]))


def test_what_is_no_molecule_is_told():
    with pytest.raises(ValueError, match="'C1CC' is no readable SMILES"):
        penalised_logp(["CC", "C1CC"])
    with pytest.raises(ValueError, match="nan is no readable SMILES"):
        penalised_logp([float("nan")])
    with pytest.raises(ValueError, match="found the string 'CCO'"):
        penalised_logp("CCO")
