"""DeepDTA: what its branches can and cannot see, padding that counts for nothing, and a law that it learns."""

import numpy as np
import pytest
import torch

from bakeoff.baselines.deepdta import DeepDTA
from bakeoff.errors import NotFitted
from bakeoff.parts.protein_convolution import residues

DRUGS = ("CCO", "CC(=O)N", "c1ccccc1Cl", "OCCN", "CCCCCC", "NC(=O)c1ccccc1")
PROTEINS = tuple("".join(np.random.default_rng(seed).choice(list("ACDEFGHIKLMNPQRSTVWY"), 20 + 7 * seed)) for seed in range(5))
PAIRS = np.argwhere(np.ones((6, 5)))
VALUES = np.add.outer([5.0, 6.0, 8.0, 5.5, 4.0, 7.0], [0.0, 1.0, -1.0, 0.5, 2.0]).ravel()
TINY = {"width": 8, "filters": (6, 8, 10), "drug_kernel": 2, "protein_kernel": 4, "head": (24, 16), "dropout": 0.0, "learning_rate": 3e-3,
        "block": 4}


@pytest.fixture(scope="module")
def model():
    return DeepDTA(**TINY).fit(DRUGS, PROTEINS, PAIRS, VALUES, steps=300)


def test_it_learns_the_pairs_that_it_has_seen_and_says_the_same_when_fitted_again(model):
    wrong = model.predict(DRUGS, PROTEINS, PAIRS) - VALUES
    assert np.square(wrong).mean() < 0.05 * VALUES.var()
    model = DeepDTA(**TINY)
    once, twice = (model.fit(DRUGS, PROTEINS, PAIRS, VALUES, steps=3).predict(DRUGS, PROTEINS, PAIRS) for _ in range(2))
    assert np.array_equal(once, twice)


def test_the_answer_is_the_dense_layers_on_both_maxima_in_the_unit_learnt(model):
    network = model._network
    with torch.no_grad():
        h = network.drug(torch.tensor(model._vocabulary.numbers(DRUGS[2:3], 100)))
        x = torch.cat([h, network.protein(residues(PROTEINS[1:2], 1000))], 1)
        for linear in (network.dense[0], network.dense[3]):
            x = (x @ linear.weight.T + linear.bias).clamp(min=0)
        expected = (x @ network.dense[-2].weight.T + network.dense[-2].bias).item() * VALUES.std() + VALUES.mean()
    assert model.predict(DRUGS, PROTEINS, [[2, 1]])[0] == pytest.approx(expected, abs=1e-4)


def test_neither_the_company_of_a_pair_nor_what_is_cut_off_changes_its_affinity(model):
    together = model.predict(DRUGS, PROTEINS, PAIRS)
    alone = [model.predict([DRUGS[drug]], [PROTEINS[protein]], [[0, 0]])[0] for drug, protein in PAIRS]
    assert np.allclose(together, alone, atol=1e-4)
    short = DeepDTA(**TINY, longest_drug=9, longest_protein=15).fit(DRUGS, PROTEINS, PAIRS, VALUES, steps=5)
    one, other = (short.predict([f"CCCCCCC{end}"], ["MKKFFDSRREQGGSG" + end], [[0, 0]]) for end in ("C", "N"))
    assert one == other
    assert abs(one - short.predict(["CCCCCCN"], ["MKKFFDSRREQGGSG"], [[0, 0]])) > 1e-6


def test_what_cannot_be_used_is_refused():
    with pytest.raises(NotFitted):
        DeepDTA().predict(DRUGS, PROTEINS, PAIRS)
    with pytest.raises(ValueError, match="one finite number for each"):
        DeepDTA(**TINY).fit(DRUGS, PROTEINS, PAIRS, VALUES[1:], steps=1)
    with pytest.raises(ValueError, match="'C!' is no SMILES"):
        DeepDTA(**TINY).fit(("C!",), PROTEINS, PAIRS[:5], VALUES[:5], steps=1)
    with pytest.raises(ValueError, match="whole numbers"):
        DeepDTA(**TINY).fit(DRUGS, PROTEINS, [[0.9, 1.7]], VALUES[:1], steps=1)
    with pytest.raises(ValueError, match="the string 'CCO'"):
        DeepDTA(**TINY).fit("CCO", PROTEINS, PAIRS[:5], VALUES[:5], steps=1)


def test_what_is_asked_of_smiles_is_what_is_said(model):
    one, other, none = model.predict(["CCO", "OCC", "CC(C"], PROTEINS, [[0, 0], [1, 0], [2, 0]])
    assert abs(one - other) > 1e-6
    assert np.isfinite(none)
    assert "RDKit's canonical" in DeepDTA.fit.__doc__
    assert "only tokens are checked" in DeepDTA.predict.__doc__
