"""Networks on pairs of a drug and a protein: an encoder of each, dense layers on both, and how they learn from blocks of pairs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .pair_blocks import blocks
from .seeding import seeded
from .smiles_tokens import without_padding


class Pairing(nn.Module):
    """A drug's vector and a protein's, and dense layers with ReLUs on both: one number, in units of the training pairs' deviation.

    Args:
        drug: rows of numbers (D, L), 0 for padding, to (D, E).
        protein: rows of numbers (S, T), 0 for padding, to (S, F).
        width: E + F.
        head: widths of the dense layers.
        dropout: share dropped after each of them but the last, in training.

    Example:
        >>> from .protein_convolution import SequenceConvolution
        >>> network = Pairing(SequenceConvolution(9, 4, (3,), 2), SequenceConvolution(27, 4, (5,), 2), 3 + 5, (6,), 0.0)
        >>> drugs, proteins = torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([[7, 8, 9]])
        >>> network(drugs, proteins, torch.tensor([[0, 0], [1, 0]])).shape
        torch.Size([2])
    """

    def __init__(self, drug: nn.Module, protein: nn.Module, width: int, head: Sequence[int], dropout: float):
        super().__init__()
        self.drug, self.protein = drug, protein
        layers = [part for pair in pairwise((width, *head)) for part in (nn.Linear(*pair), nn.ReLU(), nn.Dropout(dropout))]
        self.dense = nn.Sequential(*layers[:-1], nn.Linear(head[-1], 1), nn.Flatten(0))
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, drugs: Tensor, proteins: Tensor, pairs: Tensor) -> Tensor:  # (D, L), (S, T), (B, 2) -> (B,)
        (drug, first), (protein, second) = (column.unique(return_inverse=True) for column in pairs.T)
        h, g = self.drug(without_padding(drugs[drug])), self.protein(without_padding(proteins[protein]))  # each of a pair's once
        return self.dense(torch.cat([h[first], g[second]], 1))


def train(network: Pairing, drugs: Tensor, proteins: Tensor, pairs: np.ndarray, affinity, *, steps: int, learning_rate: float, block: int,
          averaging: float, seed: int, checkpoints: Sequence[int] = (), on_step: Callable[[float], None] | None = None,
          ) -> tuple[Pairing, dict[int, Pairing]]:
    """Learn affinities by Adam on the squared error of blocks of pairs.

    Args:
        network: trained in place.
        drugs, proteins: rows of numbers (D, L) and (S, T).
        pairs: (P, 2), positions of a drug and of a protein.
        affinity: (P,), in any unit.
        steps: blocks to learn from.
        learning_rate: Adam's.
        block: drugs, and proteins, between which the pairs of a step are.
        averaging: share of the averaged weights that a step leaves; 0 for the last step's own.
        seed: decides the order and what dropout drops.
        checkpoints: numbers of steps after which the averaged weights are kept.
        on_step: called with the loss of each step, in units of the affinities' variance.

    Returns:
        The network with averaged weights, ready to predict, and those kept, by step.

    Raises:
        ValueError: there are no pairs, or not one finite affinity for each.
    """
    affinity = torch.as_tensor(np.asarray(affinity, dtype=np.float32))
    if affinity.shape != (len(pairs),) or not len(pairs) or not affinity.isfinite().all():
        raise ValueError(f"affinities of shape {tuple(affinity.shape)} for {len(pairs)} pairs; expected one finite number for each")
    network.train().mean.fill_(affinity.mean())
    network.scale.fill_(affinity.std(correction=0) or 1.0)
    target = (affinity - network.mean) / network.scale  # (P,)
    averaged, kept = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(averaging)), {}
    optimiser = torch.optim.Adam(network.parameters(), learning_rate, fused=True)
    with seeded(seed):  # dropout draws from the global generator
        for step, rows in enumerate(blocks(pairs, block, steps, seed), 1):
            loss = F.mse_loss(network(drugs, proteins, torch.from_numpy(pairs[rows])), target[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            averaged.update_parameters(network)
            if step in checkpoints:
                kept[step] = copy.deepcopy(averaged.module).eval()
            if on_step:
                on_step(loss.item())
    return averaged.module.eval(), kept


def answers(network: Pairing, drugs: Tensor, proteins: Tensor, pairs: np.ndarray) -> np.ndarray:
    """The affinity (P,) of pairs (P, 2) between rows of numbers (D, L) and (S, T), in the unit that the network learned."""
    pairs = torch.from_numpy(pairs)
    with torch.no_grad():
        h, g = (torch.cat([encode(without_padding(some)) for some in rows.split(64)])
                for encode, rows in ((network.drug, drugs), (network.protein, proteins)))
        found = torch.cat([network.dense(torch.cat([h[some[:, 0]], g[some[:, 1]]], 1)) for some in pairs.split(1 << 14)])
        return (network.mean + network.scale * found).numpy()
