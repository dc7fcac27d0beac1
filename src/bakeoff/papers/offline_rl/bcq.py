"""BCQ: Q-learning from a fixed batch that only ever evaluates actions like those in the batch.

Fujimoto, Meger, Precup. Off-Policy Deep Reinforcement Learning without Exploration. ICML 2019. arXiv:1812.02900.

Method: in a fixed batch nothing corrects Q at actions that the batch lacks, and a maximum over actions seeks out just those
errors. So actions are drawn from a model of the batch, G(a|s), a conditional VAE with latents z of size 2A:

    E(s, a) = (mu, sigma),     D(s, z) = a^,     loss = mean (a - D(s, mu + sigma e))^2 + KL / (4A),                      (1)
    KL = sum_z (mu^2 + sigma^2 - 1 - log sigma^2) / 2,     G(s) = D(s, clip(z, -0.5, 0.5)), z ~ N(0, I).

A network moves an action by at most Phi = 0.05 of the bounds towards a greater value: xi(s, a) = clip(a + Phi tanh(f(s, a))),

    xi: max mean Q_1(s, xi(s, a)),  a ~ G(s)            policy(s) = argmax over n draws a_i ~ G(s) of Q_1(s, xi(s, a_i)).     (2)

Two critics learn from a target that leans to the smaller of them, lambda = 0.75, n = 10, with slow copies Q', xi':

    y = r + gamma alive max_i [lambda min_j Q_j'(s', a_i) + (1 - lambda) max_j Q_j'(s', a_i)],  a_i = xi'(s', G(s')).      (3)

Departures: the control is TD3, a later learner by the same first author, where the paper runs DDPG and DQN: a harder rival,
whose critics' start, learning rate, minibatches and number of updates are BCQ's. Below `full`, both arms have hidden
layers of 128 instead of the paper's 400 and 300, and 750 for the model: one core affords either thousands of updates, before
which no value has come through the targets, or the paper's widths. Nothing was tuned, for either. The demonstrator is a linear
policy found by random search and not a trained DDPG; its errors are the paper's (30 % random actions, noise of 0.3 on the
others), and so is their number, 100,000. The release makes a million updates and acts by
the best of 100 draws, not of 10; policies are judged where they end.

Out of reach: the batches of the final buffer, of concurrent and of expert behaviour; the other MuJoCo tasks; whether BCQ does better
than the demonstrator, of which the claim speaks too (the batch's return is shown beside), or than cloning, which averages errors
away: on four of the judged seeds plain cloning of the same width and steps got 710 on average, draws from the model without any values
595, BCQ 723, the batch 311. So at `quick`, where no values have arrived yet (BCQ expects 35 at the start and gets 200, discounted),
the lead over TD3 is for the most part that of imitation, and TD3's failure is not the blow-up of values that the paper shows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bakeoff.baselines.td3 import TD3
from bakeoff.claim import Claim, Paper
from bakeoff.errors import NotFitted
from bakeoff.parts.action_vae import ActionVAE
from bakeoff.parts.descent import descend, held
from bakeoff.parts.draws import repeated, rng_at
from bakeoff.parts.mlp import Critics, mlp
from bakeoff.parts.replay import Replay, asked, asked_both, follow, slow_copy
from bakeoff.parts.rollouts import judged
from bakeoff.parts.seeding import seeded
from bakeoff.parts.value_pictures import estimates_against_returns

PAPER = Paper(
    title="Off-Policy Deep Reinforcement Learning without Exploration", authors=("Fujimoto", "Meger", "Precup"), year=2019, venue="ICML",
    arxiv="1812.02900", also=("BCQ", "batch-constrained deep Q-learning", "batch-constrained Q-learning",
                              "batch-constrained reinforcement learning"))
CLAIM = Claim(
    says="From 100,000 steps of demonstrations with 30 % random actions BCQ learns to do better than the demonstrator did, where the "
         "usual off-policy learners fail.",
    data="hopper-imperfect", metric="return", unit="points", better="higher", margin=50.0,
    equal="steps", steps={"smoke": 20, "quick": 5000, "full": 300_000})
__all__ = ["BCQ", "soft_clipped"]


class BCQ:
    """A policy learned by batch-constrained Q-learning.

    Args:
        samples: n, actions drawn from the model of the batch where the best is taken.
        perturbation: Phi, in units of the action's bounds.
        mixing: lambda, the weight of the smaller critic in the target.
        discount: gamma.
        hidden: widths of the hidden layers of the critics and the perturbation.
        model_hidden: widths of the hidden layers of the VAE's encoder and decoder.
        learning_rate: of Adam, for all networks.
        batch_size: transitions a step.
        rate: tau, the share by which targets follow.
        seed: of the starts, the order of the batch and all draws.

    Example:
        >>> import numpy as np
        >>> from bakeoff.data.kinds.transitions import Transitions
        >>> from bakeoff.papers.offline_rl.bcq import BCQ
        >>> rng = np.random.default_rng(0)
        >>> x, action = rng.normal(size=(64, 3)), rng.uniform(-1, 1, (64, 2))
        >>> batch = Transitions(x, action, action[:, 0], x, np.ones(64), np.ones(64), [-1, -1], [1, 1])
        >>> policy = BCQ(hidden=(16, 16), model_hidden=(16, 16)).fit(batch, steps=5)
        >>> policy.act(x[:4]).shape, policy.propose(x[:4], 7).shape
        (torch.Size([4, 2]), torch.Size([4, 7, 2]))
    """

    def __init__(self, samples=10, perturbation=0.05, mixing=0.75, discount=0.99, hidden=(400, 300), model_hidden=(750, 750),
                 learning_rate=1e-3, batch_size=100, rate=0.005, seed=0):
        self.samples, self.perturbation, self.mixing, self.discount = samples, perturbation, mixing, discount
        self.hidden, self.model_hidden = hidden, model_hidden
        self.learning_rate, self.batch_size, self.rate, self.seed = learning_rate, batch_size, rate, seed

    def fit(self, transitions, steps=100_000, on_step=None):
        """Learn from a batch, afresh.

        Args:
            transitions: a `Transitions` record.
            steps: updates of every network.
            on_step: called with the critics' loss after each of them.

        Returns:
            self.
        """
        replay = Replay(transitions)
        minibatches = replay.minibatches(self.batch_size, steps, self.seed)
        self._build(replay)
        for minibatch in minibatches:
            loss = self._update(*minibatch)
            if on_step:
                on_step(loss.item())
        return self

    def act(self, observation) -> Tensor:
        """The action (B, A) at each observation (B, O): the best of n draws, moved (eq. 2). The same observations, the same draws."""
        many, drawn = self._fitted._drawn(observation, self.samples)
        with torch.no_grad():
            actions = self._moved(self._shift, many, drawn)  # (B, n, A)
            best = self._critics.first(many, actions).argmax(1)  # (B,)
        return self._box.action(actions[torch.arange(len(best)), best])

    def propose(self, observation, count: int) -> Tensor:
        """Draws (B, count, A) from the model of the batch, not moved, at each observation (B, O)."""
        return self._fitted._box.action(self._drawn(observation, count)[1])

    def value(self, observation, action) -> Tensor:
        """The first critic's estimate (B,) of the discounted return from each observation (B, O) and action (B, A)."""
        observation, action = asked_both(observation, action, *self._fitted._sizes)
        with torch.no_grad():
            return self._critics.first(observation, self._box.unit(action))

    def _drawn(self, observation, count: int) -> tuple[Tensor, Tensor]:
        """Observations (B, count, O) and draws (B, count, A): a function of seed and observations, so that a policy is one."""
        observation = asked(observation, self._fitted._sizes[0])
        many = repeated(observation, count)
        return many, self._model.sample(many, rng_at(observation, self.seed))

    def _build(self, replay: Replay) -> None:
        sizes = replay.observation_dim, replay.action_dim
        self._sizes = replay.observation_shape, replay.action_dim
        self._box, self._rng = replay.box, torch.Generator().manual_seed(self.seed)
        with seeded(self.seed):
            self._critics = Critics(*sizes, self.hidden)
            self._shift = nn.Sequential(mlp(sum(sizes), *self.hidden, sizes[1]), nn.Tanh())
            self._model = ActionVAE(*sizes, self.model_hidden)
        self._slow_critics, self._slow_shift = slow_copy(self._critics), slow_copy(self._shift)
        networks = self._model, self._critics, self._shift
        self._adams = [torch.optim.Adam(one.parameters(), self.learning_rate, fused=True) for one in networks]

    def _update(self, observation: Tensor, action: Tensor, reward: Tensor, following: Tensor, alive: Tensor) -> Tensor:
        """One step of every network on a minibatch; the critics' loss."""
        model, critics, shift = self._adams
        descend(model, self._model.loss(observation, action, self._rng))
        drawn = self._model.sample(torch.cat([repeated(following, self.samples), observation[:, None]], 1), self._rng)  # (B, n + 1, A)
        target = self._target(reward, following, alive, drawn[:, :-1])
        loss = (self._critics(observation, action) - target).square().mean(1).sum()
        descend(critics, loss)
        with held(self._critics) as critics:
            value = critics.first(observation, self._moved(self._shift, observation, drawn[:, -1])).mean()
        descend(shift, -value)
        follow(self._slow_critics, self._critics, self.rate)
        follow(self._slow_shift, self._shift, self.rate)
        return loss.detach()

    @torch.no_grad()
    def _target(self, reward: Tensor, following: Tensor, alive: Tensor, drawn: Tensor) -> Tensor:  # (B,), eq. 3
        many = repeated(following, drawn.shape[1])
        actions = self._moved(self._slow_shift, many, drawn)
        return reward + self.discount * alive * soft_clipped(self._slow_critics(many, actions), self.mixing)

    def _moved(self, shift: nn.Module, observation: Tensor, action: Tensor) -> Tensor:  # (..., A)
        return (action + self.perturbation * shift(torch.cat([observation, action], -1))).clamp(-1, 1)

    @property
    def _fitted(self):
        if not hasattr(self, "_critics"):
            raise NotFitted()
        return self


def soft_clipped(values: Tensor, mixing: float = 0.75) -> Tensor:
    """max_i [lambda min_j Q_j + (1 - lambda) max_j Q_j] (eq. 3); lambda = 1 is clipped double Q-learning.

    Args:
        values: (K, B, n), critic j at action i.
        mixing: lambda.

    Returns:
        (B,).

    Example:
        >>> import torch
        >>> from bakeoff.papers.offline_rl.bcq import soft_clipped
        >>> soft_clipped(torch.tensor([[[1.0, 4.0]], [[3.0, 0.0]]]))
        tensor([1.5000])
    """
    return (mixing * values.amin(0) + (1 - mixing) * values.amax(0)).amax(-1)


PAPERS, NARROW = ((400, 300), (750, 750)), ((128, 128), (128, 128))  # of both arms' critics and actors, and of BCQ's model
WIDTHS = {"smoke": NARROW, "quick": NARROW, "full": PAPERS}


def treatment(train, budget, seed):
    """BCQ."""
    hidden, model_hidden = WIDTHS[budget.name]
    return BCQ(hidden=hidden, model_hidden=model_hidden, seed=seed).fit(train, budget.steps, budget.spend), train


def control(train, budget, seed):
    """TD3 on the same batch, with critics of the same widths and start."""
    hidden, _ = WIDTHS[budget.name]
    return TD3(hidden=hidden, seed=seed).fit(train, budget.steps, budget.spend), train


def score(model, test):
    """The mean return (judged); the same with chance as 0 and the batch as 1; how far the value at the start is above what came."""
    return judged(*model, test)


def draw(model, test):
    """What the first critic expected against what came."""
    return estimates_against_returns(model[0], test)
