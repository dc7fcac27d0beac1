"""A mention finds its paper by its arXiv id, its title or what it says, and no other paper does."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest

from bakeoff import catalogue, profiles, recognise
from bakeoff.digests import Mention
from bakeoff.digests.terms import terms
from bakeoff.profiles import Profile

SETS = Path(__file__).parent.parent / "benchmarks" / "recognise"


def link(**known):
    return recognise.link(Mention(entry=1, **known))


def described(name):
    return [json.loads(line) for line in (SETS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def test_an_arxiv_id_identifies_a_paper_whatever_its_title():
    assert link(arxiv="1812.02900", title="Seen from Above") == recognise.Link("bcq", 1.0, ("arXiv 1812.02900",))


@pytest.mark.parametrize("title", ["Off-Policy Deep Reinforcement Learning without Exploration",
                                   "OFF POLICY DEEP REINFORCEMENT LEARNING WITHOUT EXPLORATION.",
                                   "Offpolicy  Deep Reinforcement Learning without Exploration"])
def test_a_title_identifies_a_paper_by_its_letters(title):
    assert link(title=title) == recognise.Link("bcq", 1.0, ("title",))


def test_a_slip_in_a_title_is_forgiven_and_lowers_the_confidence_by_its_share():
    found = link(title="Off-Policy Deep Reinforcment Learning without Exploration")
    assert (found.slug, found.doubtful) == ("bcq", False)
    assert found.confidence == pytest.approx(2 * 51 / (52 + 51))  # twice the letters in common of the letters in both


def test_a_title_that_differs_by_a_digit_is_another():
    assert link(title="Generating Diverse High-Fidelity Images with VQ-VAE-2").slug == "vq_vae_2"
    assert link(title="Generating Diverse High-Fidelity Images with VQ-VAE-3").slug is None


@pytest.mark.parametrize("title", [
    "Off-Policy Deep Reinforcement Learning with Exploration", "On-Policy Deep Reinforcement Learning without Exploration",
    "Behavior Regularized Online Reinforcement Learning", "Meta-Learning with Explicit Gradients",
    "Deep Low-Resolution Representation Learning for Human Pose Estimation", "Adversarial Examples Are Bugs, They Are Not Features"])
def test_a_word_more_less_or_other_is_no_slip(title):
    assert link(title=title).slug is None


def test_british_and_american_titles_are_the_same():
    assert link(title="Behaviour Regularised Offline Reinforcement Learning").slug == "brac"


@pytest.mark.parametrize("number", ["1910.10683v2", "arXiv:1910.10683", "arxiv: 1910.10683v13"])
def test_an_arxiv_id_may_have_its_prefix_and_its_version(number):
    assert link(arxiv=number) == recognise.Link("t5", 1.0, ("arXiv 1910.10683",))


def test_the_right_title_by_other_people_is_doubtful():
    title = "Off-Policy Deep Reinforcement Learning without Exploration"
    assert link(title=title, authors=("Ann Bee", "Cee Dee")) == recognise.Link("bcq", 0.6, ("title", "but by Ann Bee"))
    assert not link(title=title, authors=("Meger, David", "Scott Fujimoto et al.")).doubtful


def test_a_title_that_is_but_the_name_of_a_method_is_doubtful():
    assert link(title="Batch-constrained deep Q-learning") == recognise.Link("bcq", 0.6, ("name",))


@pytest.mark.parametrize(("opening", "found"), [
    ("Mildenhall et al. show", 1), ("Ben Mildenhall and colleagues show", 1), ("B. Mildenhall et al. show", 1), ("Barron et al. show", -1),
    ("In this paper, Mildenhall et al. show", 1), ("Mildenhall, Srinivasan and Tancik represent", 1), ("Zyx and Foo show", -1),
    ("Images and Depth maps are", 0), ("Transformers and RNNs are", 0), ("The authors show", 0), ("", 0)])
def test_the_people_who_open_a_text_are_its_authors_and_other_words_are_not(opening, found):
    assert recognise._by(Mention(entry=1, text=f"{opening} a scene."), profiles.profiles()["nerf"]) == found


@pytest.mark.parametrize(("authors", "found"), [
    (("Mildenhall, Ben", "Tancik, Matthew"), 1), (("Ben Mildenhall et al.",), 1), (("Ben Mildenhall Jr.",), 1), (("M. Tancik",), 0),
    (("Ann Bee",), -1), ((), 0)])
def test_a_list_of_authors_is_the_papers_if_its_first_one_is(authors, found):
    assert recognise._by(Mention(entry=1, authors=authors), profiles.profiles()["nerf"]) == found


def test_a_later_title_of_the_same_paper_identifies_it():
    assert link(title="Explainable AI for Trees: From Local Explanations to Global Understanding").slug == "tree_explainer"


def test_the_right_title_with_a_foreign_arxiv_id_is_doubtful():
    found = link(title="Off-Policy Deep Reinforcement Learning without Exploration", arxiv="2609.00009")
    assert (found.slug, found.doubtful) == ("bcq", True)


def test_a_mention_of_nothing_is_of_no_paper():
    assert link() == link(title="A Title that Nobody Has Given to a Paper Yet") == recognise.NOTHING


@pytest.fixture
def three(monkeypatch):
    """A library of two papers, and a third paper that is taken for the first."""
    ours = {
        "kelp": Profile(slug="kelp", title="Stable Learning Offshore", authors=("Fuji", "Other"), names=("KELP",),
                        words="forests of seaweed; anchored policy; tide table; harvest without diving", area="sea"),
        "calming": Profile(slug="calming", title="Proofs by Calming", authors=("Cole",), words="noise; vote; certified radius", area="sea")}
    monkeypatch.setattr(profiles, "profiles", lambda: ours)
    monkeypatch.setattr(profiles, "near", lambda: {"kelp": (Profile(title="Reefs", authors=("Ray",), words="coral; fish; tide table"),)})
    for cached in (recognise._identities, recognise._likeness, recognise._made):
        cached.cache_clear()
    yield [*ours.values(), *profiles.near()["kelp"]]
    for cached in (recognise._identities, recognise._likeness, recognise._made):
        cached.cache_clear()


def cosine(text, one, every):
    """The cosine of TF-IDF weights, (1 + log n) (1 + log((1 + N) / (1 + df))), written out."""
    def pairs_too(text):
        found = terms(text)
        return Counter(found + [f"{found[at]} {found[at + 1]}" for at in range(len(found) - 1)])

    told = [pairs_too(recognise._told(profile)) for profile in every]

    def weights(counts):
        return {term: (1 + math.log(count)) * (1 + math.log((1 + len(told)) / (1 + sum(term in other for other in told))))
                for term, count in counts.items() if any(term in other for other in told)}

    a, b = weights(pairs_too(text)), weights(told[every.index(one)])
    dot = sum(weight * b.get(term, 0) for term, weight in a.items())
    return dot / math.sqrt(sum(w * w for w in a.values()) * sum(w * w for w in b.values()))


@pytest.mark.parametrize(("opening", "authors"), [
    ("", 0), ("Fuji et al. study ", 1), ("Ray and Cod study ", -1), ("Ray, Cod, and Eel study ", -1)])
def test_the_confidence_is_the_formula_of_the_two_cosines_and_the_authors(three, opening, authors):
    text = f"{opening}how a policy can find coral and seaweed by the tide table, where no fish would look for it"
    ours, other = cosine(text, three[0], three), cosine(text, three[2], three)
    b0, b1, b2, b3 = recognise.WEIGHTS
    found = link(text=text)
    assert ours > 0 < other
    assert 1e-7 < found.confidence < 1 - 1e-7
    assert math.log(found.confidence / (1 - found.confidence)) == pytest.approx(b0 + b1 * ours + b2 * (ours - other) + b3 * authors)


def test_the_words_that_made_a_link_are_the_texts_own(three):
    found = link(text="Fuji et al. have an anchored policy harvest forests of sea-weed, and the KELP grows")
    assert found.slug == "kelp"
    assert found.because[0] == "by Fuji"
    assert set(" ".join(found.because[1:]).split()) <= {"anchored", "policy", "harvest", "forests", "sea-weed", "kelp"}
    assert "anchored policy" in found.because


def test_a_paper_that_came_close_is_named_but_not_linked(three):
    found = link(text="A policy for the seaweed, the table, the coral and a vote")
    assert found.slug is None
    assert found.nearest == "kelp"
    assert 0.1 <= found.confidence < 0.5


@pytest.mark.parametrize(("before", "after"), [
    ("We reproduce KELP: ", ""), ("This builds on KELP: ", ""), ("Ray et al. study KELP: ", ""),
    ("", " Proofs by calming: a certified radius by noise and a vote, after Cole.")])
def test_a_text_with_something_against_it_is_doubtful_however_alike(three, before, after):
    text = "an anchored policy harvests forests of seaweed without diving, by the tide table, in stable learning offshore."
    assert not link(text=text).doubtful
    found = link(text=f"{before}{text}{after}")
    assert (found.slug, found.doubtful) == ("kelp", True)


def test_a_mention_with_another_title_or_arxiv_id_needs_more(three):
    text = "An anchored policy harvests forests of seaweed without diving, by the tide table"
    assert link(text=text).confidence > link(text=text, title="Gardens").confidence > 0
    monkey = Profile(slug="kelp", title="T", words=three[0].words, arxiv="2001.00001")
    assert recognise._another(Mention(entry=1, arxiv="2001.00002", text=text), monkey)


def test_many_at_once_and_one_by_one_give_the_same():
    mentions = [Mention(entry=1, text=one["text"]) for one in described("described")[:20]]
    mentions += [Mention(entry=1, title="NeRF"), Mention(entry=1)]
    assert recognise.links(mentions) == [recognise.link(mention) for mention in mentions]


def test_of_descriptions_in_other_words_at_least_95_percent_find_their_paper_and_of_other_papers_at_most_1_percent_find_one():
    ours, others = described("described"), described("others")
    found = recognise.links([Mention(entry=1, text=one["text"]) for one in ours])
    assert sum(link.slug == one["slug"] for link, one in zip(found, ours, strict=True)) >= 0.95 * len(ours)
    wrong = [link.slug for link in recognise.links([Mention(entry=1, title=one["title"], authors=tuple(one["authors"]), text=one["text"])
                                                    for one in others]) if link.slug]
    assert len(wrong) <= 0.01 * len(others)


def test_a_library_paper_without_a_profile_is_described_by_its_card(monkeypatch):
    monkeypatch.setattr(profiles, "_files", lambda: {})
    profiles.profiles.cache_clear()
    try:
        assert "certif" in " ".join(terms(profiles.profiles()["randomized_smoothing"].words))
        assert set(profiles.profiles()) == set(catalogue.entries())
    finally:
        profiles.profiles.cache_clear()


def test_a_written_papers_own_header_counts_before_its_profile():
    one = profiles.profiles()["tree_explainer"]
    assert (one.title, one.written) == ("From local explanations to global understanding with explainable AI for trees", True)
    assert sum(one.written for one in profiles.profiles().values()) < len(profiles.profiles()) == 184
