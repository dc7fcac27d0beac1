"""Plans: where a place of the square is on the picture."""

import numpy as np

from bakeoff.parts.plan_pictures import GOAL, START, WALL, against, ground, walks


def test_up_is_up_and_right_is_right_for_values_and_walks():
    values = np.zeros((4, 4))
    values[3, 0] = 1.0  # high y, low x
    plan = ground(40, values)
    assert plan[:10, :10].mean() > plan[:10, 10:].mean() == plan[10:].mean()
    drawn = walks(ground(41), np.array([[[0.0, -1.0], [0.0, 1.0]]]), [np.array([[-0.8, -0.8], [-0.8, 0.8]])], np.array([[0.8, 0.8]]))
    assert tuple(drawn[36, 4]) == START  # low y is at the bottom
    assert tuple(drawn[4, 36]) == GOAL
    assert (drawn[:, 20] == WALL).all()


def test_estimates_that_are_right_lie_on_the_diagonal():
    came = np.linspace(0, 1, 9)
    row, column = np.nonzero(against(came, came, 61)[:, :, 2] == 0)
    assert np.abs(row + column - 60).max() <= 4
    row, column = np.nonzero(against(came + 1, came, 61)[:, :, 2] == 0)
    assert (row + column < 60).all()  # above
