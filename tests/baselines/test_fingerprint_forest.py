"""Fingerprint forest: scikit-learn's on the same bits, known answers, and missing labels."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestRegressor

from bakeoff.baselines.fingerprint_forest import FingerprintForest
from bakeoff.data.kinds.molecules import Molecules
from bakeoff.data.molecules import drugs
from bakeoff.errors import NotFitted
from bakeoff.parts.fingerprints import morgan

SMILES = [chain + end for chain in ("C", "CC", "CCC", "CCCC", "CC(C)", "CCCCC") for end in ("O", "N", "F", "Cl")]


def test_the_regression_is_scikit_learns_forest_on_them():
    known = Molecules(drugs().smiles[:30], np.arange(30.0)[:, None], ("y",))
    ours = FingerprintForest(trees=10, seed=3).fit(known)
    theirs = RandomForestRegressor(10, max_features=1 / 3, random_state=3).fit(morgan(known.smiles), np.arange(30.0))
    others = Molecules(drugs().smiles[30:])
    assert ours.predict(others)[:, 0].numpy() == pytest.approx(theirs.predict(morgan(others.smiles)), rel=1e-6)


def test_an_alcohol_is_told_from_an_amine_also_where_labels_are_missing():
    truth = np.array([["O" in one, "N" in one] for one in SMILES], float)
    seen = np.where(np.random.default_rng(0).random(truth.shape) < 0.3, np.nan, truth)
    forest = FingerprintForest("classification", trees=50)
    new = Molecules(["CCCCCCO", "CCCCCCN", "CCCCCCF"])
    found = forest.fit(Molecules(SMILES, seen, ("alcohol", "amine"))).predict(new)
    assert (found > 0.5).tolist() == [[True, False], [False, True], [False, False]]
    alone = forest.fit(Molecules(np.array(SMILES)[~np.isnan(seen[:, 1])], seen[~np.isnan(seen[:, 1]), 1:], ("amine",))).predict(new)
    assert torch.equal(alone[:, 0], found[:, 1])  # rows without a label are as if they were not there


def test_a_target_of_one_class_only_is_predicted_as_that_class():
    for only in (0.0, 1.0):
        forest = FingerprintForest("classification", trees=5).fit(Molecules(SMILES, np.full((24, 1), only), ("y",)))
        assert forest.predict(Molecules(["CCO"])).tolist() == [[only]]


def test_what_cannot_be_learned_from_is_refused():
    for task, targets, told in (("ranking", [[0.0]], "task"), ("classification", [[0.5]], "0 and 1"),
                                ("regression", [[np.nan]], "measured")):
        with pytest.raises(ValueError, match=told):
            FingerprintForest(task).fit(Molecules(["CCO"], targets, ("y",)))
    with pytest.raises(NotFitted):
        FingerprintForest().predict(Molecules(["CCO"]))
