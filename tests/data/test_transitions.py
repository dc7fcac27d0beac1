"""Batches of the user's own: every form gives the same arrays, and what is wrong is told by name."""

import os
import re
import warnings
import zipfile

import numpy as np
import pytest

from bakeoff import places
from bakeoff.claim import Source
from bakeoff.data import collect, logs, sets, transitions
from bakeoff.data.kinds.environment import Environment
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


@pytest.mark.parametrize(("changed", "told"), [
    ({"reward": None}, "lacks reward; found observation, action, next_observation, terminated"),
    ({"terminated": None}, "Say at every step whether the task ended"),
    ({"terminated": None, "done": np.zeros(5, bool)}, "'done' does not say whether the task ended or time was up"),
    ({"observations": arrays()["observation"]}, "two arrays mean observation"),
    ({"action": np.array([0, 1, 1, 0, 1])}, "actions are whole numbers from 0 to 1, choices among a few\nThis method .* discrete_bcq"),
    ({"reward": np.array([1, 2, np.nan, 4, 5])}, "batch.npz, row 2: reward is missing or infinite"),
    ({"observation": np.where(np.eye(5, 2) > 0, np.inf, arrays()["observation"])}, "row 0: observation 0 is .*; 2 of 5 rows are like that"),
    ({"reward": np.array([1, 2, 1e39, 4, 5])}, "row 2: reward is 1e.39, too large for 32 bits"),
    ({"reward": REWARDS[:4]}, "lengths differ: observation 5, action 5, reward 4"),
    ({"reward": np.ones((5, 2))}, r"reward has shape .5, 2."),
    ({"reward": REWARDS * 1j}, "reward holds complex128"),
    ({"action": ACTIONS.astype(str)}, "action holds <U"),
    ({"action": ACTIONS * 5, "action_low": np.array([-1.0]), "action_high": np.array([1.0])},
     r"row 0: found the action \[2.5\]; 4 rows outside the bounds\nExpected actions from \[-1.0\] to \[1.0\]"),
    ({"action_low": np.array([-1.0, -1.0])}, "action_low holds float64 of shape .2,."),
    ({"terminated": np.zeros(5, bool), "truncated": np.ones(5, bool)}, "all 5 episodes have a length of one step"),
    ({"observation": arrays()["observation"][[3, 0, 4, 1, 2]]}, "5 episodes have a length of one step"),
    ({"truncated": np.zeros(5, bool), "observation": arrays()["observation"] + 1}, "row 0: the episode goes on, but its next observation"),
    ({"truncated": np.zeros(4, bool)}, r"truncated has shape .4,."),
    ({name: array[:0] for name, array in arrays().items()}, "there are no transitions"),
    ({name: np.zeros((5, 0)) for name in ("observation", "next_observation")}, "observation has shape .5, 0."),
    ({"environment": np.array("NoSuchTask-v0")}, "no environment 'NoSuchTask-v0'"),
    ({"environment": np.array("FrozenLake-v1")}, "FrozenLake-v1 has observations Discrete"),
    ({"environment": np.array("InvertedPendulum-v5")}, "observations of size .2,.\nInvertedPendulum-v5 has observations of size .4,."),
    ({"terminated": np.array([0, 0, 0.5, 0, 1])}, "row 2: terminated holds numbers other than 0 and 1: 0.5"),
    ({"extra": np.array([None])}, "cannot be read as a NumPy archive: an array holds objects, or is none\n"),
    ({"ended": np.array([0, 0, 2, 0, 1])}, "row 2: ended holds numbers other than 0 and 1: 2"),
    ({"truncated": np.array([0, 0, 1, np.nan, 1])}, "row 3: truncated holds numbers other than 0 and 1: nan"),
    ({"action_low": np.array([np.nan])}, r"action_low is \[nan\]"),
    ({"action_low": np.array([2.0]), "action_high": np.array([-2.0])}, r"action_low \[2.0\] is above action_high \[-2.0\]"),
    ({"environment": np.array("Pendulum-v1\n\x1b[31m")}, r"environment is 'Pendulum-v1\\n\\x1b\[31m'"),
    ({"environment": np.array(5)}, "environment holds int64 of shape"),
    ({"environment": np.array(["Pendulum-v1", "x"])}, r"environment holds <U11 of shape \(2,\)"),
    ({"next_observation": None}, "lacks next_observation; found .*\nAdd it; or say in `truncated` or `timeouts` where"),
    ({"next_observation": None, "truncated": np.zeros(4)}, "lengths differ: observation 5, .*|truncated has shape .4,."),
    ({"next_observation": None, "truncated": np.full(5, 3)}, "row 0: truncated holds numbers other than 0 and 1: 3"),
    ({"fact": np.array(["return"])}, "fact holds 1 names"),
])
def test_a_wrong_archive_is_told(tmp_path, changed, told):
    with pytest.raises(DataError, match=told) as problem:
        transitions.load(archive(tmp_path, **changed))
    assert "batch.npz" in problem.value.message
    assert "pickle" not in f"{problem.value}"


def test_a_file_cannot_have_a_module_imported(tmp_path, monkeypatch):
    (tmp_path / "spy_module.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match="names the environment 'spy_module:Task-v0', for which a module would be imported"):
        transitions.load(archive(tmp_path, environment=np.array("spy_module:Task-v0")))
    with pytest.raises(RuntimeError, match="imported"):  # whoever gives the command may ask for it
        transitions.load(archive(tmp_path), environment="spy_module:Task-v0")


def test_an_archive_that_would_unpack_to_more_than_fits_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "LARGEST", 100)
    with pytest.raises(DataError, match="GiB when unpacked"):
        transitions.load(archive(tmp_path))


def test_other_common_names_of_arrays_are_understood(tmp_path):
    names = {"observations": "observation", "actions": "action", "rewards": "reward", "next_observations": "next_observation",
             "terminals": "terminated"}
    np.savez(tmp_path / "batch.npz", timeouts=np.array([0, 0, 0, 0, 1]), **{name: arrays()[ours] for name, ours in names.items()})
    same(transitions.load(tmp_path / "batch.npz"))


def test_forces_that_are_whole_numbers_count_as_such_where_the_environment_says_so(tmp_path):
    forces = archive(tmp_path, action=np.array([[0], [1], [1], [0], [1]]), **wide())
    assert transitions.load(forces, environment="InvertedPendulum-v5").action[:, 0].tolist() == [0, 1, 1, 0, 1]


def test_a_batch_without_an_environment_says_how_to_name_one(tmp_path):
    with pytest.raises(DataError, match="--environment ID"):
        transitions.load(archive(tmp_path)).split(0)
    batch = sets.load(Source(str(archive(tmp_path, **wide())), (("environment", "InvertedPendulum-v5"),)), "transitions")
    assert batch.split(0)[1].seeds == batch.split(0)[1].seeds != batch.split(1)[1].seeds


@pytest.mark.parametrize("end", ["low", "high"])
def test_bounds_of_a_file_other_than_its_environments_are_refused_and_infinite_ones_give_way(tmp_path, end):
    sign = -1 if end == "low" else 1
    for told in (100.0, 1.0):
        said = rf"batch.npz: action_{end} is \[{sign * told}\], but in InvertedPendulum-v5 it is \[{sign * 3.0}\]"
        with pytest.raises(DataError, match=said):
            transitions.load(archive(tmp_path, **{f"action_{end}": np.array([sign * told])}, **wide()), environment="InvertedPendulum-v5")
    for told in (sign * np.inf, sign * 3.00001):
        batch = transitions.load(archive(tmp_path, **{f"action_{end}": np.array([told])}, **wide()), environment="InvertedPendulum-v5")
        assert (batch.action_low, batch.action_high) == ([-3], [3])
    alone = transitions.load(archive(tmp_path, **{f"action_{end}": np.array([sign * np.inf])}))
    assert (alone.action_low, alone.action_high) == ([-1], [1])


def test_the_environments_name_may_be_bytes_or_an_array_of_one(tmp_path):
    for name in (np.array(["InvertedPendulum-v5"]), np.array(b"InvertedPendulum-v5")):
        assert transitions.load(archive(tmp_path, environment=name, **wide())).environment == "InvertedPendulum-v5"


@pytest.mark.parametrize("cut", ["timeouts", "ended"])
def test_without_next_observations_the_next_row_is_taken_where_cuts_are_told(tmp_path, cut):
    """A third episode is cut after one row, so that it has no transition; the task's end leaves its row."""
    seen = np.concatenate([OBSERVATIONS[0][:3], OBSERVATIONS[1], [[99.0, 99.0]]])
    flags = {"terminated": np.array([0, 0, 1, 0, 0, 0, 0]), cut: np.array([0, 0, 0, 0, 0, 1, 1])}
    rows = {"observation": seen, "action": np.concatenate([ACTIONS, [[0], [0]]]), "reward": np.append(REWARDS, [0, 0])}
    file = archive(tmp_path, next_observation=None, **rows, **flags)
    following = arrays()["next_observation"]
    following[2] = seen[2]
    same(transitions.load(file), next_observation=following)
    turned = {name: np.roll(array, 4, 0) for name, array in (rows | flags).items()}  # the episodes that are cut come first
    assert transitions.load(archive(tmp_path, next_observation=None, **turned)).ended.tolist() == [False, True, False, False, True]
    rows["reward"][3] = np.nan
    with pytest.raises(DataError, match="row 3: reward is missing"):
        transitions.load(archive(tmp_path, next_observation=None, **rows, **flags))


def test_a_log_of_single_steps_that_all_terminate_is_doubted(tmp_path):
    with pytest.warns(UserWarning, match="batch.npz: every one of the 5 episodes has a single step"):
        batch = transitions.load(archive(tmp_path, terminated=np.ones(5)))
    assert batch.ended.all()


def test_an_archive_cut_short_and_one_with_a_name_twice_are_told(tmp_path):
    whole = archive(tmp_path).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:len(whole) // 2])
    with pytest.raises(DataError, match="no zip archive, or cut short"):
        transitions.load(tmp_path / "cut.npz")
    with zipfile.ZipFile(tmp_path / "batch.npz", "a") as members, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        members.writestr("reward.npy", b"")
    with pytest.raises(DataError, match="2 arrays are called 'reward'"):
        transitions.load(tmp_path / "batch.npz")


def test_a_batch_is_written_for_whom_the_umask_allows_under_any_usual_name(tmp_path):
    batch, before = transitions.load(archive(tmp_path)), os.umask(0o027)
    try:
        for name in ("A.NPZ", "mine/task-v1.0"):
            transitions.save(batch, tmp_path / name)
    finally:
        os.umask(before)
    assert (tmp_path / "A.NPZ").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "mine" / "task-v1.0").stat().st_mode & 0o777 == 0o750
    assert content_hash(transitions.load(tmp_path / "A.NPZ")) == content_hash(transitions.load(tmp_path / "mine" / "task-v1.0"))
    assert not list(tmp_path.rglob("*.part"))


def test_other_files_are_refused(tmp_path):
    for name, text in (("batch.txt", "a"), ("batch.npz", ""), ("batch.npz", "text"), ("batch.hdf5", "text"), ("batch.csv", ""),
                       ("batch.csv", "a,b\n1,2\n")):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=name):
            transitions.load(tmp_path / name)
    with pytest.raises(DataError, match="no main_data"):
        transitions.load(tmp_path)
    with pytest.raises(DataError, match="not written as"):
        transitions.save(transitions.load(archive(tmp_path)), tmp_path / "batch.csv")


def test_a_set_is_made_once_and_read_the_second_time(monkeypatch):
    monkeypatch.delenv("BAKEOFF_DATA", raising=False)
    first = sets.load(Source("inverted-pendulum-imperfect"), "transitions")
    monkeypatch.setattr(collect, "collected", None)
    second = sets.load(Source("inverted-pendulum-imperfect"), "transitions")
    assert content_hash(first) == content_hash(second)
    assert len(list((places.cache() / "batches").iterdir())) == 1


def test_every_set_that_is_made_here_names_a_behaviour_and_a_task_that_exist():
    found = {name: one for name, one in sets.SETS.items() if one.loader in sets.MADE and "transitions" in one.kind}
    assert {"hopper-half", "hopper-gauss3", "halfcheetah-ranked", "swimmer-early", "cartpole-mixed", "pendulum-random"} <= set(found)
    for name, one in found.items():
        options = dict(one.options)
        assert options.get("behaviour", "half") in collect.BEHAVIOURS, name
        with Environment(options["environment"]).make() as task:
            assert hasattr(task.action_space, "n") == (one.kind == "discrete_transitions"), name
        said = re.match(r"([\d,]+) ", one.says)[1].replace(",", "")
        assert said in (options.get("steps"), options.get("episodes")), name
        assert "made here in" in one.says, name
