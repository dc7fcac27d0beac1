"""Minari data sets: what the real package writes is read here, and the other way round; hostile files are refused."""

import json

import gymnasium
import h5py
import minari
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer

from bakeoff.data import discrete_transitions, minari_files, transitions
from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
from bakeoff.data.kinds.records import content_hash
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.errors import DataError

OBSERVATIONS = np.arange(8.0).reshape(4, 2) / 10


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The folder in which Minari keeps its data sets."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


def recorded(root, task, name):
    """Two episodes of random actions as Minari writes them, and the rows as they happened."""
    environment, rows, buffers = gymnasium.make(task, max_episode_steps=40), [], []
    environment.action_space.seed(0)
    for seed in (0, 1):
        seen, over = [environment.reset(seed=seed)[0]], False
        start = len(rows)
        while not over:
            action = environment.action_space.sample()
            following, reward, terminated, truncated, _ = environment.step(action)
            rows.append((seen[-1], action, reward, following, terminated, over := terminated or truncated))
            seen.append(following)
        _, actions, rewards, _, terminations, ends = zip(*rows[start:], strict=True)
        buffers.append(EpisodeBuffer(observations=seen, actions=list(actions), rewards=list(rewards), terminations=list(terminations),
                                     truncations=[end and not over for end, over in zip(ends, terminations, strict=True)], infos={}))
    about = {"algorithm_name": "random", "author": "nobody", "author_email": "nobody@example.org", "code_permalink": "none",
             "description": "two episodes"}
    minari.create_dataset_from_buffers(name, buffers, env=environment, eval_env=environment, **about)
    environment.close()
    return root / name, [np.array(column) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize(("task", "module"), [("Pendulum-v1", transitions), ("CartPole-v1", discrete_transitions),
                                              ("InvertedPendulum-v5", transitions)])
def test_what_minari_collects_is_read_as_it_happened(root, task, module):
    folder, rows = recorded(root, task, "mine/test-v0")
    for path in (folder, folder / "data" / "main_data.hdf5"):
        batch = module.load(path)
        for name, column in zip(("observation", "action", "reward", "next_observation", "terminated", "ended"), rows, strict=True):
            np.testing.assert_array_equal(getattr(batch, name), column.astype(getattr(batch, name).dtype))
        assert batch.environment == task
    if module is discrete_transitions:
        assert batch.actions == 2
    else:
        assert batch.action_high.tolist() == [{"Pendulum-v1": 2, "InvertedPendulum-v5": 3}[task]]


def test_the_file_alone_needs_to_be_told_its_environment(root, tmp_path):
    folder, _ = recorded(root, "Pendulum-v1", "mine/test-v0")
    (folder / "data" / "main_data.hdf5").rename(tmp_path / "log.hdf5")
    batch = transitions.load(tmp_path / "log.hdf5")
    assert batch.environment == ""
    assert transitions.load(tmp_path / "log.hdf5", environment="Pendulum-v1").action_high.tolist() == [2]
    with pytest.raises(DataError, match="--environment ID"):
        batch.split(0)


def continuous(**changed):
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(7, 3))
    rows = {"observation": seen[[0, 1, 2, 4, 5]], "next_observation": seen[[1, 2, 3, 5, 6]], "action": rng.uniform(-2, 2, (5, 1)),
            "reward": rng.normal(size=5), "terminated": [0, 0, 1, 0, 0], "ended": [0, 0, 1, 0, 1], "action_low": [-2], "action_high": [2],
            "environment": "Pendulum-v1", "behaviour": (("return", 1.5),)}
    return Transitions(**rows | changed)


def discrete(seen):
    return DiscreteTransitions(seen[[0, 1, 2, 4, 5]], [0, 1, 2, 3, 0], np.arange(5.0), seen[[1, 2, 3, 5, 6]], terminated=[0, 0, 1, 0, 0],
                               ended=[0, 0, 1, 0, 1], actions=6)


IMAGES = np.random.default_rng(0).integers(256, size=(7, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(("batch", "module"), [
    (continuous(), transitions), (continuous(environment=""), transitions), (discrete(np.arange(14.0).reshape(7, 2)), discrete_transitions),
    (discrete(IMAGES), discrete_transitions), (discrete(IMAGES > 127), discrete_transitions)],
    ids=["continuous", "no environment", "discrete", "images", "bits"])
def test_what_is_written_minari_reads_and_so_do_we(root, batch, module):
    module.save(batch, root / "ours-v0")
    read = minari.load_dataset("ours-v0")
    assert (read.total_episodes, read.total_steps) == (2, 5)
    episodes = list(read.iterate_episodes())
    np.testing.assert_array_equal(np.concatenate([one.observations[:-1] for one in episodes]), batch.observation)
    np.testing.assert_array_equal(np.concatenate([one.observations[1:] for one in episodes]), batch.next_observation)
    np.testing.assert_array_equal(np.concatenate([one.actions for one in episodes]), batch.action)
    np.testing.assert_array_equal(np.concatenate([one.rewards for one in episodes]), batch.reward)
    np.testing.assert_array_equal(np.concatenate([one.terminations for one in episodes]), batch.terminated)
    np.testing.assert_array_equal(np.concatenate([one.truncations for one in episodes]), batch.ended & ~batch.terminated)
    if batch.environment:
        assert read.recover_environment().spec.id == batch.environment
        np.testing.assert_array_equal(read.action_space.high, batch.action_high)
    if module is discrete_transitions:
        assert read.action_space.n == 6
    assert content_hash(module.load(root / "ours-v0")) == content_hash(batch)


def test_nothing_is_written_over_and_nothing_half(tmp_path):
    transitions.save(continuous(), tmp_path / "ours-v0")
    with pytest.raises(DataError, match="is there already"):
        transitions.save(continuous(), tmp_path / "ours-v0")
    with pytest.raises(DataError, match="do not follow one another"):
        transitions.save(continuous(ended=[0, 0, 0, 0, 1]), tmp_path / "torn-v0")
    with pytest.raises(DataError, match="no environment"):
        transitions.save(continuous(environment="NoSuchTask-v0"), tmp_path / "unknown-v0")
    assert [one.name for one in tmp_path.iterdir()] == ["ours-v0"]


def written(folder, **changed):
    """Two episodes written by hand; a function among the changes gets the group and the name."""
    with h5py.File(folder / "log.hdf5", "w") as file:
        for number in range(2):
            group = file.create_group(f"episode_{number}")
            arrays = {"observations": OBSERVATIONS, "actions": np.full((3, 1), 0.5), "rewards": np.ones(3), "terminations": [0, 0, number]}
            for name, array in (arrays | changed).items():
                if callable(array):
                    array(group, name)
                elif array is not None:
                    group[name] = array
    return folder / "log.hdf5"


def elsewhere(group, name):
    group.create_dataset(name, (3,), "u1", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])


def virtual(group, name):
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("/etc/other.hdf5", "x", (3,))
    group.create_virtual_dataset(name, layout)


@pytest.mark.parametrize(("changed", "told"), [
    ({"terminations": None}, "episode_0: no plain array for terminations; found .*\nSay at every step whether the task ended"),
    ({"rewards": None}, "episode_0: no plain array for rewards; .*\nA Minari episode has"),
    ({"observations": lambda group, name: group.create_group(name).create_dataset("place", data=OBSERVATIONS)},
     r"no plain array for observations; found .*observations \(with place\)\nFlatten dictionary observations"),
    ({"rewards": [1, np.nan, 1]}, "episode_0, step 1: reward is missing or infinite; 2 of 6 rows are like that"),
    ({"terminations": [0, 1, 0]}, "log.hdf5, episode_0, step 1: the task ended here, but the episode goes on"),
    ({"actions": [0, 1, 2]}, "whole numbers from 0 to 2, choices among a few"),
    ({"observations": OBSERVATIONS[:3]}, "episode_0: 3 observations for 3 rewards"),
    ({"observations": OBSERVATIONS[:1], "rewards": [], "actions": [], "terminations": []}, "episode_0: 1 observations for 0 rewards"),
    ({"actions": np.ones((2, 1))}, "3 rewards, 2 actions, 3 terminations"),
    ({"rewards": np.array([b"1", b"2", b"3"])}, r"episode_0/rewards holds \|S1"),
    ({"rewards": lambda group, name: group.create_dataset(name, data=["1", "2", "3"], dtype=h5py.string_dtype())}, "rewards holds object"),
    ({"rewards": 1.0}, r"rewards holds float64 of shape \(\)"),
    ({"rewards": lambda group, name: group.__setitem__(name, h5py.ExternalLink("/etc/other.hdf5", "/x"))}, "rewards is a link"),
    ({"rewards": lambda group, name: group.__setitem__(name, h5py.SoftLink("/episode_0/terminations"))}, "rewards is a link"),
    ({"rewards": elsewhere}, "rewards is kept in another file"),
    ({"rewards": virtual}, "rewards is kept in another file"),
    ({"rewards": lambda group, name: group.create_dataset(name, (10**13,), "f4", chunks=(1000,))}, "GiB of arrays"),
])
def test_a_wrong_or_hostile_file_is_told(tmp_path, changed, told):
    with pytest.raises(DataError, match=told):
        transitions.load(written(tmp_path, **changed))


def test_episodes_of_one_step_are_read_and_doubted(tmp_path):
    one = {"observations": OBSERVATIONS[:2], "rewards": [1.0], "actions": [[0.5]]}
    with pytest.warns(UserWarning, match="every one of the 2 episodes has a single step"):
        assert len(transitions.load(written(tmp_path, terminations=[1], **one))) == 2
    with pytest.raises(DataError, match="all 2 episodes have a length of one step and no termination"):
        transitions.load(written(tmp_path, terminations=[0], **one))


def test_a_file_of_another_kind_is_told(tmp_path):
    for content in ({"stuff": np.zeros(3)}, {}, {"episode_0": h5py.SoftLink("/")}, {"episode_0": np.zeros(3)}):
        with h5py.File(tmp_path / "log.hdf5", "w") as file:
            for name, array in content.items():
                file[name] = array
        with pytest.raises(DataError, match=r"no Minari data set: there are no episodes|episode_0 is"):
            transitions.load(tmp_path / "log.hdf5")
    for content in (b"", b"\x89HDF\r\n\x1a\n" + bytes(50), b"text"):
        (tmp_path / "log.hdf5").write_bytes(content)
        with pytest.raises(DataError, match="cannot be read as a Minari data set"):
            transitions.load(tmp_path / "log.hdf5")


def test_a_flat_file_with_next_observations_is_read_as_an_archive(tmp_path):
    arrays = {"observations": np.arange(6.0).reshape(3, 2), "next_observations": np.arange(2.0, 8.0).reshape(3, 2),
              "actions": [[0.1], [0.2], [0.3]], "rewards": [1.0, 2, 3], "terminals": [0, 0, 0], "timeouts": [0, 0, 1]}
    with h5py.File(tmp_path / "log.hdf5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    batch = transitions.load(tmp_path / "log.hdf5")
    assert batch.reward.tolist() == [1, 2, 3]
    assert batch.ended.tolist() == [False, False, True]


def test_what_lies_beside_the_file_is_not_trusted(tmp_path):
    file = written(tmp_path)
    beside = tmp_path / "metadata.json"
    for text in ("no json", "[]", "{}", json.dumps({"env_spec": "[" * 100_000}), json.dumps({"env_spec": "[1]"})):
        beside.write_text(text)
        assert transitions.load(file).environment == ""
    for told, text in (("names the environment 'os:Task-v0'", {"env_spec": json.dumps({"id": "os:Task-v0"})}),
                       ("metadata.json cannot be read", {"action_space": json.dumps({"type": "Box", "low": "x", "high": []})}),
                       ("metadata.json cannot be read", {"action_space": "[1]"}),
                       ("metadata.json cannot be read", {"behaviour": {"return": "x"}})):
        beside.write_text(json.dumps(text))
        with pytest.raises(DataError, match=told):
            transitions.load(file)


def test_a_set_made_in_a_changed_environment_says_so(tmp_path):
    (tmp_path / "metadata.json").write_text(json.dumps({"env_spec": json.dumps({"id": "NoSuchTask-v0", "kwargs": {"g": 9.81}})}))
    with pytest.warns(UserWarning, match=r"made in NoSuchTask-v0 with {'g': 9.81}"):
        minari_files.read(written(tmp_path))


def test_a_set_in_minaris_other_form_and_a_folder_of_several_are_told(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "metadata.json").write_text(json.dumps({"data_format": "arrow"}))
    with pytest.raises(DataError, match=r"there is no main_data.hdf5, as the data set is kept in the form 'arrow'"):
        transitions.load(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        written(tmp_path / name).rename(tmp_path / name / "main_data.hdf5")
    with pytest.raises(DataError, match=r"there are 2 files main_data.hdf5"):
        transitions.load(tmp_path)
