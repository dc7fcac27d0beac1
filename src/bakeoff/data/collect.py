"""Batches of experience made here: a policy learned by random search, rolled out with the errors that a behaviour asks for.

The policy is linear and learned by augmented random search, V2 with top directions (Mania, Guy, Recht 2018,
arXiv:1803.07055): it needs no gradients, so NumPy is enough. It moves along differences of returns,

    M <- M + step_size / (b sigma_R) sum_k (R(M + noise D_k) - R(M - noise D_k)) D_k,     action = M (o - mean) / deviation,

where D_k are Gaussian directions, b of which with the best returns are kept, sigma_R is the deviation of the kept
returns, and mean and deviation are those of all observations so far. Among discrete actions the greatest output is taken.
The policy of every iteration is a checkpoint: the last is the expert; half-trained is the one whose measured return comes
nearest to the middle between random actions and the expert. Everything follows from one fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .kinds.discrete_transitions import DiscreteTransitions
from .kinds.environment import Environment
from .kinds.transitions import Transitions

SEED = 0
REFERENCE_EPISODES = 20
SAMPLED = 0.3  # deviation of demonstrated actions, in halves of their range: about what PPO's policies sample with after some training
NEAR, FIRST_LOOK = 6, 2  # checkpoints measured fully where one is looked for, and the episodes by which all are first compared


@dataclass(frozen=True)
class Part:
    """A share of a batch: whose actions, how many of them uniformly random instead, and the deviation of Gaussian noise on
    the others, in halves of the action's range."""

    share: float
    policy: str
    random_share: float = 0.0
    noise: float = 0.0


BEHAVIOURS = {
    "random": (Part(1.0, "random"),),
    "half": (Part(1.0, "half"),),
    "expert": (Part(1.0, "expert"),),
    "imperfect": (Part(1.0, "expert", random_share=0.3, noise=0.3),),  # of BCQ
    "mixed": (Part(1 / 3, "random"), Part(1 / 3, "half"), Part(1 / 3, "expert")),
} | {  # of BRAC
    f"{kind}{size}": (Part(0.4, "half"), Part(0.4, "half", **{word: size / 10}), Part(0.2, "random"))
    for kind, word in (("eps", "random_share"), ("gauss", "noise")) for size in (1, 3)}


@dataclass
class Linear:
    """A linear policy on normalised observations, the running statistics that normalise them, and what it was before.

    With `products` it also sees the product of every two observations, as if those were observed (O is then their number too).
    """

    weight: np.ndarray  # (A, O)
    space: object  # of the actions: a box with `low` and `high`, or `n` choices
    products: bool = False
    seen: int = 0
    mean: np.ndarray = field(default=0.0)  # (O,)
    squares: np.ndarray = field(default=0.0)  # (O,) sum of squared distances from the mean
    checkpoints: list = field(default_factory=list)  # a policy after every iteration

    def watch(self, observations: np.ndarray) -> None:
        """Take observations (T, O) into the statistics."""
        observations = self._seen(observations)
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

    def policy(self, weight: np.ndarray | None = None) -> Callable:
        """A function from an observation (O,) to an action: (A,) inside the bounds, or a choice."""
        matrix, offset = self.affine(self.weight if weight is None else weight)
        if hasattr(self.space, "n"):
            return lambda observation: int((matrix @ self._seen(observation) + offset).argmax())
        low, high = self.space.low, self.space.high
        return lambda observation: np.minimum(np.maximum(matrix @ self._seen(observation) + offset, low), high)

    def _seen(self, observation: np.ndarray) -> np.ndarray:
        """(..., O) -> (..., O): the products appended, if they are asked for."""
        if not self.products:
            return observation
        one, other = np.triu_indices(observation.shape[-1])
        return np.concatenate([observation, observation[..., one] * observation[..., other]], -1)


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
          directions: int = 8, kept: int = 4, products: bool = False, reward: Callable | None = None,
          on_step: Callable | None = None) -> Linear:
    """Augmented random search for at least `learning_steps` environment steps.

    Args:
        environment: a Gymnasium environment, its observations a vector, its actions a vector or choices.
        rng: where directions and start states come from.
        learning_steps: environment steps after which no further iteration begins.
        step_size, noise: how far to move, how far to look (alpha and nu in the paper).
        survival_bonus: reward a step for merely being alive, left out of what is learned from.
        directions, kept: directions tried an iteration, and how many of the best are used (N and b).
        products: whether the policy also sees the product of every two observations.
        reward: what is learned from in place of the environment's rewards: a function of an episode's observations
            (T + 1, O) and actions (T, A), or (T,), to rewards (T,).
        on_step: called after each episode with its return, as learned from, and its number of steps.

    Returns:
        The policy as it ended; `checkpoints` holds it after every iteration.
    """
    space = environment.action_space
    outputs = (int(space.n),) if hasattr(space, "n") else space.shape
    inputs = environment.observation_space.shape[0]
    learned = Linear(np.zeros((*outputs, inputs + products * inputs * (inputs + 1) // 2)), space, products)

    def gained(steps: list[tuple]) -> float:
        rewards = [step[2] for step in steps] if reward is None else reward(*_columns(steps))
        total = float(sum(one - survival_bonus for one in rewards))
        if on_step:
            on_step(total, len(steps))
        return total

    while learned.seen < learning_steps:
        towards = rng.standard_normal((directions, *learned.weight.shape))
        tried = [[episode(environment, learned.policy(learned.weight + sign * noise * one), _start(rng)) for sign in (1, -1)]
                 for one in towards]
        returns = np.array([[gained(one) for one in pair] for pair in tried])  # (directions, 2)
        best = np.argsort(-returns.max(1), kind="stable")[:kept]
        slope = (returns[best, 0] - returns[best, 1]) @ towards[best].reshape(kept, -1)
        learned.weight = learned.weight + step_size / (kept * (returns[best].std() + 1e-8)) * slope.reshape(learned.weight.shape)
        learned.watch(np.array([step[0] for pair in tried for one in pair for step in one]))
        learned.checkpoints.append(learned.policy())
    return learned


def collected(name: str, *, behaviour: str, steps: int, **learning) -> Transitions | DiscreteTransitions:
    """`steps` transitions in the named environment by one of BEHAVIOURS; `learning` goes to `learn`."""
    parts = BEHAVIOURS[behaviour]
    with Environment(name).make() as environment:
        rng = np.random.default_rng(SEED)
        learned = learn(environment, rng, **learning)
        policies = {"random": _uniform(environment, rng), "expert": learned.policy()}
        if any(part.policy == "half" for part in parts):
            policies["half"] = _nearest(environment, learned, policies["random"], 0.5)
        edges = np.round(np.cumsum([0, *(part.share for part in parts)]) * steps).astype(int)
        made, returns, ended = [], [], np.zeros(0, bool)
        for part, size in zip(parts, np.diff(edges), strict=True):
            rows, ends, gained = _rolled(environment, _erring(environment, policies, part, rng), size, rng)
            made, returns, ended = made + rows, returns + gained, np.append(ended, ends)
        facts = {"return": np.mean(returns), "return of the expert": _measured(environment, policies["expert"], rng),
                 "return of random actions": _measured(environment, policies["random"], rng)}
        if "half" in policies:
            facts["return of the half-trained"] = _measured(environment, policies["half"], rng)
        return _batch(environment, name, made, ended, facts)


def ranked(name: str, *, episodes: int, until: float, **learning) -> Transitions | DiscreteTransitions:
    """One episode of each of `episodes` checkpoints, evenly spaced from the start until that share of what is learned, in order.

    Actions are sampled about a checkpoint's own, as a stochastic policy's are: Gaussian, of deviation SAMPLED, cut at the bounds; choices
    are the checkpoint's own.
    """
    with Environment(name).make() as environment:
        rng = np.random.default_rng(SEED)
        learned = learn(environment, rng, **learning)
        last = len(learned.checkpoints) * until - 1
        chosen = [learned.checkpoints[round(one)] for one in np.linspace(0, last, episodes)]
        return _demonstrated(environment, name, chosen, learned, rng)


def early(name: str, *, episodes: int, share: float, **learning) -> Transitions | DiscreteTransitions:
    """Episodes of the one checkpoint whose return, without noise, comes nearest to `share` of the way from random actions to the expert;
    actions are sampled as in `ranked`."""
    with Environment(name).make() as environment:
        rng = np.random.default_rng(SEED)
        learned = learn(environment, rng, **learning)
        chosen = _nearest(environment, learned, _uniform(environment, rng), share)
        return _demonstrated(environment, name, [chosen] * episodes, learned, rng)


def _demonstrated(environment, name: str, policies: list[Callable], learned: Linear, rng) -> Transitions | DiscreteTransitions:
    sampled = Part(1.0, "own", noise=SAMPLED)
    shown = [episode(environment, _erring(environment, {"own": act, "random": None}, sampled, rng), _start(rng)) for act in policies]
    returns = [_return(one) for one in shown]
    facts = {"return": np.mean(returns), "return of the best episode": max(returns),
             "return of the expert": _measured(environment, learned.policy(), rng),
             "return of random actions": _measured(environment, _uniform(environment, rng), rng)}
    ended = np.isin(np.arange(sum(map(len, shown))), np.cumsum([len(one) for one in shown]) - 1)
    return _batch(environment, name, [step for one in shown for step in one], ended, facts)


def _nearest(environment, learned: Linear, random: Callable, share: float) -> Callable:
    """The checkpoint whose measured return is nearest to `share` of the way; measured by draws of its own."""
    rng = np.random.default_rng([SEED, 1])
    low, high = (_measured(environment, act, rng) for act in (random, learned.policy()))

    def apart(act: Callable, episodes: int) -> float:
        return abs(_measured(environment, act, rng, episodes) - low - share * (high - low))

    rough = [apart(act, FIRST_LOOK) for act in learned.checkpoints]
    near = [learned.checkpoints[row] for row in np.argsort(rough, kind="stable")[:NEAR]]
    return near[int(np.argmin([apart(act, REFERENCE_EPISODES) for act in near]))]


def _uniform(environment, rng: np.random.Generator) -> Callable:
    space = environment.action_space
    if hasattr(space, "n"):
        return lambda observation: int(rng.integers(space.n))
    return lambda observation: rng.uniform(space.low, space.high).astype(np.float32)


def _erring(environment, policies: dict[str, Callable], part: Part, rng: np.random.Generator) -> Callable:
    """The policy of a part, with its errors."""
    exact, uniform = _kept_as(environment, policies[part.policy]), policies["random"]
    if not part.random_share and not part.noise:
        return exact
    space = environment.action_space

    def act(observation):
        if rng.random() < part.random_share:
            return uniform(observation)
        if hasattr(space, "n"):
            return exact(observation)
        noise = part.noise * (space.high - space.low) / 2 * rng.standard_normal(space.shape)
        return np.clip(policies[part.policy](observation) + noise, space.low, space.high).astype(np.float32)

    return act


def _kept_as(environment, act: Callable) -> Callable:
    """The policy with actions of the precision that a batch keeps, so that the batch holds what was done."""
    return act if hasattr(environment.action_space, "n") else lambda observation: act(observation).astype(np.float32)


def _rolled(environment, act, size: int, rng) -> tuple[list[tuple], np.ndarray, list[float]]:
    """`size` steps, where episodes end among them, and the returns of the episodes; the last one may be cut."""
    made, returns, ended = [], [], np.zeros(size, bool)
    while len(made) < size:
        made += (one := episode(environment, act, _start(rng)))
        ended[min(len(made), size) - 1] = True
        returns.append(_return(one))
    return made[:size], ended, returns


def _measured(environment, act: Callable, rng: np.random.Generator, episodes: int = REFERENCE_EPISODES) -> float:
    return float(np.mean([_return(episode(environment, act, _start(rng))) for _ in range(episodes)]))


def _batch(environment, name: str, made: list[tuple], ended: np.ndarray, facts: dict[str, float]) -> Transitions | DiscreteTransitions:
    columns = [np.array(column) for column in zip(*made, strict=True)]
    behaviour = tuple((fact, float(value)) for fact, value in (facts | {"episodes": ended.sum()}).items())
    space = environment.action_space
    if hasattr(space, "n"):
        return DiscreteTransitions(*columns, ended, space.n, name, behaviour)
    return Transitions(*columns, ended, space.low, space.high, name, behaviour)


def _columns(steps: list[tuple]) -> tuple[np.ndarray, np.ndarray]:
    """Observations (T + 1, O) and actions (T, A) of an episode."""
    return np.array([step[0] for step in steps] + [steps[-1][3]]), np.array([step[1] for step in steps])


def _start(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _return(steps: list[tuple]) -> float:
    return float(sum(step[2] for step in steps))
