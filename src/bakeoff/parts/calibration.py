"""How far a classifier's confidence can be believed, and how well a score separates two groups."""

from __future__ import annotations

import torch


def expected_calibration_error(probabilities, labels, bins: int = 15) -> float:
    """The mean distance between confidence and accuracy, over bins of equal width: sum_b n_b / N |accuracy_b - confidence_b|.

    Bin b holds the predictions whose confidence, the highest probability, lies in (b / bins, (b + 1) / bins].

    Args:
        probabilities: (N, K) rows that sum to 1; a tensor or an array.
        labels: (N,) class numbers.
        bins: how many.

    Returns:
        A number in [0, 1]; 0 for a classifier that is right as often as it says.

    Raises:
        ValueError: shapes do not fit, there are no rows or bins, a row is not of probabilities, or a label is not one of 0..K-1.

    Example:
        >>> sure, unsure = [1.0, 0.0], [0.5, 0.5]
        >>> expected_calibration_error([sure, sure, unsure, unsure], [0, 1, 0, 1])  # 1.0 said, half of them right
        0.25
    """
    probabilities, labels = torch.as_tensor(probabilities, dtype=torch.float64), torch.as_tensor(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError("expected probabilities (N, K) and labels (N,) with N > 0, "
                         f"found the shapes {tuple(probabilities.shape)} and {tuple(labels.shape)}")
    if not ((probabilities >= 0).all() and ((probabilities.sum(1) - 1).abs() < 1e-3).all()):
        raise ValueError("expected rows of probabilities, none below 0 and of sum 1; take the softmax of logits")
    if not ((labels == labels.long()) & (labels >= 0) & (labels < probabilities.shape[1])).all() or bins < 1:
        raise ValueError(f"expected labels that are whole numbers 0 to {probabilities.shape[1] - 1}, a column each, and bins of 1 or more")
    confidence, said = probabilities.max(1)  # (N,)
    which = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gap = (said == labels).double() - confidence
    return float(torch.zeros(bins, dtype=torch.float64).index_add_(0, which, gap).abs().sum() / len(labels))


def auroc(scores, positive) -> float:
    """The area under the receiver operating characteristic: P(score of a positive > score of a negative), ties counting half.

    Args:
        scores: (N,) numbers, higher for what is held to be positive; a tensor or an array.
        positive: (N,) truth values, some of each.

    Returns:
        A number in [0, 1]; 1/2 for scores that tell nothing.

    Raises:
        ValueError: shapes do not fit, a score is not a number, a truth value not 0 or 1, or one of the groups is empty.

    Example:
        >>> auroc([0.1, 0.4, 0.4, 0.9], [False, True, False, True])
        0.875
    """
    scores, positive = torch.as_tensor(scores, dtype=torch.float64), torch.as_tensor(positive)
    if not ((positive == 0) | (positive == 1)).all():
        raise ValueError("expected truth values True or False, or 1 and 0; make them of labels by labels == a class")
    positive = positive.bool()
    many = int(positive.sum())
    if scores.ndim != 1 or scores.shape != positive.shape or not 0 < many < len(scores):
        raise ValueError("expected scores (N,) and truth values (N,), some of each; "
                         f"found the shapes {tuple(scores.shape)} and {tuple(positive.shape)}, {many} true")
    if scores.isnan().any():
        raise ValueError("expected scores that are numbers, found NaN")
    _, which, counts = scores.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1).double() / 2)[which]  # (N,), equal scores share the mean of their ranks
    return float((ranks[positive].sum() - many * (many + 1) / 2) / (many * (len(scores) - many)))
