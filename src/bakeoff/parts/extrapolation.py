"""How far a learned reward can be trusted: its sums over episodes beside the true returns, most of all beyond the demonstrations."""

from __future__ import annotations

import math

import numpy as np

from ..claim import Drawing
from ..data.kinds.environment import Environment
from ..data.kinds.transitions import Transitions
from ..errors import DataError
from .policy_search import Policy
from .preferences import split_episodes
from .rollouts import Episode, episodes, mean_return
from .value_pictures import scattered

PASSED = 10  # checkpoints of the search that are rolled out
FEWEST = 4  # episodes of which a correlation is taken


def judged(learned, batch: Transitions, test: Environment) -> dict[str, float]:
    """What a policy learned from demonstrations gets, and how well the reward it was sought by foretells that.

    Args:
        learned: has `act(observations)`, `reward(observations)` and `checkpoints`, policies that the search passed.
        batch: the demonstrations.
        test: the environment and the seeds of its starts.

    Returns:
        return in % of the best demonstration; return; return of the best demonstration; correlation of the learned
        and the true sums of rewards over the test episodes and one of each checkpoint; the same of those episodes that are truly
        better than the best demonstration, and their number.
    """
    best = float(returns_of(batch).max())
    if best <= 0:
        raise DataError(f"the best demonstration's return is {best:.4g}, and nothing is a share of that",
                        "Give demonstrations whose best has a return above 0.")
    made = episodes(learned.act, test)
    found, true = compared(learned, made + passed(learned, test))
    beyond = true > best
    return {"return in % of the best demonstration": 100 * mean_return(made) / best, "return": mean_return(made),
            "return of the best demonstration": best, "correlation": correlation(found, true),
            "correlation beyond the best": correlation(found[beyond], true[beyond]), "episodes beyond the best": float(beyond.sum())}


def pictured(learned, test: Environment) -> list[Drawing]:
    """Every episode of `judged` as a point: its true return to the right, the learned one upwards, brought to the same range."""
    found, true = compared(learned, episodes(learned.act, test) + passed(learned, test))
    if not (np.ptp(found) and np.isfinite(found).all()):
        return []
    scaled = true.min() + (found - found.min()) * np.ptp(true) / np.ptp(found)
    title = (f"Learned return (upwards, any range) against true return (to the right, {true.min():.4g} to {true.max():.4g}) "
             f"of {len(true)} episodes: correlation {correlation(found, true):.2f}")
    return [Drawing.picture(title, scattered(true, scaled))]


def passed(learned, test: Environment) -> list[Episode]:
    """An episode of each of at most PASSED checkpoints, evenly spaced, from the first start."""
    many, start = len(learned.checkpoints), Environment(test.name, test.seeds[:1])
    rows = sorted({round(one) for one in np.linspace(0, many - 1, PASSED)}) if many else []
    return [one for row in rows for one in episodes(Policy(learned.checkpoints[row]).act, start)]


def compared(learned, made: list[Episode]) -> tuple[np.ndarray, np.ndarray]:
    """(E,) sums of learned rewards and of true ones, over each episode."""
    return (np.array([float(learned.reward(one.observations).double().sum()) for one in made]),
            np.array([float(one.rewards.sum()) for one in made]))


def returns_of(batch: Transitions) -> np.ndarray:
    """(E,) the return of each episode of a batch."""
    return np.array([batch.reward[rows].sum(dtype=np.float64) for rows in split_episodes(batch)])


def correlation(found: np.ndarray, true: np.ndarray) -> float:
    """Pearson's, of (E,) and (E,); NaN of fewer than FEWEST, or where one of them does not vary.

    Example:
        >>> correlation(np.array([1.0, 2, 3, 4]), np.array([2.0, 4, 6, 8])).__round__(6), correlation(np.ones(2), np.ones(2))
        (1.0, nan)
    """
    if len(true) < FEWEST or not (np.ptp(found) and np.ptp(true)):
        return math.nan
    return float(np.corrcoef(found, true)[0, 1])
