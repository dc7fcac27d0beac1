"""Bare abstracts, one a line."""

from __future__ import annotations

from ..cleaning import Note, cut_off, links, one_line, prose
from ..mention import Mention

FORM = "abstracts"


def recognises(text: str) -> float:
    """Likely where nearly every line is a paragraph of running text."""
    lines = [line for line in text.split("\n") if line.strip()]
    return 0.4 if lines and sum(map(prose, lines)) >= 0.9 * len(lines) else 0.0


def mentions(text: str, note: Note) -> list[Mention]:
    """Every whole abstract, with the addresses in it; lines that are none are skipped."""
    lines = [line for line in text.split("\n") if line.strip()]
    if cut_off(text):
        note(f"the last entry is cut off and was left out: {one_line(lines.pop())[:60]}")
    texts = [one_line(line) for line in lines if prose(line)]
    if skipped := len(lines) - len(texts):
        note(f"{skipped} line{'s' * (skipped > 1)} that are no abstract skipped")
    return [Mention(entry=number, text=text, links=links(text)) for number, text in enumerate(texts, 1)]
