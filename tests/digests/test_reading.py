"""What cannot be read says why, and what is cut off says what was left out."""

import contextlib
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bakeoff import digests
from bakeoff.errors import DigestError

HIDDEN = set(map(chr, (*range(9), *range(11, 32), *range(127, 160), 0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F),
                       *range(0x2066, 0x206A))))


@pytest.mark.parametrize(("content", "says"), [
    (b"", "is empty"), (b" \n\t\n", "is empty"), (b"\xef\xbb\xbf\n", "is empty"), (b"PK\x03\x04\0\0", "binary"),
    (b"caf\xe9 au lait", "not UTF-8 at byte 3"), (b"Just a note to self.", "no form of digest"),
    (b"a,b\n1,2\n" * 50, "no form of digest"), (b"# 1. Cut off at once", "no form of digest"),
    (b"title: Hot Papers\n# 1. Cut", "without one whole entry"),
    (b"---\ntitle: Hot Papers 2020-12-07\n---\n", "without one whole entry"), (b"[link]\n[link]\n", "without one whole entry")])
def test_what_is_no_digest_is_refused_in_words(read_text, content, says):
    with pytest.raises(DigestError, match=says) as refused:
        read_text(content)
    assert refused.value.hint


def test_an_unknown_form_is_answered_with_the_known_ones(read_text):
    with pytest.raises(DigestError, match="abstracts, hot_papers, hugging_face, short_science"):
        read_text("<html><body>Hello</body></html>")


def test_missing_files_folders_and_impossible_names_are_refused(tmp_path):
    for path, says in ((tmp_path / "no.txt", "no such file"), (tmp_path, "folder"), (tmp_path / ("x" * 400), "cannot be read"),
                       ("a\0b", "cannot be read")):
        with pytest.raises(DigestError, match=says):
            digests.read(path)


def test_a_file_over_20_mb_is_refused_before_it_is_read(tmp_path):
    file = tmp_path / "large.txt"
    with file.open("wb") as large:
        large.truncate(100_000_000)  # sparse: nothing is written
    started = time.perf_counter()
    with pytest.raises(DigestError, match="100 MB, and a digest at most 20 MB"):
        digests.read(file)
    assert time.perf_counter() - started < 0.5


def test_the_file_is_named_as_it_was_given(tmp_path, monkeypatch, pages):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "day.md").write_text(pages["hot_papers"], encoding="utf-8-sig")
    assert digests.read("day.md").file == "day.md"


@pytest.mark.parametrize(("form", "cut"), [("hot_papers", "[abs](https://arxiv.org/abs/2402.00003"), ("hugging_face", "reads names longer"),
                                           ("short_science", "reads names longer"), ("abstracts", "reads names longer")])
def test_a_cut_off_entry_is_left_out_and_noted(read_text, pages, form, cut):
    page = pages[form]
    read = read_text(page[:page.index(cut) + len(cut)])
    assert read.mentions == read_text(page).mentions[:2]
    assert any("cut off and was left out" in note for note in read.notes)


def test_a_title_without_its_abstract_is_left_out_and_noted(read_text, pages):
    page = pages["hugging_face"]
    read = read_text(page[:page.index("LLMs read names") + 9])
    assert len(read.mentions) == 2
    assert "the last title has no abstract and was left out: LLMs read" in read.notes


def test_a_cut_off_tweet_costs_no_paper(read_text, pages):
    page = pages["hot_papers"]
    read = read_text(page[:page.rindex("</blockquote>")])
    assert len(read.mentions) == 3
    assert "the last tweet is cut off" in read.notes


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_page_cut_anywhere_gives_its_first_entries_or_an_error(read_text, pages, data):
    page = pages[data.draw(st.sampled_from(sorted(pages)))]
    whole = read_text(page)
    try:
        part = read_text(page[:data.draw(st.integers(0, len(page)))])
    except DigestError:
        return
    assert len(part.mentions) <= len(whole.mentions)
    for cut, full in zip(part.mentions, whole.mentions, strict=False):
        assert (cut.title, cut.entry) == (full.title, full.entry)
        assert cut.arxiv in (None, full.arxiv)
        assert (full.text or "").startswith((cut.text or "")[:-2].rstrip())  # a sign of a mark may be left


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.binary(), st.lists(st.sampled_from(
    ["title: Hot Papers", "[link]", "1 Comments", "![]() |", "# 1. A", "# 2. [B](", "- links: [abs](", "- links: [abs](https://arxiv.org/abs/2001.00001)",
     "- retweets: 1", "- [cs.LG](", "<blockquote", "new", "\u202e", "\x1b[31m", "Ã¤", "â€®", "word " * 60, "", "Title",
     "//i80z.oszar.com/a", "//izz.oszar.com"]),
    max_size=12).map("\n".join)))
@example("[link]\nâ€® \u202eabc\u2066")
def test_nothing_but_a_digest_error_ever_comes_out_and_no_hidden_character(read_text, content):
    try:
        read = read_text(content)
    except DigestError:
        return
    shown = [*read.notes, *(part for one in read.mentions for part in (one.title, one.text, *one.authors, *one.links, *one.categories))]
    assert not set("".join(filter(None, shown))) & HIDDEN
    assert digests.merge([read])


@pytest.mark.parametrize("content", [
    "[link]\n" + "/" * 10_000_000, "[link]\n//" + "a." * 5_000_000, "# 1. t" + " " * 10_000_000 + "\n- links: [abs](http://a.b)\n",
    "# 1. t\n- links: " + "[(" * 5_000_000, "ab\n" * 600_000, "[link]\n" + "â€™ Ã " * 400_000], ids=lambda text: ascii(text[:16]))
def test_megabytes_of_hostile_text_take_seconds(read_text, content):
    started = time.perf_counter()
    with contextlib.suppress(DigestError):
        read_text(content)
    assert time.perf_counter() - started < 60
