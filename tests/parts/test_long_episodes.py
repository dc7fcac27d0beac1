"""An episode at a time gives the numbers that all together give, and pieces of an episode the values of the whole."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bakeoff.data.kinds.environment import Environment
from bakeoff.parts import rollouts
from bakeoff.parts.long_episodes import PIECE, InPieces, judged_apart

TEST = Environment("InvertedPendulum-v5", (3, 4, 9))
BATCH = SimpleNamespace(reward=np.array([1.0, 2, 3, 4, 5]), ended=np.array([0, 0, 1, 0, 1], bool))
POLICY = SimpleNamespace(discount=0.5, act=lambda seen: torch.as_tensor(seen, dtype=torch.float32)[:, 1:2] * 0.5,
                         value=lambda seen, action: torch.as_tensor(seen[:, 0] + 2 * action[:, 0]))


def test_an_episode_at_a_time_gives_what_all_together_give():
    ours, known = judged_apart(POLICY, BATCH, TEST), rollouts.judged(POLICY, BATCH, TEST)
    for name in ("return", "return of the batch", "value at the start", "overestimate"):
        assert ours[name] == pytest.approx(known[name], abs=1e-5), name
    chance = np.mean([rollouts.by_chance(Environment(TEST.name, (seed,))) for seed in TEST.seeds])
    assert ours["return by chance"] == pytest.approx(chance)
    assert ours["scaled return"] == pytest.approx((known["return"] - chance) / (7.5 - chance))


def test_values_in_pieces_are_those_of_the_whole():
    asked = []

    def value(seen, action):
        asked.append(len(seen))
        return POLICY.value(seen, action)

    rng = np.random.default_rng(0)
    for rows in (1, PIECE, PIECE + 1, 3 * PIECE + 7):
        seen, action = rng.normal(size=(rows, 2)), rng.normal(size=(rows, 1))
        pieces = InPieces(SimpleNamespace(act=POLICY.act, discount=0.5, value=value))
        torch.testing.assert_close(pieces.value(seen, action), POLICY.value(seen, action), rtol=0, atol=0)
    assert max(asked) <= PIECE
