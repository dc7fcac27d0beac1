"""Pictures of a square from -1 to 1 seen from above: walls, values, walks; and of estimates against what came."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

WALL, WALK, START, GOAL = (0.2, 0.2, 0.25), (0.9, 0.45, 0.0), (0.3, 0.3, 0.5), (0.1, 0.6, 0.2)
LOW, HIGH = np.array((0.15, 0.2, 0.45)), np.array((1.0, 0.95, 0.6))


def ground(size: int = 240, values: np.ndarray | None = None) -> np.ndarray:
    """A white plan (size, size, 3), or one with the colours of values (n, n): first index from low y to high, second from low x to high."""
    if values is None:
        return np.ones((size, size, 3))
    reach = values.max() - values.min()
    share = ((values - values.min()) / reach if reach > 0 else np.zeros_like(values))[::-1, :, None]
    rows = np.arange(size) * len(values) // size
    return (LOW + share * (HIGH - LOW))[rows[:, None], rows]


def trace(plan: np.ndarray, points: np.ndarray, colour: tuple[float, ...] = WALK, thick: int = 2) -> None:
    """Draw the line through points (n, 2) into a plan.

    Example:
        >>> plan = ground(11)
        >>> trace(plan, np.array([[-1.0, 0.0], [1.0, 0.0]]), (0.0, 0.0, 0.0), thick=1)
        >>> plan[:, :, 0].sum(1).tolist() == [11.0] * 5 + [0.0] + [11.0] * 5
        True
    """
    size = len(plan)
    ends = points if len(points) > 1 else np.repeat(points, 2, 0)
    line = ends[:-1, None] + np.linspace(0, 1, 2 * size)[:, None] * np.diff(ends, axis=0)[:, None]  # (n - 1, 2 size, 2)
    column, row = ((line.reshape(-1, 2) * (1, -1) + 1) / 2 * (size - 1)).round().astype(int).T
    for wide in range(thick):
        for high in range(thick):
            plan[(row + high - thick // 2).clip(0, size - 1), (column + wide - thick // 2).clip(0, size - 1)] = colour


def walks(plan: np.ndarray, walls: np.ndarray, paths: Iterable[np.ndarray], goals: np.ndarray) -> np.ndarray:
    """A plan with walls (W, 2, 2), paths (n, 2) from their dark starts, and green goals (E, 2)."""
    for path in paths:
        trace(plan, path)
        trace(plan, path[:1], START, 7)
    for goal in goals:
        trace(plan, goal[None], GOAL, 7)
    for wall in walls:
        trace(plan, wall, WALL, 3)
    return plan


def against(estimate: np.ndarray, came: np.ndarray, size: int = 240) -> np.ndarray:
    """A picture (size, size, 3) of pairs (E,): what came to the right, its estimate upwards, and the line on which they are equal."""
    low, high = min(estimate.min(), came.min()), max(estimate.max(), came.max())
    reach = max(high - low, 1e-9)
    plan = ground(size)
    trace(plan, np.array([[-1.0, -1.0], [1.0, 1.0]]), (0.6, 0.6, 0.6), 1)
    for point in np.stack([came, estimate], 1):
        trace(plan, 1.9 * (point[None] - low) / reach - 0.95, WALK, 4)
    return plan
