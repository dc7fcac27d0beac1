"""KL-control over discrete actions: Q-learning that pays for leaving the batch's policy.

Jaques, Gu, Bahdanau, Hernandez-Lobato, Turner, Eck. Sequence Tutor. ICML 2017. arXiv:1611.02796; on fixed batches
Jaques, Ghandeharioun, Shen, Ferguson, Lapedriza, Jones, Gu, Picard. 2019. arXiv:1907.00456.

A model p(a|s) of the batch is learned by cross-entropy. Maximising E sum_t gamma^t (r_t - c KL(pi(.|s_t) || p(.|s_t))) has the solution

    pi(a|s) ~ p(a|s) exp(Q(s, a) / c),      y = r + gamma alive c log sum_b p(b|s') exp(Q'(s', b) / c),
    min mean huber(Q(s, a) - y),

with a target network Q' that is copied now and then. It acts by the likeliest action of pi. c = 0 would be DQN, a large c is cloning.

Different here: the model is learned along, by as many updates, and the target has no dropout.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import NotFitted
from ..parts.frame_replay import discrete_replay
from ..parts.q_learning import chosen, learn, taken
from ..parts.q_networks import q_network
from ..parts.replay import asked, slow_copy
from ..parts.seeding import seeded


class DiscreteKLControl:
    """A policy over discrete actions near the batch's.

    Args:
        scale: c, what a nat of difference from the batch's policy costs, in units of reward.
        hidden: widths of the dense hidden layers; images go through convolutions before these.
        discount: gamma.
        learning_rate: Adam's.
        batch_size: transitions an update.
        target_every: updates after which the target network becomes the network.
        seed: of the starts and the order of the batch.

    Example:
        >>> import numpy as np
        >>> from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
        >>> action = np.arange(64) % 2
        >>> batch = DiscreteTransitions(np.ones((64, 1)), action, action, np.ones((64, 1)), np.ones(64), np.ones(64), actions=2)
        >>> policy = DiscreteKLControl(scale=1.0, hidden=(16,), learning_rate=0.01).fit(batch, steps=200)
        >>> policy.act([[1.0]]), (policy.log_probability([[1.0]]).diff() - 1).abs() < 0.2  # both were tried as often
        (tensor([1]), tensor([[True]]))
    """

    def __init__(self, scale=0.1, hidden=(256, 256), discount=0.99, learning_rate=3e-4, batch_size=64, target_every=200, seed=0):
        self.scale, self.hidden, self.discount, self.learning_rate = scale, hidden, discount, learning_rate
        self.batch_size, self.target_every, self.seed = batch_size, target_every, seed

    def fit(self, transitions, steps=100_000, on_step=None):
        """Learn from a batch, afresh.

        Args:
            transitions: a `DiscreteTransitions` or `FrameTransitions` record.
            steps: updates.
            on_step: called with the loss of each, that of the values and that of the model.

        Returns:
            self.

        Raises:
            DataError: the batch's actions are continuous.
        """
        replay = discrete_replay(transitions)
        minibatches, self._shape = replay.minibatches(self.batch_size, steps, self.seed), replay.observation_shape
        with seeded(self.seed):
            self._values, self._model = (q_network(replay.observation_shape, replay.actions, self.hidden) for _ in range(2))
        networks = nn.ModuleList([self._values, self._model])
        slow = slow_copy(networks)
        self._slow = slow[0]
        learn(networks, slow, self._loss, minibatches, learning_rate=self.learning_rate, target_every=self.target_every,
              on_step=on_step)
        return self

    def act(self, observation) -> Tensor:
        """The likeliest action (B,) at each observation (B, ...)."""
        return self.log_probability(observation).argmax(1)

    def log_probability(self, observation) -> Tensor:
        """log pi(a|s) of every action (B, actions) at each observation (B, ...)."""
        values, prior = self._asked(observation)
        return (values / self.scale + prior).log_softmax(1)

    def value(self, observation, action) -> Tensor:
        """The estimate (B,) of the discounted return, less what later differences cost, from each observation (B, ...) and action (B,)."""
        return chosen(self._asked(observation)[0], action)

    def charges(self, observation) -> Tensor:
        """What the difference from the batch's policy costs (B,) at each observation (B, ...): c KL(pi || p)."""
        values, prior = self._asked(observation)
        ours = (values / self.scale + prior).log_softmax(1)
        return self.scale * (ours.exp() * (ours - prior)).sum(1)

    def _loss(self, observation: Tensor, action: Tensor, reward: Tensor, following: Tensor, alive: Tensor) -> Tensor:
        with torch.no_grad():
            prior = self._model(following).log_softmax(1)
            target = reward + self.discount * alive * self.scale * (self._slow(following) / self.scale + prior).logsumexp(1)
        return F.smooth_l1_loss(taken(self._values(observation), action), target) + F.cross_entropy(self._model(observation), action)

    @torch.no_grad()
    def _asked(self, observation) -> tuple[Tensor, Tensor]:
        if not hasattr(self, "_values"):
            raise NotFitted()
        observation = asked(observation, self._shape)
        return self._values(observation), self._model(observation).log_softmax(1)
