"""GAIL from observations: a policy is sought whose states a discriminator cannot tell from those of the demonstrations.

Ho, Ermon. Generative Adversarial Imitation Learning. NeurIPS 2016. arXiv:1606.03476. Without actions: Torabi, Warnell, Stone.
Generative Adversarial Imitation from Observation. 2018. arXiv:1807.06158.

    D: max mean log D(s), s demonstrated, + mean log (1 - D(s)), s visited           policy: max sum over an episode of r(s)
    r(s) = log D(s) - log (1 - D(s)), the logit

The policy is linear and moved by augmented random search; after each of its iterations D learns for `updates` steps from the
states that the iteration visited.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import DataError, NotFitted
from ..parts.policy_search import LINEAR_SEARCH
from ..parts.preferences import RewardEnsemble
from ..parts.seeding import seeded


class GAIL:
    """A policy learned from the states of demonstrations, by a discriminator and random search.

    Args:
        hidden: widths of the hidden layers of the discriminator.
        learning_rate, weight_decay: of AdamW.
        batch_size: states of either kind in a step of the discriminator.
        updates: steps of the discriminator after each iteration of the search.
        search: how the policy is searched for.
        seed: of the start, the order of states and the search.

    Example:
        >>> import numpy as np
        >>> from bakeoff.data.kinds.transitions import Transitions
        >>> from bakeoff.parts.policy_search import Search
        >>> x, action, every = np.zeros((40, 3)), np.zeros((40, 1)), np.arange(40) % 20 == 19
        >>> shown = Transitions(x, action, action[:, 0], x, every, every, [-2], [2], "Pendulum-v1")
        >>> GAIL(hidden=(8,), search=Search(horizon=20)).fit(shown, steps=400).act(x[:4]).shape
        torch.Size([4, 1])
    """

    def __init__(self, hidden=(64, 64), learning_rate=3e-4, weight_decay=0.01, batch_size=256, updates=5, search=LINEAR_SEARCH, seed=0):
        self.hidden, self.learning_rate, self.weight_decay = hidden, learning_rate, weight_decay
        self.batch_size, self.updates, self.search, self.seed = batch_size, updates, search, seed

    def fit(self, transitions, steps=200_000, on_step=None):
        """Learn from demonstrations, afresh.

        Args:
            transitions: a `Transitions` record that names its environment; only its observations are looked at.
            steps: environment steps at most.
            on_step: called after each episode of the search with its sum of rewards and its number of steps.

        Returns:
            self.
        """
        if not transitions.environment:
            raise DataError("these demonstrations do not say in which environment a policy is to be sought", "Name a Gymnasium id.")
        self._shown = torch.tensor(transitions.observation)
        with seeded(self.seed):
            self._discriminator = RewardEnsemble(self._shown, self.hidden, 1)
        weights = self._discriminator.parameters()
        self._optimizer = torch.optim.AdamW(weights, self.learning_rate, weight_decay=self.weight_decay, fused=True)
        self._rng, self._visited = torch.Generator().manual_seed(self.seed), []
        self._policy = self.search(transitions.environment, self._judge, steps, self.seed, on_step)
        return self

    def act(self, observation) -> Tensor:
        """The action (B, A) at each observation (B, O)."""
        return self._fitted._policy.act(observation)

    def reward(self, observation) -> Tensor:
        """The last discriminator's logit (B,) at each observation (B, O)."""
        with torch.no_grad():
            return self._fitted._discriminator(torch.tensor(np.asarray(observation), dtype=torch.float32))[0]

    @property
    def checkpoints(self):
        """The policies after each iteration of the search, as functions of one observation (O,)."""
        return self._fitted._policy.checkpoints

    def _judge(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:  # (T + 1, O), (T, A) -> (T,)
        """Rewards of the states an episode reached; all episodes of an iteration are judged by one discriminator."""
        if len(self._visited) == 2 * self.search.directions:
            self._discriminate(torch.cat(self._visited))
            self._visited = []
        states = torch.as_tensor(observations[1:], dtype=torch.float32)
        self._visited.append(states)
        with torch.no_grad():
            return self._discriminator(states)[0].double().numpy()

    def _discriminate(self, visited: Tensor) -> None:
        for _ in range(self.updates):
            both = [states[torch.randint(len(states), (self.batch_size,), generator=self._rng)] for states in (self._shown, visited)]
            shown, gone = self._discriminator(torch.stack(both).flatten(0, 1))[0].chunk(2)
            self._optimizer.zero_grad()
            (F.softplus(-shown).mean() + F.softplus(gone).mean()).backward()
            self._optimizer.step()

    @property
    def _fitted(self):
        if not hasattr(self, "_policy"):
            raise NotFitted()
        return self
