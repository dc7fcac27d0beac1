"""Goal-conditioned cloning: it finds the demonstrator's function of the goal, also for goals that were never pursued."""

import numpy as np
import pytest
import torch

from bakeoff.baselines.goal_cloning import GoalCloning
from bakeoff.data.kinds.demonstrations import Demonstrations
from bakeoff.errors import NotFitted


def walks() -> Demonstrations:
    """Forty walks on a line by 0.1 a step, up or down, to an end at -1 or 1 from anywhere; actions from -2 to 2."""
    rng, parts = np.random.default_rng(0), []
    for number in range(40):
        way = 1.0 if number % 2 else -1.0
        place = rng.uniform(-0.5, 0.5) + 0.1 * way * np.arange(6.0)[:, None]
        parts.append((place[:-1], np.full((5, 1), way), place[1:], place[1:], np.full((5, 1), way), np.arange(5) == 4))
    return Demonstrations(*map(np.concatenate, zip(*parts, strict=True)), [-2.0], [2.0])


def test_it_walks_towards_goals_that_nobody_pursued_if_goals_are_replaced():
    place = np.linspace(-0.4, 0.4, 9)[:, None]
    up, down = place + 0.2, place - 0.2
    cloned = GoalCloning(hidden=(32, 32), learning_rate=3e-3).fit(walks(), steps=400)
    np.testing.assert_allclose(cloned.act(place, up), np.ones((9, 1)), atol=0.35)
    np.testing.assert_allclose(cloned.act(place, down), -np.ones((9, 1)), atol=0.35)
    plain = GoalCloning(hidden=(32, 32), learning_rate=3e-3, hindsight=0.0).fit(walks(), steps=400)
    missed = np.abs(plain.act(place, up).numpy() - 1).max() + np.abs(plain.act(place, down).numpy() + 1).max()
    assert missed > 1


def test_fitting_again_gives_the_same_and_using_it_before_is_told():
    policy = GoalCloning(hidden=(8,), learning_rate=0.01, seed=3)
    with pytest.raises(NotFitted):
        policy.act(np.zeros((1, 1)), np.zeros((1, 1)))
    losses = []
    first = policy.fit(walks(), steps=20, on_step=losses.append).act([[0.0]], [[1.0]])
    assert torch.equal(policy.fit(walks(), steps=20).act([[0.0]], [[1.0]]), first)
    assert len(losses) == 20
    assert losses[-1] < losses[0] - 0.02
