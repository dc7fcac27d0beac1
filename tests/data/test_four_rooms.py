"""Four rooms: walls against a test of crossing segments written otherwise, the oracle against a fine grid, the Gymnasium form."""

import heapq

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from bakeoff.data import four_rooms as rooms
from bakeoff.data.four_rooms import FourRooms, demonstrate, free_share, gymnasium_environment, shortest, visible

RNG = np.random.default_rng(5)


def turns(a, b, c):
    return np.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def crosses_a_wall(a, b):
    """By the side of each line on which the ends of the other lie."""
    return any(turns(a, b, p) != turns(a, b, q) and turns(p, q, a) != turns(p, q, b) for p, q in FourRooms.walls)


def test_a_line_is_free_where_no_wall_separates_its_ends():
    starts, ends = RNG.uniform(-0.99, 0.99, (2, 4000, 2))
    known = [not crosses_a_wall(a, b) for a, b in zip(starts, ends, strict=True)]
    assert visible(starts, ends).tolist() == known
    assert 500 < sum(known) < 3500


def test_a_step_goes_as_far_as_it_can_and_never_through_a_wall():
    starts, moves = RNG.uniform(-0.99, 0.99, (2000, 2)), RNG.uniform(-0.5, 0.5, (2000, 2))
    share = free_share(starts, moves)
    ends = starts + share[:, None] * moves
    assert not any(crosses_a_wall(a, b) for a, b in zip(starts, ends, strict=True))
    met = share < 1
    assert 200 < met.sum() < 1800
    beyond = ends + 0.002 * moves / np.linalg.norm(moves, axis=1, keepdims=True)
    assert all(crosses_a_wall(a, b) for a, b in zip(starts[met], beyond[met], strict=True))


def test_a_wall_is_met_head_on_at_its_place_and_a_door_lets_through():
    wall = FourRooms()
    wall.reset(0)
    for start, expected in (([-0.05, 0.0 - 0.3], -rooms.MARGIN), ([-0.05, -0.6], 0.05)):
        wall._position = np.array([start])
        following, _, _ = wall.step([[1.0, 0.0]])
        np.testing.assert_allclose(following, [[expected, start[1]]], atol=1e-9)


def test_copies_stay_inside_for_a_thousand_random_steps():
    many = FourRooms(copies=300)
    many.reset(1)
    for _ in range(1000):
        position, _, _ = many.step(RNG.uniform(-1.5, 1.5, (300, 2)))
    assert np.abs(position).max() < 1
    assert len({tuple(row) for row in np.sign(position)}) == 4  # and all rooms are found


def test_the_oracle_reaches_every_goal_by_the_shortest_way():
    many = FourRooms(copies=500)
    start, goal = many.reset(2)
    reached = np.zeros(500, bool)
    for _ in range(many.horizon):
        position, _, _ = many.step(many.oracle())
        reached |= many.reached(position, goal)
    assert reached.all()
    walked, left = shortest(start, goal)[0], shortest(position, goal)[0]
    assert (left <= walked + 1e-9).all()


def test_the_shortest_way_is_that_of_a_fine_grid():
    """Dijkstra's on a grid of moves to sixteen neighbours is not shorter but for the distance kept from doors, and not much longer."""
    spacing, size = 0.04, 49
    places = np.linspace(-0.96, 0.96, size) + 0.003  # no point on a wall's line
    hops = [(i, j) for i in range(-2, 3) for j in range(-2, 3) if np.gcd(i, j) == 1]
    known = np.full((size, size), np.inf)
    start = (1, 1)
    known[start] = 0
    todo = [(0.0, start)]
    grid = np.stack(np.meshgrid(places, places, indexing="ij"), -1)
    free = {hop: free_share(grid, spacing * np.array(hop, float)) == 1 for hop in hops}
    while todo:
        far, (i, j) = heapq.heappop(todo)
        if far > known[i, j]:
            continue
        for hop in hops:
            a, b = i + hop[0], j + hop[1]
            if 0 <= a < size and 0 <= b < size and free[hop][i, j] and (new := far + spacing * np.hypot(*hop)) < known[a, b] - 1e-12:
                known[a, b] = new
                heapq.heappush(todo, (new, (a, b)))
    goals = grid.reshape(-1, 2)
    found = shortest(np.broadcast_to(grid[start], goals.shape).copy(), goals)[0]
    ratio = known.ravel()[found > 0.2] / found[found > 0.2]
    assert ratio.min() > 0.98  # the oracle keeps a little away from the ends of doors
    assert ratio.max() < 1.06


def test_demonstrations_follow_from_their_seed_and_a_fifth_of_them_errs():
    one, again, other = demonstrate(50, 3), demonstrate(50, 3), demonstrate(50, 4)
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["goal"][0], other["goal"][0])
    assert one["ended"].sum() == 50
    np.testing.assert_array_equal(one["next_observation"][:-1][~one["ended"][:-1]], one["observation"][1:][~one["ended"][:-1]])
    way = shortest(one["observation"], one["goal"])[1] - one["observation"]
    straight = (way * one["action"]).sum(1) / np.linalg.norm(way, axis=1) / np.linalg.norm(one["action"], axis=1)
    assert 0.14 < (straight < 1 - 1e-4).mean() < 0.26


def test_the_gymnasium_form_obeys_its_rules_and_rewards_by_the_worlds_own_test():
    environment = gymnasium_environment()
    check_env(environment, skip_render_check=True)
    first, _ = environment.reset(seed=4)
    world = FourRooms()
    world._position, world._goal, world._clock = first["observation"][None].astype(float), first["desired_goal"][None].astype(float), 0
    over = False
    while not over:
        told, reward, terminated, truncated, _ = environment.step(world.oracle()[0])
        world._position = told["observation"][None].astype(float)
        over = terminated or truncated
        assert reward == environment.compute_reward(told["achieved_goal"], told["desired_goal"], {}) == float(terminated)
    assert terminated
    assert reward == pytest.approx(1.0)
