"""Four rooms: a point that walks through doors to a goal, hundreds of copies at a time, and the shortest way for each.

The square from -1 to 1 is divided by a wall at x = 0 and one at y = 0, with two doors each. A step moves the point by at most
`stride` along each axis, in a straight line; where that line meets a wall, the point stops just before it. Walls have no
thickness: a point on the line of a wall counts as on its upper or right side, so none is ever on neither.

The oracle walks the shortest way: through walls without thickness it bends only at the ends of doors, so it is found
exactly on the graph of these ends that see each other (all points are kept `CLEARANCE` away from the ends).
"""

from __future__ import annotations

import numpy as np

from ..errors import MissingPackage

NAME = "four-rooms"
DOOR = 0.12  # half its width
DOORS = ((-0.6, 0.4), (-0.5, 0.6))  # the middles of those in the wall at x = 0, and of those in the wall at y = 0
MARGIN, CLEARANCE = 1e-6, 0.01


def _walls(doors: tuple[float, float]) -> np.ndarray:
    """(5, 3): place of a wall on one axis, its low and high end on the other; the outer ones last. The outermost ends go on for ever."""
    first, second = doors
    spans = (-np.inf, first - DOOR), (first + DOOR, second - DOOR), (second + DOOR, np.inf)
    return np.array([(0.0, *span) for span in spans] + [(-1.0, -np.inf, np.inf), (1.0, -np.inf, np.inf)])


WALLS = tuple(_walls(doors) for doors in DOORS)  # across x, across y


def free_share(start: np.ndarray, move: np.ndarray) -> np.ndarray:
    """The share of each move (..., 2) from its start (..., 2) that can be walked: 1, or less where a wall is met (...)."""
    share = np.ones(np.broadcast_shapes(start.shape, move.shape)[:-1])
    for axis, walls in enumerate(WALLS):
        place, low, high = walls.T  # (W,) each
        here, far = start[..., axis, None], move[..., axis, None]
        crosses = (here >= place) != (here + far >= place)  # (..., W)
        if not crosses.any():
            continue
        far = np.where(crosses, far, 1.0)
        when = (place - here) / far
        along = start[..., 1 - axis, None] + when * move[..., 1 - axis, None]
        met = crosses & (low <= along) & (along <= high)
        share = np.minimum(share, np.where(met, np.maximum(when - MARGIN / np.abs(far), 0.0), 1.0).min(-1))
    return share


def visible(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """True where the straight line between two points (..., 2) meets no wall (...)."""
    return free_share(start, end - start) == 1


def _bends() -> tuple[np.ndarray, np.ndarray]:
    """The ends of the doors (8, 2), and the lengths of the shortest ways between any two (8, 8)."""
    inset = DOOR - CLEARANCE
    ends = np.array([(0.0, y + side) for y in DOORS[0] for side in (-inset, inset)]
                    + [(x + side, 0.0) for x in DOORS[1] for side in (-inset, inset)])
    ways = np.where(visible(ends[:, None], ends), np.linalg.norm(ends[:, None] - ends, axis=-1), np.inf)
    for middle in range(len(ends)):
        ways = np.minimum(ways, ways[:, middle, None] + ways[middle])
    return ends, ways


BENDS, WAYS = _bends()


def shortest(position: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The length (B,) of the shortest way from each position (B, 2) to its goal (B, 2), and the point (B, 2) where it first bends."""
    start = _seen(position)  # (B, 8)
    start = np.where(start > 1e-9, start, np.inf)  # where the point stands already, nothing is gained by going there
    ways = (start[:, :, None] + WAYS + _seen(goal)[:, None]).min(2)  # (B, 8): by the first bend
    direct = np.where(visible(position, goal), np.linalg.norm(goal - position, axis=1), np.inf)
    best = ways.argmin(1)
    straight = direct <= ways.min(1)
    return np.minimum(direct, ways.min(1)), np.where(straight[:, None], goal, BENDS[best])


def _seen(position: np.ndarray) -> np.ndarray:
    """The distances (B, 8) of each position (B, 2) from the ends of doors that it sees, infinite for the others."""
    away = np.linalg.norm(position[:, None] - BENDS, axis=2)
    return np.where(visible(position[:, None], BENDS), away, np.inf)


class FourRooms:
    """Copies of the world, stepped together. Each starts in the lower left corner, its goal is anywhere.

    Args:
        copies: B.
        horizon: steps after which an episode is cut.
        stride: how far a step can go along each axis.
        radius: the goal is reached within this distance of it.

    Attributes:
        observation_dim, goal_dim: 2 and 2; the position is both the observation and what is achieved.
        action_low, action_high: (2,) bounds, -1 and 1, in strides.
        walls: (10, 2, 2) their two ends.

    Example:
        >>> rooms = FourRooms(copies=3)
        >>> position, goal = rooms.reset(seed=0)
        >>> following, achieved, over = rooms.step(rooms.oracle())
        >>> following.shape, over.tolist()
        ((3, 2), [False, False, False])
    """

    observation_dim = goal_dim = 2
    action_low, action_high = -np.ones(2, np.float32), np.ones(2, np.float32)
    walls = np.array([[np.roll((place, end), axis) for end in ends] for axis, across in enumerate(WALLS)
                      for place, *ends in across.clip(-1, 1)])

    def __init__(self, copies: int = 1, horizon: int = 60, stride: float = 0.1, radius: float = 0.1):
        self.copies, self.horizon, self.stride, self.radius = copies, horizon, stride, radius

    def reset(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """New episodes: observation (B, 2) and goal (B, 2), all from `seed`. Goals are further than `radius` from every wall."""
        rng = np.random.default_rng(seed)
        self._position = rng.uniform(-0.95, -0.75, (self.copies, 2))
        inside = rng.uniform(self.radius, 1 - self.radius, (self.copies, 2))
        self._goal = inside - rng.integers(2, size=(self.copies, 2))
        self._clock = 0
        return self._position.copy(), self._goal.copy()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Move by actions (B, 2), clipped to -1 and 1: next observation (B, 2), what it achieves (B, 2), where the episode is over (B,)."""
        move = self.stride * np.clip(np.asarray(action, float), -1, 1)
        self._position = self._position + free_share(self._position, move)[:, None] * move
        self._clock += 1
        over = self.reached(self._position, self._goal) | (self._clock >= self.horizon)
        return self._position.copy(), self._position.copy(), over

    def reached(self, achieved: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """True where what was achieved (..., 2) is the goal (..., 2), within the radius (...)."""
        away = np.asarray(achieved) - np.asarray(goal)
        return (away * away).sum(-1) <= self.radius**2

    def oracle(self) -> np.ndarray:
        """The actions (B, 2) that walk the shortest way from where the copies are."""
        action = (shortest(self._position, self._goal)[1] - self._position) / self.stride
        return action / np.maximum(np.abs(action).max(1, keepdims=True), 1.0)


def demonstrate(episodes: int, seed: int, random_share: float = 0.2) -> dict[str, np.ndarray]:
    """Walks of the oracle with a share of uniformly random actions, one episode after another: the columns of `Demonstrations`."""
    rooms, rng = FourRooms(episodes), np.random.default_rng((seed, 1))
    now, goal = rooms.reset(seed)
    steps, going = [], np.ones(episodes, bool)
    while going.any():
        erring = rng.random(episodes)[:, None] < random_share
        action = np.where(erring, rng.uniform(-1, 1, (episodes, 2)), rooms.oracle()).astype(np.float32)
        following, achieved, over = rooms.step(action)
        steps.append((now, action, following, achieved, goal, over, going.copy()))
        now, going = following, going & ~over
    *columns, made = (np.stack(column, 1) for column in zip(*steps, strict=True))  # (episodes, T, ...)
    return dict(zip(("observation", "action", "next_observation", "achieved", "goal", "ended"),
                    (column[made] for column in columns), strict=True))


def gymnasium_environment(horizon: int = 60):
    """One copy as a Gymnasium goal environment, with observations {observation, achieved_goal, desired_goal}.

    Raises:
        MissingPackage: without gymnasium.
    """
    try:
        import gymnasium
    except ImportError:
        raise MissingPackage("gymnasium", "rl") from None
    square = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    class Environment(gymnasium.Env):
        """Four rooms; a step is worth 1 where it reaches the goal, which ends the episode, and 0 elsewhere."""

        observation_space = gymnasium.spaces.Dict({name: square for name in ("observation", "achieved_goal", "desired_goal")})
        action_space = square

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self._rooms = FourRooms(horizon=horizon)
            now, self._goal = self._rooms.reset(int(self.np_random.integers(2**31)))
            return self._told(now), {}

        def step(self, action):
            now, _, over = self._rooms.step(np.asarray(action)[None])
            reached = bool(self._rooms.reached(now, self._goal)[0])
            return self._told(now), float(reached), reached, bool(over[0]) and not reached, {"is_success": reached}

        def compute_reward(self, achieved, goal, info):
            return self._rooms.reached(achieved, goal).astype(np.float32)

        def _told(self, now):
            now, goal = now[0].astype(np.float32), self._goal[0].astype(np.float32)
            return {"observation": now, "achieved_goal": now.copy(), "desired_goal": goal}

    return Environment()
