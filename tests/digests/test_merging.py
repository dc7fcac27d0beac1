"""The same paper in two files is one paper, and two papers are two."""

import random
import re

from bakeoff import digests
from bakeoff.digests import Digest, Mention


def digest(file, *mentions):
    return Digest(file, "abstracts", tuple(Mention(entry=at, **one) for at, one in enumerate(mentions, 1)))


def papers(*mentions):
    return digests.merge(digest(f"{at}.txt", one) for at, one in enumerate(mentions))


def words(seed, count=150):
    rng = random.Random(seed)
    known = ["".join(rng.choice("abcdefghijklmnop") for _ in range(rng.randint(2, 9))) for _ in range(900)]
    return " ".join(rng.choice(known) for _ in range(count))


def test_a_text_that_lost_hyphens_and_won_stray_characters_is_the_same_paper(abstracts):
    text = words(1).replace("a ", "a-")
    copy = re.sub("-", "", text).replace(" b", "  |b").replace("ee", "e e")
    both, = papers({"text": text}, {"text": copy})
    assert both.mentions == (("0.txt", 1), ("1.txt", 1))
    assert both.text == max(text, copy, key=len)


def test_a_few_changed_letters_leave_it_the_same_paper():
    text = words(2)
    assert len(papers({"text": text}, {"text": text.replace(text.split()[70], "xyz").replace(text.split()[20], "zyx")})) == 1


def test_texts_that_share_their_first_half_are_two_papers():
    assert len(papers({"text": words(3) + words(4)}, {"text": words(3) + words(5)})) == 2


def test_a_shared_closing_sentence_is_no_likeness():
    closing = " Also find this summary and many more of the same writer at the page that is named below, where all are kept."
    assert len(papers({"text": words(6, 30) + closing}, {"text": words(7, 30) + closing})) == 2


def test_a_title_and_its_bare_abstract_become_one_with_all_that_both_know():
    text = words(8)
    one, = papers({"text": text, "links": ("https://a.org",)},
                  {"text": text, "title": "A Title", "arxiv": "2001.00001", "authors": ("Ann Lee",), "popularity": {"retweets": 1}})
    assert (one.title, one.arxiv, one.authors, one.links, one.popularity) == ("A Title", "2001.00001", ("Ann Lee",), ("https://a.org",),
                                                                             {"retweets": 1})


def test_the_arxiv_id_decides_over_title_and_text():
    text = words(9)
    assert len(papers({"text": text, "arxiv": "2001.00001"}, {"text": text, "arxiv": "2001.00002"})) == 2
    assert len(papers({"title": "First Name", "arxiv": "2001.00001"}, {"title": "Second Name", "arxiv": "2001.00001"})) == 1


def test_titles_are_equal_whatever_their_case_hyphens_and_spaces():
    assert len(papers({"title": "Off-Policy  Learning: a Study"}, {"title": "OffPolicy learning — A study"})) == 1
    assert len(papers({"title": "Learning to Learn"}, {"title": "Learning to Unlearn"})) == 2


def test_one_title_by_two_groups_of_authors_is_two_papers():
    assert len(papers({"title": "Learning to Learn", "authors": ("Ann Lee",)}, {"title": "Learning to Learn", "authors": ("Bo Wu",)})) == 2
    assert len(papers({"title": "Learning to Learn", "authors": ("Ann Lee",)}, {"title": "Learning to Learn", "authors": ("A. Lee",)})) == 1


def test_two_titles_are_two_papers_even_over_one_text():
    text = words(10)
    assert len(papers({"title": "Part One", "text": text}, {"title": "Part Two", "text": text})) == 2


def test_order_is_that_of_the_first_mention_and_repeats_in_one_file_merge():
    a, b = {"text": words(11)}, {"text": words(12)}
    first, second = digests.merge([digest("x", a, b, a), digest("y", b)])
    assert first.mentions == (("x", 1), ("x", 3))
    assert second.mentions == (("x", 2), ("y", 1))


def test_papers_without_title_or_text_stay_apart():
    assert len(papers({}, {}, {"text": "ok"}, {"text": "ok"})) == 4


def test_a_slip_in_the_title_of_the_same_text_makes_no_second_paper_but_a_digit_does():
    title, text = "Deep Reinforcement Learning for Kelp 2", words(40)
    assert len(papers({"title": title, "text": text}, {"title": title.replace("Learning", "Learnig"), "text": text})) == 1
    assert len(papers({"title": title, "text": text}, {"title": title.replace("2", "3"), "text": text})) == 2
    assert len(papers({"title": title, "text": text}, {"title": title.replace("Learning", "Learnig"), "text": words(41)})) == 2
