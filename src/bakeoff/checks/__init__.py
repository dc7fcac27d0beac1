"""The common checks, which every paper file has to pass: the library's and a user's own.

A check is a plain function `check_<what>(subject)` that returns None or raises `CheckFailed`. Nothing is registered: every
function of `static` (on the text) and `running` (on one shared smoke run) whose name begins so is a check.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from ..claim import Source
from ..errors import BakeoffError
from . import running, static
from .subject import Bench, CheckFailed, Subject

__all__ = ["Bench", "CheckFailed", "Finding", "Subject", "all_checks", "run_checks"]


@dataclass(frozen=True)
class Finding:
    """What one check found: `check` is its name without "check_"; message and hint are empty where it is `ok`."""

    check: str
    ok: bool
    message: str
    hint: str
    seconds: float


def all_checks() -> list[Callable[[Subject], None]]:
    """Every check, in the order of the files: first those on the text, then those on the run."""
    return [one for module in (static, running) for name, one in vars(module).items() if name.startswith("check_")]


def run_checks(path_or_slug, source: Source | None = None, bench: Bench | None = None) -> list[Finding]:
    """All findings on one paper, by its slug or by the path of a file.

    A check that cannot be decided (the header cannot be read, an arm raises) ends the list: those after it need the same.

    Args:
        path_or_slug: "siren", or "my/paper.py".
        source: the data of the smoke run; by default the set that the claim names or, where that takes files or long
            to make, a small one of the same kind.
        bench: warm processes to run in, kept for the next paper; by default some are started and ended here.

    Raises:
        UnknownPaper: no paper is called so.
    """
    findings = []
    with nullcontext(bench) if bench else Bench() as processes:
        subject = Subject(path_or_slug, source, processes)
        for check in all_checks():
            started = time.perf_counter()
            problem = _problem(check, subject)
            told = (problem.message, problem.hint) if problem else ("", "")
            findings.append(Finding(check.__name__.removeprefix("check_"), problem is None, *told, time.perf_counter() - started))
            if problem and not isinstance(problem, CheckFailed):
                break
    return findings


def _problem(check: Callable[[Subject], None], subject: Subject) -> BakeoffError | None:
    try:
        check(subject)
    except BakeoffError as problem:
        return problem
    return None
