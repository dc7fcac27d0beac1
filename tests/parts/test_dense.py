"""Dense layers, one by one and in networks: the numbers and the slopes of plain products, small or large."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bakeoff.parts import dense as part
from bakeoff.parts.dense import dense
from bakeoff.parts.mlp import Critics, mlp
from bakeoff.parts.seeding import seeded


@pytest.fixture(autouse=True)
def _seed():
    with seeded(0):
        yield


@pytest.fixture(params=[0, 10**9], ids=["oneDNN", "MKL"])
def limit(request, monkeypatch):
    monkeypatch.setattr(part, "LARGE", request.param)
    monkeypatch.setattr(part, "LARGE_WITH_SLOPES", request.param)


def close(found, known):
    torch.testing.assert_close(found, known, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("relu", [False, True])
def test_a_layer_and_its_first_and_second_slopes_are_those_of_plain_operations(limit, relu):
    x, weight, bias = torch.randn(4, 7, 6, requires_grad=True), torch.randn(5, 6, requires_grad=True), torch.randn(5, requires_grad=True)
    plain = F.linear(x, weight, bias).relu() if relu else F.linear(x, weight, bias)
    found = dense(x, weight, bias, relu)
    close(found, plain)
    upstream, slopes = torch.randn_like(plain), []
    for y in (found, plain):
        first = torch.autograd.grad(y.square().sum(), [x, weight, bias], create_graph=True)
        second = torch.autograd.grad((first[0].square().sum(-1) * upstream[..., 0]).sum(), [x, weight, bias])
        slopes.append([*first, *second])
    for one, known in zip(*slopes, strict=True):
        close(one, known)


def test_a_network_is_its_layers_in_a_row_and_a_part_of_it_too(limit):
    network, x = mlp(6, 8, 8, 2), torch.randn(3, 5, 6)
    close(network(x), nn.Sequential(*network)(x))
    close(network[:-1](x), nn.Sequential(*network[:-1])(x))  # ends with a ReLU
    assert (network[:-1](x) >= 0).all()


def test_critics_are_separate_networks_evaluated_at_once(limit):
    critics, x, action = Critics(3, 2, hidden=(8, 6), count=4), torch.randn(4, 5, 3), torch.randn(4, 5, 2)
    values = critics(x, action)
    for one, value in enumerate(values):
        y = torch.cat([x, action], -1) @ critics.weights[0][one] + critics.biases[0][one]
        y = y.relu() @ critics.weights[1][one] + critics.biases[1][one]
        close(value, (y.relu() @ critics.weights[2][one] + critics.biases[2][one])[..., 0])
    assert values.shape == (4, 4, 5)
    assert not torch.allclose(values[0], values[1])
    close(critics.first(x, action), values[0])


def test_critics_start_as_dense_layers_do():
    critics, layer = Critics(60, 40, hidden=(300,), count=3), nn.Linear(100, 300)
    for found, known in ((critics.weights[0], layer.weight), (critics.biases[0], layer.bias)):
        assert found.abs().max().item() <= 0.1
        assert found.std().item() == pytest.approx(known.std().item(), rel=0.05)
        assert known.abs().max().item() <= 0.1
