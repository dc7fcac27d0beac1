"""Static, random and remembering ensembles in cases that can be counted: one member, known errors, repeated and new images."""

import numpy as np
import pytest
import torch
from torch import nn

from bakeoff.errors import NotFitted
from bakeoff.papers.robustness import dynamic_defense as paper
from bakeoff.papers.robustness.dynamic_defense import DynamicEnsemble, replay_attack


class Says(nn.Module):
    """Answers with the class that is written for each image, whose number is its first pixel times 100."""

    def __init__(self, classes):
        super().__init__()
        self.classes = torch.tensor(classes)

    def forward(self, x):
        return 20 * torch.eye(4)[self.classes[(x[:, 0, 0, 0] * 100).round().long()]]


def numbered(*numbers):
    """Images of 3 x 3 pixels known by their first pixel."""
    images = torch.zeros(len(numbers), 1, 3, 3)
    images[:, 0, 0, 0] = torch.tensor(numbers) / 100
    return images


def noise(count, seed=0):
    return torch.rand(count, 1, 3, 3, generator=torch.Generator().manual_seed(seed))


def test_one_member_answers_alike_static_or_drawn():
    images, member = noise(50), nn.Flatten()
    answers = [DynamicEnsemble([member], policy).fit(images).predict(images) for policy in ("average", "random")]
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], images.flatten(1).argmax(1))


def test_a_static_model_always_errs_on_a_mistake_or_never():
    members, labels = [Says([0, 1, 2, 3])], torch.tensor([0, 1, 2, 3])
    for truth, known in ((labels, 0.0), (torch.tensor([0, 1, 2, 0]), 1.0)):
        static = DynamicEnsemble(members, "average").fit(noise(10))
        assert replay_attack(static, numbered(0, 1, 2, 3), truth, radius=0.0, rounds=37) == known


def test_members_drawn_at_random_err_with_the_mean_of_their_errors():
    members = [Says(one) for one in ([1, 0], [1, 0], [2, 0], [0, 0], [0, 1])]  # on image 0 three of five err, on image 1 one does
    drawn = DynamicEnsemble(members, "random", seed=2).fit(noise(10))
    image = numbered(0).expand(20_000, 1, 3, 3)
    assert float((drawn.predict(image) != 0).double().mean()) == pytest.approx(3 / 5, abs=0.015)
    several = numbered(0, 1, 1, 0, 1), torch.tensor([0, 0, 0, 0, 0])
    found = replay_attack(drawn.reset(), *several, radius=0.0, rounds=5000, queries=400)
    assert found == pytest.approx(3 / 5, abs=0.03)  # the attacker finds the worse image
    both = drawn.predict(numbered(0, 1).repeat(5000, 1, 1, 1)) == torch.tensor([0, 0]).repeat(5000)
    assert float(both.double().mean()) == pytest.approx(np.mean([1 / 2, 1 / 2, 1 / 2, 1, 1 / 2]), abs=0.02)


def test_a_mistake_of_all_members_defeats_the_random_choice():
    drawn = DynamicEnsemble([Says([1, 0]), Says([2, 0]), Says([3, 0])], "random").fit(noise(10))
    assert replay_attack(drawn, numbered(0, 1), torch.tensor([0, 0]), radius=0.0) == 1.0


def test_the_memory_withholds_what_is_near_an_earlier_query_also_of_the_same_batch():
    images = noise(30)
    model = DynamicEnsemble([nn.Flatten()], alarms=0.0).fit(images)
    first, near, far = (torch.full((1, 1, 3, 3), part * model.closeness / 3) for part in (0.0, 0.99, 1.01))
    assert model.predict(torch.cat((first, far, first))).tolist() == [0, 0, -1]
    assert model.reset().predict(first).tolist() == [0]
    assert model.predict(near).tolist() == [-1]
    assert model.predict(-far).tolist() == [0]


def test_of_the_stream_it_was_fitted_to_the_stated_share_is_withheld():
    images = noise(401, seed=1)
    for alarms in (0.0, 0.05, 0.25):
        model = DynamicEnsemble([nn.Flatten()], alarms=alarms).fit(images)
        one_by_one = torch.cat([model.predict(image[None]) for image in images])
        assert int((one_by_one == -1).sum()) == round(400 * alarms)
        assert torch.equal(model.reset().predict(images), one_by_one)


def test_variants_change_the_share_asked_for_and_stay_in_the_ball():
    image, rng = torch.full((1, 40, 40), 0.5), torch.Generator().manual_seed(0)
    for share in (0.0, 0.3, 1.0):
        made = paper.variants(image, image + 0.05, share, 0.1, 20, rng)
        at_edge = ((made - image).abs() - 0.1).abs() < 1e-6
        assert float(at_edge.double().mean()) == pytest.approx(share, abs=0.01)
        torch.testing.assert_close(made[~at_edge], torch.full_like(made[~at_edge], 0.55))


def test_variants_get_past_a_memory_that_they_are_too_far_apart_for():
    natural = torch.cat((noise(20), noise(20) + 1e-3))  # a stream in which near images are natural: the memory must be narrow
    model = DynamicEnsemble([nn.Flatten()], alarms=0.0).fit(natural)
    images = torch.full((5, 1, 3, 3), 0.5)
    wrong = torch.full((5,), 9)  # no class that the model can give
    assert replay_attack(model, images, wrong, shares=(0.0,), rounds=50) == 0.0
    assert replay_attack(model.reset(), images, wrong, shares=(0.0, 1.0), radius=0.3, rounds=50) < 1  # 2^9 corners only
    assert replay_attack(model.reset(), torch.full((5, 1, 30, 30), 0.5), wrong, shares=(0.0, 1.0), radius=0.3, rounds=50) == 1.0


def test_what_does_not_fit_is_refused():
    with pytest.raises(NotFitted):
        DynamicEnsemble([nn.Flatten()]).predict(noise(1))
    with pytest.raises(ValueError, match="expected one of"):
        DynamicEnsemble([nn.Flatten()], "memories").fit(noise(5))
    model = DynamicEnsemble([nn.Flatten()]).fit(noise(5))
    with pytest.raises(ValueError, match="expected 20 or more for each"):
        replay_attack(model, noise(5), torch.zeros(5, dtype=torch.long), queries=79)


def test_arrays_and_empty_batches_are_answered_and_what_would_blind_the_memory_is_refused():
    model = DynamicEnsemble([nn.Flatten()]).fit(noise(30).numpy())
    assert model.predict(noise(5).double().numpy()).tolist() == noise(5).flatten(1).argmax(1).tolist()
    assert model.predict(noise(5)).tolist() == [-1] * 5
    assert model.predict(noise(0)).shape == (0,)
    with pytest.raises(ValueError, match="all 4 images are exact copies of one"):  # it would know exact copies only
        DynamicEnsemble([nn.Flatten()]).fit(noise(1).repeat(4, 1, 1, 1))
    for ask in (model.fit, model.predict):
        with pytest.raises(ValueError, match="1 of the numbers not finite"):
            ask(torch.where(noise(3) == noise(3).max(), torch.nan, noise(3)))


def test_copies_among_natural_images_change_nothing_and_are_withheld():
    images = noise(30)
    doubled = torch.cat((images[:20], images[:10], images[20:], images[5:25]))
    for alarms in (0.0, 0.1):
        plain, model = (DynamicEnsemble([nn.Flatten()], alarms=alarms).fit(one) for one in (images, doubled))
        assert model.closeness == plain.closeness > 0
        stream = torch.cat((images[:5], images[:5]))
        assert model.predict(stream).tolist() == plain.predict(stream).tolist()
        assert model.reset().predict(stream)[5:].tolist() == [-1] * 5
    assert DynamicEnsemble([nn.Flatten()], "average").fit(images[:1].repeat(4, 1, 1, 1)).predict(images[:2]).tolist() == [
        int(one.argmax()) for one in images[:2]]


def test_images_of_another_precision_are_answered_alike_and_replays_look_at_what_they_are_given():
    with torch.random.fork_rng():
        member = nn.Sequential(nn.Flatten(), nn.Linear(9, 3))
    images, labels = noise(30), torch.zeros(30).long()
    answers = [DynamicEnsemble([member], "average").fit(one).predict(one) for one in (images, images.double())]
    assert torch.equal(*answers)
    model = DynamicEnsemble([member], "average").fit(images)
    for bad, told in ((255 * images, "divide bytes by 255"), (images[:4], "N labels")):
        with pytest.raises(ValueError, match=told):
            replay_attack(model, bad, labels)
    found = [replay_attack(model, *given, rounds=20) for given in ((images, labels), (images.numpy(), labels.numpy()))]
    assert found[0] == found[1]
