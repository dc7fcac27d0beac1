"""What learners of action values share: the actions a caller names, and the loop."""

import numpy as np
import pytest
import torch
from torch import nn

from bakeoff.parts.q_learning import chosen, learn, taken
from bakeoff.parts.replay import slow_copy

VALUES = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


def test_values_of_named_actions_are_looked_up_and_others_refused():
    assert chosen(VALUES, [1, 0]).tolist() == [2, 3]
    for wrong in ([0.7, 0], [2, 0], [-1, 0], [0], [[0], [1]], [np.nan, 0]):
        with pytest.raises(ValueError, match="whole numbers from 0 to 1"):
            chosen(VALUES, wrong)


def test_what_is_taken_keeps_the_axes_behind():
    many = torch.arange(12.0).view(2, 3, 2)
    assert taken(many, torch.tensor([2, 0])).tolist() == [[4, 5], [6, 7]]


def test_the_slow_network_is_copied_whenever_its_steps_are_full():
    network = nn.Linear(1, 1)
    slow, met = slow_copy(network), []

    def loss_of(x):
        met.append(slow.weight.item())
        return network(x).square().mean()

    learn(network, slow, loss_of, [[torch.ones(1, 1)]] * 5, learning_rate=0.1, target_every=2)
    assert met[0] == met[1] != met[2] == met[3] != met[4] == slow.weight.item()
