"""Goal-conditioned cloning: do for a goal what a demonstration did on its way there.

Any state that a demonstration reaches later was a valid goal of each earlier step, so goals are replaced by later achieved ones
(Ding, Florensa, Phielipp, Abbeel 2019, arXiv:1906.05838, and Lynch et al. 2019, arXiv:1903.01973):

    min mean |a - pi(s, g)|^2

It never acts while learning, so it can only do as well as what was shown. Actions are counted in units of their bounds.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import NotFitted
from ..parts.goal_episodes import Sight, demonstrated
from ..parts.mlp import mlp
from ..parts.replay import Box
from ..parts.seeding import seeded


class GoalCloning:
    """A goal-conditioned policy cloned from demonstrations.

    Args:
        hidden: widths of the hidden layers.
        learning_rate: of Adam.
        batch_size: steps in a minibatch.
        hindsight: the share of goals that are replaced; with 0 only the pursued goals are learned.
        seed: of the start and the order of minibatches.

    Example:
        >>> from bakeoff.data.four_rooms import demonstrate
        >>> from bakeoff.data.kinds.demonstrations import Demonstrations
        >>> shown = Demonstrations(**demonstrate(2, seed=0), action_low=[-1, -1], action_high=[1, 1])
        >>> GoalCloning(hidden=(8,)).fit(shown, steps=5).act(shown.observation[:4], shown.goal[:4]).shape
        torch.Size([4, 2])
    """

    def __init__(self, hidden=(64, 64), learning_rate=1e-3, batch_size=256, hindsight=0.8, seed=0):
        self.hidden, self.learning_rate, self.batch_size = hidden, learning_rate, batch_size
        self.hindsight, self.seed = hindsight, seed

    def fit(self, demonstrations, steps=5000, on_step=None):
        """Learn from demonstrations, afresh.

        Args:
            demonstrations: a `Demonstrations` record.
            steps: updates.
            on_step: called with the loss after each of them.

        Returns:
            self.
        """
        one = demonstrations
        self._box, self._sight = Box(one.action_low, one.action_high), Sight(one)
        shown = demonstrated(one, self._box.unit)
        with seeded(self.seed):
            sizes = one.observation.shape[1] + one.goal.shape[1], *self.hidden, one.action.shape[1]
            self._actor = nn.Sequential(mlp(*sizes), nn.Tanh())
        optimiser = torch.optim.Adam(self._actor.parameters(), self.learning_rate, fused=True)
        rng = torch.Generator().manual_seed(self.seed)
        for _ in range(steps):
            drawn = shown.draw((self.batch_size,), self.hindsight, rng)
            loss = F.mse_loss(self._actor(self._sight(drawn.observation, drawn.goal)), drawn.action)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if on_step:
                on_step(loss.item())
        return self

    def act(self, observation, goal) -> Tensor:
        """The action (B, A) at each observation (B, O) for each goal (B, G)."""
        if not hasattr(self, "_actor"):
            raise NotFitted()
        with torch.no_grad():
            return self._box.action(self._actor(self._sight(observation, goal)))
