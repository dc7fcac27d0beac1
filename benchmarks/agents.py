"""The agents that papers are compared with, beside Stable-Baselines3's and d3rlpy's: the same settings, the same steps, the same judge.

Needs `pip install "bakeoff[rl]" stable-baselines3 d3rlpy`. Writes benchmarks/agents.md.
"""

import itertools
import logging
import time
from pathlib import Path

import d3rlpy
import gymnasium
import numpy as np
import stable_baselines3 as sb3
import structlog
import torch
from d3rlpy.algos import BCConfig
from d3rlpy.logging import NoopAdapterFactory
from d3rlpy.models.encoders import VectorEncoderFactory
from d3rlpy.preprocessing import MinMaxActionScaler
from stable_baselines3.common.noise import NormalActionNoise

from bakeoff.baselines.behaviour_cloning import BehaviourCloning
from bakeoff.baselines.dqn import DQN
from bakeoff.baselines.sac import SAC
from bakeoff.baselines.td3 import TD3
from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
from bakeoff.data.kinds.environment import Environment
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.parts.rollouts import episodes, mean_return

SEEDS = range(8)
PENDULUM, CART = "Pendulum-v1", "CartPole-v1"
STEPS = {"TD3": 5000, "SAC": 5000, "DQN": 20_000, "BC": 3000}
WARM_UP, HIDDEN, BATCH, RATE = 1000, (128, 128), 128, 1e-3
CARTS = {"learning_rate": 2.3e-3, "batch_size": 64}  # and one phase of 128 updates in 256 steps, epsilon to 0.04 in 16 % of the steps
EVERY, UPDATES = 256, 128
TIMED = 300
JUDGED_IN = {name: Environment(name, tuple(range(1000, 1020))) for name in (PENDULUM, CART)}  # twenty starts


def ours_by_acting(name: str, seed: int):
    alike = {"hidden": HIDDEN, "learning_rate": RATE, "batch_size": BATCH, "seed": seed}
    if name == "TD3":
        return TD3(**alike).practise(Environment(PENDULUM), STEPS[name], warm_up=WARM_UP)
    if name == "SAC":
        return SAC(**alike).practise(Environment(PENDULUM), STEPS[name], warm_up=WARM_UP)
    return DQN(double=name == "Double DQN", hidden=HIDDEN, target_every=UPDATES, seed=seed, **CARTS).practise(
        Environment(CART), STEPS["DQN"], warm_up=WARM_UP, every=EVERY, updates=UPDATES, epsilon=0.04, exploring=0.16)


def theirs_by_acting(name: str, seed: int):
    alike = {"learning_starts": WARM_UP, "policy_kwargs": {"net_arch": list(HIDDEN)}, "seed": seed, "device": "cpu"}
    if name == "DQN":  # their target is copied every so many steps in the environment: here once before each phase of updates
        model = sb3.DQN("MlpPolicy", gymnasium.make(CART), buffer_size=100_000, train_freq=EVERY, gradient_steps=UPDATES,
                        target_update_interval=EVERY, exploration_fraction=0.16, exploration_final_eps=0.04, max_grad_norm=1e9,
                        **CARTS, **alike)
    elif name == "TD3":
        model = sb3.TD3("MlpPolicy", gymnasium.make(PENDULUM), learning_rate=RATE, batch_size=BATCH,
                        action_noise=NormalActionNoise(np.zeros(1), 0.1 * np.ones(1)), **alike)
    else:
        model = sb3.SAC("MlpPolicy", gymnasium.make(PENDULUM), learning_rate=RATE, batch_size=BATCH, **alike)
    return model.learn(STEPS[name])


def timed(run) -> tuple:
    started = time.process_time()
    result = run()
    return result, time.process_time() - started


def updates_a_second(name: str, model) -> tuple[float, float]:
    """Ours and theirs, drawing of minibatches included, on what their model has kept; best of three."""
    buffer = model.replay_buffer
    rows = slice(0, buffer.size())
    columns = buffer.observations[rows, 0], buffer.actions[rows, 0], buffer.rewards[rows, 0], buffer.next_observations[rows, 0]
    ends = buffer.dones[rows, 0].astype(bool)
    if name == "DQN":
        batch = DiscreteTransitions(columns[0], columns[1][:, 0], *columns[2:], ends, ends, actions=2)
        agent = DQN(double=False, hidden=HIDDEN, target_every=UPDATES, **CARTS)
        size = CARTS["batch_size"]
    else:
        batch = Transitions(*columns, ends, ends, [-1], [1])
        agent = {"TD3": TD3, "SAC": SAC}[name](hidden=HIDDEN, learning_rate=RATE, batch_size=BATCH)
        size = BATCH
    return tuple(TIMED / min(timed(run)[1] for _ in range(3)) for run in (
        lambda: agent.fit(batch, TIMED), lambda: model.train(gradient_steps=TIMED, batch_size=size)))


def judge(environment: str, act) -> float:
    return mean_return(episodes(act, JUDGED_IN[environment]))


def by_acting(name: str) -> list[str]:
    """A row of the table for ours, and one for theirs."""
    environment, scores, costs = CART if "DQN" in name else PENDULUM, {"bakeoff": [], "Stable-Baselines3": []}, {}
    sides = {"bakeoff": ours_by_acting, "Stable-Baselines3": theirs_by_acting}
    if name == "Double DQN":
        sides.pop("Stable-Baselines3")
    for seed, (side, learn) in itertools.product(SEEDS, sides.items()):
        model, costs[side] = timed(lambda learn=learn, seed=seed: learn(name, seed))
        act = model.act if side == "bakeoff" else lambda now, model=model: model.predict(now, deterministic=True)[0]
        scores[side].append(judge(environment, act))
    speeds = dict(zip(sides, updates_a_second(name, model), strict=True)) if len(sides) == 2 else {}
    steps = STEPS["DQN" if "DQN" in name else name]
    return [f"| {name} | {environment}, {steps:,} steps | {side} | {spread(scores[side])} | {steps / costs[side]:,.0f} | "
            + (f"{speeds[side]:,.0f} |" if speeds else "|") for side in sides]


def demonstrations(expert: TD3) -> tuple[list, Transitions]:
    """Twenty episodes of a learned policy with noise of 0.2 in units of the action's bounds."""
    rng, test = np.random.default_rng(0), Environment(PENDULUM, tuple(range(20)))
    made = episodes(lambda now: np.clip(expert.act(now).numpy() + 0.4 * rng.standard_normal((len(now), 1)), -2, 2).astype(np.float32), test)
    seen, action = (np.concatenate([getattr(one, name) for one in made]) for name in ("observations", "actions"))
    ends = np.concatenate([np.arange(len(one.rewards)) == len(one.rewards) - 1 for one in made])
    rewards = np.concatenate([one.rewards for one in made])
    return made, Transitions(seen, action, rewards, np.roll(seen, -1, 0), np.zeros(len(ends)), ends, [-2], [2])


def cloning() -> list[str]:
    made, batch = demonstrations(ours_by_acting("TD3", 0))
    told = d3rlpy.dataset.MDPDataset(batch.observation, batch.action, batch.reward, np.zeros(len(batch)), batch.ended.astype(float))

    def ours(seed):
        return BehaviourCloning(HIDDEN, RATE, BATCH, seed).fit(batch, STEPS["BC"]).act

    def theirs(seed):
        d3rlpy.seed(seed)
        learner = BCConfig(batch_size=BATCH, learning_rate=RATE, action_scaler=MinMaxActionScaler(minimum=np.full(1, -2.0),
                           maximum=np.full(1, 2.0)), encoder_factory=VectorEncoderFactory(list(HIDDEN))).create(device="cpu:0")
        learner.fit(told, STEPS["BC"], STEPS["BC"], logger_adapter=NoopAdapterFactory(), show_progress=False, save_interval=10**9)
        return learner.predict

    rows = []
    for side, learn in (("bakeoff", ours), ("d3rlpy", theirs)):
        learned = [timed(lambda learn=learn, seed=seed: learn(seed)) for seed in SEEDS]
        scores = [judge(PENDULUM, act) for act, _ in learned]
        rows.append(f"| BC | {PENDULUM}, {len(batch):,} steps of a policy that got {mean_return(made):.0f} | {side} | {spread(scores)} | "
                    f"| {STEPS['BC'] / min(cost for _, cost in learned):,.0f} |")
    return rows


def spread(scores: list[float]) -> str:
    return f"{np.mean(scores):.0f} ({', '.join(f'{one:.0f}' for one in scores)})"


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    torch.set_num_threads(1)
    rows = [row for name in ("TD3", "SAC", "DQN", "Double DQN") for row in by_acting(name)] + cloning()
    text = f"""# Agents, beside Stable-Baselines3 and d3rlpy

Written by `benchmarks/agents.py` with Stable-Baselines3 {sb3.__version__}, d3rlpy {d3rlpy.__version__} and
PyTorch {torch.__version__}, one thread.

Both sides have hidden layers of {HIDDEN}, Adam at {RATE:g} and batches of {BATCH} (DQN: {CARTS["learning_rate"]:g} and
{CARTS["batch_size"]}), gamma 0.99, {WARM_UP:,} steps before the first update, and otherwise their papers' constants; DQN has a phase
of {UPDATES} updates in {EVERY} steps, and a target copied once a phase. Stable-Baselines3 has no double DQN. The return is the mean
of twenty episodes from the same starts without noise, over {len(SEEDS)} seeds, whose own are in brackets. Speeds are by CPU time:
steps in the environment while learning (last seed), updates on a batch with the drawing of minibatches (best of three).

| agent | task | by | return | steps a second | updates a second |
|---|---|---|---|---|---|
""" + "\n".join(rows)
    Path(__file__).with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
