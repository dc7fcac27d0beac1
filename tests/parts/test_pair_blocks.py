"""Blocks of pairs: few drugs, few proteins, and none that are never reached."""

import numpy as np
import pytest

from bakeoff.parts.pair_blocks import blocks, positions

RNG = np.random.default_rng(0)
DENSE = np.argwhere(RNG.random((30, 12)) < 0.8)
SPARSE = np.array([(drug, drug % 12) for drug in range(30)])


def test_a_block_holds_every_pair_between_its_drugs_and_its_proteins():
    for rows in blocks(DENSE, 5, 20, seed=1):
        drugs, proteins = set(DENSE[rows, 0]), set(DENSE[rows, 1])
        inside = [row for row, (drug, protein) in enumerate(DENSE) if drug in drugs and protein in proteins]
        assert sorted(rows) == inside
        assert len(drugs) == 5 >= len(proteins)


def test_every_pair_is_met_in_time_also_where_pairs_are_few():
    for pairs in (DENSE, SPARSE):
        met = np.bincount(np.concatenate(list(blocks(pairs, 4, 200, seed=0))), minlength=len(pairs))
        assert met.min() > 0


def test_positions_outside_the_lists_are_refused():
    assert np.array_equal(positions(((0, 1), (1, 0)), ["C", "O"], ["MK", "GA"]), [[0, 1], [1, 0]])
    for wrong in ([[0, 2]], [[-1, 0]], [[2, 0]], [0, 1], [[0, 1, 1]]):
        with pytest.raises(ValueError, match="among 2 drugs, 2 proteins"):
            positions(wrong, ["C", "O"], ["MK", "GA"])


def test_places_that_are_not_whole_are_refused_and_whole_floats_are_not_changed():
    for wrong in ([[0.9, 1.7]], [[0, 0.5]], [[0, np.nan]], [[None, 0]]):
        with pytest.raises(ValueError, match="whole numbers"):
            positions(wrong, ["C", "O"], ["MK", "GA"])
    found = positions([[1.0, 0.0]], ["C", "O"], ["MK", "GA"])
    assert found.dtype == np.int64
    assert found.tolist() == [[1, 0]]
    with pytest.raises(ValueError, match="the string 'MK'"):
        positions([[0, 1]], ["C"], "MK")
