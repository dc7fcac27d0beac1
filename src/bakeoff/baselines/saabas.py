"""Saabas: a row's path through each tree, every change of the expected output credited to the feature split on.

Saabas. Interpreting random forests. 2014 (blog post and the package treeinterpreter).

    phi_i(x) = sum over the splits on feature i that x passes of E[f | child that x enters] - E[f | node]

The expectations are means of the leaves below, weighted by training cover. The sum over i is f(x) - E[f]: locally accurate like
Shapley values, at the cost of one prediction. Only one order of the features counts, that of the path.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..parts.trees import Trees, read


class Saabas:
    """Path attributions of a scikit-learn tree ensemble.

    Args:
        model: a fitted tree, forest or boosted ensemble, see `bakeoff.parts.trees.read`; read once, at first use.

    Example:
        >>> import numpy as np
        >>> from sklearn.tree import DecisionTreeRegressor
        >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> model = DecisionTreeRegressor(random_state=0).fit(x, 80 * x.all(1))
        >>> sorted(Saabas(model).explain(x)[3, :, 0].tolist()), Saabas(model).expected.tolist()
        ([20.0, 40.0], [20.0])
    """

    def __init__(self, model):
        self.model = model

    @cached_property
    def _trees(self) -> Trees:
        return read(self.model)

    @property
    def expected(self) -> np.ndarray:
        """The base value (K,): the output averaged over the training rows."""
        return self._trees.offset + self._trees.value[self._trees.roots].sum(0)

    def explain(self, x) -> np.ndarray:
        """Attributions (N, M, K) of rows (N, M), in the unit of the output; their sum over M is output - expected.

        Raises:
            ValueError: the rows have another number of features, or the model is of another sort.
        """
        trees = self._trees
        rows, outputs = trees.rows(x), trees.value.shape[1]
        credit = np.zeros((outputs, len(rows) * trees.columns))
        nodes = np.tile(trees.roots, (len(rows), 1))  # (N, T)
        owner = np.arange(len(rows))[:, None] * trees.columns
        while ((below := trees.step(rows, nodes)) != nodes).any():
            place = (owner + trees.feature[nodes]).reshape(-1)
            change = (trees.value[below] - trees.value[nodes]).reshape(-1, outputs)
            for k in range(outputs):
                credit[k] += np.bincount(place, change[:, k], credit.shape[1])
            nodes = below
        return credit.reshape(outputs, len(rows), trees.columns).transpose(1, 2, 0)
