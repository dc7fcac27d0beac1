"""Certification beside the adversarial-robustness-toolbox (ART): the same net, images, noise, copies and batch.

Needs `pip install adversarial-robustness-toolbox statsmodels`. Writes benchmarks/randomized_smoothing.md.
"""

import time
from pathlib import Path

import numpy as np
import torch
from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing

from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.papers.robustness.randomized_smoothing import ABSTAIN, Smoothed
from bakeoff.parts.small_cnn import small_cnn
from bakeoff.parts.supervised import train as learn

SIGMA, IMAGES, ALPHA = 0.25, 100, 0.001


def trained(images):
    network = small_cnn(images.pixels.shape[1:], len(images.classes), seed=0)
    learn(network, torch.tensor(images.pixels), torch.tensor(images.labels), steps=300, learning_rate=1e-3, batch_size=128, seed=0,
          change=lambda x, rng: x + SIGMA * torch.randn(x.shape, generator=rng))
    return network.eval()


def timed(certify) -> tuple[float, np.ndarray, np.ndarray]:
    """CPU seconds, labels and radii."""
    started = time.process_time()
    labels, radii = certify()
    return time.process_time() - started, np.asarray(labels).reshape(-1), np.asarray(radii, dtype=float).reshape(-1)


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for name in ("digits", "mnist"):
        train, test = sets.load(Source(name), "images").split(0)
        network, x = trained(train), test.pixels[:IMAGES]
        for n in (100, 1000):
            peer = PyTorchRandomizedSmoothing(network, torch.nn.CrossEntropyLoss(), x.shape[1:], len(test.classes), sample_size=100,
                                              scale=SIGMA, alpha=ALPHA, device_type="cpu")
            ours = timed(lambda network=network, x=x, n=n: Smoothed(network, SIGMA).certify(torch.tensor(x), n0=100, n=n, alpha=ALPHA))
            theirs = timed(lambda peer=peer, x=x, n=n: peer.certify(np.array(x), n=n, batch_size=500))
            both = (ours[1] != ABSTAIN) & (theirs[1] != ABSTAIN)
            rows.append(f"| {name} | {n} | {IMAGES / ours[0]:.0f} | {IMAGES / theirs[0]:.0f} | {theirs[0] / ours[0]:.1f} | "
                        f"{100 * (ours[1] == theirs[1])[both].mean():.0f} % | {ours[2][both].mean():.3f}, {theirs[2][both].mean():.3f} |")
    head = ["| images | n | bakeoff, images a second | ART, images a second | times faster | same label | mean radius, ART's |",
            "|---|---|---|---|---|---|---|"]
    text = "\n".join(["# Certifying by randomised smoothing, beside ART", "",
                      "Written by `benchmarks/randomized_smoothing.py`; one thread, CPU time, 100 images, batches of 500 noisy copies.", "",
                      *head, *rows])
    Path(__file__).with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
