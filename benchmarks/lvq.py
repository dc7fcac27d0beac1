"""GLVQ and matrix LVQ beside sklvq and sklearn-lvq: the same digits, the same prototypes a class, one thread.

The peers are not dependencies of bakeoff: `pip install --no-deps sklvq sklearn-lvq` first. They are older than the NumPy, SciPy and
scikit-learn of today; `revive` gives them back the names and the flat start that they miss. (prototorch 0.7.6 wants torchvision and
a pkg_resources of before setuptools 81, and is left out.) Writes benchmarks/lvq.md.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import math
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import sklearn_lvq.glvq
import sklearn_lvq.gmlvq
import sklvq
import sklvq.models._base
import torch
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from sklearn.utils.validation import check_array, validate_data

from bakeoff.papers.robustness.lvq_robustness import GLVQ

SPLITS, EACH, STEPS = 3, 2, 500  # prototypes a class


def revive():
    def renamed(function):
        return lambda *given, force_all_finite=True, **options: function(*given, ensure_all_finite=force_all_finite, **options)

    np.math = math
    sklvq.models._base.LVQBaseClass._validate_data = renamed(validate_data)
    sklvq.models._base.check_array = renamed(check_array)
    sklearn_lvq.glvq.minimize = sklearn_lvq.gmlvq.minimize = lambda fun, x0, **options: minimize(fun, x0.ravel(), **options)


def bakeoff(variant):
    def answers(x, y, asked, seed):
        x, asked = (torch.tensor(part, dtype=torch.float32) for part in (x, asked))
        return GLVQ(EACH, variant, seed=seed).fit(x, torch.tensor(y), steps=STEPS).predict(asked).numpy()
    return answers


def scikit(made, **options):
    def answers(x, y, asked, seed):
        return made(random_state=seed, **options).fit(x, y).predict(asked)
    return answers


METHODS = {
    "GLVQ": {"bakeoff": bakeoff("euclidean"), "sklvq": scikit(sklvq.GLVQ, prototype_n_per_class=EACH),
             "sklearn-lvq": scikit(sklearn_lvq.GlvqModel, prototypes_per_class=EACH, max_iter=50)},
    "GMLVQ": {"bakeoff": bakeoff("matrix"), "sklvq": scikit(sklvq.GMLVQ, prototype_n_per_class=EACH),
              "sklearn-lvq": scikit(sklearn_lvq.GmlvqModel, prototypes_per_class=EACH, max_iter=50)},
    "GTLVQ": {"bakeoff": bakeoff("tangent")}}


def measured(answers):
    """Mean accuracy in % over the splits, and CPU seconds a split."""
    x, y = load_digits(return_X_y=True)
    right, spent = [], 0.0
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(x))
        train, test = order[:1437], order[1437:]
        begin = time.process_time()
        found = answers(x[train] / 16, y[train], x[test] / 16, seed)
        spent += time.process_time() - begin
        right.append(100 * np.mean(found == y[test]))
    return np.mean(right), np.ptp(right) / 2, spent / SPLITS


def main():
    torch.set_num_threads(1)
    revive()
    lines = [f"# LVQ beside sklvq {version('sklvq')} and sklearn-lvq {version('sklearn-lvq')}", "",
             f"Written by `benchmarks/lvq.py`: scikit-learn's digits (1,437 to learn from, 360 to be told), {EACH} prototypes a class, "
             f"{SPLITS} splits, one thread, CPU time of fit and predict. bakeoff: {STEPS} steps of 128, rate 0.003; the others "
             "by their defaults (sklearn-lvq: 50 iterations instead of 2,500).", "",
             "| method | by | accuracy | seconds |", "|---|---|---|---|"]
    measured(bakeoff("euclidean"))  # what the first call of a process costs is nobody's
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for method, peers in METHODS.items():
            for name, answers in peers.items():
                accuracy, half, seconds = measured(answers)
                lines.append(f"| {method} | {name} | {accuracy:.1f} ± {half:.1f} % | {seconds:.2f} |")
                print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
