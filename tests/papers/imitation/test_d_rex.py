"""D-REX: uniform at noise 1 and the clone at noise 0, runs that noise ranks, steps that are counted, T-REX in the end."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from bakeoff.data.kinds.transitions import Transitions
from bakeoff.errors import DataError
from bakeoff.papers.imitation.d_rex import DREX
from bakeoff.papers.imitation.t_rex import TREX
from bakeoff.parts.policy_search import Search

SMALL = {"noise": (1.0, 0.5, 0.0), "rollouts": 2, "cloning_steps": 300, "ensemble": 2, "snippet": 5, "hidden": (16,), "reward_steps": 60,
         "batch_size": 16, "learning_rate": 0.01, "search": Search(horizon=25)}
TASK = "InvertedPendulum-v5"


def demonstrations(environment=TASK) -> Transitions:
    """A pendulum on a cart kept upright by a linear law, from many places."""
    rng = np.random.default_rng(0)
    states = rng.uniform(-0.3, 0.3, (600, 4))
    action = np.clip(states @ np.array([[0.5], [8.0], [0.5], [1.5]]), -3, 3)
    every = np.arange(1, 601) % 100 == 0
    return Transitions(states, action, np.ones(600), states, every & False, every, [-3], [3], environment)


@pytest.fixture(scope="module")
def learned():
    spent = []
    found = DREX(**SMALL, seed=2).fit(demonstrations(), steps=4000, on_step=lambda value, count: spent.append((value, count)))
    return found, spent


def test_at_noise_one_actions_are_uniform_and_at_noise_zero_the_clones(learned):
    policy, states = learned[0], demonstrations().observation
    rng = np.random.default_rng(1)
    wild = np.concatenate([policy.disturbed(states, 1.0, rng)[:, 0] for _ in range(10)])
    counts = np.histogram(wild, bins=20, range=(-3, 3))[0]
    assert counts.sum() == 6000
    assert chisquare(counts).pvalue > 0.01
    assert torch.equal(policy.disturbed(states, 0.0, rng), policy._clone.act(states))


def test_at_noise_between_that_share_of_the_actions_is_random(learned):
    policy, states = learned[0], demonstrations().observation
    rng = np.random.default_rng(1)
    same = np.concatenate([(policy.disturbed(states, 0.3, rng) == policy._clone.act(states))[:, 0] for _ in range(10)])
    assert same.mean() == pytest.approx(0.7, abs=0.02)


def test_noise_makes_the_runs_worse(learned):
    curve = learned[0].noise_curve()
    assert [level for level, _ in curve] == [1.0, 0.5, 0.0]
    assert curve[0][1] < curve[1][1] < curve[2][1]


def test_noisy_runs_and_search_together_spend_no_more_than_was_granted(learned):
    policy, spent = learned
    (nothing, runs), *searched, (rest, left) = spent
    assert nothing is rest is None
    assert runs == sum(len(run.rewards) for level in policy._runs for run in level)
    assert runs + sum(count for _, count in searched) + left == 4000
    assert len(searched) % 8 == 0
    assert searched


def test_two_levels_of_noise_are_t_rex_with_two_ranks(learned):
    settings = SMALL | {"noise": (0.9, 0.1)}
    policy = DREX(**settings).fit(demonstrations(), steps=1)
    runs = [run for level in policy._runs for run in level]
    states = np.concatenate([run.observations for run in runs])
    ends = np.concatenate([np.arange(1, len(run.rewards) + 1) == len(run.rewards) for run in runs])
    zeros = np.zeros(len(states))
    joined = Transitions(states, zeros[:, None], zeros, states, zeros, ends, [-3], [3])
    shared = {name: settings[name] for name in ("ensemble", "snippet", "hidden", "reward_steps", "batch_size", "learning_rate")}
    alone = TREX(**shared, flipped=0.0)
    alone.fit(joined, ranks=[0, 0, 1, 1])
    torch.testing.assert_close(policy.reward(states), alone.reward(states))


def test_demonstrations_without_an_environment_are_told():
    with pytest.raises(DataError, match="in which environment"):
        DREX(**SMALL).fit(demonstrations(""), steps=10)
