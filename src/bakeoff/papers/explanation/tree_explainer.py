"""TreeExplainer: exact Shapley values of tree ensembles in polynomial time, where enumeration needs every subset of the features.

Lundberg, Erion, Chen, DeGrave, Prutkin, Nair, Katz, Himmelfarb, Bansal, Lee. Nature Machine Intelligence 2020. arXiv:1905.04610.

Method: feature i of a row x is credited with its Shapley value in the game v(S) = "the output when only S is known". Two games:
path-dependent, where a split on an unknown feature sends x both ways, weighted by training cover; interventional, where unknown
features take a background row's values, averaged over rows. A tree is a sum over leaves; on the way to a leaf of value u,

    v(S) = u prod_{j in S} o_j prod_{j not in S} z_j,     o_j = 1 if x_j passes all splits on j there, else 0,

j among the d features met, z_j the product of cover fractions of these splits, or 1 or 0 as the background row passes. A Shapley
value is the mean effect of i's arrival if all arrive at times t uniform in [0, 1]; for a product (and alike for pairs) that is

    phi_i = u (o_i - z_i) I[i],   I_ij = u (o_i - z_i) (o_j - z_j) I[ij],   I[A] = int_0^1 prod_{j not in A} (z_j + (o_j - z_j) t) dt.

The integrand is a polynomial of degree < d: ceil(d / 2) Gauss-Legendre nodes are exact. All depends on x through the bits o alone:
it is computed once for each pattern of bits met at a leaf, then looked up. Interactions: Phi_ij = I_ij / 2, Phi_ii = phi_i - sum_j Phi_ij.

Departures: the paper walks each tree with a running polynomial of subset sizes (EXTEND, UNWIND), O(T L D^2) a row; the integral
gives the same numbers in array operations. For classes the area is averaged over all of them, where the paper takes the second
class, and outputs count from that of a row with nothing kept, which moves both arms alike. Each split is a pair, not one of ten.

Out of reach: attributions of a loss, the other twenty of the paper's measures, its medical data, whether people find the numbers
useful. Filling with the mean makes rows that do not exist; a second measure fills from training rows. One sort of forest is judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, reduce
from itertools import combinations

import numpy as np
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from bakeoff.baselines.saabas import Saabas
from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.data.kinds.table import Table
from bakeoff.parts.trees import Trees, read

PAPER = Paper(title="From local explanations to global understanding with explainable AI for trees",
              authors=("Lundberg", "Erion", "Chen", "DeGrave", "Prutkin", "Nair", "Katz", "Himmelfarb", "Bansal", "Lee"), year=2020,
              venue="Nature Machine Intelligence", arxiv="1905.04610",
              also=("Explainable AI for Trees", "TreeExplainer", "Tree SHAP", "TreeSHAP", "SHAP values of trees"))
CLAIM = Claim(says="Shapley values find the features that raise a forest's output better than path attributions (Saabas): with these kept "
                   "and the rest masked by the mean, the curve of outputs has a larger area (best or near best in most of 21 measures).",
              data="breast-cancer", metric="keep-positive area", unit="% of the output's scale", better="higher", margin=0.5,
              equal="steps", steps={"smoke": 10, "quick": 100, "full": 500})
__all__ = ["TreeExplainer"]

CELLS = 1 << 19  # numbers of a table in memory at once
DEEPEST = 40  # features on one path: their bits and a leaf's number share 64


class TreeExplainer:
    """Exact Shapley values and interactions of a scikit-learn tree ensemble, in the unit of its output.

    The output has K numbers: class probabilities (K classes) of trees and forests; log-odds of boosted classifiers (K = 1 for two
    classes); the prediction (K = 1) of regressors. Results always have the axis K and are float64.

    Args:
        model: fitted DecisionTree*, ExtraTree*, RandomForest*, ExtraTrees*, [Hist]GradientBoosting*; read once, at first use.
        background: (B, M) rows for the interventional game; None for the path-dependent one.

    Raises:
        NotFitted: at first use, if the model has not been fitted.
        ValueError: at first use, if the model is of another sort or the rows are not (N, M).

    Example:
        >>> import numpy as np
        >>> from sklearn.tree import DecisionTreeRegressor
        >>> from bakeoff.papers.explanation.tree_explainer import TreeExplainer
        >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> explainer = TreeExplainer(DecisionTreeRegressor().fit(x, 80 * x.all(1)))
        >>> explainer.explain(x)[3, :, 0].round(6).tolist(), explainer.expected.tolist()
        ([30.0, 30.0], [20.0])
        >>> explainer.interactions(x)[3, :, :, 0].round(6).tolist()
        [[20.0, 10.0], [10.0, 20.0]]
    """

    def __init__(self, model, background=None):
        self.model, self.background = model, background

    @cached_property
    def _trees(self) -> Trees:
        return read(self.model)

    @cached_property
    def _leaves(self) -> _Leaves:
        return _leaves(self._trees)

    @cached_property
    def _background(self) -> np.ndarray:
        rows = self._trees.rows(self.background)
        if not len(rows):
            raise ValueError("the background has no rows; give at least one, or None for the path-dependent values")
        return rows

    @property
    def expected(self) -> np.ndarray:
        """The base value (K,), v of the empty set: the output averaged over training cover, or over the background."""
        trees = self._trees
        return trees.offset + trees.value[trees.roots].sum(0) if self.background is None else trees.predict(self._background).mean(0)

    def explain(self, x) -> np.ndarray:
        """Shapley values (N, M, K) of rows x (N, M); their sum over M is output - expected."""
        return np.ascontiguousarray(self._credit(x, 1).transpose(2, 0, 1))

    def interactions(self, x) -> np.ndarray:
        """Shapley interactions (N, M, M, K) of rows x (N, M), symmetric; a row's sum is the feature's Shapley value."""
        half = self._credit(x, 2).reshape(self._trees.columns, self._trees.columns, -1, len(x)).transpose(3, 0, 1, 2) / 2
        both = half + half.swapaxes(1, 2)
        i = np.arange(self._trees.columns)
        both[:, i, i] = self.explain(x) - both.sum(2)
        return both

    def _credit(self, x, order: int) -> np.ndarray:
        """phi of single features (order 1) or of pairs i < j (order 2), as (M ** order, K, N)."""
        rows, columns, outputs = self._trees.rows(x), self._trees.columns, self._trees.value.shape[1]
        total = np.zeros((columns**order * outputs, len(rows)))
        for leaves in self._leaves.blocks(len(rows), order):
            if groups := list(combinations(range(leaves.depth), order)):
                patterns, place = leaves.patterns(rows)
                table = np.stack(self._table(leaves, patterns, groups))  # (groups, P)
                cells = np.stack([leaves.feature[list(group)].T @ columns ** np.arange(order)[::-1] for group in groups])
                total += _spread(cells, leaves.value, columns**order) @ np.take(table, place, 1).reshape(cells.size, len(rows))
        return total.reshape(columns**order, outputs, len(rows))

    def _table(self, leaves: _Leaves, patterns: np.ndarray, groups: list[tuple]) -> list[np.ndarray]:
        """(o_i - z_i) I[i], or that of pairs, for each group of slots and each pattern (P,)."""
        if self.background is None:
            return _integrals(leaves.bits(patterns), leaves.share[:, patterns >> leaves.depth], groups)
        table = [np.zeros(len(patterns)) for _ in groups]
        for mine, theirs, weight in leaves.pairs(patterns, self._background):
            for sums, part in zip(table, _integrals(leaves.bits(patterns[mine]), leaves.bits(theirs), groups), strict=True):
                sums += np.bincount(mine, part * weight, len(patterns))
        return table


def _integrals(o: np.ndarray, z: np.ndarray, groups: list[tuple]) -> list[np.ndarray]:
    """prod_{i in A} (o_i - z_i) I[A] for each group A of slots, from o and z (D, P) of which no two are 0 together."""
    found, gain = [np.zeros(o.shape[1]) for _ in groups], o - z
    for t, weight in _gauss((len(o) + 1) // 2):
        factor = z + gain * t  # (D, P)
        ratio, product = gain / factor, weight * factor.prod(0)
        for sums, group in zip(found, groups, strict=True):
            sums += reduce(np.multiply, (ratio[i] for i in group), product)
    return found


@cache
def _gauss(count: int) -> list[tuple[float, float]]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return list(zip((nodes + 1) / 2, weights / 2, strict=True))  # on [0, 1]


def _spread(cells: np.ndarray, value: np.ndarray, count: int) -> sparse.csr_array:
    """The matrix (count K, groups L) that adds leaf values times table entries to the cells (groups, L) they belong to."""
    outputs = value.shape[1]
    leaf, k = np.nonzero(value)
    rows, columns = cells[:, leaf] * outputs + k, leaf + len(value) * np.arange(len(cells))[:, None]
    values = np.broadcast_to(value[leaf, k], rows.shape)
    return sparse.csr_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=(count * outputs, cells.size))


@dataclass(frozen=True)
class _Leaves:
    """Each leaf as a box: slot s of D demands lower < x[feature] <= upper; empty slots demand nothing.

    feature, lower, upper, missing (does a missing value pass), share (z of the path-dependent game): (D, L); value: (L, K);
    met: (L,) features met on the path, not falling, so that neighbours fill about as many slots. A pattern is leaf << D | bits o.
    """

    feature: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    missing: np.ndarray
    share: np.ndarray
    value: np.ndarray
    met: np.ndarray

    @property
    def depth(self) -> int:
        return len(self.feature)

    def blocks(self, rows: int, order: int) -> Iterator[_Leaves]:
        """The leaves in parts whose tables fit in memory, each with as many slots as it needs."""
        size = max(1, CELLS // max(1, rows * self.depth**order))
        for at in range(0, len(self.met), size):
            part = slice(at, at + size)
            slots = int(self.met[part][-1])
            yield _Leaves(*(one[:slots, part] for one in (self.feature, self.lower, self.upper, self.missing, self.share)),
                          self.value[part], self.met[part])

    def passed(self, rows: np.ndarray) -> np.ndarray:
        """The pattern of every row at every leaf, (L, N)."""
        found = np.repeat(np.arange(len(self.met))[:, None], len(rows), 1) << self.depth
        columns, holes = np.ascontiguousarray(rows.T), np.isnan(rows).any()
        for s in range(self.depth):
            x = columns[self.feature[s]]  # (L, N)
            inside = (x > self.lower[s][:, None]) & (x <= self.upper[s][:, None])
            if holes:
                inside |= np.isnan(x) & self.missing[s][:, None]
            found |= np.left_shift(inside, s, dtype=np.int64)
        return found

    def patterns(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The different patterns (P,), rising, and which of them each row has at each leaf, (L, N)."""
        found, possible = self.passed(rows), len(self.met) << self.depth
        if possible > 4 * found.size:
            patterns, place = np.unique(found, return_inverse=True)
            return patterns, place.reshape(found.shape)
        seen = np.zeros(possible, bool)  # no sorting where a flag for each possible pattern is affordable
        seen[found] = True
        return np.flatnonzero(seen), (np.cumsum(seen) - 1)[found]

    def bits(self, patterns: np.ndarray) -> np.ndarray:
        return (patterns >> np.arange(self.depth)[:, None] & 1).astype(float)  # (D, P)

    def pairs(self, patterns: np.ndarray, background: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Position among the patterns, pattern of the background, its share of the rows; only where every slot is passed by one of them."""
        others, counts = np.unique(self.passed(background), return_counts=True)
        first, last = np.searchsorted(others, np.array([0, 1])[:, None] + (patterns >> self.depth) << self.depth)
        many, full = last - first, (1 << self.depth) - 1
        for part in np.split(np.arange(len(patterns)), np.flatnonzero(np.diff(np.cumsum(many) * 4 // CELLS)) + 1):
            mine = np.repeat(part, many[part])
            theirs = np.arange(len(mine)) + np.repeat(first[part] - np.cumsum(many[part]) + many[part], many[part])
            decided = (patterns[mine] | others[theirs]) & full == full
            mine, theirs = mine[decided], theirs[decided]
            yield mine, others[theirs], counts[theirs] / len(background)


def _leaves(trees: Trees) -> _Leaves:
    chain, nodes = [], np.flatnonzero(trees.left == np.arange(len(trees.left)))
    leaf_count, parent = len(nodes), np.arange(len(trees.left))
    for splits in trees.levels():
        parent[trees.left[splits]] = parent[trees.right[splits]] = splits
    value = trees.value[nodes]
    while (parent[nodes] != nodes).any():
        chain.append((nodes, parent[nodes]))
        nodes = parent[nodes]
    child, split = np.array(chain, int).reshape(-1, 2, leaf_count).swapaxes(0, 1)  # (H, L) each, from leaf to root
    feature = np.where(child == split, trees.columns, trees.feature[split])  # above a root: a column that is none
    order = feature.argsort(0, kind="stable")
    feature, child, split = (np.take_along_axis(one, order, 0) for one in (feature, child, split))
    slot = np.cumsum(np.diff(feature, axis=0, prepend=-1) > 0, 0) - 1
    met = np.where(feature < trees.columns, slot + 1, 0).max(0, initial=0)  # (L,)
    if met.max() > DEEPEST:
        raise ValueError(f"a path asks for {met.max()} features; at most {DEEPEST} can be explained, so limit max_depth")
    real, shape = feature < trees.columns, (met.max(), leaf_count)
    at, child, split = (slot[real], np.nonzero(real)[1]), child[real], split[real]
    columns, lower, upper, missing, share = slots = (np.zeros(shape, int), np.full(shape, -np.inf, trees.dtype),
                                                     np.full(shape, np.inf, trees.dtype), np.ones(shape, bool), np.ones(shape))
    goes_left = trees.left[split] == child
    columns[at] = trees.feature[split]
    np.maximum.at(lower, at, np.where(goes_left, -np.inf, trees.threshold[split]))
    np.minimum.at(upper, at, np.where(goes_left, trees.threshold[split], np.inf))
    np.logical_and.at(missing, at, trees.missing_left[split] == goes_left)
    np.multiply.at(share, at, trees.cover[child] / trees.cover[split])
    rising = met.argsort(kind="stable")
    return _Leaves(*(one[:, rising] for one in slots), value[rising], met[rising])


@dataclass(frozen=True)
class _Explained:
    forest: RandomForestClassifier | RandomForestRegressor
    explainer: TreeExplainer | Saabas
    train: Table

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Class probabilities (N, K), or the prediction (N, 1) in standard deviations of the training target."""
        return self.forest.predict_proba(x) if self.train.classes else self.forest.predict(x)[:, None] / max(self.train.target.std(), 1e-12)


def _forest(train: Table, budget, seed: int):
    kind = RandomForestClassifier if train.classes else RandomForestRegressor
    forest = kind(budget.steps, max_depth=8, random_state=seed).fit(train.features, train.target)
    for _ in forest.estimators_:
        budget.spend()
    return forest


def _area(model: _Explained, rows: np.ndarray, credit: np.ndarray, fill: np.ndarray) -> float:
    """Mean over outputs of the area, in percent; `fill` (M,) or (N, M) replaces what is not kept."""
    counts = np.unique([0, *np.geomspace(1, rows.shape[1], 10).round().astype(int)])
    areas = []
    for k in range(credit.shape[2]):
        rank = (-credit[..., k]).argsort(1, kind="stable").argsort(1)  # (N, M), 0 for the largest credit
        kept = (rank < counts[:, None, None]) & (credit[..., k] >= 0)  # (counts, N, M)
        height = model.outputs(np.where(kept, rows, fill).reshape(-1, rows.shape[1]))[:, k].reshape(len(counts), -1).mean(1)
        areas.append(np.trapezoid(height - height[0], counts) / counts[-1])
    return 100 * float(np.mean(areas))


def treatment(train, budget, seed):
    """A forest explained by interventional Shapley values, against up to 200 training rows."""
    forest = _forest(train, budget, seed)
    return _Explained(forest, TreeExplainer(forest, train.features[:200]), train)


def control(train, budget, seed):
    """The same forest, explained by path attributions."""
    forest = _forest(train, budget, seed)
    return _Explained(forest, Saabas(forest), train)


def score(model, test):
    """Areas under "mean output, when the k features of largest positive credit are kept", k = 0 to all; up to 200 test rows."""
    rows, train = test.features[:200], model.train
    credit = model.explainer.explain(rows)  # (N, M, K)
    mean = np.ma.masked_invalid(train.features).mean(0).filled(np.nan)
    drawn = train.features[np.random.default_rng(0).integers(len(train), size=(5, len(rows)))]  # (5, N, M)
    return {"keep-positive area": _area(model, rows, credit, mean),
            "keep-positive area, masked with training rows": float(np.mean([_area(model, rows, credit, fill) for fill in drawn]))}


def draw(model, test):
    """Credits for the last class: a line a feature, the most credited on top; a column a row, by output; red raises it, blue lowers it."""
    rows = test.features[:200]
    credit = model.explainer.explain(rows)[..., -1].T  # (M, N)
    picture = credit[np.abs(credit).mean(1).argsort()[::-1]][:, credit.sum(0).argsort()] / max(np.abs(credit).max(), 1e-12)
    colours = 1 - np.stack([np.maximum(-picture, 0), np.abs(picture), np.maximum(picture, 0)], 2)
    return [Drawing.picture("credit by feature and row", colours.repeat(6, 0).repeat(3, 1))]
