"""Every check passes a good paper and fails its twin: the same paper with one thing broken, and no other check failing."""

import re
from pathlib import Path

import pytest

from bakeoff.checks import CheckFailed, Subject, all_checks, run_checks, running, static

GOOD = Path(__file__).parent / "good"
START = "0.1 * np.random.default_rng(self.seed).normal(size=x.shape[1])"
STRIP = "np.tile(0.5 + model.predict(_scaled(test.features)) / 8, (8, 1))"

STATIC_TWINS = {
    "header": ('authors=("Polyak",)', "authors=()"),
    "card": ("Departures: none", "Left out: none"),
    "order": ("__all__ =", "SHARE = 0.9\n__all__ ="),
    "imports": ("from bakeoff.errors import NotFitted", "from bakeoff.errors import NotFitted\nfrom bakeoff.places import cache as cache"),
    "size": ("Predictions, as a strip of grey.", f"Predictions, as a strip of {'light ' * 20} grey."),
    "docstrings": ("        seed: of the start.\n", ""),
    "parameters_are_read": ("= momentum, learning_rate, seed\n", "= momentum, learning_rate, seed\n        self.share = momentum\n"),
    "nothing_is_swallowed": ("        return x @ self._weight", "        try:\n            return x @ self._weight\n"
                                                               "        except Exception:\n            return 0 * x[:, 0]"),
    "no_side_channel": ("        self._weight = weight\n", "        self._weight = weight\n        print(end='')\n"),
    "has_invariants": (".predict(X) == pytest.approx(exact, abs=1e-8)", ".predict(X).shape == exact.shape"),
}
RUNNING_TWINS = {
    "import_is_clean": ("class HeavyBall:", "RATES = np.array([0.02]) / 0\n\n\nclass HeavyBall:"),
    "score_is_a_number": ('return {"error": float', 'return {"loss": float'),
    "reproducible": (START, f'hash("heavy ball") % 1009 / 1009 * {START}'),
    "seed_matters": ("default_rng(self.seed)", "default_rng(0 * self.seed)"),
    "paired": ("    return (values - values", "    values.setflags(write=True)\n    values[0] = 0\n    return (values - values"),
    "equal_budget": ("    return _learn(0.0, train, budget, seed)", "    return HeavyBall(0.0, seed=seed).fit(_scaled(train.features), "
                                                                     "_scaled(train.target), budget.steps // 2, budget.spend)"),
    "arms_differ": ("_learn(0.0, train", "_learn(0.9, train"),
    "in_time": ("    return _learn(0.9, train", "    sum(range(3 * 10**7))\n    return _learn(0.9, train"),
    "no_trace": ("        self._weight = weight\n", "        from sklearn.utils import check_random_state\n"
                                                    "        self._weight = weight + 0 * check_random_state(None).rand()\n"),
    "unknown_words": ("class HeavyBall:", "class _Loose:\n    def read(self, **more):\n        return more\n\n\nclass HeavyBall(_Loose):"),
    "constructor_only_stores": ("= momentum, learning_rate, seed\n", "= momentum, abs(learning_rate), seed\n"),
    "fit_twice": (START, f'getattr(self, "_weight", {START})'),
    "fit_comes_first": ("raise NotFitted()", 'raise ValueError("fit first")'),
    "drawings": (f'[Drawing.picture("predictions", {STRIP})]', STRIP),
    "examples_run": ("array([-2.,  0.,  2.])", "array([-2.,  0.,  3.])"),
}
assert not STATIC_TWINS.keys() & RUNNING_TWINS.keys()


@pytest.fixture
def paper(tmp_path):
    """Write the good paper and its tests, with one text replaced by another; gives the paper's path."""

    def write(old: str = "", new: str = "") -> Path:
        texts = {file.name: file.read_text(encoding="utf-8") for file in GOOD.glob("*.py")}
        assert not old or sum(text.count(old) for text in texts.values()) == 1, f"{old!r} is to be there once"
        for name, text in texts.items():
            (tmp_path / name).write_text(text.replace(old, new) if old else text, encoding="utf-8")
        return tmp_path / "heavy_ball.py"

    return write


def failing(findings):
    return {one.check: one.message for one in findings if not one.ok}


def failing_on_text(path):
    found = {}
    for check in all_checks():
        if check.__module__ == static.__name__:
            subject = Subject(path, None, None)
            try:
                check(subject)
            except CheckFailed as problem:
                found[check.__name__.removeprefix("check_")] = problem.message
    return found


LEAVES = {
    "files: ['note.txt']": "open('note.txt', 'w').close()",
    "characters printed: 5": "print('done')",
    "working folder": "import os; os.mkdir('deep'); os.chdir('deep')",
    "threads": "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
    "processes: 1": "import multiprocessing, time; multiprocessing.get_context('fork').Process(target=time.sleep, args=(1,)).start()",
    "open figures: [1]": "import sys, types; sys.modules['matplotlib.pyplot'] = types.SimpleNamespace(get_fignums=lambda: [1])",
    "Python's global generator changed": "import random; random.random()",
    "NumPy's global generator changed": "np.random.rand()",
    "torch's global generator changed": "import torch; torch.rand(1)",
    "torch's default dtype: torch.float64": "import torch; torch.set_default_dtype(torch.float64)",
    "torch's threads: 2": "import torch; torch.set_num_threads(2)",
    "torch's gradient mode: False": "import torch; torch.set_grad_enabled(False)",
    "torch's determinism: False": "import torch; torch.use_deterministic_algorithms(False)",
    "NumPy's error handling": "np.seterr(all='ignore')",
    "UserWarning: beware": "import warnings; warnings.warn('beware')",
}


@pytest.mark.parametrize("trace", LEAVES)
def test_every_kind_of_trace_is_seen(trace, paper, bench):
    arm = "    return _learn(0.9, train"
    with pytest.raises(CheckFailed, match=re.escape(f"the treatment or its score leaves {trace}")):
        running.check_no_trace(Subject(paper(arm, f"    {LEAVES[trace]}\n{arm}"), None, bench))


SCORES = {
    "score gave float for the treatment": "2.0",
    "score gave loss for the treatment, and not 'error'": "{'loss': 2.0}",
    "'error' is no number for the treatment": "{'error': 'low'}",
    "'error' is nan for the treatment": "{'error': float('nan')}",
    "'worst' is inf for the treatment": "{'error': 2.0, 'worst': float('inf')}",
    "only one arm has share": "{'error': 2.0} | ({'share': 0.9} if model.momentum else {})",
}


@pytest.mark.parametrize("message", SCORES)
def test_every_wrong_score_is_told(message, paper, bench):
    wrong = paper('    return {"error": float', f'    return {SCORES[message]}\n    return {{"error": float')
    with pytest.raises(CheckFailed, match=f"^{re.escape(message)}\n"):
        running.check_score_is_a_number(Subject(wrong, None, bench))


def test_a_side_measure_may_be_missing(paper, bench):
    path = paper('    return {"error": float', '    return {"error": 2.0, "hidden": float("nan")}\n    return {"error": float')
    running.check_score_is_a_number(Subject(path, None, bench))


def test_an_arm_that_measures_nothing_has_no_equal_budget(paper, bench):
    silent = Subject(paper("budget.steps, budget.spend)", "budget.steps)"), None, bench)
    with pytest.raises(CheckFailed, match="the treatment spends no steps"):
        running.check_equal_budget(silent)


def test_a_constructor_that_makes_something_of_its_own_is_told(paper, bench):
    busy = paper("= momentum, learning_rate, seed\n", "= momentum, learning_rate, seed\n        self.losses = []\n")
    with pytest.raises(CheckFailed, match=r"HeavyBall\(\.\.\.\) makes losses"):
        running.check_constructor_only_stores(Subject(busy, None, bench))


def test_an_arm_that_reads_no_seed_is_not_varied(paper, bench):
    subject = Subject(paper("_learn(0.0, train, budget, seed)", "_learn(0.0, train, budget, 7)"), None, bench)
    assert subject.seen["varied"].keys() == {"treatment"}


def names(module):
    return {check.__name__.removeprefix("check_") for check in all_checks() if check.__module__ == module.__name__}


def test_every_check_has_a_twin():
    assert names(static) == STATIC_TWINS.keys()
    assert names(running) == RUNNING_TWINS.keys()
    assert len(all_checks()) == len(STATIC_TWINS) + len(RUNNING_TWINS) == 25


def test_the_good_paper_passes_every_check(paper, bench):
    findings = run_checks(paper(), bench=bench)
    assert failing(findings) == {}
    assert [one.check for one in findings] == [check.__name__.removeprefix("check_") for check in all_checks()]


@pytest.mark.parametrize("check", STATIC_TWINS)
def test_a_twin_broken_in_its_text_fails_its_check_alone(check, paper):
    assert failing_on_text(paper(*STATIC_TWINS[check])).keys() == {check}


@pytest.mark.parametrize("check", RUNNING_TWINS)
def test_a_twin_broken_when_it_runs_fails_its_check_alone(check, paper, bench, monkeypatch):
    if check == "in_time":
        monkeypatch.setattr(running, "SECONDS", 0.1)
    findings = run_checks(paper(*RUNNING_TWINS[check]), bench=bench)
    assert failing(findings).keys() == {check}, failing(findings)
    assert len(findings) == len(all_checks())
