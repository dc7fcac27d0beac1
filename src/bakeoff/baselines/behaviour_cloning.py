"""Behaviour cloning: what the batch did, learned as plain regression or classification.

Pomerleau. ALVINN: An Autonomous Land Vehicle in a Neural Network. NIPS 1988.

    continuous actions: min mean |mu(s) - a|^2, a in units of its bounds, and acts by mu(s) cut at the bounds
    discrete actions:   min mean -log p(a|s), p = softmax, and acts by the likeliest action

Continuous actions are a regression, not a squashed Gaussian: its solution is the behaviour's mean action, which is what a cloned
policy should do when judged without noise, and actions at their very bounds, of which clipped noise makes many, are as good targets as
any, where a squashed density is infinite. The output is not squashed either, so that without hidden layers this is least squares.

From 4,000 steps of a policy that got -584 on Pendulum-v1 it gets -572, d3rlpy's -585, the means of eight seeds (`benchmarks/agents.md`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import NotFitted
from ..parts.descent import descend
from ..parts.mlp import mlp
from ..parts.q_networks import q_network
from ..parts.replay import DiscreteReplay, Replay, asked
from ..parts.seeding import seeded


class BehaviourCloning:
    """A deterministic policy: the mean of the batch's continuous actions at an observation.

    Args:
        hidden: widths of the hidden layers; () for a linear policy.
        learning_rate: Adam's.
        batch_size: transitions a step.
        seed: of the start and the order of the batch.

    Example:
        >>> import numpy as np
        >>> from bakeoff.data.kinds.transitions import Transitions
        >>> x = np.random.default_rng(0).uniform(-1, 1, (64, 1))
        >>> batch = Transitions(x, x / 2, x[:, 0], x, np.ones(64), np.ones(64), [-1], [1])
        >>> BehaviourCloning(hidden=(), learning_rate=0.1).fit(batch, steps=200).act([[0.5]])
        tensor([[0.2500]])
    """

    def __init__(self, hidden=(256, 256), learning_rate=1e-3, batch_size=256, seed=0):
        self.hidden, self.learning_rate, self.batch_size, self.seed = hidden, learning_rate, batch_size, seed

    def fit(self, transitions, steps=10_000, on_step=None):
        """Learn from a batch, afresh.

        Args:
            transitions: a `Transitions` record.
            steps: minibatches to learn from.
            on_step: called with the mean squared error of each, in units of the action's bounds.

        Returns:
            self.

        Raises:
            DataError: the batch's actions are discrete.
        """
        replay = Replay(transitions)
        minibatches = replay.minibatches(self.batch_size, steps, self.seed)
        self._box, self._shape = replay.box, replay.observation_shape
        with seeded(self.seed):
            self._network = mlp(replay.observation_dim, *self.hidden, replay.action_dim)
        _learn(self._network, F.mse_loss, minibatches, self.learning_rate, on_step)
        return self

    def act(self, observation) -> Tensor:
        """The action (B, A) at each observation (B, O)."""
        if not hasattr(self, "_network"):
            raise NotFitted()
        with torch.no_grad():
            return self._box.action(self._network(asked(observation, self._shape)).clamp(-1, 1))


class DiscreteBehaviourCloning:
    """A categorical policy: how likely the batch chose each of its discrete actions at an observation.

    Args:
        hidden: widths of the dense hidden layers; images go through a convolution before these.
        learning_rate: Adam's.
        batch_size: transitions a step.
        seed: of the start and the order of the batch.

    Example:
        >>> import numpy as np
        >>> from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
        >>> x = np.random.default_rng(0).uniform(-1, 1, (64, 1))
        >>> batch = DiscreteTransitions(x, x[:, 0] > 0, x[:, 0], x, np.ones(64), np.ones(64), actions=2)
        >>> DiscreteBehaviourCloning(hidden=(16,), learning_rate=0.1).fit(batch, steps=100).act([[0.5], [-0.5]])
        tensor([1, 0])
    """

    def __init__(self, hidden=(256, 256), learning_rate=1e-3, batch_size=256, seed=0):
        self.hidden, self.learning_rate, self.batch_size, self.seed = hidden, learning_rate, batch_size, seed

    def fit(self, transitions, steps=10_000, on_step=None):
        """Learn from a batch, afresh.

        Args:
            transitions: a `DiscreteTransitions` record.
            steps: minibatches to learn from.
            on_step: called with the cross-entropy of each, in nats.

        Returns:
            self.

        Raises:
            DataError: the batch's actions are continuous.
        """
        replay = DiscreteReplay(transitions)
        minibatches, self._shape = replay.minibatches(self.batch_size, steps, self.seed), replay.observation_shape
        with seeded(self.seed):
            self._network = q_network(replay.observation_shape, replay.actions, self.hidden)
        _learn(self._network, F.cross_entropy, minibatches, self.learning_rate, on_step)
        return self

    def act(self, observation) -> Tensor:
        """The likeliest action (B,) at each observation (B, ...)."""
        return self.log_probability(observation).argmax(1)

    def log_probability(self, observation) -> Tensor:
        """log p(a|s) of every action (B, actions) at each observation (B, ...)."""
        if not hasattr(self, "_network"):
            raise NotFitted()
        with torch.no_grad():
            return self._network(asked(observation, self._shape)).log_softmax(1)


def _learn(network, loss_of, minibatches, learning_rate: float, on_step) -> None:
    optimiser = torch.optim.Adam(network.parameters(), learning_rate, fused=True)
    for observation, action, *_ in minibatches:
        loss = loss_of(network(observation), action)
        descend(optimiser, loss)
        if on_step:
            on_step(loss.item())
