"""The search against surfaces whose best point is known, its budget, its cost; and on pictures, what it may lose and what it gains."""

import pytest
import torch

from bakeoff.baselines.adversarial_training import AdversarialTraining
from bakeoff.papers.robustness import adversarial_hyperparameters as paper
from bakeoff.papers.robustness.adversarial_hyperparameters import tune_robustness
from bakeoff.parts.attacks import accuracy, pgd
from bakeoff.parts.small_cnn import small_cnn


def surface(setting):
    """Accuracy falls with fraction times radius, robustness rises with it up to radius 0.2."""
    fraction, radius = setting
    return {"fraction": fraction, "radius": radius, "steps": 800, "network": setting, "accuracy": 95 - 40 * fraction * radius,
            "accuracy under attack": 20 + 60 * fraction ** 0.3 * min(radius, 0.2) / 0.2}


STANDARD = (0.0, 0.1)
GRID = [(fraction, radius) for fraction in (1.0, 0.5, 0.25) for radius in (0.1, 0.2, 0.3)]


@pytest.mark.parametrize("budget", [1.0, 2.0, 4.0, 8.0, 20.0])
def test_the_best_point_within_the_budget_is_found(budget):
    feasible = [one for one in GRID if surface(one)["accuracy"] >= 95 - budget]
    found = paper.searched(budget, [STANDARD, *GRID], surface)
    assert found["network"] == max(feasible, key=lambda one: surface(one)["accuracy under attack"])
    assert found["accuracy"] >= found["standard accuracy"] - budget
    assert (found["standard accuracy"], found["standard network"]) == (95, STANDARD)


def test_every_setting_is_trained_once_and_counted():
    found = paper.searched(2.0, [STANDARD, *GRID], surface)
    assert [one["network"] for one in found["trials"]] == [STANDARD, *GRID]
    assert found["steps"] == 800 * 10


@pytest.mark.parametrize(("budget", "fraction", "runs"), [(0.5, 0.125, 11), (0.25, 0.0625, 12), (0.2, 0.0, 12)])
def test_where_every_setting_breaks_the_budget_the_nearest_is_taken_back_step_by_step(budget, fraction, runs):
    """40 points times fraction times radius are lost: 1 by the nearest, a fraction of 1/4 at radius 0.1."""
    found = paper.searched(budget, [STANDARD, *GRID], surface)
    assert (found["fraction"], found["radius"]) == (fraction, 0.1)
    assert found["network"] == ((fraction, 0.1) if fraction else STANDARD)
    assert found["accuracy"] >= found["standard accuracy"] - budget
    assert found["steps"] == 800 * runs


def test_settings_drawn_cover_their_ranges_evenly():
    drawn = torch.tensor(paper.drawn(4000, 0.2, torch.Generator().manual_seed(0)))
    for found in (1 + drawn[:, 0].log() / torch.tensor(20.0).log(), (drawn[:, 1] / 0.2 - 0.5) / 1.5):
        torch.testing.assert_close(torch.quantile(found, torch.linspace(0, 1, 11)), torch.linspace(0, 1, 11), rtol=0, atol=0.03)


def pictures(count=300):
    """One bright pixel tells the class, and many faint ones do, which an attack turns round."""
    labels = torch.randint(2, (count,), generator=torch.Generator().manual_seed(1))
    images = 0.5 + 0.1 * torch.randn(count, 1, 6, 6, generator=torch.Generator().manual_seed(2)) + 0.06 * (2 * labels - 1).view(-1, 1, 1, 1)
    images[:, 0, 2, 2] = 0.5 + 0.4 * (2 * labels - 1)
    return images.clamp(0, 1), labels


def network():
    return small_cnn((1, 6, 6), 2, seed=0, width=4, hidden=8)


def test_what_is_said_of_the_network_given_back_is_true_and_nothing_kept_aside_was_learned():
    x, y = pictures()
    setting, losses = {"attack_steps": 3, "learning_rate": 1e-2, "batch_size": 40, "warm_up": 0.3, "seed": 3}, []
    found = tune_robustness(network, x, y, 0.1, settings=[(0.5, 0.1), (1.0, 0.12)], accuracy_budget=5.0, steps=40, on_step=losses.append,
                            **setting)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(3))
    aside, rest = order[:60], order[60:]
    known = []
    again = AdversarialTraining(network(), radius=found["radius"], fraction=found["fraction"], **setting)
    again = again.fit(x[rest], y[rest], steps=40, on_step=known.append).network
    standard = AdversarialTraining(network(), radius=0.1, fraction=0.0, **setting).fit(x[rest], y[rest], steps=40).network
    assert losses == pytest.approx(known)
    torch.testing.assert_close(found["network"](x), again(x))
    torch.testing.assert_close(found["standard network"](x), standard(x))
    moved = pgd(again, x[aside], y[aside], radius=0.1, seed=3)
    assert found["accuracy"] == pytest.approx(100 * accuracy(again, x[aside], y[aside]))
    assert found["accuracy under attack"] == pytest.approx(100 * accuracy(again, moved, y[aside]))
    assert found["standard accuracy"] == pytest.approx(100 * accuracy(standard, x[aside], y[aside]))
    assert found["accuracy"] >= found["standard accuracy"] - 5
    moved = pgd(standard, x[aside], y[aside], radius=0.1, seed=3)
    assert found["accuracy under attack"] > 100 * accuracy(standard, moved, y[aside]) + 20


def test_a_wrong_number_is_refused():
    x, y = pictures(20)
    for wrong in ({"settings": []}, {"accuracy_budget": -1.0}, {"trials": 0}):
        with pytest.raises(ValueError, match="expected"):
            tune_robustness(network, x, y, 0.1, steps=2, **wrong)
    with pytest.raises(ValueError, match="five images"):
        tune_robustness(network, x[:4], y[:4], 0.1, steps=2)
