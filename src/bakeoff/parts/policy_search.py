"""A linear policy searched for on any reward of what is seen and done, by augmented random search, metered in environment steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.collect import learn
from ..data.kinds.environment import Environment
from ..errors import DataError


class Policy:
    """What a search found.

    Args:
        act_at: the action (A,) at an observation (O,).
        checkpoints: the like after every iteration of the search.

    Example:
        >>> Policy(lambda observation: 2 * observation).act([[1.0], [3.0]])
        tensor([[2.],
                [6.]])
    """

    def __init__(self, act_at: Callable, checkpoints=()):
        self.act_at, self.checkpoints = act_at, tuple(checkpoints)

    def act(self, observation) -> Tensor:
        """The action (B, A) at each observation (B, O)."""
        observation = np.asarray(observation, dtype=np.float64)
        return torch.from_numpy(np.stack([self.act_at(one) for one in observation]).astype(np.float32))


@dataclass(frozen=True)
class Search:
    """How a policy is searched for.

    Args:
        horizon: steps after which an episode of the search is cut.
        step_size, noise: how far to move, how far to look: alpha and nu of augmented random search.
        directions, kept: directions tried an iteration, each both ways, and how many of the best are used: N and b.

    Example:
        >>> search = Search(horizon=20)
        >>> policy = search("Pendulum-v1", lambda observations, actions: -(actions[:, 0] - 1) ** 2, steps=2000, seed=0)
        >>> policy.act(np.zeros((2, 3))).shape
        torch.Size([2, 1])
    """

    horizon: int = 250
    step_size: float = 0.02
    noise: float = 0.02
    directions: int = 4
    kept: int = 2

    def __call__(self, name: str, reward: Callable, steps: int, seed: int, on_step=None) -> Policy:
        """The policy at which a search for a great sum of rewards over an episode ends.

        Args:
            name: Gymnasium id of the environment; its own reward is not looked at.
            reward: a function of an episode's observations (T + 1, O) and actions (T, A) to rewards (T,).
            steps: environment steps; an iteration that might go beyond them is not begun.
            seed: of directions and start states.
            on_step: called after each episode with its sum of rewards and its number of steps; in the end with None and the steps that
                were too few for another iteration, so that every search is seen to spend what it was granted.
        """
        whole = Environment(name).make()
        from gymnasium.wrappers import TimeLimit
        with TimeLimit(whole, self.horizon) as environment:
            acted, seen = environment.action_space, environment.observation_space
            if not (hasattr(acted, "low") and len(acted.shape) == len(seen.shape) == 1):
                raise DataError(f"{name} has the actions {acted} and the observations {seen}",
                                "A policy is searched for where both are vectors of numbers.")
            last = steps - 2 * self.directions * self.horizon
            found = learn(environment, np.random.default_rng(seed), learning_steps=last + 1, step_size=self.step_size, noise=self.noise,
                          directions=self.directions, kept=self.kept, reward=reward, on_step=on_step)
        if on_step and steps > found.seen:
            on_step(None, steps - found.seen)
        return Policy(found.policy(), found.checkpoints)


LINEAR_SEARCH = Search()
