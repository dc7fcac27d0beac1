"""Evaluation mode for a while, against the modes there were before."""

import pytest
import torch
from torch import nn

from bakeoff.parts.evaluating import evaluating
from bakeoff.parts.seeding import seeded


def mixed():
    """A network in training mode whose normalisation, and the dropout within a nested part, are frozen."""
    with seeded(0):
        network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2)))
    network[1].eval()
    network[2][0].eval()
    return network


def modes(network):
    return [module.training for module in network.modules()]


def test_inside_everything_is_in_evaluation_mode_and_outside_each_module_is_as_it_was():
    network = mixed()
    assert modes(network) == [True, True, False, True, False, True]
    with evaluating(network):
        assert modes(network) == [False] * 6
    assert modes(network) == [True, True, False, True, False, True]


def test_the_modes_come_back_after_an_error():
    network = mixed()
    with pytest.raises(ZeroDivisionError), evaluating(network):
        1 / 0  # noqa: B018
    assert modes(network) == [True, True, False, True, False, True]


def test_dropout_and_batch_statistics_rest_inside():
    network, x = mixed().train(), torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    known = network[2][1]((network[0](x)) / (1 + 1e-5) ** 0.5)  # normalised by the mean 0 and the variance 1 it starts with
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with evaluating(network):
        torch.testing.assert_close(network(x), known)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network(x)
    assert not torch.equal(network[1].running_mean, before["1.running_mean"])


def test_blocks_may_lie_in_each_other():
    network = mixed()
    with evaluating(network):
        with evaluating(network):
            pass
        assert modes(network) == [False] * 6
    assert modes(network) == [True, True, False, True, False, True]
