"""SAC: a stochastic policy that is paid for its entropy as well as by the task, at a temperature it learns.

Haarnoja, Zhou, Hartikainen, Tucker, Ha, Tan, et al. Soft Actor-Critic Algorithms and Applications. arXiv:1812.05905.

Two critics learn from the smaller of their targets at a draw of the policy; the policy, a Gaussian squashed by tanh, climbs the smaller of
them; the temperature alpha rises where the policy's entropy is below the one wanted, H, and falls where it is above:

    y = r + gamma alive (min_j Q_j'(s', a') - alpha log pi(a'|s')),   a' ~ pi(s')
    critics: sum_j mean (Q_j(s, a) - y)^2        policy: min mean [alpha log pi(a|s) - min_j Q_j(s, a)],   a ~ pi(s)
    temperature: min -log alpha mean [log pi(a|s) + H],   H = -A

Actions are counted in units of their bounds, and so are entropies. From a fixed batch (`fit`) nothing keeps the policy near the batch's
actions; by acting (`practise`) it does as it draws.

Different here: policy and temperature take one joint step of Adam, at the temperature before it; log alpha stands where the paper has
alpha, so that it stays above 0; gradients have the same sign.

With hidden layers of 128 and a rate of 1e-3 it gets -165 on Pendulum-v1 after 5,000 steps in it, the mean of eight seeds;
Stable-Baselines3's gets -232, or -155 but for two seeds (`benchmarks/agents.md`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import NotFitted
from ..parts.descent import descend
from ..parts.mlp import Critics
from ..parts.practice import continuous, opened, practice, sender
from ..parts.replay import Box, Experience, Replay, asked, asked_both, floats, follow, slow_copy
from ..parts.seeding import seeded
from ..parts.squashed_gaussian import SquashedGaussian


class SAC:
    """A stochastic policy, judged by its median action.

    Args:
        hidden: widths of the hidden layers of policy and critics.
        discount: gamma.
        learning_rate: of Adam, for all networks and the temperature.
        batch_size: transitions an update.
        rate: tau, the share by which the critics' targets follow.
        entropy: H, the entropy wanted, in nats, of actions in units of their bounds; None for -A.
        temperature: alpha at the start.
        seed: of the starts, the order of the batch and all draws.

    Example:
        >>> import numpy as np
        >>> from bakeoff.data.kinds.transitions import Transitions
        >>> rng = np.random.default_rng(0)
        >>> x, action = rng.normal(size=(64, 3)), rng.uniform(-1, 1, (64, 2))
        >>> batch = Transitions(x, action, action[:, 0], x, np.ones(64), np.ones(64), [-1, -1], [1, 1])
        >>> policy = SAC(hidden=(16, 16)).fit(batch, steps=5)
        >>> policy.act(x[:4]).shape, policy.value(x[:4], action[:4]).shape
        (torch.Size([4, 2]), torch.Size([4]))
    """

    def __init__(self, hidden=(256, 256), discount=0.99, learning_rate=3e-4, batch_size=256, rate=0.005, entropy=None, temperature=1.0,
                 seed=0):
        self.hidden, self.discount, self.learning_rate, self.batch_size = hidden, discount, learning_rate, batch_size
        self.rate, self.entropy, self.temperature, self.seed = rate, entropy, temperature, seed

    def fit(self, transitions, steps=100_000, on_step=None):
        """Learn from a batch, afresh.

        Args:
            transitions: a `Transitions` record.
            steps: updates of all networks.
            on_step: called with the critics' loss after each of them.

        Returns:
            self.

        Raises:
            DataError: the batch's actions are discrete.
        """
        replay = Replay(transitions)
        minibatches = replay.minibatches(self.batch_size, steps, self.seed)
        self._start(replay.observation_dim, replay.box)
        for minibatch in minibatches:
            loss = self._update(*minibatch)
            if on_step:
                on_step(loss.item())
        return self

    def practise(self, environment, steps=100_000, *, warm_up=1000, capacity=1_000_000, on_step=None):
        """Learn by acting, afresh: one update a step.

        Args:
            environment: an `Environment` record or a Gymnasium environment, with flat observations and continuous actions.
            steps: steps in the environment.
            warm_up: steps of uniformly random actions before the first update.
            capacity: steps that are remembered.
            on_step: called with the reward of each step.

        Returns:
            self.

        Raises:
            DataError: the environment has other actions or observations.
        """
        with opened(environment) as made:
            observation_dim, box = continuous(made)
            self._start(observation_dim, box)
            seen = Experience(min(capacity, steps), (observation_dim,), len(box.middle))

            def choose(observation, step):
                if step < warm_up:
                    return 2 * torch.rand(box.middle.shape, generator=self._rng) - 1
                with torch.no_grad():
                    return self._policy.sample(floats(observation), self._rng)[0]

            for minibatch in practice(made, choose, sender(box), seen, self._rng, steps=steps, warm_up=warm_up, batch_size=self.batch_size,
                                      seed=self.seed, on_step=on_step):
                self._update(*minibatch)
        return self

    def act(self, observation) -> Tensor:
        """The policy's median action (B, A) at each observation (B, O)."""
        with torch.no_grad():
            return self._fitted._box.action(self._policy.mean(asked(observation, self._sizes[0])))

    def value(self, observation, action) -> Tensor:
        """The first critic's estimate (B,) of the discounted return, rewards for later entropy included, from each observation (B, O)
        and action (B, A)."""
        with torch.no_grad():
            observation, action = asked_both(observation, action, *self._fitted._sizes)
            return self._critics.first(observation, self._box.unit(action))

    def _start(self, observation_dim: int, box: Box) -> None:
        self._box, sizes = box, (observation_dim, len(box.middle))
        self._sizes = (observation_dim,), sizes[1]
        self._wanted = -float(sizes[1]) if self.entropy is None else self.entropy
        with seeded(self.seed):
            self._critics = Critics(*sizes, self.hidden)  # first, so that learners with such critics start with the same
            self._policy = SquashedGaussian(*sizes, self.hidden)
        self._log_temperature = torch.tensor(self.temperature).log().requires_grad_()
        self._slow_critics, self._rng = slow_copy(self._critics), torch.Generator().manual_seed(self.seed)
        self._critic_steps = torch.optim.Adam(self._critics.parameters(), self.learning_rate, fused=True)
        self._policy_steps = torch.optim.Adam([*self._policy.parameters(), self._log_temperature], self.learning_rate, fused=True)

    def _update(self, observation: Tensor, action: Tensor, reward: Tensor, following: Tensor, alive: Tensor) -> Tensor:
        """One update of everything; the critics' loss."""
        target = self._target(reward, following, alive)
        loss = (self._critics(observation, action) - target).square().mean(1).sum()
        descend(self._critic_steps, loss)
        descend(self._policy_steps, self._policy_loss(observation))
        follow(self._slow_critics, self._critics, self.rate)
        return loss.detach()

    def _policy_loss(self, observation: Tensor) -> Tensor:
        """The policy's loss plus the temperature's, each of which has a gradient for its own parameters alone."""
        drawn, log_density = self._policy.sample(observation, self._rng)
        policy = self._log_temperature.detach().exp() * log_density - self._critics(observation, drawn).amin(0)
        return policy.mean() - self._log_temperature * (log_density.detach().mean() + self._wanted)

    @torch.no_grad()
    def _target(self, reward: Tensor, following: Tensor, alive: Tensor) -> Tensor:  # (B,)
        drawn, log_density = self._policy.sample(following, self._rng)
        value = self._slow_critics(following, drawn).amin(0) - self._log_temperature.exp() * log_density
        return reward + self.discount * alive * value

    @property
    def _fitted(self):
        if not hasattr(self, "_critics"):
            raise NotFitted()
        return self
