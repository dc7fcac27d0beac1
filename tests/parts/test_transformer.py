"""The encoder of tokens: against attention written out, and invariances that it must have."""

import math

import pytest
import torch
import torch.nn.functional as F

from bakeoff.parts.seeding import seeded
from bakeoff.parts.transformer import TokenEncoder

NUMBERS = torch.tensor([[1, 4, 6, 2, 5, 7]])


@pytest.fixture
def network():
    with seeded(0):
        return TokenEncoder(9, longest=12, layers=1, width=8, heads=2).double().eval()


def test_it_equals_attention_written_out(network):
    layer, x = network.layers[0], network.tokens(NUMBERS[0]) + network.positions.weight[:6]
    x = F.layer_norm(x, (8,))
    q, k, v = F.linear(x, layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias).chunk(3, 1)  # (L, D) each
    heads = [(q[:, at] @ k[:, at].T / math.sqrt(4)).softmax(1) @ v[:, at] for at in (slice(0, 4), slice(4, 8))]
    x = layer.norm1(x + layer.self_attn.out_proj(torch.cat(heads, 1)))
    expected = layer.norm2(x + layer.linear2(F.gelu(layer.linear1(x))))
    assert torch.allclose(network(NUMBERS)[0], expected, atol=1e-10)


def test_padding_changes_nothing_in_training_and_after(network):
    padded = F.pad(NUMBERS, (0, 5))
    assert torch.allclose(network(padded)[:, :6], network(NUMBERS), atol=1e-12)
    with torch.no_grad():  # torch takes a faster way here
        assert torch.allclose(network(padded)[:, :6], network(NUMBERS), atol=1e-12)


def test_without_positions_the_order_of_the_others_does_not_matter(network):
    shuffled = NUMBERS[:, [0, 3, 5, 1, 4, 2]]
    assert not torch.allclose(network(shuffled)[:, 0], network(NUMBERS)[:, 0], atol=1e-4)
    network.positions.weight.data.zero_()
    assert torch.allclose(network(shuffled)[:, 0], network(NUMBERS)[:, 0], atol=1e-12)


def test_layers_start_apart():
    with seeded(0):
        first, second = TokenEncoder(9, longest=12, layers=2, width=8, heads=2).layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_the_first_token_alone_is_what_the_whole_row_has_there_and_so_is_its_slope():
    with seeded(0):
        network = TokenEncoder(9, longest=12, layers=2, width=8, heads=2, dropout=0.0).double()
    rows, slopes = torch.cat([NUMBERS, NUMBERS.flip(1) * (torch.arange(6) < 4)]), []
    for first in (network(rows)[:, 0], network.first_of(rows)):
        slopes.append((first, *torch.autograd.grad(first.square().mean() + first[0, 0], network.parameters())))
    for one, other in zip(*slopes, strict=True):
        assert torch.allclose(one, other, atol=1e-12)
    assert all(slope.abs().max() > 1e-9 for slope in slopes[1][1:] if slope.ndim > 1)
