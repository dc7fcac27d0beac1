"""Fitted tree ensembles of scikit-learn, read into flat arrays that attribution methods walk.

The output is additive: offset + sum over trees of the value of the leaf that a row falls into. Its unit is the model's own:
class probabilities for trees and forests, the target's unit for regression, log-odds (before the link) for boosted classifiers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from sklearn import ensemble, tree
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from ..errors import NotFitted

_SINGLE = (tree.DecisionTreeClassifier, tree.DecisionTreeRegressor)  # the extremely randomised ones are subclasses
_FORESTS = (ensemble.RandomForestClassifier, ensemble.RandomForestRegressor, ensemble.ExtraTreesClassifier, ensemble.ExtraTreesRegressor)
_BOOSTED = (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor)
_BINNED = (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor)


@dataclass(frozen=True)
class Trees:
    """The nodes of all trees, one after another; a leaf is its own child.

    Args:
        roots: (T,) positions of the roots.
        left, right: (V,) positions of the children.
        feature: (V,) column that a split looks at, 0 in a leaf.
        threshold: (V,) in `dtype`; a row goes left where its value is at most this.
        missing_left: (V,) bool; where a missing value goes.
        cover: (V,) weight of the training rows that pass the node.
        value: (V, K) what a leaf adds to the output; in a split, the cover-weighted mean of its children.
        offset: (K,) what the output is without any tree.
        columns: M, how many features a row has.
        dtype: the precision in which the model compares.

    Example:
        >>> from sklearn.tree import DecisionTreeRegressor
        >>> trees = read(DecisionTreeRegressor().fit([[0.0], [1.0]], [3.0, 5.0]))
        >>> trees.predict(np.array([[0.2], [0.9]])).tolist(), trees.value[0].tolist()
        ([[3.0], [5.0]], [4.0])
    """

    roots: np.ndarray
    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    cover: np.ndarray
    value: np.ndarray
    offset: np.ndarray
    columns: int
    dtype: type

    def rows(self, x) -> np.ndarray:
        """Rows as an array (N, M) in the model's precision; `ValueError` for another shape or infinite numbers."""
        rows = np.asarray(x, dtype=self.dtype)
        if rows.ndim != 2 or rows.shape[1] != self.columns:
            raise ValueError(f"found rows of shape {rows.shape}; expected (N, {self.columns}), as the model was fitted")
        if np.isinf(rows).any():
            raise ValueError("found an infinite number; expected finite ones, NaN where a value is missing")
        return rows

    def levels(self) -> list[np.ndarray]:
        """The splits at depth 0, 1, 2, ... of all trees."""
        found, nodes = [], self.roots
        while len(nodes := nodes[self.left[nodes] != nodes]):
            found.append(nodes)
            nodes = np.concatenate([self.left[nodes], self.right[nodes]])
        return found

    def step(self, rows: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """One level down: the child (N, T) that each row enters from its node (N, T)."""
        values = np.take_along_axis(rows, self.feature[nodes], 1)  # (N, T)
        goes_left = (values <= self.threshold[nodes]) | (np.isnan(values) & self.missing_left[nodes])
        return np.where(goes_left, self.left[nodes], self.right[nodes])

    def predict(self, x) -> np.ndarray:
        """The output (N, K) at rows (N, M)."""
        rows = self.rows(x)
        nodes, above = np.tile(self.roots, (len(rows), 1)), None
        while above is None or (nodes != above).any():
            nodes, above = self.step(rows, nodes), nodes
        return self.offset + self.value[nodes].sum(1)


def read(model) -> Trees:
    """The trees of a fitted scikit-learn tree, forest, or boosted ensemble.

    Args:
        model: DecisionTree*, ExtraTree*, RandomForest*, ExtraTrees*, GradientBoosting* or HistGradientBoosting*.

    Raises:
        NotFitted: the model was not fitted.
        ValueError: the model is of another sort, has several targets or categorical splits, or boosts from another model.

    Example:
        >>> from sklearn.tree import DecisionTreeRegressor
        >>> read(DecisionTreeRegressor().fit([[0.0], [1.0]], [3.0, 5.0])).threshold.tolist()
        [0.5, -2.0, -2.0]
    """
    if not isinstance(model, _SINGLE + _FORESTS + _BOOSTED + _BINNED):
        raise ValueError(f"found a {type(model).__name__}; expected a tree, a forest or boosted trees of scikit-learn")
    try:
        check_is_fitted(model)
    except NotFittedError:
        raise NotFitted(f"this {type(model).__name__} has not been fitted", "Call its fit(...) first.") from None
    if isinstance(model, _BINNED):
        return _binned(model)
    if isinstance(model, _BOOSTED):
        return _boosted(model)
    if model.n_outputs_ != 1:
        raise ValueError(f"the model predicts {model.n_outputs_} targets at once; fit one model a target")
    parts = model.estimators_ if isinstance(model, _FORESTS) else [model]
    return _join([_nodes(one.tree_, _shares(one) / len(parts)) for one in parts], 0.0, model.n_features_in_, np.float32)


def _shares(one) -> np.ndarray:
    """What each node answers (V, K): class shares that sum to 1, or a mean (V, 1)."""
    value = one.tree_.value[:, 0]
    return value / value.sum(1, keepdims=True) if isinstance(one, tree.DecisionTreeClassifier) else value


def _boosted(model) -> Trees:
    if not (model.init_ == "zero" or type(model.init_).__module__.startswith("sklearn.dummy")):
        raise ValueError(f"boosting starts from a {type(model.init_).__name__}, which is no tree; leave out init")
    parts, outputs = [], model.estimators_.shape[1]
    for (_, k), one in np.ndenumerate(model.estimators_):
        parts.append(_nodes(one.tree_, model.learning_rate * one.tree_.value[:, 0] * np.eye(outputs)[k]))
    joined = _join(parts, 0.0, model.n_features_in_, np.float32)
    probe = np.zeros((1, model.n_features_in_))
    raw = model.decision_function(probe) if isinstance(model, ensemble.GradientBoostingClassifier) else model.predict(probe)
    return replace(joined, offset=(raw.reshape(1, outputs) - joined.predict(probe))[0])


def _binned(model) -> Trees:
    if model.is_categorical_ is not None and model.is_categorical_.any():
        raise ValueError("the model splits on categories; encode them as numbers and fit it anew")
    parts, outputs = [], len(model._predictors[0])
    for stage in model._predictors:
        for k, one in enumerate(stage):
            nodes, leaf = one.nodes, one.nodes["is_leaf"].astype(bool)
            left, right = (np.where(leaf, -1, nodes[side].astype(int)) for side in ("left", "right"))
            parts.append((left, right, nodes["feature_idx"], nodes["num_threshold"], nodes["missing_go_to_left"], nodes["count"],
                          nodes["value"][:, None] * np.eye(outputs)[k]))
    return _join(parts, model._baseline_prediction.reshape(-1), model.n_features_in_, np.float64)


def _nodes(one, value: np.ndarray) -> tuple:
    return (one.children_left, one.children_right, one.feature, one.threshold, one.missing_go_to_left, one.weighted_n_node_samples, value)


def _join(parts: list[tuple], offset, columns: int, dtype: type) -> Trees:
    """Trees given as (left, right, feature, threshold, missing_left, cover, value), children -1 in leaves, put one after another."""
    sizes = [len(part[0]) for part in parts]
    start = np.repeat(np.cumsum(sizes) - sizes, sizes)  # (V,)
    left, right, feature, threshold, missing_left, cover, value = (np.concatenate(one) for one in zip(*parts, strict=True))
    leaf, exact = left < 0, threshold
    threshold = exact.astype(dtype)
    threshold = np.where(threshold > exact, np.nextafter(threshold, dtype(-np.inf)), threshold)  # rounded down: no decision changes
    left, right = (np.where(leaf, np.arange(len(leaf)), start + side) for side in (left, right))
    trees = Trees(roots=np.cumsum(sizes) - sizes, left=left, right=right, feature=np.where(leaf, 0, feature).astype(int),
                  threshold=threshold, missing_left=missing_left.astype(bool), cover=np.maximum(cover.astype(float), 1e-12), value=value,
                  offset=np.broadcast_to(np.asarray(offset, float), value.shape[1:]), columns=columns, dtype=dtype)
    for splits in reversed(trees.levels()):
        weight = trees.cover[[left[splits], right[splits]]][..., None]  # (2, splits, 1)
        value[splits] = (weight * value[[left[splits], right[splits]]]).sum(0) / weight.sum(0)
    return trees
