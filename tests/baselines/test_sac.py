"""SAC: its targets by hand, the way of its temperature, and values as linear algebra has them."""

import math

import gymnasium
import numpy as np
import pytest
import torch

from bakeoff.baselines.sac import SAC
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.errors import DataError, NotFitted


def bandit(count=500) -> Transitions:
    """One step that pays minus the squared distance of the action from 0.4."""
    action = np.random.default_rng(0).uniform(-1, 1, (count, 1))
    start, every = np.ones((count, 1)), np.ones(count)
    return Transitions(start, action, -((action[:, 0] - 0.4) ** 2), start, every, every, [-1.0], [1.0])


class Drawn(torch.nn.Module):
    """A policy that always draws 0.25, with log-density 2; critics that say a + 1 and 2 a."""

    def sample(self, observation, rng):
        return torch.full((len(observation), 1), 0.25), torch.full((len(observation),), 2.0)

    def forward(self, observation, action):
        return torch.stack([action[:, 0] + 1, 2 * action[:, 0]])


@pytest.mark.parametrize("discount", [0.5, 0.9])
def test_the_target_is_the_smaller_critic_with_the_price_of_being_certain(discount):
    policy = SAC(discount=discount)
    policy._policy = policy._slow_critics = Drawn()
    policy._log_temperature, policy._rng = torch.tensor(0.1).log(), torch.Generator()
    target = policy._target(torch.tensor([10.0, 20.0]), torch.zeros(2, 1), torch.tensor([1.0, 0.0]))
    assert target.tolist() == pytest.approx([10 + discount * (0.5 - 0.1 * 2), 20])


@pytest.mark.parametrize("wanted", [-1.0, 0.5])
def test_the_temperature_rises_where_entropy_is_wanting_and_falls_where_there_is_too_much(wanted):
    policy = SAC(hidden=(8,), entropy=wanted, temperature=0.3)
    policy.fit(bandit(), steps=0)
    observation, draws = torch.ones(1000, 1), torch.Generator()
    draws.set_state(policy._rng.get_state())
    entropy = -policy._policy.sample(observation, draws)[1].mean()
    policy._policy_loss(observation).backward(inputs=[policy._log_temperature])
    assert policy._log_temperature.grad.item() == pytest.approx(entropy.item() - wanted, abs=1e-5)  # below 0 it rises
    assert (entropy < wanted) == (wanted == 0.5)


def test_the_policy_climbs_the_smaller_critic_less_the_temperature_times_its_log_density():
    policy = SAC(hidden=(8,), temperature=0.3)
    policy.fit(bandit(), steps=0)
    observation, draws = torch.ones(6, 1), torch.Generator()
    draws.set_state(policy._rng.get_state())
    action, log_density = policy._policy.sample(observation, draws)
    loss = (0.3 * log_density - policy._critics(observation, action).amin(0)).mean()
    expected = torch.autograd.grad(loss, list(policy._policy.parameters()))
    found = torch.autograd.grad(policy._policy_loss(observation), list(policy._policy.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_entropy_wanted_comes_about_whatever_the_task_pays():
    for wanted in (-1.0, 0.0):
        policy = SAC(hidden=(16,), learning_rate=1e-2, batch_size=64, entropy=wanted).fit(bandit(), steps=600)
        draws = policy._policy.sample(torch.ones(4000, 1), torch.Generator().manual_seed(0))[1]
        assert -draws.mean().item() == pytest.approx(wanted, abs=0.25)


def test_two_states_have_the_values_of_linear_algebra():
    """0 -> 1 pays 1, 1 -> 0 pays -2, whatever is done; and entropy is worth nothing."""
    discount, state, rng = 0.7, np.tile([0, 1], 50), np.random.default_rng(0)
    reward = np.where(state == 0, 1.0, -2.0)
    batch = Transitions(np.eye(2)[state], rng.uniform(-1, 1, (100, 1)), reward, np.eye(2)[1 - state], np.zeros(100), np.zeros(100), [-1.0],
                        [1.0])
    exact = np.linalg.solve(np.eye(2) - discount * np.eye(2)[[1, 0]], [1.0, -2.0])
    policy = SAC(hidden=(16,), discount=discount, learning_rate=5e-3, batch_size=64, rate=0.05, temperature=1e-9).fit(batch, steps=800)
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
    policy = SAC(hidden=(32,), learning_rate=1e-2, batch_size=64, seed=1).practise(Aim(), steps=600, warm_up=100, on_step=heard.append)
    assert policy.act(np.ones((1, 1))).item() == pytest.approx(5, abs=0.3)
    assert len(heard) == 600
    assert np.mean(heard[:100]) == pytest.approx(-(4**2 / 12 + 1), abs=0.5)  # of uniform actions: their variance and the square of the bias
    again = SAC(hidden=(32,), learning_rate=1e-2, batch_size=64, seed=1).practise(Aim(), steps=600, warm_up=100)
    assert torch.equal(again.act(np.ones((1, 1))), policy.act(np.ones((1, 1))))


def test_from_a_batch_it_finds_the_action_that_pays_most():
    policy = SAC(hidden=(32, 32), learning_rate=3e-3, batch_size=64).fit(bandit(), steps=600)
    assert policy.act(np.ones((1, 1))).item() == pytest.approx(0.4, abs=0.15)
    assert math.exp(policy._log_temperature.item()) < 0.5


def test_it_learns_before_it_acts_and_from_continuous_actions():
    with pytest.raises(NotFitted):
        SAC().act(np.ones((1, 1)))
    with gymnasium.make("CartPole-v1") as cart, pytest.raises(DataError, match="this method is for continuous actions"):
        SAC().practise(cart)
