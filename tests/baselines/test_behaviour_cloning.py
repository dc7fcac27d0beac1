"""Cloning: the mean action as least squares has it, the shares of discrete actions as counts have them."""

import numpy as np
import pytest
import torch

from bakeoff.baselines.behaviour_cloning import BehaviourCloning, DiscreteBehaviourCloning
from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.errors import DataError, NotFitted


def linear(count=40, low=-3.0, high=5.0) -> Transitions:
    """Actions that are linear in the observation, plus much noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 3))
    action = (x @ rng.normal(0, 0.3, (3, 2)) + 1 + 0.7 * rng.normal(size=(count, 2))).clip(low, high)
    return Transitions(x, action, x[:, 0], x, np.ones(count), np.ones(count), [low] * 2, [high] * 2)


def counts() -> DiscreteTransitions:
    """At the first state 3 of 4 choose action 2, at the second all choose action 0."""
    state = np.repeat(np.eye(2), [4, 4], axis=0)
    return DiscreteTransitions(state, [2, 2, 1, 2, 0, 0, 0, 0], np.ones(8), state, np.ones(8), np.ones(8), actions=3)


def test_without_hidden_layers_cloning_is_least_squares():
    batch = linear()
    design = np.column_stack([batch.observation, np.ones(len(batch))])
    solution = np.linalg.lstsq(design, batch.action, rcond=None)[0]
    now = np.random.default_rng(1).uniform(-1, 1, (20, 3))
    policy = BehaviourCloning(hidden=(), learning_rate=0.01, batch_size=2000).fit(batch, steps=600)
    np.testing.assert_allclose(policy.act(now), np.column_stack([now, np.ones(20)]) @ solution, atol=0.05)


def test_actions_stay_in_their_bounds():
    policy = BehaviourCloning(hidden=(), learning_rate=0.01).fit(linear(), steps=300)
    far = policy.act(1000 * np.eye(3))
    assert set(far.flatten().tolist()) == {-3.0, 5.0}


def test_discrete_cloning_gives_the_shares_of_the_batch():
    policy = DiscreteBehaviourCloning(hidden=(16,), learning_rate=0.01, batch_size=500).fit(counts(), steps=600)
    shares = policy.log_probability(np.eye(2)).exp()
    torch.testing.assert_close(shares, torch.tensor([[0, 0.25, 0.75], [1, 0, 0]]), atol=0.03, rtol=0)
    assert policy.act(np.eye(2)).tolist() == [2, 0]


def test_the_loss_told_is_that_of_the_minibatch():
    batch, heard = linear(), []
    policy = BehaviourCloning(hidden=(), batch_size=20_000).fit(batch, steps=1, on_step=heard.append)
    start = BehaviourCloning(hidden=()).fit(batch, steps=0)
    error = (start._network(torch.tensor(batch.observation)) - start._box.unit(torch.tensor(batch.action))).square().mean()
    assert heard == pytest.approx([error.item()], rel=0.03)
    assert not torch.equal(policy._network[0].weight, start._network[0].weight)


@pytest.mark.parametrize(("policy", "other", "now"), [(BehaviourCloning(), counts(), np.ones((1, 3))),
                                                      (DiscreteBehaviourCloning(), linear(), np.ones((1, 2)))])
def test_it_learns_before_it_acts_and_from_the_right_sort_of_actions(policy, other, now):
    with pytest.raises(NotFitted):
        policy.act(now)
    with pytest.raises(DataError, match="this method is for"):
        policy.fit(other)
