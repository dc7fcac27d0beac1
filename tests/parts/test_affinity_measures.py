"""The measures of predicted affinities, against pair-by-pair counts and formulas written out."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import somersd

from bakeoff.parts.affinity_measures import concordance, external_fit, inversions, squared_error

few = st.integers(-3, 3)


def pair_by_pair(measured, predicted):
    points = [1.0 if p > q else 0.5 if p == q else 0.0
              for (y, p), (z, q) in itertools.permutations(zip(measured, predicted, strict=True), 2) if y > z]
    return sum(points) / len(points) if points else math.nan


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(few, few), min_size=1, max_size=25))
def test_concordance_equals_a_count_over_all_pairs(rows):
    measured, predicted = zip(*rows, strict=True)
    assert concordance(measured, predicted) == pytest.approx(pair_by_pair(measured, predicted), abs=1e-12, nan_ok=True)


def test_concordance_equals_the_count_on_values_without_ties_and_with_many():
    rng = np.random.default_rng(0)
    for levels in (3, 40, 10_000):
        measured, predicted = rng.integers(levels, size=300) / 7, rng.integers(levels, size=300) * 1.5
        assert concordance(measured, predicted) == pytest.approx(pair_by_pair(measured, predicted), abs=1e-12)


def test_concordance_is_somers_d_moved_to_between_nought_and_one():
    rng = np.random.default_rng(3)
    measured, predicted = rng.integers(30, size=400), rng.integers(50, size=400)
    predicted += measured
    assert concordance(measured, predicted) == pytest.approx((1 + somersd(measured, predicted).statistic) / 2, abs=1e-12)


def test_concordance_is_one_for_the_truth_a_half_for_a_constant_and_sees_only_the_order():
    rng = np.random.default_rng(1)
    measured, predicted = rng.normal(size=500).round(1), rng.normal(size=500)
    assert concordance(measured, measured) == 1.0
    assert concordance(measured, -measured) == 0.0
    assert concordance(measured, np.zeros(500)) == 0.5
    assert concordance(measured, np.exp(predicted)) == concordance(measured, predicted) == concordance(2 * measured - 3, predicted)


@given(st.lists(st.integers(0, 20), max_size=40))
def test_inversions_are_those_that_two_loops_find(ranks):
    assert inversions(np.array(ranks, dtype=int)) == sum(a > b for a, b in itertools.combinations(ranks, 2))


def test_two_hundred_thousand_rows_are_counted_in_the_time_of_a_sort():
    rng = np.random.default_rng(2)
    measured, predicted = rng.normal(size=200_000), rng.normal(size=200_000)
    started = time.process_time()
    assert concordance(measured, predicted) == pytest.approx(0.5, abs=0.005)
    assert time.process_time() - started < 5.0  # pair by pair it would be hours


def test_external_fit_equals_its_formula_worked_out_by_hand():
    measured, predicted = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 3.0])
    # sums about the means 7/3 and 7/3: xy = 8/3, yy = 14/3, pp = 8/3, so r^2 = (8/3)^2 / (14/3 * 8/3) = 4/7;
    # k = 19/19 = 1, so r_0^2 = 1 - 2 / (14/3) = 4/7: the line through the origin is as good, and nothing is taken off
    assert external_fit(measured, predicted) == pytest.approx(4 / 7)
    # shifted by 2: r^2 stays; p = (3, 5, 5), k = 33/59, the residues squared sum to 21 - 33^2/59
    r02 = 1 - (21 - 33**2 / 59) / (14 / 3)
    assert external_fit(measured, predicted + 2) == pytest.approx(4 / 7 * (1 - math.sqrt(4 / 7 - r02)))
    assert external_fit(measured, 3 * measured) == pytest.approx(1.0)


def test_squared_error_is_the_mean_square_and_wrong_shapes_are_refused():
    assert squared_error([1.0, 2.0, 5.0], [1.0, 0.0, 6.0]) == pytest.approx(5 / 3)
    with pytest.raises(ValueError, match="one shape"):
        squared_error([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="missing"):
        concordance([1.0, math.nan], [1.0, 2.0])
