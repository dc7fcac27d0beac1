"""What holds for whatever is read from a digest that means harm."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from html.parser import HTMLParser
from urllib.parse import urlsplit

from hostile import CANARY, FORMS

from bakeoff.digests import Digest, Found

UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff"
    "\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]")
ADDRESSES = ("href", "src", "action", "data", "poster", "formaction", "background")
ACTING = ("style", "srcdoc", "http-equiv", "content")
PAGE_OR_WEB = re.compile(r"https?://|(?!//)[\w./-]*(#|$)", re.I)
ARXIV = re.compile(r"\d{4}\.\d{4,5}|[a-z-]+(\.[a-z]{2})?/\d{7}", re.A | re.I)


def assert_sound(digest: Digest) -> None:
    """Every field has its documented type and can be shown anywhere, and every link leads to the web."""
    assert digest.form in FORMS
    assert [one.entry for one in digest.mentions] == list(range(1, len(digest.mentions) + 1)) != []
    for one in digest.mentions:
        assert all(text is None or (isinstance(text, str) and text) for text in (one.title, one.text))
        assert one.arxiv is None or ARXIV.fullmatch(one.arxiv), one.arxiv
        assert one.day is None or re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", one.day), one.day
        for parts in (one.authors, one.links, one.categories):
            assert isinstance(parts, tuple)
            assert all(isinstance(part, str) and part for part in parts)
        assert all(re.fullmatch(r"[\w.-]+", category) for category in one.categories), one.categories
        if one.popularity is not None:
            assert one.popularity.keys() == {"retweets", "favourites"}
            assert all(type(count) is int and 0 <= count < 10 ** 18 for count in one.popularity.values()), one.popularity
        assert_on_the_web(one.links)
        assert_plain("".join(filter(None, (one.title, one.text, *one.authors, *one.links, *one.categories))))
    assert_plain("".join(digest.notes))


def assert_on_the_web(links) -> None:
    """Each is an http or https address of a host, that no quote, bracket or space ends early."""
    for link in links:
        address = urlsplit(link)
        assert address.scheme in ("http", "https"), ascii(link)
        assert "." in address.hostname, ascii(link)
        assert address.port is None or address.port >= 0
        assert not re.search(r"[\s<>\"]", link), ascii(link)


def assert_plain(text: str) -> None:
    """Nothing in it steers a terminal, turns the direction of writing, or hides."""
    found = UNSEEN.search(text)
    assert not found, ascii(text[max(0, found.start() - 20):found.start() + 20])


def assert_survives_json(papers: list[Found]) -> None:
    """Papers are the same after JSON, in ASCII and in UTF-8."""
    known = [asdict(paper) for paper in papers]
    plain = json.loads(json.dumps(known))
    assert plain == json.loads(json.dumps(known, ensure_ascii=False).encode())
    assert [one["title"] for one in plain] == [paper.title for paper in papers]
    assert [one["text"] for one in plain] == [paper.text for paper in papers]


class _Parsed(HTMLParser):
    """Wherever in a page the canary is more than text, or part of an address of the web."""

    def __init__(self, html: str):
        super().__init__()
        self.inside, self.harm = "", []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.inside = tag
        self.look(tag, tag)
        for name, value in attributes:
            self.look(name, tag)
            leads = name.rpartition(":")[2] in ADDRESSES and not PAGE_OR_WEB.match((value or "").strip())
            if leads or name.startswith("on") or name in ACTING:
                self.look(value or "", tag, name)

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside in ("script", "style", "iframe", "noscript", "template"):
            self.look(data, self.inside)

    def handle_comment(self, data):
        self.look(data, "comment")

    handle_decl = unknown_decl = handle_pi = handle_comment

    def look(self, text: str, *where: str) -> None:
        if CANARY in text:
            self.harm.append((*where, ascii(text[:60])))


def assert_harmless(html: str) -> None:
    """No element, attribute, script, style, comment or address of a page came from a digest that has the canary in it."""
    assert not (found := _Parsed(html).harm), found
    assert_plain(re.sub(r"[\t\n]", "", html))
