"""The picture of a critic that is right is its diagonal; what a time limit cuts is not counted against it."""

import numpy as np
import torch

from bakeoff.data.kinds.environment import Environment
from bakeoff.parts.value_pictures import POINT, compared, estimates_against_returns, scattered

SWING = Environment("Pendulum-v1", (0,))


class Cartpole:
    """Always pushes to one side; a step pays 1."""

    discount = 0.5

    def act(self, observation):
        return torch.ones(len(observation), dtype=torch.int64)

    def value(self, observation, action):
        return 2 - 2 * 0.5 ** torch.arange(len(observation), 0, -1.0)  # what it pays, if asked along a whole episode


def test_a_critic_that_is_right_lies_on_the_diagonal():
    expected, came = compared(Cartpole(), Environment("CartPole-v1", (0, 1)))
    np.testing.assert_allclose(expected, came)
    points = (scattered(came, expected) == POINT).all(-1)
    assert points.sum() == np.diag(points[::-1]).sum() > 3


def test_states_whose_return_is_cut_by_the_time_limit_are_left_out():
    class Still(Cartpole):
        def act(self, observation):
            return torch.zeros(len(observation), 1)

    expected, came = compared(Still(), SWING)
    assert len(came) == len(expected) == 200 - 5  # 0.5^5 is the first below 0.05


def test_a_point_above_its_return_lies_above_the_diagonal_and_the_title_tells_both_means():
    points = (scattered(np.array([0.0, 1.0]), np.array([1.0, 2.0]), size=21) == POINT).all(-1)
    assert np.argwhere(points).tolist() == [[0, 10], [10, 0]]
    one = Environment("CartPole-v1", (0,))
    _, came = compared(Cartpole(), one)
    assert f"expected {came.mean():.4g}, came {came.mean():.4g} on average over {len(came)} states" in (
        estimates_against_returns(Cartpole(), one)[0].title)


def test_values_that_are_not_finite_are_not_drawn():
    class Diverged(Cartpole):
        def value(self, observation, action):
            return torch.full((len(observation),), torch.inf)

    assert estimates_against_returns(Diverged(), Environment("CartPole-v1", (0,))) == []
