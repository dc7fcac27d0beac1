"""A mention is of a library paper if it is about it, not if it cites it."""

from types import SimpleNamespace

import pytest

from bakeoff import catalogue, recognise
from bakeoff.claim import Paper
from bakeoff.digests import Digest, Mention


def paper(title, first, arxiv, *also):
    return Paper(title=title, authors=(first, "Other"), year=2020, venue="V", arxiv=arxiv, also=also)


LIBRARY = {
    "kelp": paper("Stable Learning without Exploring", "Ann Fuji", "2001.00001", "KELP", "kept-action deep Q-learning"),
    "calming": paper("Proofs by Calming", "Cole", "2001.00002", "randomised calming"),
    "forest_view": paper("Explaining Woods: From Trees to Forests", "Lund", "2001.00003", "ForestView", "Seeing the wood for the trees"),
    "waves": paper("Pictures in Waves", "Sitz", "2001.00004", "WAVE", "wave networks"),
    "critic_search": paper("Search with a Critic", "Nig", None, "evolution ... molecules ... critic"),
}


@pytest.fixture(autouse=True)
def library(monkeypatch):
    monkeypatch.setattr(catalogue, "entries", lambda: {slug: SimpleNamespace(slug=slug, paper=one) for slug, one in LIBRARY.items()})


def slug(**known):
    return recognise.recognise(Mention(entry=1, **known))


def test_an_arxiv_id_identifies_a_paper_whatever_its_title():
    assert slug(arxiv="2001.00003", title="Seen from Above") == "forest_view"


@pytest.mark.parametrize("title", ["Stable Learning without Exploring", "STABLE LEARNING  without-exploring",
                                   "Stable  learning: without exploring."])
def test_a_title_identifies_a_paper_by_its_letters(title):
    assert slug(title=title) == "kelp"


def test_a_later_title_among_the_also_phrases_identifies_a_paper():
    assert slug(title="Seeing the Wood for the Trees") == "forest_view"


def test_a_title_with_another_arxiv_id_is_another_paper():
    assert slug(title="Proofs by Calming", arxiv="2009.00009") is None


def test_a_name_inside_another_title_or_its_abstract_is_no_link():
    assert slug(title="Boosting Randomised Calming with Fewer Samples", text="We propose KELP, a method.") is None
    assert slug(title="KELP: Kernels for Plants") is None


@pytest.mark.parametrize(("text", "expected"), [
    ("Cole et al. study the bounds of randomised calming, where a vote is taken.", "calming"),
    ("Fuji and Other discover that keptaction deep Qlearning does not diverge.", "kelp"),
    ("Algorithms fail here. The proposed algorithm KeptAction deep Qlearning (KELP) aims to stay close.", "kelp"),
    ("It is hard. The proposed KELP algorithm is the only one to succeed.", "kelp"),
    ("Trees are opaque. The proposed explanation model titled ForestView exposes methods.", "forest_view"),
    ("Trees are opaque. We introduce a new method, ForestView, for them.", "forest_view"),
    ("Given this setting, the central technique proposed by WAVEs is to use sines.", "waves"),
    ("We propose networks with periodic activations, dubbed wave networks, and fit pictures.", "waves"),
    ("I found this hard. Evolution gets stuck when all molecules are alike, so a critic is trained beside it.", "critic_search")])
def test_a_text_about_the_paper_is_linked(text, expected):
    assert slug(text=text) == expected


@pytest.mark.parametrize("text", [
    "Wu et al. propose a framework. Instances of it include KELP, KLControl and others.",
    "Salman et al. combine randomised calming with training. They propose randomised calming against attacks.",
    "Whereas most earlier methods (like KELP) constrain the policy, this one does not.",
    "The authors compare all of them with a newly introduced version of KELP (kept action deep Q learning) for games.",
    "This summary builds on my summary of WAVEs. The idea of WAVEs is to use sines. We propose rays instead.",
    "We compare with the recently proposed KELP on ten tasks.",
    "We propose to combine KELP and planning.",
    "We propose to extend the method KELP to games.",
    "The authors introduce a new version of keeping actions (KELP) for games.",
    "The authors propose discrete KELP for games.",
    "The authors propose using a wave network to learn molecules.",
    "Since it was introduced, KELP has won.",
    "We use the generator proposed by KELP.",
    "The lobster eats kelp; we propose kelp.",
    "Molecules are made by a critic.",
    "In an effect reminiscent of randomised calming, noise helps.", "", "short"])
def test_a_text_that_merely_cites_the_paper_is_not(text):
    assert slug(text=text) is None


def test_a_mention_of_nothing_is_of_no_paper():
    assert slug() is None


def test_json_says_null_for_what_is_not_given():
    read = [Digest("a.md", "hot_papers", (
        Mention(entry=1, title="Pictures in Waves", authors=("S. Sitz",), arxiv="2001.00004", links=("https://a.org",),
                categories=("cs.LG",), popularity={"retweets": 1, "favourites": 2}, text="Text."),), ("a note",)),
        Digest("b.txt", "abstracts", (Mention(entry=1, text="Nothing known."),
                                      Mention(entry=2, title="pictures in waves")))]
    assert recognise.as_json(read) == {
        "files": [{"file": "a.md", "form": "hot_papers", "mentions": 1, "notes": ["a note"]},
                  {"file": "b.txt", "form": "abstracts", "mentions": 2, "notes": []}],
        "papers": [
            {"title": "Pictures in Waves", "authors": ["S. Sitz"], "arxiv": "2001.00004", "slug": "waves", "text": "Text.",
             "links": ["https://a.org"], "categories": ["cs.LG"], "popularity": {"retweets": 1, "favourites": 2},
             "mentions": [{"file": "a.md", "entry": 1}, {"file": "b.txt", "entry": 2}]},
            {"title": None, "authors": None, "arxiv": None, "slug": None, "text": "Nothing known.", "links": None, "categories": None,
             "popularity": None, "mentions": [{"file": "b.txt", "entry": 1}]}]}
