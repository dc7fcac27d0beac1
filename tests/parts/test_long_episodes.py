"""An episode at a time gives the numbers that all together give."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bakeoff.data.kinds.environment import Environment
from bakeoff.parts import rollouts
from bakeoff.parts.long_episodes import judged_apart

TEST = Environment("InvertedPendulum-v5", (3, 4, 9))
BATCH = SimpleNamespace(reward=np.array([1.0, 2, 3, 4, 5]), ended=np.array([0, 0, 1, 0, 1], bool), behaviour=())
POLICY = SimpleNamespace(discount=0.5, act=lambda seen: torch.as_tensor(seen, dtype=torch.float32)[:, 1:2] * 0.5,
                         value=lambda seen, action: torch.as_tensor(seen[:, 0] + 2 * action[:, 0]))


def test_an_episode_at_a_time_gives_what_all_together_give():
    ours, known = judged_apart(POLICY, BATCH, TEST), rollouts.judged(POLICY, BATCH, TEST)
    for name in ("return", "return of the batch", "value at the start"):
        assert ours[name] == pytest.approx(known[name], abs=1e-5), name
    chance = np.mean([rollouts.by_chance(Environment(TEST.name, (seed,))) for seed in TEST.seeds])
    assert ours["return by chance"] == pytest.approx(chance)
    assert ours["scaled return"] == pytest.approx((known["return"] - chance) / (7.5 - chance))


def test_a_batch_of_cut_rewards_is_shown_by_the_whole_return_that_its_facts_tell():
    cut = SimpleNamespace(reward=BATCH.reward.clip(-1, 1), ended=BATCH.ended, behaviour=(("return", 7.5),))
    assert judged_apart(POLICY, cut, TEST) == judged_apart(POLICY, BATCH, TEST)
    assert "overestimate" not in judged_apart(POLICY, cut, TEST)
