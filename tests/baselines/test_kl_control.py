"""KL-control: its fixed point beside soft value iteration, and its limits."""

import numpy as np
import pytest
import torch

from bakeoff.baselines.kl_control import DiscreteKLControl
from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions

SETTINGS = {"hidden": (), "learning_rate": 0.01, "batch_size": 256, "target_every": 20, "discount": 0.8}
STATES = np.eye(3)
AFTER, REWARD = np.array([[1, 2], [0, 2], [2, 0]]), np.array([[0.0, 1.0], [0.5, 0.0], [0.2, 0.0]])
COUNT = np.array([[30, 10], [10, 30], [20, 20]])


def batch(reward=REWARD) -> DiscreteTransitions:
    state, action = (np.repeat(one.ravel(), COUNT.ravel()) for one in np.indices(COUNT.shape))
    every = np.ones(len(state), bool)
    return DiscreteTransitions(STATES[state], action, reward[state, action], STATES[AFTER[state, action]], ~every, every, actions=2)


@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_the_values_are_those_of_soft_value_iteration_from_the_batchs_policy(scale):
    prior, value = COUNT / COUNT.sum(1, keepdims=True), np.zeros((3, 2))
    for _ in range(200):
        value = REWARD + 0.8 * (scale * np.log((prior * np.exp(value / scale)).sum(1)))[AFTER]
    policy = DiscreteKLControl(scale=scale, **SETTINGS).fit(batch(), steps=2000)
    found = torch.stack([policy.value(STATES, np.full(3, action)) for action in range(2)], 1)
    np.testing.assert_allclose(found, value, atol=0.06)


def test_without_reward_the_policy_is_that_of_the_batch():
    policy = DiscreteKLControl(scale=0.5, **SETTINGS).fit(batch(np.zeros((3, 2))), steps=1500)
    np.testing.assert_allclose(policy.log_probability(STATES).exp(), COUNT / COUNT.sum(1, keepdims=True), atol=0.05)


def test_a_small_scale_gives_the_greedy_policy_and_a_large_one_the_batchs():
    near, far = (DiscreteKLControl(scale=scale, **SETTINGS).fit(batch(), steps=1500) for scale in (0.02, 50.0))
    value = np.zeros((3, 2))
    for _ in range(200):
        value = REWARD + 0.8 * value.max(1)[AFTER]
    assert near.act(STATES).tolist() == value.argmax(1).tolist()
    assert far.act(STATES[:2]).tolist() == COUNT[:2].argmax(1).tolist()
    assert near.act(STATES[:2]).tolist() != far.act(STATES[:2]).tolist()


def test_it_is_charged_with_the_divergence_of_its_policy_from_the_batchs():
    policy = DiscreteKLControl(scale=0.7, hidden=(16,)).fit(batch(), steps=30)
    ours = torch.distributions.Categorical(logits=policy.log_probability(STATES))
    prior = torch.distributions.Categorical(logits=policy._asked(STATES)[1])
    torch.testing.assert_close(policy.charges(STATES), 0.7 * torch.distributions.kl_divergence(ours, prior))
