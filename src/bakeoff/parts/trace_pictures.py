"""Pictures of chains in space: what was, in grey, and what a model makes of it, in orange."""

from __future__ import annotations

import numpy as np

TRUE, FOUND, BARS = (0.6, 0.6, 0.6), (0.9, 0.45, 0.0), (0.3, 0.3, 0.5)


def overlaid(true: np.ndarray, found: np.ndarray, size: int = 240) -> np.ndarray:
    """Traces side by side, seen along the axis in which the first is thinnest.

    Args:
        true: (P, n, 3) chains that already lie on `found`.
        found: (P, n, 3).
        size: pixels of each picture's side.

    Returns:
        (size, P * size, 3), in [0, 1].

    Example:
        >>> straight = np.array([[[0.0, 0, 0], [2, 0, 0]]])
        >>> overlaid(straight, straight, size=20).shape
        (20, 20, 3)
    """
    middle = true.mean((0, 1))
    plane = np.linalg.svd(true[0] - middle, full_matrices=False)[2][:2]
    reach = np.abs((np.concatenate([true, found]) - middle) @ plane.T).max()
    pages = np.ones((len(true), size, size, 3))
    for page, *both in zip(pages, true, found, strict=True):
        for trace, colour in zip(both, (TRUE, FOUND), strict=True):
            corners = size / 2 + (size / 2 - 3) * (trace - middle) @ plane.T / reach  # (n, 2)
            line = corners[:-1, None] + np.linspace(0, 1, size)[:, None] * np.diff(corners, axis=0)[:, None]  # (n - 1, size, 2)
            across, down = line.reshape(-1, 2).round().astype(int).T
            for wide, high in ((0, 0), (1, 0), (0, 1)):
                page[down + high, across + wide] = colour
    return np.concatenate(pages, 1)


def bars(values: np.ndarray, width: int, height: int = 60) -> np.ndarray:
    """Values (T,) from 0 to 1 as bars from left to right: a picture (height, width, 3)."""
    tall = height * values[np.arange(width) * len(values) // width] > np.arange(height)[::-1, None]  # (height, width)
    return np.where(tall[:, :, None], BARS, 1.0)
