"""Words and numbers of the pages, by value."""

import math

import pytest

from bakeoff.web import cards, site, text


@pytest.mark.parametrize(("value", "shown"), [
    (0.12345, "0.1235"), (31.07, "31.07"), (12345.6, "12,346"), (-0.5, "−0.5"), (0.0, "0"), (1.2e-5, "1.2·10⁻⁰⁵"), (2.5e12, "2.5·10¹²"),
    (math.nan, "–"), (math.inf, "–"), (None, "–"), ("7", "–"), (True, "–"), (1e200, "–")])
def test_a_number_is_shown_with_four_digits_or_as_a_dash(value, shown):
    assert text.number(value) == shown.replace("⁻⁰⁵", "⁻⁵")


def test_a_sign_is_shown_where_asked_for():
    assert [text.number(value, sign=True) for value in (2.0, 0.0, -2.0)] == ["+2", "0", "−2"]


def test_an_interval_without_ends_is_infinite():
    assert text.ends(None, None) == ("−∞", "+∞")
    assert text.ends(-1.5, 2.0) == ("−1.5", "+2")


@pytest.mark.parametrize(("seconds", "shown"), [
    (0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (99.4, "99 s"), (99.6, "2 min"), (5969, "99 min"), (7200, "2.0 h"), (None, "0.0 s")])
def test_a_duration_is_told_in_seconds_minutes_or_hours(seconds, shown):
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(("number", "address"), [
    ("2006.09661", "https://arxiv.org/abs/2006.09661"), ("1902.02918v2", "https://arxiv.org/abs/1902.02918v2"),
    ("cs/0112017", "https://arxiv.org/abs/cs/0112017"), ('2006.09661" onclick="x', None), ("../../x", None), ("javascript:alert(1)", None),
    ("٢٠٠٦.٠٩٦٦١", None), (None, None)])
def test_an_arxiv_number_becomes_its_address_and_nothing_else_does(number, address):
    assert text.arxiv_link(number) == address


def test_characters_that_hide_or_turn_text_are_removed_everywhere():
    assert text.clean({"a\x00": ["b\u202ec", ("d\x1b[1m",)], "e": 3}) == {"a": ["bc", ["d[1m"]], "e": 3}
    assert text.clean("tab\tline\nend\r\ud800") == "tab\tline\nend"


def test_page_names_are_plain_and_differ_where_slugs_differ():
    assert text.page_name("siren") == "siren.html"
    odd = [text.page_name(slug) for slug in ("../siren", "siren/..", "SIREN", "", "<b>", "con\x00", "a" * 300)]
    assert len(set(odd)) == len(odd)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-.") and ".." not in name and len(name) < 100 for name in odd)


CARD = """Own: an idea.

Nobody. 2026. arXiv:2601.00001.

Method: the mean of `x` is
taken, so that

    m = sum(x)
        / n          (eq. 1)

    s = 0

with n > 1. Then:
- one
  more
- two

Departures: n0 is small.

Out of reach: nothing.
"""


def test_a_card_falls_into_its_three_parts_and_equations_keep_their_lines():
    method, departures, reach = cards.sections(CARD)
    assert method.title == "Method"
    assert method.parts == [("text", "The mean of `x` is taken, so that"), ("equation", "m = sum(x)\n    / n          (eq. 1)\n\ns = 0"),
                            ("text", "with n > 1. Then:"), ("item", "one more"), ("item", "two")]
    assert (departures.title, departures.parts) == ("Departures", [("text", "n0 is small.")])  # n0 is a symbol and keeps its case
    assert (reach.title, reach.parts) == ("Out of reach", [("text", "Nothing.")])


def test_words_in_backticks_become_code_and_all_of_it_is_escaped():
    assert str(cards.prose("a <b> `x < y` & `unclosed")) == "a &lt;b&gt; <code>x &lt; y</code> &amp; `unclosed"


def test_arms_are_read_from_the_file_without_running_it(tmp_path):
    file = tmp_path / "own.py"
    file.write_text('raise SystemExit\ndef treatment(a):\n    """It counts.\n\n    More."""\n    return a\ndef control(a):\n    return 0\n')
    found = cards.arms(file)
    assert found["treatment"].says == "It counts."
    assert found["control"] == cards.Arm("", "def control(a):\n    return 0")
    assert cards.arms(tmp_path / "gone.py") == {}


def test_a_sentence_begins_large_and_ends_with_a_stop():
    assert [site.sentence(words) for words in ("it is", "It is!", "")] == ["It is.", "It is!", ""]


def test_areas_are_written_as_people_write_them():
    assert [site.area_name(area) for area in ("offline_rl", "rl_theory", "fields")] == ["Offline RL", "RL theory", "Fields"]
