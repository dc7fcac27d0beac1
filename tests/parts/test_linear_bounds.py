"""Bounds of networks against exact ranges, linear programmes, and what inputs drawn from the box give."""

import itertools

import numpy as np
import pytest
import torch
from scipy import optimize
from torch import nn

from bakeoff.parts.linear_bounds import _push, crown_bounds, interval_bounds, margin_bounds, margins
from bakeoff.parts.seeding import seeded
from bakeoff.parts.small_cnn import small_cnn

METHODS = (interval_bounds, crown_bounds, lambda *given, **named: crown_bounds(*given, between="lines", **named))


def perceptron(*widths: int, seed: int = 0) -> nn.Sequential:
    """Linear layers of double precision with ReLUs between."""
    with seeded(seed):
        layers = [layer for a, b in itertools.pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1]).double().requires_grad_(False)


def mixed_network() -> nn.Sequential:
    """Every kind of layer that can be bounded."""
    with seeded(1):
        network = nn.Sequential(
            nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
            nn.AvgPool2d(2), nn.Identity(), nn.Conv2d(4, 6, (2, 3), padding=(0, 1), groups=2, dilation=(2, 1)), nn.ReLU(),
            nn.AdaptiveAvgPool2d((1, 3)), nn.Flatten(), nn.Dropout(0.5), nn.Linear(18, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(),
            nn.Linear(8, 3))
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                for values in (layer.running_mean, layer.weight.data, layer.bias.data):
                    values.normal_()
                layer.running_var.uniform_(0.5, 2)
    return network.double()


def outputs(network, x, radius, count=400, bounds=(0.0, 1.0)):
    """What points of the box give, corners among them: (count, B, K)."""
    rng = torch.Generator().manual_seed(3)
    change = torch.rand(count, *x.shape, generator=rng, dtype=x.dtype) * 2 - 1
    change[::2] = change[::2].sign()
    points = (x + radius * change).clamp(*bounds)
    with torch.no_grad():
        return network(points.flatten(0, 1)).view(count, len(x), -1)


@pytest.mark.parametrize("bound", METHODS)
@pytest.mark.parametrize("radius", [0.0, 0.03, 0.3])
def test_bounds_contain_what_every_point_of_the_box_gives(bound, radius):
    x = torch.rand(3, 2, 13, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    network = mixed_network()
    lower, upper = bound(network, x, radius)  # in evaluation mode, whatever mode it is in
    assert network.training
    found = outputs(network.eval(), x, radius)
    assert (found >= lower - 1e-12).all()
    assert (found <= upper + 1e-12).all()
    if radius == 0:
        torch.testing.assert_close(lower, found[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(upper, found[0], rtol=0, atol=1e-12)


def test_an_affine_network_is_bounded_exactly():
    with seeded(0):
        network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 2)).double()
    x = torch.full((1, 1, 4, 4), 0.5, dtype=torch.float64)
    corners = torch.tensor(list(itertools.product((-0.25, 0.25), repeat=16)), dtype=torch.float64).view(-1, 1, 4, 4)
    with torch.no_grad():
        known = network(x + corners)
    for bound in METHODS[1:]:
        lower, upper = bound(network, x, 0.25)
        torch.testing.assert_close(lower[0], known.min(0).values)
        torch.testing.assert_close(upper[0], known.max(0).values)


def test_intervals_end_in_the_corners_that_signs_choose():
    network = perceptron(3, 4, 2)
    x, of = torch.rand(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), torch.tensor([[1.0, -1.0]]).double()
    lower, upper = x - 0.1, x + 0.1
    first, last = network[0], network[2].weight.detach()
    low = (first.weight.clamp(min=0) @ lower.T + first.weight.clamp(max=0) @ upper.T + first.bias[:, None]).relu()
    high = (first.weight.clamp(min=0) @ upper.T + first.weight.clamp(max=0) @ lower.T + first.bias[:, None]).relu()
    row = last[0] - last[1]  # taken together with the difference
    known = row.clamp(min=0) @ low + row.clamp(max=0) @ high + network[2].bias[0] - network[2].bias[1]
    torch.testing.assert_close(interval_bounds(network, x, 0.1, of=of, bounds=None)[0][:, 0], known)


@pytest.mark.parametrize("between", ["intervals", "lines"])
def test_lines_pulled_back_solve_the_linear_programme_of_the_same_lines(between):
    network, radius = perceptron(4, 6, 5, 3), 0.2
    x = torch.rand(1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    lower, upper = crown_bounds(network, x, radius, between=between)
    inner = METHODS[0 if between == "intervals" else 2]
    ends = [[end.numpy()[0] for end in inner(network[:count], x, radius)] for count in (1, 3)]
    for row in range(3):
        known = [sign * linear_programme(network, x.numpy()[0], radius, ends, sign * np.eye(3)[row]) for sign in (1, -1)]
        np.testing.assert_allclose([lower[0, row].item(), upper[0, row].item()], known, atol=1e-9)


def linear_programme(network, x, radius, ends, goal) -> float:
    """The least goal @ output where each ReLU's output lies between its two lines, over all layers at once."""
    weights = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in network[::2]]
    sizes = [len(x), *(len(bias) for _, bias in weights[:-1])]
    starts = np.cumsum([0, *sizes])
    rows, limits = [], []  # side (h - slope z - offset) <= 0 for each line
    for at, ((weight, bias), (low, high)) in enumerate(zip(weights[:-1], ends, strict=True)):
        under, over = np.minimum(low, 0), np.maximum(high, 0)
        above = over / np.maximum(over - under, 1e-300)
        for slope, offset, side in (((over > -under) * 1.0, 0 * under, -1), (above, -above * under, 1)):
            row = np.zeros((len(bias), starts[-1]))
            row[:, starts[at]:starts[at + 1]] = -side * slope[:, None] * weight
            row[:, starts[at + 1]:starts[at + 2]] = side * np.eye(len(bias))
            rows.append(row)
            limits.append(side * (slope * bias + offset))
    cost = np.zeros(starts[-1])
    cost[starts[-2]:] = goal @ weights[-1][0]
    box = [(max(one - radius, 0), min(one + radius, 1)) for one in x]
    found = optimize.linprog(cost, np.concatenate(rows), np.concatenate(limits), bounds=box + [(None, None)] * (starts[-1] - len(x)))
    return found.fun + goal @ weights[-1][1]


def test_lines_lie_between_the_truth_and_intervals_and_all_widen_with_the_radius():
    network, x = perceptron(2, 8, 8, 2, seed=4), torch.tensor([[0.4, 0.7]], dtype=torch.float64)
    widths = []
    for radius in (0.05, 0.1, 0.2):
        side = torch.linspace(-radius, radius, 201, dtype=torch.float64)
        values = network(x + torch.cartesian_prod(side, side))  # a grid of the whole box
        found = [(values.min(0).values, values.max(0).values), *(bound(network, x, radius) for bound in METHODS)]
        widths.append([float((upper - lower).sum()) for lower, upper in found])
        assert widths[-1][0] <= widths[-1][3] <= widths[-1][2] <= widths[-1][1]
    assert all(a < b for small, large in itertools.pairwise(widths) for a, b in zip(small, large, strict=True))


def test_margins_mix_both_bounds_and_are_exact_at_radius_0():
    network = small_cnn((1, 8, 8), 4, seed=0, width=4, hidden=16).double()
    x, y = torch.rand(6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0, 1])
    of = margins(y, 4, x.dtype)
    lines, intervals = crown_bounds(network, x, 0.1, of=of)[0], interval_bounds(network, x, 0.1, of=of)[0]
    for share in (0.0, 0.25, 1.0):
        torch.testing.assert_close(margin_bounds(network, x, y, 0.1, crown=share), share * lines + (1 - share) * intervals)
    logits = network(x)
    others = torch.stack([logits[row, [k for k in range(4) if k != label]] for row, label in enumerate(y.tolist())])
    torch.testing.assert_close(margin_bounds(network, x, y, 0.0), logits.gather(1, y[:, None]) - others)


def test_bounds_can_be_trained_on():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)).double()
    x, y = torch.rand(2, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 2])
    weight = network[0].weight
    (slope,) = torch.autograd.grad(margin_bounds(network, x, y, 0.05).sum(), weight)
    change = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 1e-6
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            weight.add_(sign * change)
            ends.append(float(margin_bounds(network, x, y, 0.05).sum()))
            weight.sub_(sign * change)
    assert (ends[0] - ends[1]) / 2 == pytest.approx(float((slope * change).sum()), rel=1e-4)


class Doubling(nn.Linear):
    """A Linear that does something else."""

    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(("model", "told"), [
    (nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Tanh()), "no bounds are known for a layer Tanh; expected a Sequential of Linear"),
    (nn.Sequential(nn.Flatten(), Doubling(4, 4)), "no bounds are known for a layer Doubling"),
    (nn.Conv2d(1, 1, 3, padding="same"), "pads by 'same'"),
    (nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False)), "running statistics")])
def test_a_network_that_cannot_be_bounded_is_refused(model, told):
    with pytest.raises(ValueError, match=told):
        interval_bounds(model, torch.zeros(1, 1, 2, 2), 0.1)


@pytest.mark.parametrize(("x", "radius", "told"), [
    ([[2.0]], 0.1, "x goes from 2 to 2; expected it within bounds"), ([[0.5]], -0.1, "radius is -0.1"),
    ([[float("nan")]], 0.1, "not finite"), ([[0.5]], float("nan"), "radius is nan")])
def test_numbers_out_of_range_are_refused(x, radius, told):
    with pytest.raises(ValueError, match=told):
        crown_bounds(nn.Linear(1, 2), torch.tensor(x), radius)


@pytest.mark.parametrize("layers", [
    [nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(3, 4, (2, 3), padding=1, dilation=(2, 1)), nn.BatchNorm2d(4)],  # windows
    [nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1)]])  # padded after no ReLU: no windows
def test_units_of_a_convolution_have_the_bounds_that_a_pass_back_from_the_whole_output_gives(layers):
    with seeded(2):
        network = nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)).double().eval()
        x = torch.rand(2, 2, 13, 12, dtype=torch.float64)
        network(x)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.bias.data += 0.3
    boxes = _push(list(network), ((x - 0.1).clamp(min=0), (x + 0.1).clamp(max=1)), lines=True)
    known = crown_bounds(nn.Sequential(*layers, nn.Flatten()).eval(), x, 0.1)
    intervals = interval_bounds(nn.Sequential(*layers), x, 0.1)
    open_ = (intervals[0] < 0) & (intervals[1] > 0)
    assert 0 < int(open_.sum()) < open_.numel()
    for found, end, plain in zip(boxes[4], known, intervals, strict=True):
        torch.testing.assert_close(found, torch.where(open_, end.view_as(plain), plain))
