"""A result as the pages need it: the engine's dictionary, checked, with what follows from its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from statistics import fmean

from .. import verdicts
from ..claim import ARMS, STATUSES
from ..errors import BakeoffError
from .text import clean, ends, number, real

DECISIONS = ("holds", "fails", "undecided")
LIST = (list, tuple)


@dataclass(frozen=True)
class Tried:
    """One trial of a result."""

    arm: str
    seed: int
    status: str
    value: float | None
    measures: dict[str, float | None]
    curve: list[tuple[float, float]]
    seconds: float | None
    spent: float | None
    error: str
    drawings: list[dict]


@dataclass(frozen=True)
class Result:
    """One run's result. Numbers that are missing or not finite are None."""

    slug: str
    title: str
    budget: str
    seed: int
    decision: str
    estimate: float | None
    interval: tuple[float | None, float | None]
    pairs: int
    failed: int
    unit: str
    metric: str
    better: str
    margin: float
    equal: str
    data: str
    seconds: float | None
    treatment: list[float | None]
    control: list[float | None]
    seeds: list[int]
    trials: list[Tried]

    @classmethod
    def read(cls, slug: str, one: dict) -> Result:
        """Check a dictionary from the store or from a file, and clean its text.

        Raises:
            BakeoffError: a field is missing or of another form; names the paper and the field.
        """
        take = _Taker(f"the result of {clean(slug)!r}", one)
        low_high = take("interval", LIST)
        wrong = [name for name, bad in (("interval", len(low_high) != 2), ("margin", not (real(one.get("margin")) or 0) > 0)) if bad]
        if wrong:
            raise take.refuse(wrong[0])
        columns = {arm: [real(value) for value in take(arm, LIST)] for arm in ARMS}
        seeds = [take.typed("seeds", seed, int) for seed in take("seeds", LIST)]
        if not len(columns["treatment"]) == len(columns["control"]) == len(seeds):
            raise take.refuse("seeds")
        return cls(
            slug, take("title", str), take("budget", str), take("seed", int), take("decision", str, DECISIONS), real(one.get("estimate")),
            (real(low_high[0]), real(low_high[1])), take("pairs", int), take("failed", int), take("unit", str), take("metric", str),
            take("better", str, ("higher", "lower")), float(one["margin"]), take("equal", str), take("data", str), real(one.get("seconds")),
            columns["treatment"], columns["control"], seeds, [_tried(take, trial) for trial in take("trials", LIST)])

    @property
    def toward(self) -> int:
        """The sign of a difference that speaks for the paper."""
        return 1 if self.better == "higher" else -1

    @cached_property
    def differences(self) -> list[float | None]:
        """Treatment minus control of every pair; None where one of them failed."""
        return [None if None in pair else pair[0] - pair[1] for pair in zip(self.treatment, self.control, strict=True)]

    @cached_property
    def running(self) -> list[tuple[int, float | None, float | None, float | None]]:
        """After each good pair: (its number from 1, estimate, low, high), as the engine saw them."""
        seen, steps = [], []
        for at, difference in enumerate(self.differences, 1):
            if difference is not None:
                seen.append(difference)
                verdict = verdicts.judge(seen, margin=self.margin, better=self.better)
                steps.append((at, real(verdict.estimate), *(real(end) for end in verdict.interval)))
        return steps

    def curves(self, arm: str) -> list[list[tuple[float, float]]]:
        """The learning curves of an arm that have two points or more."""
        return [trial.curve for trial in self.trials if trial.arm == arm and len(trial.curve) > 1]

    @cached_property
    def measures(self) -> list[tuple[str, float | None, float | None]]:
        """(name, mean of the treatment, mean of the control) over the trials that finished; the judged metric first."""
        done = [trial for trial in self.trials if trial.status == "done"]
        names = dict.fromkeys([self.metric, *(name for trial in done for name in trial.measures)])
        rows = [(name, *(_mean(trial.measures.get(name) for trial in done if trial.arm == arm) for arm in ARMS)) for name in names]
        rows += [(f"spent ({self.equal})", *(_mean(trial.spent for trial in done if trial.arm == arm) for arm in ARMS))]
        rows += [("seconds", *(_mean(trial.seconds for trial in done if trial.arm == arm) for arm in ARMS))]
        return [row for row in rows if row[1:] != (None, None)]

    @property
    def failures(self) -> list[Tried]:
        """The trials that did not finish."""
        return [trial for trial in self.trials if trial.status != "done"]

    @property
    def drawn(self) -> list[tuple[int, dict[str, list[dict]]]]:
        """(seed, what each arm drew) of every pair that drew something."""
        by_seed: dict[int, dict[str, list[dict]]] = {}
        for trial in self.trials:
            if trial.drawings:
                by_seed.setdefault(trial.seed, {arm: [] for arm in ARMS})[trial.arm].extend(trial.drawings)
        return list(by_seed.items())

    @property
    def side_by_side(self) -> list[tuple[int, list[dict[str, dict | None]]]]:
        """(seed, rows of one drawing an arm) of every pair that drew something; None where an arm has fewer than the other."""
        return [(seed, [dict(zip(ARMS, row, strict=True)) for row in zip_longest(*(drew[arm] for arm in ARMS))])
                for seed, drew in self.drawn]

    @property
    def ends_so_far(self) -> dict[int, tuple[float | None, float | None]]:
        """The interval after each good pair, by the pair's number."""
        return {at: (low, high) for at, _, low, high in self.running}

    @property
    def sentence(self) -> str:
        """The verdict in plain words."""
        told = f"No pair finished: {self.failed} failed." if self.failed else "No pair has been run."
        if self.estimate is None and not self.failed:
            return told
        if self.estimate is not None:
            low, high = ends(*self.interval)
            size = number(abs(self.estimate))
            than = "no different from" if self.estimate == 0 else f"{size} {self.unit} {'higher' if self.estimate > 0 else 'lower'} than"
            told = (f"Over {_count(self.pairs, 'pair')}, the treatment's {self.metric} was on average {than} the control's "
                    f"(interval {low} to {high}).")
        return f"{told} {self._because}"

    @property
    def _because(self) -> str:
        margin = f"the margin of {number(self.margin)} {self.unit}"
        least, most = self.interval if self.toward > 0 else (None if end is None else -end for end in reversed(self.interval))
        if self.decision == "holds":
            open_still = least is not None and least < self.margin
            return "The whole interval lies on the side the paper claims." + (
                f" Whether the advantage reaches {margin} stays open." if open_still else f" All of it is beyond {margin}.")
        if self.decision == "fails":
            other_side = most is not None and most < 0
            return ("The whole interval lies on the other side of 0: here the control did better." if other_side
                    else f"The whole interval falls short of {margin}, the smallest difference that would matter.")
        if self.failed > 0.1 * (self.pairs + self.failed):
            return f"{self.failed} of {_count(self.pairs + self.failed, 'pair')} failed: too many to decide."
        return f"The pairs ran out while the interval still allowed both no advantage and one of {margin}."


class _Taker:
    """Takes fields of a dictionary by their expected type."""

    def __init__(self, where: str, one):
        self.where, self.one = where, one

    def __call__(self, name: str, kind: type, allowed: tuple = ()):
        value = self.one.get(name) if isinstance(self.one, dict) else None
        value = clean(self.typed(name, value, kind))
        if allowed and value not in allowed:
            raise self.refuse(name)
        return value

    def typed(self, name: str, value, kind: type):
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.refuse(name)
        return value

    def refuse(self, name: str) -> BakeoffError:
        return BakeoffError(f"{self.where} has no {name!r} that can be shown",
                            "Run the claim again, or remove the file that holds the result.")


def _tried(outer: _Taker, one: dict) -> Tried:
    take = _Taker(f"a trial of {outer.where}", one)
    points = [point for point in take("curve", LIST) if isinstance(point, list) and len(point) == 2]
    curve = [(real(spent), real(value)) for spent, value in points]
    return Tried(
        take("arm", str, ARMS), take("seed", int), take("status", str, STATUSES), real(one.get("value")),
        {name: real(value) for name, value in take("measures", dict).items()},
        [point for point in curve if None not in point], real(one.get("seconds")), real(one.get("spent")), take("error", str),
        [drawing for drawing in take("drawings", LIST) if isinstance(drawing, dict)])


def _mean(values) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _count(number_of: int, what: str) -> str:
    return f"{number_of} {what}{'' if number_of == 1 else 's'}"
