"""TD3: twin delayed deep deterministic policy gradients, here run on a fixed batch.

Fujimoto, van Hoof, Meger. Addressing Function Approximation Error in Actor-Critic Methods. ICML 2018. arXiv:1802.09477.

Two critics learn from the smaller of their targets, at an action of the target actor that is blurred by clipped noise; the
actor climbs the first critic, and it and the targets move once in `delay` critic updates:

    y = r + gamma alive min_j Q_j'(s', clip(pi'(s') + clip(e, -c, c), -1, 1)),   e ~ N(0, sigma^2)
    critics: sum_j mean (Q_j(s, a) - y)^2        actor: max mean Q_1(s, pi(s))

Actions are counted in units of their bounds. Nothing keeps the actor near the batch's actions: that is what it is a control for.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import NotFitted
from ..parts.mlp import Critics, mlp
from ..parts.replay import Replay, follow, slow_copy
from ..parts.seeding import seeded


class TD3:
    """A deterministic policy learned by TD3 from a fixed batch.

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
        self._box, sizes = replay.box, (replay.observation_dim, replay.action_dim)
        with seeded(self.seed):
            self._critics = Critics(*sizes, self.hidden)  # first, so that learners with such critics start with the same
            self._actor = nn.Sequential(mlp(sizes[0], *self.hidden, sizes[1]), nn.Tanh())
        self._slow_actor, self._slow_critics = slow_copy(self._actor), slow_copy(self._critics)
        networks = self._actor, self._critics
        actor_steps, critic_steps = (torch.optim.Adam(one.parameters(), self.learning_rate, fused=True) for one in networks)
        rng = torch.Generator().manual_seed(self.seed)
        for step, (observation, action, reward, following, alive) in enumerate(replay.minibatches(self.batch_size, steps, self.seed), 1):
            target = self._target(reward, following, alive, rng)
            loss = F.mse_loss(self._critics(observation, action), target.expand(2, -1), reduction="none").mean(1).sum()
            critic_steps.zero_grad()
            loss.backward()
            critic_steps.step()
            if step % self.delay == 0:
                climb = -self._critics.first(observation, self._actor(observation)).mean()
                actor_steps.zero_grad()
                climb.backward()
                actor_steps.step()
                follow(self._slow_critics, self._critics, self.rate)
                follow(self._slow_actor, self._actor, self.rate)
            if on_step:
                on_step(loss.item())
        return self

    def act(self, observation) -> Tensor:
        """The action (B, A) at each observation (B, O)."""
        with torch.no_grad():
            return self._fitted._box.action(self._actor(torch.as_tensor(observation, dtype=torch.float32)))

    def value(self, observation, action) -> Tensor:
        """The first critic's estimate (B,) of the discounted return from each observation (B, O) and action (B, A)."""
        observation, action = (torch.as_tensor(one, dtype=torch.float32) for one in (observation, action))
        with torch.no_grad():
            return self._fitted._critics.first(observation, self._box.unit(action))

    @torch.no_grad()
    def _target(self, reward: Tensor, following: Tensor, alive: Tensor, rng: torch.Generator) -> Tensor:  # (B,)
        action = self._slow_actor(following)
        blur = (self.noise * torch.randn(action.shape, generator=rng)).clamp(-self.noise_clip, self.noise_clip)
        value = self._slow_critics(following, (action + blur).clamp(-1, 1)).amin(0)
        return reward + self.discount * alive * value

    @property
    def _fitted(self):
        if not hasattr(self, "_critics"):
            raise NotFitted()
        return self
