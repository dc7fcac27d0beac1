"""The additive floor: exact where the truth is additive, least squares where it is not, silent about what it never met."""

import numpy as np
import pytest

from bakeoff.baselines.additive_means import AdditiveMeans
from bakeoff.data.kinds.affinities import Affinities
from bakeoff.errors import NotFitted

DRUGS, PROTEINS = ("C", "CC", "CCC", "CO"), ("MK", "MG", "MA", "MD", "ME")
PAIRS = np.array([(drug, protein) for drug in range(4) for protein in range(5) if (drug + protein) % 4])
RNG = np.random.default_rng(0)


def test_what_is_additive_is_found_exactly_for_pairs_not_met():
    drug, protein = RNG.normal(size=4), RNG.normal(size=5)
    known = Affinities(DRUGS, PROTEINS, PAIRS, drug[PAIRS[:, 0]] + protein[PAIRS[:, 1]])
    asked = Affinities(DRUGS[::-1], PROTEINS, [[0, 1], [3, 4], [2, 3]], np.zeros(3))
    assert np.allclose(AdditiveMeans().fit(known).predict(asked), [drug[3] + protein[1], drug[0] + protein[4], drug[1] + protein[3]])


def test_it_is_the_least_squares_solution():
    values = RNG.normal(size=len(PAIRS))
    known = Affinities(DRUGS, PROTEINS, PAIRS, values)
    design = np.hstack([np.eye(4)[PAIRS[:, 0]], np.eye(5)[PAIRS[:, 1]]])
    assert np.allclose(AdditiveMeans().fit(known).predict(known), design @ np.linalg.lstsq(design, values)[0])


def test_a_drug_and_a_protein_not_met_get_the_mean_and_fit_comes_first():
    known = Affinities(("C",), ("MK",), [[0, 0], [0, 0]], [4.0, 6.0])
    assert AdditiveMeans().fit(known).predict(Affinities(("N",), ("GG",), [[0, 0]], [0.0])) == pytest.approx([5.0])
    with pytest.raises(NotFitted):
        AdditiveMeans().predict(known)
