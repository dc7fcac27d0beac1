"""One trial: the data, the seed, the arm, the score; out comes an `Outcome`, whatever happens inside."""

from __future__ import annotations

import random
import time
import traceback
from functools import lru_cache

from . import catalogue
from .claim import Budget, Outcome, Source, Trial, finite
from .data import sets
from .errors import DataError, MissingPackage


def run(trial: Trial) -> Outcome:
    """Run one arm at one seed. An exception becomes an outcome of status "error", a number that is none "diverged".

    Raises:
        DataError, MissingPackage: the data or the installation is at fault, not the arm; every trial would fail alike.
    """
    started = time.perf_counter()
    budget = None
    try:
        entry = catalogue.entry(trial.slug)
        train, test = data(trial.source, sets.kind_of(entry.claim.data)).split(trial.seed)
        paper = catalogue.load(trial.slug)
        budget = Budget(trial.budget, entry.claim.steps[trial.budget])
        seed_everything(trial.seed)
        started = time.perf_counter()
        model = getattr(paper, trial.arm)(train, budget, trial.seed)
        measures = {name: float(value) for name, value in paper.score(model, test).items()}
        value = measures[entry.claim.metric]
        drawings = list(paper.draw(model, test)) if trial.draw and hasattr(paper, "draw") else []
        return Outcome("done" if finite(value) else "diverged", value if finite(value) else None, measures, budget.curve, drawings,
                       time.perf_counter() - started, budget.spent)
    except (DataError, MissingPackage):
        raise
    except Exception:
        return Outcome("error", curve=budget.curve if budget else [], seconds=time.perf_counter() - started,
                       spent=budget.spent if budget else 0, error=traceback.format_exc(limit=-8))


@lru_cache(maxsize=2)
def data(source: Source, kind: str):
    """The record a source names; a worker keeps the last two."""
    return sets.load(source, kind)


def seed_everything(seed: int) -> None:
    """The global generators, so that whatever a library draws behind the arm's back repeats as well."""
    import numpy
    import torch
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
