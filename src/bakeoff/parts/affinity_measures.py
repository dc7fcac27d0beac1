"""How well predicted binding affinities agree with measured ones: the right order, the squared error, the external fit r_m^2."""

from __future__ import annotations

import math

import numpy as np


def concordance(measured, predicted) -> float:
    """The share of comparable pairs that are in the right order; a tie of the predictions counts one half.

        CI = 1/Z sum_{y_i > y_j} h(p_i - p_j),  h(d) = 1, 1/2, 0 for d above, at, below 0;  Z pairs have y_i > y_j

    It is 1 for the truth or any increasing map of it, 1/2 for a constant and, on average, for chance. O(n log n), after Knight (1966):
    all pairs, less the tied ones, less the inversions that are left when the rows are sorted by (y, p).

    Args:
        measured: y, (N,) numbers.
        predicted: p, (N,) numbers.

    Returns:
        CI; NaN where no two measured values differ.

    Raises:
        ValueError: the two are not of one shape (N,), or a value is missing.

    Example:
        >>> concordance([1.0, 2.0, 3.0], [0.1, 0.4, 0.4])  # of three pairs two are in order, one is tied
        0.8333333333333334
    """
    measured, predicted = _both(measured, predicted)
    y, p = (np.unique(one, return_inverse=True)[1] for one in (measured, predicted))  # ranks (N,) each
    tied_y, tied_p, tied_both = _ties(y), _ties(p), _ties(y * len(p) + p)
    comparable = math.comb(len(y), 2) - tied_y
    if not comparable:
        return math.nan
    wrong = inversions(p[np.lexsort((p, y))])
    tied = tied_p - tied_both  # comparable, but of one prediction
    return (comparable - tied - wrong + tied / 2) / comparable


def inversions(ranks: np.ndarray) -> int:
    """How many pairs i < j of `ranks` (N,), whole numbers from 0, have ranks[i] > ranks[j].

    Such a pair agrees in its higher bits and first differs where i has a one and j a zero. So the bits are gone through from the
    highest; the ranks are kept sorted by what has been seen of them, in their own order where that is equal.

    Example:
        >>> inversions(np.array([2, 0, 1, 3]))
        2
    """
    ranks, count, place = np.asarray(ranks, dtype=np.int64), 0, np.arange(len(ranks))
    for bit in reversed(range(int(ranks.max(initial=0)).bit_length())):
        one = ranks >> bit & 1
        first = np.flatnonzero(np.diff(ranks >> bit + 1, prepend=-1))  # of each run of equal higher bits
        sizes = np.diff(first, append=len(ranks))
        start, zeros = np.repeat(first, sizes), np.repeat(np.add.reduceat(1 - one, first), sizes)
        ones_before = np.cumsum(one) - one
        ones_before -= ones_before[start]
        count += int(ones_before[one == 0].sum())
        order = np.empty_like(place)
        order[start + np.where(one, zeros + ones_before, place - start - ones_before)] = place
        ranks = ranks[order]
    return count


def squared_error(measured, predicted) -> float:
    """The mean of (y - p)^2 over `measured` (N,) and `predicted` (N,), in the square of their unit.

    Example:
        >>> squared_error([1.0, 2.0], [1.0, 4.0])
        2.0
    """
    measured, predicted = _both(measured, predicted)
    return float(np.square(measured - predicted).mean())


def external_fit(measured, predicted) -> float:
    """r_m^2, a correlation that is lowered where the line of best fit misses the origin (Roy and Roy 2008).

        r_m^2 = r^2 (1 - sqrt|r^2 - r_0^2|),  r_0^2 = 1 - sum (y - k p)^2 / sum (y - mean y)^2,  k = sum y p / sum p^2

    r is Pearson's correlation. The release of DeepDTA squares r^2 and r_0^2 once more under the root; here they stand as published.

    Args:
        measured: y, (N,) numbers.
        predicted: p, (N,) numbers.

    Returns:
        r_m^2; NaN where either side is constant.

    Example:
        >>> round(external_fit([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]), 6)
        1.0
    """
    y, p = _both(measured, predicted)
    if not np.ptp(y) or not np.ptp(p):
        return math.nan
    spread = np.square(y - y.mean()).sum()
    r2 = np.corrcoef(y, p)[0, 1] ** 2
    r02 = 1 - np.square(y - p * (y @ p / (p @ p))).sum() / spread
    return float(r2 * (1 - math.sqrt(abs(r2 - r02))))


def _both(measured, predicted) -> tuple[np.ndarray, np.ndarray]:
    measured, predicted = np.asarray(measured, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if measured.ndim != 1 or measured.shape != predicted.shape or not len(measured):
        raise ValueError(f"shapes {measured.shape} and {predicted.shape}; expected one shape (N,), N above 0")
    if np.isnan(measured).any() or np.isnan(predicted).any():
        raise ValueError("a value is missing; expected numbers")
    return measured, predicted


def _ties(ranks: np.ndarray) -> int:
    """How many pairs of equal whole numbers there are."""
    counts = np.unique(ranks, return_counts=True)[1].astype(np.int64)
    return int((counts * (counts - 1) // 2).sum())
