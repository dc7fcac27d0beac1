"""Certificates beside peers: randomised smoothing beside the adversarial-robustness-toolbox (ART), bounds beside auto_LiRPA.

    pip install adversarial-robustness-toolbox statsmodels
    pip install --no-deps auto-lirpa==0.3 appdirs
    python benchmarks/certificates.py

Writes benchmarks/certificates.md. auto_LiRPA 0.3 was written for torch 1 and NumPy 1; `old_names` gives back the names that it looks for.
"""

from __future__ import annotations

import sys
import time
import types
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.papers.robustness.crown_ibp import CrownIBP
from bakeoff.papers.robustness.randomized_smoothing import ABSTAIN, Smoothed, lower_bound
from bakeoff.papers.robustness.smooth_adv import attack_smoothed
from bakeoff.parts.attacks import margin_loss, pgd
from bakeoff.parts.linear_bounds import crown_bounds, interval_bounds, margins
from bakeoff.parts.small_cnn import small_cnn
from bakeoff.parts.supervised import train as learn

SIGMA, IMAGES, ALPHA, BATCH = 0.25, 100, 0.001, 200


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    loaded = {name: sets.load(Source(name), "images").split(0) for name in ("digits", "mnist")}
    text = "\n".join(["# Certificates, beside ART and auto_LiRPA", "",
                      "Written by `benchmarks/certificates.py`; one thread, processor time.", "",
                      *smoothing(loaded), "", *bounds(loaded), "", *unbroken(loaded["mnist"])])
    Path(__file__).with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)


def smoothing(loaded) -> list[str]:
    """Images a second, labels and radii: here, in ART, and in a loop over images that does nothing else than the algorithm says."""
    from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing

    rows = []
    for name, (train, test) in loaded.items():
        network, x = smooth_net(train), torch.tensor(test.pixels[:IMAGES])
        for n in (100, 1000):
            peer = PyTorchRandomizedSmoothing(network, nn.CrossEntropyLoss(), x.shape[1:], len(test.classes), sample_size=100,
                                              scale=SIGMA, alpha=ALPHA, device_type="cpu")
            ours = timed(lambda network=network, x=x, n=n: Smoothed(network, SIGMA).certify(x, n=n, alpha=ALPHA, batch=BATCH))
            loop = timed(lambda network=network, x=x, n=n: one_by_one(network, x, n))
            art = timed(lambda peer=peer, x=x, n=n: peer.certify(x.numpy().copy(), n=n, batch_size=BATCH))
            same = [100 * np.mean([a == b for a, b in zip(ours[1], one[1], strict=True) if ABSTAIN not in (a, b)]) for one in (loop, art)]
            mean = ", ".join(f"{np.where(one[1] == ABSTAIN, 0, one[2]).mean():.3f}" for one in (ours, loop, art))
            speed = " | ".join(f"{IMAGES / one[0]:.0f}" for one in (ours, loop, art))
            rows.append(f"| {name} | {n} | {speed} | {same[0]:.0f} %, {same[1]:.0f} % | {mean} |")
    return ["## Randomised smoothing", "",
            f"{IMAGES} test images, sigma {SIGMA}, alpha {ALPHA}, n0 = 100, batches of {BATCH} noisy copies, one network. "
            "*Loop*: a plain loop over the images. Each draws noise of its own, so radii differ by chance.", "",
            "| images | n | bakeoff, images a second | loop | ART | same label as loop, as ART | mean radius: bakeoff, loop, ART |",
            "|---|---|---|---|---|---|---|", *rows]


def smooth_net(train, steps: int = 300) -> nn.Module:
    network = small_cnn(train.pixels.shape[1:], len(train.classes), seed=0)
    return learn(network, torch.tensor(train.pixels), torch.tensor(train.labels), steps=steps, learning_rate=1e-3, batch_size=128, seed=0,
                 change=lambda x, rng: x + SIGMA * torch.randn(x.shape, generator=rng))


def timed(certify) -> tuple[float, np.ndarray, np.ndarray]:
    """CPU seconds of the quicker of two runs, labels and radii."""
    seconds = []
    for _ in range(2):
        started = time.process_time()
        labels, radii = certify()
        seconds.append(time.process_time() - started)
    return min(seconds), np.asarray(labels).reshape(-1), np.asarray(radii, dtype=float).reshape(-1)


def one_by_one(network: nn.Module, x: Tensor, n: int) -> tuple[list[int], list[float]]:
    from scipy import stats

    rng, labels, radii = torch.Generator().manual_seed(1), [], []
    for image in x:
        counts = []
        for copies in (100, n):
            with torch.no_grad():
                noisy = image + SIGMA * torch.randn(copies, *image.shape, generator=rng)
                counts.append(torch.cat([network(part).argmax(1) for part in noisy.split(BATCH)]).bincount(minlength=10))
        label = int(counts[0].argmax())
        low = stats.binomtest(int(counts[1][label]), n, alternative="greater").proportion_ci(1 - ALPHA, "exact").low
        assert abs(low - float(lower_bound(int(counts[1][label]), n, ALPHA))) < 1e-9
        labels.append(label if low > 0.5 else ABSTAIN)
        radii.append(SIGMA * stats.norm.ppf(max(low, 0.5)))
    return labels, radii


def bounds(loaded) -> list[str]:
    """Margins of a trained network: largest difference to auto_LiRPA's, and seconds a batch of each."""
    old_names()
    from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm

    rows = []
    for name, (train, test) in loaded.items():
        network = small_cnn(train.pixels.shape[1:], 10, seed=0, width=8, hidden=64)
        learn(network, torch.tensor(train.pixels), torch.tensor(train.labels), steps=300, learning_rate=1e-3, batch_size=128, seed=0)
        for label, count, between in (("intervals", 100, None), ("CROWN-IBP", 100, "intervals"), ("CROWN", 4, "lines"),
                                      ("CROWN", 32, "lines")):
            x = torch.tensor(test.pixels[:count])
            of = margins(torch.tensor(test.labels[:count]), 10)
            for radius in (0.01, 0.1):
                ends = (x - radius).clamp(min=0), (x + radius).clamp(max=1)
                peer = BoundedModule(network, torch.zeros_like(x), bound_opts={"relu": "adaptive"}, device="cpu")
                box = BoundedTensor(x, PerturbationLpNorm(norm=np.inf, eps=radius, x_L=ends[0], x_U=ends[1]))
                method = None if between is None else "backward"

                def theirs(peer=peer, box=box, of=of, between=between, method=method):
                    return peer.compute_bounds(x=(box,), C=of, IBP=between != "lines", method=method)

                def ours(network=network, x=x, radius=radius, of=of, between=between):
                    if between is None:
                        return interval_bounds(network, x, radius, of=of)
                    return crown_bounds(network, x, radius, of=of, between=between)

                (seconds, mine), (peers, other) = quickest(ours), quickest(theirs)
                gap = max(float((a - b).abs().max()) for a, b in zip(mine, other, strict=True))
                rows.append(f"| {name} | {label} | {radius} | {count} | {float(mine[0].mean()):.3f} | {gap:.0e} | "
                            f"{1000 * seconds:.1f} | {1000 * peers:.1f} | {peers / seconds:.1f} |")
    return ["## Bounds of margins in a box", "",
            "Lower and upper bounds of all nine margins of each image, of a small CNN trained plainly; the quickest of three runs.", "",
            "| images | bound | radius | batch | mean lower bound | largest difference to auto_LiRPA 0.3 | bakeoff, ms | auto_LiRPA, ms "
            "| times faster |",
            "|---|---|---|---|---|---|---|---|---|", *rows]


def quickest(compute) -> tuple[float, tuple[Tensor, Tensor]]:
    seconds = []
    for _ in range(3):
        started = time.process_time()
        with torch.no_grad():
            found = compute()
        seconds.append(time.process_time() - started)
    return min(seconds), found


def unbroken(parts) -> list[str]:
    """How many certified points the attacks of this package break. It should be none."""
    train, test = parts
    x, y = torch.tensor(test.pixels[:200]), torch.tensor(test.labels[:200])
    network = small_cnn(train.pixels.shape[1:], 10, seed=0, width=4, hidden=32)
    method = CrownIBP(network, radius=0.1, batch_size=64, learning_rate=4e-3)
    method.fit(torch.tensor(train.pixels), torch.tensor(train.labels), steps=300)
    rows = []
    for radius in (0.05, 0.1):
        for label, crown in (("intervals", 0.0), ("CROWN-IBP", 1.0)):
            safe = method.verified(x, y, radius=radius, crown=crown)
            found = [pgd(method.network_, x[safe], y[safe], radius=radius, steps=40, restarts=2, loss=loss)
                     for loss in (margin_loss, lambda logits, y: nn.functional.cross_entropy(logits, y, reduction="none"))]
            broken = torch.stack([method.predict(one) != y[safe] for one in found]).any(0)
            rows.append(f"| {label}, network of CROWN-IBP training | {radius}, L-infinity | {int(safe.sum())} | "
                        f"PGD, 40 steps, 2 restarts, 2 losses | {int(broken.sum())} |")
    smoothed = Smoothed(smooth_net(train), SIGMA)
    labels, radii = smoothed.certify(x[:30], n=1000)
    known, broken = (labels != ABSTAIN).nonzero()[:, 0].tolist(), 0
    for row in known:
        one, label = x[row:row + 1], labels[row:row + 1]
        tried = [pgd(smoothed.model, one, label, radius=float(radii[row]), norm=2, steps=20),
                 attack_smoothed(smoothed.model, one, label, sigma=SIGMA, radius=float(radii[row]), steps=20, draws=16)]
        said = Smoothed(smoothed.model, SIGMA, seed=1).predict(torch.cat(tried), n=1000)
        broken += bool(((said != label) & (said != ABSTAIN)).any())
    low, high = float(radii[known].min()), float(radii[known].max())
    rows.append(f"| randomised smoothing, n = 1000 | {low:.2f} to {high:.2f}, L2, each its own | "
                f"{len(known)} | PGD on the network and on the smoothed classifier, 20 steps | {broken} |")
    return ["## Certified points that attacks broke (mnist)", "",
            "| certificate | radius | certified | attacked by | broken |", "|---|---|---|---|---|", *rows]


def old_names() -> None:
    """What auto_LiRPA 0.3 asks of NumPy and torch and newer ones keep elsewhere."""
    from torch.onnx._internal.torchscript_exporter import utils as exporter
    from torch.onnx._internal.torchscript_exporter._globals import GLOBALS

    sys.modules["numpy.lib.arraysetops"] = types.ModuleType("numpy.lib.arraysetops")
    sys.modules["numpy.lib.arraysetops"].isin = np.isin
    import_module("torch.onnx.symbolic_helper")._set_opset_version = lambda version: setattr(GLOBALS, "export_onnx_opset_version", version)
    import_module("torch.onnx.utils")._optimize_graph = exporter._optimize_graph
    torch._C.Node.__getitem__ = lambda node, key: getattr(node, node.kindOf(key))(key)


if __name__ == "__main__":
    main()
