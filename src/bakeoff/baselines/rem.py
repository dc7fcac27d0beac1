"""REM, random ensemble mixture: many heads of values, of which another random average learns at each update.

Agarwal, Schuurmans, Norouzi. An Optimistic Perspective on Offline Reinforcement Learning. ICML 2020. arXiv:1907.04543.

    Q_alpha = sum_k alpha_k Q_k,    alpha_k = u_k / sum_k u_k,    u_k ~ U(0, 1), drawn for every minibatch
    min mean huber(Q_alpha(s, a) - r - gamma alive max_a' Q'_alpha(s', a'))

and acts by the plain mean of the heads. With one head it is DQN. The heads share every layer but the last.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import NotFitted
from ..parts.frame_replay import discrete_replay
from ..parts.q_learning import chosen, learn, taken
from ..parts.q_networks import q_network
from ..parts.replay import asked, slow_copy
from ..parts.seeding import seeded


class REM:
    """A greedy policy over discrete actions, by the mean of many heads.

    Args:
        heads: K.
        hidden: widths of the dense hidden layers; images go through convolutions before these.
        discount: gamma.
        learning_rate: Adam's.
        batch_size: transitions an update.
        target_every: updates after which the target network becomes the network.
        seed: of the start, the order of the batch and the mixtures.

    Example:
        >>> import numpy as np
        >>> from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
        >>> action = np.arange(64) % 2
        >>> batch = DiscreteTransitions(np.ones((64, 1)), action, action, np.ones((64, 1)), np.ones(64), np.ones(64), actions=2)
        >>> policy = REM(heads=5, hidden=(16,), learning_rate=0.01).fit(batch, steps=200)
        >>> policy.act([[1.0]]), policy.value([[1.0]], [0]).abs() < 0.1
        (tensor([1]), tensor([True]))
    """

    def __init__(self, heads=200, hidden=(256, 256), discount=0.99, learning_rate=3e-4, batch_size=64, target_every=200, seed=0):
        self.heads, self.hidden, self.discount, self.learning_rate = heads, hidden, discount, learning_rate
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
        minibatches, self._shape = replay.minibatches(self.batch_size, steps, self.seed), replay.observation_shape
        with seeded(self.seed):
            self._network = q_network(replay.observation_shape, replay.actions * self.heads, self.hidden)
        self._slow, self._rng = slow_copy(self._network), torch.Generator().manual_seed(self.seed)
        learn(self._network, self._slow, self._loss, minibatches, learning_rate=self.learning_rate, target_every=self.target_every,
              on_step=on_step)
        return self

    def act(self, observation) -> Tensor:
        """The action (B,) of the greatest mean value at each observation (B, ...)."""
        return self.values(observation).mean(2).argmax(1)

    def value(self, observation, action) -> Tensor:
        """The heads' mean estimate (B,) of the discounted return from each observation (B, ...) and action (B,)."""
        return chosen(self.values(observation).mean(2), action)

    def values(self, observation) -> Tensor:
        """Every head's estimate (B, actions, K) at each observation (B, ...)."""
        if not hasattr(self, "_network"):
            raise NotFitted()
        with torch.no_grad():
            return self._split(self._network(asked(observation, self._shape)))

    def _loss(self, observation: Tensor, action: Tensor, reward: Tensor, following: Tensor, alive: Tensor) -> Tensor:
        mixture = torch.rand(self.heads, generator=self._rng)
        mixture = mixture / mixture.sum()
        with torch.no_grad():
            target = reward + self.discount * alive * (self._split(self._slow(following)) @ mixture).amax(1)
        return F.smooth_l1_loss(taken(self._split(self._network(observation)), action) @ mixture, target)

    def _split(self, outputs: Tensor) -> Tensor:
        return outputs.unflatten(1, (-1, self.heads))  # (B, actions, K)
