"""REM: with one head it is DQN; its values where they can be computed."""

import numpy as np
import pytest
import torch

from bakeoff.baselines.dqn import DQN
from bakeoff.baselines.rem import REM
from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions


def test_with_one_head_every_update_is_that_of_dqn():
    rng = np.random.default_rng(0)
    seen, ended = rng.normal(size=(201, 4)), rng.random(200) < 0.1
    batch = DiscreteTransitions(seen[:-1], rng.integers(3, size=200), rng.normal(size=200), seen[1:], ended, ended, actions=3)
    asked = {"hidden": (16,), "learning_rate": 3e-3, "batch_size": 16, "target_every": 7, "seed": 2}
    ours, known = REM(heads=1, **asked).fit(batch, steps=40), DQN(double=False, **asked).fit(batch, steps=40)
    torch.testing.assert_close(ours.values(seen)[..., 0], known.values(seen), rtol=1e-4, atol=1e-5)
    assert torch.equal(ours.act(seen), known.act(seen))


def test_every_head_and_their_mean_come_to_the_value_under_the_discount_given():
    every, ends = np.ones((50, 1)), np.zeros(50, bool)
    batch = DiscreteTransitions(every, np.zeros(50), every[:, 0], every, ends, np.arange(50) == 49, actions=1)
    for discount, value in ((0.5, 2.0), (0.8, 5.0)):
        policy = REM(heads=4, hidden=(), learning_rate=0.05, target_every=30, discount=discount).fit(batch, steps=2000)
        assert policy.value([[1.0]], [0]).item() == pytest.approx(value, rel=0.01)
        np.testing.assert_allclose(policy.values([[1.0]])[0, 0], value, rtol=0.05)  # mixtures pin each head, not their sum alone
