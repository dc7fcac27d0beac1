"""The records: budgets that measure, pictures that other programs read, seeds that follow from the run's own."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from bakeoff.claim import Budget, Claim, Drawing, pair_seed
from bakeoff.errors import OverBudget, PaperError


def test_a_budget_counts_what_is_spent_and_stops_an_arm_that_goes_past_it():
    budget = Budget("smoke", 100)
    for _ in range(100):
        budget.spend()
    assert budget.spent == 100
    budget.spend(amount=2)  # rounding of batches may cost up to 2 %
    with pytest.raises(OverBudget):
        budget.spend()
    assert budget.spent == 102


def test_the_curve_of_a_long_run_stays_short_and_keeps_true_points():
    budget = Budget("full", 100_000)
    for step in range(1, 100_001):
        budget.spend(value=1 / step)
    curve = budget.curve
    assert 60 <= len(curve) <= 128
    assert all(value == 1 / spent for spent, value in curve)
    assert curve[-1][0] > 95_000
    gaps = np.diff([spent for spent, _ in curve])
    assert gaps.max() <= 2 * gaps.min()


def test_the_first_pair_has_the_seed_of_the_run_and_runs_do_not_share_the_others():
    assert pair_seed(7, 0) == 7
    derived = {pair_seed(seed, pair) for seed in range(20) for pair in range(1, 50)}
    assert len(derived) == 20 * 49
    assert all(0 <= seed < 2**31 for seed in derived)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
def test_a_picture_reads_back_to_the_byte_in_another_library(shape):
    pixels = np.random.default_rng(0).random(shape)
    png = base64.b64decode(Drawing.picture("x", pixels).content)
    read = np.asarray(Image.open(io.BytesIO(png)))
    np.testing.assert_array_equal(read, np.round(pixels * 255).reshape(read.shape))


def test_values_outside_a_picture_are_clipped():
    png = base64.b64decode(Drawing.picture("x", np.array([[-3.0, 0.0], [1.0, 9.0]])).content)
    assert np.asarray(Image.open(io.BytesIO(png))).tolist() == [[0, 0], [255, 255]]


@pytest.mark.parametrize("wrong", [{"better": "more"}, {"margin": 0}, {"margin": float("nan")}, {"equal": "luck"}, {"steps": {"smoke": 1}}])
def test_a_claim_that_cannot_be_decided_is_refused(wrong):
    right = {"says": "s", "data": "d", "metric": "m", "unit": "u", "better": "higher", "margin": 1.0, "equal": "steps",
             "steps": {"smoke": 1, "quick": 2, "full": 3}}
    assert Claim(**right).margin == 1.0
    with pytest.raises(PaperError):
        Claim(**right | wrong)
