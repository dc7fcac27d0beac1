"""GAIL from observations: the discriminator at its optimum, and when it learns."""

import numpy as np
import pytest
import torch

from bakeoff.baselines.gail import GAIL
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.errors import DataError, NotFitted
from bakeoff.parts.policy_search import Policy


def shown(states, environment="Pendulum-v1") -> Transitions:
    nothing = np.zeros(len(states))
    return Transitions(states, nothing[:, None], nothing, states, nothing, np.arange(1, len(states) + 1) == len(states), [-2], [2],
                       environment)


def trained(demonstrated, visited, updates=300) -> GAIL:
    """Its discriminator, when the policy visits always the same states."""
    def visits(name, judge, steps, seed, on_step):
        for _ in range(3):
            judge(visited, None)
        return Policy(None)

    search = visits
    search.directions = 0.5  # one episode an iteration
    return GAIL(hidden=(32,), learning_rate=0.01, weight_decay=0.0, updates=updates, search=search).fit(shown(demonstrated))


def test_the_discriminator_comes_to_the_logarithm_of_the_ratio_of_densities():
    rng = np.random.default_rng(0)
    learned = trained(rng.normal(1.0, 1.0, (4000, 1)), rng.normal(0.0, 1.0, (4001, 1)))
    at = torch.tensor([[-1.0], [0.0], [0.5], [1.0], [2.0]])
    torch.testing.assert_close(learned.reward(at), at[:, 0] - 0.5, atol=0.35, rtol=0)  # log N(s; 1, 1) - log N(s; 0, 1)


def test_of_states_like_the_demonstrations_it_says_one_half():
    rng = np.random.default_rng(0)
    learned = trained(*(rng.normal(0.0, 1.0, (4001, 2)) for _ in range(2)))
    assert torch.sigmoid(learned.reward(rng.normal(0.0, 1.0, (200, 2)))).mean().item() == pytest.approx(0.5, abs=0.03)


def test_all_episodes_of_an_iteration_are_judged_by_one_discriminator():
    judged = []

    def visits(name, judge, steps, seed, on_step):
        states = np.linspace(-1, 1, 20)[:, None]
        judged.extend(judge(states, None) for _ in range(5))
        return Policy(None)

    visits.directions = 2  # four episodes an iteration
    GAIL(hidden=(8,), search=visits).fit(shown(np.ones((50, 1))))
    assert all(np.array_equal(one, judged[0]) for one in judged[1:4])
    assert not np.array_equal(judged[4], judged[0])


def test_what_is_missing_is_told():
    with pytest.raises(NotFitted):
        GAIL().act(np.zeros((1, 3)))
    with pytest.raises(DataError, match="in which environment"):
        GAIL().fit(shown(np.zeros((5, 3)), environment=""))
