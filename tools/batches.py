"""How the batches of discrete actions that come with bakeoff were made, and how to make one of an Atari game.

    python tools/batches.py minatar GAME OUT.npz [--frames 300000] [--rows 50000] [--references 100]
        GAME is a MinAtar environment of Gymnasium, such as Breakout, Asterix or SpaceInvaders: sticky actions of 0.1 and rising
        difficulty, as MinAtar has them, and only the actions that the game uses. A Double DQN learns online for so many frames, one update
        every four; then it plays the batch by the rule of the paper (arXiv:1910.01708): an episode has epsilon 0.2 with probability 0.8,
        else 0.001. Kept as bits (data/batch_files.py) with the facts: what the batch returned, random actions, and the learned policy at
        0.001. Some minutes. The seed is 0, and nothing was chosen among several runs.

    python tools/batches.py atari GAME OUT [--frames 10000000] [--rows 50000] [--references 100]
        GAME is one of `ale_py`, such as Breakout. Frames are made gray, the larger of the last two, 84 x 84, the last four as channels;
        an action lasts four frames and sticks with 0.25; an episode is over with the game or after 27,000 actions (data/arcade.py). What
        is learned from, and stands in the batch, are rewards cut to [-1, 1]; the facts are of whole ones. OUT is a folder in which each
        frame is written once, as it is played (data/frame_files.py): 7 KB a row, 0.35 GB for 50,000 rows, 71 GB for the paper's 10
        million. It is read where it lies; in memory are some 100 bytes a row. `bakeoff run discrete_bcq --data OUT --budget full` puts
        the claim to it.
"""

import argparse
import copy
import itertools
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from bakeoff.data import arcade, batch_files, frame_files
from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
from bakeoff.parts.q_networks import q_network
from bakeoff.parts.seeding import seeded

SEED, TOGETHER, UPDATE_EVERY, BATCH, COPY_EVERY, LEARNING_RATE, DISCOUNT = 0, 8, 4, 32, 1000, 2.5e-4, 0.99
FIRST, EXPLORING, EPSILON = 5000, 100_000, 0.1  # frames before learning, frames until epsilon is its least
EPSILONS, SHARES = (0.2, 0.001), (0.8, 0.2)  # of the episodes of the batch


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for command, frames in ((minatar, 300_000), (atari, 10_000_000)):
        one = commands.add_parser(command.__name__)
        one.set_defaults(command=command)
        one.add_argument("game")
        one.add_argument("out", type=Path)
        one.add_argument("--frames", type=int, default=frames)
        one.add_argument("--rows", type=int, default=50_000)
        one.add_argument("--references", type=int, default=100, help="episodes whose mean return is a fact")
    given = vars(parser.parse_args())
    torch.set_num_threads(1)
    given.pop("command")(**given)


def minatar(game, out, frames, rows, references):
    """Make and pack a batch of a MinAtar game."""
    def keep(steps, about):
        columns = [np.array(column) for column in zip(*steps, strict=True)]
        batch_files.pack(DiscreteTransitions(*columns, *about()), out)

    make(f"MinAtar/{game}-v1", frames, rows, references, (128,), 100_000, keep)


def atari(game, out, frames, rows, references):
    """Make a batch of an Atari game, written to disk as it is played."""
    frame_files.makeable(out)
    make(f"Atari/{game}-v0", frames, rows, references, (512,), 20_000, lambda steps, about: frame_files.write(out, steps, about))


def make(name, frames, rows, references, hidden, capacity, keep):
    """Learn; play, and keep the steps; and play twice more for the facts, which are asked for behind the last step."""
    network = learned(name, frames, hidden, capacity)
    rng, returns = np.random.default_rng(SEED), []
    with arcade.make(name) as environment:
        actions = int(environment.action_space.n)
        environment.reset(seed=SEED)

        def about():
            others = {kind: np.mean(returns_of(played(environment, network, rng, lambda now=epsilon: now), references))
                      for kind, epsilon in (("return of random actions", 1.0), ("return of the expert", 0.001)) if references}
            facts = {"return": np.mean(returns), **others, "episodes": len(returns), "frames the policy learned for": frames}
            print(f"{name}: {facts}", file=sys.stderr)
            return actions, name, tuple((fact, float(value)) for fact, value in facts.items())

        steps = counted(itertools.islice(played(environment, network, rng, lambda: rng.choice(EPSILONS, p=SHARES)), rows), returns)
        keep(((now, action, np.clip(reward, -1, 1), following, terminated, over or row == rows)  # the batch ends, whatever the episode does
              for row, (now, action, reward, following, terminated, over) in enumerate(steps, 1)), about)


def played(environment, network, rng, habit):
    """Steps without end: observation, action, reward, next observation, terminated, ended."""
    while True:
        (now, _), epsilon, over = environment.reset(), habit(), False
        while not over:
            action = rng.integers(environment.action_space.n) if rng.random() < epsilon else int(greedy(network, now[None])[0])
            following, reward, terminated, truncated, _ = environment.step(action)
            over = terminated or truncated
            yield now, action, reward, following, terminated, over
            now = following


def counted(steps, returns):
    """The same steps; into `returns` go those of the episodes that came to their end, or that of the only one that did not."""
    total = 0.0
    for step in steps:
        total += step[2]
        if step[-1]:
            returns.append(total)
            total = 0.0
        yield step
    if not returns:
        returns.append(total)


def returns_of(steps, episodes) -> list[float]:
    """The returns of so many episodes."""
    returns = []
    for _ in counted(steps, returns):
        if len(returns) == episodes:
            return returns


def learned(name, frames, hidden, capacity) -> torch.nn.Module:
    """A Double DQN of so many frames in as many environments as play together."""
    environments = [arcade.make(name) for _ in range(TOGETHER)]
    now = np.stack([one.reset(seed=SEED + place)[0] for place, one in enumerate(environments)])
    actions, shape = int(environments[0].action_space.n), now.shape[1:]
    with seeded(SEED):
        network = q_network(shape, actions, hidden)
    slow, optimizer = copy.deepcopy(network), torch.optim.Adam(network.parameters(), LEARNING_RATE, fused=True)
    rng, kept = np.random.default_rng(SEED), Ring(capacity, shape, now.dtype)
    returns, totals, updates = [], np.zeros(TOGETHER), 0
    for frame in range(0, frames, TOGETHER):
        epsilon = max(EPSILON, 1 - (1 - EPSILON) * (frame - FIRST) / EXPLORING)
        action = np.where(rng.random(TOGETHER) < epsilon, rng.integers(actions, size=TOGETHER), greedy(network, now))
        steps = [one.step(int(chosen)) for one, chosen in zip(environments, action, strict=True)]
        following, reward = np.stack([one[0] for one in steps]), np.array([one[1] for one in steps], np.float32)
        terminated = np.array([one[2] for one in steps])
        kept.add(now, action, reward.clip(-1, 1), following, ~terminated)
        now, totals = following, totals + reward
        for place in np.flatnonzero(terminated | np.array([one[3] for one in steps])):
            now[place] = environments[place].reset()[0]
            returns.append(totals[place])
            totals[place] = 0
        for _ in range(TOGETHER // UPDATE_EVERY if frame >= FIRST else 0):
            update(network, slow, optimizer, kept.drawn(rng))
            updates += 1
            if updates % COPY_EVERY == 0:
                slow.load_state_dict(network.state_dict())
        if frame % 100_000 == 0 and returns:
            print(f"{name}: {frame} frames, return {np.mean(returns[-200:]):.2f}", file=sys.stderr)
    for one in environments:
        one.close()
    return network


class Ring:
    """The last `capacity` steps."""

    def __init__(self, capacity, shape, dtype):
        self.columns = (np.zeros((capacity, *shape), dtype), np.zeros(capacity, np.int64), np.zeros(capacity, np.float32),
                        np.zeros((capacity, *shape), dtype), np.zeros(capacity, np.float32))
        self.added = 0

    def add(self, *values):
        places = (self.added + np.arange(TOGETHER)) % len(self.columns[1])
        for column, value in zip(self.columns, values, strict=True):
            column[places] = value
        self.added += TOGETHER

    def drawn(self, rng):
        rows = rng.integers(min(self.added, len(self.columns[1])), size=BATCH)
        observation, action, reward, following, alive = (torch.from_numpy(column[rows]) for column in self.columns)
        return observation.float(), action, reward, following.float(), alive


def greedy(network, observation):
    with torch.no_grad():
        return network(torch.from_numpy(observation).float()).argmax(1).numpy()


def update(network, slow, optimizer, drawn):
    observation, action, reward, following, alive = drawn
    with torch.no_grad():
        best = network(following).argmax(1, keepdim=True)
        target = reward + DISCOUNT * alive * slow(following).gather(1, best).squeeze(1)
    loss = F.smooth_l1_loss(network(observation).gather(1, action[:, None]).squeeze(1), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


if __name__ == "__main__":
    main()
