"""What was read stands on the shelf once, with all its mentions; what a person settled stays settled."""

import random
from datetime import date, timedelta

import pytest

from bakeoff import digests, shelf
from bakeoff.digests import Digest, Mention
from bakeoff.errors import DigestError
from bakeoff.store import Store

BCQ = "Off-Policy Deep Reinforcement Learning without Exploration"
SUMMARY = ("Fujimoto et al. show that offpolicy learners fail on a fixed batch of transitions, as the values of actions that the batch "
           "does not hold are extrapolated. BCQ constrains the actions to those that a generative model, a conditional VAE, finds likely "
           "in the batch, with a small perturbation, and takes the largest of the Q values of some samples.")


def words(seed, count=150):
    rng = random.Random(seed)
    known = ["".join(rng.choice("abcdefghijklmnop") for _ in range(rng.randint(2, 9))) for _ in range(900)]
    return " ".join(rng.choice(known) for _ in range(count))


@pytest.fixture
def page(tmp_path):
    """Write a hot-papers page of a day, of (title, arXiv id, retweets, text); gives its path as text."""

    def write(day, *entries):
        parts = [f"---\ntitle: Hot Papers {day}\n---\n"]
        for at, (title, arxiv, retweets, text) in enumerate(entries, 1):
            parts.append(f"# {at}. {title}\n\nAnn Bee\n\n- retweets: {retweets}, favorites: 1\n\n"
                         f"- links: [abs](https://arxiv.org/abs/{arxiv})\n- [cs.LG](https://arxiv.org/list/cs.LG/recent)\n\n{text}.\n\n")
        file = tmp_path / f"{day}.md"
        file.write_text("\n".join(parts), encoding="utf-8")
        return str(file)

    return write


@pytest.fixture
def summaries(tmp_path):
    """Write summaries without titles; gives the file's path as text."""

    def write(name, *texts):
        file = tmp_path / name
        file.write_text("".join(f"[link]\n{text}\n" for text in texts), encoding="utf-8")
        return str(file)

    return write


def keep(*files):
    with Store() as store:
        return [shelf.as_json(one) for one in shelf.keep(store, shelf.read(files))]


def everything():
    with Store() as store:
        return store.papers(), store.digests(), store.stamp()


def test_reading_the_same_file_twice_changes_nothing(page):
    file = page("2026-01-05", (BCQ, "1812.02900", 5, words(1)), ("Kelp", "2601.00001", 7, words(2)))
    first, kept = keep(file), everything()
    assert keep(file, file) == first
    assert everything() == kept


def test_a_paper_of_a_second_day_gets_a_second_mention_and_its_popularity_is_kept_per_day(page):
    keep(page("2026-01-05", ("Kelp", "2601.00001", 7, words(2))))
    one, new = keep(page("2026-01-06", ("Kelp, Revised", "2601.00001", 30, words(2)), ("Calm", "2601.00002", 1, words(3))))
    assert [(told["day"], told["entry"], told["popularity"]["retweets"]) for told in one["mentions"]] == [
        ("2026-01-05", 1, 7), ("2026-01-06", 1, 30)]
    assert (one["title"], new["title"], len(new["mentions"])) == ("Kelp", "Calm", 1)
    assert len(everything()[0]) == 2


def test_a_page_with_the_title_and_a_summary_without_are_one_paper_of_the_library(page, summaries):
    titled = page("2026-01-05", (BCQ, "1812.02900", 5, words(1)), ("Kelp", "2601.00001", 7, words(2)))
    keep(titled)
    one, = keep(summaries("s.txt", SUMMARY))
    assert (one["slug"], one["title"], one["arxiv"], [told["entry"] for told in one["mentions"]]) == ("bcq", BCQ, "1812.02900", [1, 1])
    assert len(keep(titled)) == 2
    with Store() as store:
        assert len(shelf.everything(store)) == 2
        shelf.settle(store, titled, 1, None)
    assert [len(one["mentions"]) for one in keep(summaries("s.txt", SUMMARY))] == [1]  # they are two again


@pytest.mark.parametrize("seed", range(5))
def test_digest_after_digest_gives_the_papers_that_all_at_once_give(seed):
    rng = random.Random(seed)
    texts = [words(100 + at) for at in range(6)]
    made = []
    for at in range(8):
        ones = []
        for entry in range(1, rng.randint(2, 6)):
            text = list(rng.choice(texts))
            for _ in range(rng.randint(0, 5)):
                text[rng.randrange(len(text))] = "x"
            ones.append(Mention(entry=entry, text="".join(text), title=rng.choice([None, f"Title {rng.randint(1, 3)}"]),
                                arxiv=rng.choice([None, None, f"2601.0000{rng.randint(1, 3)}"])))
        made.append(Digest(f"{at}.txt", "abstracts", tuple(ones)))
    at_once = {frozenset(paper.mentions) for paper in digests.merge(made)}
    with Store() as store:
        for at, one in enumerate(made):
            shelf.keep(store, {f"{at:064}": one})
        one_by_one = {frozenset((told["file"], told["entry"]) for told in ones) for ones in store.papers().values()}
    assert one_by_one == at_once


def test_what_a_person_settles_holds_for_the_paper_in_every_file(page, summaries):
    first = page("2026-01-05", ("Kelp", "2601.00001", 7, words(2)))
    with Store() as store:
        mention, before = shelf.settle(store, first, 1, "siren")
    assert (mention.title, before.slug) == ("Kelp", None)
    later, = keep(page("2026-01-07", ("Kelp and more", "2601.00001", 9, words(2))))
    assert (later["slug"], later["settled"], later["confidence"], later["doubtful"]) == ("siren", True, 1.0, False)


def test_none_is_settled_like_a_paper_and_taken_back_like_one(summaries):
    file = summaries("s.txt", SUMMARY)
    with Store() as store:
        assert shelf.settle(store, file, 1, None)[1].slug == "bcq"
        assert [(one["slug"], one["settled"]) for one in keep(file)] == [(None, True)]
        shelf.settle(store, file, 1, None, forget=True)
    assert [(one["slug"], one["settled"]) for one in keep(file)] == [("bcq", False)]


def test_an_entry_that_is_not_there_cannot_be_settled(summaries):
    with Store() as store, pytest.raises(DigestError, match="has no entry 2"):
        shelf.settle(store, summaries("s.txt", SUMMARY), 2, "bcq")


def test_digests_kept_before_there_was_a_shelf_are_put_on_it(page):
    file = page("2026-01-05", ("Kelp", "2601.00001", 7, words(2)))
    (sha256, digest), = shelf.read([file]).items()
    with Store() as store:
        store.keep_digest(sha256, file, digest.form, [{"entry": 1, "title": "Kelp", "authors": [], "arxiv": None, "links": [],
                                                       "categories": [], "popularity": None, "text": words(2)}])  # as it was kept then
        assert store.papers() == {}
        assert [one.paper.title for one in shelf.keep(store, {sha256: digest})] == ["Kelp"]


def test_a_count_belongs_to_the_day_that_it_names(tmp_path):
    day = date(2026, 1, 5)
    file = tmp_path / "a.md"
    file.write_text(f"---\ntitle: Hot Papers {day}\n---\n\n# 1. Kelp\n\nAnn\n\n- retweets: 1, favorites: 2 (01/06/2026 08:00:00)\n\n"
                    "- links: [abs](https://arxiv.org/abs/2601.00001)\n\nText.\n\n# 2. Calm\n\nAnn\n\n- retweets: 3, favorites: 4\n\n"
                    "- links: [abs](https://arxiv.org/abs/2601.00002)\n\nText.\n\n# 3. Odd\n\nAnn\n\n"
                    "- retweets: 3, favorites: 4 (13/45/2026 08:00:00)\n\n- links: [abs](https://arxiv.org/abs/2601.00003)\n\nText.\n")
    assert [one.day for one in digests.read(file).mentions] == [(day + timedelta(1)).isoformat(), day.isoformat(), day.isoformat()]


def test_what_was_settled_is_forgotten_from_any_file_that_mentions_the_paper(page, summaries):
    first = page("2026-01-05", ("Kelp", "2601.00001", 7, words(2)))
    second = page("2026-01-06", ("Kelp, Revised", "2601.00001", 9, words(2) + " and more"))
    keep(first, second)
    with Store() as store:
        shelf.settle(store, first, 1, "siren")
        shelf.settle(store, second, 1, None, forget=True)
        assert store.settled() == {}
    assert [one["settled"] for one in keep(first)] == [False]


def test_papers_that_share_a_title_alone_are_settled_one_by_one(page):
    twins = page("2026-01-05", ("Reply to Comments", "2601.00019", 7, words(19)), ("Reply to Comments", "2601.00020", 5, words(20)))
    with Store() as store:
        shelf.settle(store, twins, 1, "siren")
    assert [(one["slug"], one["settled"]) for one in keep(twins)] == [("siren", True), (None, False)]


def test_an_entry_that_an_older_reader_read_otherwise_can_be_settled(page):
    file = page("2026-01-05", ("Kelp", "2601.00001", 7, "Short"))
    (sha256, digest), = shelf.read([file]).items()
    with Store() as store:
        for told in ([{"entry": 1, "title": "Ke\u3164lp"}], [{"entry": 1, "title": "Other"}, {"entry": 2, "title": "More"}]):
            store.keep_digest(sha256, file, digest.form, [{"authors": [], "links": [], "categories": [], **one} for one in told])
            shelf.place_all(store)
        assert shelf.settle(store, file, 1, "siren")[0].title == "Kelp"
        assert [[one["title"] for one in told] for told in store.papers().values()] == [["Kelp"]]
    assert [one["slug"] for one in keep(file)] == ["siren"]


def test_a_paper_that_is_settled_is_one_with_what_surely_is_the_same(page, summaries):
    other = page("2026-01-05", ("Kelp", "2601.00001", 7, words(2)))
    with Store() as store:
        shelf.settle(store, other, 1, "bcq")
    one, = keep(summaries("s.txt", SUMMARY))
    assert (one["slug"], len(one["mentions"])) == ("bcq", 2)
