"""The page of the papers read: what it says, where it links to, and that nothing told in a digest breaks it."""

import re
import time
import xml.etree.ElementTree as ET
from datetime import date

import pytest
from made_up import Page, make_entry, make_read, make_result

from bakeoff.web import plots, site
from bakeoff.web.read import Read
from bakeoff.web.text import cut, web_links

HOSTILE = """"'><script>alert(1)</script><img src=x onerror=alert(2)></title></style></svg>{{ 7 * 7 }}<!-- \u202e\x00]]>`"""
DAYS = (("2026-01-05", 40, 4), ("2026-01-01", 10, 1), ("2026-01-03", 12, 3))


def rendered(*shelf) -> dict[str, str]:
    return site.render({"sums": make_entry(), "other": make_entry("other")}, {"sums": [make_result(decision="fails")]}, shelf)


def page(*shelf) -> Page:
    return Page(rendered(*shelf)["read.html"])


def test_the_library_comes_first_then_what_is_wanted_then_the_rest():
    found = page(make_read(title="neither"), make_read("later", "wanted"), make_read("other", "library"), make_read("sums", "library"))
    titles = re.findall(r"On other|On sums|On later|neither", found.text.partition("Popularity")[2])
    assert titles == ["On other", "On sums", "On later", "neither"]
    assert [row["data-kind"] for row in found.all("tr", "paper")] == ["In the library", "In the library", "Wanted", "Others"]


def test_papers_mentions_files_and_kinds_are_counted():
    found = page(make_read("sums", "library", *DAYS), make_read("later", "wanted", doubtful=True), make_read("more", "wanted"))
    assert "3 papers from 5 mentions in 4 files." in found.text
    assert "1 in the library 2 wanted 1 doubtful" in found.text


def test_a_paper_shows_the_verdict_of_its_claim_or_that_it_is_wanted():
    found = page(make_read("sums", "library"), make_read("other", "library"), make_read("later", "wanted"), make_read())
    assert [mark["class"] for mark in found.all("span", "verdict")] == ["verdict fails", "verdict not-run", "verdict wanted"]


def test_a_title_links_to_the_papers_own_page_or_else_to_arxiv_or_nowhere():
    found = page(make_read("sums", "library", arxiv="2601.00001"), make_read("later", "wanted", arxiv="2601.00002"), make_read())
    assert [link["href"] for link in found.all("a") if "index" not in link["href"] and link["href"] != "#papers"] == [
        "papers/sums.html", "https://arxiv.org/abs/2601.00001", "https://arxiv.org/abs/2601.00002"]


def test_a_doubtful_paper_says_how_sure_and_why_and_how_to_settle_it():
    doubt = {"doubtful": True, "confidence": 0.634, "because": ["sums", "by Ada"]}
    mentions = [{"file": "/home/me/my notes.txt", "entry": 3, "day": None, "popularity": None}]
    files = rendered(make_read("sums", "library", **doubt, mentions=mentions))
    for name in ("read.html", "papers/sums.html"):
        text = Page(files[name]).text
        assert "doubtful 0.63: taken for sums (sums, by Ada)." in text, name
        assert "bakeoff link 'my notes.txt' 3 sums" in text, name
        assert "/home/me" not in files[name]


def test_a_paper_without_a_title_is_called_by_the_beginning_of_its_text_and_long_ones_are_cut():
    assert Read(make_read(title=None, text="One\n two " * 50)).title == cut("One two " * 50, 100)
    assert Read(make_read(title=None)).title == "Neither title nor text"
    assert Read(make_read(title="x" * 10_000)).title == "x" * 199 + "…"
    assert (cut("as it is", 8), cut("a bit longer", 6)) == ("as it is", "a bit…")


def test_mentions_are_told_by_file_entry_and_day_and_popularity_by_its_last_day():
    found = page(make_read("later", "wanted", *DAYS))
    assert "2026-01-05.md, entry 1 2026-01-05 2026-01-01.md, entry 2 2026-01-01 2026-01-03.md, entry 3 2026-01-03" in found.text
    assert "40 retweets, 4 favourites 2026-01-05" in found.text
    assert [picture["aria-label"] for picture in found.all("svg", "spark")] == [
        "retweets from 10 to 40, favourites from 1 to 4, 2026-01-01 to 2026-01-05"]
    assert page(make_read("later", "wanted", DAYS[0])).all("svg", "spark") == []


def test_counts_of_a_day_are_the_larger_ones_and_what_is_no_count_is_left_out():
    read = Read(make_read("a", None, ("2026-01-01", 5, 9), ("2026-01-01", 7, 8), ("someday", 9, 9), ("2026-01-02", 10**400, True)))
    assert read.days == {date(2026, 1, 1): {"retweets": 7, "favourites": 9}}
    assert Read(make_read("a", None, ("someday", 3, 2))).latest == (None, {"retweets": 3, "favourites": 2})


def test_a_sparkline_has_days_as_far_apart_as_they_are_and_counts_above_0():
    svg = ET.fromstring(str(plots.spark(Read(make_read("a", None, *DAYS)).days)))
    lines = {path.get("class"): [[float(number) for number in point.split()] for point in path.get("d")[1:].split("L")]
             for path in svg.iter("path")}
    for name, values in (("retweets", (10, 12, 40)), ("favourites", (1, 3, 4))):  # days 0, 2 and 4 over 3..117, 0..40 over 27..3
        assert lines[name] == [pytest.approx([x, 27 - 24 * value / 40], abs=0.01) for x, value in zip((3, 60, 117), values, strict=True)]


def test_a_papers_own_page_tells_where_it_was_mentioned():
    files = rendered(make_read("sums", "library", *DAYS))
    assert "Mentioned in 2026-01-05.md, entry 1 2026-01-05 40 retweets, 4 favourites" in Page(files["papers/sums.html"]).text
    assert "Mentioned in" not in files["papers/other.html"]


def test_the_pages_link_to_the_papers_read_only_if_there_are_some():
    entries = {"sums": make_entry()}
    assert [name for name, html in site.render(entries, {}).items() if "read.html" in html or name == "read.html"] == []
    files = site.render(entries, {}, [make_read()])
    links = {name: [link["href"] for link in Page(html).all("a") if "read.html" in link["href"]] for name, html in files.items()}
    assert links == {"index.html": ["read.html"], "read.html": [], "papers/sums.html": ["../read.html"]}


@pytest.mark.parametrize(("link", "host"), [
    ("https://www.github.com/a/b?c#d", "github.com"), ("http://host:80", "host"), ("javascript:alert(1)", None), ("//host/x", None),
    ("data:text/html,x", None), ("https://good@evil.org/", None), ("https://a.b/\u202ex", None), ('https://a.b/"onclick=x', None),
    ("https://[", None), ("https://a.b/ c", None), (" https://a.b", None), ("HTTPS:a", None)])
def test_only_plain_addresses_of_the_web_become_links(link, host):
    assert web_links([link]) == ({host: link} if host else {})


def test_hostile_text_breaks_out_nowhere():
    mentions = [{"file": file, "entry": 1, "day": HOSTILE, "popularity": {"retweets": 1, HOSTILE: HOSTILE}}
                for file in (HOSTILE, "../../", "", "/", "a\nb", "javascript:alert(1)", "x" * 5000)]
    bad = {"authors": [HOSTILE], "arxiv": '1234.56789" onclick="alert(1)', "because": [HOSTILE], "nearest": HOSTILE, "text": HOSTILE,
           "links": [HOSTILE, "javascript:alert(1)", "https://good.org/"], "categories": [HOSTILE], "doubtful": True, "mentions": mentions}
    shelf = [make_read("sums", "library", title=HOSTILE, **bad), make_read(HOSTILE, "wanted", title=HOSTILE, **bad),
             make_read(None, None, title=None, **{**bad, "doubtful": False})]
    files, harmless = rendered(*shelf), rendered(make_read("sums", "library", *DAYS, *DAYS, doubtful=True), make_read(arxiv="2601.00001"))
    known = {tag for html in harmless.values() for tag, _ in Page(html).elements}
    for name in ("read.html", "papers/sums.html", "index.html"):
        found = Page(files[name])
        assert {tag for tag, _ in found.elements} <= known
        assert len(found.all("script")) == (name != "papers/sums.html")
        assert not [key for _, attributes in found.elements for key in attributes if key.startswith("on") or key in ("style", "src")]
        assert {link["href"] for link in found.all("a")} <= {
            "#papers", "#content", "index.html", "../index.html", "read.html", "../read.html", "papers/sums.html", "papers/other.html",
            "https://good.org/", "https://arxiv.org/abs/2601.00001"}
        assert not set("\u202e\x00") & set(files[name])
    assert "<script>alert(1)</script>" in page(*shelf).text  # shown as the text that it is


def test_five_thousand_papers_are_written_in_time():
    more = {"text": "word " * 300, "authors": ["Ada Lovelace"] * 8, "doubtful": True, "because": ["word"] * 6}
    shelf = [make_read("later", "wanted", *DAYS, **more) for _ in range(5000)]
    begun = time.process_time()
    assert rendered(*shelf)["read.html"].count('class="paper"') == 5000
    assert time.process_time() - begun < 8  # takes about 1 s
