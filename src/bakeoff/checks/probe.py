"""The process that runs a paper's arms for the checks: `python -m bakeoff.checks.probe`.

Each line of its standard input is a job, written by `subject.Bench`, and done in a fork: torch is imported once, and no
paper meets what another one left. The fork writes its answer to a file; this process then says in a line how the fork ended.
"""

from __future__ import annotations

import copy
import doctest
import functools
import inspect
import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import torch

from .. import catalogue, trials
from ..claim import ARMS, Budget, Drawing, Source
from ..data import sets
from ..data.kinds.records import content_hash
from ..errors import BakeoffError, NotFitted

SEED, OTHER_SEED = 0, 1
MEMORY = 6 * 2**30  # bytes
VERBS = ("predict", "act", "sample", "encode", "certify", "explain", "plan", "__call__")  # one for each kind of method; all follow `fit`


def serve() -> None:
    """Answer jobs until the input ends."""
    import sklearn.datasets  # noqa: F401  slow to import, and most sets ask for it
    import torch._dynamo  # noqa: F401  so is this, and the first step of an optimiser asks for it
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            _leave(json.loads(line))
        print(os.waitpid(child, 0)[1], flush=True)
    os._exit(0)  # nothing to put away: an interpreter that holds torch takes long to end otherwise


def _leave(job: dict) -> None:
    """Do a job and end this process; what was raised past `_answer` (an exit, an interrupt) is its exit code."""
    code = 1
    try:
        _confine(Path(job["folder"]), job["seconds"])
        Path(job["folder"], "answer.json").write_text(json.dumps(_answer(job)), encoding="utf-8")
        code = 0
    except SystemExit as wanted:
        code = wanted.code if isinstance(wanted.code, int) and wanted.code else 1
    finally:
        os._exit(code)


def _confine(folder: Path, seconds: int) -> None:
    """Work in an empty folder, with output in a file beside it, not for ever and not without bound."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(5 * seconds)  # one that waits uses no processor time
    (folder / "empty").mkdir()
    os.chdir(folder / "empty")
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream, target in ((0, os.open(os.devnull, os.O_RDONLY)), (1, said), (2, said)):
        os.dup2(target, stream)


def _answer(job: dict) -> dict:
    try:
        return {"look": look, "repeat": repeat}[job["task"]](job)
    except BakeoffError as problem:
        return {"stopped": [f"{type(problem).__name__}: {problem.message}", problem.hint]}
    except Exception as problem:
        frames = traceback.extract_tb(problem.__traceback__)[-4:]
        told = "; ".join(f"{Path(at.filename).name}, line {at.lineno}, in {at.name}" for at in frames)
        return {"stopped": [f"{type(problem).__name__}: {problem}", f"It was raised in {told}."]}


def look(job: dict) -> dict:
    """Both arms' smoke runs, and what comes of repeating and varying them."""
    claim, data = _claim(job), _data(job)
    with _Watch() as importing:
        paper = catalogue.load(job["slug"])
    public = {name: getattr(paper, name) for name in paper.__all__}
    classes = [one for one in public.values() if inspect.isclass(one)]
    seen = {"import": importing.left, "words": _open_words(public, paper), "constructors": _constructors(classes), "arms": {}}
    for arm in ARMS:
        recorder = _Recorder([one for one in classes if hasattr(one, "fit")])
        with recorder:
            model, seen["arms"][arm] = _trial(paper, claim, data, arm, SEED)
        seen["arms"][arm] |= {"refitted": recorder.refit(lambda model=model: _measures(paper.score(model, data[1]))),
                              "unfitted": recorder.use_unfitted(), "drawings": _drawings(paper, model, data[1])}
    seen["varied"] = {arm: _trial(paper, claim, data, arm, OTHER_SEED)[1] for arm in job["seeded"]}
    return seen | {"examples": _examples(public, paper)}


def repeat(job: dict) -> dict:
    """The same two trials, control first."""
    claim, data, paper = _claim(job), _data(job), catalogue.load(job["slug"])
    return {"arms": {arm: _trial(paper, claim, data, arm, SEED)[1] for arm in reversed(ARMS)}}


def _claim(job: dict):
    return catalogue.entry(job["slug"]).claim


def _data(job: dict):
    source = Source(job["where"], tuple(tuple(pair) for pair in job["options"]))
    return sets.load(source, sets.kind_of(_claim(job).data)).split(SEED)


def _trial(paper, claim, data, arm: str, seed: int) -> tuple[object, dict]:
    """The model, and everything that the checks ask about its making."""
    budget, before = Budget("smoke", claim.steps["smoke"]), content_hash(data)
    trials.seed_everything(SEED)
    started = time.process_time()
    with _Watch() as watch:
        model = getattr(paper, arm)(data[0], budget, seed)
        scored = paper.score(model, data[1])
    return model, {"seconds": time.process_time() - started, "measures": _measures(scored), "gave": type(scored).__name__,
                   "left": watch.left, "data": [before, content_hash(data)], "spent": int(budget.spent), "curve": budget.curve}


def _measures(scored) -> dict[str, float | None] | None:
    """A score as plain numbers; None for what is no dictionary, or no number."""
    def number(value) -> float | None:
        try:
            return None if isinstance(value, str) else float(value)
        except (TypeError, ValueError):
            return None

    return {str(name): number(value) for name, value in scored.items()} if isinstance(scored, dict) else None


class _Watch:
    """What a block of code leaves behind it, told in words in `left`."""

    def __enter__(self):
        self._catcher = warnings.catch_warnings(record=True)
        self._caught = self._catcher.__enter__()
        warnings.simplefilter("always")
        self._before = _surroundings()
        return self

    def __exit__(self, *_):
        after = _surroundings()
        self._catcher.__exit__(None, None, None)
        self.left = [f"{name} changed" if isinstance(was, bytes) else f"{name}: {after[name]} (before: {was})"
                     for name, was in self._before.items() if after[name] != was]
        self.left += sorted({f"{one.category.__name__}: {str(one.message)[:200]}" for one in self._caught})


def _surroundings() -> dict[str, object]:
    """Everything global that an arm could change, by what it is called; generators' states as bytes."""
    sys.stdout.flush()
    sys.stderr.flush()
    kind, keys, *rest = np.random.get_state()
    drawn = sys.modules.get("matplotlib.pyplot")
    return {"files": sorted(str(file) for file in Path().rglob("*")), "working folder": os.getcwd(),
            "characters printed": os.fstat(1).st_size, "threads": sorted(one.name for one in threading.enumerate()),
            "processes": len(multiprocessing.active_children()), "open figures": drawn.get_fignums() if drawn else [],
            "Python's global generator": repr(random.getstate()).encode(),
            "NumPy's global generator": f"{kind}{keys.tobytes()}{rest}".encode(),
            "torch's global generator": torch.get_rng_state().numpy().tobytes(), "torch's default dtype": str(torch.get_default_dtype()),
            "torch's threads": torch.get_num_threads(), "torch's gradient mode": torch.is_grad_enabled(),
            "torch's determinism": torch.are_deterministic_algorithms_enabled(), "NumPy's error handling": np.geterr()}


class _Recorder:
    """Remembers, for each object, its last `fit` and the first call of its other methods, with copies of the arguments."""

    def __init__(self, classes: list[type]):
        self.made: dict[int, tuple[object, dict]] = {}  # by id; the object is kept, so that no other takes its id
        self._classes = classes

    def __enter__(self):
        self._own = [(one, name, one.__dict__.get(name)) for one in self._classes for name in ("__init__", "fit", *VERBS)
                     if inspect.isfunction(getattr(one, name, None))]
        for (one, name, _), function in zip(self._own, [getattr(one, name) for one, name, _ in self._own], strict=True):
            setattr(one, name, self._heard(name, function))
        return self

    def __exit__(self, *_):
        for one, name, function in self._own:
            setattr(one, name, function) if function else delattr(one, name)

    def _heard(self, name: str, function):
        @functools.wraps(function)
        def heard(thing, *args, **kwargs):
            known = self.made.get(id(thing), (thing, {}))[1]
            given = _copied((args, kwargs)) if name == "fit" or name not in known else known[name]
            answer = function(thing, *args, **kwargs)
            self.made.setdefault(id(thing), (thing, {}))[1][name] = given  # after the call: an override is heard last
            return answer
        return heard

    def refit(self, scored) -> list:
        """Pairs of measures, before and after one more `fit` of each object."""
        found = []
        for thing, calls in self.made.values():
            if calls.get("fit"):
                before = scored()
                thing.fit(*calls["fit"][0], **calls["fit"][1])
                found.append([type(thing).__name__, before, scored()])
        return found

    def use_unfitted(self) -> list[tuple[str, str]]:
        """What fresh objects did when used before `fit`: (method, name of the error or "no error")."""
        found = []
        for thing, calls in self.made.values():
            for name in VERBS:
                given = _copied(calls.get("__init__", ((), {})))
                if "fit" in calls and calls.get(name) and given:
                    fresh, happened = type(thing)(*given[0], **given[1]), "no error"
                    try:
                        getattr(fresh, name)(*calls[name][0], **calls[name][1])
                    except NotFitted:
                        continue
                    except Exception as problem:
                        happened = type(problem).__name__
                    found.append((f"{type(thing).__name__}.{name}", happened))
        return sorted(set(found))


def _copied(given):
    """Arguments as they are now, with a budget of its own in `on_step`; None where they cannot be copied."""
    try:
        return copy.deepcopy(given)
    except Exception:  # a generator, a handle: what a call did to it cannot be undone, so that the call cannot be repeated
        return None


def _open_words(public: dict, paper) -> list[str]:
    """The public functions, classes and methods that take a keyword which they do not have."""
    found = []
    for name, one in public.items():
        inside = inspect.getmembers(one, inspect.isfunction) if inspect.isclass(one) else []
        inside = [(f"{name}.{word}", part) for word, part in inside
                  if part.__module__ == paper.__name__ and (word == "__call__" or not word.startswith("_"))]
        for title, part in [(name, one), *inside]:
            try:
                inspect.signature(part).bind_partial(no_such_word=0)
            except TypeError:
                continue
            found.append(title)
    return found


def _constructors(classes: list[type]) -> list[str]:
    """What constructors do beyond storing what they are given; layers are built in theirs, and left out here."""
    found = []
    for one in classes:
        if issubclass(one, torch.nn.Module | BaseException):
            continue
        words = inspect.signature(one).parameters.values()
        given = {word.name: object() for word in words if word.kind not in (word.VAR_POSITIONAL, word.VAR_KEYWORD)}
        try:
            stored = vars(one(**given))
        except Exception as problem:
            found.append(f"{one.__name__}(...) works on what it is given: {type(problem).__name__}: {problem}")
            continue
        lost = [name for name, value in given.items() if not any(value is held for held in stored.values())]
        made = [name for name, held in stored.items() if held is not None and not any(held is value for value in given.values())]
        found += [f"{one.__name__}(...) does not store {name} as it is" for name in lost]
        found += [f"{one.__name__}(...) makes {name}" for name in made]
    return found


def _drawings(paper, model, test) -> str:
    """What is wrong with what a person would look at."""
    drawings = paper.draw(model, test) if hasattr(paper, "draw") else []
    if not isinstance(drawings, list) or not all(isinstance(one, Drawing) for one in drawings):
        return f"gave {type(drawings).__name__} of {', '.join(sorted({type(one).__name__ for one in drawings})) or 'nothing'}"
    return next((f"drew {one.title!r} with nothing in it" for one in drawings if not one.content), "")


def _examples(public: dict, paper) -> dict:
    """How the examples in the docstrings went."""
    told: list[str] = []
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    started = time.process_time()
    known = {} if paper.__name__.startswith("bakeoff.papers.") else vars(paper)  # the library's run in a fresh script, as they stand
    tests = [test for name, one in public.items() for test in finder.find(one, name, module=paper, globs=dict(known))]
    for test in tests:
        runner.run(test, out=told.append)
    return {"seconds": time.process_time() - started, "tried": runner.tries, "wrong": told}


if __name__ == "__main__":
    try:
        serve()
    except KeyboardInterrupt:
        os._exit(130)
