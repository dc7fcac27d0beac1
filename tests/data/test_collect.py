"""Batches made here: the search learns, errors come as asked, the same procedure gives the same bytes."""

import numpy as np
import pytest

from bakeoff.data import collect
from bakeoff.data.kinds.environment import Environment
from bakeoff.data.kinds.records import content_hash

TASK = {"learning_steps": 20_000, "step_size": 0.3, "noise": 1.0}


@pytest.fixture(scope="module")
def batch():
    return collect.imperfect("InvertedPendulum-v5", steps=1000, random_share=0.3, action_noise=0.3, **TASK)


def test_the_statistics_are_those_of_all_observations_together():
    seen = np.random.default_rng(0).normal(3, 2, (50, 4))
    policy = collect.Linear(np.ones((1, 4)), -1, 1)
    for part in (seen[:7], seen[7:30], seen[30:]):
        policy.watch(part)
    matrix, offset = policy.affine(policy.weight)
    np.testing.assert_allclose(policy.mean, seen.mean(0))
    np.testing.assert_allclose(matrix @ seen.T + offset[:, None], ((seen - seen.mean(0)) / seen.std(0, ddof=1)).sum(1)[None], atol=1e-12)


def test_the_learned_policy_beats_random_actions_and_errors_cost_it(batch):
    facts = dict(batch.behaviour)
    assert facts["return without errors"] > 3 * facts["return"] > 6 * facts["return of random actions"]


class Doubling:
    """Episodes of one step, from -1 or 1, that cost the squared distance of the action from twice the observation."""

    action_space = observation_space = type("Space", (), {"shape": (1,), "low": np.array([-5.0]), "high": np.array([5.0])})

    def reset(self, seed):
        self.now = np.array([-1.0 if seed % 2 else 1.0])
        return self.now, {}

    def step(self, action):
        return self.now, -float((action[0] - 2 * self.now[0]) ** 2), True, False, {}


def test_the_search_finds_a_known_optimum():
    act = collect.learn(Doubling(), np.random.default_rng(0), learning_steps=8000, step_size=0.1, noise=0.3).policy()
    assert act(np.array([1.0]))[0] == pytest.approx(2, abs=0.1)
    assert act(np.array([-1.0]))[0] == pytest.approx(-2, abs=0.1)


def test_rows_follow_one_another_within_an_episode(batch):
    inside = ~batch.ended[:-1]
    np.testing.assert_array_equal(batch.next_observation[:-1][inside], batch.observation[1:][inside])
    assert batch.terminated[batch.ended][:-1].all()
    assert not batch.terminated[~batch.ended].any()
    assert dict(batch.behaviour)["episodes"] == batch.ended.sum()


def test_a_step_of_the_batch_is_a_step_of_the_task(batch):
    with Environment("InvertedPendulum-v5").make() as task:
        task.reset(seed=0)
        for row in (0, 10, 500):
            seen = batch.observation[row].astype(float)
            task.unwrapped.set_state(seen[:2], seen[2:])
            following, reward, terminated, *_ = task.step(batch.action[row])
            np.testing.assert_allclose(following, batch.next_observation[row], atol=1e-4)
            assert (reward, terminated) == (batch.reward[row], batch.terminated[row])


def test_the_same_procedure_gives_the_same_bytes(batch):
    again = collect.imperfect("InvertedPendulum-v5", steps=1000, random_share=0.3, action_noise=0.3, **TASK)
    assert content_hash(again) == content_hash(batch)
    other = collect.imperfect("InvertedPendulum-v5", steps=1000, random_share=0.0, action_noise=0.0, **TASK)
    assert other.reward.sum() == pytest.approx(1000, abs=5)
    assert content_hash(other) != content_hash(batch)
