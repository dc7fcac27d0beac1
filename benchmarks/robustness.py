"""Every defence among the papers on robustness, on one data set, after the same seconds of training: which ideas pay at this scale.

`python benchmarks/robustness.py [WORD...]` trains and judges the defences whose names have one of the words, or all, and writes
their rows of benchmarks/robustness.md; other rows stay.
"""

import math
import re
import sys
import time
from pathlib import Path

import torch
from torch import nn

from bakeoff.baselines.adversarial_training import AdversarialTraining
from bakeoff.claim import Budget, Source
from bakeoff.data import sets
from bakeoff.data.kinds.images import Images
from bakeoff.papers.robustness import mnist_c, sparse_k_winners
from bakeoff.papers.robustness.adversarial_hyperparameters import tune_robustness
from bakeoff.papers.robustness.batch_norm_vulnerability import plain_or_normalised
from bakeoff.papers.robustness.calibrated_distillation import ImprovedDistillation
from bakeoff.papers.robustness.crown_ibp import CrownIBP
from bakeoff.papers.robustness.dynamic_defense import MeanNetwork
from bakeoff.papers.robustness.interpretable_adversarial import ConsistentTraining
from bakeoff.papers.robustness.l0_detection import AEPecker
from bakeoff.papers.robustness.lvq_robustness import GLVQ
from bakeoff.papers.robustness.norm_agnostic import MultiNormTraining
from bakeoff.papers.robustness.patch_gaussian import PatchGaussian
from bakeoff.papers.robustness.randomized_smoothing import Smoothed
from bakeoff.papers.robustness.robust_distillation import RobustDistillation
from bakeoff.papers.robustness.smooth_adv import SmoothAdv
from bakeoff.parts.attacks import accuracy, boundary, decoupled, lengths, margin_loss, pgd, worst_of
from bakeoff.parts.linear_bounds import margin_bounds
from bakeoff.parts.small_cnn import small_cnn
from bakeoff.parts.supervised import train as learn

SECONDS, LEARNED, ATTACKED, CLEAN = 8.0, 10_000, 300, 1000  # of CPU; images
RADII, SIGMA = {math.inf: 0.2, 2: 1.0}, 0.5
ALIKE = {"learning_rate": 2e-3, "batch_size": 64}


def network(seed: int = 0, width: int = 8) -> nn.Module:
    return small_cnn((1, 28, 28), 10, seed=seed, width=width, hidden=8 * width)


def plain(data, steps, net=None, change=None, seed=0):
    return learn(network(seed) if net is None else net, *data, steps=steps, seed=seed, change=change, **ALIKE)


def hardened(data, steps, net=None, norm=math.inf, radius=None, fraction=1.0, attack_steps=5):
    method = AdversarialTraining(net or network(), radius=radius or RADII[norm], norm=norm, fraction=fraction, attack_steps=attack_steps,
                                 warm_up=0.4, **ALIKE)
    return method.fit(*data, steps=steps).network


def noisy(x, rng):
    return x + SIGMA * torch.randn(x.shape, generator=rng)


class Vote(nn.Module):
    """A smoothed classifier as it is deployed, with eight draws that stay: what an attacker of it must climb, and what is judged."""

    def __init__(self, base: nn.Module, draws: int = 8):
        super().__init__()
        self.base, self.draws = base, draws

    def forward(self, x):
        noise = torch.randn(self.draws, *x.shape[1:], generator=torch.Generator().manual_seed(1))
        logits = self.base((x[:, None] + SIGMA * noise).flatten(0, 1))
        return logits.softmax(1).view(len(x), self.draws, -1).mean(1).clamp_min(1e-30).log()


class Repaired(nn.Module):
    """A network behind AEPecker's repair; the gradient passes the repair by unchanged, as an adaptive attacker would have it."""

    def __init__(self, base: nn.Module):
        super().__init__()
        self.base, self.pecker = base, AEPecker()

    def forward(self, x):
        return self.base(x + (self.pecker.rectify(x.detach().clamp(0, 1)) - x.detach()))


class Standardised(nn.Module):
    def __init__(self, base: nn.Module, mean, deviation):
        super().__init__()
        self.base, self.mean, self.deviation = base, mean, deviation

    def forward(self, x):
        return self.base((x - self.mean) / self.deviation)


def distilled_robustly(data, steps):
    teacher = hardened(data, steps // 3, network(width=16), attack_steps=3)
    method = RobustDistillation(network(), teacher, RADII[math.inf], attack_steps=5, temperature=1.0, warm_up=0.4, **ALIKE)
    return method.fit(*data, steps=steps).network


def distilled(data, steps):
    teacher = [plain(data, steps // 5, seed=seed) for seed in range(5)]
    return ImprovedDistillation(network(), teacher, learning_rate=2e-3).fit(*data, steps=steps).network


def tuned(data, steps):
    settings = {"learning_rate": 2e-3, "batch_size": 64, "warm_up": 0.4, "attack_steps": 5}
    found = tune_robustness(network, *data, RADII[math.inf], settings=[(1.0, 0.2), (0.5, 0.2), (0.5, 0.3)], steps=steps, **settings)
    print({name: found[name] for name in ("fraction", "radius")})
    return found["network"]


def winners(data, steps):
    train = Images(data[0].numpy(), data[1].numpy(), tuple("0123456789"))
    return Standardised(*sparse_k_winners.treatment(train, Budget("quick", steps), 0)[:3])


def ensemble(data, steps):
    return MeanNetwork([plain(data, steps // 5, seed=seed) for seed in range(5)])


# name in the table -> how a network is trained in so many steps
DEFENCES = {
    "none (standard training)": plain,
    "none, trained against L-infinity (`baselines.adversarial_training`)": hardened,
    "none, trained against L2 (`baselines.adversarial_training`)": lambda data, steps: hardened(data, steps, norm=2),
    "`adversarial_hyperparameters`: fraction and radius searched": tuned,
    "`robust_distillation`: from a robust wide teacher": distilled_robustly,
    "`norm_agnostic`: against L-infinity and L2 at once":
        lambda data, steps: MultiNormTraining(network(), RADII, attack_steps=5, warm_up=0.4, **ALIKE).fit(*data, steps=steps).network,
    "`interpretable_adversarial`: consistent features":
        lambda data, steps: ConsistentTraining(network(), radius=2 * RADII[math.inf], **ALIKE).fit(*data, steps=steps).network,
    "`crown_ibp`: bounds minimised":
        lambda data, steps: CrownIBP(network(), radius=RADII[math.inf], **ALIKE).fit(*data, steps=steps).network_,
    "`randomized_smoothing`: noise in training, smoothed": lambda data, steps: Vote(plain(data, steps, change=noisy)),
    "`smooth_adv`: attacks of the smoothed net, smoothed":
        lambda data, steps: Vote(SmoothAdv(network(), sigma=SIGMA, **ALIKE).fit(*data, steps=steps).network_),
    "`corruption_robustness`: noise in training": lambda data, steps: plain(data, steps, change=noisy),
    "`patch_gaussian`: noise in a square": lambda data, steps: plain(data, steps, change=PatchGaussian(14, 1.0)),
    "`batch_norm_vulnerability`: without normalisation": lambda data, steps: plain(data, steps, plain_or_normalised((1, 28, 28), 10)),
    "the same with batch normalisation": lambda data, steps: plain(data, steps, plain_or_normalised((1, 28, 28), 10, "batch")),
    "`sparse_k_winners`: sparse weights, k winners": winners,
    "`lvq_robustness`: tangent prototypes": lambda data, steps: GLVQ(4, "tangent").fit(*data, steps=steps),
    "`calibrated_distillation`: from five nets": distilled,
    "`dynamic_defense`: its five nets, asked once": ensemble,
    "`l0_detection`: its repair of extreme pixels": lambda data, steps: Repaired(plain(data, steps)),
}


def timed(build, data, steps):
    started = time.process_time()
    model = build(data, steps)
    return model.eval(), time.process_time() - started


def trained(build, data):
    """A network, its CPU seconds of training and its steps: as many as two short trials say that SECONDS hold."""
    (_, short), (_, longer) = (timed(build, data, steps) for steps in (20, 80))
    each = max((longer - short) / 60, 1e-4)
    steps = max(20, int((SECONDS - (short - 20 * each)) / each))
    return *timed(build, data, steps), steps


def attacked(model, other, x, y, norm):
    """Accuracy in % under the worst of several attacks, for each image; `other` is a net from which attacks are carried over."""
    radius = RADII[norm]
    common = {"radius": radius, "norm": norm, "keep": "first"}
    candidates = [pgd(model, x, y, steps=20, restarts=2, **common), pgd(model, x, y, steps=20, loss=margin_loss, seed=1, **common),
                  pgd(model, x, y, steps=60, step_size=radius / 20, loss=margin_loss, seed=2, **common),
                  pgd(other, x, y, radius=radius, norm=norm, steps=20)]
    if norm == 2:
        candidates += [decoupled(model, x, y, steps=50), boundary(model, x, y, steps=200)]
    held = [torch.where((lengths(moved - x, norm) <= radius).view(-1, 1, 1, 1), moved, x) for moved in candidates]
    return 100 * accuracy(model, worst_of(model, x, y, held), y)


def certified(model, x, y):
    """Accuracy in % that is certified at the radii of the attacks: L-infinity by bounds, L2 by smoothing or the model's own margin."""
    base = model.base if isinstance(model, Vote) else model
    try:
        with torch.no_grad():
            sure = torch.zeros_like(y, dtype=torch.bool)
            for crown in () if isinstance(model, Vote) else (0.0, 1.0):
                sure |= (margin_bounds(base, x, y, RADII[math.inf], crown=crown) > 0).all(1)
        linf = f"{100 * float(sure.double().mean()):.1f}" if not isinstance(model, Vote) else "none"
    except ValueError:  # a layer that cannot be bounded
        linf = "none"
    labels, radii = model.certify(x) if isinstance(model, GLVQ) else Smoothed(base, SIGMA).certify(x, n=1000)
    return linf, f"{100 * float(((labels == y) & (radii >= RADII[2])).double().mean()):.1f}"


def row(name, build, data, tests, other):
    model, seconds, steps = trained(build, data)
    x, y = tests
    few = x[:ATTACKED], y[:ATTACKED]
    corrupted = [accuracy(model, mnist_c.corrupt(x[:300], kind), y[:300]) for kind in mnist_c.NAMES]
    linf, l2 = (attacked(model, other, *few, norm) for norm in RADII)
    sure = certified(model, *few)
    return (f"| {name} | {steps} | {seconds:.0f} | {100 * accuracy(model, x, y):.1f} | {100 * sum(corrupted) / len(corrupted):.1f} "
            f"| {linf:.1f} | {l2:.1f} | {sure[0]} | {sure[1]} |")


HEAD = f"""# The defences side by side

Written by `benchmarks/robustness.py`: MNIST, {LEARNED:,} training images, a CNN of two convolutions (8 and 16 channels) unless the
defence brings its own network, {SECONDS:.0f} s of CPU time for training on one thread, everything it needs included (teachers, searches).
Accuracy in %: natural on {CLEAN:,} test images, corrupted the mean of MNIST-C's fifteen on 300, the rest on {ATTACKED}.
Attacked: the worst for each image of PGD by cross-entropy (two starts), by the margin, by the margin with three times the steps, and
carried over from a plain network; in L2 also DDN and the boundary attack. Certified: L-infinity by interval or CROWN bounds, L2 by
smoothing with sigma {SIGMA} and 1,000 copies (for `lvq_robustness` by its own margin).

| defence | steps | s | natural | corrupted | attacked, Linf {RADII[math.inf]} | attacked, L2 {RADII[2]} | certified, Linf | certified, L2 |
|---|---|---|---|---|---|---|---|---|
"""


def main(words) -> None:
    torch.set_num_threads(1)
    train, test = sets.load(Source("mnist"), "images").split(0)
    data = torch.tensor(train.pixels[:LEARNED]), torch.tensor(train.labels[:LEARNED])
    tests = torch.tensor(test.pixels[:CLEAN]), torch.tensor(test.labels[:CLEAN])
    other = plain(data, 400, seed=7)
    for name, build in DEFENCES.items():
        if not words or any(word in name for word in words):
            line = row(name, build, data, tests, other)
            print(line, flush=True)
            write(name, line)


def write(name, line) -> None:
    """The page with this row in its place; other rows, and what is said below the table, stay."""
    path = Path(__file__).with_suffix(".md")
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    known = {one: found for found, one in re.findall(r"^(\| (.+?) \|.*)$", before, re.M)} | {name: line}
    told = "".join(before.partition("\n\n## ")[1:]) or "\n"
    path.write_text(HEAD + "\n".join(known[one] for one in DEFENCES if one in known) + told, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
