"""Mentions of the same paper made one.

Two mentions are the same paper if they have the same arXiv id, or the same title, or nearly the same text. Texts are compared by
their letters and digits alone: long ones by their fingerprints, every run of 12 bytes whose checksum is a multiple of 4
(Broder 1997, "On the resemblance and containment of documents"). An index from run to paper finds the candidates, so that the work
grows with the number of mentions and not with its square.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from .mention import Digest, Mention

RUN = 12
EVERY = 4
MULTIPLIER = 0x9E3779B97F4A7C15  # odd, so that no sign of a run is lost modulo 2**64
LONGEST = 20_000  # characters of a text that are looked at
SHORTEST = 40  # letters that two equal texts must have to be one paper's
FEWEST = 30  # runs that two unequal texts must have to be compared
SAME = 0.75  # share of the shorter text's runs that both must have
SLIPS = 93  # how alike (0 to 100) two titles of the same text are that differ by slips alone
COMMON = 50  # a run found in so many papers is a set phrase, and tells nothing
SAMPLE = 12  # runs of a text, those of the lowest checksums, by which its paper is found again (two copies share most of them)


@dataclass(frozen=True, kw_only=True)
class Found:
    """A paper, where it was mentioned, as (file, entry), and what was told there; None or () for what no mention gives."""

    mentions: tuple[tuple[str, int], ...]
    told: tuple[Mention, ...] = ()
    title: str | None = None
    authors: tuple[str, ...] = ()
    arxiv: str | None = None
    links: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    popularity: dict[str, int] | None = None
    text: str | None = None


def merge(digests: Iterable[Digest]) -> list[Found]:
    """The distinct papers of some digests, in the order in which they are first mentioned."""
    index = _Index()
    for digest in digests:
        for mention in digest.mentions:
            index.add(digest.file, mention)
    return [found(paper.mentions) for paper in index.papers]


def found(mentions: list[tuple[str, Mention]]) -> Found:
    """All that the mentions of a paper know of it: the first's word where two differ, but the longest text (it lost the fewest signs)."""
    told = [mention for _, mention in mentions]

    def first(name):
        return next((value for mention in told if (value := getattr(mention, name))), None)

    def every(name):
        return tuple(dict.fromkeys(value for mention in told for value in getattr(mention, name)))

    return Found(mentions=tuple((file, mention.entry) for file, mention in mentions), told=tuple(told), title=first("title"),
                 authors=first("authors") or (), arxiv=first("arxiv"), links=every("links"), categories=every("categories"),
                 popularity=first("popularity"), text=max((mention.text or "" for mention in told), key=len) or None)


def place(mentions: Iterable[Mention], known: dict[int, list[Mention]]) -> list[int]:
    """The number of the paper that each mention is of: one of the known papers, or -1, -2, ... for new ones."""
    index = _Index()
    numbers = list(known)
    for at, told in enumerate(known.values()):
        index.papers.append(_Paper())
        for mention in told:
            index.add("", mention, at)
    places = [index.add("", mention) for mention in mentions]
    return [numbers[at] if at < len(numbers) else len(numbers) - at - 1 for at in places]


def marks(mention: Mention | Found) -> tuple[set[str], set[str]]:
    """What a paper is found again by: marks that are its own (arXiv id, title, whole text), and a sample of its text's runs."""
    title, letters = squash(mention.title or ""), squash((mention.text or "")[:LONGEST])
    runs = _fingerprint(letters)
    own = {f"arxiv:{mention.arxiv}"} if mention.arxiv else set()
    own |= {f"{kind}:{hashlib.sha256(signs.encode()).hexdigest()[:40]}"
            for kind, signs in (("title", title), ("text", letters if len(letters) >= SHORTEST else "")) if signs}
    return own, {f"run:{run}" for run in sorted(runs)[:SAMPLE]} if len(runs) >= FEWEST else set()


def squash(text: str) -> str:
    """The letters and digits of a text and nothing else, without case or accents: what survives every copying."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKD", text.casefold()))


@dataclass
class _Paper:
    """A paper while its mentions are being gathered; `surnames` are its first authors', `size` the number of runs in its first text."""

    title: str = ""
    arxiv: str | None = None
    surnames: frozenset[str] = frozenset()
    size: int = 0
    mentions: list[tuple[str, Mention]] = field(default_factory=list)

    def agrees(self, mention: Mention, title: str, surnames: frozenset[str]) -> bool:
        """False where two arXiv ids, two titles, or two lists of authors with no name in common say that these are two papers."""
        if (self.arxiv and mention.arxiv and self.arxiv != mention.arxiv) or (self.title and title and not _same_title(self.title, title)):
            return False
        return not (self.surnames and surnames) or not self.surnames.isdisjoint(surnames)


def _same_title(one: str, other: str) -> bool:
    """Whether two titles, squashed, are one but for slips of the pen; a digit is none."""
    if one == other:
        return True
    from rapidfuzz import fuzz
    return fuzz.ratio(one, other) >= SLIPS and re.sub(r"\D", "", one) == re.sub(r"\D", "", other)


class _Index:
    def __init__(self):
        self.papers: list[_Paper] = []
        self._by_arxiv: dict[str, int] = {}
        self._by_title: dict[str, list[int]] = {}
        self._by_letters: dict[str, list[int]] = {}
        self._by_run: dict[int, list[int]] = {}

    def add(self, file: str, mention: Mention, at: int | None = None) -> int:
        """The place of the paper that a mention is of: the one given, or the one that it is found to be, or a new one."""
        title, letters = squash(mention.title or ""), squash((mention.text or "")[:LONGEST])
        runs = _fingerprint(letters)
        surnames = frozenset(squash(name.split()[-1]) for name in mention.authors if name.split())
        at = self._same(mention, title, letters, runs, surnames) if at is None else at
        if at is None:
            at = len(self.papers)
            self.papers.append(_Paper())
        paper = self.papers[at]
        paper.mentions.append((file, mention))
        paper.title, paper.arxiv = paper.title or title, paper.arxiv or mention.arxiv
        paper.surnames = paper.surnames or surnames
        if mention.arxiv:
            self._by_arxiv.setdefault(mention.arxiv, at)
        for key, holders in ((title, self._by_title), (letters if len(letters) >= SHORTEST else "", self._by_letters)):
            if key and at not in (known := holders.setdefault(key, [])) and len(known) < COMMON:
                known.append(at)
        if not paper.size:
            paper.size = len(runs)
            for run in runs:
                if len(known := self._by_run.setdefault(run, [])) <= COMMON:
                    known.append(at)
        return at

    def _same(self, mention: Mention, title: str, letters: str, runs: set[int], surnames: frozenset[str]) -> int | None:
        if mention.arxiv in self._by_arxiv:
            return self._by_arxiv[mention.arxiv]
        alike = [*self._by_title.get(title, ()), *(self._by_letters.get(letters) or self._by_runs(runs))]
        return next((at for at in alike if self.papers[at].agrees(mention, title, surnames)), None)

    def _by_runs(self, runs: set[int]) -> list[int]:
        if len(runs) < FEWEST:
            return []
        shared = Counter(at for run in runs if len(known := self._by_run.get(run, ())) <= COMMON for at in known)
        found = []
        for at, count in shared.most_common(3):
            shorter, longer = sorted((self.papers[at].size, len(runs)))
            if count >= SAME * shorter and 2 * shorter >= longer:
                found.append(at)
        return found


def _fingerprint(letters: str) -> set[int]:
    import numpy as np
    signs = np.frombuffer(letters.encode(), np.uint8).astype(np.uint64)
    codes = np.zeros(max(0, len(signs) - RUN + 1), np.uint64)
    for at in range(RUN):
        codes = codes * np.uint64(MULTIPLIER) + signs[at:at + len(codes)]
    codes = (codes * np.uint64(MULTIPLIER)) >> np.uint64(16)  # the upper bits depend on every sign
    return set(codes[codes % EVERY == 0].tolist())
