"""Preferences: the loss by hand and its symmetries, pieces that are pieces, members that do not touch each other, order learned and not."""

import math

import numpy as np
import pytest
import torch

from bakeoff.data.kinds.transitions import Transitions
from bakeoff.errors import DataError
from bakeoff.parts import preferences
from bakeoff.parts.preferences import RewardEnsemble, Snippets, pairwise_loss

LEARNING = {"members": 2, "steps": 120, "batch_size": 16, "learning_rate": 0.01, "l2": 0.0, "flipped": 0.0, "seed": 0}


def episodes(values, length=30) -> torch.Tensor:
    """States (N, 2) of episodes: the first number is about each episode's value, the second is noise."""
    rng = np.random.default_rng(0)
    column = np.repeat(values, length) + 0.3 * rng.standard_normal(len(values) * length)
    return torch.tensor(np.stack([column, rng.standard_normal(len(column))], -1), dtype=torch.float32)


def test_the_loss_is_the_cross_entropy_of_the_better_one():
    worse, better = torch.tensor([1.0, 0.5]), torch.tensor([2.0, -0.5])
    known = -np.mean([math.log(math.exp(2) / (math.exp(1) + math.exp(2))), math.log(math.exp(-0.5) / (math.exp(0.5) + math.exp(-0.5)))])
    assert pairwise_loss(worse, better).item() == pytest.approx(known, abs=1e-6)


def test_flipped_preferences_count_for_their_share_and_bound_the_certainty():
    worse, better = torch.tensor([1.0, 0.5]), torch.tensor([2.0, -0.5])
    both = 0.9 * pairwise_loss(worse, better) + 0.1 * pairwise_loss(better, worse)
    torch.testing.assert_close(pairwise_loss(worse, better, flipped=0.1), both)
    apart = torch.tensor([math.log(9.0)], requires_grad=True)  # preferred with a chance of 0.9
    pairwise_loss(torch.zeros(1), apart, flipped=0.1).backward()
    assert apart.grad.item() == pytest.approx(0, abs=1e-6)


def test_squared_weights_count_in_the_loss():
    states = torch.tensor([[0.0], [1.0]])  # two episodes of a state: one comparison, always the same
    reward = preferences.learn_reward(Snippets(states, [1, 1], [0, 1], 1), hidden=(), **LEARNING | {"steps": 800, "l2": 0.1})
    weight = reward.weights[0].flatten().double().detach()  # (K,); standardised, the states lie sqrt(2) apart
    slope = -math.sqrt(2) * torch.sigmoid(-math.sqrt(2) * weight) + 2 * 0.1 * weight
    torch.testing.assert_close(slope, torch.zeros(2, dtype=torch.float64), atol=1e-4, rtol=0)  # of log(1 + e^(-sqrt(2) w)) + 0.1 w^2


def test_swapping_a_pair_and_its_label_leaves_the_loss_as_it_is():
    states, lengths = episodes([0.0, 1.0]), [30, 30]
    swapped = torch.cat([states[30:], states[:30]])
    straight = Snippets(states, lengths, [0, 1], 30)  # pieces are whole episodes: one comparison
    turned = Snippets(swapped, lengths, [1, 0], 30)
    reward = RewardEnsemble(states, (8,), 3)
    losses = []
    for snippets in (straight, turned):
        pieces = next(snippets.draw(3, 1, 1, torch.Generator()))
        losses.append(pairwise_loss(*reward(pieces).sum(-1).unbind(-1)))
    torch.testing.assert_close(*losses)
    assert not torch.equal(straight.pairs, turned.pairs)


def test_a_constant_added_to_the_reward_changes_nothing_between_pieces_of_one_length():
    rewards = torch.randn(7, 2, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain, shifted = (pairwise_loss(*some.sum(-1).unbind(-1)) for some in (rewards, rewards + 3.7))
    torch.testing.assert_close(plain, shifted)


def test_pieces_lie_inside_their_episodes_the_worse_one_first_and_reach_every_start():
    lengths, ranks = [5, 9, 7], [2.0, 0.0, 1.0]
    of = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))
    within = torch.cat([torch.arange(one) for one in lengths])
    snippets = Snippets(torch.stack([of, within], -1), lengths, ranks, length=4)
    pieces = next(snippets.draw(2, 500, 1, torch.Generator().manual_seed(0)))  # (2, 500, 2, 4, 2)
    assert (pieces[..., 0] == pieces[..., :1, 0]).all()  # of one episode
    assert (pieces[..., 1].diff(dim=-1) == 1).all()  # one state after another
    order = torch.tensor(ranks)[pieces[..., 0, 0]]  # (2, 500, 2)
    assert (order[..., 0] < order[..., 1]).all()
    starts = {(int(one), int(start)) for one, start in pieces[..., 0, :].reshape(-1, 2)}
    assert starts == {(one, start) for one, length in enumerate(lengths) for start in range(length - 3)}


def test_only_ranks_at_least_a_gap_apart_are_compared():
    snippets = Snippets(torch.zeros(4, 1), [1] * 4, [-1.0, -0.75, -0.5, -0.5], 1, gap=0.5)
    assert snippets.pairs.tolist() == [[0, 2], [0, 3]]
    with pytest.raises(DataError, match="no two episodes can be compared"):
        Snippets(torch.zeros(2, 1), [1, 1], [3, 3], 1)


def test_a_member_of_the_ensemble_is_the_network_its_weights_make_and_learns_as_it_would_alone():
    states = episodes([0.0, 1.0, 2.0])
    ensemble = RewardEnsemble(states, (8, 8), 3)
    x = (states - states.mean(0)) / states.std(0)
    for member in range(3):
        alone = x
        for layer, (weight, bias) in enumerate(zip(ensemble.weights, ensemble.biases, strict=True)):
            alone = (alone.relu() if layer else alone) @ weight[member] + bias[member]
        torch.testing.assert_close(ensemble(states)[member], alone[:, 0])
    pieces = torch.stack([states[:20], states[20:40], states[40:60]])  # other states for each member
    torch.testing.assert_close(ensemble(pieces), torch.stack([ensemble(piece)[member] for member, piece in enumerate(pieces)]))
    ensemble(pieces)[1].sum().backward()
    assert all(not weight.grad[[0, 2]].any() and weight.grad[1].any() for weight in ensemble.weights)


def test_a_linear_reward_of_separable_episodes_orders_all_pairs():
    values, rng = np.array([0.0, 3.0, 1.0, 2.0]), np.random.default_rng(5)
    states = episodes(values)
    reward = preferences.learn_reward(Snippets(states, [30] * 4, values, 10), hidden=(), **LEARNING | {"learning_rate": 0.05})
    slopes = reward.weights[0][..., 0]  # (K, O)
    assert (slopes[:, 0] > 3 * slopes[:, 1].abs()).all()
    sums = reward.mean(states).view(4, 30).sum(1)
    assert preferences.pair_accuracy(sums, values) == 1
    assert sums.mean().item() == pytest.approx(0, abs=1e-3)  # settled: mean 0 over the demonstrations
    far = torch.tensor(rng.permutation(np.arange(4.0, 10)), dtype=torch.float32)  # beyond them all
    assert torch.equal(reward.mean(torch.stack([far, torch.zeros(6)], -1)).argsort(), far.argsort())


def test_random_ranks_teach_nothing_of_episodes_held_out():
    accuracy = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        states = torch.tensor(rng.standard_normal((16 * 10, 4)) + np.repeat(rng.standard_normal((16, 4)), 10, 0), dtype=torch.float32)
        ranks = rng.permutation(16)
        reward = preferences.learn_reward(Snippets(states[:80], [10] * 8, ranks[:8], 5), hidden=(16,), **LEARNING | {"seed": seed})
        seen, held = reward.mean(states).view(16, 10).sum(1).view(2, 8)
        assert preferences.pair_accuracy(seen, ranks[:8]) > 0.8
        accuracy.append(preferences.pair_accuracy(held, ranks[8:]))
    assert np.mean(accuracy) == pytest.approx(0.5, abs=0.12)


def test_episodes_are_told_apart_by_where_they_ended():
    every = np.zeros(7)
    batch = Transitions(every[:, None], every[:, None], every, every[:, None], every, [0, 0, 1, 0, 1, 0, 0], [-1], [1])
    assert preferences.split_episodes(batch) == [slice(0, 3), slice(3, 5), slice(5, 7)]
