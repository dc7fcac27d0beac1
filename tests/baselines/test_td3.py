"""TD3: its target on a hand example, the delay of the actor, values as linear algebra has them, and what it does beyond the batch."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from bakeoff.baselines.td3 import TD3
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.errors import DataError, NotFitted


def bandit(count=500) -> Transitions:
    """One step that pays the action itself, tried only between -0.5 and 0.5."""
    action = np.random.default_rng(0).uniform(-0.5, 0.5, (count, 1))
    start, every = np.ones((count, 1)), np.ones(count)
    return Transitions(start, action, action[:, 0], start, every, every, [-1.0], [1.0])


class Fixed(torch.nn.Module):
    """A pair of critics, a + 1 and 2 a, or an actor that always gives `action`."""

    def __init__(self, action=None):
        super().__init__()
        self.action = action

    def forward(self, observation, action=None):
        if self.action is not None:
            return torch.full((len(observation), 1), self.action)
        return torch.stack([action[:, 0] + 1, 2 * action[:, 0]])


def test_the_target_is_the_smaller_critic_at_a_blurred_action_and_stops_where_the_task_does():
    policy = TD3(noise=0.0, discount=0.5)
    policy._slow_actor, policy._slow_critics, policy._rng = Fixed(0.25), Fixed(), torch.Generator().manual_seed(0)
    reward, following, alive = torch.tensor([10.0, 20.0]), torch.zeros(2, 1), torch.tensor([1.0, 0.0])
    target = policy._target(reward, following, alive)
    assert target.tolist() == [10 + 0.5 * 0.5, 20]  # min(1.25, 0.5) = 0.5

    policy.noise = 100.0  # every draw is clipped: 0.25 -+ 0.5 gives min(0.75, -0.5) or min(1.75, 1.5)
    following = torch.zeros(200, 1)
    values = (policy._target(torch.zeros(200), following, torch.ones(200)) / 0.5).round(decimals=2)
    assert {-0.5, 1.5} <= set(values.tolist())
    assert values.min() == -0.5
    assert values.max() == 1.5

    policy._slow_actor = Fixed(0.9)  # the blurred action stays in its bounds: at most 1
    assert policy._target(torch.zeros(200), following, torch.ones(200)).max() == 0.5 * 2


def test_the_actor_moves_once_in_every_delay_of_steps():
    def actor(steps):
        return torch.cat([one.flatten() for one in TD3(hidden=(8,), delay=3).fit(bandit(), steps=steps)._actor.parameters()])

    start = actor(0)
    assert torch.equal(actor(2), start)
    assert not torch.equal(actor(3), start)
    assert torch.equal(actor(5), actor(3))


def test_it_leaves_what_the_batch_has_tried():
    policy = TD3(hidden=(32, 32), learning_rate=3e-3, seed=1).fit(bandit(), steps=300)
    assert policy.act(np.ones((1, 1))).item() > 0.9  # never seen beyond 0.5
    assert policy.value(np.ones((1, 1)), np.array([[0.4]])).item() == pytest.approx(0.4, abs=0.05)


def test_actions_are_in_the_units_of_their_bounds_whatever_these_are():
    plain = bandit()
    batch = replace(plain, action=4 + 2 * plain.action, action_low=[2.0], action_high=[6.0])
    now = np.ones((1, 1))
    first, second = (TD3(hidden=(16,), seed=3).fit(one, steps=50).act(now).item() for one in (plain, batch))
    assert second == pytest.approx(4 + 2 * first, abs=1e-3)


def test_the_critics_loss_is_told_every_step_and_falls():
    heard = []
    TD3(hidden=(32,), learning_rate=3e-3).fit(bandit(), steps=100, on_step=heard.append)
    assert len(heard) == 100
    assert np.mean(heard[-20:]) < 0.1 * np.mean(heard[:20])


def test_two_states_have_the_values_of_linear_algebra():
    """0 -> 1 pays 1, 1 -> 0 pays -2, whatever is done."""
    discount, state, rng = 0.7, np.tile([0, 1], 50), np.random.default_rng(0)
    batch = Transitions(np.eye(2)[state], rng.uniform(-1, 1, (100, 1)), np.where(state == 0, 1.0, -2.0), np.eye(2)[1 - state],
                        np.zeros(100), np.zeros(100), [-1.0], [1.0])
    exact = np.linalg.solve(np.eye(2) - discount * np.eye(2)[[1, 0]], [1.0, -2.0])
    policy = TD3(hidden=(16,), discount=discount, learning_rate=5e-3, rate=0.1).fit(batch, steps=800)
    np.testing.assert_allclose(policy.value(np.eye(2), np.array([[0.3], [-0.6]])), exact, atol=0.05)


class Aim(gymnasium.Env):
    """One step that pays minus the squared distance of the action, between 2 and 6, from 5."""

    observation_space, action_space = gymnasium.spaces.Box(0, 1, (1,)), gymnasium.spaces.Box(2, 6, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action)
        return np.ones(1, np.float32), -float((action[0] - 5) ** 2), True, False, {}


def test_it_learns_by_acting_within_the_actions_bounds():
    heard = []
    policy = TD3(hidden=(32, 32), learning_rate=3e-3, seed=1).practise(Aim(), steps=800, warm_up=100, on_step=heard.append)
    assert policy.act(np.ones((1, 1))).item() == pytest.approx(5, abs=0.3)
    assert len(heard) == 800
    assert np.mean(heard[:100]) == pytest.approx(-(4**2 / 12 + 1), abs=0.5)  # of uniform actions: their variance and the square of the bias
    assert np.mean(heard[-100:]) == pytest.approx(-(0.2**2), abs=0.1)  # noise of 0.1 halves of the range
    with gymnasium.make("CartPole-v1") as cart, pytest.raises(DataError, match="this method is for continuous actions"):
        policy.practise(cart)


def test_a_policy_learns_before_it_acts():
    with pytest.raises(NotFitted):
        TD3().act(np.ones((1, 1)))
