"""Certified training: both schedules, the loss by its definition, its limits, and certificates that attacks cannot break."""

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from bakeoff.errors import NotFitted
from bakeoff.papers.robustness.crown_ibp import CrownIBP
from bakeoff.parts.attacks import margin_loss, pgd
from bakeoff.parts.linear_bounds import crown_bounds, interval_bounds, margin_bounds, margins
from bakeoff.parts.seeding import seeded


def perceptron(*, inputs: int = 4, hidden: int = 6, classes: int = 3) -> nn.Sequential:
    with seeded(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
                             nn.Linear(hidden, classes))


def rows(count: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    return torch.rand(count, 4, generator=rng), torch.randint(0, 3, (count,), generator=rng)


def test_the_radius_rises_after_the_warm_up_and_both_weights_fall_along_it():
    method = CrownIBP(perceptron(), radius=0.4, crown=(1.0, 0.0), clean=(1.0, 0.5), warm_up=0.2, ramp=0.4)
    seen = {done: method.schedule(done) for done in (0.0, 0.2, 0.3, 0.4, 0.6, 0.99)}
    known = {0.0: (0, 1, 1), 0.2: (0, 1, 1), 0.3: (0.1, 0.875, 0.75), 0.4: (0.2, 0.75, 0.5), 0.6: (0.4, 0.5, 0), 0.99: (0.4, 0.5, 0)}
    for done, values in known.items():
        assert seen[done] == pytest.approx(values), done
    assert CrownIBP(perceptron(), radius=0.4, warm_up=0.5, ramp=0.0).schedule(0.6) == (0.4, 0.0, 0.0)


def test_the_loss_mixes_clean_and_worst_logits_as_its_weights_say():
    network, (x, y) = perceptron(), rows()
    method = CrownIBP(network, radius=0.2, crown=(1.0, 0.0), clean=(1.0, 0.5), warm_up=0.0, ramp=1.0)
    of = margins(y, 3)
    tight, loose = crown_bounds(network, x, 0.1, of=of)[0], interval_bounds(network, x, 0.1, of=of)[0]
    bound = (tight + loose) / 2  # half-way along the ramp
    worst = torch.log1p((-bound).exp().sum(1)).mean()  # the cross-entropy of logits 0 and -bound
    known = 0.75 * F.cross_entropy(network(x), y) + 0.25 * worst
    torch.testing.assert_close(method._loss(network, x, y, 0.5), known)
    torch.testing.assert_close(method._loss(network, x, y, 0.0), F.cross_entropy(network(x), y))


def test_at_radius_0_the_worst_logits_are_the_network_s_own():
    network, (x, y) = perceptron(), rows()
    for crown in ((1.0, 1.0), (0.0, 0.0)):
        method = CrownIBP(network, radius=0.0, crown=crown, clean=(0.0, 0.0))
        torch.testing.assert_close(method._loss(network, x, y, 0.9), F.cross_entropy(network(x), y))


def test_the_second_loss_bounds_the_cross_entropy_anywhere_in_the_box():
    network, (x, y) = perceptron(), rows()
    rng = torch.Generator().manual_seed(0)
    for crown in ((1.0, 1.0), (0.3, 0.3), (0.0, 0.0)):
        bound = CrownIBP(network, radius=0.1, crown=crown, clean=(0.0, 0.0), warm_up=0.0, ramp=0.0)._loss(network, x, y, 0.5)
        for _ in range(50):
            near = (x + 0.1 * (2 * torch.rand(x.shape, generator=rng) - 1).sign()).clamp(0, 1)
            assert F.cross_entropy(network(near), y) <= bound


def test_training_makes_certificates_that_attacks_cannot_break():
    data = load_digits()
    x, y = torch.tensor(data.images[:, None] / 16, dtype=torch.float32), torch.tensor(data.target)
    network = perceptron(inputs=64, hidden=32, classes=10)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    method = CrownIBP(network, radius=0.05, learning_rate=5e-3, batch_size=64)
    with pytest.raises(NotFitted):
        method.verified(x, y)
    method.fit(x[:1500], y[:1500], steps=250)
    assert all(torch.equal(value, start[name]) for name, value in network.state_dict().items())
    safe = method.verified(x[1500:], y[1500:])
    plain = CrownIBP(network, radius=0.05, clean=(1.0, 1.0), learning_rate=5e-3, batch_size=64).fit(x[:1500], y[:1500], steps=250)
    assert safe.double().mean() > plain.verified(x[1500:], y[1500:]).double().mean() + 0.3
    for radius, crown in ((0.05, 0.0), (0.05, 1.0), (0.1, 1.0)):
        safe = method.verified(x[1500:], y[1500:], radius=radius, crown=crown)
        at, label = x[1500:][safe], y[1500:][safe]
        assert len(at) > 30
        for loss in (margin_loss, lambda logits, y: F.cross_entropy(logits, y, reduction="none")):
            found = pgd(method.network_, at, label, radius=radius, steps=20, restarts=2, loss=loss)
            assert torch.equal(method.predict(found), label)
    beyond = pgd(method.network_, at, label, radius=0.4, steps=20)
    assert (method.predict(beyond) != label).double().mean() > 0.8  # the attack is no dud


def test_a_margin_that_only_rounding_makes_positive_is_not_verified():
    network = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 2))  # x + 10,000 - 10,000 against 0.3007
    for layer, weight, bias in ((0, [[1.0]], [1e4]), (2, [[1.0]], [-1e4]), (4, [[1.0], [0.0]], [0.0, 0.3007])):
        network[layer].weight.data, network[layer].bias.data = torch.tensor(weight), torch.tensor(bias)
    method = CrownIBP(network, radius=0.0)
    method.network_ = network
    x, y = torch.tensor([[0.3006], [0.3011]]), torch.tensor([0, 0])
    assert (margin_bounds(network, x, y, 0.0, crown=0.0) > 0).all()  # 0.3006 is less than 0.3007, except when rounded
    for crown in (0.0, 1.0):
        assert method.verified(x, y, crown=crown).tolist() == [False, True]
        near = network[4].bias[1].double().detach() + torch.tensor([[5e-7], [2e-6]])
        assert method.verified(near, y, crown=crown).tolist() == [False, True]
        assert method.verified(near, y, crown=crown, slack=0.0).all()
    assert network[0].weight.dtype == torch.float32


def test_many_images_are_verified_as_each_would_be():
    network, (x, y) = perceptron(), rows(1003)
    method = CrownIBP(network, radius=0.02)
    method.network_ = network
    known = (interval_bounds(network.double(), x.double(), 0.02, of=margins(y, 3, torch.float64))[0] > 1e-6).all(1)
    assert torch.equal(method.verified(x, y), known)
    assert 50 < int(known.sum()) < 950


def test_a_network_that_cannot_be_bounded_is_refused_before_a_step_uses_it():
    x, y = rows(20)
    with pytest.raises(ValueError, match="no bounds are known for a layer Sigmoid"):
        CrownIBP(nn.Sequential(nn.Linear(4, 3), nn.Sigmoid()), warm_up=0.0).fit(x, y, steps=2)
    with pytest.raises(ValueError, match="no bounds are known for a layer Sigmoid"):
        CrownIBP(nn.Sequential(nn.Linear(4, 3), nn.Sigmoid()), clean=(1, 1)).fit(x, y, steps=2)
    with pytest.raises(ValueError, match=r"radius is -0.1"):
        CrownIBP(perceptron(), radius=-0.1, clean=(1, 1)).fit(x, y, steps=2)
    with pytest.raises(ValueError, match="expected clean, crown, warm_up and ramp"):
        CrownIBP(perceptron(), clean=(2, 1)).fit(x, y, steps=2)


@pytest.mark.parametrize("clean", [(1, 1), (1, 0)])
def test_values_out_of_bounds_and_labels_without_a_class_are_told_whatever_is_learned(clean):
    (x, y), method, steps = rows(), CrownIBP(perceptron(), clean=clean), []
    for bad in (255 * x, (255 * x).byte(), (255 * x).numpy(), x - 1):
        with pytest.raises(ValueError, match=r"expected values in \[0, 1\], found .*divide bytes by 255"):
            method.fit(bad, y, steps=2, on_step=steps.append)
    with pytest.raises(ValueError, match="7 class numbers from 0 to 2"):
        method.fit(x, y + 1, steps=2, on_step=steps.append)
    assert not steps
    method.fit(x, y, steps=2)
    for ask in (method.predict, lambda x: method.verified(x, y)):
        with pytest.raises(ValueError, match=r"expected values in \[0, 1\]"):
            ask((255 * x).byte())
    with pytest.raises(ValueError, match="7 class numbers from 0 to 2"):
        method.verified(x, y[:5])
    wide = CrownIBP(perceptron(), clean=clean, bounds=None).fit(9 * x, y, steps=2)
    assert wide.predict(9 * x).tolist() == wide.network_(9 * x).argmax(1).tolist()


def test_arrays_and_other_precisions_are_taken_alike_in_fit_and_predict():
    x, y = rows()

    def answers(x, y):
        method = CrownIBP(perceptron(), radius=0.01, batch_size=4).fit(x, y, steps=6)
        return method.network_[1].weight.tolist(), method.predict(x).tolist(), method.verified(x, y).tolist()

    assert answers(x.double(), y.int()) == answers(x.numpy(), y.numpy()) == answers(x, y)
