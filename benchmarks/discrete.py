"""Learners of discrete actions on the same batches of three MinAtar games, and discrete BCQ beside d3rlpy's.

Needs `pip install d3rlpy`. Writes benchmarks/discrete.md.
"""

import logging
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
SMALL = SETTINGS["quick"]
PLAIN = {name: SMALL[name] for name in ("hidden", "learning_rate", "batch_size")}
LEARNERS = {"discrete BCQ": partial(DiscreteBCQ, **SMALL), "Double DQN": partial(DQN, **SMALL),
            "quantile DQN": partial(QuantileDQN, **SMALL), "REM": partial(REM, **SMALL), "KL-control": partial(DiscreteKLControl, **SMALL),
            "cloning": partial(DiscreteBehaviourCloning, **PLAIN)}


class Theirs:
    """d3rlpy's discrete BCQ with the same sizes and rates; on images both heads share all but the last layer, on flat observations none.

    Drawing the batches is not timed.
    """

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
        self.seconds = 0.0
        for _ in range(steps):
            drawn = buffer.sample_transition_batch(SMALL["batch_size"])
            started = time.process_time()
            self._learner.update(drawn)
            self.seconds += time.process_time() - started
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
        seconds += getattr(learner, "seconds", time.process_time() - started)
        starts = np.random.default_rng(seed).integers(2**31, size=STARTS)
        measures.append(judged(learner, batch, Environment(batch.environment, tuple(int(one) for one in starts))))
    expected, gap = (np.mean([one.get(key, np.nan) for one in measures]) for key in ("value at the start", "overestimate"))
    returns = np.array([one["return"] for one in measures])
    values = "| | |" if np.isnan(expected) else f"| {expected:.2f} | {expected - gap:.2f} |"
    return (f"| {game} | {name} | {returns.mean():.2f} ({returns.min():.1f} to {returns.max():.1f}) {values} "
            f"{len(SEEDS) * STEPS / seconds:.0f} |")


def flat(make, steps: int = 1000) -> float:
    """Updates a second on a batch of flat observations."""
    rng = np.random.default_rng(0)
    seen, ended = rng.normal(size=(5001, 4)), np.arange(5000) % 100 == 99
    batch = DiscreteTransitions(seen[:-1], rng.integers(2, size=5000), rng.normal(size=5000), seen[1:], ended, ended, actions=2)
    learner = make()
    learner.fit(batch, 20)
    started = time.process_time()
    learner.fit(batch, steps)
    return steps / getattr(learner, "seconds", time.process_time() - started)


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
    ours, peers = flat(lambda: DiscreteBCQ(**SMALL | {"hidden": (256, 256)})), flat(lambda: Theirs(0))
    text = "\n".join([
        "# Learners of discrete actions, on batches of MinAtar", "",
        f"Written by `benchmarks/discrete.py` with d3rlpy {d3rlpy.__version__}: {len(SEEDS)} seeds, {STEPS} updates of "
        f"{SMALL['batch_size']} transitions, the same convolution and dense layer, learning rate and copying of targets for all; "
        f"{STARTS} test games a seed. In brackets the least and the greatest of the "
        "seeds. The value is what the learner expects at the start of a game, what came the "
        "discounted return of the same games. Updates a second of CPU time on one thread; d3rlpy's without drawing its batches.", "",
        "| game | learner | return | value | what came | updates a second |", "|---|---|---|---|---|---|", *rows, "",
        f"On flat observations of 4 numbers, 2 actions, two networks of two dense layers of 256, batches of {SMALL['batch_size']}, "
        f"discrete BCQ makes {ours:.0f} updates a second with drawing its batches, d3rlpy's {peers:.0f} without."])
    Path(__file__).with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
