"""Shared fixtures: a home of its own for every test, and papers written for the occasion."""

import os
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # as in a worker; torch reads it when it is imported

OWN_PAPER = '''"""Own: a paper written for a test.

Nobody. 2026. arXiv:2601.00001.
"""
from bakeoff.claim import Claim, Paper

PAPER = Paper(title="A paper written for a test", authors=("Nobody",), year=2026, venue="none", arxiv="2601.00001", also=("own paper",))
CLAIM = Claim(says="it is better by 1", data="diabetes", metric="value", unit="points", better="higher", margin=0.1, equal="steps",
              steps={{"smoke": 2, "quick": 4, "full": 8}})
__all__ = ["gain"]


def gain(seed):
    import random
    return random.Random(seed).gauss(0, 1)


def treatment(train, budget, seed):
    for _ in range(budget.steps):
        budget.spend(1.0)
    {treatment}


def control(train, budget, seed):
    for _ in range(budget.steps):
        budget.spend(1.0)
    {control}


def score(model, test):
    return {{"value": model, "rows": len(test)}}
'''


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch) -> Path:
    """`BAKEOFF_HOME` in a fresh folder: no test sees another's store, nor the user's."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("BAKEOFF_HOME", str(folder))
    monkeypatch.delenv("BAKEOFF_STORE", raising=False)
    return folder


@pytest.fixture
def own_paper(tmp_path):
    """Write a paper file whose arms end with the given lines; gives its path as text."""

    def write(treatment: str = "return gain(seed) + 3", control: str = "return gain(seed + 1)", name: str = "own") -> str:
        file = tmp_path / f"{name}.py"
        file.write_text(OWN_PAPER.format(treatment=treatment, control=control), encoding="utf-8")
        return str(file)

    return write
