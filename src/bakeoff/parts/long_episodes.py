"""Judging in games whose episodes are long and whose observations are large, such as Atari's: only one episode is kept at a time.

Ten episodes of 27,000 stacks of four frames, as of a player of Breakout that never serves the ball, would be 7.6 GB.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..data.kinds.environment import Environment
from .rollouts import judged

PIECE = 256  # observations of which the values are asked at once


def judged_apart(policy, batch, test: Environment) -> dict[str, float]:
    """What `rollouts.judged` says, each episode played alone; chance's actions are others, since they follow from the starts.

    Args:
        policy: as there.
        batch: what it was learned from.
        test: the environment and the seeds of its starts.
    """
    each = [judged(policy, batch, replace(test, seeds=(seed,))) for seed in test.seeds]
    means = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
    found, shown, chance = (means[name] for name in ("return", "return of the batch", "return by chance"))
    return means | {"scaled return": (found - chance) / (shown - chance) if shown != chance else math.nan}


class InPieces:
    """A policy of which the values of a whole episode can be asked without as many large layers in memory at once.

    Args:
        policy: has `act(observations)`, `value(observations, actions)` and `discount`.
    """

    def __init__(self, policy):
        self.act, self.discount, self._value = policy.act, policy.discount, policy.value

    def value(self, observation, action) -> Tensor:
        """The policy's values (B,) at observations (B, ...) and actions (B,)."""
        cut = partial(np.array_split, indices_or_sections=math.ceil(len(observation) / PIECE))
        return torch.cat([torch.as_tensor(self._value(*both)) for both in zip(cut(observation), cut(action), strict=True)])
