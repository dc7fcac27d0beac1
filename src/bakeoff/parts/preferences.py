"""Rewards learned from preferences: which of two pieces of experience is the better one, and a reward whose sums agree.

The chance that piece j is preferred to piece i grows with the difference of their summed rewards (Bradley, Terry 1952),

    P(i < j) = exp R_j / (exp R_i + exp R_j),   R = sum of r(s) over the piece,      loss = -log P = log(1 + exp(R_i - R_j)).

If a share f of the preferences is turned round at random, the expected loss is log(1 + exp(R_i - R_j)) - f (R_i - R_j): no piece is
then to be preferred with more certainty than 1 - f.
An ensemble is one network with a leading axis of members: a batched product a layer for all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.kinds.transitions import Transitions
from ..errors import DataError
from .seeding import seeded


def pairwise_loss(worse: Tensor, better: Tensor, flipped: float = 0.0) -> Tensor:
    """The mean cross-entropy of preferring `better` (..., B), sums of rewards, to `worse` (..., B): (...); expected, where that share
    of the preferences is turned round.

    Example:
        >>> pairwise_loss(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 100.0]))  # log 2, and nothing
        tensor(0.3466)
    """
    return (F.softplus(worse - better) - flipped * (worse - better)).mean(-1)


class RewardEnsemble(nn.Module):
    """Rewards r_1, ..., r_K of a state, each a network of dense layers with ReLUs between them; states are standardised first.

    Args:
        states: (N, O), whose mean and deviation standardise all that come later.
        hidden: widths of the hidden layers.
        count: K.

    Example:
        >>> RewardEnsemble(torch.randn(9, 3), hidden=(8, 8), count=5)(torch.zeros(4, 3)).shape
        torch.Size([5, 4])
    """

    def __init__(self, states: Tensor, hidden: tuple[int, ...], count: int):
        super().__init__()
        sizes = list(itertools.pairwise((states.shape[1], *hidden, 1)))
        self.register_buffer("middle", states.mean(0))
        self.register_buffer("scale", states.std(0).clamp(min=1e-3))
        self.register_buffer("level", torch.zeros(count, 1))
        self.register_buffer("spread", torch.ones(count, 1))
        self.weights = nn.ParameterList(torch.empty(count, *pair).uniform_(-pair[0] ** -0.5, pair[0] ** -0.5) for pair in sizes)
        self.biases = nn.ParameterList(torch.zeros(count, 1, out) for _, out in sizes)

    def forward(self, states: Tensor) -> Tensor:
        """The rewards (K, ...) of states (..., O) that all members see, or of (K, ..., O), some for each member."""
        own = states.dim() > 2
        x = ((states - self.middle) / self.scale).reshape(len(self.weights[0]) if own else 1, -1, states.shape[-1])
        x = x.expand(len(self.weights[0]), -1, -1)  # (K, N, O)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x.relu() if layer else x, weight)
        return x.view(states.shape[:-1] if own else (-1, *states.shape[:-1]))

    @torch.no_grad()
    def settle(self, states: Tensor) -> None:
        """Let every member's rewards of states (N, O) have mean 0 and deviation 1, so that all count alike in `mean`."""
        rewards = self(states)
        self.level, self.spread = rewards.mean(1, keepdim=True), rewards.std(1, keepdim=True).clamp(min=1e-8)

    @torch.no_grad()
    def mean(self, states) -> Tensor:
        """The mean of the members' settled rewards (B,) of states (B, O)."""
        return ((self(torch.tensor(np.asarray(states), dtype=torch.float32)) - self.level) / self.spread).mean(0)


class Snippets:
    """Pieces of ranked episodes, drawn in pairs of which one is the better.

    Args:
        states: (N, O), the states of all episodes one after another.
        lengths: (E,), how many each episode has.
        ranks: (E,), greater for a better episode; equals are never compared.
        length: states of a piece; as many as the shortest episode has, if these are fewer.
        gap: the smallest difference in rank of two that are compared.

    Raises:
        DataError: no two episodes differ in rank by more than `gap`.
    """

    def __init__(self, states: Tensor, lengths, ranks, length: int, gap: float = 0.0):
        ranks = np.asarray(ranks, dtype=float)
        difference = ranks[None] - ranks[:, None]
        worse, better = np.nonzero((difference > 0) & (difference >= gap))
        if not len(worse):
            raise DataError(f"nothing to learn from the ranks {ranks.tolist()}: no two episodes can be compared",
                            "Give at least two episodes, of different ranks.")
        lengths = torch.as_tensor(np.asarray(lengths))
        self.states, self.length = states, min(length, int(lengths.min()))
        self.pairs = torch.from_numpy(np.stack([worse, better], -1))  # (P, 2)
        self._first, self._starts = torch.cumsum(lengths, 0) - lengths, lengths - self.length + 1

    def draw(self, members: int, batch_size: int, steps: int, rng: torch.Generator) -> Iterator[Tensor]:
        """`steps` times pieces (members, batch_size, 2, length, O), the worse one first: pairs of episodes drawn uniformly, then starts."""
        within = torch.arange(self.length)
        for _ in range(steps):
            pair = self.pairs[torch.randint(len(self.pairs), (members, batch_size), generator=rng)]  # (K, B, 2)
            starts = (torch.rand(pair.shape, generator=rng, dtype=torch.float64) * self._starts[pair]).long() + self._first[pair]
            yield self.states[starts[..., None] + within]


def learn_reward(snippets: Snippets, *, members: int, hidden: tuple[int, ...], steps: int, batch_size: int, learning_rate: float,
                 l2: float, flipped: float, seed: int) -> RewardEnsemble:
    """An ensemble whose sums over pieces agree with their ranks; each member draws pairs of its own.

    Args:
        snippets: where pairs are drawn from.
        members, hidden: networks of the ensemble, and the widths of their hidden layers.
        steps, batch_size: gradient steps, and pairs in each.
        learning_rate: of Adam.
        l2: what the squares of all weights, summed, count for in the loss; biases are free.
        flipped: the share of preferences turned round.
        seed: of the starts and the draws.
    """
    with seeded(seed):
        ensemble = RewardEnsemble(snippets.states, hidden, members)
    rng = torch.Generator().manual_seed(seed)
    groups = [{"params": list(ensemble.weights), "weight_decay": 2 * l2}, {"params": list(ensemble.biases)}]
    optimizer = torch.optim.Adam(groups, learning_rate, fused=True)
    for pieces in snippets.draw(members, batch_size, steps, rng):
        worse, better = ensemble(pieces).sum(-1).unbind(-1)  # (K, B) each
        optimizer.zero_grad()
        pairwise_loss(worse, better, flipped).sum().backward()
        optimizer.step()
    ensemble.settle(snippets.states)
    return ensemble


def split_episodes(batch: Transitions) -> list[slice]:
    """The rows of each episode of a batch; rows after the last `ended` are one too."""
    ends = np.flatnonzero(batch.ended) + 1
    bounds = np.unique([0, *ends, len(batch)])
    return [slice(*pair) for pair in itertools.pairwise(bounds.tolist())]


def pair_accuracy(returns, ranks) -> float:
    """The share of pairs of different `ranks` (E,) that `returns` (E,) put in the same order.

    Example:
        >>> pair_accuracy([1.0, 3.0, 2.0], [0, 1, 2])
        0.6666666666666666
    """
    returns, ranks = np.asarray(returns, dtype=float), np.asarray(ranks, dtype=float)
    higher = ranks[:, None] > ranks[None]
    return float((returns[:, None] > returns[None])[higher].mean())
