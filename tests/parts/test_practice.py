"""The loop of acting and keeping: what is kept, what time limits mean, and whose environment is closed."""

import gymnasium
import numpy as np
import pytest
import torch

from bakeoff.data.kinds.environment import Environment
from bakeoff.errors import DataError
from bakeoff.parts.practice import continuous, discrete, opened, practice
from bakeoff.parts.replay import Experience


class Walk(gymnasium.Env):
    """The observation is where one is; actions are added to it; beyond 3 the task ends, and after four steps the time is up."""

    observation_space, action_space = gymnasium.spaces.Box(-9, 9, (1,)), gymnasium.spaces.Box(-2, 2, (1,))
    closed = False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = 0.0, 0
        return np.array([self.place], np.float32), {}

    def step(self, action):
        self.place, self.steps = self.place + float(action[0]), self.steps + 1
        return np.array([self.place], np.float32), 10 * self.place, self.place > 3, self.steps == 4, {}

    def close(self):
        self.closed = True


def walked(unit: float, steps: int, **options):
    """What was drawn, what was heard, and what was kept of walking with one action over and over."""
    seen, heard, rng = Experience(100, (1,), 1), [], torch.Generator().manual_seed(0)
    drawn = list(practice(Walk(), lambda observation, step: torch.tensor([unit]), lambda action: 2 * action.numpy(), seen, rng, steps=steps,
                          seed=0, on_step=heard.append, **{"warm_up": 0, "batch_size": 9} | options))
    columns = [column[:steps].flatten().tolist() for column in seen._columns]
    return drawn, heard, dict(zip(("observation", "action", "reward", "following", "alive"), columns, strict=True))


def test_every_step_is_kept_as_chosen_and_sent_in_the_environments_units():
    _, heard, kept = walked(0.5, steps=6)
    assert heard == kept["reward"] == [10, 20, 30, 40, 10, 20]
    assert kept["observation"] == [0, 1, 2, 3, 0, 1]
    assert kept["following"] == [1, 2, 3, 4, 1, 2]  # the fourth step's is where it led, not the next start
    assert kept["action"] == [0.5] * 6


def test_a_time_limit_ends_an_episode_but_not_the_task():
    assert walked(0.25, steps=5)[2]["alive"] == [1, 1, 1, 1, 1]  # cut after four steps
    assert walked(0.25, steps=5)[2]["observation"] == [0, 0.5, 1, 1.5, 0]
    assert walked(1.0, steps=5)[2]["alive"] == [1, 0, 1, 0, 1]


def test_minibatches_come_in_phases_after_the_warm_up_and_hold_what_has_been_lived_through():
    drawn, _, _ = walked(0.5, steps=12, warm_up=4, every=3, updates=2, batch_size=50)
    assert len(drawn) == 2 * 3  # after the steps 6, 9 and 12
    assert all(len(column) == 50 for minibatch in drawn for column in minibatch)
    observation, action, reward, following, _ = (torch.cat(column) for column in zip(*drawn, strict=True))
    assert torch.equal(following, observation + 2 * action)
    assert torch.equal(reward, 10 * following[:, 0])


def test_what_was_made_here_is_closed_and_what_was_given_is_not(monkeypatch):
    own = Walk()
    with opened(own) as given:
        assert given is own
    assert not own.closed
    monkeypatch.setattr(Environment, "make", lambda self: own)
    with pytest.raises(ZeroDivisionError), opened(Environment("Walk-v0")) as made:
        1 / made.closed  # whatever fails in between
    assert own.closed


def test_environments_are_asked_for_their_sort_of_actions():
    with opened(Environment("Pendulum-v1")) as pendulum, opened(Environment("CartPole-v1")) as cart:
        size, box = continuous(pendulum)
        assert discrete(cart) == ((4,), 2)
        assert (size, box.action(torch.tensor([-1.0])).item(), box.half.item()) == (3, -2, 2)
        with pytest.raises(DataError, match="method is for continuous actions"):
            continuous(cart)
        with pytest.raises(DataError, match="method is for discrete actions"):
            discrete(pendulum)
    board = gymnasium.make("FrozenLake-v1")
    with board, pytest.raises(DataError, match="FlattenObservation"):
        discrete(board)
