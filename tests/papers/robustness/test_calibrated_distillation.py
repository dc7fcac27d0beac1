"""Targets against what is known of them, the mean of an ensemble, the loss written out, and a student as able as its teacher."""

import pytest
import torch
from torch import nn

from bakeoff.papers.robustness import calibrated_distillation as paper
from bakeoff.papers.robustness.calibrated_distillation import (
    ImprovedDistillation,
    distillation_targets,
    entropy,
    mean_probabilities,
    softened,
)
from bakeoff.parts.seeding import seeded


def some(count=200, classes=5):
    with seeded(0):
        return torch.distributions.Dirichlet(torch.ones(classes).double()).sample((count,)), torch.randint(0, classes, (count,))


def test_a_right_teacher_is_believed_and_a_wrong_one_trades_two_places():
    q, y = some()
    t = distillation_targets(q, y, sharpen=0.0)
    right = q.argmax(1) == y
    assert 20 < right.sum() < 180
    assert torch.equal(t[right], q[right])
    rows, said = torch.arange(len(q)), q.argmax(1)
    assert torch.equal(t[rows, y], q.max(1).values)
    assert torch.equal(t[rows, said][~right], q[rows, y][~right])
    back = t.clone()
    back[rows, y], back[rows, said] = t[rows, said], t[rows, y]  # exchanged once more
    assert torch.equal(back, q)


def test_targets_are_distributions_with_their_largest_part_at_the_label():
    q, y = some()
    for sharpen in (0.0, 0.2, 0.7, 1.0):
        t = distillation_targets(q, y, sharpen=sharpen)
        torch.testing.assert_close(t.sum(1), torch.ones(len(q)).double())
        assert (t >= 0).all()
        assert torch.equal(t.argmax(1), y)
    assert torch.equal(t, nn.functional.one_hot(y, 5).double())


def test_sharpening_lowers_the_entropy_of_a_right_teacher_step_by_step():
    q, _ = some()
    y = q.argmax(1)
    steps = torch.stack([entropy(distillation_targets(q, y, sharpen=w)) for w in (0.0, 0.1, 0.3, 0.9)])
    torch.testing.assert_close(steps[0], -(q * q.log()).sum(1))
    assert (steps.diff(dim=0) < 0).all()


def test_plain_targets_are_softened_by_the_temperature_alone():
    q, y = some()
    assert torch.equal(distillation_targets(q, y, sharpen=0.0, correct=False), q)
    torch.testing.assert_close(softened(q, 1.0), q)
    torch.testing.assert_close(softened(q, 2.0), q.sqrt() / q.sqrt().sum(1, keepdim=True))
    torch.testing.assert_close(softened(q, 1e9), torch.full_like(q, 0.2), rtol=0, atol=1e-6)


def test_a_step_of_training_follows_the_slope_of_the_softened_cross_entropy(monkeypatch):
    q, y = some(count=4)
    losses = {}
    monkeypatch.setattr(paper, "learn", lambda network, x, wanted, loss, **how: losses.update(loss=loss, wanted=wanted) or network)
    monkeypatch.setattr(paper, "mean_probabilities", lambda networks, images: q)
    for temperature in (1.0, 3.0):
        how = {"sharpen": 0.0, "correct": False, "mix": False, "temperature": temperature}
        ImprovedDistillation(nn.Identity(), [nn.Identity()], **how).fit(q, y, steps=1)
        for logits in (q.log(), q.log() + 0.3 * torch.eye(4, 5)):
            z = logits.clone().requires_grad_()
            slope, = torch.autograd.grad(losses["loss"](nn.Identity(), z, losses["wanted"], None, 0.0), z)
            torch.testing.assert_close(slope, temperature / 4 * ((logits / temperature).softmax(1) - (q.log() / temperature).softmax(1)))


def test_an_ensemble_answers_with_the_mean_and_is_left_as_it_was():
    with seeded(0):
        networks, x = [nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.9)) for _ in range(2)], torch.randn(7, 3)
    known = (networks[0][0](x).softmax(1) + networks[1][0](x).softmax(1)) / 2
    torch.testing.assert_close(mean_probabilities(networks, x, batch=2), known.detach())
    assert all(one.training for network in networks for one in network.modules())


def test_a_student_that_can_say_what_its_teacher_says_comes_to_say_it():
    with seeded(0):
        x, teacher, student = torch.rand(300, 2), nn.Linear(2, 3), nn.Linear(2, 3)
    before = student.weight.clone()
    for temperature in (1.0, 2.0):
        method = ImprovedDistillation(student, [teacher], sharpen=0.0, correct=False, temperature=temperature, learning_rate=0.05)
        told = method.fit(x, torch.zeros(300, dtype=torch.long), steps=400).predict_proba(x)
        torch.testing.assert_close(told, teacher(x).softmax(1).detach(), rtol=0, atol=5e-3)
    assert torch.equal(student.weight, before)


def test_mixtures_lie_between_two_images_in_every_proportion():
    x = torch.arange(400.0).view(400, 1, 1, 1).repeat(1, 1, 2, 2)
    x[:, :, 1] = 7  # the same in all
    mixtures = paper.mixed(x, seed=0)
    torch.testing.assert_close(mixtures[:, :, 1], x[:, :, 1])
    share = (mixtures - x)[:, 0, 0, 0].abs() / x[:, 0, 0, 0].sub(x[:, 0, 0, 0].flip(0)).abs().clamp(min=1)
    assert mixtures.min() >= 0
    assert mixtures.max() <= 399
    assert share.median() > 0.1


def test_numbers_out_of_range_are_refused():
    q, y = some()
    for call in (lambda: distillation_targets(q, y, sharpen=1.5), lambda: distillation_targets(q, y[:3]), lambda: softened(q, 0.0)):
        with pytest.raises(ValueError, match="expected"):
            call()
    for labels in (y - 1, y + 1, y.float()):
        with pytest.raises(ValueError, match="expected labels as whole numbers from 0 to 4"):
            distillation_targets(q, labels)
    with pytest.raises(ValueError, match=r"expected values in \[0, 1\], found torch.float64 from"):
        distillation_targets(100 * q, y)
    network = nn.Linear(5, 5)
    with pytest.raises(ValueError, match="expected a teacher of one network or more"):
        ImprovedDistillation(network, []).fit(q, y, steps=1)
    with pytest.raises(ValueError, match="200 class numbers from 0 to 4"):
        ImprovedDistillation(network, [network]).fit(q, y + 1, steps=1)


def test_arrays_and_other_precisions_are_taken_alike_and_dropout_follows_the_seed_alone():
    (q, y), teacher = some(), nn.Linear(5, 5)
    student = nn.Sequential(nn.Dropout(0.3), nn.Linear(5, 5))
    state = torch.get_rng_state()
    one, other = (ImprovedDistillation(student, [teacher], mix=True).fit(*given, steps=5)
                  for given in ((q.float(), y), (q.numpy(), y.int().numpy())))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.predict_proba(q.float()), other.predict_proba(q.numpy()))
    with pytest.raises(ValueError, match="finite floats"):
        one.predict_proba((255 * q).byte())
