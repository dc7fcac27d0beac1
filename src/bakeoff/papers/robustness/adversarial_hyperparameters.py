"""Adversarial hyperparameters: how much of each minibatch to attack, and how far, is searched for within a budget of clean accuracy.

Duesterwald, Murthi, Venkataraman, Sinn, Vijaykeerthy. SafeML at ICLR 2019. arXiv:1905.03837.

Method: adversarial training has knobs of its own. Of every minibatch a fraction a is replaced by images attacked within a training
radius r, which need not be the radius R at which the network is to be robust. Over (a, r) both accuracies form uneven surfaces that
differ from data set to data set, so the setting is searched for, on images kept aside:

    maximise   accuracy under attack at R, of the network trained with (a, r)
    subject to clean accuracy >= clean accuracy after standard training - budget.

Each trial is a training run. Settings are given or drawn at random; successive halving spends little on the poor ones: all
are trained for a small share of the steps, the better half again for twice as many, until one is left. Feasible settings come
before those outside the budget, and among them the more robust first; if none is feasible, a = 0, standard training.

Departures: the optimiser is successive halving over given or random settings; the authors' own black-box optimiser is not rebuilt. The
control is tuned as hard: it spends the same search, trial for trial, on six fractions at the customary radius, the test's, so that
it too keeps to the budget; what is judged is whether moving the radius as well pays. Both arms then train for the same steps; what the
search costs besides is shown. A small CNN and a hundred-odd steps, so the settings are judged by runs of a quarter and a half of those.
By such runs the standard network gains accuracy faster than the attacked ones, and cautious settings are favoured. The budget of 2
points binds on Fashion-MNIST, where at seed 100, 240 steps, standard training had 83 % (13 % under attack), fraction 1/4 at the test's
radius 81 % (51 %), at twice that 77 % (59 %); on MNIST nothing binds, fraction 1 at the test's radius loses no accuracy. The rate of
5e-3, 64 images and a warm-up of 0.3 are the same for every trial. The attack on test images is 20-step PGD on two losses.

Out of reach: the full surfaces, SVHN and CIFAR-10. Six settings show a choice, not the shape of a landscape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from bakeoff.baselines.adversarial_training import AdversarialTraining, tensor
from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.parts.attacks import accuracy, margin_loss, pgd, worst_of
from bakeoff.parts.small_cnn import small_cnn

PAPER = Paper(title="Exploring the Hyperparameter Landscape of Adversarial Robustness",
              authors=("Duesterwald", "Murthi", "Venkataraman", "Sinn", "Vijaykeerthy"), year=2019, venue="SafeML workshop at ICLR",
              arxiv="1905.03837", also=("hyperparameter landscape of adversarial robustness", "adversarial hyperparameters"))
CLAIM = Claim(says="Within a budget of 1 or 2 points of clean accuracy, a searched pair of fraction and training radius gives more "
                   "accuracy under attack than the customary radius, that of the test.",
              data="fashion-mnist", metric="accuracy under attack", unit="percentage points", better="higher", margin=1.0,
              equal="steps", steps={"smoke": 16, "quick": 200, "full": 10_000})
__all__ = ["tune_robustness"]


def tune_robustness(make_network: Callable[[], nn.Module], images, labels, test_radius: float, *, accuracy_budget: float = 1.0,
                    trials: int = 9, settings: Sequence[tuple[float, float]] | None = None, steps: int = 1000, attack_steps: int = 7,
                    learning_rate: float = 1e-3, batch_size: int = 128, warm_up: float = 0.0, attacked: int = 500, seed: int = 0) -> dict:
    """Search the fraction and the training radius of adversarial training within a budget of clean accuracy.

    A fifth of the images, 2,000 at most, is kept aside to judge by.

    Args:
        make_network: gives a fresh network (B, C, H, W) -> (B, K), always the same.
        images: (N, C, H, W), values in [0, 1]; a tensor or an array.
        labels: (N,) class numbers.
        test_radius: L-infinity radius of the attack to withstand; the R above.
        accuracy_budget: points of clean accuracy, in percent, that may be lost to standard training.
        trials: settings drawn where none are given: fractions from 0.05 to 1, evenly on a log scale, radii from R / 2 to 2 R.
        settings: pairs (fraction, radius) to try instead.
        steps: minibatches of a full training run; the last trials have half as many, those before a quarter, and so on.
        attack_steps: gradient steps of the attack in training.
        learning_rate: Adam's.
        batch_size: images a minibatch.
        warm_up: share of the steps over which the training radius grows.
        attacked: of the images kept aside, how many are attacked, by 10 steps of PGD.
        seed: decides which images are kept aside, the settings drawn, and the trainings.

    Returns:
        The setting: "fraction" and "radius"; what it came to in its last trial, in percent: "accuracy", "accuracy under attack" and the
        "standard accuracy" it was held against; "steps", all that the search has trained for; "trials", a list of all of them.

    Raises:
        ValueError: there is no setting, or a number is out of range.

    Example:
        >>> import torch
        >>> from bakeoff.parts.small_cnn import small_cnn
        >>> from bakeoff.papers.robustness.adversarial_hyperparameters import tune_robustness
        >>> labels = torch.arange(60) % 2
        >>> images = 0.4 * torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.6 * labels.view(-1, 1, 1, 1)
        >>> found = tune_robustness(lambda: small_cnn((1, 8, 8), 2, seed=0, width=4), images, labels, 0.1, trials=2, steps=40)
        >>> found["accuracy"] >= found["standard accuracy"] - 1
        True
    """
    x, y = tensor(images), tensor(labels)
    rng = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(x), generator=rng)
    kept = min(len(x) // 5, 2000)
    aside, rest = order[:kept], order[kept:]
    settings = drawn(trials, test_radius, rng) if settings is None else list(settings)
    if not settings or not len(aside) or accuracy_budget < 0 or test_radius < 0:
        raise ValueError("expected a setting, five images at least, and accuracy_budget and test_radius of 0 or above")

    def trained(setting: tuple[float, float], steps: int) -> dict:
        fraction, radius = setting
        method = AdversarialTraining(make_network(), radius=radius, fraction=fraction, attack_steps=attack_steps, seed=seed,
                                     learning_rate=learning_rate, batch_size=batch_size, warm_up=warm_up)
        network = method.fit(x[rest], y[rest], steps=steps).network
        moved = pgd(network, x[aside][:attacked], y[aside][:attacked], radius=test_radius, keep="first", seed=seed)
        return {"fraction": fraction, "radius": radius, "steps": steps, "accuracy": 100 * accuracy(network, x[aside], y[aside]),
                "accuracy under attack": 100 * accuracy(network, moved, y[aside][:attacked])}

    return halved(settings, trained, steps, accuracy_budget, (0.0, test_radius))


def drawn(trials: int, test_radius: float, rng: torch.Generator) -> list[tuple[float, float]]:
    uniform = torch.rand(trials, 2, generator=rng).tolist()
    return [(0.05 ** (1 - a), test_radius * (0.5 + 1.5 * r)) for a, r in uniform]


def halved(settings: list[tuple[float, float]], trained: Callable[[tuple, int], dict], steps: int, budget: float,
           standard: tuple[float, float]) -> dict:
    """Successive halving: the best of `settings` by `trained(setting, steps)`, each rung held against `standard` of as many steps."""
    alive, rungs, trials = settings, max(1, math.floor(math.log2(len(settings)))), []
    for rung in range(rungs):
        share = max(1, steps // 2 ** (rungs - rung))
        plain, found = trained(standard, share), [trained(setting, share) for setting in alive]
        trials += [plain, *found]
        ranked = sorted(found, key=lambda one: rank(one, plain["accuracy"] - budget), reverse=True)
        alive = [(one["fraction"], one["radius"]) for one in ranked[:max(1, len(ranked) // 2)]]
    best = ranked[0] if ranked[0]["accuracy"] >= plain["accuracy"] - budget else plain
    return {**best, "standard accuracy": plain["accuracy"], "steps": sum(one["steps"] for one in trials), "trials": trials}


def rank(trial: dict, lowest: float) -> tuple[bool, float]:
    """Feasible ones above the others; by accuracy under attack, or the others by how near they are."""
    feasible = trial["accuracy"] >= lowest
    return feasible, trial["accuracy under attack"] if feasible else trial["accuracy"]


RADIUS, BUDGET = 0.1, 2.0
TESTED = {"smoke": 20, "quick": 400, "full": 2000}  # test images
TRAINING = {"attack_steps": 5, "learning_rate": 5e-3, "batch_size": 64, "warm_up": 0.3}


def tuned(train, budget, seed, settings: Sequence[tuple[float, float]]):
    """The network trained by the best of six settings, how many test images it is to be attacked at, and what the search found."""
    def network() -> nn.Module:
        return small_cnn(train.pixels.shape[1:], len(train.classes), seed=seed, width=4, hidden=32)
    found = tune_robustness(network, train.pixels, train.labels, RADIUS, accuracy_budget=BUDGET, settings=settings, steps=budget.steps,
                            attacked=TESTED[budget.name], seed=seed, **TRAINING)
    method = AdversarialTraining(network(), radius=found["radius"], fraction=found["fraction"], seed=seed, **TRAINING)
    return method.fit(train.pixels, train.labels, steps=budget.steps, on_step=budget.spend).network, TESTED[budget.name], found


def treatment(train, budget, seed):
    """The best of three fractions at each of two radii."""
    return tuned(train, budget, seed, [(fraction, radius) for fraction in (0.5, 0.2, 0.1) for radius in (RADIUS, 2 * RADIUS)])


def control(train, budget, seed):
    """The best of six fractions at the radius of the test."""
    return tuned(train, budget, seed, [(fraction, RADIUS) for fraction in (1.0, 0.5, 0.35, 0.2, 0.1, 0.05)])


def score(model, test):
    network, images, found = model
    x, y = torch.tensor(test.pixels[:images]), torch.tensor(test.labels[:images])
    attacked = [pgd(network, x, y, radius=RADIUS, steps=20, restarts=2, keep="first", seed=1),
                pgd(network, x, y, radius=RADIUS, steps=20, restarts=2, loss=margin_loss, keep="first", seed=2)]
    return {CLAIM.metric: 100 * accuracy(network, worst_of(network, x, y, attacked), y),
            "accuracy": 100 * accuracy(network, torch.tensor(test.pixels), torch.tensor(test.labels)),
            "fraction chosen": found["fraction"],
            "training radius chosen": found["radius"],
            "accuracy lost to standard training on images kept aside": found["standard accuracy"] - found["accuracy"],
            "steps of the search": found["steps"],
            "largest training radius tried": max(one["radius"] for one in found["trials"])}


def draw(model, test):
    network, _, found = model
    x, y = torch.tensor(test.pixels[:8]), torch.tensor(test.labels[:8])
    attacked = pgd(network, x, y, radius=RADIUS, steps=20)
    with torch.no_grad():
        said = ", ".join(test.classes[label] for label in network(attacked).argmax(1))
    rows = [torch.cat(list(row.permute(0, 2, 3, 1)), 1) for row in (x, attacked)]  # each (H, 8 W, C)
    title = f"Trained with fraction {found['fraction']:.2g} at radius {found['radius']:.2g}; attacked, the lower row is said to be {said}"
    return [Drawing.picture(title, torch.cat(rows).numpy())]
