"""The packaged batches: what is packed comes back, bit for bit; wrong files are told."""

import numpy as np
import pytest

from bakeoff.data import batch_files
from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
from bakeoff.errors import DataError


def batch(count=40, episode=7) -> DiscreteTransitions:
    rng = np.random.default_rng(0)
    seen = rng.random((count + 1, 5, 3, 2)) < 0.3
    ended = np.arange(1, count + 1) % episode == 0
    ended[-1] = True
    following = np.where(ended[:, None, None, None], rng.random((count, 5, 3, 2)) < 0.5, seen[1:])
    terminated = ended & (rng.random(count) < 0.5)
    return DiscreteTransitions(seen[:-1], rng.integers(4, size=count), rng.integers(3, size=count), following, terminated,
                               ended, 4, "MinAtar/Breakout-v1", (("return", 2.5), ("episodes", 6.0)))


def test_a_batch_comes_back_as_it_was_packed(tmp_path):
    batch_files.pack(batch(), tmp_path / "packed.npz")
    found, known = batch_files.unpacked((tmp_path / "packed.npz").read_bytes()), batch()
    for field in ("observation", "action", "reward", "next_observation", "terminated", "ended"):
        np.testing.assert_array_equal(getattr(found, field), getattr(known, field))
        assert getattr(found, field).dtype == getattr(known, field).dtype
    assert (found.actions, found.environment, found.behaviour) == (4, "MinAtar/Breakout-v1", known.behaviour)


def test_rows_that_do_not_follow_one_another_are_not_packed(tmp_path):
    one = batch()
    shuffled = DiscreteTransitions(one.observation[::-1], one.action, one.reward, one.next_observation, one.terminated, one.ended, 4)
    with pytest.raises(DataError, match="do not follow"):
        batch_files.pack(shuffled, tmp_path / "packed.npz")


def test_a_file_with_other_bytes_is_told():
    with pytest.raises(DataError, match="not the file it should be"):
        batch_files.packaged(name="breakout-epsilon", sha256="0" * 64)
