"""The training loop against plain Adam written out, and the order of its rows."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bakeoff.parts.seeding import seeded
from bakeoff.parts.supervised import minibatches, train


def problem(seed=0):
    with seeded(seed):
        return nn.Linear(3, 4), torch.randn(50, 3), torch.randint(4, (50,))


def test_an_epoch_shows_no_row_twice_and_is_shuffled_anew():
    rows = [one.tolist() for one in minibatches(count=12, batch_size=5, steps=6, seed=3)]
    assert [len(one) for one in rows] == [5] * 6
    epochs = [rows[i] + rows[i + 1] for i in (0, 2, 4)]
    assert all(len(set(epoch)) == 10 and set(epoch) <= set(range(12)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert set().union(*map(set, epochs)) == set(range(12))  # who sits out changes


def test_the_order_follows_the_seed_alone():
    def order(seed):
        return torch.cat(list(minibatches(count=30, batch_size=8, steps=9, seed=seed)))

    first = order(1)
    torch.rand(5)
    assert torch.equal(first, order(1))
    assert not torch.equal(first, order(2))


def test_a_batch_larger_than_the_data_is_all_of_it():
    assert [sorted(rows.tolist()) for rows in minibatches(count=4, batch_size=9, steps=2, seed=0)] == [[0, 1, 2, 3]] * 2


def test_training_is_adam_on_the_cross_entropy():
    network, x, y = problem()
    weight, bias = (one.detach().clone() for one in network.parameters())
    losses = []
    train(network, x, y, steps=12, learning_rate=0.03, batch_size=16, seed=5, on_step=losses.append)
    means = [[torch.zeros_like(one), torch.zeros_like(one)] for one in (weight, bias)]
    for step, rows in enumerate(minibatches(50, 16, 12, 5), 1):
        logits = x[rows] @ weight.T + bias
        assert losses[step - 1] == pytest.approx(F.cross_entropy(logits, y[rows]).item(), rel=1e-4)
        slope = (logits.softmax(1) - F.one_hot(y[rows], 4)) / 16  # of the mean loss by the logits
        for one, gradient, (first, second) in zip((weight, bias), (slope.T @ x[rows], slope.sum(0)), means, strict=True):
            first.mul_(0.9).add_(0.1 * gradient)
            second.mul_(0.999).add_(0.001 * gradient ** 2)
            one -= 0.03 * (first / (1 - 0.9 ** step)) / ((second / (1 - 0.999 ** step)).sqrt() + 1e-8)
    torch.testing.assert_close(network.weight.detach(), weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.bias.detach(), bias, rtol=1e-4, atol=1e-5)
    assert not network.training


def test_what_change_draws_follows_the_seed_and_leaves_the_order_of_rows_alone():
    network, x, y = problem()
    seen, drawn = [], []

    def drawing(inputs, rng):
        drawn.append(torch.rand(7, generator=rng))
        seen.append(inputs)
        return inputs

    train(network, x, y, steps=8, learning_rate=0.01, batch_size=16, seed=5, change=drawing)
    other, *_ = problem()
    train(other, x, y, steps=8, learning_rate=0.01, batch_size=16, seed=5)
    assert torch.equal(network.weight, other.weight)
    assert torch.equal(torch.cat(seen), x[torch.cat(list(minibatches(50, 16, 8, 5)))])
    for seed, same in ((5, True), (6, False)):
        before = drawn.copy()
        drawn.clear()
        train(problem()[0], x, y, steps=8, learning_rate=0.01, batch_size=16, seed=seed, change=drawing)
        assert torch.equal(torch.cat(drawn), torch.cat(before)) == same


def test_the_network_learns_in_training_mode_and_is_left_in_evaluation_mode():
    modes = []

    class Watched(nn.Linear):
        def forward(self, x):
            modes.append(self.training)
            return super().forward(x)

    network = train(Watched(3, 4).eval(), *problem()[1:], steps=3, learning_rate=0.01, batch_size=16, seed=5)
    assert modes == [True] * 3
    assert not network.training


def test_the_network_learns_from_the_changed_inputs():
    network, x, y = problem()
    before = network.weight.detach().clone()
    train(network, x, y, steps=5, learning_rate=0.01, batch_size=16, seed=5, change=lambda inputs, rng: 0 * inputs)
    torch.testing.assert_close(network.weight.detach(), before, rtol=0, atol=0)  # no input, no gradient
