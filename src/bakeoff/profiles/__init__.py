"""Profiles: how people speak of each paper, in the library or still wanted, and of the papers that are taken for it.

One JSON file an area. A profile holds what identifies a paper (title, authors, year, arXiv id, names) and `words`, the vocabulary in
which it is described, and `told`, how two people might tell of it. `near` holds the same of papers that are not bakeoff's and could be
taken for it; these are from memory, serve to tell papers apart, and are shown to nobody. A written paper's own header counts before
its profile; one without a profile is described by its card.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .. import catalogue
from ..errors import UnknownPaper

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A paper as people speak of it; `written` if the library has it, and slug "" if bakeoff has no use for it."""

    title: str
    words: str
    titles: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    slug: str = ""
    area: str = ""
    authors: tuple[str, ...] = ()
    year: int | None = None
    arxiv: str | None = None
    names: tuple[str, ...] = ()
    says: str = ""
    written: bool = False


@cache
def profiles() -> dict[str, Profile]:
    """Every paper of the library and every wanted one, by slug, in order of area and slug."""
    found = {one["slug"]: _profile(one, area) for area, papers in _files().items() for one in papers}
    for slug, entry in catalogue.entries().items():
        known = found.get(slug)
        paper = entry.paper
        names = tuple(dict.fromkeys((*paper.also, *(known.names if known else ()))))
        found[slug] = Profile(
            slug=slug, area=entry.area, title=paper.title, titles=(paper.title, *(known.titles if known else ())), year=paper.year,
            arxiv=paper.arxiv or (known.arxiv if known else None), authors=tuple(name.split()[-1] for name in paper.authors), names=names,
            says=known.says if known else entry.claim.says, words=known.words if known else entry.card,
            told=known.told if known else (), written=True)
    return dict(sorted(found.items(), key=lambda item: (item[1].area, item[0])))


def profile(slug: str) -> Profile:
    """One paper by its slug."""
    if slug in profiles():
        return profiles()[slug]
    near = difflib.get_close_matches(slug, profiles(), 3, 0.5)
    raise UnknownPaper(f"no paper is called {slug!r}", f"Did you mean {' or '.join(near)}?" if near else "See: bakeoff list WORDS")


@cache
def near() -> dict[str, tuple[Profile, ...]]:
    """The papers that are taken for each of the library's, by its slug."""
    return {one["slug"]: tuple(_profile(other, "") for other in one["near"]) for papers in _files().values() for one in papers}


def fingerprint() -> str:
    """A hash of all that profiles are made of."""
    files = [*sorted(HERE.glob("*.json")), *(entry.path for entry in catalogue.entries().values())]
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()[:16]


@cache
def _files() -> dict[str, list[dict]]:
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(HERE.glob("*.json"))}


def _profile(one: dict, area: str) -> Profile:
    return Profile(
        slug=one.get("slug", ""), area=area, title=one["title"], titles=(one["title"],), authors=tuple(one["authors"]), year=one["year"],
        arxiv=one.get("arxiv"), names=tuple(one["names"]), says=one.get("says", ""), words=one["words"], told=tuple(one.get("told", ())))
