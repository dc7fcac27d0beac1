"""One suite for every runner, and what the local one promises beyond it."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from bakeoff import trials
from bakeoff.claim import Source, Trial
from bakeoff.errors import DataError
from bakeoff.runners.local import GIGABYTE, LocalRunner
from bakeoff.runners.ray import RayRunner

DIABETES = Source("diabetes")
ENDLESS = "while True: pass"
GREEDY = "x = [0] * 10**9"
CRASH = "import os; os.kill(os.getpid(), 11)"
WRONG = "raise ValueError('a wrong turn')"


@pytest.fixture(params=[LocalRunner, pytest.param(RayRunner, marks=pytest.mark.xdist_group("ray"))], ids=["local", "ray"], scope="module")
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def runner(kind):
    with kind(jobs=2, memory=3 * GIGABYTE) as one:
        yield one


def both_arms(slug, seeds=(0,), source=DIABETES):
    return [Trial(slug, arm, seed, "smoke", source) for seed in seeds for arm in ("treatment", "control")]


def test_a_worker_gives_what_the_trial_gives_here(runner, own_paper):
    asked = both_arms(own_paper(), seeds=(0, 1, 2))
    got = dict(runner.run(asked))
    assert {trial: outcome.value for trial, outcome in got.items()} == {trial: trials.run(trial).value for trial in asked}


@pytest.mark.parametrize(("line", "status", "said"), [
    (WRONG, "error", "ValueError: a wrong turn"), (CRASH, "error", "worker process died"),
    (GREEDY, "error", "MemoryError"), (ENDLESS, "timeout", "the time limit of a trial"), ("return float('nan')", "diverged", "")])
def test_a_failing_trial_costs_itself_alone(runner, own_paper, monkeypatch, line, status, said):
    slug = own_paper(treatment=line)
    if status == "timeout":
        monkeypatch.setattr(runner, "seconds", 10.0 if isinstance(runner, LocalRunner) else 25.0)  # a task of Ray's imports torch first
    got = {(trial.arm, trial.seed): outcome for trial, outcome in runner.run(both_arms(slug, seeds=(0, 1)))}
    assert [got["control", seed].status for seed in (0, 1)] == ["done", "done"]
    assert [got["treatment", seed].status for seed in (0, 1)] == [status, status]
    assert said in got["treatment", 0].error


def test_spending_more_than_the_budget_is_an_error(runner, own_paper):
    (_, outcome), = runner.run(both_arms(own_paper(treatment="budget.spend()\n    return 1.0"))[:1])
    assert (outcome.status, outcome.spent) == ("error", 2)
    assert "OverBudget" in outcome.error


def test_wrong_data_stops_the_run_instead_of_failing_every_trial(runner, own_paper):
    with pytest.raises(DataError, match="neither a file or folder nor a named set"):
        list(runner.run(both_arms(own_paper(), source=Source("no-such-set"))))


def test_trials_are_asked_for_only_when_a_place_is_free(runner, own_paper):
    slug, asked = own_paper(), []

    def endless():
        for seed in range(1000):
            asked.append(seed)
            yield Trial(slug, "control", seed, "smoke", DIABETES)

    for count, _ in enumerate(runner.run(endless()), 1):
        if count == 5:
            break
    assert 5 <= len(asked) <= 7


def test_a_further_trial_on_a_warm_worker_costs_under_10_ms(own_paper):
    slug = own_paper()
    with LocalRunner(1) as runner:
        list(runner.run(both_arms(slug)))
        outcomes, times = [], []
        for trial in both_arms(slug, seeds=range(1, 41)):
            started = time.perf_counter()
            outcomes += [outcome for _, outcome in runner.run([trial])]
            times.append(time.perf_counter() - started - outcomes[-1].seconds)
    assert all(outcome.status == "done" for outcome in outcomes)
    assert sorted(times)[len(times) // 2] < 0.010


def test_two_workers_sleep_side_by_side(own_paper):
    slug = own_paper(treatment="import time; time.sleep(1); return 1.0", control="import time; time.sleep(1); return 1.0")
    times = {}
    for jobs in (1, 2):
        with LocalRunner(jobs) as runner:
            list(runner.run(both_arms(own_paper(name="warm"), seeds=range(jobs))))
            started = time.perf_counter()
            list(runner.run(both_arms(slug, seeds=(0, 1))))
            times[jobs] = time.perf_counter() - started
    assert times[1] / times[2] > 1.8


def test_a_worker_that_dies_while_idle_costs_nothing(own_paper):
    slug = own_paper()
    with LocalRunner(1) as runner:
        list(runner.run(both_arms(slug)))
        (idle,) = runner._idle
        os.kill(idle.process.pid, signal.SIGKILL)
        idle.process.join()
        assert [outcome.status for _, outcome in runner.run(both_arms(slug, seeds=(1,)))] == ["done", "done"]


def test_leaving_early_stops_the_trials_under_way(own_paper):
    slug = own_paper(treatment="return 1.0", control=ENDLESS)
    with LocalRunner(2) as runner:
        for trial, _ in runner.run(both_arms(slug)):
            assert trial.arm == "treatment"
            break
        started = time.perf_counter()
    assert time.perf_counter() - started < 5


def test_kill_9_leaves_no_worker_behind(own_paper):
    script = textwrap.dedent(f"""
        from bakeoff.runners.local import LocalRunner
        from bakeoff.claim import Source, Trial
        if __name__ == "__main__":
            list(LocalRunner(2).run([Trial({own_paper(treatment=ENDLESS, control=ENDLESS)!r}, arm, 0, "smoke", Source("diabetes"))
                                     for arm in ("treatment", "control")]))""")
    run = subprocess.Popen([sys.executable, "-c", script])
    family = psutil.Process(run.pid)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and sum(one.cpu_times().user > 0.3 for one in _alive(family.children(recursive=True))) < 3:
        time.sleep(0.05)
    children = family.children(recursive=True)
    assert len(children) >= 3
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert psutil.wait_procs(children, timeout=10)[1] == []


def _alive(processes):
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
