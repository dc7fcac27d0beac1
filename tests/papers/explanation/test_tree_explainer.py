"""Shapley values of trees against enumeration, the shap package, and examples worked by hand."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from sklearn import ensemble, linear_model, tree

from bakeoff import trials
from bakeoff.baselines.saabas import Saabas
from bakeoff.claim import ARMS, Source, Trial
from bakeoff.data.kinds.table import Table
from bakeoff.errors import NotFitted
from bakeoff.papers.explanation import tree_explainer
from bakeoff.papers.explanation.tree_explainer import TreeExplainer
from bakeoff.parts.trees import read

RNG = np.random.default_rng(7)
X = RNG.normal(size=(120, 5)).astype(np.float32).astype(float)  # float32 exactly: the libraries round differently at thresholds
Y = X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2]) + 0.1 * RNG.normal(size=120)
CLASS = np.digitize(Y, [-0.5, 0.5])
HOLES = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
FOREST = ensemble.RandomForestRegressor(6, max_depth=6, random_state=0).fit(X, Y)
MODELS = {
    "tree": tree.DecisionTreeRegressor(random_state=0).fit(X, Y),
    "tree of classes": tree.ExtraTreeClassifier(max_depth=5, random_state=0).fit(X, CLASS),
    "forest of classes": ensemble.RandomForestClassifier(5, random_state=0, class_weight="balanced").fit(X, CLASS),
    "forest with holes": ensemble.RandomForestRegressor(5, random_state=0).fit(HOLES, Y),
    "extra trees": ensemble.ExtraTreesRegressor(5, random_state=0).fit(X, Y),
    "boosting": ensemble.GradientBoostingRegressor(n_estimators=8, random_state=0).fit(X, Y),
    "boosting two classes": ensemble.GradientBoostingClassifier(n_estimators=8, random_state=0).fit(X, CLASS > 0),
    "boosting three classes": ensemble.GradientBoostingClassifier(n_estimators=4, random_state=0).fit(X, CLASS),
    "histograms": ensemble.HistGradientBoostingRegressor(max_iter=8, min_samples_leaf=5).fit(HOLES, Y),
    "histograms three classes": ensemble.HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5).fit(HOLES, CLASS),
    "constant": tree.DecisionTreeRegressor().fit(X, np.ones(120)),
}


def shapley_by_enumeration(game, features):
    """phi_i = sum over S without i of |S|! (M - |S| - 1)! / M! (v(S + i) - v(S))."""
    everyone, phi = range(features), np.zeros(features)
    v = {s: game(s) for k in range(features + 1) for s in combinations(everyone, k)}
    for i in everyone:
        for s in v:
            if i not in s:
                weight = factorial(len(s)) * factorial(features - len(s) - 1) / factorial(features)
                phi[i] += weight * (v[tuple(sorted((*s, i)))] - v[s])
    return phi


def followed(trees, x, known, node=0):
    """The path-dependent game by its definition, one scikit-learn tree at a time."""
    left, right = trees.children_left[node], trees.children_right[node]
    if left < 0:
        return trees.value[node, 0, 0]
    feature = trees.feature[node]
    if feature in known:
        return followed(trees, x, known, left if np.float32(x[feature]) <= trees.threshold[node] else right)
    below = trees.weighted_n_node_samples[[left, right]]
    return below @ [followed(trees, x, known, left), followed(trees, x, known, right)] / below.sum()


def output(model, x):
    known = getattr(model, "decision_function", getattr(model, "predict_proba", model.predict))
    return known(x).reshape(len(x), -1)


def test_path_dependent_values_are_those_of_enumeration():
    for x, phi in zip(X[:4], TreeExplainer(FOREST).explain(X[:4])[..., 0], strict=True):
        expected = shapley_by_enumeration(lambda s, x=x: np.mean([followed(one.tree_, x, s) for one in FOREST.estimators_]), 5)
        np.testing.assert_allclose(phi, expected, atol=1e-12)


def test_interventional_values_are_those_of_enumeration():
    background = X[40:70]

    def game(known, x):
        mixed = background.copy()
        mixed[:, list(known)] = x[list(known)]
        return FOREST.predict(mixed).mean()

    for x, phi in zip(X[:4], TreeExplainer(FOREST, background).explain(X[:4])[..., 0], strict=True):
        np.testing.assert_allclose(phi, shapley_by_enumeration(lambda s, x=x: game(s, x), 5), atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("background", [None, slice(40, 60)])
def test_values_and_base_sum_to_the_models_own_output(name, background):
    model = MODELS[name]
    data = HOLES if "hole" in name or "hist" in name else X
    explainer = TreeExplainer(model, None if background is None else data[background])
    phi = explainer.explain(data[:30])
    np.testing.assert_allclose(phi.sum(1) + explainer.expected, output(model, data[:30]), atol=1e-12)
    np.testing.assert_allclose(explainer.interactions(data[:30]).sum(2), phi, atol=1e-12)
    saabas = Saabas(model)
    np.testing.assert_allclose(saabas.explain(data[:30]).sum(1) + saabas.expected, output(model, data[:30]), atol=1e-12)


@pytest.mark.parametrize("name", ["tree", "forest of classes", "extra trees", "boosting", "boosting two classes"])
@pytest.mark.filterwarnings("ignore:The set_.* function will be deprecated:PendingDeprecationWarning")  # shap colours by matplotlib
def test_the_shap_package_agrees(name):
    import shap
    model, rows, background = MODELS[name], X[:20], X[50:80]

    def theirs(values, axes):
        return values if np.ndim(values) == axes else values[..., None]

    peer = shap.TreeExplainer(model)
    np.testing.assert_allclose(TreeExplainer(model).explain(rows), theirs(peer.shap_values(rows), 3), atol=1e-6)
    np.testing.assert_allclose(TreeExplainer(model).interactions(rows), theirs(peer.shap_interaction_values(rows), 4), atol=1e-6)
    np.testing.assert_allclose(Saabas(model).explain(rows), theirs(peer.shap_values(rows, approximate=True), 3), atol=1e-6)
    against = shap.TreeExplainer(model, background)
    np.testing.assert_allclose(TreeExplainer(model, background).explain(rows), theirs(against.shap_values(rows), 3), atol=1e-6)


def test_a_feature_that_matters_more_gets_more_from_shapley_and_less_from_saabas():
    rows = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])  # fever, cough
    both = 80.0 * rows.all(1)
    either = [tree.DecisionTreeRegressor(random_state=seed).fit(rows, both) for seed in range(20)]
    first = next(one for one in either if one.tree_.feature[0] == 0)
    second = tree.DecisionTreeRegressor().fit(rows, both + 10 * rows[:, 1])  # coughing adds 10 by itself
    np.testing.assert_allclose([Saabas(one).explain(rows)[3, :, 0] for one in (first, second)], [[20, 40], [40, 25]])
    np.testing.assert_allclose([TreeExplainer(one).explain(rows)[3, :, 0] for one in (first, second)], [[30, 30], [30, 35]])
    np.testing.assert_allclose(TreeExplainer(second).interactions(rows)[3, :, :, 0], [[20, 10], [10, 25]])


def test_a_feature_never_split_on_gets_nothing_and_equal_roles_get_equal_values():
    x = RNG.integers(0, 2, size=(64, 4)).astype(float)
    model = tree.DecisionTreeRegressor(random_state=0).fit(np.array([[a, b, 0, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]),
                                                           [0, 0, 0, 0, 0, 0, 0, 1.0])
    phi = TreeExplainer(model, x).explain(np.ones((1, 4)))[0, :, 0]
    assert phi[2] == 0
    even = TreeExplainer(model).explain(np.ones((1, 4)))[0, :, 0]
    np.testing.assert_allclose(even, [7 / 24, 7 / 24, 0, 7 / 24])


def test_memory_limit_and_company_change_no_value(monkeypatch):
    whole = [TreeExplainer(FOREST, background).explain(X[:40]) for background in (None, X[60:])]
    pairs = TreeExplainer(FOREST).interactions(X[:40])
    monkeypatch.setattr(tree_explainer, "CELLS", 500)
    parts = [TreeExplainer(FOREST, background).explain(X[:40]) for background in (None, X[60:])]
    np.testing.assert_allclose(parts, whole, atol=1e-13)
    np.testing.assert_allclose(TreeExplainer(FOREST).interactions(X[:40]), pairs, atol=1e-13)
    np.testing.assert_allclose(TreeExplainer(FOREST, X[60:]).explain(X[7:8]), whole[1][7:8], atol=1e-13)
    assert TreeExplainer(FOREST).explain(X[:0]).shape == (0, 5, 1)


def test_neighbouring_numbers_are_told_apart_as_the_model_does():
    near = np.nextafter(np.float32(8), np.float32(9)) * np.ones((2, 1), np.float32)
    near[1] = np.nextafter(near[0], np.float32(9))  # the threshold between them is no float32, and rounds up
    model = tree.DecisionTreeRegressor().fit(near, [0.0, 1.0])
    assert near[0] < model.tree_.threshold[0] < near[1]
    np.testing.assert_array_equal(read(model).predict(near), [[0], [1]])
    np.testing.assert_allclose(TreeExplainer(model).explain(near)[:, 0], [[-0.5], [0.5]])


def test_wrong_use_is_told():
    for model, error, match in (
        (ensemble.RandomForestRegressor(), NotFitted, "RandomForestRegressor has not been fitted"),
        (linear_model.LinearRegression().fit(X, Y), ValueError, "found a LinearRegression"),
        (tree.DecisionTreeRegressor().fit(X, X[:, :2]), ValueError, "2 targets"),
        (ensemble.GradientBoostingRegressor(init=linear_model.LinearRegression()).fit(X, Y), ValueError, "starts from a LinearRegression"),
        (ensemble.HistGradientBoostingRegressor(categorical_features=[0], max_iter=2).fit(CLASS[:, None], Y), ValueError, "categories"),
    ):
        with pytest.raises(error, match=match):
            read(model)
    for rows, match in ((X[:, :4], r"\(120, 4\); expected \(N, 5\)"), (X[0], r"\(5,\)"), (np.full((1, 5), np.inf), "infinite")):
        with pytest.raises(ValueError, match=match):
            TreeExplainer(FOREST).explain(rows)
    with pytest.raises(ValueError, match="no rows"):
        TreeExplainer(FOREST, X[:0]).explain(X)


def test_the_area_is_that_of_the_curve_drawn_by_hand():
    class Sum:
        def predict(self, x):
            return x @ [1.0, 2.0, 4.0]

    train = Table(np.array([[0, 0, 0], [0, 0, 0]]), np.array([0.0, 2.0]), ("a", "b", "c"))  # mean 0, standard deviation 1
    model = tree_explainer._Explained(Sum(), None, train)
    rows = np.array([[1.0, 1.0, -1.0]])
    fair, reversed_credit = np.array([[[1.0], [2.0], [-4.0]]]), np.array([[[2.0], [1.0], [-4.0]]])
    assert tree_explainer._area(model, rows, fair, np.zeros(3)) == pytest.approx(100 * (1 + 2.5 + 3) / 3)  # heights 0, 2, 3, 3
    assert tree_explainer._area(model, rows, reversed_credit, np.zeros(3)) == pytest.approx(100 * (0.5 + 2 + 3) / 3)  # heights 0, 1, 3, 3


@pytest.mark.parametrize("target", ["size", "kind"])
def test_a_table_of_ones_own_is_judged_for_a_number_and_for_classes(tmp_path, target):
    file = tmp_path / "own.csv"
    kinds = np.array(["low", "middle", "high"])[CLASS]
    lines = [f"{a},{'' if np.isnan(b) else b},{c:.3f},{kind}" for (a, b), c, kind in zip(HOLES[:, :2].round(3), Y, kinds, strict=True)]
    file.write_text("\n".join(["first,second,size,kind", *lines]).replace("nan", ""))
    source = Source(str(file), (("target", target),) + ((("drop", "kind"),) if target == "size" else ()))
    outcomes = [trials.run(Trial("tree_explainer", arm, 0, "smoke", source)) for arm in ARMS]
    assert [one.status for one in outcomes] == ["done", "done"], outcomes[0].error
    assert [one.spent for one in outcomes] == [10, 10]
    assert all(0 < one.value < 300 for one in outcomes)
