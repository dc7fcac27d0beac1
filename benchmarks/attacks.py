"""The attacks beside foolbox and torchattacks: the same net, images, radius, steps; robust accuracy and CPU seconds.

Needs `pip install foolbox torchattacks`, and BAKEOFF_DATA for CIFAR-10. Writes benchmarks/attacks.md.
"""

import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import foolbox
import numpy as np
import torch
import torchattacks

from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.parts import attacks
from bakeoff.parts.small_cnn import small_cnn
from bakeoff.parts.supervised import train as learn

IMAGES = 100
RADII = {"mnist": {math.inf: 0.1, 2: 1.0, 1: 8.0}, "cifar10-small": {math.inf: 2 / 255, 2: 0.25, 1: 4.0}}
PIXELS = 12
STARTED, SEEDS = 500, 5  # images and seeds of the second table


@dataclass
class Row:
    """An attack here, and the peers' of the same settings; each a function of (model, x, y) -> x'."""

    name: str
    norm: float
    ours: object
    first: object = None  # ours, stopping at the first iterate that fools
    last: object = None  # ours, giving the last iterate back, as torchattacks does
    foolbox: object = None
    torchattacks: object = None


def rows(name, radius):
    """Every comparison on a set; the balls' radii by norm."""
    fb, ta = foolbox.attacks, torchattacks
    far = {norm: 2.5 / 40 for norm in radius}

    def ball(name, norm, peer, other=None, steps=40, **extra):
        settings = {"radius": radius[norm], "norm": norm, "steps": steps, "step_size": far[norm] * radius[norm] * 40 / steps, **extra}
        last = ours(attacks.pgd, keep="last", **settings) if "restarts" not in extra else None
        return Row(name, norm, ours(attacks.pgd, **settings), ours(attacks.pgd, keep="first", **settings), last, peer, other)

    yield Row("FGSM, L-infinity", math.inf, ours(attacks.fgsm, radius=radius[math.inf]), None, None,
              theirs(fb.LinfFastGradientAttack(), radius[math.inf]), others(ta.FGSM, eps=radius[math.inf]))
    yield Row("FGSM, L2", 2, ours(attacks.fgsm, radius=radius[2], norm=2), None, None, theirs(fb.L2FastGradientAttack(), radius[2]))
    yield Row("FGSM, L1", 1, ours(attacks.fgsm, radius=radius[1], norm=1), None, None, theirs(fb.L1FastGradientAttack(), radius[1]))
    yield ball("BIM, L-infinity, 10 steps", math.inf, theirs(fb.LinfBasicIterativeAttack(rel_stepsize=0.25, steps=10), radius[math.inf]),
               others(ta.BIM, eps=radius[math.inf], alpha=radius[math.inf] / 4, steps=10), steps=10, random_start=False)
    yield ball("PGD, L-infinity, 40 steps", math.inf,
               theirs(fb.LinfProjectedGradientDescentAttack(rel_stepsize=far[math.inf], steps=40), radius[math.inf]),
               others(ta.PGD, eps=radius[math.inf], alpha=far[math.inf] * radius[math.inf], steps=40))
    yield ball("PGD, L2, 40 steps", 2, theirs(fb.L2ProjectedGradientDescentAttack(rel_stepsize=far[2], steps=40), radius[2]),
               others(ta.PGDL2, eps=radius[2], alpha=far[2] * radius[2], steps=40))
    yield ball("PGD, L1, 40 steps", 1, theirs(fb.L1ProjectedGradientDescentAttack(rel_stepsize=far[1], steps=40), radius[1]))
    yield ball("PGD with momentum 1, L-infinity, 10 steps", math.inf, None,
               others(ta.MIFGSM, eps=radius[math.inf], alpha=radius[math.inf] / 4, steps=10), steps=10, random_start=False, momentum=1.0)
    yield ball("PGD, L-infinity, 40 steps, 5 restarts", math.inf,
               theirs(fb.LinfProjectedGradientDescentAttack(rel_stepsize=far[math.inf], steps=40).repeat(5), radius[math.inf]), restarts=5)
    yield Row("DeepFool, L2, 50 steps", 2, ours(attacks.deepfool), None, None, theirs(fb.L2DeepFoolAttack(steps=50), None),
              others(ta.DeepFool, steps=50, overshoot=0.02))
    yield Row("DeepFool, L-infinity, 50 steps", math.inf, ours(attacks.deepfool, norm=math.inf), None, None,
              theirs(fb.LinfDeepFoolAttack(steps=50), None))
    yield Row("Carlini-Wagner, 5 constants of 200 steps", 2, ours(attacks.carlini_wagner), None, None,
              theirs(fb.L2CarliniWagnerAttack(binary_search_steps=5, steps=200, stepsize=0.01, initial_const=0.1), None))
    yield Row("Carlini-Wagner, c = 1, 200 steps", 2, ours(attacks.carlini_wagner, binary_searches=1, constant=1.0), None, None,
              theirs(fb.L2CarliniWagnerAttack(binary_search_steps=1, steps=200, stepsize=0.01, initial_const=1.0), None),
              others(ta.CW, c=1, steps=200, lr=0.01))
    yield Row("DDN, 100 steps", 2, ours(attacks.decoupled), None, None, theirs(fb.DDNAttack(steps=100), None))
    yield Row("boundary, 2,000 labels", 2, ours(attacks.boundary, steps=2000), None, None, theirs(fb.BoundaryAttack(steps=1500), None))
    jsma = others(ta.JSMA, theta=1.0, gamma=PIXELS / 784) if name == "mnist" else None  # on cifar10 it had not ended after minutes
    yield Row(f"greedy saliency, {PIXELS} pixels", 0, ours(attacks.saliency, pixels=PIXELS), torchattacks=jsma)
    yield Row(f"sparse PGD, {PIXELS} pixels, 50 steps", 0, ours(attacks.sparse_pgd, pixels=PIXELS))
    yield Row("one pixel, 200 tries", 0, ours(attacks.one_pixel))


def starts(radius):
    """PGD of 40 steps from random starts: (norm, functions of (model, x, y, seed) of ours, of ours to the last step, and the peers')."""
    fb, ta = foolbox.attacks, torchattacks
    theirs_of = {math.inf: fb.LinfProjectedGradientDescentAttack, 2: fb.L2ProjectedGradientDescentAttack,
                 1: fb.L1ProjectedGradientDescentAttack}
    others_of = {math.inf: ta.PGD, 2: ta.PGDL2}
    for norm, far in radius.items():
        settings = {"radius": far, "norm": norm, "steps": 40, "step_size": far / 16}
        yield norm, [ours(attacks.pgd, **settings), ours(attacks.pgd, keep="last", **settings),
                     theirs(theirs_of[norm](rel_stepsize=1 / 16, steps=40), far),
                     others(others_of[norm], eps=far, alpha=far / 16, steps=40) if norm in others_of else None]


def ours(attack, **settings):
    return lambda model, x, y, **seed: attack(model, x, y, **settings, **seed)


def theirs(attack, radius):
    """foolbox's; a minimal attack where radius is None."""
    return lambda model, x, y: attack(foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), x, y, epsilons=radius)[1]


def others(attack, **settings):
    """torchattacks'."""
    return lambda model, x, y: attack(model, **settings)(x, y)


def measured(attack, row, model, x, y, radius):
    """Robust accuracy in %, CPU seconds (the least of three, where one takes less than two), and how far the changes that fool reach:
    their median, wrong images counted as 0."""
    seconds = []
    while not seconds or (len(seconds) < 3 and seconds[0] < 2):
        torch.manual_seed(0)
        np.random.seed(0)
        started = time.process_time()
        moved = attack(model, x, y).detach()
        seconds.append(time.process_time() - started)
    far = (moved - x).flatten(1).norm(p=row.norm, dim=1)
    fooled = ~attacks.right(model, moved, y)
    least = far.masked_fill(~fooled, math.inf).masked_fill(~attacks.right(model, x, y), 0)
    held = ~(fooled & (far <= radius * (1 + 1e-5) if row.norm else fooled))
    return 100 * float(held.double().mean()), min(seconds), float(least.median())


def told_of(row, results) -> str:
    accuracies = [f"{found[0]:.1f}" if found else "" for found in results]
    seconds = [f"{found[1]:.2f}" if found else "" for found in results]
    medians = [f"{found[2]:.3f}" if found and math.isfinite(found[2]) else "" for found in results]
    return f"| {row.name} | {' | '.join(accuracies)} | {' | '.join(seconds)} | {medians[0]} | {medians[3]} | {medians[4]} |"


def told_of_starts(model, x, y, radius) -> list[str]:
    """The second table: accuracies over the seeds, their mean and ends."""
    lines = [f"PGD of 40 steps from random starts, {len(x)} images: robust accuracy, the mean of {SEEDS} seeds (lowest to highest).", "",
             "| norm | bakeoff | last | foolbox | torchattacks |", "|---|---|---|---|---|"]
    for norm, functions in starts(radius):
        cells = []
        for place, attack in enumerate(functions):
            found = []
            for seed in range(SEEDS) if attack else ():
                torch.manual_seed(seed)
                np.random.seed(seed)
                found.append(100 * attacks.accuracy(model, attack(model, x, y, **({"seed": seed} if place < 2 else {})).detach(), y))
            cells.append(f"{sum(found) / SEEDS:.2f} ({min(found):.1f} to {max(found):.1f})" if found else "")
        lines.append(f"| {'L-infinity' if norm == math.inf else f'L{norm}'} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return [*lines, ""]


def trained(train):
    network = small_cnn(train.pixels.shape[1:], len(train.classes), seed=0)
    return learn(network, torch.tensor(train.pixels), torch.tensor(train.labels), steps=600, learning_rate=1e-3, batch_size=128, seed=0)


HEAD = f"""# The attacks beside foolbox and torchattacks

Written by `benchmarks/attacks.py` in one run: foolbox {foolbox.__version__} and torchattacks {torchattacks.__version__}, one thread, CPU
seconds, {IMAGES} images, a CNN of two convolutions trained for 600 steps. Accuracy in % under the attack, that is at the radius: a
change that fools counts if it is no longer. "First" is bakeoff's with `keep="first"`, which leaves fooled images alone, "last" with
`keep="last"`, which gives the last iterate back, as torchattacks does. A median is the change's length over all images, 0 for those
wrong without one; nothing where less than half were fooled. Seconds are the least of three turns where one takes less than two.

Radii in L-infinity, L2, L1: {"; ".join(f"{name} " + ", ".join(f"{one:.4g}" for one in radii.values()) for name, radii in RADII.items())}.
Steps of a ball's attack are 2.5 radii together for all three, unless 10 steps: a quarter of the radius each.
"""
PEERS = ("foolbox", "torchattacks")
NAMES = ("attack", "bakeoff", "first", "last", *PEERS, "s: bakeoff", "first", "last", *PEERS, "median: bakeoff", *PEERS)
COLUMNS = f"| {' | '.join(NAMES)} |\n|{'---|' * len(NAMES)}"


def main(words) -> None:
    torch.set_num_threads(1)
    text, path = [HEAD], Path(__file__).with_suffix(".md")
    told = "".join(path.read_text(encoding="utf-8").partition("\n\n## What")[1:]).rstrip() if path.exists() else ""  # stays
    for name, radius in RADII.items():
        train, test = sets.load(Source(name), "images").split(0)
        model, pixels, labels = trained(train), torch.tensor(test.pixels[:STARTED]).contiguous(), torch.tensor(test.labels[:STARTED])
        x, y = pixels[:IMAGES], labels[:IMAGES]
        text += [f"## {name}: {100 * attacks.accuracy(model, x, y):.1f} % natural accuracy", "", COLUMNS]
        for row in rows(name, radius):
            if words and not any(word in row.name for word in words):
                continue
            results = [measured(attack, row, model, x, y, radius.get(row.norm)) if attack else None
                       for attack in (row.ours, row.first, row.last, row.foolbox, row.torchattacks)]
            text.append(told_of(row, results))
            print(text[-1], flush=True)
        text += ["", *told_of_starts(model, pixels, labels, radius)]
        path.write_text("\n".join(text).rstrip() + told + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
