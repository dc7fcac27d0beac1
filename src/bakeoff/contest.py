"""The contest: run the next pair, keep it, look at the evidence, stop when it decides.

Looking after every pair is allowed because the interval is anytime-valid. The verdict is a function of the pairs in
their order alone, so a run that was killed, continued, or spread over more workers ends with the same verdict.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from . import catalogue, verdicts
from .catalogue import Entry
from .claim import ARMS, BUDGETS, Outcome, Source, Trial, Verdict, finite, pair_seed
from .data import sets
from .errors import DataError, PaperError
from .store import Store

PAIRS = 20
MOST_FAILED = 0.1  # the share of failed pairs beyond which a run decides nothing


@dataclass(frozen=True)
class Contest:
    """One claim put to one source of data: what is fixed before the first pair."""

    slug: str
    entry: Entry
    source: Source
    budget: str
    seed: int
    pairs: int
    code: str
    data: str

    @classmethod
    def prepare(cls, slug: str, *, source: Source | None = None, budget: str = "quick", seed: int = 0, pairs: int = PAIRS) -> Contest:
        """Look up the paper and fingerprint its code and the data, without importing or loading either."""
        entry = catalogue.entry(slug)
        if entry.path.stem in catalogue.entries() and entry.slug != slug:
            raise PaperError(f"{slug} is called like a paper of the library", "Rename the file, so that the two can be told apart.")
        source = source or Source(entry.claim.data)
        data = sets.fingerprint(source, sets.kind_of(entry.claim.data))
        return cls(slug, entry, source, budget, seed, pairs, catalogue.code_hash(slug), data)

    @cached_property
    def seeds(self) -> list[int]:
        """The seed of each pair that may be run."""
        return [pair_seed(self.seed, pair) for pair in range(self.pairs)]

    def finished(self, store: Store) -> dict[tuple[str, int], Outcome]:
        """What the store holds of this contest, by (arm, seed)."""
        return store.outcomes(self.entry.slug, self.budget, self.code, self.data)

    def retry(self, store: Store) -> int:
        """Have the trials run again that failed for want of time, memory or a correct installation; their number."""
        return store.forget_failed(self.entry.slug, self.budget, self.code, self.data)

    def pairs_of(self, outcomes: dict) -> list[dict[str, Outcome]]:
        """The complete pairs, in order, up to the first that is not complete."""
        found = []
        for seed in self.seeds:
            pair = {arm: outcomes.get((arm, seed)) for arm in ARMS}
            if None in pair.values():
                break
            found.append(pair)
        return found

    def judge(self, pairs: list[dict[str, Outcome]]) -> tuple[Verdict, int, int]:
        """The verdict, the number of pairs it took, and how many of those failed.

        It is that of the first pair at which the evidence decides while few pairs have failed; without one, *undecided*.
        """
        claim, differences, failed = self.entry.claim, [], 0
        for taken, pair in enumerate(pairs, 1):
            if not all(one.status == "done" and finite(one.value) for one in pair.values()):
                failed += 1
                continue
            differences.append(pair["treatment"].value - pair["control"].value)
            if failed <= MOST_FAILED * taken:
                verdict = verdicts.judge(differences, margin=claim.margin, better=claim.better)
                if verdict.decision != "undecided":
                    return verdict, taken, failed
        verdict = verdicts.judge(differences, margin=claim.margin, better=claim.better)
        return Verdict("undecided", verdict.estimate, verdict.interval, verdict.pairs), len(pairs), failed

    def hopeless(self, pairs: list[dict[str, Outcome]]) -> bool:
        """True once so many pairs have failed that none of the pairs left can bring a decision."""
        failed = sum(any(one.status != "done" for one in pair.values()) for pair in pairs)
        return failed > MOST_FAILED * self.pairs


def soonest_first(contests: list[Contest], store: Store) -> list[tuple[Contest, float]]:
    """The contests in the order that gives the first verdicts soonest, each with the seconds of work that it is likely to take.

    What a pair took before and how many pairs decided it are known from the evidence and the store, at whatever budget; where nothing
    is known of a claim, it is taken to be like the middle one of those known. Pairs that the store holds already take no time.
    """
    past: dict[str, list[dict]] = {}
    for one in (*catalogue.evidence(), *store.runs()):
        past.setdefault(one["slug"], []).insert(0, one)  # the latest first
    usual = sorted((known[0]["seconds"], known[0]["pairs"]) for known in past.values())
    usual_seconds, usual_pairs = usual[len(usual) // 2] if usual else (0.0, PAIRS)

    def seconds(one: Contest) -> float:
        steps, far = one.entry.claim.steps, lambda known: abs(BUDGETS.index(known["budget"]) - BUDGETS.index(one.budget))
        known = min(past.get(one.entry.slug, ()), key=far, default=None)
        ran = known["pairs"] + known["failed"] if known else usual_pairs
        spent = known["seconds"] * steps[one.budget] / steps[known["budget"]] if known else usual_seconds
        likely = one.pairs if known and known["decision"] == "undecided" else min(ran, one.pairs)
        return spent / max(1, ran) * max(0, likely - len(one.pairs_of(one.finished(store))))

    return sorted(((one, seconds(one)) for one in contests), key=lambda pair: pair[1])


def _with_known_pairs(contest: Contest, outcomes: dict) -> Contest:
    """The contest with as many pairs as are known already, if these are more than were asked for: no verdict shrinks."""
    known = contest.pairs
    while all((arm, pair_seed(contest.seed, known)) in outcomes for arm in ARMS):
        known += 1
    return replace(contest, pairs=known)


def _unchanged(contest: Contest) -> None:
    """Raise if the paper or the data is not what it was when the run began: its trials would be kept under a wrong name."""
    if catalogue.code_hash(contest.slug) != contest.code:
        raise PaperError(f"the code of {contest.entry.slug} has changed since the run began", "Give the same command again.")
    if sets.is_path(contest.source) and sets.fingerprint(contest.source, sets.kind_of(contest.entry.claim.data)) != contest.data:
        raise DataError(f"{contest.source.where} has changed since the run began", "Give the same command again.")


def run(contest: Contest, store: Store, runner: Callable, *, tell: Callable[[str], None] = lambda line: None) -> dict:
    """Run a claim until it is decided or its pairs are spent; keep every trial and the result.

    Args:
        contest: from `Contest.prepare`.
        store: what it holds already is not run again.
        runner: called only if something is left to run; gives a runner with `run(trials)`.
        tell: gets the lines of progress.
    """
    outcomes = contest.finished(store)
    contest = _with_known_pairs(contest, outcomes)
    if not (decided := _decided(contest, outcomes)):
        started = time.monotonic()

        def needed() -> Iterator[Trial]:
            for pair, seed in enumerate(contest.seeds):
                for arm in ARMS:
                    if (arm, seed) not in outcomes:
                        yield Trial(contest.slug, arm, seed, contest.budget, contest.source, draw=pair == 0)

        for note in sets.ready(contest.source, sets.kind_of(contest.entry.claim.data)):
            tell(note)
        before = len(contest.pairs_of(outcomes))
        tell(_opening(contest, before))
        left_over = sum((arm, seed) not in outcomes for seed in contest.seeds for arm in ARMS)
        for done, (trial, outcome) in enumerate(runner().run(needed()), 1):
            _unchanged(contest)
            store.keep_trial(_keyed(contest, trial), contest.code, contest.data, outcome)
            outcomes[trial.arm, trial.seed] = outcome
            if outcome.status != "done":
                tell(f"  {trial.arm}, seed {trial.seed}: {outcome.status}: {(outcome.error.strip().splitlines() or ['no number'])[-1]}")
            if len(pairs := contest.pairs_of(outcomes)) > before:
                before = len(pairs)
                left = (time.monotonic() - started) / done * (left_over - done)
                tell(_progress(contest, pairs, left))
                if decided := _decided(contest, outcomes):
                    break
        if not decided:
            decided = contest.judge(contest.pairs_of(outcomes))
    final = result(contest, outcomes, *decided)
    store.keep_run(final)
    return final


def _decided(contest: Contest, outcomes: dict) -> tuple[Verdict, int, int] | None:
    pairs = contest.pairs_of(outcomes)
    verdict, taken, failed = contest.judge(pairs)
    over = verdict.decision != "undecided" or len(pairs) == contest.pairs or contest.hopeless(pairs)
    return (verdict, taken, failed) if over else None


def _keyed(contest: Contest, trial: Trial) -> Trial:
    """The trial under the paper's name, where the user gave the path of a paper file."""
    return Trial(contest.entry.slug, trial.arm, trial.seed, trial.budget, trial.source)


def result(contest: Contest, outcomes: dict, verdict: Verdict, taken: int, failed: int) -> dict:
    """The result as JSON: the verdict, both arms' values in the order of the pairs, every trial."""
    claim, pairs = contest.entry.claim, contest.pairs_of(outcomes)[:taken]
    trials = [_trial_json(arm, seed, pair[arm]) for seed, pair in zip(contest.seeds, pairs, strict=False) for arm in ARMS]
    return {
        "slug": contest.entry.slug, "title": contest.entry.paper.title, "budget": contest.budget, "seed": contest.seed,
        "decision": verdict.decision, "estimate": _number(verdict.estimate), "interval": [_number(end) for end in verdict.interval],
        "pairs": verdict.pairs, "failed": failed, "unit": claim.unit, "metric": claim.metric, "better": claim.better,
        "margin": claim.margin, "equal": claim.equal, "data": _told(contest.source), "code": contest.code, "data_hash": contest.data,
        "seconds": round(sum(one["seconds"] for one in trials), 2),
        **{arm: [_number(pair[arm].value) for pair in pairs] for arm in ARMS},
        "seeds": contest.seeds[:len(pairs)], "trials": trials}


def _told(source: Source) -> str:
    """Where the data is from, and how it was read."""
    return source.where + (f" ({', '.join(f'{name} {value}' for name, value in source.options)})" if source.options else "")


def summary(one: dict) -> dict:
    """What `--json` prints of a result."""
    names = ("slug", "decision", "estimate", "interval", "pairs", "unit", "budget", "seconds", "treatment", "control",
             "metric", "better", "margin", "failed", "data", "seed")
    return {name: one[name] for name in names}


def sentence(one: dict) -> str:
    """A result in one line."""
    low, high = (open_end if end is None else f"{end:+.4g}" for end, open_end in zip(one["interval"], ("-inf", "+inf"), strict=True))
    failed = f", {one['failed']} failed" if one["failed"] else ""
    estimate = "?" if one["estimate"] is None else f"{one['estimate']:+.4g}"
    return (f"{one['slug']:22} {one['decision']:9}  {estimate} {one['unit']}  [{low}, {high}]  "
            f"{one['pairs']} pairs{failed}  {one['budget']}  {one['data']}  {one['seconds']:.0f} s")


def _trial_json(arm: str, seed: int, outcome: Outcome) -> dict:
    every = max(1, len(outcome.curve) // 40)
    return {"arm": arm, "seed": seed, "status": outcome.status, "value": _number(outcome.value),
            "measures": {name: _number(value) for name, value in outcome.measures.items()},
            "curve": [[spent, _number(value, 4)] for spent, value in outcome.curve[::every]],
            "seconds": round(outcome.seconds, 3), "spent": outcome.spent, "error": outcome.error,
            "drawings": [vars(drawing) for drawing in outcome.drawings]}


def _number(value: float | None, digits: int = 10) -> float | None:
    return float(f"{value:.{digits}g}") if finite(value) else None


def _opening(contest: Contest, known: int) -> str:
    claim = contest.entry.claim
    return (f"{contest.entry.slug}: {claim.says}\n  {claim.metric} ({claim.unit}, {claim.better} is better) on {contest.source.where}, "
            f"budget {contest.budget}, up to {contest.pairs} pairs" + (f", {known} of them known" if known else ""))


def _progress(contest: Contest, pairs: list[dict], left: float) -> str:
    verdict, _, failed = contest.judge(pairs)
    low, high = verdict.interval
    values = " against ".join("-" if pairs[-1][arm].value is None else f"{pairs[-1][arm].value:.4g}" for arm in ARMS)
    decided = "" if verdict.decision == "undecided" else f" -> {verdict.decision}"
    remaining = f", at most {left:.0f} s left" if not decided else ""
    trouble = f", {failed} failed" if failed else ""
    return f"  pair {len(pairs):2}: {values}; interval [{low:+.3g}, {high:+.3g}]{trouble}{remaining}{decided}"


def curves(one: dict, width: int = 40) -> list[str]:
    """Each arm's learning curve of the first pair, drawn with blocks: one line an arm."""
    lines = []
    for arm in ARMS:
        values = [value for trial in one["trials"][:2] if trial["arm"] == arm for _, value in trial["curve"] if value is not None]
        if len(values) > 1:
            shown = [values[round(at * (len(values) - 1) / (width - 1))] for at in range(width)] if len(values) > width else values
            low, high = min(shown), max(shown)
            blocks = "".join("▁▂▃▄▅▆▇█"[round(7 * (value - low) / (high - low or 1))] for value in shown)
            lines.append(f"  {arm:9} {blocks}  {values[0]:.3g} to {values[-1]:.3g}")
    return lines
