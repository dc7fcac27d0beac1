"""Robust distillation: its loss written out, what is left of it without attack or teacher, and a teacher's answers handed on."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bakeoff.baselines.adversarial_training import climbed
from bakeoff.data.kinds.images import Images
from bakeoff.errors import NotFitted
from bakeoff.papers.robustness import robust_distillation as paper
from bakeoff.papers.robustness.robust_distillation import RobustDistillation, ard_loss
from bakeoff.parts.learning import learn
from bakeoff.parts.seeding import seeded
from bakeoff.parts.small_cnn import small_cnn
from bakeoff.parts.supervised import train


def networks():
    """A student and a teacher whose answers depend much on the input."""
    both = [small_cnn((1, 6, 6), 3, seed=seed, width=width, hidden=8) for seed, width in ((1, 2), (2, 4))]
    for network in both:
        network[-1].weight.data *= 20
        network[-1].bias.data -= network(torch.full((1, 1, 6, 6), 0.5))[0].detach()
    return both


def data(count=60):
    rng = torch.Generator().manual_seed(3)
    return torch.rand(count, 1, 6, 6, generator=rng), torch.randint(3, (count,), generator=rng)


def weights(network):
    return torch.cat([one.detach().flatten() for one in network.parameters()])


@pytest.mark.parametrize(("alpha", "temperature"), [(1.0, 1.0), (1.0, 30.0), (0.3, 4.0), (0.0, 4.0)])
def test_the_loss_is_the_divergence_from_the_softened_teacher_and_the_cross_entropy_of_clean_inputs(alpha, temperature):
    with seeded(0):
        student, teacher = nn.Linear(4, 3).double(), nn.Linear(4, 3).double()
        x, moved, y = torch.rand(7, 4).double(), torch.rand(7, 4).double(), torch.randint(3, (7,))
    p, q = ((net(at) / temperature).exp() for net, at in ((teacher, x), (student, moved)))
    p, q = p / p.sum(1, keepdim=True), q / q.sum(1, keepdim=True)
    known = alpha * temperature ** 2 * (p * (p / q).log()).sum(1).mean()
    known = known - (1 - alpha) * torch.log(student(x).exp()[range(7), y] / student(x).exp().sum(1)).mean()
    torch.testing.assert_close(ard_loss(student, teacher, x, moved, y, alpha=alpha, temperature=temperature), known)


def test_the_gradient_at_a_high_temperature_is_that_of_squared_centred_logits_and_none_reaches_the_teacher():
    student, teacher = networks()
    x, y = data(20)
    ard_loss(student, teacher, x, x, y, temperature=1e3).backward()
    found = torch.cat([one.grad.flatten() for one in student.parameters()])
    student.zero_grad()
    gap = (student(x) - student(x).mean(1, keepdim=True)) - (teacher(x) - teacher(x).mean(1, keepdim=True)).detach()
    (gap ** 2).sum(1).mean().div(2 * 3).backward()  # the limit that Hinton, Vinyals and Dean give for t -> infinity
    torch.testing.assert_close(found, torch.cat([one.grad.flatten() for one in student.parameters()]), rtol=0.02, atol=1e-3)
    assert all(one.grad is None for one in teacher.parameters())


def test_a_student_that_is_its_teacher_has_nothing_to_learn_at_clean_inputs():
    _, teacher = networks()
    x, y = data()
    assert abs(ard_loss(teacher, teacher, x, x, y, temperature=3.0)) < 1e-6
    method = RobustDistillation(teacher, teacher, radius=0.0, temperature=3.0, batch_size=20, learning_rate=1e-4).fit(x, y, steps=5)
    torch.testing.assert_close(method.network(x), teacher(x), rtol=0, atol=5e-3)


def test_radius_0_is_ordinary_distillation_and_alpha_0_ordinary_training_bit_for_bit():
    student, teacher = networks()
    x, y = data()

    def distilled(network, x, y, rng, done):
        aim = F.softmax(teacher(x) / 4, 1).detach()
        return -16 * (aim * F.log_softmax(network(x) / 4, 1)).sum(1).mean()  # up to the entropy of the aim, which is constant

    plain = learn(networks()[0], x, y, distilled, steps=20, learning_rate=1e-2, batch_size=16, seed=4)
    found = RobustDistillation(student, teacher, radius=0.0, temperature=4.0, batch_size=16, learning_rate=1e-2, seed=4).fit(x, y, steps=20)
    torch.testing.assert_close(found.network(x), plain(x), rtol=1e-3, atol=1e-3)
    standard = train(networks()[0], x, y, steps=20, learning_rate=1e-2, batch_size=16, seed=4)
    found = RobustDistillation(student, teacher, radius=0.2, alpha=0.0, batch_size=16, learning_rate=1e-2, seed=4).fit(x, y, steps=20)
    assert torch.equal(weights(found.network), weights(standard))


def test_the_first_loss_is_that_of_images_climbed_to_within_ball_and_box():
    student, teacher = networks()
    x, y = data()
    losses = []
    RobustDistillation(student, teacher, radius=0.2, temperature=2.0, batch_size=60, seed=4).fit(x, y, steps=1, on_step=losses.append)
    rows = torch.randperm(60, generator=torch.Generator().manual_seed(4))
    moved = climbed(student, x[rows], y[rows], radius=0.2, norm=math.inf, steps=10, rng=torch.Generator().manual_seed(4))
    assert (moved - x[rows]).abs().max() == pytest.approx(0.2, abs=1e-6)
    assert 0 <= moved.min() <= moved.max() <= 1
    assert F.cross_entropy(student(moved), y[rows]) > F.cross_entropy(student(x), y) + 0.1
    assert losses == [pytest.approx(ard_loss(student, teacher, x[rows], moved, y[rows], temperature=2.0).item(), rel=1e-4)]


def test_the_student_gives_at_attacked_inputs_what_the_teacher_gives_at_clean_ones():
    student, teacher = networks()
    x, _ = data()
    y = teacher(x).argmax(1)
    before = weights(teacher).clone()

    def agreement(radius):
        method = RobustDistillation(student, teacher, radius=radius, attack_steps=5, temperature=2.0, batch_size=60, learning_rate=1e-2)
        network = method.fit(x, y, steps=80).network
        moved = climbed(network, x, y, radius=0.1, norm=math.inf, steps=20, rng=torch.Generator().manual_seed(9))
        return ard_loss(network, teacher, x, moved, y, temperature=2.0).item()

    assert agreement(0.1) < 0.8 * agreement(0.0)
    assert torch.equal(weights(teacher), before)


def test_the_teacher_is_attacked_as_the_student_is():
    student, teacher = networks()
    x, _ = data()
    test = Images(x.numpy(), teacher(x).argmax(1).numpy(), ("a", "b", "c"))
    found, alone = (paper.score(model, test) for model in ((student, 60, teacher), (teacher, 60, student)))
    assert found["the teacher's accuracy under attack"] == alone[paper.CLAIM.metric] < 100
    assert found["the teacher's accuracy"] == alone["accuracy"] == 100
    assert alone["the teacher's accuracy under attack"] == found[paper.CLAIM.metric]
    assert found[paper.CLAIM.metric] < alone[paper.CLAIM.metric]


@pytest.mark.parametrize("wrong", [{"radius": -1.0}, {"temperature": 0.0}, {"alpha": 1.5}, {"attack_steps": 0}, {"warm_up": -0.1}])
def test_settings_out_of_range_are_refused(wrong):
    student, teacher = networks()
    with pytest.raises(ValueError, match="expected"):
        RobustDistillation(student, teacher, **({"radius": 0.1} | wrong)).fit(*data(), steps=1)
    with pytest.raises(NotFitted):
        RobustDistillation(student, teacher, radius=0.1).predict(data()[0])
