"""Learning by doing: the loop of a learner that acts in an environment, keeps what happens, and learns from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from ..data.kinds.environment import Environment
from ..errors import DataError
from .replay import Box, Experience


@contextmanager
def opened(environment) -> Iterator:
    """A Gymnasium environment: made from an `Environment` record and closed in the end, or the caller's own, which stays open."""
    if not isinstance(environment, Environment):
        yield environment
        return
    made = environment.make()
    try:
        yield made
    finally:
        made.close()


def continuous(environment) -> tuple[int, Box]:
    """O and the action's bounds of a Gymnasium environment with flat observations and continuous actions; `DataError` for another."""
    seen, space = environment.observation_space, environment.action_space
    if not hasattr(space, "low") or len(space.shape) != 1 or not np.isfinite([space.low, space.high]).all():
        raise DataError(f"the actions of this environment are {space}; this method is for continuous actions (A,) within bounds",
                        "Take an environment with such actions, or a method for discrete actions.")
    if len(seen.shape or ()) != 1:
        raise DataError(f"the observations of this environment are {seen}; this method is for flat ones (O,)",
                        "Wrap it in gymnasium.wrappers.FlattenObservation.")
    return seen.shape[0], Box(space.low, space.high)


def sender(box: Box) -> Callable[[Tensor], np.ndarray]:
    """From actions in units of their bounds to actions as an environment takes them."""
    return lambda action: box.action(action).numpy()


def discrete(environment) -> tuple[tuple[int, ...], int]:
    """An observation's shape and how many actions there are, of a Gymnasium environment with discrete ones; `DataError` for another."""
    space = environment.action_space
    if not hasattr(space, "n") or getattr(space, "start", 0) != 0:
        raise DataError(f"the actions of this environment are {space}; this method is for discrete actions 0, 1, ...",
                        "Take an environment with such actions, or a method for continuous actions.")
    if len(environment.observation_space.shape or ()) not in (1, 3):
        raise DataError(f"the observations of this environment are {environment.observation_space}; this method is for (O,) or (H, W, C)",
                        "Wrap it in gymnasium.wrappers.FlattenObservation.")
    return environment.observation_space.shape, int(space.n)


def practice(environment, choose: Callable, send: Callable, seen: Experience, rng: torch.Generator, *, steps: int, warm_up: int,
             batch_size: int, seed: int, every: int = 1, updates: int = 1, on_step=None) -> Iterator[tuple[Tensor, ...]]:
    """Act, keep what happens, and hand over minibatches of it to learn from, as a batch's replay does.

    A time limit ends an episode, but what is kept of it says that the task had not ended there.

    Args:
        environment: a Gymnasium environment.
        choose: from an observation and the step's number, from 0, to an action as it is kept.
        send: from an action as it is kept to one as the environment takes it.
        seen: where every step is kept.
        rng: draws the minibatches.
        steps: of the environment, in as many episodes as they fill.
        warm_up: steps before the first minibatch.
        batch_size: steps in each.
        seed: of the first episode's start, from which the others' follow.
        every, updates: whenever `every` steps are full there are `updates` minibatches.
        on_step: called with the reward of each step, after what is learned there.

    Example:
        >>> rng, seen = torch.Generator().manual_seed(0), Experience(100, (4,), None)
        >>> with opened(Environment("CartPole-v1")) as cart:
        ...     given = list(practice(cart, lambda observation, step: step % 2, int, seen, rng, steps=9, warm_up=5, batch_size=3, seed=0))
        >>> len(seen), len(given), given[0][2]
        (9, 4, tensor([1., 1., 1.]))
    """
    observation, _ = environment.reset(seed=seed)
    for step in range(steps):
        action = choose(observation, step)
        following, reward, terminated, truncated, _ = environment.step(send(action))
        seen.add(observation, action, reward, following, terminated)
        observation = environment.reset()[0] if terminated or truncated else following
        if step >= warm_up and (step + 1) % every == 0:
            for _ in range(updates):
                yield seen.draw(batch_size, rng)
        if on_step:
            on_step(float(reward))
