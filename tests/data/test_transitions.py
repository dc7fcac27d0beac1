"""Batches of the user's own: every form gives the same arrays, and what is wrong is told by name."""

import numpy as np
import pandas
import pytest

from bakeoff import places
from bakeoff.claim import Source
from bakeoff.data import collect, sets, transitions
from bakeoff.data.kinds.records import content_hash
from bakeoff.errors import DataError

OBSERVATIONS = [np.arange(8.0).reshape(4, 2), 10 + np.arange(6.0).reshape(3, 2)]  # two episodes: 3 steps, terminated; 2 steps, cut
ACTIONS, REWARDS = np.array([[0.5], [-0.25], [0.125], [1.0], [-1.0]]), np.array([1.0, 2.0, 3.0, 4.0, 5.0])


def arrays(**changed) -> dict:
    return {"observation": np.concatenate([one[:-1] for one in OBSERVATIONS]), "action": ACTIONS, "reward": REWARDS,
            "next_observation": np.concatenate([one[1:] for one in OBSERVATIONS]), "terminated": np.array([0, 0, 1, 0, 0], bool)} | changed


def wide() -> dict:
    """Observations of size 4, as InvertedPendulum has."""
    return {name: np.pad(arrays()[name], ((0, 0), (0, 2))) for name in ("observation", "next_observation")}


def archive(path, **changed):
    np.savez(path / "batch.npz", **{name: array for name, array in arrays(**changed).items() if array is not None})
    return path / "batch.npz"


def table(**changed) -> pandas.DataFrame:
    """The two episodes as rows: the last row of each holds the last observation."""
    last = np.concatenate(OBSERVATIONS)
    columns = {"episode": [7, 7, 7, 7, 3, 3, 3], "step": [0, 1, 2, 3, 0, 1, 2], "obs_0": last[:, 0], "obs_1": last[:, 1],
               "act_0": [*ACTIONS[:3, 0], 0.0, *ACTIONS[3:, 0], 0.0], "reward": [1.0, 2, 3, 0, 4, 5, 0], "terminated": [False] * 7}
    return pandas.DataFrame(columns | changed)


def same(batch, rows=slice(None), **changed):
    for name, array in arrays(**changed).items():
        np.testing.assert_array_equal(getattr(batch, name), array[rows])
    np.testing.assert_array_equal(batch.ended, np.array([0, 0, 1, 0, 1], bool)[rows])


def test_an_archive_comes_back_with_ends_and_bounds_found(tmp_path):
    batch = transitions.load(archive(tmp_path))
    same(batch)
    assert batch.action_low.tolist() == [-1]
    assert batch.action_high.tolist() == [1]
    transitions.save(batch, tmp_path / "again.npz")
    assert content_hash(transitions.load(tmp_path / "again.npz")) == content_hash(batch)


def test_a_table_gives_the_same_batch_whatever_the_order_of_its_rows(tmp_path):
    mixed = table().sample(frac=1, random_state=0)[["reward", "obs_1", "act_0", "obs_0", "step", "terminated", "episode"]]
    mixed.to_csv(tmp_path / "batch.csv", index=False)
    mixed.to_parquet(tmp_path / "batch.parquet")
    for name in ("batch.csv", "batch.parquet"):
        batch = transitions.load(tmp_path / name)
        np.testing.assert_array_equal(batch.observation, arrays()["observation"][[3, 4, 0, 1, 2]])  # episode 3, then 7
        np.testing.assert_array_equal(batch.next_observation, arrays()["next_observation"][[3, 4, 0, 1, 2]])
        assert batch.reward.tolist() == [4, 5, 1, 2, 3]
        assert batch.ended.tolist() == [False, True, False, False, True]
        assert not batch.terminated.any()


def test_the_last_row_of_a_terminated_episode_counts_and_that_of_a_cut_one_does_not(tmp_path):
    table(terminated=[False, False, False, True, False, False, False]).to_csv(tmp_path / "batch.csv", index=False)
    batch = transitions.load(tmp_path / "batch.csv")
    assert batch.terminated.tolist() == [False, False, False, False, False, True]
    assert batch.ended.tolist() == [False, True, False, False, False, True]


def test_columns_go_by_their_numbers(tmp_path):
    frame = table()
    for number in range(2, 11):
        frame[f"obs_{number}"] = float(number)
    frame[sorted(frame)].to_csv(tmp_path / "batch.csv", index=False)
    assert transitions.load(tmp_path / "batch.csv").observation[0, 2:].tolist() == list(range(2, 11))


def test_a_minari_set_gives_the_same_batch_and_names_its_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    import gymnasium
    import minari
    from minari.data_collector import EpisodeBuffer
    parts = [(slice(0, 3), True), (slice(3, 5), False)]
    buffers = [EpisodeBuffer(observations=list(np.pad(seen, ((0, 0), (0, 2)))), actions=list(ACTIONS[rows]), rewards=list(REWARDS[rows]),
                             terminations=[False] * (len(seen) - 2) + [ends], truncations=[False] * (len(seen) - 2) + [not ends], infos={})
               for seen, (rows, ends) in zip(OBSERVATIONS, parts, strict=True)]
    box, task = gymnasium.spaces.Box, gymnasium.spec("InvertedPendulum-v5")
    minari.create_dataset_from_buffers("test/batch-v0", buffers, env=task, eval_env=task, algorithm_name="none", description="two episodes",
                                       author="nobody", author_email="nobody@example.org", code_permalink="https://example.org",
                                       observation_space=box(-np.inf, np.inf, (4,), np.float64), action_space=box(-3, 3, (1,), np.float64))
    batch = transitions.load(tmp_path / "test" / "batch-v0")
    same(batch, **wide())
    assert batch.environment == "InvertedPendulum-v5"
    assert (batch.action_low.tolist(), batch.action_high.tolist()) == ([-3], [3])


@pytest.mark.parametrize(("changed", "told"), [
    ({"reward": None}, "lacks reward"),
    ({"action": np.array([0, 1, 1, 0, 1])}, "discrete actions"),
    ({"reward": np.array([1, 2, np.nan, 4, 5])}, "a missing or infinite value in row .2"),
    ({"reward": REWARDS[:4]}, "lengths differ: observation 5, action 5, reward 4"),
    ({"action": ACTIONS.astype(str)}, "action holds <U"),
    ({"action": ACTIONS * 5, "action_low": np.array([-1.0]), "action_high": np.array([1.0])}, "4 rows outside the bounds, first row .0"),
    ({"terminated": np.zeros(5, bool), "truncated": np.ones(5, bool)}, "all 5 episodes have a length of one step"),
    ({name: array[:0] for name, array in arrays().items()}, "there are no transitions"),
    ({"environment": np.array("NoSuchTask-v0")}, "no environment 'NoSuchTask-v0'"),
    ({"environment": np.array("InvertedPendulum-v5")}, "observations of size .2,. and actions of size .1,."),
    ({"terminated": np.array([0, 0, 0.5, 0, 1])}, "terminated holds numbers other than 0 and 1"),
    ({"extra": np.array([None])}, "cannot be read as a NumPy archive"),
])
def test_a_wrong_archive_is_told(tmp_path, changed, told):
    with pytest.raises(DataError, match=told) as problem:
        transitions.load(archive(tmp_path, **changed))
    assert "batch.npz" in problem.value.message or "NoSuchTask" in problem.value.message


@pytest.mark.parametrize(("changed", "told"), [
    ({"step": [0, 1, 2, 4, 0, 1, 2]}, "the steps of episode 7 do not follow one another"),
    ({"terminated": [False, True, False, False, False, False, False]}, "episode 7 goes on after a row with terminated"),
    ({"terminated": ["no"] * 7}, "terminated holds"),
    ({"episode": [7, 7, 7, 7, 3, 3, 2]}, "episode 2 has one row and no termination"),
])
def test_a_wrong_table_is_told(tmp_path, changed, told):
    table(**changed).to_csv(tmp_path / "batch.csv", index=False)
    with pytest.raises(DataError, match=told):
        transitions.load(tmp_path / "batch.csv")


def test_a_batch_without_an_environment_says_how_to_name_one(tmp_path):
    with pytest.raises(DataError, match="--environment ID"):
        transitions.load(archive(tmp_path)).split(0)
    batch = sets.load(Source(str(archive(tmp_path, **wide())), (("environment", "InvertedPendulum-v5"),)), "transitions")
    assert batch.split(0)[1].seeds == batch.split(0)[1].seeds != batch.split(1)[1].seeds


def test_other_files_are_refused(tmp_path):
    for name, text in (("batch.txt", "a"), ("batch.npz", ""), ("batch.npz", "text"), ("batch.hdf5", "text"), ("batch.csv", ""),
                       ("batch.csv", "a,b\n1,2\n")):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=name):
            transitions.load(tmp_path / name)
    with pytest.raises(DataError, match="no main_data"):
        transitions.load(tmp_path)


def test_a_set_is_made_once_and_read_the_second_time(monkeypatch):
    monkeypatch.delenv("BAKEOFF_DATA", raising=False)
    first = sets.load(Source("inverted-pendulum-imperfect"), "transitions")
    monkeypatch.setattr(collect, "imperfect", None)
    second = sets.load(Source("inverted-pendulum-imperfect"), "transitions")
    assert content_hash(first) == content_hash(second)
    assert len(list((places.cache() / "batches").iterdir())) == 1
