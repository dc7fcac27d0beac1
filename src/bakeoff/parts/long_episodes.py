"""Judging in games whose episodes are long and whose observations are large, such as Atari's: only one episode is kept at a time.

Ten episodes of 27,000 stacks of four frames, as of a player of Breakout that never serves the ball, would be 7.6 GB.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..data.kinds.environment import Environment
from .rollouts import judged


def judged_apart(policy, batch, test: Environment) -> dict[str, float]:
    """What `rollouts.judged` says, each episode played alone; chance's actions are others, since they follow from the starts.

    The batch's return is the one among its facts, where they tell it: its own rewards may be cut to [-1, 1], as learners of Atari have
    them, where the environment's are whole. For that reason values are not held against what came.

    Args:
        policy: as there.
        batch: what it was learned from.
        test: the environment and the seeds of its starts.
    """
    each = [judged(policy, batch, replace(test, seeds=(seed,))) for seed in test.seeds]
    means = {name: float(np.mean([one[name] for one in each])) for name in each[0] if name != "overestimate"}
    found, chance = means["return"], means["return by chance"]
    shown = dict(batch.behaviour).get("return", means["return of the batch"])
    return means | {"return of the batch": shown, "scaled return": (found - chance) / (shown - chance) if shown != chance else math.nan}
