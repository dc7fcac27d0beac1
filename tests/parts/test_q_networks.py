"""Networks of action values: their sizes, and what they do beside plain convolutions."""

import pytest
import torch
import torch.nn.functional as F

from bakeoff.parts.q_learning import learn, taken
from bakeoff.parts.q_networks import q_network
from bakeoff.parts.replay import slow_copy
from bakeoff.parts.seeding import seeded


def test_on_flat_observations_it_is_the_dense_network_alone():
    with seeded(0):
        network = q_network((4,), 2, (8,))
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    first, _, last = network[1]
    torch.testing.assert_close(network(x), last(first(x).relu()))


def test_small_images_go_through_16_filters_of_3_by_3_with_channels_last():
    with seeded(0):
        network = q_network((10, 10, 4), 3, (128,))
    x = (torch.rand(2, 10, 10, 4, generator=torch.Generator().manual_seed(1)) < 0.2).float()
    weight, bias, *dense = network.parameters()
    seen = F.conv2d(x.permute(0, 3, 1, 2), weight, bias).relu().flatten(1)
    torch.testing.assert_close(network(x), (seen @ dense[0].T + dense[1]).relu() @ dense[2].T + dense[3])
    assert sum(one.numel() for one in network.parameters()) == (4 * 9 * 16 + 16) + (1024 * 128 + 128) + (128 * 3 + 3)


def test_frames_go_through_the_network_of_atari_in_units_of_their_largest_value():
    with seeded(0):
        network = q_network((84, 84, 4), 6, (512,))
    assert sum(one.numel() for one in network.parameters()) == 1_687_206  # as known of that network with six actions
    frames = torch.full((1, 84, 84, 4), 255.0)
    torch.testing.assert_close(network(frames), network[1](network[0][1:](torch.ones(1, 4, 84, 84))))


def test_other_shapes_are_told():
    with pytest.raises(ValueError, match="expected"):
        q_network((3, 3), 2, (8,))


def test_the_slow_copy_becomes_the_network_every_so_many_steps_and_stays_between():
    with seeded(0):
        network = torch.nn.Linear(1, 1)
    slow, start, seen = slow_copy(network), network.weight.item(), []
    learn(network, slow, lambda x: network(x).square().mean(), [[torch.ones(2, 1)]] * 5, learning_rate=0.1, target_every=3,
          on_step=lambda loss: seen.append((network.weight.item(), slow.weight.item())))
    assert [copied for _, copied in seen] == [start, start, *[seen[2][0]] * 3]
    assert seen[3][0] != seen[2][0]


def test_what_is_taken_is_the_action_of_each_row():
    values = torch.arange(12.0).view(2, 3, 2)
    assert taken(values, torch.tensor([2, 0])).tolist() == [[4.0, 5.0], [6.0, 7.0]]
