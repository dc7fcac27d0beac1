"""TD3: twin delayed deep deterministic policy gradients, from a fixed batch or by acting.

Fujimoto, van Hoof, Meger. Addressing Function Approximation Error in Actor-Critic Methods. ICML 2018. arXiv:1802.09477.

Two critics learn from the smaller of their targets, at an action of the target actor that is blurred by clipped noise; the
actor climbs the first critic, and it and the targets move once in `delay` critic updates:

    y = r + gamma alive min_j Q_j'(s', clip(pi'(s') + clip(e, -c, c), -1, 1)),   e ~ N(0, sigma^2)
    critics: sum_j mean (Q_j(s, a) - y)^2        actor: max mean Q_1(s, pi(s))

Actions are counted in units of their bounds. From a fixed batch (`fit`) nothing keeps the actor near the batch's actions: that is what
it is a control for. By acting (`practise`) it adds noise to its own actions.

With hidden layers of 128 it gets -731 on Pendulum-v1 after 5,000 steps in it, the mean of eight seeds, which are far apart (-962 to -487);
Stable-Baselines3's gets -677 (-936 to -458; `benchmarks/agents.md`). Looked at every 500 steps from
7,000 to 10,000, on eight seeds, both get -185, the median being -159 and -158: policies that are good already break for some hundreds of
steps, below -200 at 7 and 5 of the 56 looks, so the last look alone (-244 and -179 at 10,000, six seeds) is a matter of luck.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import NotFitted
from ..parts.descent import descend
from ..parts.mlp import Critics, mlp
from ..parts.practice import continuous, opened, practice, sender
from ..parts.replay import Box, Experience, Replay, asked, asked_both, floats, follow, slow_copy
from ..parts.seeding import seeded


class TD3:
    """A deterministic policy.

    Args:
        hidden: widths of the hidden layers of actor and critics.
        discount: gamma.
        learning_rate: of Adam, for all networks.
        batch_size: transitions a step.
        rate: tau, the share by which targets follow.
        noise, noise_clip: sigma and c, in units of the action's bounds.
        delay: critic updates for each update of the actor.
        seed: of the starts, the order of the batch and the noise.

    Example:
        >>> import numpy as np
        >>> from bakeoff.data.kinds.transitions import Transitions
        >>> rng = np.random.default_rng(0)
        >>> x, action = rng.normal(size=(64, 3)), rng.uniform(-1, 1, (64, 2))
        >>> batch = Transitions(x, action, action[:, 0], x, np.ones(64), np.ones(64), [-1, -1], [1, 1])
        >>> TD3(hidden=(16, 16)).fit(batch, steps=5).act(x[:4]).shape
        torch.Size([4, 2])
    """

    def __init__(self, hidden=(400, 300), discount=0.99, learning_rate=1e-3, batch_size=100, rate=0.005, noise=0.2, noise_clip=0.5,
                 delay=2, seed=0):
        self.hidden, self.discount, self.learning_rate, self.batch_size = hidden, discount, learning_rate, batch_size
        self.rate, self.noise, self.noise_clip, self.delay, self.seed = rate, noise, noise_clip, delay, seed

    def fit(self, transitions, steps=100_000, on_step=None):
        """Learn from a batch, afresh.

        Args:
            transitions: a `Transitions` record.
            steps: updates of the critics.
            on_step: called with the critics' loss after each of them.

        Returns:
            self.
        """
        replay = Replay(transitions)
        minibatches = replay.minibatches(self.batch_size, steps, self.seed)
        self._start(replay.observation_dim, replay.box)
        for minibatch in minibatches:
            loss = self._update(*minibatch)
            if on_step:
                on_step(loss.item())
        return self

    def practise(self, environment, steps=100_000, *, warm_up=1000, exploration=0.1, capacity=1_000_000, on_step=None):
        """Learn by acting, afresh: one update of the critics a step.

        Args:
            environment: an `Environment` record or a Gymnasium environment, with flat observations and continuous actions.
            steps: steps in the environment.
            warm_up: steps of uniformly random actions before the first update.
            exploration: deviation of the noise added to actions afterwards, in units of their bounds.
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
                    action = self._actor(floats(observation))
                return (action + exploration * torch.randn(action.shape, generator=self._rng)).clamp(-1, 1)

            for minibatch in practice(made, choose, sender(box), seen, self._rng, steps=steps, warm_up=warm_up, batch_size=self.batch_size,
                                      seed=self.seed, on_step=on_step):
                self._update(*minibatch)
        return self

    def act(self, observation) -> Tensor:
        """The action (B, A) at each observation (B, O)."""
        with torch.no_grad():
            return self._fitted._box.action(self._actor(asked(observation, self._sizes[0])))

    def value(self, observation, action) -> Tensor:
        """The first critic's estimate (B,) of the discounted return from each observation (B, O) and action (B, A)."""
        with torch.no_grad():
            observation, action = asked_both(observation, action, *self._fitted._sizes)
            return self._critics.first(observation, self._box.unit(action))

    def _start(self, observation_dim: int, box: Box) -> None:
        self._box, sizes = box, (observation_dim, len(box.middle))
        self._sizes = (observation_dim,), sizes[1]
        with seeded(self.seed):
            self._critics = Critics(*sizes, self.hidden)  # first, so that learners with such critics start with the same
            self._actor = nn.Sequential(mlp(sizes[0], *self.hidden, sizes[1]), nn.Tanh())
        self._slow_actor, self._slow_critics = slow_copy(self._actor), slow_copy(self._critics)
        networks = self._actor, self._critics
        self._actor_steps, self._critic_steps = (torch.optim.Adam(one.parameters(), self.learning_rate, fused=True) for one in networks)
        self._rng, self._updates = torch.Generator().manual_seed(self.seed), 0

    def _update(self, observation: Tensor, action: Tensor, reward: Tensor, following: Tensor, alive: Tensor) -> Tensor:
        """One update of the critics, and in every `delay`-th the actor's and the targets'; the critics' loss."""
        target = self._target(reward, following, alive)
        loss = (self._critics(observation, action) - target).square().mean(1).sum()
        descend(self._critic_steps, loss)
        self._updates += 1
        if self._updates % self.delay == 0:
            descend(self._actor_steps, -self._critics.first(observation, self._actor(observation)).mean())
            follow(self._slow_critics, self._critics, self.rate)
            follow(self._slow_actor, self._actor, self.rate)
        return loss.detach()

    @torch.no_grad()
    def _target(self, reward: Tensor, following: Tensor, alive: Tensor) -> Tensor:  # (B,)
        action = self._slow_actor(following)
        blur = (self.noise * torch.randn(action.shape, generator=self._rng)).clamp(-self.noise_clip, self.noise_clip)
        value = self._slow_critics(following, (action + blur).clamp(-1, 1)).amin(0)
        return reward + self.discount * alive * value

    @property
    def _fitted(self):
        if not hasattr(self, "_critics"):
            raise NotFitted()
        return self
