"""Chain convolutions: how far they see, what of them depends on the chain's length, a limit with a known answer."""

import pytest
import torch
from torch import nn

from bakeoff.parts.chain_convolutions import Block, ChainDecoder, ChainEncoder, coarse
from bakeoff.parts.seeding import seeded


def built(make):
    with seeded(0):
        return make()


@pytest.mark.parametrize("residues", [1, 7, 8, 9, 17, 18, 214])
def test_every_length_passes_and_only_dense_layers_know_it(residues):
    for make, x in ((lambda n: ChainEncoder(nn.Conv1d, n, 9, 4, 3), torch.ones(2, 9, residues)),
                    (lambda n: ChainEncoder(nn.Conv2d, n, 1, 4, 3), torch.ones(2, 1, residues, residues)),
                    (lambda n: ChainDecoder(n, 3, 4), torch.ones(2, 3))):
        module, other = built(lambda make=make: make(residues)), built(lambda make=make: make(33))
        assert module(x).shape == ((2, 9, residues) if isinstance(module, ChainDecoder) else (2, 3))
        shapes, others = ({name: one.shape for name, one in which.state_dict().items()} for which in (module, other))
        assert {name for name in shapes if shapes[name] != others[name]} <= {"dense.weight", "dense.bias"}
        assert coarse(residues) * 8 - residues in range(8)


def test_a_block_with_nothing_to_add_leaves_the_chain():
    block, x = built(lambda: Block(nn.Conv1d, 3)), torch.randn(2, 3, 11, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(block(x), x)
    nn.init.zeros_(block.out.weight)
    nn.init.zeros_(block.out.bias)
    assert torch.equal(block(x), x)


def test_what_is_decoded_at_one_end_depends_on_the_coarse_cells_there_alone():
    decoder = built(lambda: ChainDecoder(80, 2, 4))
    cells = torch.zeros(1, 4, 10, requires_grad=True)
    decoder.dense.forward = lambda codes: cells.flatten(1)
    decoder(torch.zeros(1, 2))[0, :, :8].sum().backward()
    heard = cells.grad[0].abs().sum(0) > 0
    assert heard[:2].all()
    assert not heard[5:].any()


def test_an_encoder_of_maps_hears_every_pair_of_residues():
    encoder = built(lambda: ChainEncoder(nn.Conv2d, 18, 1, 4, 3))
    x = torch.randn(1, 1, 18, 18, generator=torch.Generator().manual_seed(0)).requires_grad_()
    encoder(x).square().sum().backward()
    assert (x.grad.abs() > 0).all()
