"""Episodes side by side are the episodes one by one; returns, chance and overestimates equal sums done by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bakeoff.data.kinds.environment import Environment
from bakeoff.parts import rollouts

TEST = Environment("InvertedPendulum-v5", (3, 4, 9))
BATCH = SimpleNamespace(reward=np.array([1.0, 2, 3, 4, 5]), ended=np.array([0, 0, 1, 0, 1], bool))


class Leaning:
    """Pushes against the lean of the pole, too weakly for it to stay up for long."""

    discount = 0.5

    def act(self, observation):
        return torch.as_tensor(observation, dtype=torch.float32)[:, 1:2] * 0.5

    def value(self, observation, action):
        return torch.full((len(observation),), 3.0)


def alone(seed):
    with TEST.make() as task:
        now, rewards, ended = task.reset(seed=seed)[0], [], False
        while not ended:
            now, reward, terminated, truncated, _ = task.step(np.float32(now[1:2]) * np.float32(0.5))
            rewards.append(reward)
            ended = terminated or truncated
    return rewards


def test_episodes_side_by_side_are_those_that_run_alone():
    made = rollouts.episodes(Leaning().act, TEST)
    assert [one.rewards.tolist() for one in made] == [alone(seed) for seed in TEST.seeds]
    assert all(one.terminated and len(one.observations) == len(one.actions) == len(one.rewards) for one in made)


def test_a_time_limit_ends_an_episode_without_terminating_it():
    made = rollouts.episodes(lambda now: np.zeros((len(now), 1)), Environment("Pendulum-v1", (0,)))
    assert not made[0].terminated
    assert len(made[0].rewards) == 200


def test_discounted_returns_are_the_sums_by_hand():
    one = rollouts.Episode(np.zeros((4, 1)), np.zeros((4, 1)), np.array([1.0, -2, 0, 8]), True)
    weights = 0.9 ** np.arange(4)
    np.testing.assert_allclose(one.returns(0.9), [one.rewards[step:] @ weights[:4 - step] for step in range(4)])


def test_discrete_actions_come_as_whole_numbers_from_policy_and_from_chance():
    test = Environment("CartPole-v1", (0, 1))
    made = rollouts.episodes(lambda now: torch.ones(len(now), dtype=torch.int64), test)
    assert made[0].actions.dtype == np.int64
    assert made[0].actions.shape == made[0].rewards.shape
    assert 8 <= len(made[0].rewards) <= 11  # pushed one way only, it falls at once
    assert rollouts.by_chance(test) > 11


def test_chance_is_the_same_each_time_and_another_from_other_starts():
    assert rollouts.by_chance(TEST) == rollouts.by_chance(TEST)
    assert rollouts.by_chance(TEST) != rollouts.by_chance(Environment(TEST.name, (5, 6, 7, 8)))


def test_the_score_counts_every_reward_and_compares_the_value_with_what_came():
    scored = rollouts.judged(Leaning(), BATCH, TEST)
    each = [alone(seed) for seed in TEST.seeds]
    found, chance = np.mean([sum(one) for one in each]), rollouts.by_chance(TEST)
    came = np.mean([np.array(one) @ 0.5 ** np.arange(len(one)) for one in each])
    assert scored["return"] == pytest.approx(found)
    assert scored["return of the batch"] == (6 + 9) / 2
    assert scored["scaled return"] == pytest.approx((found - chance) / (7.5 - chance))
    assert scored["overestimate"] == pytest.approx(3 - came)
    assert "overestimate" not in rollouts.judged(SimpleNamespace(act=Leaning().act), BATCH, TEST)


def test_what_values_are_charged_with_is_taken_off_what_came_from_the_next_step_on():
    class Charged(Leaning):
        def charges(self, observation):
            return torch.arange(1.0, len(observation) + 1)

    one = rollouts.Episode(np.zeros((3, 1)), np.zeros((3, 1)), np.array([10.0, 20.0, 40.0]), True)
    last, middle = 40, 20 - 0.5 * 3 + 0.5 * 40  # the state of the last step is the third, and so on
    assert rollouts.came_of(Charged(), one).tolist() == [10 - 0.5 * 2 + 0.5 * middle, middle, last]
    assert rollouts.came_of(Leaning(), one).tolist() == one.returns(0.5).tolist()


def test_steps_after_the_last_end_are_an_episode_of_their_own():
    assert rollouts.demonstrated(SimpleNamespace(reward=np.ones(9), ended=np.isin(np.arange(9), (2, 5)))) == 3
