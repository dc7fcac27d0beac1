"""Reaching goals in four rooms: bakeoff's learners beside stable-baselines3's DDPG with hindsight, at equal steps and updates.

Needs `pip install stable-baselines3`. Writes benchmarks/goals.md.
"""

import time
from pathlib import Path

import numpy as np
import stable_baselines3
import torch
from stable_baselines3 import DDPG, HerReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import NormalActionNoise

from bakeoff.baselines.goal_cloning import GoalCloning
from bakeoff.baselines.hindsight_ddpg import HindsightDDPG
from bakeoff.data.demonstrations import four_rooms
from bakeoff.data.four_rooms import FourRooms, gymnasium_environment
from bakeoff.papers.imitation.goal_gail import TUNED, GoalGAIL
from bakeoff.parts.goal_episodes import success

SEEDS, STEPS, UPDATES, MOMENTS = (200, 201, 202), 12_000, 0.2, 20
SHOWN = four_rooms("20")


def judged(act) -> float:
    return success(FourRooms(copies=100), act, 7)


def ours(make, **options):
    """The learner's success at each moment, and its seconds of processor time."""
    def run(seed: int) -> tuple[list[float], float]:
        started = time.process_time()
        policy = make(seed=seed, updates=UPDATES, moments=MOMENTS, **options).fit(FourRooms(copies=10), SHOWN, STEPS)
        seconds = time.process_time() - started
        return [judged(one.act) for _, one in policy.history], seconds
    return run


def cloning(seed: int) -> tuple[list[float], float]:
    started = time.process_time()
    policy = GoalCloning(seed=seed).fit(SHOWN, int(STEPS * UPDATES))
    return [judged(policy.act)], time.process_time() - started


class Watch(BaseCallback):
    """Judges their policy at the same moments, outside the clock."""

    def _init_callback(self):
        self.found, self.away = [], 0.0

    def _on_step(self):
        if self.num_timesteps % (STEPS // MOMENTS) == 0:
            started = time.process_time()
            self.found.append(judged(self.act))
            self.away += time.process_time() - started
        return True

    def act(self, now, goal):
        told = {"observation": now, "achieved_goal": now, "desired_goal": goal}
        return torch.tensor(self.model.predict({name: one.astype(np.float32) for name, one in told.items()}, deterministic=True)[0])


def theirs(learning_rate: float):
    """Their DDPG with their hindsight replay; the same widths, batch, discount, rate, noise and number of updates."""
    def run(seed: int) -> tuple[list[float], float]:
        watch, started = Watch(), time.process_time()
        DDPG("MultiInputPolicy", gymnasium_environment(), replay_buffer_class=HerReplayBuffer, seed=seed, device="cpu",
             replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"}, batch_size=256, gamma=0.98, tau=0.05,
             learning_rate=learning_rate, train_freq=5, gradient_steps=1, policy_kwargs={"net_arch": [64, 64]},
             action_noise=NormalActionNoise(np.zeros(2), np.full(2, 0.15))).learn(STEPS, callback=watch)
        return watch.found, time.process_time() - started - watch.away
    return run


def main() -> None:
    torch.set_num_threads(1)
    alone = {"demonstration_batch": 0}
    arms = {"stable-baselines3, DDPG + HER, rate 0.001": theirs(1e-3), "stable-baselines3, DDPG + HER, rate 0.004": theirs(4e-3),
            "bakeoff, DDPG + HER": ours(HindsightDDPG, **TUNED["control"] | alone),
            "bakeoff, DDPG + HER, demonstrations in the replay": ours(HindsightDDPG, **TUNED["control"]),
            "bakeoff, goalGAIL": ours(GoalGAIL, **TUNED["treatment"]), "bakeoff, goal-conditioned cloning": cloning}
    rows = []
    for name, run in arms.items():
        curves, seconds = zip(*map(run, SEEDS), strict=True)
        while_learning, at_the_end = ([float(take(one)) for one in curves] for take in (np.mean, lambda one: one[-1]))
        rows.append(f"| {name} | {_spread(while_learning)} | {_spread(at_the_end)} | {STEPS * UPDATES / np.mean(seconds):.0f} |")
    text = "\n".join([
        "# Goals in four rooms, beside stable-baselines3", "",
        f"Written by `benchmarks/goals.py` with stable-baselines3 {stable_baselines3.__version__}. {STEPS:,} steps in the environment, "
        f"{int(STEPS * UPDATES):,} updates (of as many minibatches for cloning, which takes no steps), {len(SEEDS)} seeds: mean, and from "
        "lowest to highest. Success on 100 goals in %. Updates a second of processor time include acting; one thread, 64-64 networks, "
        "batches of 256 (352 with demonstrations).", "",
        "| learner | success while learning | success at the end | updates a second |", "|---|---|---|---|", *rows])
    Path(__file__).with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.0f} ({min(values):.0f} to {max(values):.0f})"


if __name__ == "__main__":
    main()
