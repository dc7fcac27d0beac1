"""What every agent's critic expects against the discounted return that comes, while it learns from a fixed batch.

    BAKEOFF_DATA=... python benchmarks/value_estimates.py

It takes some five minutes of one core and writes benchmarks/value_estimates.md and .png.
"""

import math
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch

from bakeoff.baselines.dqn import DQN
from bakeoff.baselines.kl_control import DiscreteKLControl
from bakeoff.baselines.quantile_dqn import QuantileDQN
from bakeoff.baselines.rem import REM
from bakeoff.baselines.sac import SAC
from bakeoff.baselines.td3 import TD3
from bakeoff.claim import Source
from bakeoff.data.kinds.environment import Environment
from bakeoff.data.sets import SETS, load
from bakeoff.papers.offline_rl.bcq import BCQ
from bakeoff.papers.offline_rl.bear import BEAR
from bakeoff.papers.offline_rl.brac import BRAC
from bakeoff.papers.offline_rl.discrete_bcq import DiscreteBCQ
from bakeoff.parts.rollouts import came_of, demonstrated, episodes, mean_return

HIDDEN, SEED, EPISODES, LOOKS = (128, 128), 200, 5, 10
AGENTS = {
    "hopper-imperfect": (5000, {
        "TD3": lambda: TD3(hidden=HIDDEN, seed=SEED),
        "SAC": lambda: SAC(hidden=HIDDEN, seed=SEED),
        "BCQ": lambda: BCQ(hidden=HIDDEN, model_hidden=HIDDEN, seed=SEED),
        "BEAR": lambda: BEAR(hidden=HIDDEN, model_hidden=HIDDEN, warm_up=500, seed=SEED),
        "BRAC, value penalty": lambda: BRAC(hidden=HIDDEN, actor_hidden=HIDDEN, behaviour_steps=1000, warm_start=200, seed=SEED)}),
    "breakout-epsilon": (5000, {
        "DQN": lambda: DQN(double=False, seed=SEED),
        "Double DQN": lambda: DQN(double=True, seed=SEED),
        "quantile DQN": lambda: QuantileDQN(seed=SEED),
        "REM": lambda: REM(seed=SEED),
        "KL-control": lambda: DiscreteKLControl(seed=SEED),
        "discrete BCQ": lambda: DiscreteBCQ(hidden=(256, 256), learning_rate=3e-4, batch_size=64, target_every=200, seed=SEED)}),
}


def watched(agent, batch, steps: int, test: Environment) -> list[tuple[int, float, float, float]]:
    """At LOOKS moments of learning: the update, what the critic expects at the starts, what comes from there, the return."""
    seen, count = [], -getattr(agent, "behaviour_steps", 0)  # the updates that only fit the behaviour are not counted

    def look(_loss) -> None:
        nonlocal count
        count += 1
        if count > 0 and count % (steps // LOOKS) == 0:
            made = episodes(agent.act, test)
            starts, first = (np.stack([getattr(one, name)[0] for one in made]) for name in ("observations", "actions"))
            came = np.mean([came_of(agent, one)[0] for one in made])
            seen.append((count, float(np.asarray(agent.value(starts, first)).mean()), float(came), mean_return(made)))

    agent.fit(batch, steps, look)
    return seen


def main() -> None:
    torch.set_num_threads(1)
    figure, axes = plt.subplots(2, max(len(agents) for _, agents in AGENTS.values()), figsize=(17, 6), squeeze=False, layout="constrained")
    for one in axes.flat:
        one.set_visible(False)
    lines, started = [], time.process_time()
    for row, (name, (steps, agents)) in enumerate(AGENTS.items()):
        batch = load(Source(name), SETS[name].kind)
        test = Environment(batch.environment, tuple(range(SEED, SEED + EPISODES)))
        lines += [f"## {name}: {steps} updates; the batch's mean return is {demonstrated(batch):.4g}", "",
                  "| agent | expected at the start | came, discounted | overestimate | largest on the way | return |",
                  "|---|---|---|---|---|---|"]
        for axis, (agent, built) in zip(axes[row], agents.items(), strict=False):
            seen = watched(built(), batch, steps, test)
            at, expected, came, returns = (np.array(column) for column in zip(*seen, strict=True))
            gap = expected - came
            lines.append(f"| {agent} | {expected[-1]:.4g} | {came[-1]:.4g} | {gap[-1]:+.4g} | {gap[np.abs(gap).argmax()]:+.4g} "
                         f"| {returns[-1]:.4g} |")
            print(lines[-1], flush=True)
            axis.set_visible(True)
            axis.plot(at, expected, color="#b34700", label="expected")
            axis.plot(at, came, color="#444444", linestyle="--", label="came")
            far = np.abs(expected).max() > 20 * max(1.0, np.abs(came).max())
            axis.set(title=agent, xlabel="updates", yscale="symlog" if far else "linear")
        axes[row][0].set_ylabel(f"{name}\ndiscounted return from the start")
        axes[row][0].legend()
        lines.append("")
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=80)
    Path(__file__).with_suffix(".md").write_text("\n".join([
        "# What critics expect, and what comes", "",
        f"Written by `benchmarks/value_estimates.py`; one seed, {EPISODES} episodes at each of {LOOKS} looks, "
        f"{math.ceil((time.process_time() - started) / 60)} minutes of one core. "
        "BRAC's and KL-control's values are of the return less their penalties, and so is what came.", "",
        "![expected and realised return of every agent over its updates](value_estimates.png)", "", *lines]), encoding="utf-8")


if __name__ == "__main__":
    main()
