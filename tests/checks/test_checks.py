"""What the checks do with files that end early, never end, or must not be run; and on which data they run."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from bakeoff import cli
from bakeoff.checks import Bench, Subject, all_checks, run_checks, static
from bakeoff.checks.subject import small_set
from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.errors import UnknownPaper

GOOD = (Path(__file__).parent / "good" / "heavy_ball.py").read_text(encoding="utf-8")
ARM = "    return _learn(0.9, train, budget, seed)"


@pytest.fixture
def paper(tmp_path):
    def write(old, new):
        assert old in GOOD
        (tmp_path / "own.py").write_text(GOOD.replace(old, new), encoding="utf-8")
        return tmp_path / "own.py"
    return write


def last(path, bench, **more):
    """The finding that ended the checks; the good paper itself has none."""
    findings = run_checks(path, bench=bench, **more)
    assert len(findings) < len(all_checks())
    return findings[-1]


def test_an_arm_that_raises_ends_the_checks_with_its_error_and_place(paper, bench):
    found = last(paper(ARM, "    return 1 / 0"), bench)
    assert (found.ok, found.message) == (False, "ZeroDivisionError: division by zero")
    line = GOOD.splitlines().index(ARM) + 1
    assert f"own.py, line {line}, in treatment" in found.hint


def test_an_arm_that_spends_too_much_is_told(paper, bench):
    found = last(paper("budget.steps, budget.spend", "budget.steps + 1, budget.spend"), bench)
    assert found.message == "OverBudget: the arm spent 21 of 20"


def test_an_arm_that_ends_its_process_is_told(paper, bench):
    assert "exit code 3" in last(paper(ARM, "    raise SystemExit(3)"), bench).message
    assert "SIGKILL" in last(paper(ARM, "    import os, signal; os.kill(os.getpid(), signal.SIGKILL)"), bench).message
    assert "exit code 0" in last(paper(ARM, "    import os; os._exit(0)"), bench).message


@pytest.mark.parametrize("ever", ["while True: pass", "import time; time.sleep(600)"])
def test_an_arm_that_never_ends_is_stopped(ever, paper, bench, monkeypatch):
    monkeypatch.setattr(bench, "seconds", 1)
    assert last(paper(ARM, f"    {ever}"), bench).message == "the smoke runs did not end"


def test_the_next_paper_meets_nothing_that_the_last_one_left(paper, bench):
    run_checks(paper(ARM, f"    np.set_printoptions(threshold=1)\n    np.who = 'here'\n{ARM}"), bench=bench)
    assert last(paper(ARM, "    raise ValueError(hasattr(np, 'who'))"), bench).message == "ValueError: False"


def test_checks_on_the_text_never_run_the_file(paper, tmp_path):
    subject = Subject(paper("class HeavyBall:", f"open({str(tmp_path / 'ran')!r}, 'w').close()\n\n\nclass HeavyBall:"), None, None)
    failed = []
    for check in (one for one in all_checks() if one.__module__ == static.__name__):
        try:
            check(subject)
        except static.CheckFailed:
            failed.append(check.__name__)
    assert "check_no_side_channel" in failed
    assert not (tmp_path / "ran").exists()


def test_a_file_whose_header_cannot_be_read_is_never_run(paper, tmp_path):
    with Bench() as unused:
        findings = run_checks(paper("CLAIM = Claim(", f"open({str(tmp_path / 'ran')!r}, 'w').close()\nCLAIM = dict("), bench=unused)
        assert not unused._servers
    assert [(one.check, one.ok) for one in findings] == [("header", False)]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"\xff\xfe", b'"""Own."""\0\n__all__ = ["a"]\n', b""])
def test_a_file_that_is_no_text_is_told(content, tmp_path, bench):
    (tmp_path / "own.py").write_bytes(content)
    found = last(tmp_path / "own.py", bench)
    assert (found.check, found.ok) == ("header", False)
    assert "own.py" in found.message


def test_a_name_that_no_paper_has_is_an_error():
    with pytest.raises(UnknownPaper, match="no_such_paper"):
        run_checks("no_such_paper")


def test_checks_run_on_data_of_ones_own(paper, bench, tmp_path):
    table = tmp_path / "own.csv"
    table.write_text("a,b,y\n" + "".join(f"{i},{i * i % 7},{3 * i + 0.5}\n" for i in range(40)))
    path = paper(ARM, f"    assert train.names == ('a', 'b')\n{ARM}")
    assert {one.check for one in run_checks(path, Source(str(table), (("target", "y"),)), bench) if not one.ok} == {"has_invariants"}
    assert last(path, bench).message.startswith("AssertionError")


@pytest.mark.parametrize("name", sets.SETS)
def test_the_smoke_run_uses_a_set_of_the_same_kind_without_files_where_there_is_one(name):
    chosen = small_set(name)
    assert sets.kind_of(chosen) == sets.kind_of(name)
    assert not sets.SETS[chosen].files or all(one.files for one in sets.SETS.values() if one.kind == sets.kind_of(name))


def test_the_smoke_run_uses_the_claims_own_set_where_that_costs_nothing():
    assert {name: small_set(name) for name in ("digits", "china", "flower", "wine", "diabetes", "mnist")} == {
        "digits": "digits", "china": "china", "flower": "flower", "wine": "wine", "diabetes": "diabetes", "mnist": "digits"}


def test_the_set_that_is_made_with_least_work_is_preferred(monkeypatch):
    made = {"slow": "100000", "quick": "300"}
    made = {name: sets.NamedSet("tables", "made", "", options=(("steps", steps),)) for name, steps in made.items()}
    monkeypatch.setattr(sets, "SETS", made)
    assert small_set("slow") == small_set("quick") == "quick"


def test_the_command_lists_every_check_and_exits_1_when_one_fails(paper, bench, capsys, monkeypatch):
    monkeypatch.setattr("bakeoff.checks.Bench", lambda: nullcontext(bench))
    assert cli.main(["check", str(paper("raise NotFitted()", "raise ValueError()"))]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(all_checks())
    assert [line.split(":")[0] for line in lines if not line.startswith("ok    ")] == ["FAIL  has_invariants", "FAIL  fit_comes_first"]
