"""Learning from frames where they lie is learning from their stacks in memory."""

import numpy as np
import pytest
import torch

from bakeoff.baselines.dqn import DQN
from bakeoff.baselines.kl_control import DiscreteKLControl
from bakeoff.baselines.quantile_dqn import QuantileDQN
from bakeoff.baselines.rem import REM
from bakeoff.data.kinds.frame_transitions import FrameTransitions
from bakeoff.papers.offline_rl.discrete_bcq import DiscreteBCQ
from bakeoff.parts.frame_replay import FrameReplay, discrete_replay
from bakeoff.parts.replay import DiscreteReplay


def batch() -> FrameTransitions:
    rng = np.random.default_rng(0)
    ended = np.arange(1, 31) % 7 == 0
    ended[-1] = True
    return FrameTransitions(rng.integers(256, size=(35, 10, 10), dtype=np.uint8), rng.integers(3, size=30), rng.normal(size=30),
                            ended & (rng.random(30) < 0.5), ended, actions=3)


def test_minibatches_are_those_of_the_stacks_in_memory():
    ours, known = discrete_replay(batch()), discrete_replay(batch().in_memory())
    assert (type(ours), type(known)) == (FrameReplay, DiscreteReplay)
    assert (ours.observation_shape, ours.actions) == (known.observation_shape, known.actions)
    for one, other in zip(ours.minibatches(16, 9, seed=3), known.minibatches(16, 9, seed=3), strict=True):
        for column, expected in zip(one, other, strict=True):
            assert column.dtype == expected.dtype
            torch.testing.assert_close(column, expected, rtol=0, atol=0)


@pytest.mark.parametrize("learner", [DiscreteBCQ, DQN, QuantileDQN, REM, DiscreteKLControl])
def test_every_learner_of_discrete_actions_learns_the_same_from_either(learner):
    seen = batch().stacks(np.arange(30))
    ours, known = (learner(hidden=(8,), batch_size=4).fit(one, steps=5).value(seen, np.zeros(30, int))
                   for one in (batch(), batch().in_memory()))
    torch.testing.assert_close(ours, known, rtol=1e-5, atol=1e-5)


def test_what_is_no_batch_is_told():
    with pytest.raises(TypeError, match="expected a batch of transitions"):
        discrete_replay([1, 2])
