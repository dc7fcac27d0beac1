"""Stored bits against arithmetic: two's complement, the effect of one flip, the search against trying every bit."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from bakeoff.data.kinds.images import Images
from bakeoff.papers.robustness import bit_flip_attack as paper
from bakeoff.papers.robustness.bit_flip_attack import Flip, QuantizedModel, bit_flip_attack, bits_of, factors, random_flips
from bakeoff.papers.robustness.sparse_k_winners import sparse_weights
from bakeoff.parts.seeding import seeded
from bakeoff.parts.supervised import train


@pytest.fixture(scope="module")
def trained():
    """A stored classifier that knows three clouds of points, with points."""
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(120) % 3
    x = torch.randn(120, 5, generator=rng) + 3 * torch.eye(5)[y]
    with seeded(0):
        network = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3))
    return QuantizedModel(train(network, x, y, steps=150, learning_rate=0.02, batch_size=60, seed=0)), x, y


def every_bit(model):
    return [Flip(layer, index, bit) for layer, codes in model.codes.items() for index in range(codes.numel()) for bit in range(model.bits)]


@pytest.mark.parametrize("bits", range(2, 9))
def test_numbers_become_bits_and_come_back(bits):
    numbers = torch.arange(-2 ** (bits - 1), 2 ** (bits - 1)).to(torch.int8)
    found = bits_of(numbers, bits)
    assert found[int(2 ** (bits - 1)) - 1].tolist() == [1] * bits  # -1
    assert [int("".join(map(str, row[::-1])), 2) for row in found.tolist()] == [number % 2 ** bits for number in numbers.tolist()]
    assert (found * factors(bits)).sum(-1).tolist() == numbers.tolist()


def test_eight_bits_are_those_that_lie_in_memory():
    numbers = torch.arange(-128, 128).to(torch.int8)
    assert (bits_of(numbers) * 2 ** torch.arange(8)).sum(-1).tolist() == numbers.view(torch.uint8).tolist()


@pytest.mark.parametrize("bits", [3, 8])
def test_one_flip_changes_one_weight_by_its_bit_and_flipped_again_nothing(bits):
    with seeded(1):
        original = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(8, 3))
    stored = QuantizedModel(original, bits)
    start = {name: layer.weight.clone() for name, layer in stored.layers.items()}
    for flip in every_bit(stored):
        layer, index, bit = flip
        rose = 1 - 2 * bits_of(stored.codes[layer].flatten()[index], bits)[bit].item()  # +1 where 0 becomes 1
        stored.flip(*flip)
        change = {name: (one.weight - start[name]).flatten() for name, one in stored.layers.items()}
        assert change[layer][index].item() == pytest.approx(rose * factors(bits)[bit].item() * stored.steps[layer], rel=1e-5)
        assert sum(int(one.count_nonzero()) for one in change.values()) == 1
        stored.flip(*flip)
    assert all(torch.equal(layer.weight, start[name]) for name, layer in stored.layers.items())


def test_stored_weights_are_the_nearest_of_an_even_grid_and_the_original_is_left_alone():
    layer = nn.Linear(3, 1)
    layer.weight.data = torch.tensor([[0.5, -1.27, 0.004]])
    before = deepcopy(layer.state_dict())
    stored = QuantizedModel(layer)
    assert stored.codes[""].tolist() == [[50, -127, 0]]
    assert torch.allclose(stored.model.weight, torch.tensor([[0.5, -1.27, 0.0]]))
    bit_flip_attack(stored, torch.eye(3), torch.zeros(3, dtype=torch.long), flips=3)
    assert all(torch.equal(layer.state_dict()[name], value) for name, value in before.items())
    assert layer.weight.requires_grad


def test_the_gradient_of_a_bit_predicts_the_change_of_the_loss_for_small_bits(trained):
    stored, x, y = deepcopy(trained[0]), *trained[1:]
    before, gradients = stored.gradients(x, y)
    assert before == pytest.approx(stored.loss(x, y))
    slopes, changes = [], []
    for layer, index, _ in (flip for flip in every_bit(stored) if flip.bit == 0):
        rose = 1 - 2 * bits_of(stored.codes[layer].flatten()[index])[0].item()
        stored.flip(layer, index, 0)
        slopes.append(rose * gradients[layer].flatten()[index].item())
        changes.append(stored.loss(x, y) - before)
        stored.flip(layer, index, 0)
    slopes, changes = torch.tensor(slopes), torch.tensor(changes)
    assert (slopes - changes).abs().max() < 0.05 * changes.abs().max()


def test_the_first_flip_is_in_every_layer_the_steepest_and_across_layers_the_worst(trained):
    stored, x, y = deepcopy(trained[0]), *trained[1:]
    _, gradients = stored.gradients(x, y)
    losses = {}
    for layer, codes in stored.codes.items():
        slopes = gradients[layer].flatten()[:, None] * factors(8)
        useful = torch.where(bits_of(codes.flatten()) == 0, slopes, -slopes)  # what the flip promises
        index, bit = divmod(useful.argmax().item(), 8)
        stored.flip(layer, index, bit)
        losses[Flip(layer, index, bit)] = stored.loss(x, y)
        stored.flip(layer, index, bit)
    assert bit_flip_attack(stored, x, y, flips=1, top_k=10**6) == [max(losses, key=losses.get)]
    assert stored.loss(x, y) == max(losses.values())


def test_the_loss_never_falls_and_the_bits_that_differ_are_those_flipped(trained):
    before, x, y = trained
    stored, losses = deepcopy(before), []
    flips = bit_flip_attack(stored, x, y, flips=12, on_step=losses.append)
    assert len(flips) == len(losses) == 12
    assert losses == sorted(losses)
    assert losses[0] > before.loss(x, y)
    odd = {flip for flip in flips if flips.count(flip) % 2}
    differ = {Flip(layer, index, bit) for layer, codes in stored.codes.items()
              for index, bit in (bits_of(codes.flatten()) != bits_of(before.codes[layer].flatten())).nonzero().tolist()}
    assert differ == odd
    loaded = QuantizedModel(before.model)
    loaded.load_state_dict(stored.state_dict())  # with codes and steps, so that flips undo
    for model in (stored, loaded):
        for flip in flips:
            model.flip(*flip)
        assert model.loss(x, y) == before.loss(x, y)


class Valley(nn.Module):
    """One weight w, at 1; the loss of class 1 is softplus of a height that rises just below w = 1, is 0 on [-0.3, 0.9], and 5 below."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1, bias=False)
        self.layer.weight.data.fill_(1.0)

    def forward(self, x):
        w = self.layer(x)[:, 0]
        height = torch.where(w > 0.9, 2 - w, torch.where(w > -0.3, 0 * w, 5 + 0 * w))
        return torch.stack([height, torch.zeros_like(w)], 1)


def test_where_no_bit_alone_raises_the_loss_two_are_tried_and_where_none_do_the_search_ends():
    x, y = torch.ones(1, 1), torch.tensor([1])
    stored = QuantizedModel(Valley())
    assert bit_flip_attack(stored, x, y, flips=1) == []  # the sign alone leads to -1/127, into the valley
    assert stored.codes["layer"].item() == 127
    assert bit_flip_attack(stored, x, y, flips=2) == [Flip("layer", 0, 7), Flip("layer", 0, 6)]  # both lead to -65/127
    assert stored.codes["layer"].item() == -65
    assert bit_flip_attack(stored, x, y, flips=9) == []  # flat there: no gradient, no flip


def test_random_flips_are_of_the_kind_asked_for_and_the_best_of_more_is_worse_for_the_network(trained):
    before, x, y = trained
    signs = random_flips(deepcopy(before), x, y, flips=40, sign_only=True)
    assert {flip.bit for flip in signs} == {7}
    assert len(set(signs)) == 40
    alike = [flip.layer for flip in random_flips(deepcopy(before), x, y, flips=100, layers_alike=True)]
    assert 30 < alike.count("4") < 70
    losses = []
    for candidates in (1, 48):
        stored = deepcopy(before)
        random_flips(stored, x, y, flips=3, sign_only=True, candidates=candidates)
        losses.append(stored.loss(x, y))
    assert losses[0] < losses[1]


def test_batch_statistics_modes_and_gradients_are_left_as_they_were(trained):
    stored, x, y = deepcopy(trained[0]), *trained[1:]
    stored.model[1].train()
    before = {name: value.clone() for name, value in stored.model[1].state_dict().items()}
    bit_flip_attack(stored, x, y, flips=2)
    assert [module.training for module in stored.model] == [False, True, False, False, False]
    assert all(torch.equal(stored.model[1].state_dict()[name], value) for name, value in before.items())
    assert all(weight.grad is None for weight in stored.parameters())


def test_the_score_counts_flips_to_the_commonest_class():
    layer = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    layer[1].weight.data, layer[1].bias.data = torch.tensor([[-1.0], [1.0]]), torch.tensor([0.5, -0.5])
    pixels = torch.tensor([0.1] * 6 + [0.9] * 4).view(10, 1, 1, 1).numpy()
    test = Images(pixels, [0] * 6 + [1] * 4, ("low", "high"))
    stored = QuantizedModel(layer)
    harmless, sign = Flip("1", 0, 0), Flip("1", 1, 7)
    found = paper.score((stored, [harmless, sign], [sign]), test)
    assert (found["flips to chance"], found["flips to chance of blind random flips"]) == (2, 1)
    assert paper.score((stored, [harmless], []), test)["flips to chance"] == 2  # never: one more than were made
    assert paper.accuracies(stored, [harmless, sign], test) == [100, 100, 60]


def test_what_cannot_be_stored_is_refused():
    with pytest.raises(ValueError, match="2 to 8 bits, not 9"):
        QuantizedModel(nn.Linear(2, 2), bits=9)
    with pytest.raises(ValueError, match=r"nn\.Linear or nn\.Conv2d"):
        QuantizedModel(nn.ReLU())
    with pytest.raises(ValueError, match="1 to 4 flips, not 1 and 5"):
        random_flips(QuantizedModel(nn.Linear(2, 2)), torch.zeros(1, 2), torch.zeros(1).long(), flips=5, sign_only=True)
    for wrong in ({"flips": 0}, {"candidates": 0}):
        with pytest.raises(ValueError, match="candidates of 1 or more"):
            random_flips(QuantizedModel(nn.Linear(2, 2)), torch.zeros(1, 2), torch.zeros(1).long(), **wrong)
    for masked in (sparse_weights(nn.Linear(4, 2), 0.5), nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))):
        with pytest.raises(ValueError, match="remove_parametrizations"):  # its flips would be computed away
            QuantizedModel(nn.Sequential(masked))
