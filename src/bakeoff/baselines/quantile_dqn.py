"""Quantile DQN: the distribution of the return as quantiles, an action's value being their mean.

Dabney, Rowland, Bellemare, Munos. Distributional Reinforcement Learning with Quantile Regression. AAAI 2018. arXiv:1710.10044.

    a' = argmax_a mean_j theta'_j(s', a),     y_j = r + gamma alive theta'_j(s', a'),     j = 1 ... N
    min sum_i mean_j |t_i - 1{u_ij < 0}| huber(u_ij),    u_ij = y_j - theta_i(s, a),    t_i = (i - 1/2) / N

with a target network theta' that is copied now and then.
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


class QuantileDQN:
    """A greedy policy over discrete actions, by the mean of learned quantiles.

    Args:
        quantiles: N.
        hidden: widths of the dense hidden layers; images go through convolutions before these.
        discount: gamma.
        learning_rate: Adam's.
        batch_size: transitions an update.
        target_every: updates after which the target network becomes the network.
        seed: of the start and the order of the batch.

    Example:
        >>> import numpy as np
        >>> from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
        >>> action = np.arange(64) % 2
        >>> batch = DiscreteTransitions(np.ones((64, 1)), action, action, np.ones((64, 1)), np.ones(64), np.ones(64), actions=2)
        >>> policy = QuantileDQN(quantiles=5, hidden=(16,), learning_rate=0.01).fit(batch, steps=200)
        >>> policy.act([[1.0]]), policy.value([[1.0]], [0]).abs() < 0.1
        (tensor([1]), tensor([True]))
    """

    def __init__(self, quantiles=50, hidden=(256, 256), discount=0.99, learning_rate=3e-4, batch_size=64, target_every=200, seed=0):
        self.quantiles, self.hidden, self.discount, self.learning_rate = quantiles, hidden, discount, learning_rate
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
            self._network = q_network(replay.observation_shape, replay.actions * self.quantiles, self.hidden)
        self._slow = slow_copy(self._network)
        learn(self._network, self._slow, self._loss, minibatches, learning_rate=self.learning_rate, target_every=self.target_every,
              on_step=on_step)
        return self

    def act(self, observation) -> Tensor:
        """The action (B,) of the greatest value at each observation (B, ...)."""
        return self.distribution(observation).mean(2).argmax(1)

    def value(self, observation, action) -> Tensor:
        """The estimate (B,) of the discounted return from each observation (B, ...) and action (B,)."""
        return chosen(self.distribution(observation).mean(2), action)

    def distribution(self, observation) -> Tensor:
        """The quantiles (B, actions, N) of the discounted return of every action at each observation (B, ...)."""
        if not hasattr(self, "_network"):
            raise NotFitted()
        with torch.no_grad():
            return self._split(self._network(asked(observation, self._shape)))

    def _loss(self, observation: Tensor, action: Tensor, reward: Tensor, following: Tensor, alive: Tensor) -> Tensor:
        with torch.no_grad():
            after = self._split(self._slow(following))
            target = reward[:, None] + self.discount * alive[:, None] * taken(after, after.mean(2).argmax(1))
        return quantile_loss(taken(self._split(self._network(observation)), action), target)

    def _split(self, outputs: Tensor) -> Tensor:
        return outputs.unflatten(1, (-1, self.quantiles))  # (B, actions, N)


def quantile_loss(found: Tensor, target: Tensor, kappa: float = 1.0) -> Tensor:
    """Quantile regression with a Huber rim: the mean over rows of what stands above.

    Args:
        found: (B, N), the N quantiles at the levels (i - 1/2) / N.
        target: (B, M), draws of the distribution, or its quantiles.
        kappa: within this error the loss is quadratic.

    Example:
        >>> quantile_loss(torch.tensor([[0.0]]), torch.tensor([[3.0]])).item()  # |0.5 - 0| (3 - 0.5)
        1.25
    """
    levels = (torch.arange(found.shape[1]) + 0.5) / found.shape[1]
    error = target[:, None] - found[..., None]  # (B, N, M)
    huber = F.huber_loss(found[..., None].expand_as(error), target[:, None].expand_as(error), reduction="none", delta=kappa) / kappa
    return ((levels[:, None] - (error.detach() < 0).float()).abs() * huber).mean(2).sum(1).mean()
