"""Heavy ball: gradient descent that keeps a share of its last step goes down faster.

Polyak. USSR Computational Mathematics and Mathematical Physics 1964.

Method: a linear model y = w x is fitted to N rows by following the gradient of the mean squared error,

    L(w) = sum_n (w x_n - y_n)^2 / N,

and each step keeps a share m of the step before it, as a heavy ball does that rolls on:

    w_{t+1} = w_t - a dL/dw(w_t) + m (w_t - w_{t-1}).

With m = 0 that is gradient descent. The start w_0 is drawn from a Gaussian of the size 0.1, and w_{-1} = w_0. Along an axis of
curvature c the error shrinks by 1 - 2 a c a step without the ball, and by about sqrt(m) with it where c is small.

Departures: none that matter here.

Out of reach: anything that is not quadratic.
"""

import numpy as np

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.errors import NotFitted

PAPER = Paper(title="Some methods of speeding up the convergence of iteration methods", authors=("Polyak",), year=1964,
              venue="USSR Computational Mathematics and Mathematical Physics", also=("heavy ball", "momentum"))
CLAIM = Claim(says="after 100 steps, a share of 0.9 of the last step leaves less error", data="diabetes", metric="error",
              unit="standard deviations", better="lower", margin=0.01, equal="steps", steps={"smoke": 20, "quick": 100, "full": 1000})
__all__ = ["HeavyBall"]


class HeavyBall:
    """A linear model, fitted by gradient descent with momentum.

    Args:
        momentum: the share m of the last step that is kept.
        learning_rate: the paper's a.
        seed: of the start.

    Example:
        >>> x = np.array([[-1.0], [0.0], [1.0]])
        >>> HeavyBall(momentum=0.5, learning_rate=0.3).fit(x, 2 * x[:, 0], steps=60).predict(x).round(3)
        array([-2.,  0.,  2.])
    """

    def __init__(self, momentum=0.9, learning_rate=0.02, seed=0):
        self.momentum, self.learning_rate, self.seed = momentum, learning_rate, seed

    def fit(self, x, y, steps=100, on_step=None):
        """Fit rows x (N, M) and targets y (N,) in so many steps; on_step is called with the loss after each. Gives self."""
        weight = 0.1 * np.random.default_rng(self.seed).normal(size=x.shape[1])  # (M,)
        step = np.zeros_like(weight)
        for _ in range(steps):
            apart = x @ weight - y  # (N,)
            step = self.momentum * step - self.learning_rate * 2 * apart @ x / len(x)
            weight = weight + step
            if on_step:
                on_step(float(np.mean(apart ** 2)))
        self._weight = weight
        return self

    def predict(self, x):
        """The targets (N,) of rows x (N, M)."""
        if not hasattr(self, "_weight"):
            raise NotFitted()
        return x @ self._weight


def _learn(momentum, train, budget, seed):
    return HeavyBall(momentum, seed=seed).fit(_scaled(train.features), _scaled(train.target), budget.steps, budget.spend)


def _scaled(values):
    return (values - values.mean(0)) / values.std(0)


def treatment(train, budget, seed):
    """Nine tenths of the last step."""
    return _learn(0.9, train, budget, seed)


def control(train, budget, seed):
    """Nothing of the last step."""
    return _learn(0.0, train, budget, seed)


def score(model, test):
    """The root of the mean squared error on rows not seen."""
    return {"error": float(np.sqrt(np.mean((model.predict(_scaled(test.features)) - _scaled(test.target)) ** 2)))}


def draw(model, test):
    """Predictions, as a strip of grey."""
    return [Drawing.picture("predictions", np.tile(0.5 + model.predict(_scaled(test.features)) / 8, (8, 1)))]
