"""DQN: action values learned from their own greedy continuation, with a target network that is copied now and then.

Mnih, Kavukcuoglu, Silver, Rusu, Veness, Bellemare, et al. Human-level control through deep reinforcement learning. Nature 2015.
van Hasselt, Guez, Silver. Deep Reinforcement Learning with Double Q-learning. AAAI 2016. arXiv:1509.06461.

    y = r + gamma alive Q'(s', argmax_a Q(s', a))   (double)        y = r + gamma alive max_a Q'(s', a)   (not double)
    min mean huber(Q(s, a) - y),        Q' <- Q once in `target_every` updates

From a fixed batch (`fit`), or by acting (`practise`): epsilon-greedily, epsilon falling in a straight line from 1 to its last value.

Different here: Adam in place of RMSProp; the defaults are for small tasks, not Atari's.

With hidden layers of 128 it gets 249 (107 to 500; double: 143) on CartPole-v1 after 20,000 steps in it, the mean of eight seeds;
Stable-Baselines3's, not double, gets 243 (44 to 500; `benchmarks/agents.md`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import NotFitted
from ..parts.descent import descend
from ..parts.frame_replay import discrete_replay
from ..parts.practice import discrete, opened, practice
from ..parts.q_learning import chosen, taken
from ..parts.q_networks import q_network
from ..parts.replay import Experience, asked, follow, slow_copy
from ..parts.seeding import seeded


class DQN:
    """A greedy policy over discrete actions.

    Args:
        double: whether the network chooses the action at which the target network is asked.
        hidden: widths of the dense hidden layers; images go through convolutions before these.
        discount: gamma.
        learning_rate: Adam's.
        batch_size: transitions an update.
        target_every: updates after which the target network becomes the network.
        seed: of the start, the order of the batch and what is tried.

    Example:
        >>> import numpy as np
        >>> from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
        >>> action = np.arange(64) % 2
        >>> batch = DiscreteTransitions(np.ones((64, 1)), action, action, np.ones((64, 1)), np.ones(64), np.ones(64), actions=2)
        >>> policy = DQN(hidden=(16,), learning_rate=0.01).fit(batch, steps=200)
        >>> policy.act([[1.0]]), policy.value([[1.0]], [0]).abs() < 0.1
        (tensor([1]), tensor([True]))
    """

    def __init__(self, double=True, hidden=(256, 256), discount=0.99, learning_rate=3e-4, batch_size=64, target_every=200, seed=0):
        self.double, self.hidden, self.discount, self.learning_rate = double, hidden, discount, learning_rate
        self.batch_size, self.target_every, self.seed = batch_size, target_every, seed

    def fit(self, transitions, steps=100_000, on_step=None):
        """Learn from a batch, afresh.

        Args:
            transitions: a `DiscreteTransitions` or `FrameTransitions` record.
            steps: updates.
            on_step: called with the loss of each.

        Returns:
            self.

        Raises:
            DataError: the batch's actions are continuous.
        """
        replay = discrete_replay(transitions)
        minibatches = replay.minibatches(self.batch_size, steps, self.seed)
        self._start(replay.observation_shape, replay.actions)
        for minibatch in minibatches:
            loss = self._update(*minibatch)
            if on_step:
                on_step(loss.item())
        return self

    def practise(self, environment, steps=50_000, *, warm_up=1000, every=1, updates=1, epsilon=0.05, exploring=0.2, capacity=100_000,
                 on_step=None):
        """Learn by acting, afresh.

        Args:
            environment: an `Environment` record or a Gymnasium environment, with discrete actions.
            steps: steps in the environment.
            warm_up: steps before the first update.
            every, updates: after each `every` steps there are `updates` updates.
            epsilon: the last share of random actions.
            exploring: part of the steps in which the share falls there from 1.
            capacity: steps that are remembered.
            on_step: called with the reward of each step.

        Returns:
            self.

        Raises:
            DataError: the environment has continuous actions.
        """
        rng = torch.Generator().manual_seed(self.seed)
        with opened(environment) as made:
            shape, actions = discrete(made)
            self._start(shape, actions)
            seen = Experience(min(capacity, steps), shape, None, made.observation_space.dtype)

            def choose(observation, step):
                share = max(epsilon, 1 - (1 - epsilon) * step / (exploring * steps)) if exploring else epsilon
                if torch.rand((), generator=rng) < share:
                    return torch.randint(actions, (), generator=rng).item()
                return self.act(observation[None]).item()

            for minibatch in practice(made, choose, int, seen, rng, steps=steps, warm_up=warm_up, batch_size=self.batch_size,
                                      seed=self.seed, every=every, updates=updates, on_step=on_step):
                self._update(*minibatch)
        return self

    def act(self, observation) -> Tensor:
        """The action (B,) of the greatest value at each observation (B, ...)."""
        return self.values(observation).argmax(1)

    def value(self, observation, action) -> Tensor:
        """The estimate (B,) of the discounted return from each observation (B, ...) and action (B,)."""
        return chosen(self.values(observation), action)

    def values(self, observation) -> Tensor:
        """The estimates (B, actions) for every action at each observation (B, ...)."""
        if not hasattr(self, "_network"):
            raise NotFitted()
        with torch.no_grad():
            return self._network(asked(observation, self._shape))

    def _start(self, shape: tuple[int, ...], actions: int) -> None:
        self._shape = shape
        with seeded(self.seed):
            self._network = q_network(shape, actions, self.hidden)
        self._slow, self._updates = slow_copy(self._network), 0
        self._optimiser = torch.optim.Adam(self._network.parameters(), self.learning_rate, fused=True)

    def _update(self, observation: Tensor, action: Tensor, reward: Tensor, following: Tensor, alive: Tensor) -> Tensor:
        target = self._target(reward, following, alive)
        loss = F.smooth_l1_loss(taken(self._network(observation), action), target)
        descend(self._optimiser, loss)
        self._updates += 1
        if self._updates % self.target_every == 0:
            follow(self._slow, self._network, 1.0)
        return loss.detach()

    @torch.no_grad()
    def _target(self, reward: Tensor, following: Tensor, alive: Tensor) -> Tensor:  # (B,)
        values = self._slow(following)  # (B, actions)
        chosen = (self._network(following) if self.double else values).argmax(1)
        return reward + self.discount * alive * taken(values, chosen)
