"""Calibration and separation against scikit-learn, sums written out, and cases whose answer is known."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from bakeoff.parts.calibration import auroc, expected_calibration_error


def test_the_calibration_error_is_the_sum_over_bins_written_out():
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(4), size=500), rng.integers(0, 4, size=500)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    known = 0.0
    for low in np.arange(10) / 10:
        inside = (confidence > low) & (confidence <= low + 0.1)
        if inside.any():
            known += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert expected_calibration_error(probabilities, labels, bins=10) == pytest.approx(known, abs=1e-12)
    assert expected_calibration_error(torch.tensor(probabilities), torch.tensor(labels), bins=10) == pytest.approx(known, abs=1e-12)


def test_a_classifier_that_is_right_as_often_as_it_says_has_no_error():
    rows = torch.tensor([[0.75, 0.25]] * 4 + [[0.0, 1.0]] * 3)
    assert expected_calibration_error(rows, [0, 0, 1, 0, 1, 1, 1]) == pytest.approx(0, abs=1e-7)
    assert expected_calibration_error(rows, [1, 1, 1, 1, 0, 0, 0]) == pytest.approx((4 * 0.75 + 3) / 7)


def test_the_area_is_that_of_scikit_learn_with_ties_and_without():
    rng = np.random.default_rng(1)
    positive = rng.random(300) < 0.3
    for scores in (rng.normal(size=300) + positive, rng.integers(0, 5, size=300)):
        assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
        assert auroc(torch.tensor(scores), torch.tensor(positive)) + auroc(-scores, positive) == pytest.approx(1)
    assert auroc([-np.inf, 0.0, np.inf], [False, False, True]) == 1


def test_what_cannot_be_measured_is_refused():
    for call, says in ((lambda: expected_calibration_error([[2.0, -1.0]], [0]), "softmax"),
                       (lambda: expected_calibration_error([[0.5, 0.5]], [0, 1]), "labels"),
                       (lambda: expected_calibration_error([[0.5, 0.5]], [2]), "0 to 1"),
                       (lambda: expected_calibration_error([[0.5, 0.5]], [0.5]), "0 to 1"),
                       (lambda: auroc([0.1, 0.2], [1, 2]), "True or False"), (lambda: auroc([0.1, 0.2], [True, True]), "some of each"),
                       (lambda: auroc([0.1, np.nan], [True, False]), "NaN")):
        with pytest.raises(ValueError, match=says):
            call()
