"""Text from outside made plain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.digests import cleaning


def cleaned(text):
    notes = []
    return cleaning.clean(text, notes.append), notes


@pytest.mark.parametrize(("broken", "right"), [("RocktÃ¤schel", "Rocktäschel"), ("Donâ€™t sweep", "Don’t sweep"), ("fire ðŸ”¥", "fire 🔥"),
                                               ("networkâ\x80\x99s", "network’s")])
def test_mojibake_is_repaired_and_noted(broken, right):
    assert cleaned(f"plain\n{broken}\n") == (f"plain\n{right}\n", ["1 line with mojibake repaired"])


@pytest.mark.parametrize("text", ["Łukasz Kaiser", "naïve – “quoted” résumé", "山田 太郎", "A→B and Σ ≤ π", "Å is a unit", "می‌خواهم"])
def test_sound_text_of_any_script_is_left_alone(text):
    assert cleaned(text) == (text, [])


def test_hidden_and_steering_characters_go():
    assert cleaned("a\x1b[31mb\u202ec\u200bd\x00e\xadf\U000E0041g")[0] == "a[31mbcdefg"


def test_a_steering_character_made_by_the_repair_goes_too():
    assert "\u202e" not in cleaned("caught â€® here")[0]


def test_proxied_links_become_direct_and_others_stay():
    assert cleaned("https://i676974687562o636f6dz.oszar.com/x/y")[0] == "https://github.com/x/y"
    assert cleaned("https://i0a0az.oszar.com/x")[0] == "https://i0a0az.oszar.com/x"
    assert cleaned("https://oszar.com/x")[0] == "https://oszar.com/x"


def test_links_are_found_once_without_the_sentence_around_them():
    text = "See [this](https://a.org/x_1), https://a.org/x_1. Also //b.io/RPG/ (http://c.de/?q=1&r=2), not a//b or 1//2."
    assert cleaning.links(text) == ("https://a.org/x_1", "https://b.io/RPG/", "http://c.de/?q=1&r=2")


@pytest.mark.parametrize(("text", "cut"), [("It holds.", False), ("It ho", True), ("It ho\n", False), ("see https://a.org/x", False),
                                           ("(as shown)", False), ("first.\nsecond", True)])
def test_a_text_is_cut_off_where_no_sentence_or_line_ends(text, cut):
    assert cleaning.cut_off(text) is cut


@given(st.text())
def test_cleaning_twice_is_cleaning_once_for_what_it_removes(text):
    once = cleaned(text)[0]
    assert once.translate(cleaning.INVISIBLE) == once
    assert not set("\r\x0b\x0c\u2028\u2029") & set(once)
