"""The batch as minibatches, actions in units of their bounds, critics in pairs, targets that follow."""

import numpy as np
import torch

from bakeoff.data.kinds.transitions import Transitions
from bakeoff.parts.mlp import Critics, mlp
from bakeoff.parts.replay import Box, Replay, follow, slow_copy


def batch() -> Transitions:
    rows = np.arange(6.0)[:, None]
    return Transitions(rows, 3 + rows / 5, rows[:, 0], rows + 1, [0, 0, 1, 0, 0, 1], [0, 0, 1, 0, 0, 1], [3.0], [4.0])


def test_bounds_are_one_away_from_the_middle_and_the_way_back_is_exact():
    box = Box([0.0, -1.0, 5.0], [4.0, 1.0, 5.0])  # the third cannot vary
    action = torch.tensor([[0.0, -1.0, 5.0], [4.0, 1.0, 5.0], [3.0, 0.25, 5.0]])
    assert box.unit(action).tolist() == [[-1, -1, 0], [1, 1, 0], [0.5, 0.25, 0]]
    assert torch.equal(box.action(box.unit(action)), action)


def test_a_minibatch_holds_whole_rows_and_its_seed_decides_which():
    drawn = list(Replay(batch()).minibatches(50, steps=3, seed=4))
    observation, action, reward, following, alive = (torch.cat(one) for one in zip(*drawn, strict=True))
    assert torch.equal(observation[:, 0], reward)
    assert torch.equal(following, observation + 1)
    torch.testing.assert_close(action, 2 * observation / 5 - 1)
    assert torch.equal(alive == 0, (reward == 2) | (reward == 5))
    assert set(reward.tolist()) == set(range(6))
    for one, again in zip(drawn, Replay(batch()).minibatches(50, steps=3, seed=4), strict=True):
        assert torch.equal(one[2], again[2])


def test_a_target_follows_by_its_rate_and_takes_no_gradient():
    network = mlp(1, 2)
    slow = slow_copy(network)
    with torch.no_grad():
        network[0].weight += 1
    before = slow[0].weight.clone()
    follow(slow, network, 0.25)
    torch.testing.assert_close(slow[0].weight, before + 0.25)
    assert not any(one.requires_grad for one in slow.parameters())


def test_a_pair_of_critics_is_two_networks_apart():
    critics, x, action = Critics(3, 2, hidden=(8,)), torch.randn(4, 5, 3), torch.randn(4, 5, 2)
    values = critics(x, action)
    for one, value in zip(critics.pair, values, strict=True):
        torch.testing.assert_close(value, one(torch.cat([x, action], 2))[..., 0])
    torch.testing.assert_close(critics.first(x, action), values[0])
    assert not torch.allclose(values[0], values[1])
