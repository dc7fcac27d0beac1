"""DDPG with hindsight: its target and discount by hand, a solved line of states, what it learns from, any Gymnasium environment."""

import numpy as np
import pytest
import torch
from torch import nn

from bakeoff.baselines.hindsight_ddpg import HindsightDDPG
from bakeoff.data.four_rooms import FourRooms, demonstrate, gymnasium_environment
from bakeoff.data.kinds.demonstrations import Demonstrations
from bakeoff.errors import DataError, NotFitted
from bakeoff.parts.replay import slow_copy

SHOWN = Demonstrations(**demonstrate(4, seed=1), action_low=[-1, -1], action_high=[1, 1])
SMALL = {"hidden": (16, 16), "batch_size": 32, "demonstration_batch": 16, "updates": 0.1}


class Corridor:
    """A point on a line from 0 that moves by its action; the goal is 1.5 to 3.5 away, and reached within half a step."""

    copies, observation_dim, goal_dim = 8, 1, 1
    action_low, action_high = -np.ones(1, np.float32), np.ones(1, np.float32)

    def reset(self, seed):
        self.place, self.clock = np.zeros((self.copies, 1)), 0
        self.goal = np.random.default_rng(seed).uniform(1.5, 3.5, (self.copies, 1))
        return self.place.copy(), self.goal.copy()

    def step(self, action):
        self.place, self.clock = self.place + np.clip(action, -1, 1), self.clock + 1
        return self.place.copy(), self.place.copy(), self.reached(self.place, self.goal) | (self.clock >= 6)

    def reached(self, achieved, goal):
        return np.abs(np.asarray(achieved) - goal).max(-1) <= 0.5


def walks() -> Demonstrations:
    place = np.arange(5.0)[:, None]
    return Demonstrations(place[:4], np.ones((4, 1)), place[1:], place[1:], np.full((4, 1), 4.0), [0, 0, 0, 1], [-1.0], [1.0])


@pytest.fixture(scope="module")
def solved():
    return HindsightDDPG(discount=0.5, hidden=(32, 32), learning_rate=3e-3, batch_size=64, demonstration_batch=32, effort=0.0, updates=1.0,
                         moments=4).fit(Corridor(), walks(), steps=1200)


def test_on_a_line_it_goes_straight_and_a_value_is_the_discount_for_each_step_before_the_last(solved):
    place, goal = np.zeros((3, 1)), np.array([[1.0], [2.0], [3.0]])
    action = solved.act(place, goal)
    assert (action > 0.8).all()
    np.testing.assert_allclose(solved.value(place, np.ones((3, 1)), goal), [1.0, 0.5, 0.25], atol=0.12)
    estimate, came = solved.estimates(Corridor(), seed=0)
    np.testing.assert_allclose(estimate, came, atol=0.2)
    assert set(np.log2(came).tolist()) <= {-1.0, -2.0, -3.0}


def test_the_target_is_the_reward_or_the_discounted_value_after_it_kept_in_its_bounds():
    learner = HindsightDDPG(discount=0.5, learning_rate=0.0, effort=0.0)
    learner._prepared(Corridor(), walks())
    heard = []

    class Critic(nn.Module):  # its value is its first input; it hears the target as the slope of the loss
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(1))

        def forward(self, x):
            value = self.gain * x[:, :1]
            if value.requires_grad and not heard:
                value.register_hook(heard.append)
            return value

    learner._critic = Critic()
    learner._networks = nn.ModuleList([learner._actor, learner._critic])
    learner._slow = slow_copy(learner._networks)
    learner._optimiser = torch.optim.SGD(learner._networks.parameters(), 0.0)
    after = torch.tensor([[0.6, 0.0], [0.6, 0.0], [9.0, 0.0], [-1.0, 0.0]])
    reward = torch.tensor([0.0, 1.0, 0.0, 0.0])
    learner._descend(torch.zeros(4, 2), torch.zeros(4, 1), after, reward, 1 - reward, None)
    np.testing.assert_allclose(heard[0][:, 0] * 4 / 2, -torch.tensor([0.3, 1.0, 1.0, 0.0]), atol=1e-6)  # slope of the mean square at 0


def test_what_is_given_is_spent_and_kept_at_equal_moments():
    spent = []
    policy = HindsightDDPG(**SMALL, moments=5).fit(FourRooms(copies=3, horizon=20), SHOWN, 200, lambda value, amount: spent.append(amount))
    assert sum(spent) == 200
    moments = [steps for steps, _ in policy.history]
    assert len(moments) == 5
    assert all(asked <= found for asked, found in zip((40, 80, 120, 160, 200), moments, strict=True))
    assert moments[-1] == 200
    x, goal = SHOWN.observation[:5], SHOWN.goal[:5]
    assert torch.equal(policy.history[-1][1].act(x, goal), policy.act(x, goal))
    assert not torch.equal(policy.history[0][1].act(x, goal), policy.act(x, goal))


def test_a_gymnasium_environment_teaches_as_the_world_of_one_copy_does():
    policy = HindsightDDPG(**SMALL).fit(gymnasium_environment(horizon=15), SHOWN, 60)
    again = HindsightDDPG(**SMALL).fit(gymnasium_environment(horizon=15), SHOWN, 60)
    assert torch.equal(policy.act(SHOWN.observation, SHOWN.goal), again.act(SHOWN.observation, SHOWN.goal))
    untaught = HindsightDDPG(**SMALL | {"updates": 0.0}).fit(gymnasium_environment(horizon=15), SHOWN, 60)
    assert not torch.equal(policy.act(SHOWN.observation, SHOWN.goal), untaught.act(SHOWN.observation, SHOWN.goal))


def test_demonstrations_of_another_task_and_use_before_fit_are_told():
    with pytest.raises(DataError, match=r"sizes \(1, 1, 1\)") as told:
        HindsightDDPG().fit(FourRooms(), walks(), 10)
    assert "(2, 2, 2)" in told.value.hint
    for use in (lambda policy: policy.act([[0.0]], [[0.0]]), lambda policy: policy.value([[0.0]], [[0.0]], [[0.0]])):
        with pytest.raises(NotFitted):
            use(HindsightDDPG())
