"""Batches made here: the search learns, errors come as asked, the same procedure gives the same bytes."""

import numpy as np
import pytest

from bakeoff.data import collect
from bakeoff.data.kinds.environment import Environment
from bakeoff.data.kinds.records import content_hash

TASK = {"learning_steps": 20_000, "step_size": 0.3, "noise": 1.0}
CART = {"learning_steps": 20_000, "step_size": 0.02, "noise": 0.1, "directions": 4, "kept": 2}


@pytest.fixture(scope="module")
def batch():
    return collect.collected("InvertedPendulum-v5", behaviour="imperfect", steps=1000, **TASK)


def test_the_statistics_are_those_of_all_observations_together():
    seen = np.random.default_rng(0).normal(3, 2, (50, 4))
    policy = collect.Linear(np.ones((1, 4)), None)
    for part in (seen[:7], seen[7:30], seen[30:]):
        policy.watch(part)
    matrix, offset = policy.affine(policy.weight)
    np.testing.assert_allclose(policy.mean, seen.mean(0))
    np.testing.assert_allclose(matrix @ seen.T + offset[:, None], ((seen - seen.mean(0)) / seen.std(0, ddof=1)).sum(1)[None], atol=1e-12)


def test_the_learned_policy_beats_random_actions_and_errors_cost_it(batch):
    facts = dict(batch.behaviour)
    assert facts["return of the expert"] > 3 * facts["return"] > 6 * facts["return of random actions"]


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


def test_the_search_learns_from_another_reward_if_told_and_counts_every_episode():
    counted = []

    def halving(observations, actions):
        assert observations.shape == (2, 1)
        assert actions.shape == (1, 1)
        return -((actions[:, 0] - observations[:-1, 0] / 2) ** 2)

    learned = collect.learn(Doubling(), np.random.default_rng(0), learning_steps=8000, step_size=0.1, noise=0.3, reward=halving,
                            on_step=lambda gained, steps: counted.append((gained, steps)))
    assert learned.policy()(np.array([1.0]))[0] == pytest.approx(0.5, abs=0.1)
    assert sum(steps for _, steps in counted) == learned.seen == 8000
    assert np.mean([gained for gained, _ in counted[:16]]) < -0.2 < np.mean([gained for gained, _ in counted[-100:]])
    assert len(learned.checkpoints) == 500
    assert learned.checkpoints[-1](np.array([1.0])) == learned.policy()(np.array([1.0]))


class Bending(Doubling):
    """Episodes of three steps, at -1, 0 and 1, where the action is to be the observation's square, about its mean: 1/3, -2/3, 1/3."""

    def reset(self, seed):
        self.now = np.array([-1.0])
        return self.now, {}

    def step(self, action):
        cost = float((action[0] - self.now[0] ** 2 + 2 / 3) ** 2)
        self.now = self.now + 1
        return self.now, -cost, bool(self.now[0] > 1), False, {}


def test_a_policy_that_sees_products_bends_and_another_does_not():
    straight, bent = (collect.learn(Bending(), np.random.default_rng(0), learning_steps=9_000, step_size=0.1, noise=0.3, products=one)
                      .policy() for one in (False, True))
    at = [np.array([one]) for one in (-1.0, 0.0, 1.0)]
    np.testing.assert_allclose([bent(one)[0] for one in at], [1 / 3, -2 / 3, 1 / 3], atol=0.05)
    assert abs(straight(at[0])[0] + straight(at[2])[0] - 2 * straight(at[1])[0]) < 1e-9
    seen = collect.Linear(np.zeros((1, 5)), None, products=True)._seen(np.array([[2.0, 3.0]]))
    assert seen.tolist() == [[2, 3, 4, 6, 9]]


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
    again = collect.collected("InvertedPendulum-v5", behaviour="imperfect", steps=1000, **TASK)
    assert content_hash(again) == content_hash(batch)
    other = collect.collected("InvertedPendulum-v5", behaviour="expert", steps=1000, **TASK)
    assert other.reward.sum() == pytest.approx(1000, abs=5)
    assert content_hash(other) != content_hash(batch)


def test_choices_are_learned_and_half_trained_is_about_half():
    batch = collect.collected("CartPole-v1", behaviour="half", steps=3000, **CART)
    facts = dict(batch.behaviour)
    assert facts["return of the expert"] > 450
    assert facts["return of random actions"] < 50
    share = (facts["return of the half-trained"] - facts["return of random actions"]) / (
        facts["return of the expert"] - facts["return of random actions"])
    assert share == pytest.approx(0.5, abs=0.15)
    assert batch.actions == 2
    assert set(batch.action) == {0, 1}


def test_a_mix_has_the_shares_that_it_names():
    assert [(part.share, part.policy, part.random_share) for part in collect.BEHAVIOURS["eps3"]] == [
        (0.4, "half", 0), (0.4, "half", 0.3), (0.2, "random", 0)]
    batch = collect.collected("CartPole-v1", behaviour="eps3", steps=5000, **CART)
    assert batch.ended[[1999, 3999, 4999]].all()
    half, _, random = np.split(batch.ended, [2000, 4000])
    assert len(half) / half.sum() > 3 * len(random) / random.sum()  # episodes are longer where the pole stands longer


def test_a_share_of_choices_is_random():
    part = collect.Part(1.0, "expert", random_share=0.3)
    with Environment("CartPole-v1").make() as task:
        rng = np.random.default_rng(0)
        act = collect._erring(task, {"expert": lambda seen: 0, "random": collect._uniform(task, rng)}, part, rng)
        assert np.mean([act(None) for _ in range(4000)]) == pytest.approx(0.15, abs=0.02)


def test_gaussian_noise_has_the_deviation_it_names():
    part = collect.Part(1.0, "expert", noise=0.3)
    with Environment("InvertedPendulum-v5").make() as task:  # actions from -3 to 3
        act = collect._erring(task, {"expert": lambda seen: np.zeros(1), "random": None}, part, np.random.default_rng(0))
        assert np.std([act(None) for _ in range(4000)]) == pytest.approx(0.9, rel=0.05)


def test_demonstrated_actions_are_sampled_about_the_checkpoints_own():
    class Long(Doubling):
        def step(self, action):
            self.count = getattr(self, "count", 0) + 1
            return self.now, 0.0, False, self.count % 1000 == 0, {}

    learned = collect.Linear(np.full((1, 1), 2.0), Doubling.action_space)
    batch = collect._demonstrated(Long(), "", [learned.policy()], learned, np.random.default_rng(0))
    assert np.std(batch.action) == pytest.approx(collect.SAMPLED * 5, rel=0.08)  # actions from -5 to 5
    assert np.mean(batch.action) == pytest.approx(2 * batch.observation[0, 0], abs=0.15)


def test_ranked_episodes_come_one_from_each_checkpoint_and_grow_better():
    batch = collect.ranked("CartPole-v1", episodes=6, until=1.0, **CART)
    returns = [part.sum() for part in np.split(batch.reward, np.flatnonzero(batch.ended)[:-1] + 1)]
    assert len(returns) == 6
    assert np.mean(returns[:2]) < np.mean(returns[-2:])
    assert dict(batch.behaviour)["return of the best episode"] == max(returns)


def test_early_episodes_are_worse_than_the_experts():
    facts = dict(collect.early("CartPole-v1", episodes=3, share=0.3, **CART).behaviour)
    assert facts["episodes"] == 3
    assert facts["return of random actions"] < facts["return"] < 0.7 * facts["return of the expert"]
