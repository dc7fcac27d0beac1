"""The small network against its layers written out."""

import pytest
import torch
import torch.nn.functional as F

from bakeoff.parts.small_cnn import small_cnn


@pytest.mark.parametrize(("shape", "pooled"), [((1, 8, 8), 2), ((1, 28, 28), 7), ((3, 32, 32), 7), ((3, 30, 45), 7)])
def test_the_network_is_two_convolutions_and_two_dense_layers(shape, pooled):
    network = small_cnn(shape, classes=5, seed=0, width=4, hidden=6)
    one, _, two, _, _, _, three, _, four = network
    assert three.in_features == 8 * pooled * pooled
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    h = F.conv2d(F.conv2d(x, one.weight, one.bias, 2, 1).relu(), two.weight, two.bias, 2, 1).relu()
    h = F.adaptive_avg_pool2d(h, pooled).flatten(1)
    torch.testing.assert_close(network(x), (h @ three.weight.T + three.bias).relu() @ four.weight.T + four.bias)


def test_the_start_follows_the_seed_and_leaves_the_global_generator():
    state = torch.get_rng_state()
    first, same, other = (torch.cat([one.flatten() for one in small_cnn((1, 8, 8), 3, seed=seed).parameters()]) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)
