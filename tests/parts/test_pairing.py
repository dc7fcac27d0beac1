"""The network on pairs and its training: each drug and protein is encoded once, and the steps are Adam's on the squared error."""

import numpy as np
import pytest
import torch
from torch import nn

from bakeoff.parts import pairing
from bakeoff.parts.pair_blocks import blocks
from bakeoff.parts.pairing import Pairing
from bakeoff.parts.seeding import seeded

DRUGS, PROTEINS = torch.tensor([[1, 2, 0], [3, 1, 2], [2, 0, 0]]), torch.tensor([[1, 1], [2, 0]])
PAIRS, VALUES = np.argwhere(np.ones((3, 2))), np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])


class Sum(nn.Module):
    """The sum of a row's embedded numbers; counts the rows that it was asked for."""

    def __init__(self):
        super().__init__()
        self.table, self.rows = nn.Embedding(5, 3, padding_idx=0), 0

    def forward(self, numbers):
        self.rows += len(numbers)
        return self.table(numbers).sum(1)


def made(dropout=0.0):
    with seeded(0):
        return Pairing(Sum(), Sum(), 6, (5, 4), dropout)


def options(**other):
    return {"steps": 4, "block": 2, "learning_rate": 1e-2, "averaging": 0.0, "seed": 3} | other


def test_each_row_is_encoded_once_and_every_pair_gets_its_own_two():
    network, pairs = made(), torch.tensor([[2, 1], [0, 1], [2, 0], [2, 1]])
    out = network(DRUGS, PROTEINS, pairs)
    assert (network.drug.rows, network.protein.rows) == (2, 2)
    alone = torch.cat([network.dense(torch.cat([network.drug(DRUGS[d:d + 1]), network.protein(PROTEINS[p:p + 1])], 1)) for d, p in pairs])
    assert torch.allclose(out, alone, atol=1e-6)


def test_training_is_adam_on_the_squared_error_of_standardised_blocks():
    losses, network, twin = [], made(), made()
    trained, _ = pairing.train(network, DRUGS, PROTEINS, PAIRS, VALUES, on_step=losses.append, **options())
    optimiser, target = torch.optim.Adam(twin.parameters(), 1e-2), torch.tensor((VALUES - VALUES.mean()) / VALUES.std()).float()
    for rows, told in zip(blocks(PAIRS, 2, 4, 3), losses, strict=True):
        loss = (twin(DRUGS, PROTEINS, torch.tensor(PAIRS[rows])) - target[rows]).square().mean()
        assert loss.item() == pytest.approx(told, rel=1e-5)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    expected = VALUES.mean() + VALUES.std() * twin(DRUGS, PROTEINS, torch.tensor(PAIRS)).detach().numpy()
    assert np.allclose(pairing.answers(trained, DRUGS, PROTEINS, PAIRS), expected, atol=1e-3)


def test_averaged_weights_are_the_running_mean_of_those_after_each_step():
    one, _ = pairing.train(made(), DRUGS, PROTEINS, PAIRS, VALUES, **options(averaging=0.75))
    _, kept = pairing.train(made(), DRUGS, PROTEINS, PAIRS, VALUES, **options(checkpoints=(1, 2, 3, 4)))
    mean = kept[1].dense[0].weight.detach().clone()
    for step in (2, 3, 4):
        mean = 0.75 * mean + 0.25 * kept[step].dense[0].weight.detach()
    assert torch.allclose(one.dense[0].weight, mean, atol=1e-6)
    assert not torch.allclose(mean, kept[4].dense[0].weight, atol=1e-4)


def test_one_affinity_for_all_is_learnt_as_it_is():
    network, _ = pairing.train(made(), DRUGS, PROTEINS, PAIRS, np.full(6, 7.0), **options(steps=100))
    assert np.allclose(pairing.answers(network, DRUGS, PROTEINS, PAIRS), 7.0, atol=0.1)
