"""DQN: its target by hand with and without the double choice, and values as linear algebra has them."""

import gymnasium
import numpy as np
import pytest
import torch

from bakeoff.baselines.dqn import DQN
from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
from bakeoff.errors import DataError, NotFitted

FOLLOWING, REWARD = np.array([[0, 1], [0, 1]]), np.array([[1.0, -0.5], [0.0, 2.0]])  # of state and action; from 1, action 1 ends the task
ENDS = np.array([[False, False], [False, True]])


def two_states() -> DiscreteTransitions:
    state, action = (one.ravel() for one in np.mgrid[:2, :2])
    ends = ENDS[state, action]
    return DiscreteTransitions(np.eye(2)[state], action, REWARD[state, action], np.eye(2)[FOLLOWING[state, action]], ends, ends, actions=2)


def solved(discount: float, policy: tuple[int, int]) -> np.ndarray:
    """Q (2, 2) of a policy, from V = (I - discount P)^-1 r."""
    rows = np.arange(2), np.array(policy)
    onward = np.eye(2)[FOLLOWING[rows]] * ~ENDS[rows][:, None]
    value = np.linalg.solve(np.eye(2) - discount * onward, REWARD[rows])
    return REWARD + discount * ~ENDS * value[FOLLOWING]


def constant(*values: float) -> torch.nn.Module:
    """A network of the same values everywhere."""
    layer = torch.nn.Linear(1, len(values))
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor(values))
    return layer


@pytest.mark.parametrize("discount", [0.5, 0.9])
def test_the_double_target_asks_the_slow_network_where_the_network_is_greatest(discount):
    reward, following, alive = torch.tensor([10.0, 20.0]), torch.zeros(2, 1), torch.tensor([1.0, 0.0])
    for double, asked in ((True, 3.0), (False, 7.0)):
        policy = DQN(double=double, discount=discount)
        policy._network, policy._slow = constant(1.0, 5.0, 2.0), constant(7.0, 3.0, 4.0)
        assert policy._target(reward, following, alive).tolist() == pytest.approx([10 + discount * asked, 20])


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize(("discount", "best"), [(0.8, (0, 0)), (0.2, (0, 1))])
def test_a_solved_problem_of_two_states_has_the_values_of_linear_algebra(double, discount, best):
    exact = solved(discount, best)
    assert exact.argmax(1).tolist() == list(best)  # so that these are the optimal values
    policy = DQN(double=double, hidden=(), discount=discount, learning_rate=0.03, batch_size=16, target_every=10)
    policy.fit(two_states(), steps=1200)
    np.testing.assert_allclose(policy.values(np.eye(2)), exact, atol=0.02)
    np.testing.assert_allclose(policy.value(np.eye(2), [1, 0]), exact[[0, 1], [1, 0]], atol=0.02)
    assert policy.act(np.eye(2)).tolist() == list(best)


def test_the_slow_network_is_the_network_of_the_last_copy():
    def weights(steps):
        policy = DQN(hidden=(4,), target_every=3).fit(two_states(), steps=steps)
        return [torch.cat([one.flatten() for one in network.parameters()]) for network in (policy._network, policy._slow)]

    start, third = weights(0)[0], weights(3)[0]
    assert torch.equal(weights(2)[1], start)
    assert torch.equal(weights(3)[1], third)
    assert torch.equal(weights(5)[1], third)
    assert not torch.equal(weights(5)[0], third)


def test_the_loss_grows_in_a_straight_line_beyond_one():
    policy = DQN(hidden=())
    policy.fit(two_states(), steps=0)
    observation, action, alive = torch.eye(2), torch.tensor([0, 1]), torch.zeros(2)
    apart = torch.tensor([0.5, 3.0])
    reward = policy.value(observation, np.array([0, 1])) + apart
    assert policy._update(observation, action, reward, observation, alive).item() == pytest.approx((0.5 * 0.5**2 + 3.0 - 0.5) / 2)


class Guess(gymnasium.Env):
    """One step: a picture is lit in one of three places, and that place is the action that pays 1."""

    observation_space, action_space = gymnasium.spaces.Box(0, 1, (3, 3, 3), bool), gymnasium.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.lit = int(self.np_random.integers(3))
        return self.picture(self.lit), {}

    def step(self, action):
        return self.picture(self.lit), float(action == self.lit), True, False, {}

    @staticmethod
    def picture(lit):
        picture = np.zeros((3, 3, 3), bool)
        picture[lit, 1, 2] = True
        return picture


def test_it_learns_by_acting_on_pictures():
    heard = []
    policy = DQN(hidden=(32,), learning_rate=3e-3, batch_size=32).practise(Guess(), steps=600, warm_up=50, on_step=heard.append)
    assert policy.act(np.stack([Guess.picture(lit) for lit in range(3)])).tolist() == [0, 1, 2]
    assert len(heard) == 600
    assert np.mean(heard[-100:]) > 0.85 > 0.6 > np.mean(heard[:50])
    again = DQN(hidden=(32,), learning_rate=3e-3, batch_size=32).practise(Guess(), steps=600, warm_up=50)
    assert torch.equal(again.values(Guess.picture(1)[None]), policy.values(Guess.picture(1)[None]))


def test_it_learns_before_it_acts_and_from_discrete_actions():
    with pytest.raises(NotFitted):
        DQN().act(np.ones((1, 2)))
    with gymnasium.make("Pendulum-v1") as pendulum, pytest.raises(DataError, match="this method is for discrete actions"):
        DQN().practise(pendulum)
