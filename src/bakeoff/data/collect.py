"""Batches of experience made here: a behaviour policy learned by random search, then rolled out with errors mixed in.

The policy is linear and learned by augmented random search, V2 with top directions (Mania, Guy, Recht 2018,
arXiv:1803.07055): it needs no gradients, so NumPy is enough. It moves along differences of returns,

    M <- M + step_size / (b sigma_R) sum_k (R(M + noise D_k) - R(M - noise D_k)) D_k,     action = M (o - mean) / deviation,

where D_k are Gaussian directions, b of which with the best returns are kept, sigma_R is the deviation of the kept
returns, and mean and deviation are those of all observations so far. Everything follows from one fixed seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .kinds.environment import Environment
from .kinds.transitions import Transitions

SEED = 0
REFERENCE_EPISODES = 10


@dataclass
class Linear:
    """A linear policy on normalised observations, and the running statistics that normalise them."""

    weight: np.ndarray  # (A, O)
    low: np.ndarray  # (A,)
    high: np.ndarray  # (A,)
    seen: int = 0
    mean: np.ndarray = field(default=0.0)  # (O,)
    squares: np.ndarray = field(default=0.0)  # (O,) sum of squared distances from the mean

    def watch(self, observations: np.ndarray) -> None:
        """Take observations (T, O) into the statistics."""
        count = len(observations)
        mean, total = observations.mean(0), self.seen + count
        apart = mean - self.mean
        self.squares = self.squares + ((observations - mean) ** 2).sum(0) + apart**2 * self.seen * count / total
        self.mean = self.mean + apart * count / total
        self.seen = total

    def affine(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(A, O) and (A,): the policy of this weight as one matrix and offset on raw observations."""
        deviation = np.sqrt(self.squares / (self.seen - 1)) if self.seen > 1 else np.ones(weight.shape[1])
        matrix = weight / np.maximum(deviation, 1e-7)
        return matrix, -matrix @ np.broadcast_to(self.mean, weight.shape[1:])

    def policy(self, weight: np.ndarray | None = None):
        """A function from an observation (O,) to an action (A,) inside the bounds."""
        matrix, offset = self.affine(self.weight if weight is None else weight)
        return lambda observation: np.minimum(np.maximum(matrix @ observation + offset, self.low), self.high)


def episode(environment, act, seed: int) -> list[tuple]:
    """One episode from `reset(seed=seed)`, as (observation, action, reward, next observation, terminated) a step."""
    observation, _ = environment.reset(seed=seed)
    steps, ended = [], False
    while not ended:
        action = act(observation)
        following, reward, terminated, truncated, _ = environment.step(action)
        steps.append((observation, action, reward, following, terminated))
        observation, ended = following, terminated or truncated
    return steps


def learn(environment, rng: np.random.Generator, *, learning_steps: int, step_size: float, noise: float, survival_bonus: float = 0.0,
          directions: int = 8, kept: int = 4) -> Linear:
    """Augmented random search for at least `learning_steps` environment steps.

    Args:
        environment: a Gymnasium environment.
        rng: where directions and start states come from.
        learning_steps: environment steps after which no further iteration begins.
        step_size, noise: how far to move, how far to look (alpha and nu in the paper).
        survival_bonus: reward a step for merely being alive, left out of what is learned from.
        directions, kept: directions tried an iteration, and how many of the best are used (N and b).
    """
    space = environment.action_space
    learned = Linear(np.zeros(space.shape + environment.observation_space.shape), space.low, space.high)
    while learned.seen < learning_steps:
        towards = rng.standard_normal((directions, *learned.weight.shape))
        tried = [[episode(environment, learned.policy(learned.weight + sign * noise * one), _start(rng)) for sign in (1, -1)]
                 for one in towards]
        returns = np.array([[sum(step[2] - survival_bonus for step in one) for one in pair] for pair in tried])  # (directions, 2)
        best = np.argsort(-returns.max(1), kind="stable")[:kept]
        slope = (returns[best, 0] - returns[best, 1]) @ towards[best].reshape(kept, -1)
        learned.weight = learned.weight + step_size / (kept * (returns[best].std() + 1e-8)) * slope.reshape(learned.weight.shape)
        learned.watch(np.array([step[0] for pair in tried for one in pair for step in one]))
    return learned


def imperfect(name: str, *, steps: int, random_share: float, action_noise: float, **learning) -> Transitions:
    """`steps` transitions in the named environment by a learned policy that errs: a share of its actions is uniformly
    random, the others carry Gaussian noise (its deviation in halves of the action range)."""
    environment = Environment(name).make()
    rng = np.random.default_rng(SEED)
    exact = learn(environment, rng, **learning).policy()
    low, high = environment.action_space.low, environment.action_space.high

    def uniform(observation):
        return rng.uniform(low, high).astype(np.float32)

    def erring(observation):
        if rng.random() < random_share:
            return uniform(observation)
        noise = action_noise * (high - low) / 2 * rng.standard_normal(low.shape)
        return np.clip(exact(observation) + noise, low, high).astype(np.float32)

    made, returns = [], []
    ended = np.zeros(steps, bool)
    while len(made) < steps:
        made += (one := episode(environment, erring, _start(rng)))
        ended[min(len(made), steps) - 1] = True
        returns.append(_return(one))
    columns = [np.array(column) for column in zip(*made[:steps], strict=True)]
    references = {kind: np.mean([_return(episode(environment, act, _start(rng))) for _ in range(REFERENCE_EPISODES)])
                  for kind, act in (("return without errors", exact), ("return of random actions", uniform))}
    environment.close()
    facts = {"return": np.mean(returns), **references, "episodes": ended.sum(), "share of random actions": random_share,
             "action noise": action_noise}
    return Transitions(*columns, ended, low, high, name, tuple((fact, float(value)) for fact, value in facts.items()))


def _start(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _return(steps: list[tuple]) -> float:
    return float(sum(step[2] for step in steps))
