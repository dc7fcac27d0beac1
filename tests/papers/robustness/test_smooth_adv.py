"""The smoothed classifier attacked and trained: its loss against numbers worked out, its limits, and what attacks gain."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import nn

from bakeoff.data.kinds.images import Images
from bakeoff.errors import NotFitted
from bakeoff.papers.robustness.smooth_adv import CLAIM, SmoothAdv, attack_smoothed, control, soft_loss, treatment
from bakeoff.parts.attacks import pgd
from bakeoff.parts.seeding import seeded


def perceptron() -> nn.Sequential:
    with seeded(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def images(count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    return torch.rand(count, 1, 2, 2, generator=rng, dtype=torch.float64) * 0.6 + 0.2, torch.randint(0, 3, (count,), generator=rng)


def test_the_average_is_inside_the_logarithm():
    p = torch.tensor([[[0.9, 0.1]], [[0.1, 0.9]]])  # two draws of one image
    assert float(soft_loss(p.log(), torch.tensor([0]))) == pytest.approx(-math.log(0.5))
    assert float(soft_loss(p.log(), torch.tensor([0]))) < -(math.log(0.9) + math.log(0.1)) / 2  # the mean of losses
    logits, y = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0])
    torch.testing.assert_close(soft_loss(logits, y), F.cross_entropy(logits[0], y, reduction="none"))  # of one draw


def test_a_step_goes_along_the_gradient_of_the_smoothed_loss_for_twice_the_radius_over_the_steps():
    network, (x, y), sigma, radius = perceptron(), images(), 0.3, 0.01
    noise = sigma * torch.randn(4, *x.shape, generator=torch.Generator().manual_seed(7), dtype=x.dtype)

    def loss(at):  # -log of the mean probability, by its definition
        return -torch.stack([network(at + one).softmax(1) for one in noise]).mean(0)[range(len(y)), y].log()

    slope = torch.zeros_like(x).flatten(1)
    with torch.no_grad():
        for pixel in range(4):
            nudge = 1e-5 * torch.eye(4, dtype=x.dtype)[pixel].view(1, 1, 2, 2)
            slope[:, pixel] = (loss(x + nudge) - loss(x - nudge)) / 2e-5
    found = attack_smoothed(network, x, y, sigma=sigma, radius=radius, steps=4, draws=4, seed=7)
    one = attack_smoothed(network, x, y, sigma=sigma, radius=radius, steps=2, draws=4, seed=7)
    for moved in (found, one):  # the loss is nearly linear in so small a ball, so that both end where the gradient meets its edge
        torch.testing.assert_close((moved - x).flatten(1), radius * F.normalize(slope), rtol=0.02, atol=1e-4)
    assert (loss(found) > loss(x)).all()


def test_attacks_stay_in_ball_and_bounds_and_leave_the_model_as_it_was():
    with seeded(0):
        network = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    x, y = (values.float() if values.is_floating_point() else values for values in images(50))
    x[:10] = x[:10].round()  # pixels at the ends of the range
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for radius in (0.0, 0.1, 1.0):
        found = attack_smoothed(network, x, y, sigma=0.25, radius=radius)
        assert torch.equal(found, attack_smoothed(network, x, y, sigma=0.25, radius=radius))
        assert ((found >= 0) & (found <= 1)).all()
        assert ((found.double() - x.double()).flatten(1).norm(dim=1) <= radius).all()
    assert network.training
    assert network[3].training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(weight.grad is None and weight.requires_grad for weight in network.parameters())


def test_the_smoothed_classifier_is_hurt_more_by_its_own_attack_than_by_that_of_the_network():
    """A ripple that the noise washes out leads attacks of the network astray."""

    class Rippled(nn.Module):
        def forward(self, x):
            value = 2 * (x[:, 0, 0, 0] - 0.5) + 0.1 * torch.sin(100 * x[:, 0, 0, 0])
            return torch.stack((-value, value), 1)

    x, y = torch.linspace(0.6, 0.9, 31).view(-1, 1, 1, 1), torch.ones(31, dtype=torch.long)
    own = attack_smoothed(Rippled(), x, y, sigma=0.25, radius=0.2, draws=5000)
    other = pgd(Rippled(), x, y, radius=0.2, norm=2, steps=10, random_start=False)
    torch.testing.assert_close(own, x - 0.2)  # as far as it gets towards the other class
    assert ((other - own).abs() > 0.05).float().mean() > 0.5


def test_the_attack_and_the_loss_of_a_step_meet_the_same_noise():
    seen = []

    class Watched(nn.Sequential):
        def forward(self, x):
            seen.append(x.detach().clone())
            return super().forward(x)

    x, y = images()
    method = SmoothAdv(perceptron(), sigma=0.5, radius=0.2, attack_steps=3, draws=2, warm_up=0.0, batch_size=6)
    method._loss(Watched(*perceptron()), x, y, torch.Generator().manual_seed(0), done=0.5)
    assert len(seen) == 4
    noise = seen[0].unflatten(0, (2, 6)) - x
    for inputs in seen[1:]:
        shift = inputs.unflatten(0, (2, 6)) - noise  # x', the same for both draws
        torch.testing.assert_close(shift[0], shift[1])
        assert (shift[0] - x).flatten(1).norm(dim=1).max() <= 0.2 + 1e-12
    assert method.cost == 6 * 2 * 4
    assert (seen[3] - seen[0]).abs().max() > 0.01


def test_radius_0_is_training_under_noise():
    x, y = images(40)
    method = SmoothAdv(perceptron(), sigma=0.5, radius=0.0, draws=3, batch_size=40)
    rng = torch.Generator().manual_seed(4)
    noise = 0.5 * torch.randn(3, *x.shape, generator=torch.Generator().manual_seed(4), dtype=x.dtype)
    known = torch.stack([F.cross_entropy(method.network(x + one), y) for one in noise]).mean()
    torch.testing.assert_close(method._loss(method.network, x, y, rng, done=0.9), known)
    assert method.cost == 40 * 3


def test_a_trained_network_is_certified_as_far_as_the_copies_allow_and_fitting_twice_is_fitting_once():
    rng = torch.Generator().manual_seed(0)
    y = torch.randint(0, 2, (200,), generator=rng)
    x = (0.5 + 0.4 * (2 * y[:, None] - 1) * torch.tensor([1.0, 0.1])).view(-1, 1, 1, 2)  # the first pixel tells the class by 0.8
    with seeded(0):
        network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    method = SmoothAdv(network, sigma=0.05, radius=0.2, learning_rate=0.05, batch_size=50)
    with pytest.raises(NotFitted):
        method.certify(x)
    labels, radii = method.fit(x, y, steps=40).certify(x[:50], n=500)
    assert torch.equal(labels, y[:50])
    np.testing.assert_allclose(radii, 0.05 * stats.norm.ppf(0.001 ** (1 / 500)))  # every copy is given the label
    once = method.network_.state_dict()
    again = method.fit(x, y, steps=40).network_.state_dict()
    assert all(torch.equal(once[name], again[name]) for name in once)


def test_the_arms_spend_the_same_evaluations_and_differ_in_the_attack_alone():
    rng = np.random.default_rng(0)
    train = Images(rng.random((40, 1, 28, 28), dtype=np.float32), np.arange(40) % 2, ("a", "b"))

    class Meter:
        name, steps = "smoke", CLAIM.steps["smoke"]

        def __init__(self):
            self.spent, self.calls = 0, 0

        def spend(self, value, amount=1):
            self.spent, self.calls = self.spent + amount, self.calls + 1

    meters = Meter(), Meter()
    attacked, plain = (arm(train, meter, 0)[0] for arm, meter in zip((treatment, control), meters, strict=True))
    assert [meter.spent for meter in meters] == [Meter.steps] * 2
    assert meters[1].calls == 2 * meters[0].calls  # the attack's one gradient costs as much as the step
    settings = [{name: value for name, value in vars(one).items() if not name.startswith("network")} for one in (attacked, plain)]
    assert {name for name, value in settings[0].items() if value != settings[1][name]} == {"radius"}
    assert all(steps % attacked.cost == 0 for steps in CLAIM.steps.values())


def test_what_cannot_be_is_refused():
    x, y = images()
    with pytest.raises(ValueError, match="steps=0"):
        attack_smoothed(perceptron(), x, y, sigma=0.1, radius=0.1, steps=0)
    with pytest.raises(ValueError, match=r"values in .0, 1., found torch.float64 from 1"):
        attack_smoothed(perceptron(), x + 1, y, sigma=0.1, radius=0.1)


def test_arrays_and_other_precisions_are_taken_alike_and_bytes_are_refused_before_anything_is_learned():
    (x, y), network = images(), perceptron().float()

    def answers(x, y):
        method = SmoothAdv(network, sigma=0.2, radius=0.1, batch_size=3).fit(x, y, steps=4)
        return [*method.certify(x, n=50), attack_smoothed(network, x, y, sigma=0.2, radius=0.1, steps=2)]

    known = answers(x.float(), y)
    for given in ((x, y), (x.numpy(), y.numpy().astype("int32"))):
        assert all(torch.equal(one, other) for one, other in zip(answers(*given), known, strict=True))
    method, steps = SmoothAdv(network).fit(x, y, steps=1), []
    for ask in (lambda x: SmoothAdv(network).fit(x, y, steps=2, on_step=lambda *step: steps.append(step)), method.certify):
        for bad in (255 * x, (255 * x).byte(), x.where(x > x.min(), torch.nan)):
            with pytest.raises(ValueError, match=r"expected values in \[0, 1\], found .*divide bytes by 255"):
                ask(bad)
    with pytest.raises(ValueError, match="6 class numbers from 0 to 2"):
        SmoothAdv(network).fit(x, y + 1, steps=2)
    with pytest.raises(ValueError, match="draws=0"):
        SmoothAdv(network, draws=0).fit(x, y, steps=2)
    assert not steps


def test_dropout_follows_the_seed_and_leaves_the_global_generator_alone():
    (x, y), network = images(), nn.Sequential(nn.Flatten(), nn.Dropout(0.5), perceptron()[1:])

    def fitted():
        return SmoothAdv(network, sigma=0.2, radius=0.1, batch_size=3).fit(x, y, steps=4).network_[2][0].weight

    state = torch.get_rng_state()
    one, other = fitted(), fitted()
    assert torch.equal(one, other)
    assert torch.equal(state, torch.get_rng_state())
