"""What a user's own paper brings beside it: tests that compare values with something known."""

import numpy as np
import pytest
from heavy_ball import HeavyBall

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3))


def test_it_ends_at_the_least_squares_solution():
    y = X @ [1.0, -2.0, 0.5] + RNG.normal(size=50)
    exact = X @ np.linalg.lstsq(X, y, rcond=None)[0]
    assert HeavyBall().fit(X, y, steps=2000).predict(X) == pytest.approx(exact, abs=1e-8)


def test_without_momentum_one_step_is_one_of_gradient_descent():
    start = HeavyBall(momentum=0.0).fit(X, X[:, 0], steps=0).predict(np.eye(3))
    after = HeavyBall(momentum=0.0, learning_rate=0.1).fit(X, X[:, 0], steps=1).predict(np.eye(3))
    assert after == pytest.approx(start - 0.1 * 2 * X.T @ (X @ start - X[:, 0]) / 50, abs=1e-12)
