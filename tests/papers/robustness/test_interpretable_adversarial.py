"""The consistent loss in its limits, against adversarial training alone, and the score on neurons whose meaning is known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bakeoff.data.kinds.images import Images
from bakeoff.errors import NotFitted
from bakeoff.papers.robustness import interpretable_adversarial as paper
from bakeoff.papers.robustness.interpretable_adversarial import ConsistentTraining, neuron_consistency
from bakeoff.parts.attacks import accuracy
from bakeoff.parts.learning import learn
from bakeoff.parts.small_cnn import small_cnn


def pictures(count=60):
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (count,), generator=rng)
    images = 0.5 * torch.rand(count, 1, 8, 8, generator=rng)
    images[torch.arange(count), 0, labels * 2, labels] += 0.5
    return images, labels


def weights(network):
    return torch.cat([one.flatten() for one in network.parameters()]).detach()


def test_without_the_distance_it_is_adversarial_training_bit_for_bit():
    images, labels = pictures()

    def both(network, x, y, rng, done):
        sizes = 0.1 * torch.rand(len(x), generator=rng).view(-1, 1, 1, 1)
        return 2 * F.cross_entropy(network(torch.cat((x, paper.one_step(network, x, y, sizes)))), y.repeat(2))

    start, same = (small_cnn((1, 8, 8), 4, seed=0, width=4, hidden=16) for _ in range(2))
    before = weights(start)
    trained = ConsistentTraining(start, weight=0.0, batch_size=20).fit(images, labels, steps=8)
    known = learn(same, images, labels, both, steps=8, learning_rate=1e-3, batch_size=20, seed=0)
    assert torch.equal(weights(trained.network), weights(known))
    assert torch.equal(weights(start), before)


def test_where_the_attack_has_no_size_the_distance_is_nothing():
    images, labels = pictures()
    network = small_cnn((1, 8, 8), 4, seed=0, width=4, hidden=16)
    losses = [float(ConsistentTraining(network, weight=weight, radius=0.0)._loss(network, images, labels, torch.Generator(), 0.0).detach())
              for weight in (0.0, 100.0)]
    assert losses[0] == losses[1] == pytest.approx(2 * F.cross_entropy(network(images), labels).item(), rel=1e-6)


def test_the_loss_is_the_papers_sum():
    images, labels = pictures()
    network, rng = small_cnn((1, 8, 8), 4, seed=0, width=4, hidden=16), torch.Generator().manual_seed(5)
    found = float(ConsistentTraining(network, layer=2, weight=0.3, radius=0.2)._loss(network, images, labels, rng, 0.0).detach())
    sizes = 0.2 * torch.rand(60, generator=rng.manual_seed(5)).view(-1, 1, 1, 1)
    x = images.clone().requires_grad_()
    F.cross_entropy(network(x), labels).backward()
    moved = (images + sizes * x.grad.sign()).clamp(0, 1)
    apart = (network[:2](images) - network[:2](moved)).square().sum() / 60
    known = F.cross_entropy(network(images), labels) + F.cross_entropy(network(moved), labels) + 0.3 * apart
    assert found == pytest.approx(known.item(), rel=1e-5)
    assert apart.item() > 0.01


def test_the_distance_draws_features_together():
    images, labels = pictures()
    apart = []
    for weight in (0.0, 1.0):
        trained = ConsistentTraining(small_cnn((1, 8, 8), 4, seed=0, width=4, hidden=16), weight=weight, learning_rate=0.01, batch_size=60)
        trained.fit(images, labels, steps=200)
        assert float((trained.predict(images) == labels).double().mean()) > 0.9
        moved = paper.one_step(trained.network, images, labels, torch.full((60, 1, 1, 1), 0.1))
        clean = trained.encode(images)
        apart.append(float((clean - trained.encode(moved)).square().sum() / clean.square().sum()))  # beside the features' own size
    assert apart[1] < apart[0] / 2


def test_a_detector_of_one_class_scores_1_and_an_uninformative_neuron_the_share_of_the_class():
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(10_000) % 4
    features = torch.stack([(labels == 2).float(), torch.rand(10_000, generator=rng)], 1)
    scores = neuron_consistency(features, labels, top=2000, concepts=torch.tensor([2, 1]))
    assert float(scores[0]) == 1.0
    assert float(scores[1]) == pytest.approx(0.25, abs=0.03)
    swapped = neuron_consistency(features.flip(1), labels, top=2000, concepts=torch.tensor([1, 2]))
    assert torch.equal(swapped, scores.flip(0))


def test_a_tree_of_classes_counts_cousins_in_part():
    labels = torch.tensor([0, 1, 2, 3])
    tree = torch.tensor([[1.0, 0.5, 0, 0], [0.5, 1, 0, 0], [0, 0, 1, 0.5], [0, 0, 0.5, 1]])  # {0, 1} and {2, 3} are cousins
    features = torch.tensor([[4.0, 3, 2, 1], [4, 1, 2, 3]]).T  # the two highest: classes 0 and 1; 0 and 3
    np.testing.assert_allclose(neuron_consistency(features, labels, 2, nearness=tree), [0.75, 0.5])
    np.testing.assert_allclose(neuron_consistency(features, labels, 2, nearness=tree, concepts=torch.tensor([1, 2])), [0.75, 0.25])
    np.testing.assert_allclose(neuron_consistency(features, labels, 2), [0.5, 0.5])


def test_images_made_against_another_net_are_the_same_in_both_arms_and_fool_that_net():
    images, labels = pictures(200)
    for one in range(4):
        images[labels == one, :, 2 * one:2 * one + 2] = 0.6  # two bright rows
    train, test = Images(images.numpy(), labels.numpy(), tuple("abcd")), Images(images[:60].numpy(), labels[:60].numpy(), tuple("abcd"))
    budget = SimpleNamespace(name="smoke", steps=90, spend=lambda loss: None)
    arms = [arm(train, budget, 3) for arm in (paper.treatment, paper.control)]
    assert not torch.equal(*(weights(trained.network) for trained, _, _ in arms))
    made = [paper.attacked_images(other, images[:60], labels[:60], 4, 3) for _, other, _ in arms]
    assert torch.equal(*made)
    trained, other, _ = arms[0]
    assert accuracy(other, made[0], labels[:60]) < accuracy(other, images[:60], labels[:60])
    clean = trained.encode(images[:60])
    alive, concepts = clean.amax(0) > 0, labels[clean.topk(20, dim=0).indices].mode(0).values
    known = (labels[trained.encode(made[0]).topk(20, dim=0).indices] == concepts).float().mean(0)[alive].mean()
    assert paper.score(arms[0], test)["on images made against another net"] == pytest.approx(100 * known.item(), abs=3)


def test_what_does_not_fit_is_refused():
    images, labels = pictures()
    with pytest.raises(ValueError, match="expected top from 1"):
        neuron_consistency(torch.zeros(3, 2), torch.zeros(3, dtype=torch.long), top=4)
    with pytest.raises(ValueError, match="expected 0 or above"):
        ConsistentTraining(nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), weight=-1.0).fit(images, labels, steps=1)
    with pytest.raises(NotFitted):
        ConsistentTraining(nn.Sequential()).predict(images)
    with pytest.raises(ValueError, match=r"an nn.Sequential, which `layer` can cut"):
        ConsistentTraining(nn.Linear(64, 4)).fit(images, labels, steps=1)
    with pytest.raises(ValueError, match="60 class numbers from 0 to 3"):
        ConsistentTraining(nn.Sequential(nn.Flatten(), nn.Linear(64, 4))).fit(images, labels + 1, steps=1)


@pytest.mark.parametrize(("given", "said"), [
    ({"features": torch.zeros(4)}, r"features \(N, D\) .* found \(4,\)"), ({"features": torch.zeros(4, 3).long()}, "finite floats"),
    ({"features": torch.full((4, 3), torch.nan)}, "finite floats"), ({"labels": torch.tensor([0, 1, -1, 0])}, "labels as class numbers"),
    ({"labels": torch.zeros(4)}, "labels as class numbers"), ({"labels": torch.zeros(3).long()}, "one label an image"),
    ({"concepts": torch.tensor([0, 1])}, "one concept for each of 3 neurons"), ({"top": 0}, "expected top from 1"),
    ({"concepts": torch.tensor([0, 1, 2]), "nearness": torch.eye(2)}, "concepts as class numbers from 0 to 1"),
    ({"nearness": torch.eye(1)}, "labels as class numbers from 0 to 0"), ({"nearness": torch.zeros(2, 3)}, r"nearness \(K, K\)"),
    ({"nearness": 2 * torch.eye(2)}, r"values in \[0, 1\], found torch.float32 from 0 to 2")])
def test_consistency_says_what_of_its_inputs_does_not_fit(given, said):
    fitting = {"features": torch.tensor([[0.1, 0.9, 0.3]] * 4), "labels": torch.tensor([0, 1, 1, 0]), "top": 2}
    with pytest.raises(ValueError, match=said):
        neuron_consistency(**fitting | given)


def test_arrays_are_answered_as_tensors_and_dropout_follows_the_seed_alone():
    images, labels = pictures()
    with torch.random.fork_rng():
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 4))
    state = torch.get_rng_state()
    one, other = (ConsistentTraining(network, batch_size=20).fit(*given, steps=5)
                  for given in ((images, labels), (images.numpy(), labels.numpy())))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(weights(one.network), weights(other.network))
    assert torch.equal(one.encode(images), other.encode(images.double()))
    assert torch.equal(one.predict(images), other.predict(images.numpy()))
    with pytest.raises(ValueError, match="divide bytes by 255"):
        one.predict((255 * images).byte())
    found = neuron_consistency(one.encode(images).numpy(), labels.numpy(), 5, concepts=np.arange(8) % 4, nearness=np.eye(4))
    known = neuron_consistency(one.encode(images), labels, 5, concepts=torch.arange(8) % 4)
    assert found.tolist() == pytest.approx(known.tolist())
