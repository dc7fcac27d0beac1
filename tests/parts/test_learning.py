"""The loop with a loss of one's own, against the loop for the cross-entropy and against steps of AdamW written out."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bakeoff.parts.learning import class_numbers, inputs, learn
from bakeoff.parts.seeding import seeded
from bakeoff.parts.supervised import minibatches, train


def problem(seed=0):
    with seeded(seed):
        return nn.Linear(3, 4), torch.randn(50, 3), torch.randint(4, (50,))


def cross_entropy(network, x, y, rng, done):
    return F.cross_entropy(network(x), y)


def test_with_the_cross_entropy_it_is_the_supervised_loop_bit_for_bit():
    (one, x, y), (other, *_) = problem(), problem()
    losses, known = [], []
    learn(one, x, y, cross_entropy, steps=25, learning_rate=0.02, batch_size=16, seed=5, on_step=losses.append)
    train(other, x, y, steps=25, learning_rate=0.02, batch_size=16, seed=5, on_step=known.append)
    assert losses == known
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)
    assert not one.training


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_steps_are_those_of_adam_with_decoupled_decay_and_the_given_rate(weight_decay):
    network, x, _ = problem()
    aim = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    weight, first, second = network.weight.detach().clone(), torch.zeros(4, 3), torch.zeros(4, 3)
    bias = network.bias.detach().clone()
    network.bias.requires_grad_(False)
    learn(network, x, aim, lambda network, x, y, rng, done: ((network(x) - y) ** 2).mean() / 2, steps=10, learning_rate=0.05,
          batch_size=16, seed=5, weight_decay=weight_decay, rate=lambda done: 1 - done)
    for step, rows in enumerate(minibatches(50, 16, 10, 5)):
        rate = 0.05 * (1 - step / 10)
        gradient = (x[rows] @ weight.T + bias - aim[rows]).T @ x[rows] / (4 * 16)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient ** 2
        weight = (1 - rate * weight_decay) * weight
        weight = weight - rate * (first / (1 - 0.9 ** (step + 1))) / ((second / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
    torch.testing.assert_close(network.weight.detach(), weight, rtol=1e-4, atol=1e-5)


def test_the_loss_sees_the_rows_in_order_in_training_mode_and_how_far_it_is():
    network, x, y = problem()
    rows, seen = list(minibatches(50, 16, 8, 5)), []

    def watched(network, inputs, labels, rng, done):
        seen.append((inputs, labels, done))
        assert network.training
        return cross_entropy(network, inputs, labels, rng, done)

    learn(network.eval(), x, y, watched, steps=8, learning_rate=0.01, batch_size=16, seed=5)
    for (given, labels, _), batch in zip(seen, rows, strict=True):
        assert torch.equal(given, x[batch])
        assert torch.equal(labels, y[batch])
    assert [done for *_, done in seen] == [step / 8 for step in range(8)]


def test_what_the_loss_draws_follows_the_seed_and_leaves_rows_and_the_global_generator_alone():
    def drawn(seed):
        network, x, y = problem()
        found = []

        def drawing(network, x, y, rng, done):
            found.append(torch.rand(7, generator=rng))
            return cross_entropy(network, x, y, rng, done)

        learn(network, x, y, drawing, steps=6, learning_rate=0.01, batch_size=16, seed=seed)
        return torch.cat(found), network.weight.detach()

    plain, x, y = problem()
    state = torch.get_rng_state()
    learn(plain, x, y, cross_entropy, steps=6, learning_rate=0.01, batch_size=16, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    (first, weight), (same, _), (other, _) = drawn(5), drawn(5), drawn(6)
    assert torch.equal(weight, plain.weight)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_gradients_from_before_are_forgotten():
    network, x, y = problem()
    fresh, *_ = problem()
    network.weight.grad = torch.full((4, 3), 100.0)
    for one in (network, fresh):
        learn(one, x, y, cross_entropy, steps=1, learning_rate=0.01, batch_size=16, seed=5)
    assert torch.equal(network.weight, fresh.weight)


@pytest.mark.parametrize(("x", "y", "said"), [
    (torch.zeros(3, 2), torch.zeros(4, dtype=torch.long), "3 inputs and 4"), (torch.zeros(0, 2), torch.zeros(0), "0 inputs"),
    (torch.full((3, 2), float("nan")), torch.zeros(3, dtype=torch.long), "NaN")])
def test_inputs_that_cannot_be_learned_from_are_told(x, y, said):
    with pytest.raises(ValueError, match=said):
        learn(nn.Linear(2, 2), x, y, lambda network, x, y, rng, done: network(x).sum(), steps=1, learning_rate=0.1, batch_size=2, seed=0)


def test_a_training_that_diverged_says_so():
    with pytest.raises(ValueError, match="not finite after training"):
        learn(nn.Linear(2, 2), torch.ones(4, 2), torch.zeros(4), lambda network, x, y, rng, done: network(x).sum() * float("nan"),
              steps=1, learning_rate=0.1, batch_size=2, seed=0)


class Restless(nn.Module):
    """Draws from torch's global generator in every mode, as Monte-Carlo dropout does."""

    def __init__(self):
        super().__init__()
        with seeded(0):
            self.last = nn.Linear(3, 4)

    def forward(self, x):
        return self.last(F.dropout(x, 0.5, training=True))


def test_what_the_network_draws_follows_the_seed_and_the_global_generator_is_left_alone():
    def fitted(seed):
        network, (_, x, y) = Restless(), problem()
        return learn(network, x, y, cross_entropy, steps=6, learning_rate=0.01, batch_size=16, seed=seed).last.weight.detach()

    with seeded(11):
        first, after = fitted(5), torch.rand(3)
        same = fitted(5)
    with seeded(11):
        assert torch.equal(after, torch.rand(3))
    assert torch.equal(first, same)
    assert not torch.equal(first, fitted(6))


@pytest.mark.parametrize(("values", "bounds", "said"), [
    (torch.tensor([[0, 255]], dtype=torch.uint8), (0.0, 1.0), "values in .0, 1., found torch.uint8 from 0 to 255; divide bytes by 255"),
    (torch.tensor([[0.0, 255.0]]), (0.0, 1.0), "values in .0, 1., found torch.float32 from 0 to 255; divide bytes by 255"),
    (np.array([[-0.5, 0.5]]), (0.0, 1.0), "torch.float64 from -0.5 to 0.5"), (torch.tensor([[0.0, torch.nan]]), (0.0, 1.0), "nan"),
    (torch.tensor([[0.0, torch.inf]]), None, "finite floats"),
    (torch.tensor([[3, 4]]), None, "finite floats, found torch.int64 from 3 to 4")])
def test_inputs_out_of_bounds_not_finite_or_of_bytes_are_told(values, bounds, said):
    with pytest.raises(ValueError, match=said):
        inputs(values, bounds=bounds)


def test_inputs_come_in_the_precision_of_the_network_with_the_values_they_had():
    values = np.linspace(-1, 2, 6).reshape(2, 3)
    values.flags.writeable = False
    found = inputs(values, nn.Linear(3, 1), bounds=(-1, 2))
    assert found.dtype == torch.float32
    assert found.tolist() == values.astype(np.float32).tolist()
    assert inputs(values, nn.Flatten(), bounds=None).tolist() == values.tolist()
    assert inputs(torch.zeros(0, 3)).shape == (0, 3)


@pytest.mark.parametrize("labels", [[0, 1, 4], [0, -100, 1], [0.0, 1.0, 2.0], [0, 1], [[0], [1], [2]]])
def test_class_numbers_that_the_network_has_no_answers_for_are_told(labels):
    with pytest.raises(ValueError, match="expected 3 class numbers from 0 to 3"):
        class_numbers(np.array(labels), nn.Linear(2, 4), torch.zeros(3, 2))
    if np.shape(labels) == (3,) and isinstance(labels[0], int):
        with pytest.raises(ValueError, match="expected 3 class numbers from 0 to 3"):
            learn(nn.Linear(2, 4), torch.zeros(3, 2), torch.tensor(labels), cross_entropy, steps=1, learning_rate=0.1, batch_size=2, seed=0)
    assert class_numbers(np.array([3, 0, 1], dtype=np.uint8), nn.Linear(2, 4), torch.zeros(3, 2)).tolist() == [3, 0, 1]
