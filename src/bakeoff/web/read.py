"""The papers that were read of in digests, as the pages show them: cut to a length, and linked to nothing but the web."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import PurePath

from .plots import COUNTS
from .text import arxiv_link, clean, cut, real, web_links

GROUPS = {"library": "In the library", "wanted": "Wanted", None: "Others"}


@dataclass(frozen=True)
class Place:
    """One mention of a paper; `counts` are those of its popularity that are numbers."""

    file: str
    entry: int
    day: str | None
    counts: dict[str, int]


@dataclass(frozen=True)
class Read:
    """A paper that was read of; `told` is what `shelf.as_json` tells of it."""

    told: dict

    @property
    def status(self) -> str | None:
        return self.told["status"]

    @property
    def slug(self) -> str | None:
        return self.told["slug"]

    @property
    def confidence(self) -> str:
        return f"{self.told['confidence']:.2f}"

    @property
    def link(self) -> str:
        """How the paper came to be linked: "doubtful", "settled", or "" where nothing is to be said of it."""
        return "doubtful" if self.told["doubtful"] else "settled" if self.told["settled"] else ""

    @cached_property
    def title(self) -> str:
        return cut(self.told["title"] or "", 200) or cut(self.told["text"] or "", 100) or "Neither title nor text"

    @cached_property
    def authors(self) -> str:
        return _joined(self.told["authors"])

    @cached_property
    def categories(self) -> str:
        return _joined(self.told["categories"])

    @cached_property
    def because(self) -> str:
        return _joined(self.told["because"])

    @property
    def arxiv(self) -> str | None:
        return arxiv_link(self.told["arxiv"])

    @property
    def links(self) -> dict[str, str]:
        """A few addresses by their hosts, other than arXiv's own where that is known."""
        found = web_links(self.told["links"] or ())
        return {host: found[host] for host in [host for host in found if not (self.arxiv and host.endswith("arxiv.org"))][:3]}

    @cached_property
    def places(self) -> list[Place]:
        return [Place(_file(one), one["entry"], one["day"], _counts(one["popularity"])) for one in self.told["mentions"]]

    @cached_property
    def days(self) -> dict[date, dict[str, int]]:
        """The counts of each day, in order; where a day was counted twice the larger, as counts only grow."""
        found: dict[date, dict[str, int]] = {}
        for place in self.places:
            if place.counts and (day := _date(place.day)):
                counts = found.setdefault(day, {})
                counts.update({name: max(value, counts.get(name, value)) for name, value in place.counts.items()})
        return dict(sorted(found.items()))

    @property
    def latest(self) -> tuple[date | None, dict[str, int]]:
        """The last counts, and their day where that is known."""
        return next(reversed(self.days.items()), (None, _counts(self.told["popularity"])))

    @property
    def settling(self) -> str:
        """The command that makes the link good."""
        return f"bakeoff link {shlex.quote(self.places[0].file)} {self.places[0].entry} {self.slug}"

    @property
    def words(self) -> str:
        """What the search looks in."""
        files = cut(" ".join(dict.fromkeys(place.file for place in self.places)), 300)
        parts = (self.title, self.authors, self.categories, self.told["arxiv"], self.slug, self.because, files)
        return " ".join(filter(None, parts)).casefold()


def tally(papers: list[Read]) -> dict[str, int]:
    """How many papers, mentions and files there are, and how many papers are in the library, wanted, doubtful and settled."""
    files = {one["file"] for paper in papers for one in paper.told["mentions"]}
    known = Counter(kind for paper in papers for kind in (paper.status, paper.link))
    return {"papers": len(papers), "mentions": sum(len(paper.told["mentions"]) for paper in papers), "files": len(files)} | {
        kind: known[kind] for kind in ("library", "wanted", "doubtful", "settled")}


def _joined(words: list[str] | None) -> str:
    return cut(", ".join((words or [])[:40]), 160)


def _file(mention: dict) -> str:
    """The name alone: who gets the page need not learn where the file lay."""
    return " ".join(clean(PurePath(mention["file"]).name or mention["file"]).split())


def _counts(popularity: dict | None) -> dict[str, int]:
    return {name: value for name in COUNTS if real(value := (popularity or {}).get(name)) is not None}


def _date(day: str | None) -> date | None:
    try:
        return date.fromisoformat(day or "")
    except ValueError:
        return None
