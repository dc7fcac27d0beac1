"""Episodes kept and drawn from: which goals hindsight may give, how often, and what rounds of episodes consist of."""

import numpy as np
import pytest
import torch

from bakeoff.data.four_rooms import FourRooms
from bakeoff.parts.goal_episodes import GoalEpisodes, episodes, practice, returns, success

LENGTHS = (3, 1, 5, 2)


def store() -> GoalEpisodes:
    """Episodes whose steps are told apart: step t of episode e achieves (e, t), its goal is (-1, -1)."""
    kept = GoalEpisodes(30, 1, 1, 2)
    where = np.array([(episode, step) for episode, length in enumerate(LENGTHS) for step in range(length)], float)
    ended = [step == LENGTHS[int(episode)] - 1 for episode, step in where]
    for part in (slice(0, 4), slice(4, None)):  # in two rounds of whole episodes
        kept.add(where[part, :1], where[part, 1:], where[part, :1], where[part], np.full_like(where[part], -1), ended[part])
    return kept


def test_relabelled_goals_come_from_the_same_episode_now_or_later_and_all_of_these_do():
    drawn = store().draw((40_000,), 1.0, torch.Generator().manual_seed(0))
    assert (drawn.goal[:, 0] == drawn.achieved[:, 0]).all()
    assert (drawn.goal[:, 1] >= drawn.achieved[:, 1]).all()
    pairs, counts = torch.cat([drawn.achieved, drawn.goal[:, 1:]], 1).unique(dim=0, return_counts=True)
    assert len(pairs) == sum(length * (length + 1) // 2 for length in LENGTHS)
    expected = 40_000 / sum(LENGTHS) / (torch.tensor(LENGTHS)[pairs[:, 0].long()] - pairs[:, 1])  # steps alike, later ones alike
    np.testing.assert_allclose(counts, expected, rtol=0.15)


def test_the_share_of_relabelled_goals_is_the_one_given_and_the_rest_of_a_step_stays():
    drawn = store().draw((20, 1000), 0.8, torch.Generator().manual_seed(1))
    assert (drawn.goal[..., 0] >= 0).float().mean().item() == pytest.approx(0.8, abs=0.01)
    assert torch.equal(drawn.observation, drawn.achieved[..., :1])
    assert torch.equal(drawn.action, drawn.achieved[..., 1:])
    assert (store().draw((1000,), 0.0, torch.Generator()).goal == -1).all()


def test_a_round_of_episodes_ends_each_where_its_goal_is_reached_or_time_is_up():
    worlds, oracle = FourRooms(copies=20, horizon=9), FourRooms(copies=20, horizon=9)

    def walk(now, goal):
        oracle._position, oracle._goal = now.copy(), goal.copy()
        return oracle.oracle()

    observation, _, following, achieved, goal, ended = episodes(worlds, walk, seed=3)
    starts, ends = np.flatnonzero(np.insert(ended[:-1], 0, True)), np.flatnonzero(ended)
    lengths = ends - starts + 1
    assert len(ends) == 20
    reached = worlds.reached(achieved, goal)
    assert (reached[ends] | (lengths == 9)).all()
    assert not reached[~ended].any()
    assert 0 < reached.sum() < 20
    np.testing.assert_array_equal(observation[starts], FourRooms(copies=20).reset(3)[0])
    np.testing.assert_array_equal(following[:-1][~ended[:-1]], observation[1:][~ended[:-1]])
    assert success(worlds, lambda now, goal: torch.tensor(walk(now, goal)), 3) == 100 * reached.sum() / 20


def test_practice_gives_just_as_many_steps_as_are_asked_for():
    rounds = list(practice(FourRooms(copies=3, horizon=10), lambda now, goal: np.zeros((3, 2)), 70, seed=0))
    assert [len(one[0]) for one in rounds] == [30, 30, 10]
    assert all(one[-1][-1] for one in rounds)
    assert not np.array_equal(rounds[0][0][0], rounds[1][0][0])


def test_returns_are_discounted_from_each_episodes_own_start():
    reward, ended = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]), np.array([0, 1, 1, 0, 0, 1], bool)
    np.testing.assert_allclose(returns(reward, ended, 0.5), [1 + 1, 4, 8 + 8 + 8])
