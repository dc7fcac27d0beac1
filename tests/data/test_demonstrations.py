"""Demonstrations: what is made here, a user's own files of both forms, and what is said of wrong ones."""

import json

import gymnasium
import h5py
import numpy as np
import pytest

from bakeoff.claim import Source
from bakeoff.data import four_rooms, sets
from bakeoff.data.demonstrations import load
from bakeoff.data.kinds.demonstrations import Demonstrations
from bakeoff.data.kinds.goal_environment import GoalEnvironment, GymnasiumGoals, as_worlds
from bakeoff.data.kinds.records import content_hash
from bakeoff.errors import DataError


class Line(gymnasium.Env):
    """A point on a line that is moved by up to 1 and wants to be within 0.5 of its goal; a step costs 1 until it is."""

    observation_space = gymnasium.spaces.Dict({name: gymnasium.spaces.Box(-9, 9, (1,), np.float64)
                                               for name in ("observation", "achieved_goal", "desired_goal")})
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.goal, self.clock = np.zeros(1), self.np_random.uniform(-4, 4, 1), 0
        return self.told(), {}

    def step(self, action):
        self.place, self.clock = self.place + action, self.clock + 1
        reward = self.compute_reward(self.place, self.goal, {})
        return self.told(), reward, False, self.clock == 8, {}

    def compute_reward(self, achieved, goal, info):
        return -(np.abs(achieved - goal).max(-1) > 0.5).astype(float)

    def told(self):
        return {"observation": self.place.copy(), "achieved_goal": self.place.copy(), "desired_goal": self.goal.copy()}


gymnasium.register("bakeoff-tests/Line-v0", lambda: Line())
NAME = "bakeoff-tests/Line-v0"


def columns(**change):
    rows = 6
    place = np.arange(rows + 1.0)[:, None] / 10
    good = {"observation": place[:-1], "action": np.full((rows, 1), 0.1), "next_observation": place[1:], "achieved": place[1:],
            "goal": np.ones((rows, 1)), "ended": np.array([0, 0, 1, 0, 0, 1])}
    return {name: value for name, value in (good | change).items() if value is not None}


def test_the_named_set_is_the_same_each_time_and_every_walk_arrives():
    one, again = (sets.load(Source("four-rooms-demonstrations"), "demonstrations") for _ in range(2))
    assert content_hash(one) == content_hash(again)
    rooms = four_rooms.FourRooms()
    assert rooms.reached(one.achieved, one.goal).tolist() == one.ended.tolist()
    assert dict(one.demonstrator) == {"episodes": 20.0, "success (%)": 100.0, "share of random actions": pytest.approx(0.2)}
    train, test = one.split(5)
    assert train is one
    assert test == GoalEnvironment("four-rooms", 5, 100)


def test_an_archive_comes_back_as_it_was(tmp_path):
    given = sets.load(Source("four-rooms-demonstrations"), "demonstrations")
    names = ("observation", "action", "next_observation", "achieved", "goal", "ended")
    np.savez(tmp_path / "own.npz", **{name: getattr(given, name) for name in names}, environment="four-rooms")
    found = load(tmp_path / "own.npz")
    assert all(np.array_equal(getattr(found, name), getattr(given, name)) for name in (*names, "action_low", "action_high"))
    assert found.environment == "four-rooms"


def minari(folder, parts=("observation", "achieved_goal", "desired_goal"), actions=3):
    folder.mkdir()
    with h5py.File(folder / "main_data.hdf5", "w") as archive:
        for number in (0, 1, 10, 2):
            group = archive.create_group(f"episode_{number}")
            group["actions"] = np.full((actions, 1), 0.01 * number)
            for part in parts:
                group[f"observations/{part}"] = number + np.arange(4.0)[:, None] / 10
    (folder / "metadata.json").write_text(json.dumps({"env_spec": json.dumps({"id": NAME})}))
    return folder


def test_a_minari_set_gives_what_was_achieved_after_each_action_in_the_order_of_episodes(tmp_path):
    found = load(minari(tmp_path / "data"))
    assert found.environment == NAME
    np.testing.assert_allclose(found.achieved[:4, 0], [0.1, 0.2, 0.3, 1.1])
    np.testing.assert_allclose(found.observation[-3:, 0], [10.0, 10.1, 10.2])
    np.testing.assert_allclose(found.goal[-3:, 0], [10.0, 10.1, 10.2])
    assert found.ended.tolist() == [False, False, True] * 4
    assert (found.action_low, found.action_high) == ([-1.0], [1.0])


@pytest.mark.parametrize(("change", "said"), [
    ({"goal": None, "achieved": None}, "lacks achieved, goal; found observation"),
    ({"goal": np.ones((5, 1))}, "goal 5"),
    ({"goal": np.ones((6, 2))}, r"Demonstrations.goal: found shape \(6, 2\)"),
    ({"achieved": np.array([[0.0]] * 5 + [[np.nan]])}, r"Demonstrations.achieved: found a missing or infinite value in row \[5\]"),
    ({"action": np.ones((6, 1), int)}, "discrete actions"),
    ({"action_high": np.array([0.05]), "action_low": np.array([-1.0])}, "6 rows outside the bounds"),
    ({"action_high": np.array([np.nan])}, r"action_high is \[nan\]"),
    ({"action_high": np.array([[0.2, 0.2]])}, r"action_high holds float64 of shape \(1, 2\)"),
    ({"action_high": np.array([100.0]), "environment": NAME}, r"action_high is \[100.0\], but in bakeoff-tests/Line-v0 it is \[1.0\]"),
    ({"environment": "os:Task-v0"}, "names the environment 'os:Task-v0', for which a module would be imported"),
    ({"extra": np.array([None])}, "an array holds objects, or is none"),
    ({"ended": np.array([0, 0, 2, 0, 0, 1])}, "ended holds numbers other than 0 and 1"),
    ({"ended": np.zeros(6)}, "an episode that does not end"),
    ({"observation": np.array([["a"]] * 6)}, "observation holds <U1"),
    ({"environment": "four-rooms"}, r"sizes \(1, 1, 1\)"),
    ({"environment": "CartPole-v1"}, "no goal environment"),
    ({"environment": "NoSuch-v0"}, "no environment 'NoSuch-v0'"),
])
def test_a_wrong_archive_is_told(tmp_path, change, said):
    np.savez(tmp_path / "own.npz", **columns(**change))
    with pytest.raises(DataError, match=said) as told:
        load(tmp_path / "own.npz")
    assert told.value.hint
    assert "own.npz" in told.value.message


@pytest.mark.parametrize(("wrong", "said"), [
    ({"parts": ("observation", "achieved_goal")}, "have the parts observation, achieved_goal, desired_goal"),
    ({"actions": 4}, "4 observations for 4 actions"),
])
def test_a_wrong_minari_set_is_told(tmp_path, wrong, said):
    with pytest.raises(DataError, match=said):
        load(minari(tmp_path / "data", **wrong))


def test_other_files_are_told(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"no archive")
    (tmp_path / "a.csv").write_text("x\n1\n")
    for name, said in (("a.npz", "cannot be read as a NumPy archive"), ("a.csv", "found .csv"), ("", "there is no main_data.hdf5")):
        with pytest.raises(DataError, match=said):
            load(tmp_path / name)


def test_demonstrations_without_an_environment_cannot_be_judged(tmp_path):
    np.savez(tmp_path / "own.npz", **columns())
    found = load(tmp_path / "own.npz")
    assert (found.action_low, found.action_high) == (np.float32(0.1), np.float32(0.1))
    with pytest.raises(DataError, match="--environment"):
        found.split(0)
    assert load(tmp_path / "own.npz", environment=NAME).split(3)[1] == GoalEnvironment(NAME, 3, 10)


def test_a_gymnasium_environment_is_stepped_as_worlds_are_and_judged_by_its_own_reward():
    worlds = GoalEnvironment(NAME).worlds(3)
    assert (worlds.copies, worlds.observation_dim, worlds.goal_dim) == (3, 1, 1)
    now, goal = worlds.reset(0)
    assert len(set(goal[:, 0].tolist())) == 3
    np.testing.assert_array_equal(worlds.reset(0)[1], goal)
    arrived = np.full(3, -1)
    for clock in range(1, 9):
        now, achieved, over = worlds.step(np.clip(goal - now, -1, 1))
        arrived[over & (arrived < 0)] = clock
    assert arrived.tolist() == np.ceil(np.abs(goal[:, 0]) - 0.5).clip(1).tolist()
    assert worlds.reached(achieved, goal).all()
    assert worlds.reached(goal[:, None] + [[[0.4], [0.6]]], goal[:, None]).tolist() == [[True, False]] * 3
    assert isinstance(as_worlds(Line()), GymnasiumGoals)
    with pytest.raises(DataError, match="list is no goal environment"):
        as_worlds([])


def test_the_record_refuses_what_does_not_fit():
    rest = {"action_low": [-1.0], "action_high": [1.0]}
    assert len(Demonstrations(**columns(), **rest)) == 6
    with pytest.raises(DataError, match=r"Demonstrations.ended: found shape \(5,\)"):
        Demonstrations(**columns(ended=np.ones(5)), **rest)
    with pytest.raises(DataError, match="no rows"):
        Demonstrations(**{name: value[:0] for name, value in columns().items()}, **rest)
