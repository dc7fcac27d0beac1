"""ShortScience: summaries without titles, each after a line "[link]"."""

from __future__ import annotations

import re

from ..cleaning import Note, cut_off, links, one_line
from ..mention import Mention

FORM = "short_science"
SEPARATOR = "[link]"
FURNITURE = re.compile(r"(?:!\[\]\(\) ?)+\|?|Welcome to ShortScience\.org! *\|?|\d+ Comments?|\|")
END = re.compile(r"!\[(?:\](?:\(\)? ?\|?)?)?$")  # "![]() |", or what is left of it where the page is cut off


def recognises(text: str) -> float:
    """Sure where a line is a separator."""
    return float(any(line.strip() == SEPARATOR for line in text.split("\n")))


def mentions(text: str, note: Note) -> list[Mention]:
    """Every whole summary, with the addresses in it; the page's furniture is skipped."""
    lines = [line.strip() for line in text.split("\n")]
    if lines[-1] and SEPARATOR.startswith(lines[-1]):
        lines.pop()
    kept = [line for line in lines if line and not FURNITURE.fullmatch(line)]
    if skipped := sum(map(bool, lines)) - len(kept):
        note(f"{skipped} line{'s' * (skipped > 1)} of the page's furniture skipped")
    head, *texts = _split(kept)
    if head:
        note(f"text before the first separator skipped: {head[:60]}")
    if texts and texts[-1] and cut_off(text):
        note(f"the last entry is cut off and was left out: {texts.pop()[:60]}")
    return [Mention(entry=number, text=text, links=links(text)) for number, text in enumerate(filter(None, texts), 1)]


def _split(lines: list[str]) -> list[str]:
    parts: list[list[str]] = [[]]
    for line in lines:
        if line == SEPARATOR:
            parts.append([])
        else:
            parts[-1].append(END.sub("", line))
    return [one_line(" ".join(part)) for part in parts]
