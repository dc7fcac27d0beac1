"""Records: what they refuse, and that splits are seeded, disjoint and whole."""

import numpy as np
import pytest

from bakeoff.data.kinds.images import Images
from bakeoff.data.kinds.molecules import Molecules
from bakeoff.data.kinds.picture import Picture
from bakeoff.data.kinds.records import content_hash
from bakeoff.data.kinds.table import Table
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.errors import DataError

RNG = np.random.default_rng(0)
TABLE = Table(np.arange(40.0).reshape(20, 2), np.arange(20.0), ("a", "b"))
IMAGES = Images(RNG.random((20, 1, 4, 4)), np.arange(20) % 3, ("x", "y", "z"))
MOLECULES = Molecules([f"{'C' * n}O" for n in range(1, 21)], np.arange(20.0)[:, None], ("y",))


@pytest.mark.parametrize("record", [TABLE, IMAGES, MOLECULES], ids=lambda record: type(record).__name__)
def test_a_split_is_repeatable_disjoint_and_whole(record):
    train, test = record.split(5)
    assert (content_hash(train), content_hash(test)) == tuple(map(content_hash, record.split(5)))
    assert content_hash(train) != content_hash(record.split(6)[0])
    rows = {"Table": lambda one: one.target.tolist(), "Images": lambda one: one.pixels[:, 0, 0, 0].tolist(),
            "Molecules": lambda one: list(one.smiles)}
    read = rows[type(record).__name__]
    assert sorted(read(train) + read(test)) == sorted(read(record))
    assert len(test) == 4


def test_a_picture_hides_a_tenth_from_the_learner_and_nothing_from_the_test():
    picture = Picture(RNG.random((300, 400, 3)))
    train, test = picture.split(1)
    assert train.pixels.shape == (128, 128, 3)
    assert 0.08 < train.hidden.mean() < 0.12
    assert (train.pixels[train.hidden] == 0).all()
    np.testing.assert_array_equal(train.pixels[~train.hidden], test.pixels[~test.hidden])
    assert test.pixels[test.hidden].mean() == pytest.approx(0.5, abs=0.05)


def test_a_record_holds_its_own_read_only_copy():
    features = np.zeros((3, 2))
    table = Table(features, np.zeros(3), ("a", "b"))
    features[0, 0] = 7
    assert table.features[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        table.features[0, 0] = 7


def transitions(**change):
    good = {"observation": np.zeros((4, 3)), "action": np.zeros((4, 2)), "reward": np.zeros(4), "next_observation": np.zeros((4, 3)),
            "terminated": np.zeros(4), "ended": np.array([0, 1, 0, 1]), "action_low": -np.ones(2), "action_high": np.ones(2)}
    return Transitions(**good | change)


@pytest.mark.parametrize(("make", "said"), [
    (lambda: Images(np.full((2, 1, 4, 4), 255.0), [0, 1], ("a", "b")), "values from 255 to 255"),
    (lambda: Images(np.zeros((2, 4, 4)), [0, 1], ("a", "b")), r"shape \(2, 4, 4\)"),
    (lambda: Images(np.zeros((2, 1, 4, 4)), [0, 2], ("a", "b")), "labels 0 to 2 for 2 classes"),
    (lambda: Table(np.zeros((2, 2)), [1, np.nan], ("a", "b")), "missing or infinite"),
    (lambda: Table([["x", "y"]], [1], ("a", "b")), "Table.features cannot be read"),
    (lambda: Molecules(["CC", "CO"], np.zeros((1, 1)), ("y",)), "Molecules.targets"),
    (lambda: Molecules(["CC", "CO"], [[np.nan], [-np.inf]], ("y",)), r"Molecules.targets: found an infinite value in row \[1\]"),
    (lambda: Molecules("CCO"), "Molecules.smiles: found one text, 'CCO'"),
    (lambda: Molecules(["CC", None]), "Molecules.smiles: found None at position 1"),
    (lambda: Molecules(["CC"], unlabelled="CCO"), "Molecules.unlabelled: found one text"),
    (lambda: transitions(reward=np.array([0, np.nan, 0, 0])), r"Transitions.reward: found a missing or infinite value in row \[1\]"),
    (lambda: transitions(action=np.full((4, 2), 1.5)), "4 rows outside the bounds"),
    (lambda: transitions(action=np.zeros(4)), "continuous actions"),
    (lambda: transitions(terminated=np.zeros(3)), "3 rows"),
    (lambda: transitions().split(0), "in which environment")])
def test_a_wrong_record_is_refused_by_field(make, said):
    with pytest.raises(DataError, match=said):
        make()
