"""T-REX: what it learns from and what not, extrapolation where it is known, swapped ranks, the arms, the measures of the score."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bakeoff.claim import Budget
from bakeoff.data.kinds.environment import Environment
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.errors import DataError
from bakeoff.papers.imitation import t_rex as paper
from bakeoff.papers.imitation.t_rex import TREX
from bakeoff.parts import extrapolation
from bakeoff.parts.policy_search import Search

SMALL = {"ensemble": 2, "snippet": 10, "hidden": (16,), "reward_steps": 100, "batch_size": 16, "learning_rate": 0.01}


def demonstrations(count=6, length=40, environment="") -> Transitions:
    """Episode i stays about i in the first of three numbers and is paid that; the others are noise."""
    rng = np.random.default_rng(0)
    value = np.repeat(np.arange(count), length)
    states = np.stack([value + 0.3 * rng.standard_normal(len(value)), *rng.standard_normal((2, len(value)))], -1)
    ends, nothing = np.arange(1, len(value) + 1) % length == 0, np.zeros(len(value))
    return Transitions(states, nothing[:, None], value, states, nothing, ends, [-2], [2], environment)


def test_without_ranks_the_returns_rank_the_demonstrations_and_the_reward_rises_beyond_them():
    shown = demonstrations()
    learned = TREX(**SMALL).fit(shown)
    assert learned.pair_accuracy(shown) == learned.pair_accuracy(shown, range(6)) == 1
    beyond = learned.reward(np.array([[value, 0.0, 0.0] for value in (2.0, 5.0, 7.0, 9.0)]))
    assert (beyond.diff() > 0).all()
    again = TREX(**SMALL).fit(shown, ranks=[10, 11, 12, 13, 14, 15])
    torch.testing.assert_close(again.reward(shown.observation), learned.reward(shown.observation))  # only the order counts


def test_ranks_turned_round_turn_the_reward_round():
    shown = demonstrations()
    learned = TREX(**SMALL).fit(shown, ranks=-np.arange(6))
    assert learned.pair_accuracy(shown) == 0
    assert learned.pair_accuracy(shown, -np.arange(6)) == 1


def test_a_few_wrong_ranks_are_outvoted():
    shown = demonstrations()
    assert TREX(**SMALL).fit(shown, ranks=[1, 0, 2, 3, 5, 4]).pair_accuracy(shown) > 0.9


def test_only_the_states_are_learned_from():
    shown = demonstrations()
    other = replace(shown, action=shown.action + 1, reward=-shown.reward)
    states = shown.observation
    first, second = (TREX(**SMALL).fit(one, ranks=range(6)).reward(states) for one in (shown, other))
    assert torch.equal(first, second)


def test_ranks_that_do_not_fit_are_told():
    with pytest.raises(DataError, match="5 ranks for 6 demonstrations"):
        TREX(**SMALL).fit(demonstrations(), ranks=range(5))
    with pytest.raises(DataError, match="no two episodes can be compared"):
        TREX(**SMALL).fit(demonstrations(), ranks=[1] * 6)


def test_the_search_finds_what_the_learned_reward_asks_for():
    shown = demonstrations(environment="Pendulum-v1")  # whose first observation is the height of its tip
    turned = replace(shown, observation=shown.observation / 5 - [0.5, 0, 0])
    spent = []
    search = Search(horizon=40, step_size=0.1, noise=0.3)
    learned = TREX(**SMALL, search=search, seed=1).fit(turned, steps=6000, on_step=lambda gained, count: spent.append((gained, count)))
    gained, counts = zip(*spent, strict=True)
    assert counts == (40,) * 144 + (240,)  # 18 iterations of 320 steps, and a rest that is too little for one more
    gained = gained[:-1]
    assert np.mean(gained[-16:]) > np.mean(gained[:16]) + 1
    assert len(learned.checkpoints) == 18


def test_both_arms_see_the_same_and_search_alike():
    shown, spent = demonstrations(length=60, environment="Pendulum-v1"), []
    for arm in (paper.treatment, paper.control):
        budget = Budget("smoke", 4000)
        learned, kept = arm(shown, budget, seed=3)
        assert kept is shown
        spent.append((budget.spent, learned.search))
    assert spent[0] == spent[1]


def test_the_score_is_the_share_of_the_best_demonstration_and_compares_rewards_with_returns():
    class Still:
        checkpoints = (lambda observation: np.zeros(1), lambda observation: np.ones(1))

        def act(self, observation):
            return torch.zeros(len(observation), 1)

        def reward(self, observation):
            return torch.full((len(observation),), 2.0)  # in this task each step but the falling one pays 1

    batch, test = demonstrations(), Environment("InvertedPendulum-v5", tuple(range(5)))
    scored = paper.score((Still(), batch), test)
    lengths = []
    for seed in test.seeds:
        with test.make() as task:
            task.reset(seed=seed)
            lengths.append(next(step for step in range(1, 1001) if task.step(np.zeros(1))[2]) - 1)
    assert scored["return"] == pytest.approx(np.mean(lengths))
    assert scored["return of the best demonstration"] == 5 * 40
    assert scored["return in % of the best demonstration"] == pytest.approx(np.mean(lengths) / 2)
    assert scored["correlation"] == pytest.approx(1)
    assert scored["episodes beyond the best"] == 0
    assert np.isnan(scored["correlation beyond the best"])
    with pytest.raises(DataError, match="nothing is a share of that"):
        extrapolation.judged(Still(), replace(batch, reward=-batch.reward), test)
