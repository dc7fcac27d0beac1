"""A search finds library, wanted and read papers in one index, best first."""

import sqlite3
import time

import pytest

from bakeoff import places, search, shelf
from bakeoff.store import Store


def slugs(query):
    return [row["slug"] for row in search.find(query)]


@pytest.mark.parametrize(("query", "slug"), [
    ("learn from a fixed batch without exploring", "bcq"),
    ("Frankle", "lottery_ticket"),
    ("lottery tickets", "lottery_ticket"),
    ("sine activations for images", "siren"),
    ("SIREN", "siren"),
    ("certified radius gaussian noise votes", "randomized_smoothing"),
    ("shapley values for forests", "tree_explainer"),
    ("genetic algorithm for molecules", "discriminator_ga"),
    ("arXiv 2003.08934", "nerf"),
    ("off policy meta reinforcement learning", "pearl"),
    ("batchconstrained", "bcq"),
    ("batch constrained", "bcq"),
    ("batch-constrained", "bcq")])
def test_words_of_title_name_task_or_author_find_the_paper_first(query, slug):
    assert slugs(query)[0] == slug


def test_a_misspelt_word_finds_what_the_right_one_does():
    assert slugs("lotery tikets")[0] == slugs("lottery tickets")[0] == "lottery_ticket"


def test_an_area_finds_its_papers():
    found = search.find("offline_rl")
    assert {row["area"] for row in found[:5]} == {"offline_rl"}


def test_a_row_says_what_the_paper_is():
    row = search.find("without exploration offpolicy")[0]
    assert {**row, "score": None} == {"slug": "bcq", "status": "library", "area": "offline_rl", "year": 2019, "arxiv": "1812.02900",
                                      "title": "Off-Policy Deep Reinforcement Learning without Exploration", "mentions": 0, "score": None}
    assert next(row for row in search.find("neural radiance fields") if row["slug"] == "nerf")["status"] == "wanted"


@pytest.mark.parametrize("query", ["", "the of and", '"', "'; drop table papers; --", "NEAR(a b)", "title : x", "* ^ -", "\0", "(" * 500])
def test_no_query_is_taken_for_a_command_of_the_index(query):
    assert isinstance(search.find(query), list)
    assert slugs("SIREN")[0] == "siren"


def read(tmp_path, name, *papers):
    file = tmp_path / name
    file.write_text("".join(f"# {at}. {title}\n\n{author}\n\n- links: [abs](https://arxiv.org/abs/{arxiv})\n\n{text}\n\n"
                            for at, (title, author, arxiv, text) in enumerate(papers, 1)))
    with Store() as store:
        shelf.keep(store, shelf.read([str(file)]))
    return str(file)


def test_what_is_read_can_be_found_and_follows_what_is_settled(tmp_path):
    assert search.find("zebrafish") == []
    file = read(tmp_path, "a.md", ("Kelp for Zebrafish", "Ann Quokka", "2601.00001", "Algae."), ("Calm", "Bee", "2601.00002", "Zebrafish."))
    found = search.find("zebrafish")
    assert [(row["title"], row["slug"], row["status"], row["mentions"]) for row in found] == [
        ("Kelp for Zebrafish", None, "read", 1), ("Calm", None, "read", 1)]
    assert search.find("Quokka")[0]["title"] == "Kelp for Zebrafish"
    with Store() as store:
        shelf.settle(store, file, 1, "siren")
    assert search.find("Quokka")[0]["slug"] == "siren"


def test_a_paper_of_the_library_that_was_read_of_stands_once(tmp_path):
    read(tmp_path, "a.md", ("Off-Policy Deep Reinforcement Learning without Exploration", "Scott Fujimoto", "1812.02900", "Batches."))
    found = [row for row in search.find("off-policy deep reinforcement learning without exploration") if row["slug"] == "bcq"]
    assert [(row["status"], row["mentions"]) for row in found] == [("library", 1)]


def test_a_damaged_index_is_made_anew(tmp_path):
    slugs("SIREN")
    file, = places.state().glob("search-*.sqlite")
    file.write_bytes(b"not a data base at all" * 100)
    for rest in places.state().glob("search-*.sqlite-*"):
        rest.unlink()
    assert slugs("SIREN")[0] == "siren"


def test_a_store_that_was_deleted_leaves_nothing_in_the_index(tmp_path):
    read(tmp_path, "a.md", ("Kelp for Zebrafish", "Ann", "2601.00001", "Algae."))
    assert len(search.find("zebrafish")) == 1
    for file in places.state().glob("bakeoff.sqlite*"):
        file.unlink()
    assert search.find("zebrafish") == []


def test_an_index_that_is_up_to_date_answers_without_being_made_again(monkeypatch):
    slugs("SIREN")
    monkeypatch.setattr(search, "_keep", lambda *_: pytest.fail("indexed again"))
    started = time.process_time()
    assert slugs("SIREN")[0] == "siren"
    assert time.process_time() - started < 0.5


def test_the_index_is_a_plain_table_of_sqlite():
    slugs("SIREN")
    file, = places.state().glob("search-*.sqlite")
    with sqlite3.connect(file) as index:
        assert index.execute("select count(*) from shown").fetchone()[0] == 184
