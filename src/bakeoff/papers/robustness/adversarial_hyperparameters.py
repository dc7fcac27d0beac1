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

Departures: the optimiser is successive halving over given or random settings; the authors' own black-box optimiser is not rebuilt. It
judges by runs of a quarter and a half of the steps, so the budget is checked once more where it counts: the setting chosen and standard
training are run at full length, without the images kept aside, and where the budget is broken again with half the fraction, a quarter,
then none. The network so kept to the budget is the one that is judged; 2,000 images, kept aside, tell a loss to about a point, so on test
images it may be broken by as much; that loss is shown. The control is tuned as hard: the same search, trial for trial, and the same end,
on six fractions at the customary radius, the test's; what is judged is whether moving the radius as well pays. What the search costs is
shown. A small CNN, 10,000 images and 200 steps, by which accuracy still moves by points. The budget of 2 points binds on Fashion-MNIST,
and a setting that holds it in short runs may break it at full length: at seed 102, fractions of 0.35, 0.175 and 0.0875 lost 6, 3 and 3
points of 78 %, and standard training (15 % under attack, against 49, 44 and 35 %) was what was left; at seeds 101 and 103, 1 and 3 tries,
fractions of 0.2 and 0.05 stayed, with 49 and 34 % under attack and 1 point lost on test images. In all three the two arms ended at the
same setting, at the radius of the test, so that little is to be expected between them (seeds 101 and 102 with all images, 101 with 5
attack steps). The rate of 5e-3, 64 images, 3 attack steps and a warm-up of 0.3 are the same for every trial. The attack on test images is
20-step PGD on two losses.

Out of reach: the full surfaces, SVHN and CIFAR-10. Six settings show a choice, not the shape of a landscape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from bakeoff.baselines.adversarial_training import AdversarialTraining
from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.parts.attacks import accuracy, cross_entropy, margin_loss, pgd, worst_of
from bakeoff.parts.learning import tensor
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
                    learning_rate: float = 1e-3, batch_size: int = 128, warm_up: float = 0.0, attacked: int = 500, seed: int = 0,
                    on_step: Callable[[float], None] | None = None) -> dict:
    """Search the fraction and the training radius of adversarial training within a budget of clean accuracy.

    A fifth of the images, 2,000 at most, is kept aside to judge by; no network is trained on them. The setting found is trained at full
    length, as is a standard network; where it loses more than the budget to that, with half its fraction, a quarter, then none.

    Args:
        make_network: gives a fresh network (B, C, H, W) -> (B, K), always the same.
        images: (N, C, H, W), values in [0, 1]; a tensor or an array.
        labels: (N,) class numbers.
        test_radius: L-infinity radius of the attack to withstand; the R above.
        accuracy_budget: points of clean accuracy, in percent, that may be lost to standard training.
        trials: settings drawn where none are given: fractions from 0.05 to 1, evenly on a log scale, radii from R / 2 to 2 R.
        settings: pairs (fraction, radius) to try instead.
        steps: minibatches of a full training run; the search's last trials have half as many, those before a quarter, and so on.
        attack_steps: gradient steps of the attack in training.
        learning_rate: Adam's.
        batch_size: images a minibatch.
        warm_up: share of the steps over which the training radius grows.
        attacked: of the images kept aside, how many are attacked, by 10 steps of PGD.
        seed: decides which images are kept aside, the settings drawn, and the trainings.
        on_step: called in the end with the losses that the network given back had in training, one a step.

    Returns:
        The setting: "fraction" and "radius"; its "network", trained for `steps`, and the "standard network" it was held against; what
        they came to on the images kept aside, in percent: "accuracy", "accuracy under attack" and "standard accuracy"; "steps", all that
        was trained for, these two included; "trials", a list of all trainings, those of full length last.

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
    (x_aside, x), (y_aside, y) = ((every[order[:kept]], every[order[kept:]]) for every in (x, y))
    settings = drawn(trials, test_radius, rng) if settings is None else list(settings)
    if not settings or not kept or accuracy_budget < 0 or test_radius < 0:
        raise ValueError("expected a setting, five images at least, and accuracy_budget and test_radius of 0 or above")

    def trained(setting: tuple[float, float], steps: int) -> dict:
        fraction, radius = setting
        method = AdversarialTraining(make_network(), radius=radius, fraction=fraction, attack_steps=attack_steps, seed=seed,
                                     learning_rate=learning_rate, batch_size=batch_size, warm_up=warm_up)
        losses: list[float] = []
        network = method.fit(x, y, steps=steps, on_step=losses.append).network
        moved = pgd(network, x_aside[:attacked], y_aside[:attacked], radius=test_radius, keep="first", seed=seed)
        return {"fraction": fraction, "radius": radius, "steps": steps, "network": network, "losses": losses,
                "accuracy": 100 * accuracy(network, x_aside, y_aside),
                "accuracy under attack": 100 * accuracy(network, moved, y_aside[:attacked])}

    found = kept_to(accuracy_budget, halved(settings, trained, steps, accuracy_budget, (0.0, test_radius)), trained, steps, test_radius)
    for loss in found["losses"] if on_step else ():
        on_step(loss)
    return found


def drawn(trials: int, test_radius: float, rng: torch.Generator) -> list[tuple[float, float]]:
    uniform = torch.rand(trials, 2, generator=rng).tolist()
    return [(0.05 ** (1 - a), test_radius * (0.5 + 1.5 * r)) for a, r in uniform]


def halved(settings: list[tuple[float, float]], trained: Callable[[tuple, int], dict], steps: int, budget: float,
           standard: tuple[float, float]) -> list[dict]:
    """Successive halving by `trained(setting, steps)`, each rung held against as many steps of `standard`: all trials, the best last."""
    alive, rungs, trials = settings, max(1, math.floor(math.log2(len(settings)))), []
    for rung in range(rungs):
        share = max(1, steps // 2 ** (rungs - rung))
        plain, found = trained(standard, share), [trained(setting, share) for setting in alive]
        ranked = sorted(found, key=lambda one: rank(one, plain["accuracy"] - budget), reverse=True)
        trials += [plain, *reversed(ranked)]
        alive = [(one["fraction"], one["radius"]) for one in ranked[:max(1, len(ranked) // 2)]]
    return trials


def kept_to(budget: float, trials: list[dict], trained: Callable[[tuple, int], dict], steps: int, test_radius: float) -> dict:
    """The last of `trials` at full length, with 1, 1/2 or 1/4 of its fraction, the first within the budget there; else none of it."""
    best, plain = trials[-1], trained((0.0, test_radius), steps)
    trials = [*trials, plain]
    for share in (1, 1 / 2, 1 / 4):
        trials.append(trained((share * best["fraction"], best["radius"]), steps))
        if trials[-1]["accuracy"] >= plain["accuracy"] - budget:
            break
    chosen = trials[-1] if trials[-1]["accuracy"] >= plain["accuracy"] - budget else plain
    return {**chosen, "standard accuracy": plain["accuracy"], "standard network": plain["network"],
            "steps": sum(one["steps"] for one in trials), "trials": trials}


def rank(trial: dict, lowest: float) -> tuple[bool, float]:
    """Feasible ones above the others; by accuracy under attack, or the others by how near they are."""
    feasible = trial["accuracy"] >= lowest
    return feasible, trial["accuracy under attack"] if feasible else trial["accuracy"]


RADIUS, BUDGET = 0.1, 2.0
SHOWN = {"smoke": 500, "quick": 10_000, "full": 60_000}  # training images, a fifth of them or 2,000 kept aside
TESTED = {"smoke": 20, "quick": 400, "full": 2000}  # test images
TRAINING = {"attack_steps": 3, "learning_rate": 5e-3, "batch_size": 64, "warm_up": 0.3}


def tuned(train, budget, seed, settings: Sequence[tuple[float, float]]):
    """What the search among six settings has found, its network within the budget, and how many test images that is to be attacked at."""
    def network() -> nn.Module:
        return small_cnn(train.pixels.shape[1:], len(train.classes), seed=seed, width=4, hidden=32)
    train = train.take(slice(SHOWN[budget.name]))
    return tune_robustness(network, train.pixels, train.labels, RADIUS, accuracy_budget=BUDGET, settings=settings, steps=budget.steps,
                           attacked=TESTED[budget.name], seed=seed, on_step=budget.spend, **TRAINING), TESTED[budget.name]


def treatment(train, budget, seed):
    """The best of three fractions at each of two radii."""
    return tuned(train, budget, seed, [(fraction, radius) for fraction in (0.5, 0.2, 0.1) for radius in (RADIUS, 2 * RADIUS)])


def control(train, budget, seed):
    """The best of six fractions at the radius of the test."""
    return tuned(train, budget, seed, [(fraction, RADIUS) for fraction in (1.0, 0.5, 0.35, 0.2, 0.1, 0.05)])


def score(model, test):
    found, images = model
    network, x, y = found["network"], torch.tensor(test.pixels), torch.tensor(test.labels)
    few, truth = x[:images], y[:images]
    attacked = [pgd(network, few, truth, radius=RADIUS, steps=20, restarts=2, loss=loss, keep="first", seed=seed)
                for seed, loss in ((1, cross_entropy), (2, margin_loss))]
    clean = 100 * accuracy(network, x, y)
    return {CLAIM.metric: 100 * accuracy(network, worst_of(network, few, truth, attacked), truth),
            "accuracy": clean,
            "accuracy lost to standard training of as many steps": 100 * accuracy(found["standard network"], x, y) - clean,
            "the same on images kept aside": found["standard accuracy"] - found["accuracy"],
            "fraction chosen": found["fraction"], "training radius chosen": found["radius"],
            "settings tried at full length": sum(one["steps"] == found["trials"][-1]["steps"] for one in found["trials"]) - 1,
            "steps of all trainings": found["steps"]}


def draw(model, test):
    found, _ = model
    network = found["network"]
    x, y = torch.tensor(test.pixels[:8]), torch.tensor(test.labels[:8])
    attacked = pgd(network, x, y, radius=RADIUS, steps=20)
    with torch.no_grad():
        said = ", ".join(test.classes[label] for label in network(attacked).argmax(1))
    rows = [torch.cat(list(row.permute(0, 2, 3, 1)), 1) for row in (x, attacked)]  # each (H, 8 W, C)
    title = f"Trained with fraction {found['fraction']:.2g} at radius {found['radius']:.2g}; attacked, the lower row is said to be {said}"
    return [Drawing.picture(title, torch.cat(rows).numpy())]
