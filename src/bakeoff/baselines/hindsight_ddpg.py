"""DDPG with hindsight: a policy for many goals, learned from episodes that missed theirs but reached something else.

Lillicrap et al. Continuous Control with Deep Reinforcement Learning. ICLR 2016. arXiv:1509.02971; and Andrychowicz et al.
Hindsight Experience Replay. NeurIPS 2017. arXiv:1707.01495.

Goals of drawn steps are replaced by what their episode achieved later; a step is worth 1 where it reaches its goal g, and is the last:

    r = [s' reaches g],     y = r + gamma (1 - r) Q'(s', pi'(s', g), g), kept between the least and the greatest possible return
    critic: mean (Q(s, a, g) - y)^2        actor: max mean Q(s, pi(s, g), g) - zeta |pi(s, g)|^2 / A

Demonstrations are put beside: each minibatch has a part of its own from them, their goals replaced alike. Actions are counted in
units of their bounds, observations and goals in deviations of the demonstrations'.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.kinds.demonstrations import Demonstrations
from ..data.kinds.goal_environment import as_worlds
from ..errors import DataError, NotFitted
from ..parts.goal_episodes import GoalEpisodes, Sight, Steps, demonstrated, episodes, practice, returns
from ..parts.mlp import mlp
from ..parts.replay import Box, floats, follow, slow_copy
from ..parts.seeding import seeded


class HindsightDDPG:
    """A goal-conditioned policy learned by acting, with demonstrations in the replay.

    Args:
        discount: gamma.
        hidden: widths of the hidden layers of actor and critic.
        learning_rate: of Adam, for both.
        batch_size, demonstration_batch: steps of the learner's own, and of the demonstrations, in a minibatch.
        hindsight: the share of goals that are replaced.
        rate: the share by which targets follow.
        noise: deviation of the Gaussian noise on actions while learning, in units of the bounds.
        random_share: the share of wholly random actions while learning.
        effort: zeta, the price of actions.
        updates: of the networks, for each step in the environment.
        moments: how many times during learning the policy is kept as it is then.
        seed: of the starts, the episodes, the order of minibatches and the noise.

    Attributes:
        history: after `fit`, (steps, policy) at each of these moments, the last at the end.

    Example:
        >>> from bakeoff.data.four_rooms import FourRooms, demonstrate
        >>> shown = Demonstrations(**demonstrate(2, seed=0), action_low=[-1, -1], action_high=[1, 1])
        >>> policy = HindsightDDPG(hidden=(8,), updates=0.1).fit(FourRooms(copies=2), shown, steps=50)
        >>> policy.act(shown.observation[:4], shown.goal[:4]).shape
        torch.Size([4, 2])
    """

    def __init__(self, discount=0.98, hidden=(64, 64), learning_rate=1e-3, batch_size=256, demonstration_batch=96, hindsight=0.8,
                 rate=0.05, noise=0.15, random_share=0.3, effort=0.1, updates=0.2, moments=20, seed=0):
        self.discount, self.hidden, self.learning_rate = discount, hidden, learning_rate
        self.batch_size, self.demonstration_batch, self.hindsight = batch_size, demonstration_batch, hindsight
        self.rate, self.noise, self.random_share, self.effort = rate, noise, random_share, effort
        self.updates, self.moments, self.seed = updates, moments, seed

    def fit(self, environment, demonstrations, steps=100_000, on_step=None):
        """Learn by acting, afresh.

        Args:
            environment: a Gymnasium goal environment with sparse rewards, or worlds such as `data.four_rooms.FourRooms`.
            demonstrations: a `Demonstrations` record.
            steps: in the environment, of all copies together.
            on_step: called after each round of episodes with the share of them that reached their goal, and their steps.

        Returns:
            self.

        Raises:
            DataError: environment and demonstrations have observations, goals or actions of other sizes, or actions have no bounds.
        """
        worlds = self._prepared(environment, demonstrations)
        own = GoalEpisodes(steps, worlds.observation_dim, len(worlds.action_low), worlds.goal_dim)
        rng, exploring = (torch.Generator().manual_seed(2 * self.seed + one) for one in (0, 1))
        self.history, due = [], 0.0
        for made in practice(worlds, lambda now, goal: self._explore(now, goal, exploring), steps, self.seed):
            own.add(made[0], self._box.unit(floats(made[1])), *made[2:])
            due += self.updates * len(made[0])
            self._update(worlds, own, int(due), len(own) / steps, rng)
            due -= int(due)
            while len(self.history) < self.moments * len(own) // steps:
                self.history.append((len(own), self._kept()))
            if on_step:
                on_step(float(worlds.reached(made[3], made[4]).sum() / made[5].sum()), len(made[0]))
        return self

    def act(self, observation, goal) -> Tensor:
        """The action (B, A) at each observation (B, O) for each goal (B, G)."""
        with torch.no_grad():
            return self._fitted._box.action(self._actor(self._sight(observation, goal)))

    def value(self, observation, action, goal) -> Tensor:
        """The critic's estimate (B,) of the discounted return from observation (B, O) and action (B, A), for goals (B, G)."""
        with torch.no_grad():
            unit = self._fitted._box.unit(floats(action))
            return self._critic(torch.cat([self._sight(observation, goal), unit], -1)).squeeze(-1)

    def estimates(self, worlds, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The value (B,) at the start of an episode in each world, and the discounted return (B,) that then came, as it learns it; what
        would have come after the world's time limit is missing from the latter."""
        made = episodes(worlds, lambda now, goal: self.act(now, goal).numpy(), seed)
        observation, action, following, achieved, goal = map(floats, made[:5])
        reached = torch.as_tensor(worlds.reached(made[3], made[4]), dtype=torch.float32)
        reward = self.reward(Steps(observation, self._box.unit(action), following, achieved, goal), reached)
        first = np.insert(made[5][:-1], 0, True)
        return self.value(observation[first], action[first], goal[first]).numpy(), returns(reward.numpy(), made[5], self.discount)

    def reward(self, steps: Steps, reached: Tensor) -> Tensor:  # (..., size) each, (...) -> (...)
        """What the critic adds up: 1 where a step reaches its goal."""
        return reached

    @property
    def _returns(self) -> tuple[float, float]:
        """The least and the greatest possible return."""
        return 0.0, 1.0

    @property
    def _beside(self) -> int:
        """Demonstrated steps in a minibatch."""
        return self.demonstration_batch

    def _prepare(self) -> None:
        """What a learner of rewards builds before the first episode."""

    def _before(self, own: GoalEpisodes, count: int, share: float) -> None:
        """What a learner of rewards does before `count` updates, with a `share` of all steps done."""

    def _cloning(self, shown: Steps) -> Tensor | float:
        """What the actor pays for leaving the demonstrated steps' actions."""
        return 0.0

    def _prepared(self, environment, demonstrations: Demonstrations):
        """The worlds; networks, bounds and units as they are before the first step."""
        worlds, one = as_worlds(environment), demonstrations
        sizes = worlds.observation_dim, len(worlds.action_low), worlds.goal_dim
        if (found := (one.observation.shape[1], one.action.shape[1], one.goal.shape[1])) != sizes:
            raise DataError(f"demonstrations with observations, actions and goals of sizes {found}", f"The environment has {sizes}.")
        if not np.isfinite([worlds.action_low, worlds.action_high]).all():
            raise DataError("the environment's actions have no bounds", "Wrap it so that its action space is a Box with finite bounds.")
        self._box = Box(worlds.action_low, worlds.action_high)
        self._shown = demonstrated(one, self._box.unit)
        self._sight = Sight(one)
        with seeded(self.seed):
            self._actor = nn.Sequential(mlp(sizes[0] + sizes[2], *self.hidden, sizes[1]), nn.Tanh())
            self._critic = mlp(sum(sizes), *self.hidden, 1)
            self._prepare()
        self._networks = nn.ModuleList([self._actor, self._critic])
        self._slow = slow_copy(self._networks)
        self._optimiser = torch.optim.Adam(self._networks.parameters(), self.learning_rate, fused=True)
        return worlds

    def _update(self, worlds, own: GoalEpisodes, count: int, share: float, rng: torch.Generator) -> None:
        """`count` minibatches, drawn at once: own steps and demonstrated ones."""
        self._before(own, count, share)
        parts = [store.draw((count, size), self.hindsight, rng) for store, size in
                 ((own, self.batch_size), (self._shown, self._beside))]
        steps = Steps(*(torch.cat(pair, 1) for pair in zip(*parts, strict=True)))
        reached = torch.as_tensor(worlds.reached(steps.achieved.numpy(), steps.goal.numpy()), dtype=torch.float32)
        seen, after = self._sight(steps.observation, steps.goal), self._sight(steps.following, steps.goal)
        rewards = self.reward(steps, reached)
        for row in range(count):
            self._descend(seen[row], steps.action[row], after[row], rewards[row], 1 - reached[row], Steps(*(one[row] for one in parts[1])))

    def _descend(self, seen: Tensor, action: Tensor, after: Tensor, reward: Tensor, alive: Tensor, shown: Steps) -> None:
        with torch.no_grad():
            actor, critic = self._slow
            value = critic(torch.cat([after, actor(after)], -1)).squeeze(-1)
            target = (reward + self.discount * alive * value).clamp(*self._returns)
        loss = F.mse_loss(self._critic(torch.cat([seen, action], -1)).squeeze(-1), target)
        own = self._actor(seen)
        climb = self.effort * own.square().mean() - self._critic(torch.cat([seen, own], -1)).mean() + self._cloning(shown)
        for network, objective in ((self._critic, loss), (self._actor, climb)):
            weights = list(network.parameters())
            for weight, slope in zip(weights, torch.autograd.grad(objective, weights), strict=True):
                weight.grad = slope
        self._optimiser.step()
        follow(self._slow, self._networks, self.rate)

    @torch.no_grad()
    def _explore(self, now: np.ndarray, goal: np.ndarray, rng: torch.Generator) -> np.ndarray:
        action = self._actor(self._sight(now, goal))
        noisy = (action + self.noise * torch.randn(action.shape, generator=rng)).clamp(-1, 1)
        uniform = 2 * torch.rand(action.shape, generator=rng) - 1
        erring = torch.rand(len(action), 1, generator=rng) < self.random_share
        return self._box.action(torch.where(erring, uniform, noisy)).numpy()

    def _kept(self):
        """This policy as it is now, good for acting."""
        kept = copy.copy(self)
        kept._actor = slow_copy(self._actor)
        return kept

    @property
    def _fitted(self):
        if not hasattr(self, "_actor"):
            raise NotFitted()
        return self
