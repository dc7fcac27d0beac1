"""BCQ and BEAR beside d3rlpy's, in one run: gradient steps a second on one thread and on two, and returns after equal steps.

Widths, batch size, learning rates, numbers of drawn actions, discount and targets' rate are the same on both sides, and both draw
their minibatches inside the time that is measured; the two take turns. Needs `pip install d3rlpy`. Writes benchmarks/offline_rl.md.
"""

import logging
import math
import time
from pathlib import Path

import d3rlpy
import numpy as np
import structlog
import torch
from d3rlpy.algos import BCQConfig, BEARConfig
from d3rlpy.models.encoders import VectorEncoderFactory

from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.papers.offline_rl.bcq import BCQ
from bakeoff.papers.offline_rl.bear import BEAR
from bakeoff.parts.rollouts import demonstrated, episodes, mean_return

PAGE, METHODS = Path(__file__).with_suffix(".md"), ("bcq", "bear")
WIDTHS = {"narrow (128, 128)": ((128, 128), (128, 128), 60), "the papers' (400, 300), model (750, 750)": ((400, 300), (750, 750), 15)}
DATA, STEPS, SEEDS, ROUNDS = "hopper-half", 2000, (100, 101, 102), 3
WARM_UP, EPSILON = 400, 0.05
T_95 = 4.303  # Student's t, two degrees of freedom


def ours(method: str, hidden, model_hidden, warm_up: int, seed: int = 0):
    if method == "bcq":
        return BCQ(hidden=hidden, model_hidden=model_hidden, seed=seed)
    return BEAR(hidden=hidden, model_hidden=model_hidden, warm_up=warm_up, actor_rate=1e-3, epsilon=EPSILON, seed=seed)


def theirs(method: str, hidden, model_hidden, warm_up: int, seed: int = 0):
    d3rlpy.seed(seed)
    wide, model = VectorEncoderFactory(list(hidden)), VectorEncoderFactory(list(model_hidden))
    same = {"batch_size": 100, "critic_learning_rate": 1e-3, "imitator_learning_rate": 1e-3, "gamma": 0.99, "tau": 0.005, "n_critics": 2,
            "lam": 0.75, "n_action_samples": 10, "actor_encoder_factory": wide, "critic_encoder_factory": wide,
            "imitator_encoder_factory": model}
    if method == "bcq":
        return BCQConfig(actor_learning_rate=1e-3, action_flexibility=0.05, beta=0.5, **same).create(device="cpu:0")
    return BEARConfig(actor_learning_rate=1e-3, alpha_learning_rate=1e-3, alpha_threshold=EPSILON, n_target_samples=10,
                      n_mmd_action_samples=5, mmd_kernel="laplacian", mmd_sigma=20.0, warmup_steps=warm_up, **same).create(device="cpu:0")


def updated(algorithm, data, steps: int) -> None:
    for _ in range(steps):
        algorithm.update(data.sample_transition_batch(100))


def speed(method: str, batch: Transitions, peer_data) -> list[dict]:
    rows = []
    for name, (hidden, model_hidden, steps) in WIDTHS.items():
        mine, peer = ours(method, hidden, model_hidden, warm_up=0), theirs(method, hidden, model_hidden, warm_up=0)
        peer.build_with_dataset(peer_data)
        runs = {"bakeoff": lambda mine=mine, steps=steps: mine.fit(batch, steps),
                "d3rlpy": lambda peer=peer, steps=steps: updated(peer, peer_data, steps)}
        for threads in (1, 2):
            torch.set_num_threads(threads)
            clock = time.process_time if threads == 1 else time.perf_counter
            best = dict.fromkeys(runs, math.inf)
            for _ in range(ROUNDS):
                for who, run in runs.items():
                    started = clock()
                    run()
                    best[who] = min(best[who], (clock() - started) / steps)
            rows.append({"method": method, "widths": name, "threads": threads} | {who: 1 / one for who, one in best.items()})
    torch.set_num_threads(1)
    return rows


def returns(method: str, batch: Transitions, peer_data) -> dict:
    hidden, model_hidden, _ = WIDTHS["narrow (128, 128)"]
    found = {"bakeoff": [], "d3rlpy": []}
    for seed in SEEDS:
        _, test = batch.split(seed)
        mine = ours(method, hidden, model_hidden, WARM_UP, seed).fit(batch, STEPS)
        peer = theirs(method, hidden, model_hidden, WARM_UP, seed)
        peer.build_with_dataset(peer_data)
        updated(peer, peer_data, STEPS)
        for who, act in (("bakeoff", mine.act), ("d3rlpy", lambda seen, peer=peer: peer.predict(seen.astype(np.float32)))):
            found[who].append(mean_return(episodes(act, test)))
    apart = np.subtract(found["bakeoff"], found["d3rlpy"])
    return {"method": method, "difference": interval(apart)} | {who: interval(one) for who, one in found.items()}


def interval(values) -> str:
    return f"{np.mean(values):.0f} ± {T_95 * np.std(values, ddof=1) / math.sqrt(len(values)):.0f}"


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    batch = sets.load(Source(DATA), "transitions")
    peer_data = d3rlpy.dataset.MDPDataset(batch.observation, batch.action, batch.reward, batch.terminated.astype(np.float32),
                                          (batch.ended & ~batch.terminated).astype(np.float32))
    speeds = [row for method in METHODS for row in speed(method, batch, peer_data)]
    write(speeds, [], demonstrated(batch))
    write(speeds, [returns(method, batch, peer_data) for method in METHODS], demonstrated(batch))


def write(speeds: list[dict], found: list[dict], shown: float) -> None:
    versions = f"d3rlpy {d3rlpy.__version__} and PyTorch {torch.__version__.split('+')[0]}"
    lines = ["# BCQ and BEAR, beside d3rlpy", "",
             f"Written by `benchmarks/offline_rl.py` with {versions}, on CPU."
             f" Batches of 100, ten sampled actions in the targets, minibatches drawn inside the time; steps a second, best of {ROUNDS} "
             "turns of each, by CPU time on one thread and by the clock on two.", "",
             "| method | widths | threads | bakeoff | d3rlpy | times |", "|---|---|---|---|---|---|"]
    lines += [f"| {row['method']} | {row['widths']} | {row['threads']} | {row['bakeoff']:.0f} | {row['d3rlpy']:.0f} | "
              f"{row['bakeoff'] / row['d3rlpy']:.2f} |" for row in speeds]
    lines += ["", f"Returns after {STEPS:,} steps on `{DATA}`, whose episodes return {shown:.0f} on average: narrow widths, the mean over "
              f"{len(SEEDS)} seeds of ten episodes each, with 95 % intervals of Student's t.", "",
              "| method | bakeoff | d3rlpy | difference, seed by seed |", "|---|---|---|---|"]
    lines += [f"| {one['method']} | {one['bakeoff']} | {one['d3rlpy']} | {one['difference']} |" for one in found]
    told = "".join(PAGE.read_text(encoding="utf-8").partition("\n\n## What")[1:]).rstrip() if PAGE.exists() else ""  # stays
    PAGE.write_text("\n".join(lines) + told + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
