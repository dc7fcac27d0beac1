"""Games as environments: repeatable from a seed, Atari's frames made small as an area average, clear words about what is missing."""

import sys

import gymnasium
import numpy as np
import pytest

from bakeoff.data import arcade
from bakeoff.data.kinds.environment import Environment
from bakeoff.errors import DataError, MissingPackage


@pytest.mark.parametrize("name", ["MinAtar/Breakout-v1", "MinAtar/SpaceInvaders-v1", "Atari/Breakout-v0"])
def test_the_same_seed_and_actions_give_the_same_game(name):
    def game(seed):
        with Environment(name).make() as made:
            seen, total = [made.reset(seed=seed)[0]], 0.0
            for step in range(60):
                observation, reward, terminated, _, _ = made.step(step % int(made.action_space.n))
                seen.append(observation)
                total += reward
                if terminated:
                    break
            return np.array(seen), total

    (first, total), (again, same), (other, _) = game(3), game(3), game(4)
    np.testing.assert_array_equal(first, again)
    assert total == same
    assert other.shape != first.shape or (other != first).any()


def test_atari_shows_the_last_four_frames_each_the_larger_of_two_made_small():
    made = arcade.make("Atari/Breakout-v0")
    raw = gymnasium.make("ALE/Breakout-v5", frameskip=1, repeat_action_probability=0.25, obs_type="grayscale", max_episode_steps=-1)
    start, _ = made.reset(seed=1)
    frame, _ = raw.reset(seed=1)
    fine = np.repeat(np.repeat(frame.astype(float), 2, 0), 21, 1)  # (420, 3360): 5 by 40 of these make one of 84 by 84
    np.testing.assert_allclose(start[..., 3], fine.reshape(84, 5, 84, 40).mean((1, 3)), atol=0.51)
    for action in (1, 2):
        seen, *_ = made.step(action)
        frames = [raw.step(action)[0] for _ in range(4)]
    larger = np.maximum(*frames[2:]).astype(float)
    fine = np.repeat(np.repeat(larger, 2, 0), 21, 1).reshape(84, 5, 84, 40).mean((1, 3))
    np.testing.assert_allclose(seen[..., 3], fine, atol=0.51)
    np.testing.assert_array_equal(seen[..., 1], start[..., 3])
    made.close()
    raw.close()


@pytest.mark.parametrize("name", ["MinAtar/Chess-v1", "Atari/Chess-v0"])
def test_a_game_that_there_is_not_is_told(name):
    with pytest.raises(DataError, match="no environment"):
        arcade.make(name)


@pytest.mark.parametrize(("name", "module", "package"), [("MinAtar/Breakout-v1", "minatar.gym", "MinAtar"),
                                                         ("Atari/Breakout-v0", "ale_py", "ale-py")])
def test_a_missing_package_is_named(monkeypatch, name, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(gymnasium.registry, "MinAtar/Breakout-v1", raising=False)
    with pytest.raises(MissingPackage, match=package):
        arcade.make(name)
