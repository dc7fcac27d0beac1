"""Pictures of what a critic expects against what comes."""

from __future__ import annotations

import numpy as np

from ..claim import Drawing
from ..data.kinds.environment import Environment
from .rollouts import came_of, episodes

POINT, AGREED = np.array((0.85, 0.35, 0.0)), (0.55, 0.55, 0.55)
REMAINING = 0.05  # a return cut by a time limit is left out where steps beyond it would weigh more than this


def estimates_against_returns(policy, test: Environment) -> list[Drawing]:
    """Every state of the test episodes as a point: what came from there to the right, what the policy's critic expected upwards.

    Args:
        policy: has `act(observations)`, `value(observations, actions)` and `discount`.
        test: the environment and the seeds of its starts.

    Returns:
        One picture, in whose title are the mean gap and the range of both axes; points above the grey line are overestimates.
    """
    expected, came = compared(policy, test)
    if not len(came) or not np.isfinite(expected).all():
        return []
    low, high = min(expected.min(), came.min()), max(expected.max(), came.max())
    title = (f"Value expected (upwards) against discounted return that came (to the right), both from {low:.4g} to {high:.4g}; "
             f"expected {expected.mean():.4g}, came {came.mean():.4g} on average over {len(came)} states")
    return [Drawing.picture(title, scattered(came, expected))]


def compared(policy, test: Environment) -> tuple[np.ndarray, np.ndarray]:
    """What the critic expected and what came, (S,) each, over the states of the test episodes whose return is not cut."""
    expected, came = [], []
    for one in episodes(policy.act, test):
        whole = len(one.rewards) if one.terminated else max(0, len(one.rewards) - _horizon(policy.discount))
        if whole:
            expected.append(np.asarray(policy.value(one.observations, one.actions))[:whole])
            came.append(came_of(policy, one)[:whole])
    return np.concatenate([*expected, []]), np.concatenate([*came, []])


def scattered(across: np.ndarray, up: np.ndarray, size: int = 240) -> np.ndarray:
    """Points (S,) in a square picture (size, size, 3) with one range for both axes, and a grey line where both are equal.

    Example:
        >>> picture = scattered(np.array([0.0, 1.0]), np.array([0.0, 0.0]), size=8)
        >>> picture[-1, 0].tolist(), picture[-1, -1].tolist()  # the first point lies on the line, the second at the right
        ([0.85, 0.35, 0.0], [0.85, 0.35, 0.0])
    """
    low, high = min(across.min(), up.min()), max(across.max(), up.max())
    page = np.ones((size, size, 3))
    diagonal = np.arange(size)
    page[size - 1 - diagonal, diagonal] = AGREED
    places = ((np.stack([across, up]) - low) / max(high - low, 1e-12) * (size - 1)).round().astype(int)
    page[size - 1 - places[1], places[0]] = POINT
    return page


def _horizon(discount: float) -> int:
    """Steps after which a reward weighs less than REMAINING."""
    return int(np.ceil(np.log(REMAINING) / np.log(discount))) if 0 < discount < 1 else (1 if discount <= 0 else 10**9)
