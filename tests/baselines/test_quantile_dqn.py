"""Quantile DQN: its loss at a known distribution, its values where they can be computed."""

import numpy as np
import pytest
import torch

from bakeoff.baselines.quantile_dqn import QuantileDQN, quantile_loss
from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions


def descended(target, count, kappa):
    found = torch.zeros(1, count, requires_grad=True)
    optimiser = torch.optim.LBFGS([found], max_iter=200, tolerance_change=1e-12, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = quantile_loss(found, target, kappa)
        value.backward()
        return value

    for _ in range(5):
        optimiser.step(loss)
    return found.detach()[0]


def test_the_loss_is_least_at_the_quantiles_of_the_distribution():
    uniform = torch.linspace(0, 10, 1001)[None]
    np.testing.assert_allclose(descended(uniform, 5, kappa=0.01), [1, 3, 5, 7, 9], atol=0.05)  # levels 0.1, 0.3, 0.5, 0.7, 0.9


def test_with_one_quantile_the_loss_is_half_of_hubers():
    found, target = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [1.5]])
    expected = torch.nn.functional.smooth_l1_loss(found, target) / 2
    torch.testing.assert_close(quantile_loss(found, target), expected)


def test_a_reward_of_1_or_3_at_even_odds_has_these_two_as_its_quantiles():
    every = np.ones((400, 1))
    batch = DiscreteTransitions(every, np.zeros(400), np.where(np.arange(400) % 2, 1.0, 3.0), every, every[:, 0], every[:, 0], actions=1)
    policy = QuantileDQN(quantiles=4, hidden=(), learning_rate=0.01, batch_size=200).fit(batch, steps=1200)
    found = policy.distribution([[1.0]])[0, 0].sort().values
    known = descended(torch.tensor([[1.0, 3.0]]), 4, kappa=1.0)  # the quantiles of the two, drawn in by kappa
    np.testing.assert_allclose(found, known, atol=0.1)
    assert policy.value([[1.0]], [0]).item() == pytest.approx(2, abs=0.05)


def test_the_discount_is_the_one_given():
    every, ends = np.ones((50, 1)), np.zeros(50, bool)
    batch = DiscreteTransitions(every, np.zeros(50), every[:, 0], every, ends, np.arange(50) == 49, actions=1)
    for discount, value in ((0.5, 2.0), (0.8, 5.0)):
        policy = QuantileDQN(quantiles=3, hidden=(), learning_rate=0.05, target_every=30, discount=discount).fit(batch, steps=2000)
        assert policy.value([[1.0]], [0]).item() == pytest.approx(value, rel=0.01)  # 1 / (1 - discount)
