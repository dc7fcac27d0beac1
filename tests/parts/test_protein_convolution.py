"""The branches of DeepDTA: against its convolutions worked out window by window, and padding that counts for nothing."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bakeoff.parts.protein_convolution import AMINO_ACIDS, SequenceConvolution, residues
from bakeoff.parts.seeding import seeded

LONG, SHORT = "MKKFFDSRREQGGSGLGSGSSGGGG", "MENFQKVEK"


@pytest.fixture
def network():
    with seeded(0):
        return SequenceConvolution(AMINO_ACIDS, 5, filters=(3, 4, 6), kernel=3).double()


def test_it_equals_three_convolutions_worked_out_window_by_window(network):
    x = network.embedding(residues([LONG], 1000))[0].detach().numpy()  # (T, D)
    for one in network.convolutions:
        weight, bias = one.weight.detach().numpy(), one.bias.detach().numpy()  # (F, D, K), (F,)
        x = np.array([[max(0.0, (weight[f] * x[t:t + 3].T).sum() + bias[f]) for f in range(len(bias))] for t in range(len(x) - 2)])
    assert np.allclose(network(residues([LONG], 1000)).detach().numpy()[0], x.max(0), atol=1e-12)


def test_it_equals_torch_functions_on_its_weights(network):
    x = F.embedding(residues([LONG], 1000), network.embedding.weight).transpose(1, 2)
    for one in network.convolutions:
        x = F.relu(F.conv1d(x, one.weight, one.bias))
    assert torch.equal(network(residues([LONG], 1000)), x.max(2).values)


def test_padding_changes_nothing(network):
    for one in network.convolutions:
        one.bias.data.fill_(1.0)  # padded windows would win the maximum
    together = network(residues([LONG, SHORT, "MK"], 1000))
    alone = torch.cat([network(residues([one], 1000)) for one in (LONG, SHORT, "MK")])
    assert torch.allclose(together, alone, atol=1e-12)


def test_letters_count_from_one_and_what_is_no_sequence_is_refused():
    assert residues(["ACz", "M"], longest=2).tolist() == [[1, 3], [13, 0]]
    for wrong in ("", "MK-F", "MK F"):
        with pytest.raises(ValueError, match="sequence 1 is"):
            residues(["MK", wrong], 1000)
