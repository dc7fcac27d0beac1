"""The checks on one shared smoke run: both arms at one seed, seen by `probe`."""

from __future__ import annotations

import math

from ..claim import ARMS
from .static import expect
from .subject import Subject

SECONDS = 5.0  # of processor time: an arm has 2 s on a quiet machine, and a busy one counts more for the same work
SHARE = 1.02


def check_import_is_clean(subject: Subject) -> None:
    """Importing the file prints nothing, warns of nothing, and changes nothing outside it."""
    left = subject.seen["import"]
    expect(not left, f"importing the file leaves {_some(left)}", "Only define things when the file is imported.")


def check_score_is_a_number(subject: Subject) -> None:
    """`score` gives the claim's metric as a finite number, and side measures that are finite, or NaN where there is none to take."""
    metric = subject.entry.claim.metric
    for arm, seen in subject.seen["arms"].items():
        measures = seen["measures"]
        expect(measures is not None, f"score gave {seen['gave']} for the {arm}", "Return a dictionary of numbers.")
        expect(metric in measures, f"score gave {', '.join(measures) or 'nothing'} for the {arm}, and not {metric!r}",
               "Return the number that CLAIM.metric names under that name.")
        for name, value in measures.items():
            expect(value is not None, f"{name!r} is no number for the {arm}", "Return a dictionary of numbers.")
            good = math.isfinite(value) if name == metric else not math.isinf(value)
            expect(good, f"{name!r} is {value} for the {arm}", "Bound what can grow without end; a smoke run must not diverge.")
    both = [set(subject.seen["arms"][arm]["measures"]) for arm in ARMS]
    expect(both[0] == both[1], f"only one arm has {', '.join(both[0] ^ both[1])}", "Measure the same of both arms.")


def check_reproducible(subject: Subject) -> None:
    """A fresh process gives the same bits, though it hashes text otherwise and runs the control first."""
    for arm in ARMS:
        once, again = _outcome(subject.seen["arms"][arm]), _outcome(subject.again["arms"][arm])
        expect(repr(once) == repr(again), f"another process gives another {arm}: {_difference(once, again)}",
               "Let everything follow from the seed: no order of a set, no state shared by the arms, no clock.")


def check_seed_matters(subject: Subject) -> None:
    """An arm that reads its seed gives something else at another one, on the same data."""
    for arm, varied in subject.seen["varied"].items():
        expect(repr(_outcome(varied)) != repr(_outcome(subject.seen["arms"][arm])), f"the {arm} is the same at seeds 0 and 1",
               "Pass the seed on to all that is random, or do not read it.")


def check_paired(subject: Subject) -> None:
    """Both arms get the same bytes, and leave them as they are; so does score."""
    first = subject.seen["arms"][ARMS[0]]["data"][0]
    for seen in (subject.seen, subject.again):
        for arm, one in seen["arms"].items():
            expect(one["data"] == [first, first], f"the {arm} or its score changes the data it is given",
                   "Copy what is to be changed: torch.tensor(array) does.")


def check_equal_budget(subject: Subject) -> None:
    """Measured in the claim's currency, the treatment spends at most 2 % more than the control, and both spend something."""
    claim, (treatment, control) = subject.entry.claim, (subject.seen["arms"][arm]["spent"] for arm in ARMS)
    for arm, spent in zip(ARMS, (treatment, control), strict=True):
        expect(spent, f"the {arm} spends no {claim.equal}", "Give budget.spend to the method as on_step, called once a unit.")
    expect(treatment <= SHARE * control, f"the treatment spends {treatment} {claim.equal}, the control {control}",
           "Let both train for budget.steps.")


def check_arms_differ(subject: Subject) -> None:
    """The two arms are not one and the same."""
    treatment, control = (repr(_outcome(subject.seen["arms"][arm])) for arm in ARMS)
    expect(treatment != control, "both arms give the same numbers and the same curve", "Let the arms differ in what the claim is about.")


def check_in_time(subject: Subject) -> None:
    """A smoke run is over in seconds."""
    for arm, seen in subject.seen["arms"].items():
        expect(seen["seconds"] <= SECONDS, f"the smoke run of the {arm} takes {seen['seconds']:.1f} s",
               "Grant fewer steps at smoke, or score on less: an arm has 2 s on a quiet machine.")


def check_no_trace(subject: Subject) -> None:
    """No file, output, thread, process, figure or warning is left, and no global generator or setting is changed."""
    for arm, seen in subject.seen["arms"].items():
        expect(not seen["left"], f"the {arm} or its score leaves {_some(seen['left'])}",
               "Draw from a generator of your own, build networks inside parts.seeding.seeded(seed), close what is opened.")


def check_unknown_words(subject: Subject) -> None:
    """A keyword that is not there raises TypeError, also where it is inherited."""
    found = subject.seen["words"]
    expect(not found, f"{_some(found)} takes any keyword", "Name every parameter: a misspelt one must raise TypeError.")


def check_constructor_only_stores(subject: Subject) -> None:
    """A method's constructor keeps its arguments as they are; the work begins with the first verb."""
    found = subject.seen["constructors"]
    expect(not found, _some(found), "Store arguments as they are, and no more; check and prepare in fit, or where they are used.")


def check_fit_twice(subject: Subject) -> None:
    """To fit again is to start anew: the same data give the same numbers."""
    for seen in subject.seen["arms"].values():
        for name, before, after in seen["refitted"]:
            expect(repr(before) == repr(after), f"{name}.fit once more gives another model: {_difference(before, after)}",
                   "Build everything that is learned in fit, from the seed.")


def check_fit_comes_first(subject: Subject) -> None:
    """What is used before it was fitted says so."""
    for arm in ARMS:
        for method, happened in subject.seen["arms"][arm]["unfitted"]:
            expect(False, f"{method} before fit: {happened}", "Raise bakeoff.errors.NotFitted().")


def check_drawings(subject: Subject) -> None:
    """`draw`, where there is one, gives a list of drawings with something in them."""
    for arm, seen in subject.seen["arms"].items():
        expect(not seen["drawings"], f"draw {seen['drawings']} for the {arm}",
               "Return a list of Drawing.picture(...) and Drawing.molecules(...).")


def check_examples_run(subject: Subject) -> None:
    """Every example of a docstring gives what it shows, and soon."""
    seen = subject.seen["examples"]
    expect(not seen["wrong"], " ".join(" ".join(seen["wrong"]).split())[:600], "Correct the example, or the method.")
    expect(seen["tried"], "no example was found", "Show the use of each public name in its docstring, in lines that begin with >>>.")
    expect(seen["seconds"] <= SECONDS, f"the examples take {seen['seconds']:.1f} s", "Make them smaller: they are run in passing.")


def _outcome(seen: dict) -> dict:
    return {**(seen["measures"] or {}), "spent": seen["spent"], "curve": seen["curve"]}


def _difference(once: dict, again: dict) -> str:
    return next((f"{name} is {str(once.get(name))[:80]}, then {str(again.get(name))[:80]}" for name in {**once, **again}
                 if repr(once.get(name)) != repr(again.get(name))), "the order of its measures")


def _some(found: list[str]) -> str:
    return "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
