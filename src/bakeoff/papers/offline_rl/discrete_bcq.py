"""Discrete BCQ: Double DQN whose maximum is taken among the actions that the batch would take as well.

Fujimoto, Conti, Ghavamzadeh, Pineau. Benchmarking Batch Deep Reinforcement Learning Algorithms. NeurIPS workshop 2019. arXiv:1910.01708.

Method: a network with two heads, values Q(s, .) and imitation i(s, .), G = softmax(i). An action is allowed where the batch's own choice is
not much likelier than it,

    A(s) = {a : G(a|s) / max_b G(b|s) >= tau},      tau = 0.3,                                                              (1)

and both the target and the policy choose among those only, by the network and not by its slow copy Q':

    a' = argmax over A(s') of Q(s', a),     y = r + gamma alive Q'(s', a'),                                                 (2)
    loss = mean huber(Q(s, a) - y) - mean log G(a|s) + 0.01 mean i(s, .)^2,                                                 (3)
    policy(s) = argmax over A(s) of Q(s, a).                                                                                (4)

tau = 0 allows everything, which is Double DQN; tau = 1 only the likeliest action, which is cloning. Convolutions serve both heads, dense
layers one each, as in the authors' release; flat observations have two networks.

Departures: the set of eq. 1 is closed (the paper has ">"), so that tau = 1 is cloning and no set is empty. Both policies act greedily,
where the paper takes a random action in a thousand. Below `full` the game is MinAtar's Breakout and not Atari's: its player learned for
300,000 frames instead of 40 million, the batch has 50,000 steps instead of 10 million, and both arms have MinAtar's network, batches of 64,
a learning rate of 1e-3 and a copy every 200 updates. Rate and copying were chosen for the control, as the best of twelve (3e-4, 1e-4 and
1e-3 with copies every 50, 200 and 1,000; 1e-3 with 100 and 400; 3e-3 with 200), by 4,000 updates on two seeds that are not judged:
2.3 and 1.9 points, next 1e-3 with 100 (3.5 and 0.7) and with 50 (0.7 and 1.8), none of the others above 1.2 on average. Nothing was tuned
for BCQ, whose tau is the paper's; with these settings it got 7.5 and 9.0.

Out of reach: Atari, unless a batch is made (tools/batches.py, 71 GB on disk for 10 million steps; it is read where it lies) on a machine
for 10 million updates, at some 23 a second on one thread; whether Double DQN would recover in a longer run. With a copy every 50 updates,
on three such seeds, BCQ got 8.0 to 8.7, where the batch has 4.6 and its player without random actions 7.9; on one of them Double DQN got
0.7 while it expected 8.5 at the start and 0.6 came (BCQ: 4.7 and 4.8). That is the drift of values of which the paper speaks, but in a
game so small that 50,000 steps hold most of what happens to a good player and little of what happens to a bad one. With batches of 32
Double DQN got 2.3 after 5,000 updates, with a rate of 3e-4 and a copy every 200 it got 3.6 on another seed, its values right
(benchmarks/value_estimates.md), BCQ 7.8; d3rlpy's, with batches of 64, 0.7 and 0.8 after 2,500. So the lead is that of staying near the
batch: after 2,000 updates plain cloning got 7.9 and KL-control 6.2, BCQ 7.4, and in MinAtar's Space Invaders 19, 17 and 15
(benchmarks/discrete.md). Whether BCQ does better than cloning, the claim does not ask.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.baselines.dqn import DQN
from bakeoff.claim import Claim, Paper
from bakeoff.data.kinds.frame_transitions import FrameTransitions
from bakeoff.errors import NotFitted
from bakeoff.parts.frame_replay import discrete_replay
from bakeoff.parts.long_episodes import judged_apart
from bakeoff.parts.mlp import mlp
from bakeoff.parts.q_learning import chosen, learn, taken
from bakeoff.parts.q_networks import features
from bakeoff.parts.replay import asked, slow_copy
from bakeoff.parts.rollouts import judged
from bakeoff.parts.seeding import seeded
from bakeoff.parts.value_pictures import estimates_against_returns

PAPER = Paper(
    title="Benchmarking Batch Deep Reinforcement Learning Algorithms", authors=("Fujimoto", "Conti", "Ghavamzadeh", "Pineau"), year=2019,
    venue="NeurIPS Deep RL Workshop", arxiv="1910.01708",
    also=("discrete BCQ", "BCQ for discrete actions", "discrete batch-constrained Q-learning"))
CLAIM = Claim(
    says="From 10 million steps of a partly trained player's games discrete BCQ learns to play better than DQN does from the same ones, "
         "in every Atari game tried.",
    data="breakout-epsilon", metric="return", unit="points", better="higher", margin=0.5,
    equal="steps", steps={"smoke": 20, "quick": 4000, "full": 10_000_000})
__all__ = ["DiscreteBCQ", "allowed"]


class DiscreteBCQ:
    """A policy over discrete actions, learned by batch-constrained Q-learning.

    Args:
        threshold: tau, how likely an action must be in the batch, the likeliest being 1.
        hidden: widths of the dense hidden layers of each head.
        discount: gamma.
        penalty: weight of the squared logits.
        learning_rate: Adam's.
        batch_size: transitions an update.
        target_every: updates after which the slow copy becomes the network.
        seed: of the start and the order of the batch.

    Example:
        >>> import numpy as np
        >>> from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
        >>> from bakeoff.papers.offline_rl.discrete_bcq import DiscreteBCQ
        >>> action, every = np.arange(60) % 2, np.ones(60)
        >>> batch = DiscreteTransitions(every[:, None], action, action, every[:, None], every, every, actions=3)  # the third never tried
        >>> policy = DiscreteBCQ(hidden=(16,), learning_rate=0.01).fit(batch, steps=100)
        >>> policy.allowed([[1.0]]), policy.act([[1.0]])
        (tensor([[ True,  True, False]]), tensor([1]))
    """

    def __init__(self, threshold=0.3, hidden=(512,), discount=0.99, penalty=0.01, learning_rate=6.25e-5, batch_size=32, target_every=8000,
                 seed=0):
        self.threshold, self.hidden, self.discount, self.penalty = threshold, hidden, discount, penalty
        self.learning_rate, self.batch_size, self.target_every, self.seed = learning_rate, batch_size, target_every, seed

    def fit(self, transitions, steps=100_000, on_step=None):
        """Learn from a batch, afresh.

        Args:
            transitions: a `DiscreteTransitions` or `FrameTransitions` record.
            steps: updates.
            on_step: called with the loss of each (eq. 3).

        Returns:
            self.

        Raises:
            DataError: the batch's actions are continuous.
        """
        replay = discrete_replay(transitions)
        minibatches, self._shape = replay.minibatches(self.batch_size, steps, self.seed), replay.observation_shape
        with seeded(self.seed):
            self._network = _TwoHeads(replay.observation_shape, replay.actions, self.hidden)
        self._slow = slow_copy(self._network)
        learn(self._network, self._slow, self._loss, minibatches, learning_rate=self.learning_rate, target_every=self.target_every,
              on_step=on_step)
        return self

    def act(self, observation) -> Tensor:
        """The allowed action (B,) of the greatest value at each observation (B, ...) (eq. 4)."""
        return _best(*self._asked(observation), self.threshold)

    def value(self, observation, action) -> Tensor:
        """The estimate (B,) of the discounted return from each observation (B, ...) and action (B,)."""
        return chosen(self._asked(observation)[0], action)

    def allowed(self, observation) -> Tensor:
        """Which actions (B, actions) are allowed at each observation (B, ...) (eq. 1)."""
        return allowed(self._asked(observation)[1], self.threshold)

    def _loss(self, observation: Tensor, action: Tensor, reward: Tensor, following: Tensor, alive: Tensor) -> Tensor:  # eq. 3
        values, logits = self._network(observation)
        error = F.smooth_l1_loss(taken(values, action), self._target(reward, following, alive))
        return error + F.cross_entropy(logits, action) + self.penalty * logits.square().mean()

    @torch.no_grad()
    def _target(self, reward: Tensor, following: Tensor, alive: Tensor) -> Tensor:  # (B,), eq. 2
        best = _best(*self._network(following), self.threshold)
        return reward + self.discount * alive * taken(self._slow.values(following), best)

    @torch.no_grad()
    def _asked(self, observation) -> tuple[Tensor, Tensor]:
        if not hasattr(self, "_network"):
            raise NotFitted()
        return self._network(asked(observation, self._shape))


class _TwoHeads(nn.Module):
    """Values and logits (B, actions) from observations (B, ...); what is learned for values starts as it does in other learners."""

    def __init__(self, observation_shape: tuple[int, ...], actions: int, hidden: tuple[int, ...]):
        super().__init__()
        self.seen, size = features(observation_shape)
        self.valued, self.imitated = (mlp(size, *hidden, actions) for _ in range(2))

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.seen(observation)
        return self.valued(seen), self.imitated(seen)

    def values(self, observation: Tensor) -> Tensor:
        return self.valued(self.seen(observation))


def allowed(logits: Tensor, threshold: float = 0.3) -> Tensor:
    """The actions that are at least `threshold` times as likely as the likeliest (eq. 1), which is among them.

    Args:
        logits: (..., actions).
        threshold: tau, from 0 (all) to 1 (the likeliest).

    Returns:
        (..., actions) bool.

    Example:
        >>> import torch
        >>> from bakeoff.papers.offline_rl.discrete_bcq import allowed
        >>> allowed(torch.tensor([0.6, 0.3, 0.1]).log(), threshold=0.4)
        tensor([ True,  True, False])
    """
    return (logits - logits.amax(-1, keepdim=True)).exp() >= threshold


def _best(values: Tensor, logits: Tensor, threshold: float) -> Tensor:  # (B, actions) twice -> (B,)
    return values.masked_fill(~allowed(logits, threshold), -torch.inf).argmax(-1)


def _frames(model) -> bool:
    return isinstance(model[1], FrameTransitions)


PAPERS = {"hidden": (512,), "learning_rate": 6.25e-5, "batch_size": 32, "target_every": 8000}
SMALL = {"hidden": (128,), "learning_rate": 1e-3, "batch_size": 64, "target_every": 200}
SETTINGS = {"smoke": SMALL, "quick": SMALL, "full": PAPERS}  # of both arms


def treatment(train, budget, seed):
    """Discrete BCQ."""
    return DiscreteBCQ(**SETTINGS[budget.name], seed=seed).fit(train, budget.steps, budget.spend), train


def control(train, budget, seed):
    """Double DQN on the same batch: the same convolutions, head and start."""
    return DQN(double=True, **SETTINGS[budget.name], seed=seed).fit(train, budget.steps, budget.spend), train


def score(model, test):
    """The mean return (judged), beside the batch's and chance's; how far the value at the start is above what came."""
    return (judged_apart if _frames(model) else judged)(*model, test)


def draw(model, test):
    """The values expected along the test episodes against the returns that came; not Atari's, whose values are of cut rewards."""
    return [] if _frames(model) else estimates_against_returns(model[0], test)
