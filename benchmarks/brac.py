"""The switches of BRAC: value penalty or policy regularisation, KL or MMD, all else equal, on half-trained and noisy experience.

Needs `pip install 'bakeoff[rl]'`. Writes benchmarks/brac.md.
"""

import time
from pathlib import Path

import numpy as np
import torch

from bakeoff.claim import Budget, Source
from bakeoff.data import sets
from bakeoff.papers.offline_rl import brac

SET, STEPS, SEEDS = "hopper-gauss3", 4000, range(200, 206)
WEIGHTS = {"kl": 3.0, "mmd": 70.0}  # fixed, the same for both penalties; the MMD's is where an adaptive one ends that holds 0.002


def judged(batch, penalty: str, divergence: str, seed: int) -> dict[str, float]:
    train, test = batch.split(seed)
    policy = brac.learned(train, Budget("quick", STEPS), seed, penalty=penalty, divergence=divergence, alpha=WEIGHTS[divergence])
    return brac.score((policy, train), test)


def shown(numbers: list[float]) -> str:
    """The mean, and twice its standard error."""
    return f"{np.mean(numbers):.0f} ± {2 * np.std(numbers, ddof=1) / len(numbers) ** 0.5:.0f}"


def main() -> None:
    torch.set_num_threads(1)
    started, batch = time.process_time(), sets.load(Source(SET), "transitions")
    rows, returns = [], {}
    for divergence in WEIGHTS:
        for penalty in ("value", "policy"):
            found = [judged(batch, penalty, divergence, seed) for seed in SEEDS]
            returns[penalty, divergence] = [one["return"] for one in found]
            measures = (shown([one[name] for one in found]) for name in ("return", "value at the start", "overestimate"))
            rows.append(f"| {penalty} | {divergence}, alpha = {WEIGHTS[divergence]:g} | {' | '.join(measures)} |")
    gaps = [f"- {divergence}: value less policy {shown(np.subtract(*(returns[penalty, divergence] for penalty in ('value', 'policy'))))}"
            for divergence in WEIGHTS]
    facts = ", ".join(f"{name} {value:.0f}" for name, value in batch.behaviour if name.startswith("return"))
    text = "\n".join(["# BRAC: where the penalty goes", "",
                      f"Written by `benchmarks/brac.py` on `{SET}` ({facts}): {STEPS:,} updates, a quarter of them the behaviour's; "
                      f"{len(SEEDS)} seeds, 10 episodes each; means and twice their standard errors; "
                      f"{time.process_time() - started:.0f} seconds of one core.",
                      "", "| penalty | divergence | return | value at the start | overestimate |", "|---|---|---|---|---|", *rows, "",
                      "Return, paired by seed:", "", *gaps])
    Path(__file__).with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
