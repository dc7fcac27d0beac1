"""Hot papers of a day, in Markdown: title, authors, popularity, links, categories, abstract, tweets."""

from __future__ import annotations

import re
from datetime import date

from ..cleaning import Note, cut_off, on_the_web, one_line
from ..mention import Mention

FORM = "hot_papers"
HEADING = re.compile(r"# \d+\. +(\S.*)")
STUMP = re.compile(r"(?<=\n)#(?: (?:\d+(?:\. *)?)?)?$")  # a heading cut off before its title
ABOUT = ("- retweets:", "- links:", "- [")
POPULARITY = re.compile(r"- retweets: *(\d[\d,]*), *favorites: *(\d[\d,]*)", re.A)
ARXIV = re.compile(r"arxiv\.org/(?:abs|pdf)/([a-z-]+(?:\.[A-Z]{2})?/\d{7}|\d{4}\.\d{4,5})", re.A | re.I)
TARGET = re.compile(r"\]\(([^()\s]+)\)")
TITLE_DAY = re.compile(r"title: hot papers (?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)", re.A | re.I)
COUNT_DAY = re.compile(r"- retweets:[^(\n]*\((?P<month>\d\d)/(?P<day>\d\d)/(?P<year>\d{4})\b", re.A)
CATEGORY = re.compile(r"\[([\w.-]+)\]\(")
HTML = re.compile(r"<(?:[a-zA-Z/!]|$)")
AUTHOR = re.compile(r", +(?!(?:Jr|Sr|II|III|IV)\b)")


def recognises(text: str) -> float:
    """Sure where the page's own title is found, or numbered headings with a line of links or retweets."""
    lines = text.split("\n")
    if any(line.lower().startswith("title: hot papers") for line in lines[:20]):
        return 1.0
    return float(any(HEADING.match(line) for line in lines) and any(line.startswith(ABOUT[:2]) for line in lines))


def mentions(text: str, note: Note) -> list[Mention]:
    """Every whole entry; tweets are skipped."""
    text = STUMP.sub("", text)
    entries = _entries(text.split("\n"))
    if entries and not _whole(text, entries[-1]):
        note(f"the last entry is cut off and was left out: {one_line(HEADING.match(entries.pop()[0])[1])[:80]}")
    elif text.count("<blockquote") > text.count("</blockquote>"):
        note("the last tweet is cut off")
    if tweets := text.count("<blockquote"):
        note(f"{tweets} tweet{'s' * (tweets > 1)} skipped")
    if strange := sum(not on_the_web(target) for lines in entries for target in _targets(lines)):
        note(f"{strange} link{'s' * (strange > 1)} that lead{'s' * (strange == 1)} nowhere on the web left out")
    day = next((_day(found) for line in text.split("\n")[:20] if (found := TITLE_DAY.match(line))), None)
    return [_mention(number, lines, day) for number, lines in enumerate(entries, 1)]


def _entries(lines: list[str]) -> list[list[str]]:
    """A heading and what follows it. A heading without links or retweets below it belongs to the text above, unless it is the last."""
    starts = [at for at, line in enumerate(lines) if HEADING.match(line)]
    entries: list[list[str]] = []
    for start, end in zip(starts, [*starts, len(lines)][1:], strict=True):
        part = lines[start:end]
        if end == len(lines) or any(line.startswith(ABOUT[:2]) for line in part):
            entries.append(part)
        elif entries:
            entries[-1] += part
    return entries


def _whole(text: str, last: list[str]) -> bool:
    linked = any(line.startswith("- links:") and TARGET.search(line) for line in last)
    return linked and (any(HTML.match(line) for line in last) or not cut_off(text))


def _mention(number: int, lines: list[str], day: str | None) -> Mention:
    heading, *rest = lines
    first = next((at for at, line in enumerate(rest) if line.startswith(ABOUT)), 0)
    last = first
    while last < len(rest) and (not rest[last].strip() or rest[last].startswith(ABOUT)):
        last += 1
    about, below = rest[first:last], rest[last:]
    end = next((at for at, line in enumerate(below) if HTML.match(line)), len(below))
    links = list(filter(on_the_web, _targets(about)))
    counts = next((found for line in about if (found := POPULARITY.match(line))), None)
    counted = next((_day(found) for line in about if (found := COUNT_DAY.match(line))), None)
    arxiv = next((found[1] for link in links if (found := ARXIV.search(link))), None)
    return Mention(
        entry=number, title=one_line(HEADING.match(heading)[1]),
        authors=tuple(name for name in AUTHOR.split(one_line(" ".join(rest[:first]))) if name),
        arxiv=arxiv, links=tuple(dict.fromkeys(links)),
        categories=tuple(dict.fromkeys(name for line in about if line.startswith("- [") for name in CATEGORY.findall(line))),
        popularity={"retweets": _number(counts[1]), "favourites": _number(counts[2])} if counts else None, day=counted or day,
        text=one_line(" ".join(below[:end])) or None)


def _targets(lines: list[str]) -> list[str]:
    return [target for line in lines if line.startswith("- links:") for target in TARGET.findall(line)]


def _day(found: re.Match) -> str | None:
    try:
        return date(*(int(found[part]) for part in ("year", "month", "day"))).isoformat()
    except ValueError:
        return None


def _number(digits: str) -> int:
    return int(digits.replace(",", "")[:18])
