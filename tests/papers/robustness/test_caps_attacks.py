"""The attack on models whose gains are known, capsules against their equations, similarity against its definition."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bakeoff.papers.robustness.caps_attacks import CapsuleNetwork, caps_attack, capsule_loss, deviation, distance, route, squash, ssim


def picture(count=1, side=8, seed=0):
    """Images whose left half is flat and whose right half is noise, values in [0.3, 0.7]: (count, 1, side, side)."""
    images = torch.full((count, 1, side, side), 0.5)
    images[..., side // 2:] += 0.4 * torch.rand(count, 1, side, side // 2, generator=torch.Generator().manual_seed(seed)) - 0.2
    return images


def linear(weights, bias=0.0):
    """A model whose gap towards class 1 is weights . x + bias."""
    layer = nn.Linear(weights.numel(), 2)
    layer.weight.data = torch.stack((torch.zeros(weights.numel()), weights.flatten()))
    layer.bias.data = torch.tensor([0.0, bias])
    return nn.Sequential(nn.Flatten(), layer)


def test_of_equal_gains_the_busiest_places_are_taken_and_flat_ones_never():
    x, one = picture(), torch.tensor([1])
    model = linear(torch.ones(64), bias=-100.0)
    moved = caps_attack(model, x, one, pixels=5, rounds=1)
    busiest = deviation(x).flatten().topk(5).indices.sort().values
    assert torch.equal((moved != x).flatten().nonzero()[:, 0], busiest)
    everything = caps_attack(model, x, one, pixels=64, rounds=3)
    assert torch.equal((everything != x), deviation(x) > 0)
    by_gain = caps_attack(linear(torch.linspace(2, 1, 64), bias=-500.0), x, one, pixels=5, rounds=1, weigh=False)
    assert (by_gain != x).flatten().nonzero()[:, 0].tolist() == [0, 1, 2, 3, 4]  # flat places, of the highest gain


def test_a_round_moves_at_most_so_many_entries_each_by_delta_the_better_way():
    x, one = picture(3), torch.ones(3, dtype=torch.long)
    weights = torch.randn(64, generator=torch.Generator().manual_seed(1))
    moved = caps_attack(linear(weights, bias=-100.0), x, one, delta=0.07, pixels=6, rounds=1)
    change = (moved - x).flatten(1)
    assert ((change != 0).sum(1) == 6).all()
    torch.testing.assert_close(change[change != 0].abs(), torch.full((18,), 0.07), rtol=0, atol=1e-6)
    assert bool((change * weights >= 0).all())
    many = caps_attack(linear(weights, bias=-100.0), x, one, delta=0.4, pixels=64, rounds=4)
    assert bool((many >= 0).all() and (many <= 1).all())
    assert bool((many[..., 4:] == (weights.view(8, 8) > 0)[:, 4:]).all())  # at the bounds, all that is not flat


def test_on_an_additive_model_the_gap_rises_every_round_until_the_target_is_reached():
    x, one = picture(), torch.tensor([1])
    weights = torch.randn(64, generator=torch.Generator().manual_seed(2))
    model = linear(weights)
    model[1].bias.data[1] = -float(weights @ x.flatten()) - 1.0  # the gap starts at -1
    gaps = [float(model(caps_attack(model, x, one, pixels=3, delta=0.05, rounds=rounds))[0, 1].detach()) for rounds in range(12)]
    assert gaps[0] == pytest.approx(-1, abs=1e-5)
    reached = [gap > 0 for gap in gaps].index(True)
    assert all(after > before for before, after in pairwise(gaps[:reached + 1]))
    assert all(gap == gaps[reached] for gap in gaps[reached:])  # nothing more is done


def test_limits_are_kept_and_the_model_is_left_as_it_was():
    x, one = picture(2), torch.ones(2, dtype=torch.long)
    model = nn.Sequential(linear(torch.randn(64, generator=torch.Generator().manual_seed(3)), bias=-100.0), nn.Dropout(0.9)).train()
    near = caps_attack(model, x, one, pixels=4, max_distance=20.0)
    far = caps_attack(model, x, one, pixels=4, max_distance=40.0)
    assert bool((distance(near, x) <= 20).all() and (distance(far, x) <= 40).all() and (distance(far, x) > distance(near, x)).all())
    assert model.training
    assert all(one.grad is None and one.requires_grad for one in model.parameters())
    area = torch.zeros(8, 8, dtype=torch.bool)
    area[2:4, 5:7] = True
    inside = caps_attack(model, x, one, pixels=4, rounds=2, area=area)
    assert torch.equal((inside != x)[0, 0], area)
    with pytest.raises(ValueError, match="expected pixels in"):
        caps_attack(model, 2 * x, one)
    with pytest.raises(ValueError, match="for one image"):
        caps_attack(model, x[0], one)


def test_deviation_and_distance_are_as_defined():
    x = picture()
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")[0, 0].numpy()
    known = np.array([[padded[i:i + 3, j:j + 3].std() for j in range(8)] for i in range(8)])
    np.testing.assert_allclose(deviation(x)[0, 0], known, atol=1e-6)
    moved = x.clone()
    moved[0, 0, 3, 6] += 0.2
    moved[0, 0, 1, 5] -= 0.1
    assert float(distance(moved, x)) == pytest.approx(0.2 / known[3, 6] + 0.1 / known[1, 5], rel=1e-4)
    moved[0, 0, 0, 0] = 0.9
    assert float(distance(moved, x)) == math.inf


def test_squashing_keeps_directions_and_brings_lengths_below_1():
    s = torch.tensor([[3.0, 4.0], [0.0, 0.1], [0.0, 0.0], [-1000.0, 0.0]])
    torch.testing.assert_close(squash(s), torch.tensor([[0.6, 0.8], [0, 1], [0, 0], [-1, 0]]) *
                               torch.tensor([25 / 26, 0.01 / 1.01, 0, 1e6 / (1e6 + 1)])[:, None])


def test_routing_turns_to_the_class_on_which_the_votes_agree():
    votes = torch.randn(1, 6, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    votes[:, :, 1] = torch.tensor([1.0, 0, 0, 0])  # all vote alike for class 1
    known = []
    b = np.zeros((6, 3))
    for _ in range(3):
        c = np.exp(b) / np.exp(b).sum(1, keepdims=True)
        s = np.einsum("ik,ikd->kd", c, votes[0].numpy())
        square = (s ** 2).sum(1, keepdims=True)
        v = square / (1 + square) * s / np.sqrt(square)
        b = b + np.einsum("ikd,kd->ik", votes[0].numpy(), v)
        known.append(v)
    for rounds in (1, 2, 3):
        np.testing.assert_allclose(route(votes, rounds)[0], known[rounds - 1], rtol=1e-6, atol=1e-9)
    lengths = [float(route(votes, rounds)[0, 1].norm()) for rounds in (1, 2, 3)]
    assert lengths[0] < lengths[1] < lengths[2]


def test_the_network_learns_and_its_loss_is_0_where_the_lengths_are_as_wanted():
    assert float(capsule_loss(torch.tensor([[0.95, 0.05], [0.1, 0.9]]), torch.tensor([0, 1]))) == 0
    assert float(capsule_loss(torch.tensor([[0.5, 0.3]]), torch.tensor([0]))) == pytest.approx(0.4 ** 2 + 0.5 * 0.2 ** 2)
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(60) % 3
    x = (0.2 * torch.rand(60, 1, 14, 14, generator=rng)).scatter_(3, (4 * y + 2).view(60, 1, 1, 1).expand(60, 1, 14, 1), 1.0)
    network = CapsuleNetwork((1, 14, 14), 3, seed=0)
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(40):
        optimiser.zero_grad()
        capsule_loss(network(x), y).backward()
        optimiser.step()
    with torch.no_grad():
        lengths = network(x)
    assert torch.equal(lengths.argmax(1), y)
    assert float(lengths.min()) >= 0
    assert float(lengths.max()) < 1


def test_structural_similarity_is_the_mean_over_windows_of_its_formula():
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 13, 14))
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    w = np.outer(line, line) / line.sum() ** 2
    found = []
    for i in range(3):
        for j in range(4):
            a, b = x[i:i + 11, j:j + 11], y[i:i + 11, j:j + 11]
            ma, mb = (w * a).sum(), (w * b).sum()
            va, vb, cov = (w * (a - ma) ** 2).sum(), (w * (b - mb) ** 2).sum(), (w * (a - ma) * (b - mb)).sum()
            found.append((2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma ** 2 + mb ** 2 + 1e-4) * (va + vb + 9e-4)))
    known = ssim(torch.tensor(x)[None, None], torch.tensor(y)[None, None])
    assert float(known) == pytest.approx(np.mean(found), abs=1e-9)
    flat = torch.full((1, 3, 11, 11), 0.5, dtype=torch.float64)
    assert float(ssim(flat, flat + 0.2)) == pytest.approx((2 * 0.5 * 0.7 + 1e-4) / (0.25 + 0.49 + 1e-4))
