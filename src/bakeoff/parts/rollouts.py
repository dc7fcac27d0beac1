"""A policy put to work: episodes in an environment, and the measures by which policies learned from a batch are judged.

All episodes run side by side, so that the policy is asked once a step for all of them. The discounted return that came from a
state is compared with what the policy's critic expected there: papers on fixed batches argue from that gap.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..data.kinds.environment import Environment


@dataclass(frozen=True)
class Episode:
    """What happened from a start to an end, T steps.

    Args:
        observations: (T, ...) where each action was taken.
        actions: (T, A) or (T,).
        rewards: (T,).
        terminated: True if the task ended it, False if a time limit did.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool

    def returns(self, discount: float) -> np.ndarray:
        """(T,): the discounted sum of rewards from each step on.

        Example:
            >>> Episode(np.zeros((3, 1)), np.zeros((3, 1)), np.array([1.0, 0.0, 4.0]), True).returns(0.5)
            array([2., 2., 4.])
        """
        found, after = np.empty(len(self.rewards)), 0.0
        for step in reversed(range(len(found))):
            after = found[step] = self.rewards[step] + discount * after
        return found


def episodes(act: Callable, test: Environment) -> list[Episode]:
    """One episode from every start of `test`, side by side.

    Args:
        act: a function from observations (B, ...) to actions (B, A) or (B,), tensors or arrays.
        test: the environment and the seeds of its starts.

    Returns:
        An episode a seed, in the order of the seeds.
    """
    environments = [test.make() for _ in test.seeds]
    now = [one.reset(seed=seed)[0] for one, seed in zip(environments, test.seeds, strict=True)]
    taken, ends, running = [[] for _ in environments], [False] * len(environments), list(range(len(environments)))
    while running:
        actions = np.asarray(act(np.stack([now[one] for one in running])))
        going = []
        for one, action in zip(running, actions, strict=True):
            following, reward, terminated, truncated, _ = environments[one].step(action)
            taken[one].append((now[one], action, reward))
            now[one], ends[one] = following, bool(terminated)
            if not (terminated or truncated):
                going.append(one)
        running = going
    for one in environments:
        one.close()
    return [Episode(*(np.array(column) for column in zip(*steps, strict=True)), end) for steps, end in zip(taken, ends, strict=True)]


def mean_return(made: list[Episode]) -> float:
    """The mean over episodes of the sum of rewards."""
    return float(np.mean([one.rewards.sum() for one in made]))


def demonstrated(batch) -> float:
    """The mean return of the episodes of a batch (`Transitions` or `DiscreteTransitions`).

    Example:
        >>> from types import SimpleNamespace
        >>> demonstrated(SimpleNamespace(reward=np.array([1.0, 2, 4]), ended=np.array([False, True, True])))
        3.5
    """
    ends = np.flatnonzero(batch.ended) + 1
    starts = [0, *ends[ends < len(batch.reward)]]
    return float(np.mean(np.add.reduceat(batch.reward.astype(np.float64), starts)))


def by_chance(test: Environment) -> float:
    """The mean return of actions drawn uniformly, from the same starts."""
    with test.make() as made:
        space = made.action_space
        space.seed(int(sum(test.seeds)) % 2**31)
    return mean_return(episodes(lambda now: [space.sample() for _ in now], test))


def came_of(policy, one: Episode) -> np.ndarray:
    """(T,): the discounted return that came from each step of an episode on, less what the policy's values are charged with."""
    if not hasattr(policy, "charges"):
        return one.returns(policy.discount)
    charged = np.asarray(policy.charges(one.observations), np.float64)
    return replace(one, rewards=one.rewards - policy.discount * np.append(charged[1:], 0.0)).returns(policy.discount)


def judged(policy, batch, test: Environment) -> dict[str, float]:
    """What a policy gets in the environment, beside what its batch got and chance gets.

    Args:
        policy: has `act(observations)`; and, if its values are to be judged too, `value(observations, actions)` and `discount`; and, if
            these are of rewards less something, `charges(observations)`, what is taken off on arriving at each.
        batch: what it was learned from.
        test: the environment and the seeds of its starts.

    Returns:
        return; return of the batch; return by chance; scaled return, on which chance is 0 and the batch 1; and for a policy with
        values: value at the start, and overestimate, by how much that is above the discounted return that came.
    """
    made = episodes(policy.act, test)
    found, shown, chance = mean_return(made), demonstrated(batch), by_chance(test)
    measures = {"return": found, "return of the batch": shown, "return by chance": chance,
                "scaled return": (found - chance) / (shown - chance) if shown != chance else math.nan}
    if not hasattr(policy, "value"):
        return measures
    starts, first = (np.stack([getattr(one, name)[0] for one in made]) for name in ("observations", "actions"))
    value = np.asarray(policy.value(starts, first))
    came = np.array([came_of(policy, one)[0] for one in made])
    return measures | {"value at the start": float(value.mean()), "overestimate": float((value - came).mean())}
