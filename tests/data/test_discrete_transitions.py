"""Batches with choices: the record, and the user's own logs of them."""

import numpy as np
import pytest

from bakeoff.claim import Source
from bakeoff.data import discrete_transitions, sets
from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
from bakeoff.data.kinds.records import content_hash
from bakeoff.errors import DataError

SEEN = np.arange(12.0).reshape(3, 4)


def arrays(**changed) -> dict:
    return {"observation": SEEN, "action": np.array([0, 2, 1]), "reward": np.ones(3), "next_observation": SEEN + 4,
            "terminated": np.array([False, False, True])} | changed


def record(**changed):
    return DiscreteTransitions(**arrays(ended=[0, 0, 1], actions=3) | changed)


def archive(path, **changed):
    np.savez(path / "batch.npz", **{name: array for name, array in arrays(**changed).items() if array is not None})
    return path / "batch.npz"


@pytest.mark.parametrize(("changed", "told"), [
    ({"action": [0, 3, 1]}, r"action: found 1 rows with other choices, first row \[1\] with \[3\]"),
    ({"action": [0, -1, 1]}, "action: found 1 rows with other choices"),
    ({"action": [0, 0.5, 1]}, "action: found float64 that are no whole numbers"),
    ({"action": [0, np.nan, 1]}, "action: found float64 that are no whole numbers"),
    ({"action": [[0, 1], [1, 1], [0, 1]]}, r"action: found shape \(3, 2\)"),
    ({"observation": np.zeros(3)}, r"observation: found shape \(3,\)"),
    ({"next_observation": SEEN[:2]}, "next_observation: found shape"), ({"reward": [1, np.inf, 1]}, r"reward: .* in row \[1\]"),
    ({"reward": [1, 1]}, "reward: found 2 rows"), ({"ended": np.zeros((3, 2))}, r"ended: found shape \(3, 2\)")])
def test_a_wrong_record_is_refused_by_field(changed, told):
    with pytest.raises(DataError, match=f"DiscreteTransitions.{told}"):
        record(**changed)


def test_images_keep_their_type_and_other_numbers_become_floats():
    for kept in (np.uint8, bool):
        batch = record(observation=np.ones((3, 2, 2, 1), kept), next_observation=np.ones((3, 2, 2, 1), kept))
        assert batch.observation.dtype == batch.next_observation.dtype == kept
    assert record().observation.dtype == record(observation=np.ones((3, 4), np.uint8)).observation.dtype == np.float32
    assert record(action=[0.0, 2.0, 1.0]).action.dtype == np.int64


def test_an_archive_comes_back_the_same(tmp_path):
    batch = discrete_transitions.load(archive(tmp_path))
    assert (batch.actions, batch.action.tolist(), batch.ended.tolist()) == (3, [0, 2, 1], [False, False, True])
    batch = record(actions=7, environment="", behaviour=(("return", 2.5),))
    discrete_transitions.save(batch, tmp_path / "again.npz")
    assert content_hash(discrete_transitions.load(tmp_path / "again.npz")) == content_hash(batch)


def test_the_environment_says_how_many_choices_there_are(tmp_path):
    path = archive(tmp_path, action=np.array([0, 1, 1]))
    assert discrete_transitions.load(path).actions == 2
    assert discrete_transitions.load(archive(tmp_path, action=np.array([0, 1, 1]), actions=np.array(5))).actions == 5
    batch = sets.load(Source(str(path), (("environment", "CartPole-v1"),)), "discrete_transitions")
    assert batch.actions == 2
    assert batch.split(3)[1].name == "CartPole-v1"
    assert batch.split(3)[1].seeds != batch.split(4)[1].seeds


@pytest.mark.parametrize(("changed", "environment", "told"), [
    ({"action": np.array([[0.5], [-1.0], [0.25]])}, "", r"actions are continuous, from -1 to 0.5, 1 to a step\n.* bcq, bear and brac"),
    ({"action": np.zeros((3, 2), int)}, "", "actions are continuous, from 0 to 0, 2 to a step"),
    ({"action": np.array([0, -1, 1])}, "", "actions are continuous, from -1 to 1"),
    ({"action": np.array([0, 1, 2])}, "CartPole-v1", r"row 2: found the action 2; 1 rows are outside the choices\nExpected .* 0 to 1"),
    ({"action": np.array([0, 1, 2]), "actions": np.array(2)}, "", "row 2: found the action 2"),
    ({"action": np.array([0, 2**62, 2])}, "", "4611686018427387905 actions to choose from"),
    ({"action": np.array([0, 2**64 - 1, 2], np.uint64)}, "", "18446744073709551616 actions to choose from"),
    ({"actions": np.array([1, 2])}, "", r"\[1, 2\] actions to choose from"),
    ({"action": np.array([0, np.nan, 1])}, "", "row 1: action is missing or infinite"),
    ({"observation": SEEN[:, :3], "next_observation": SEEN[:, :3] + 4, "truncated": np.ones(3)}, "CartPole-v1",
     r"observations of size \(3,\)|length of one step"),
    ({}, "MountainCarContinuous-v0", r"observations of size \(4,\)\nMountainCarContinuous-v0 has observations of size \(2,\)"),
    ({"observation": SEEN[:, :2], "next_observation": np.roll(SEEN[:, :2], -1, 0)}, "MountainCarContinuous-v0", "actions are continuous"),
    ({"action": np.array([None, 1, 2])}, "", "cannot be read as a NumPy archive")])
def test_a_wrong_archive_is_told(tmp_path, changed, environment, told):
    with pytest.raises(DataError, match=told):
        discrete_transitions.load(archive(tmp_path, **changed), environment=environment)


def test_a_continuous_set_is_refused_by_name():
    with pytest.raises(DataError, match="holds transitions; this claim is about discrete_transitions"):
        sets.load(Source("hopper-half"), "discrete_transitions")


def test_the_poles_set_is_made_once(monkeypatch):
    monkeypatch.delenv("BAKEOFF_DATA", raising=False)
    first = sets.load(Source("cartpole-random"), "discrete_transitions")
    assert (len(first), first.actions, first.environment) == (20_000, 2, "CartPole-v1")
    assert 20 < dict(first.behaviour)["return"] < 25
    assert content_hash(sets.load(Source("cartpole-random"), "discrete_transitions")) == content_hash(first)


def test_the_games_that_come_with_bakeoff_are_those_that_their_entries_pin():
    for name, actions in (("breakout-epsilon", 3), ("asterix-epsilon", 5), ("space-invaders-epsilon", 4)):
        batch = sets.load(Source(name), "discrete_transitions")
        assert (len(batch), batch.actions, batch.observation.dtype) == (50_000, actions, bool), name
        facts = dict(batch.behaviour)
        assert facts["return of random actions"] < facts["return"] < facts["return of the expert"], name
