"""An update of BCQ beside d3rlpy's: the same widths, batch size and number of sampled actions.

Needs `pip install d3rlpy`. Writes benchmarks/bcq.md.
"""

import logging
import time
from pathlib import Path

import d3rlpy
import numpy as np
import structlog
import torch
from d3rlpy.algos import BCQConfig
from d3rlpy.models.encoders import VectorEncoderFactory

from bakeoff.data.kinds.transitions import Transitions
from bakeoff.papers.offline_rl.bcq import BCQ

ROWS, OBSERVATION, ACTION = 5000, 11, 3
STEPS = {"narrow (128, 128)": ((128, 128), (128, 128), 300), "the paper's (400, 300), model (750, 750)": ((400, 300), (750, 750), 100)}


def batch() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(ROWS + 1, OBSERVATION)).astype(np.float32)
    ends = (np.arange(ROWS) % 100 == 99).astype(np.float32)
    return {"observation": seen[:-1], "following": seen[1:], "action": rng.uniform(-1, 1, (ROWS, ACTION)).astype(np.float32),
            "reward": rng.normal(size=ROWS).astype(np.float32), "ends": ends}


def ours(data: dict, hidden, model_hidden, steps: int) -> float:
    record = Transitions(data["observation"], data["action"], data["reward"], data["following"], data["ends"], data["ends"],
                         [-1] * ACTION, [1] * ACTION)
    policy = BCQ(hidden=hidden, model_hidden=model_hidden)
    policy.fit(record, steps=5)
    started = time.process_time()
    policy.fit(record, steps=steps)
    return (time.process_time() - started) / steps


def theirs(data: dict, hidden, model_hidden, steps: int) -> float:
    set_ = d3rlpy.dataset.MDPDataset(data["observation"], data["action"], data["reward"], data["ends"])
    wide, model = VectorEncoderFactory(list(hidden)), VectorEncoderFactory(list(model_hidden))
    algorithm = BCQConfig(batch_size=100, n_action_samples=10, actor_encoder_factory=wide, critic_encoder_factory=wide,
                          imitator_encoder_factory=model).create(device="cpu:0")
    algorithm.build_with_dataset(set_)
    batches = [set_.sample_transition_batch(100) for _ in range(steps + 5)]  # theirs is timed without drawing the batches
    for one in batches[:5]:
        algorithm.update(one)
    started = time.process_time()
    for one in batches[5:]:
        algorithm.update(one)
    return (time.process_time() - started) / steps


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    torch.set_num_threads(1)
    data, rows = batch(), []
    for name, (hidden, model_hidden, steps) in STEPS.items():
        mine, peer = (min(run(data, hidden, model_hidden, steps) for _ in range(3)) for run in (ours, theirs))
        rows.append(f"| {name} | {1000 * mine:.1f} ms | {1000 * peer:.1f} ms | {peer / mine:.2f} |")
    text = "\n".join(["# An update of BCQ, beside d3rlpy", "",
                      f"Written by `benchmarks/bcq.py` with d3rlpy {d3rlpy.__version__}; one thread, CPU time, best of 3; batches of 100, "
                      "10 sampled actions.", "", "| widths | bakeoff | d3rlpy | times faster |", "|---|---|---|---|", *rows])
    Path(__file__).with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
