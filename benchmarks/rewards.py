"""Rewards learned from ranked demonstrations: pair accuracy, correlation beyond the best demonstration, gradient steps a second.

Beside bakeoff's ensemble stands a plain PyTorch loop over the same networks, one after another. Writes benchmarks/rewards.md.
"""

import itertools
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from bakeoff.claim import Source
from bakeoff.data import collect, sets
from bakeoff.data.kinds.environment import Environment
from bakeoff.papers.imitation.t_rex import SETTINGS, TREX
from bakeoff.parts import extrapolation, preferences

TASK, SEEDS, LATER = "swimmer", (100, 101, 102), 12
CHOSEN = SETTINGS["quick"]


def later() -> tuple[list[np.ndarray], np.ndarray]:
    """States and returns of an episode of each of LATER checkpoints of the demonstrations' learner, after the last demonstrated one."""
    named = sets.SETS[f"{TASK}-ranked"]
    options = dict(named.options)
    name, until = options.pop("environment"), float(options.pop("until"))
    options.pop("episodes")
    whole = ("learning_steps", "directions", "kept", "products")
    with Environment(name).make() as environment:
        learned = collect.learn(environment, np.random.default_rng(collect.SEED),
                                **{key: int(value) if key in whole else float(value) for key, value in options.items()})
        many = len(learned.checkpoints)
        rows = np.unique(np.linspace(round(many * until), many - 1, LATER).round().astype(int))
        shown = [collect.episode(environment, learned.checkpoints[row], 7) for row in rows]
    return [np.array([step[0] for step in one], np.float32) for one in shown], np.array([sum(step[2] for step in one) for one in shown])


def ours(batch, seed: int) -> tuple[float, object]:
    learned = TREX(**CHOSEN, seed=seed)
    started = time.process_time()
    learned.fit(batch)
    return CHOSEN["reward_steps"] / (time.process_time() - started), learned.reward


def plain(batch, seed: int) -> tuple[float, object]:
    """The same networks as modules, each trained alone on pieces cut one at a time."""
    rows, returns = preferences.split_episodes(batch), extrapolation.returns_of(batch)
    middle, scale = batch.observation.mean(0), batch.observation.std(0).clip(1e-3)
    states = torch.from_numpy(((batch.observation - middle) / scale).astype(np.float32))
    rng, settled = np.random.default_rng(seed), TREX(**CHOSEN)
    torch.manual_seed(seed)
    members, started = [], time.process_time()
    for _ in range(CHOSEN["ensemble"]):
        sizes = (states.shape[1], *CHOSEN["hidden"], 1)
        layers = [part for pair in itertools.pairwise(sizes) for part in (nn.Linear(*pair), nn.ReLU())][:-1]
        network = nn.Sequential(*layers)
        weights = [one for one in network.parameters() if one.dim() == 2]
        optimizer = torch.optim.Adam(network.parameters(), settled.learning_rate)
        for _ in range(CHOSEN["reward_steps"]):
            loss = settled.batch_size * settled.l2 * sum((one**2).sum() for one in weights)
            for _ in range(CHOSEN["batch_size"]):
                pair = sorted(rng.choice(len(rows), 2, replace=False), key=lambda one: returns[one])
                starts = [int(rng.integers(rows[one].start, rows[one].stop - settled.snippet + 1)) for one in pair]
                sums = torch.stack([network(states[start:start + settled.snippet]).sum() for start in starts])
                loss = loss + F.cross_entropy(sums[None], torch.tensor([int(rng.random() >= settled.flipped)]))
            optimizer.zero_grad()
            (loss / CHOSEN["batch_size"]).backward()
            optimizer.step()
        members.append(network)
    rate = CHOSEN["reward_steps"] / (time.process_time() - started)

    def reward(observation):
        x = torch.from_numpy(((observation - middle) / scale).astype(np.float32))
        with torch.no_grad():
            own, known = ([one(some).squeeze(-1) for one in members] for some in (x, states))
        return torch.stack([(one - at.mean()) / at.std() for one, at in zip(own, known, strict=True)]).mean(0)

    return rate, reward


def main() -> None:
    torch.set_num_threads(1)
    batch = sets.load(Source(f"{TASK}-ranked"), "transitions")
    ranks, (states, true), rows = extrapolation.returns_of(batch), later(), []
    demonstrated = [batch.observation[one] for one in preferences.split_episodes(batch)]
    beyond = true > ranks.max()
    for name, fit, seeds in (("bakeoff", ours, SEEDS), ("a plain loop", plain, SEEDS[:1])):
        found = []
        for seed in seeds:
            rate, reward = fit(batch, seed)
            sums, after = (np.array([reward(one).sum().item() for one in some]) for some in (demonstrated, states))
            everywhere = extrapolation.correlation(np.append(sums, after), np.append(ranks, true))
            found.append((rate, preferences.pair_accuracy(sums, ranks), everywhere,
                          extrapolation.correlation(after[beyond], true[beyond]), (after[beyond] > sums.max()).mean()))
        cells = [f"{np.mean(column):.3g} ({min(column):.3g} to {max(column):.3g})" for column in zip(*found, strict=True)]
        rows.append(f"| {name} | {len(seeds)} | " + " | ".join(cells) + " |")
    text = "\n".join([
        "# Rewards from ranked demonstrations", "",
        f"Written by `benchmarks/rewards.py`: `{TASK}-ranked`, T-REX's reward with the settings of its quick budget "
        f"({CHOSEN['ensemble']} networks of {CHOSEN['hidden']}, {CHOSEN['reward_steps']} steps of {CHOSEN['batch_size']} pairs); one "
        f"thread, CPU time. Beyond: {int(beyond.sum())} episodes of later checkpoints of the same learner, with true returns from "
        f"{true[beyond].min():.0f} to {true[beyond].max():.0f}; the best demonstration has {ranks.max():.0f}. Mean (least to greatest).",
        "", "| | seeds | gradient steps a second, of all networks | pair accuracy | correlation, all episodes "
        "| correlation beyond the best | share of these that the reward puts above all demonstrations |",
        "|---|---|---|---|---|---|---|", *rows])
    Path(__file__).with_suffix(".md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
