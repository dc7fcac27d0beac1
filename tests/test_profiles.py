"""The profiles are complete, and no paper is in them twice."""

import re
from collections import Counter

import pytest

from bakeoff import catalogue, profiles
from bakeoff.digests.merging import squash
from bakeoff.errors import UnknownPaper

OURS = profiles.profiles()
NEAR = [one for ones in profiles.near().values() for one in ones]


def test_every_profile_says_what_a_paper_is_and_in_which_words_it_is_told():
    for one in OURS.values():
        assert one.slug == re.sub(r"[^a-z0-9_]", "", one.slug)
        assert all((one.title, one.area, one.says))
        assert len(one.words.split()) >= 80, one.slug
        assert one.arxiv is None or re.fullmatch(r"\d{4}\.\d{4,5}", one.arxiv)
        assert one.year is None or 1990 < one.year < 2100


def test_no_paper_is_there_twice_and_none_that_is_taken_for_ours_is_ours():
    titles = Counter(squash(one.title) for one in (*OURS.values(), *NEAR))
    assert [title for title, count in titles.items() if count > 1] == []
    numbers = Counter(one.arxiv for one in OURS.values() if one.arxiv)
    assert [number for number, count in numbers.items() if count > 1] == []


def test_every_paper_of_the_library_has_a_profile_in_its_area():
    assert {slug: one.area for slug, one in OURS.items() if one.written} == {slug: one.area for slug, one in catalogue.entries().items()}
    assert set(profiles.near()) == set(OURS)


def test_profiles_stand_in_order_of_area_and_slug():
    assert list(OURS) == sorted(OURS, key=lambda slug: (OURS[slug].area, slug))


def test_a_slug_that_is_not_known_gets_the_nearest_ones():
    assert profiles.profile("bear").title.startswith("Stabilizing Off-Policy")
    with pytest.raises(UnknownPaper) as problem:
        profiles.profile("bqc")
    assert "bcq" in problem.value.hint


def test_the_fingerprint_follows_every_file_that_profiles_are_made_of(monkeypatch, tmp_path):
    before = profiles.fingerprint()
    assert profiles.fingerprint() == before
    monkeypatch.setattr(profiles, "HERE", tmp_path)
    assert profiles.fingerprint() != before
