"""Hugging Face's daily papers: a title on one line, its abstract below, and the page's furniture around them."""

from __future__ import annotations

import re

from ..cleaning import Note, cut_off, links, one_line, prose
from ..mention import Mention

FORM = "hugging_face"
FURNITURE = re.compile(
    r"new|subscribe|(?:daily|trending) papers|get trending papers in your email inbox!?|by ?ak and the research community|oszar »"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* \d{1,2}(?:, \d{4})?|submitted by|previous|next|load more|\W*\d+\W*"
    r"|\W*\d+ (?:authors?|comments?|upvotes?|likes?)", re.I)
OWN = re.compile(r"papers in your email inbox|AK and the research community")
MARKUP = re.compile(r"#|```|<|\||[-*] |\{|\}")


def recognises(text: str) -> float:
    """Sure where the page's own words stand beside titled abstracts; likely where nearly every abstract has its title."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if not OWN.search(text) and sum(map(prose, lines)) < 0.3 * len(lines):
        return 0.0
    entries, skipped, _ = _entries(lines)
    titled = sum(title is not None for title, _ in entries)
    if not titled or sum(bool(MARKUP.match(line)) for line in lines) > 0.1 * len(lines):
        return 0.0
    if any(map(OWN.search, skipped)):
        return 0.9
    return 0.6 if titled >= 0.8 * len(entries) and len(skipped) <= 0.2 * len(lines) else 0.0


def mentions(text: str, note: Note) -> list[Mention]:
    """Every whole entry, with the addresses in its abstract; short lines that are no title are skipped."""
    entries, skipped, loose = _entries([line.strip() for line in text.split("\n") if line.strip()])
    if skipped:
        shown = "; ".join(line[:40] for line in skipped[:8])
        note(f"{len(skipped)} line{'s' * (len(skipped) > 1)} of the page's furniture skipped: {shown}{'; ...' * (len(skipped) > 8)}")
    if loose:
        note(f"the last title has no abstract and was left out: {loose[:80]}")
    elif cut_off(text) and entries and text.rstrip().endswith(entries[-1][1][-1]):
        note(f"the last entry is cut off and was left out: {(entries.pop()[0] or '')[:80]}")
    found = []
    for number, (title, parts) in enumerate(entries, 1):
        abstract = one_line(" ".join(parts))
        found.append(Mention(entry=number, title=title and one_line(title), text=abstract, links=links(abstract)))
    return found


def _entries(lines: list[str]) -> tuple[list[tuple[str | None, list[str]]], list[str], str | None]:
    """(title, paragraphs) of each entry, the lines skipped, and a last title that nothing follows."""
    entries: list[tuple[str | None, list[str]]] = []
    skipped: list[str] = []
    title = None
    for line in lines:
        if prose(line):
            if title is None and entries:
                entries[-1][1].append(line)
            else:
                entries.append((title, [line]))
            title = None
        elif FURNITURE.fullmatch(line):
            skipped.append(line)
        else:
            if title is not None:
                skipped.append(title)
            title = line
    return entries, skipped, title
