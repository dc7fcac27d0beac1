"""Batches of frames on disk: each frame kept once, the stacks those that were played, wrong files told."""

import itertools
import shutil

import numpy as np
import pytest

from bakeoff.claim import Source
from bakeoff.data import arcade, discrete_transitions, frame_files, sets
from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
from bakeoff.data.kinds.environment import Environment
from bakeoff.data.kinds.frame_transitions import FrameTransitions
from bakeoff.data.kinds.records import content_hash
from bakeoff.errors import DataError

ABOUT = 3, "", (("return", 2.5), ("episodes", 4.0))
LENGTHS = 5, 1, 2, 9  # of episodes: shorter than a stack, and longer


def steps() -> list[tuple]:
    """Four episodes of stacks of four, as a game gives them: the first frame repeated, then one frame more a step."""
    rng, made = np.random.default_rng(0), []
    for length in LENGTHS:
        now = np.repeat(rng.integers(256, size=(6, 5, 1), dtype=np.uint8), 4, -1)
        for step in range(length):
            following = np.concatenate([now[..., 1:], rng.integers(256, size=(6, 5, 1), dtype=np.uint8)], -1)
            over = step == length - 1
            made.append((now, rng.integers(3), rng.integers(-1, 2), following, over and length != 9, over))
            now = following
    return made


@pytest.fixture
def folder(tmp_path):
    frame_files.write(tmp_path / "batch", steps(), lambda: ABOUT)
    return tmp_path / "batch"


def test_stacks_are_those_that_were_played_across_the_ends_of_episodes(folder):
    played = DiscreteTransitions(*(np.array(column) for column in zip(*steps(), strict=True)), *ABOUT)
    assert content_hash(discrete_transitions.load(folder).in_memory()) == content_hash(played)
    rows = [16, 4, 5, 6, 0, 4]  # out of order, an episode's first and last, one twice
    np.testing.assert_array_equal(discrete_transitions.load(folder).stacks(rows), played.observation[rows])
    np.testing.assert_array_equal(discrete_transitions.load(folder).stacks(rows, after=1), played.next_observation[rows])


def test_every_frame_is_on_disk_once_and_stays_there(folder):
    batch = discrete_transitions.load(folder)
    assert isinstance(batch.frames, np.memmap)
    assert batch.frames.shape == (sum(LENGTHS) + len(LENGTHS), 6, 5)
    assert (folder / "frames.npy").stat().st_size == batch.frames.nbytes + batch.frames.offset
    with pytest.raises(ValueError, match="read-only"):
        batch.frames[0] = 0


def test_atari_is_played_to_disk_as_it_is_seen(tmp_path):
    with arcade.make("Atari/Breakout-v0") as game:
        actions, name, seen = int(game.action_space.n), "Atari/Breakout-v0", []

        def played(limit):
            for episode in itertools.count():
                now, over = game.reset(seed=episode)[0], False
                while not over:
                    action = len(seen) % actions
                    following, reward, terminated, truncated, _ = game.step(action)
                    over = terminated or truncated or len(seen) + 1 == limit or len(seen) % 20 == 19
                    seen.append((now, following))
                    yield now, action, reward, following, terminated, over
                    now = following
                    if len(seen) == limit:
                        return

        frame_files.write(tmp_path / "atari", played(50), lambda: (actions, name, ()))
    batch = sets.load(Source(str(tmp_path / "atari")), "discrete_transitions")
    for after, column in enumerate(zip(*seen, strict=True)):
        np.testing.assert_array_equal(batch.stacks(np.arange(50), after), np.array(column))
    assert (batch.actions, batch.observation_shape, batch.ended.sum()) == (actions, (84, 84, 4), 3)
    train, test = batch.split(0)
    assert train is batch
    assert isinstance(test, Environment)
    assert test.name == name


def cut(folder):
    path = folder / "frames.npy"
    path.write_bytes(path.read_bytes()[:-1])


def lengthened(folder):
    path = folder / "frames.npy"
    path.write_bytes(path.read_bytes() + b"\0")


def flipped(folder):
    path = folder / "frames.npy"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def with_steps(**changed):
    def change(folder):
        with np.load(folder / "steps.npz") as held:
            arrays = {name: held[name] for name in held.files} | changed
        np.savez(folder / "steps.npz", **{name: array for name, array in arrays.items() if array is not None})
    return change


def headed(shape):
    def change(folder):
        words = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}".ljust(117).encode() + b"\n"
        (folder / "frames.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(words).to_bytes(2, "little") + words + bytes(256))
    return change


@pytest.mark.parametrize(("damage", "told"), [
    (cut, "frames.npy cannot be read: mmap length"), (lengthened, "frames.npy is no plain array of frames"),
    (flipped, "frames.npy is damaged: its checksum is"),
    (lambda folder: (folder / "frames.npy").write_bytes(b""), "frames.npy cannot be read"),
    (lambda folder: (folder / "frames.npy").write_bytes(b"frames" * 100), "frames.npy cannot be read"),
    (lambda folder: np.save(folder / "frames.npy", np.zeros((21, 6, 5), np.float32)), "frames: found float32 of shape"),
    (lambda folder: np.save(folder / "frames.npy", np.array([None] * 21)), "frames.npy cannot be read"),
    (lambda folder: np.save(folder / "frames.npy", np.zeros((20, 6, 5), np.uint8)), "found 20 frames\nExpected 21, for 17 steps in 4 "),
    (lambda folder: (folder / "steps.npz").unlink(), "steps.npz lacks action, .* found nothing"),
    (lambda folder: (folder / "steps.npz").write_bytes((folder / "steps.npz").read_bytes()[:-50]), "steps.npz cannot be read"),
    (with_steps(reward=None), "steps.npz lacks reward; found"), (with_steps(crc32=np.array("x")), "crc32 is x"),
    (with_steps(action=np.zeros(16, int)), r"action: found shape \(16,\)"),
    (with_steps(action=np.full(17, 3)), "action: found choices from 3 to 3"),
    (with_steps(action=np.full(17, 0.5)), "action: found float64"), (with_steps(reward=np.full(17, np.nan)), "reward: found missing"),
    (with_steps(ended=np.zeros(17, bool)), "ended: found no end"), (with_steps(terminated=np.ones(17, bool)), "terminated: found true"),
    (with_steps(actions=np.array([3, 3])), r"actions is \[3 3\]"), (with_steps(fact=np.array(["a"])), "batch: "),
    (with_steps(actions=np.array(10**12)), "actions is 10+\nGive a whole number"), (with_steps(stacked=np.array(1.7)), "stacked is 1.7"),
    (with_steps(stacked=np.array(10**9)), "stacked is"), (with_steps(crc32=np.array(np.nan)), "crc32 is nan"),
    (with_steps(terminated=np.full(17, 0.5)), "terminated holds float64"),
    (headed("(9223372036854775808, 8, 8)"), "frames.npy"), (headed("(-4, 8, 8)"), "frames.npy"), (headed("(True, 8, 8)"), "frames.npy"),
    (headed("((4, 8, 8)"), "frames.npy cannot be read"),
    (with_steps(environment=np.array("os:Task-v0")), "a module would be imported"),
    (with_steps(environment=np.array("CartPole-v1")), r"observations of size \(6, 5, 4\), 3 actions\nCartPole-v1 has .* \(4,\) and 2 ")])
def test_a_damaged_folder_is_told(folder, damage, told):
    damage(folder)
    with pytest.raises(DataError, match=told):
        discrete_transitions.load(folder)


def test_frames_unlike_the_first_and_folders_that_cannot_be_made_are_told(folder, tmp_path):
    first, *others = steps()
    for wrong in (first[3][:4], first[3].astype(np.float32)):
        with pytest.raises(DataError, match="step 1 has frames of"):
            frame_files.write(tmp_path / "other", [first, (*others[0][:3], wrong, *others[0][4:])], lambda: ABOUT)
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name, told in (("link", "there already"), (240 * "a", "cannot be made"), (folder.name, "there already")):
        with pytest.raises(DataError, match=told):
            frame_files.makeable(tmp_path / name)
    frame_files.makeable(tmp_path / "free")
    assert {one.name for one in tmp_path.iterdir()} == {folder.name, "link"}


def test_what_was_loaded_is_saved_as_it_was(folder, tmp_path):
    batch = discrete_transitions.load(folder)
    discrete_transitions.save(batch, tmp_path / "again")
    for name in ("frames.npy", "steps.npz"):
        assert (tmp_path / "again" / name).stat().st_size == (folder / name).stat().st_size
    again = discrete_transitions.load(tmp_path / "again")
    assert again.behaviour == batch.behaviour
    np.testing.assert_array_equal(again.stacks(range(len(again)), after=1), batch.stacks(range(len(batch)), after=1))


def test_nothing_is_written_over_and_nothing_is_left_half_written(folder, tmp_path):
    with pytest.raises(DataError, match="is there already"):
        frame_files.write(folder, steps(), lambda: ABOUT)
    shutil.rmtree(folder)

    def broken():
        yield from steps()[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frame_files.write(folder, broken(), lambda: ABOUT)
    with pytest.raises(DataError, match="no steps"):
        frame_files.write(folder, [], lambda: ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_a_single_frame_is_a_whole_observation_where_one_is_stacked():
    batch = FrameTransitions(np.arange(4, dtype=np.uint8).reshape(4, 1, 1), [0, 0], [1, 1], [0, 0], [1, 1], actions=1, stacked=1)
    assert batch.stacks([0, 1]).ravel().tolist() == [0, 2]
    assert batch.stacks([0, 1], after=1).ravel().tolist() == [1, 3]
