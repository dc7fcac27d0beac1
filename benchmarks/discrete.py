"""Learners of discrete actions on the same batches of three MinAtar games, and discrete BCQ beside d3rlpy's.

Both sides draw their minibatches inside the time that is measured. Needs `pip install d3rlpy`. Writes benchmarks/discrete.md.
"""

import logging
import math
import time
from functools import partial
from pathlib import Path

import d3rlpy
import numpy as np
import structlog
import torch
from d3rlpy.algos import DiscreteBCQConfig
from d3rlpy.dataset import MDPDataset
from d3rlpy.models.encoders import PixelEncoderFactory, VectorEncoderFactory

from bakeoff.baselines.behaviour_cloning import DiscreteBehaviourCloning
from bakeoff.baselines.dqn import DQN
from bakeoff.baselines.kl_control import DiscreteKLControl
from bakeoff.baselines.quantile_dqn import QuantileDQN
from bakeoff.baselines.rem import REM
from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
from bakeoff.data.kinds.environment import Environment
from bakeoff.papers.offline_rl.discrete_bcq import SETTINGS, DiscreteBCQ
from bakeoff.parts.rollouts import judged

SEEDS, STEPS, STARTS = (100, 101, 102), 2000, 30
BESIDE, T_95, ROUNDS = range(100, 105), 2.776, 3  # seeds beside d3rlpy's, Student's t for as many, turns of each when timed
SMALL = SETTINGS["quick"]
PLAIN = {name: SMALL[name] for name in ("hidden", "learning_rate", "batch_size")}
LEARNERS = {"discrete BCQ": partial(DiscreteBCQ, **SMALL), "Double DQN": partial(DQN, **SMALL),
            "quantile DQN": partial(QuantileDQN, **SMALL), "REM": partial(REM, **SMALL), "KL-control": partial(DiscreteKLControl, **SMALL),
            "cloning": partial(DiscreteBehaviourCloning, **PLAIN)}


class Theirs:
    """d3rlpy's discrete BCQ with the same sizes and rates; on images both heads share all but the last layer, on flat observations none."""

    discount = 0.99

    def __init__(self, seed: int):
        self.seed = seed

    def fit(self, batch, steps: int):
        d3rlpy.seed(self.seed)
        flat = batch.observation.ndim == 2
        seen = np.array(batch.observation) if flat else self._images(batch.observation)
        buffer = MDPDataset(seen, batch.action[:, None], batch.reward[:, None], batch.terminated.astype(np.float32),
                            timeouts=(batch.ended & ~batch.terminated).astype(np.float32), action_size=batch.actions)
        encoder = VectorEncoderFactory([256, 256]) if flat else PixelEncoderFactory([[16, 3, 1]], SMALL["hidden"][0])
        config = DiscreteBCQConfig(batch_size=SMALL["batch_size"], learning_rate=SMALL["learning_rate"], encoder_factory=encoder,
                                   target_update_interval=SMALL["target_every"], action_flexibility=0.3, beta=0.01,
                                   share_encoder=not flat)
        self._learner = config.create(device="cpu:0")
        self._learner.build_with_dataset(buffer)
        for _ in range(steps):
            self._learner.update(buffer.sample_transition_batch(SMALL["batch_size"]))
        return self

    def act(self, observation):
        return self._learner.predict(self._images(observation))

    def value(self, observation, action):
        return self._learner.predict_value(self._images(observation), np.array(action))

    def _images(self, observation):
        return np.ascontiguousarray(np.array(observation).transpose(0, 3, 1, 2)).astype(np.uint8)


def run(name: str, game: str, batch) -> str:
    """A row of the table: a learner on a batch."""
    measures, seconds = [], 0.0
    for seed in SEEDS:
        learner = (LEARNERS | {"d3rlpy's discrete BCQ": Theirs})[name](seed=seed)
        started = time.process_time()
        learner.fit(batch, STEPS)
        seconds += time.process_time() - started
        measures.append(judged(learner, batch, tests(batch, seed)))
    expected, gap = (np.mean([one.get(key, np.nan) for one in measures]) for key in ("value at the start", "overestimate"))
    returns = np.array([one["return"] for one in measures])
    values = "| | |" if np.isnan(expected) else f"| {expected:.2f} | {expected - gap:.2f} |"
    return (f"| {game} | {name} | {returns.mean():.2f} ({returns.min():.1f} to {returns.max():.1f}) {values} "
            f"{len(SEEDS) * STEPS / seconds:.0f} |")


def tests(batch, seed: int) -> Environment:
    return Environment(batch.environment, tuple(int(one) for one in np.random.default_rng(seed).integers(2**31, size=STARTS)))


def flat_batch() -> DiscreteTransitions:
    rng = np.random.default_rng(0)
    seen, ended = rng.normal(size=(5001, 4)), np.arange(5000) % 100 == 99
    return DiscreteTransitions(seen[:-1], rng.integers(2, size=5000), rng.normal(size=5000), seen[1:], ended, ended, actions=2)


def speed(name: str, batch, hidden, threads: int, steps: int = 300) -> str:
    """A row of the table of speeds: both sides take turns, and the best turn of each counts."""
    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    makes = lambda: DiscreteBCQ(**SMALL | {"hidden": hidden}), lambda: Theirs(0)
    took = {}  # (side, updates) -> seconds of the quickest turn
    for _ in range(ROUNDS):
        for count in (20, 20 + steps):  # the difference leaves out what is done once
            for side, make in enumerate(makes):
                started = clock()
                make().fit(batch, count)
                took[side, count] = min(took.get((side, count), math.inf), clock() - started)
    best = [(took[side, 20 + steps] - took[side, 20]) / steps for side in range(2)]
    torch.set_num_threads(1)
    return f"| {name} | {threads} | {1 / best[0]:.0f} | {1 / best[1]:.0f} | {best[1] / best[0]:.2f} |"


def beside(game: str, batch) -> str:
    """A row of the table of returns: means over seeds, and of the differences seed by seed, with 95 % intervals."""
    found = np.array([[judged(make().fit(batch, STEPS), batch, tests(batch, seed))["return"]
                       for make in (lambda seed=seed: DiscreteBCQ(**SMALL, seed=seed), lambda seed=seed: Theirs(seed))] for seed in BESIDE])
    columns = *found.T, found[:, 0] - found[:, 1]
    return f"| {game} | " + " | ".join(f"{one.mean():.2f} ± {T_95 * one.std(ddof=1) / math.sqrt(len(one)):.2f}" for one in columns) + " |"


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    torch.set_num_threads(1)
    rows = []
    for game in ("breakout", "asterix", "space-invaders"):
        batch = sets.load(Source(f"{game}-epsilon"), "discrete_transitions")
        facts = dict(batch.behaviour)
        rows += [f"| {game} | the batch | {facts['return']:.2f} | | | |",
                 f"| {game} | its player without random actions | {facts['return of the expert']:.2f} | | | |",
                 f"| {game} | random actions | {facts['return of random actions']:.2f} | | | |"]
        rows += [run(name, game, batch) for name in (*LEARNERS, "d3rlpy's discrete BCQ")]
    breakout = sets.load(Source("breakout-epsilon"), "discrete_transitions")
    speeds = [speed(name, batch, hidden, threads) for threads in (1, 2) for name, batch, hidden in (
        ("images of 10 x 10 x 4, dense layers of 128", breakout, SMALL["hidden"]),
        ("4 numbers, two dense layers of 256", flat_batch(), (256, 256)))]
    text = "\n".join([
        "# Learners of discrete actions, on batches of MinAtar", "",
        f"Written by `benchmarks/discrete.py` with d3rlpy {d3rlpy.__version__}: {len(SEEDS)} seeds, {STEPS} updates of "
        f"{SMALL['batch_size']} transitions, the same convolution and dense layer, learning rate and copying of targets for all; "
        f"{STARTS} test games a seed. In brackets the least and the greatest of the "
        "seeds. The value is what the learner expects at the start of a game, what came the "
        "discounted return of the same games. Updates a second of CPU time on one thread, drawing the batches included.", "",
        "| game | learner | return | value | what came | updates a second |", "|---|---|---|---|---|---|", *rows, "",
        "## Beside d3rlpy's", "",
        f"Updates a second with batches of {SMALL['batch_size']}, drawing them included, best of {ROUNDS} turns, by CPU time on one "
        "thread and by the clock on two. On images d3rlpy's two heads share the dense layer, which halves its products; ours have "
        "one each, as in the authors' release. On flat observations both have two networks.", "",
        "| observations | threads | bakeoff | d3rlpy | times |", "|---|---|---|---|---|", *speeds, "",
        f"Return after {STEPS:,} updates over {len(BESIDE)} seeds, {STARTS} games each, with 95 % intervals of Student's t.", "",
        "| game | bakeoff | d3rlpy | difference, seed by seed |", "|---|---|---|---|", beside("breakout", breakout)])
    Path(__file__).with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
