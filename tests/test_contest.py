"""The contest: the verdict follows from the pairs in order, and nothing that has been run is lost or run again."""

import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from bakeoff import contest, trials, verdicts
from bakeoff.claim import ARMS, Outcome, Source, Trial, pair_seed
from bakeoff.data import tables
from bakeoff.errors import DataError, PaperError
from bakeoff.store import Store


class Here:
    """A runner in this process that gives made-up outcomes, in an order of its own."""

    def __init__(self, value, order=1):
        self.value, self.order, self.asked = value, order, []

    def run(self, trials):
        trials = iter(trials)
        while batch := list(itertools.islice(trials, 4)):
            self.asked += batch
            for trial in batch[::self.order]:
                yield trial, self.value(trial)


def better_by(size):
    def value(trial: Trial) -> Outcome:
        number = Random(f"{trial.arm} {trial.seed}").gauss(size if trial.arm == "treatment" else 0, 0.3)
        return Outcome("done", number, {"value": number}, seconds=1.0, spent=2)
    return value


@pytest.fixture
def store(tmp_path):
    with Store(f"sqlite:///{tmp_path / 'store.sqlite'}") as one:
        yield one


def prepared(own_paper, **more):
    return contest.Contest.prepare(own_paper(), **{"budget": "smoke", "seed": 5, "pairs": 12, **more})


def test_a_run_stops_when_the_evidence_decides_and_says_what_judge_says(own_paper, store):
    runner = Here(better_by(2.0))
    result = contest.run(prepared(own_paper), store, lambda: runner)
    differences = [a - b for a, b in zip(result["treatment"], result["control"], strict=True)]
    verdict = verdicts.judge(differences, margin=0.1)
    assert result["decision"] == verdict.decision == "holds"
    assert result["estimate"] == pytest.approx(verdict.estimate)
    assert result["interval"] == pytest.approx(verdict.interval)
    assert verdicts.judge(differences[:-1], margin=0.1).decision == "undecided"
    assert result["seeds"] == [pair_seed(5, pair) for pair in range(result["pairs"])]
    assert result["seconds"] == 2 * result["pairs"]


def test_the_order_in_which_trials_end_changes_nothing(own_paper, tmp_path):
    results = []
    for order in (1, -1):
        with Store(f"sqlite:///{tmp_path / f'{order}.sqlite'}") as own:
            results.append(contest.run(prepared(own_paper), own, lambda order=order: Here(better_by(1.0), order)))
    assert results[0] == results[1]


def test_a_second_run_asks_for_nothing_and_needs_no_runner(own_paper, store):
    first = contest.run(prepared(own_paper), store, lambda: Here(better_by(2.0)))
    assert contest.run(prepared(own_paper), store, lambda: pytest.fail("a runner was made")) == first


def test_an_undecided_run_goes_on_where_it_stopped_when_given_more_pairs(own_paper, store):
    first = contest.run(prepared(own_paper, pairs=2), store, lambda: Here(better_by(2.0)))
    assert (first["decision"], first["pairs"]) == ("undecided", 2)
    runner = Here(better_by(2.0))
    more = contest.run(prepared(own_paper, pairs=12), store, lambda: runner)
    assert more["decision"] == "holds"
    assert {trial.seed for trial in runner.asked}.isdisjoint(first["seeds"])


def test_a_change_of_the_code_makes_its_evidence_stale(own_paper, store):
    contest.run(prepared(own_paper), store, lambda: Here(better_by(2.0)))
    changed = contest.Contest.prepare(own_paper(treatment="return gain(seed) + 4"), budget="smoke", seed=5, pairs=12)
    assert changed.finished(store) == {}


@pytest.mark.parametrize("status", ["diverged", "error", "timeout"])
def test_failed_trials_are_counted_and_a_claim_with_many_of_them_is_not_decided(own_paper, store, status):
    def value(trial):
        bad = trial.arm == "control" and trial.seed in {pair_seed(5, pair) for pair in (1, 3)}
        return Outcome(status, error="broken") if bad else better_by(2.0)(trial)

    result = contest.run(prepared(own_paper), store, lambda: Here(value))
    assert result["decision"] == "undecided"
    assert result["failed"] == 2
    assert result["control"].count(None) == 2
    assert [trial["status"] for trial in result["trials"]].count(status) == 2


def test_failed_trials_are_run_again_on_request_and_finished_ones_are_not(own_paper, store):
    one = prepared(own_paper)
    first = contest.run(one, store, lambda: Here(lambda trial: Outcome("timeout") if trial.arm == "control" else better_by(2.0)(trial)))
    assert (first["decision"], first["failed"]) == ("undecided", len(first["seeds"]))
    assert one.retry(store) == len(first["seeds"])
    runner = Here(better_by(2.0))
    assert contest.run(one, store, lambda: runner)["decision"] == "holds"
    assert not {trial.seed for trial in runner.asked if trial.arm == "treatment"} & set(first["seeds"])


def test_the_claim_with_the_least_work_left_comes_first(own_paper, store, monkeypatch):
    papers = {name: own_paper(name=name) for name in ("long", "brief", "new")}
    known = {"budget": "smoke", "failed": 0, "decision": "holds"}  # a paper of the tests spends 2, 4 or 8 steps
    monkeypatch.setattr(contest.catalogue, "evidence", lambda: [{**known, "slug": "long", "seconds": 100.0, "pairs": 10},
                                                                {**known, "slug": "brief", "seconds": 30.0, "pairs": 15}])
    contests = [contest.Contest.prepare(path, budget="quick", pairs=12) for path in papers.values()]
    found = [(one.entry.slug, seconds) for one, seconds in contest.soonest_first(contests, store)]
    assert found == [("brief", 2 * 30 * 12 / 15), ("new", 100.0), ("long", 2 * 100)]  # twice the steps; 12 pairs of 15; nothing known
    one = contests[0]
    for seed in one.seeds[:8]:
        for arm in ARMS:
            store.keep_trial(Trial("long", arm, seed, "quick", one.source), one.code, one.data, Outcome("done", 1.0))
    assert dict((one.entry.slug, seconds) for one, seconds in contest.soonest_first(contests, store))["long"] == 2 * 10 * 2  # 2 pairs left


def test_an_undecided_run_is_likely_to_need_all_its_pairs_and_the_nearest_budget_tells_most(own_paper, store, monkeypatch):
    one = contest.Contest.prepare(own_paper(name="own"), budget="quick", pairs=20)
    smoke = {"slug": "own", "budget": "smoke", "failed": 0, "decision": "undecided", "seconds": 2.0, "pairs": 2}
    monkeypatch.setattr(contest.catalogue, "evidence", lambda: [smoke])
    assert contest.soonest_first([one], store) == [(one, 2 * 20)]  # a second a pair, and twice the steps
    quick = {**smoke, "budget": "quick", "decision": "holds", "seconds": 30.0, "pairs": 10}
    monkeypatch.setattr(contest.catalogue, "evidence", lambda: [{**quick, "seconds": 10.0}, quick, smoke])
    assert contest.soonest_first([one], store) == [(one, 30.0)]


def test_fewer_pairs_than_are_known_take_nothing_back(own_paper, store):
    first = contest.run(prepared(own_paper), store, lambda: Here(better_by(2.0)))
    assert contest.run(prepared(own_paper, pairs=1), store, lambda: pytest.fail("a runner was made")) == first


def test_a_paper_or_data_changed_during_the_run_keeps_nothing_more(own_paper, store, tmp_path):
    one = prepared(own_paper)
    with pytest.raises(PaperError, match="has changed since the run began"):
        contest.run(one, store, lambda: Here(lambda trial: own_paper(treatment="return 1.0") and better_by(2.0)(trial)))
    table = tmp_path / "t.csv"
    table.write_text("a,b\n" + "1,2\n3,4\n" * 20)
    source = Source(str(table), (("target", "b"),))
    other = contest.Contest.prepare(own_paper(), budget="smoke", source=source)
    with pytest.raises(DataError, match="has changed since the run began"):
        contest.run(other, store, lambda: Here(lambda trial: table.write_text("a,b\n" + "1,2\n3,5\n" * 20) and better_by(2.0)(trial)))
    assert one.finished(store) == other.finished(store) == {}


def test_an_own_paper_may_have_dataclasses_and_no_name_of_the_library(own_paper, store, tmp_path):
    own = Path(own_paper()).read_text()
    copy = tmp_path / "with_class.py"
    head, tail = own.split("\n__all__")
    copy.write_text(head.replace("from bakeoff", "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom bakeoff", 1)
                    + "\n__all__" + tail + "\n\n@dataclass\nclass Thing:\n    x: int\n")
    trial = Trial(str(copy), "treatment", 0, "smoke", Source("diabetes"))
    assert trials.run(trial).status == "done"
    with pytest.raises(PaperError, match="called like a paper of the library"):
        contest.Contest.prepare(own_paper(name="siren"))


def test_a_file_that_no_loader_foresaw_stops_the_run_in_words(own_paper, store, tmp_path, monkeypatch):
    table = tmp_path / "t.csv"
    table.write_text("a,b\n" + "1,2\n3,4\n" * 20)
    monkeypatch.setattr(tables, "_delimited", lambda path: 1 / 0)
    one = contest.Contest.prepare(own_paper(), budget="smoke", source=Source(str(table), (("target", "b"),)))
    with pytest.raises(DataError, match="cannot be read: ZeroDivisionError"):
        contest.run(one, store, lambda: pytest.fail("a runner was made"))


def test_one_failure_among_many_pairs_does_not_stop_a_verdict(own_paper, store):
    bad = pair_seed(5, 0)
    result = contest.run(prepared(own_paper, pairs=20), store,
                         lambda: Here(lambda trial: Outcome("error", error="x") if trial.seed == bad else better_by(2.0)(trial)))
    assert (result["decision"], result["failed"]) == ("holds", 1)
    assert len(result["treatment"]) == result["pairs"] + 1 >= 10


def test_progress_tells_pairs_interval_and_time_left(own_paper, store):
    lines = []
    contest.run(prepared(own_paper), store, lambda: Here(better_by(2.0)), tell=lines.append)
    assert "up to 12 pairs" in lines[0]
    assert "pair  1:" in lines[1]
    assert "s left" in lines[1]
    assert lines[-1].endswith("-> holds")


SLEEPY = "import time, os; time.sleep(0.15); open({log!r}, 'a').write(f'{arm} {{seed}}\\n'); return gain(seed) + {size}"


def command(slug, home, jobs):
    environment = {**os.environ, "BAKEOFF_HOME": str(home)}
    words = ["run", slug, "--budget", "smoke", "--pairs", "8", "--jobs", str(jobs), "--json"]
    return subprocess.Popen([str(Path(sys.executable).parent / "bakeoff"), *words], env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told(run):
    """What the command printed, but for the seconds it took."""
    (one,) = json.loads(run.communicate()[0])
    return {name: value for name, value in one.items() if name != "seconds"}


def rows(home):
    file = home / "state" / "bakeoff.sqlite"
    if not file.exists():
        return {}
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        found = connection.execute("select arm, seed, value, kept from trials").fetchall() \
            if connection.execute("select 1 from sqlite_master where name = 'trials'").fetchone() else []
    connection.close()
    return {(arm, seed): (value, kept) for arm, seed, value, kept in found}


@pytest.mark.parametrize("jobs", [1, 2])
def test_kill_9_at_any_moment_loses_and_repeats_nothing(own_paper, tmp_path, jobs):
    log = tmp_path / "log"
    log.touch()
    slug = own_paper(*(SLEEPY.format(log=str(log), arm=arm, size=size) for arm, size in zip(ARMS, (1.2, 0), strict=True)))
    undisturbed = told(command(slug, tmp_path / "calm", jobs))
    assert undisturbed["pairs"] == 8
    home = tmp_path / "disturbed"
    for moment in (0, 1, 3, 4, 7):  # kill as soon as so many trials are kept
        run = command(slug, home, jobs)
        deadline = time.monotonic() + 60
        while len(rows(home)) < moment and time.monotonic() < deadline:
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        before = rows(home)
        assert len(before) >= moment
    time.sleep(0.3)
    log.write_text("")
    assert told(command(slug, home, jobs)) == undisturbed
    after = rows(home)
    assert {key: after[key] for key in before} == before
    repeated = {(line.split()[0], int(line.split()[1])) for line in log.read_text().splitlines()}
    assert repeated.isdisjoint(before)


def test_200_finished_trials_answer_in_a_second(own_paper, tmp_path):
    slug, home = own_paper(), tmp_path / "home"
    with Store(f"sqlite:///{(home / 'state').mkdir(parents=True) or home / 'state' / 'bakeoff.sqlite'}") as own:
        one = contest.Contest.prepare(slug, budget="smoke", pairs=100)
        for pair, seed in enumerate(one.seeds):
            for arm in ARMS:
                value = 0.05 + (-1) ** pair if arm == "treatment" else 0.0  # so that 100 pairs leave it undecided
                own.keep_trial(Trial("own", arm, seed, "smoke", one.source), one.code, one.data, Outcome("done", value))
    words = [str(Path(sys.executable).parent / "bakeoff"), "run", slug, "--budget", "smoke", "--pairs", "100", "--json"]
    seconds = []
    for _ in range(5):
        before = os.times()
        printed = subprocess.run(words, env={**os.environ, "BAKEOFF_HOME": str(home)}, check=True, capture_output=True, text=True)
        seconds.append(sum(os.times()[2:4]) - sum(before[2:4]))  # of the command alone, however busy the machine is
    assert '"pairs": 100' in printed.stdout
    assert min(seconds) < 1
