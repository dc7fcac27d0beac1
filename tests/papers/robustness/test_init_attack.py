"""The attacks on initial weights against what can be said without training: values kept, signs placed, units off."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from bakeoff.claim import Budget
from bakeoff.data.kinds.images import Images
from bakeoff.papers.robustness import init_attack as paper
from bakeoff.papers.robustness.init_attack import inactive_units, shift_attack, soft_knockout
from bakeoff.parts.seeding import seeded
from bakeoff.parts.small_cnn import small_cnn


def dense(inputs=60, first=40, second=30):
    with seeded(0):
        return nn.Sequential(nn.Linear(inputs, first, bias=False), nn.ReLU(), nn.Linear(first, second, bias=False), nn.ReLU())


def pixels(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("attack", [soft_knockout, lambda network: shift_attack(network, 7), lambda network: paper.shuffled(network, 3)])
@pytest.mark.parametrize("network", [dense(), small_cnn((1, 16, 16), 3, seed=0)])
def test_every_tensor_keeps_its_values_and_the_network_given_keeps_its_weights(attack, network):
    before = deepcopy(network.state_dict())
    attacked = attack(network).state_dict()
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())
    assert all(torch.equal(attacked[name].flatten().sort().values, value.flatten().sort().values) for name, value in before.items())
    assert sum(not torch.equal(attacked[name], value) for name, value in before.items()) == 2


def test_the_lowest_weights_lie_in_the_block_and_both_parts_keep_their_order():
    network = dense(2, 4, 4)
    network[0].weight.data = torch.tensor([[5.0, -4], [3, -2], [-1, 2], [-3, 4]])
    network[2].weight.data = torch.arange(16.0).view(4, 4)
    attacked = soft_knockout(network, 0.5, 0.25)
    assert attacked[0].weight.tolist() == [[-4, -2], [-1, -3], [5, 3], [2, 4]]
    assert attacked[2].weight[:, 3].tolist() == [0, 1, 2, 3]
    assert attacked[2].weight[:, :3].flatten().tolist() == list(range(4, 16))
    assert shift_attack(network, 2, 0.5, 0.25)[2].weight[:, 1].tolist() == [0, 1, 2, 3]


def test_shares_of_nothing_and_of_everything_and_a_shift_all_the_way_round_change_nothing():
    network, once = dense(), soft_knockout(dense())
    for share in (0.0, 1.0):
        assert torch.equal(soft_knockout(network, share, share)[0].weight, network[0].weight)
        assert torch.equal(soft_knockout(network, share, share)[2].weight, network[2].weight)
    assert torch.equal(shift_attack(network, 40)[2].weight, once[2].weight)
    assert not torch.equal(shift_attack(network, 39)[2].weight, once[2].weight)


def test_rows_of_negative_weights_are_off_for_every_input_that_is_not_negative():
    attacked = soft_knockout(dense(), 0.4, 0.4)  # fewer rows than there are negative weights for
    assert (attacked[0].weight[:16] < 0).all()
    assert inactive_units(attacked, 100 * pixels(500, 60) ** 8)[0] >= 0.4
    assert inactive_units(attacked, pixels(500, 60) - 0.5)[0] == 0  # inputs of either sign switch them on


def test_the_soft_knock_out_leaves_no_unit_of_the_second_layer_and_no_gradient_but_of_the_last_biases():
    with seeded(0):
        network = nn.Sequential(*dense(), nn.Linear(30, 3))
    x, y = pixels(300, 60), torch.arange(300) % 3
    for model, dead in ((soft_knockout(network), True), (paper.shuffled(network, 0), False)):
        assert inactive_units(model, x) == ([0.75, 1.0] if dead else [0.0, 0.0]) or not dead
        nn.functional.cross_entropy(model(x), y).backward()
        assert [bool(weight.grad.any()) for weight in model.parameters()] == [not dead, not dead, not dead, True]


def test_the_larger_the_shift_the_more_units_live():
    x = pixels(200, 60)
    living = [1 - inactive_units(shift_attack(dense(second=200), shift), x)[1] for shift in range(0, 11)]
    assert living == sorted(living)
    assert living[0] == 0
    assert living[-1] > 0.9
    assert any(0.1 < share < 0.9 for share in living)


def test_filters_of_a_convolution_and_what_reads_them_are_rows_and_columns():
    with seeded(0):
        network = nn.Sequential(nn.Conv2d(1, 8, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 20, bias=False), nn.ReLU())
    attacked = soft_knockout(network, 0.5, 0.5)
    filters = attacked[0].weight.flatten(1)
    assert filters[:4].max() <= filters[4:].min()
    reading = attacked[3].weight.view(20, 8, 36)
    assert reading[:, 4:].max() <= reading[:, :4].min()
    assert inactive_units(attacked, pixels(50, 1, 8, 8)) == [0.5, 1.0]


def test_units_that_are_off_are_counted_in_evaluation_mode_and_nothing_is_left_behind():
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2), nn.ReLU())
    network[0].weight.data = torch.tensor([[1.0, 0], [-1, 0]])
    before = deepcopy(network[1].state_dict())
    assert inactive_units(network, pixels(9, 2)) == [0.5]
    assert network.training
    assert not network[2]._forward_hooks
    assert all(torch.equal(network[1].state_dict()[name], value) for name, value in before.items())


def test_an_attacked_network_says_one_class_where_its_twin_learns():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    images = Images((0.2 * rng.random((400, 1, 6, 6)) + 0.6 * labels[:, None, None, None]), labels, ("dark", "light"))
    found = [paper.score(arm(images, Budget("smoke", 120), 0), images) for arm in (paper.treatment, paper.control)]
    assert [one["accuracy"] for one in found] == [50, 100]
    assert [one["units of layer 2 that are off at the start"] for one in found] == [100, pytest.approx(10, abs=40)]
    assert found[0]["Kolmogorov-Smirnov distance from the drawn weights"] == 0


def test_what_cannot_be_attacked_is_refused():
    with pytest.raises(ValueError, match="two layers"):
        soft_knockout(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="shares in"):
        soft_knockout(dense(), row_share=1.5)
    with pytest.raises(ValueError, match="remove_parametrizations"):  # the weights would be computed anew
        soft_knockout(nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), nn.ReLU(), nn.Linear(4, 2)))
    with pytest.raises(ValueError, match="one image or more"):
        inactive_units(dense(), pixels(0, 60))
