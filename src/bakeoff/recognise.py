"""Which paper a mention is of, if any: by its arXiv id, by its title, or by what its text says.

A text is compared with the profile of every paper (library and wanted) and with those of the well-known papers that are taken for
them. Profiles and texts are vectors of TF-IDF weights; with s the cosine of the text and the closest of our papers, r the cosine of
the text and the closest of the others, and a = +1, 0 or -1 for a text that opens with the paper's first author, with none, or with
another ("Kumar et al. propose ..."), the confidence in a link is

    p = 1 / (1 + exp(-(b0 + b1 s + b2 (s - r) + b3 a)))

A link is made from p = 1/2 on. It is doubtful below 0.8, and p is kept below that where only the text speaks for the paper and
something speaks against it: another title, other authors, words such as "extends" or "builds on", or a second paper of ours that is
nearly as close. `benchmarks/recognise.py` tells how the weights b were found and how often links are right on texts that had no part
in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, zip_longest

from . import profiles
from .digests import Found, Mention
from .digests.merging import squash
from .digests.terms import stems, terms, words
from .profiles import Profile

WEIGHTS = (-5.98, 30.69, 28.6, 1.46)  # b0 ... b3
DISPUTED = 0.6  # the confidence in a title that is a name of ours, or has another arXiv id or other authors
OTHER_TITLE = 3.0  # taken off where a mention has a title, and that is not the paper's
LINKED, SURE, WORTH_NAMING = 0.5, 0.8, 0.1
ALIKE = 93  # how alike (0 to 100) two titles must be, if each word is the same or has one slip in it
CLOSE = 0.25  # the share by which the closest paper of ours must be closer than the next
LONGEST = 6000  # characters of a text that are compared
NAME = r"(?:[A-Z]\. ?){0,3}([^\W\d_][\w'’-]*)"
AUTHORS = re.compile(  # who opens a text, or is named in its first words as the one whose work it is
    rf"(?:\W{{0,6}}|.{{0,60}}?\b(?:paper|work|study|summary),? (?:by )?)(?:[A-Z][\w'’-]* )?{NAME}"
    r"(?: et al\b| and (?:colleagues|co-?(?:workers|authors))|(?:, [A-Z][\w'’-]*)*,? (?:and|&) [A-Z][\w'’-]*(?= [a-z]))")
AGAINST = re.compile(r"\bbuil(?:ds?|ding|t) (?:up)?on\b|\bextend(?:s|ed|ing)?\b|\bextensions? of\b|\breproduc\w+|\ba (?:survey|review) of\b"
                     r"|\b(?:we|is|are|was) adapt(?:ed|s|ing)?\b|\bfollow-?ups? (?:to|of|on)\b|\bcomment(?:ary)? (?:on|to)\b", re.I)


@dataclass(frozen=True)
class Link:
    """Which paper a mention is of (slug, or None), how sure that is (0 to 1), and the words that made it.

    Where no link is made, `nearest` is the paper that came closest, if any came near, and the confidence is that in it.
    """

    slug: str | None
    confidence: float = 0.0
    because: tuple[str, ...] = ()
    nearest: str | None = None
    settled: bool = False

    @property
    def doubtful(self) -> bool:
        """Whether a person should look at it."""
        return self.slug is not None and self.confidence < SURE


NOTHING = Link(None)


def settled(slug: str | None) -> Link:
    """The link that a person made."""
    return Link(slug, 1.0, settled=True)


def recognise(mention: Mention | Found) -> str | None:
    """The slug of the paper that a mention, or a paper found in digests, is of; None if it is of none of ours."""
    return link(mention).slug


def link(mention: Mention | Found) -> Link:
    """What a mention, or a paper found in digests, is linked to."""
    return links([mention])[0]


def links(mentions: Iterable[Mention | Found]) -> list[Link]:
    """What each of some mentions is linked to (many at once are quicker than one by one, and the same again costs nothing)."""
    asked = [((one.arxiv, one.title, one.authors, one.text), one) for one in mentions]
    made = _made()
    new = {key: one for key, one in asked if key not in made}
    found = {key: _identified(one) for key, one in new.items()}
    described = [key for key, link in found.items() if link is None]
    made |= found | dict(zip(described, _described([new[key] for key in described]), strict=True))
    return [made[key] for key, _ in asked]


@cache
def _made() -> dict[tuple, Link]:
    """The links made so far: reading puts the same papers on the shelf and into the index."""
    return {}


def _identified(mention: Mention | Found) -> Link | None:
    """The link that the arXiv id or the title makes; None if only the text can tell."""
    known = _identities()
    if (number := _number(mention.arxiv)) in known.numbers:
        return Link(known.numbers[number], 1.0, (f"arXiv {number}",))
    if mention.title:
        title = squash(mention.title)
        ratio, slug = (100.0, known.titles[title]) if title in known.titles else _alike(mention.title)
        if slug:
            disputed = _another(mention, profiles.profiles()[slug])
            return Link(slug, min(ratio / 100, DISPUTED) if disputed else ratio / 100, ("title", *disputed))
        if title in known.names:
            return Link(known.names[title], DISPUTED, ("name",))
    return None if mention.text else NOTHING


def _number(arxiv: str | None) -> str | None:
    """An arXiv id without "arXiv:" before it and the version behind it."""
    return re.sub(r"^arxiv:\s*|v\d+$", "", arxiv.strip(), flags=re.I) if arxiv else None


def _another(mention: Mention | Found, paper: Profile) -> tuple[str, ...]:
    """What says that a mention is not of a paper: two arXiv ids, or two lists of authors with no name in common."""
    number, theirs, ours = _number(mention.arxiv), _surnames(mention.authors), _surnames(paper.authors)
    return ((f"but arXiv {number}",) if number and paper.arxiv and number != paper.arxiv else
            (f"but by {mention.authors[0]}",) if theirs and ours and not set(theirs) & set(ours) else ())


def _surnames(authors: Iterable[str]) -> list[str]:
    """The surnames of people given as "Ann Bee", "Bee, Ann", "A. Bee Jr." or "Ann Bee et al."."""
    plain = (re.sub(r",?\s+(?:et al\.?|Jr\.?|Sr\.?|I{2,3}|IV)$", "", name.strip()) for name in authors)
    return [squash(name.split(",")[0].split()[-1]) for name in plain if name.split(",")[0].split()]


@dataclass(frozen=True)
class _Identities:
    """The slug of each arXiv id, of each title, and of each name that is long enough to be a title; `spelt`: titles with their spaces."""

    numbers: dict[str, str]
    titles: dict[str, str]
    names: dict[str, str]
    spelt: dict[str, str]


@cache
def _identities() -> _Identities:
    ours = profiles.profiles()
    return _Identities({one.arxiv: slug for slug, one in ours.items() if one.arxiv},
                       {squash(title): slug for slug, one in ours.items() for title in one.titles},
                       {squash(name): slug for slug, one in ours.items() for name in one.names if len(squash(name)) >= 25},
                       {squash(title): title for one in ours.values() for title in one.titles})


def _alike(title: str) -> tuple[float, str | None]:
    """The title of ours that is most like one, if its words are the same but for a slip: a letter more, less, other or moved in some."""
    from rapidfuzz import fuzz, process
    from rapidfuzz.distance import OSA
    known = _identities()
    best = process.extractOne(squash(title), known.spelt.keys(), scorer=fuzz.ratio, score_cutoff=ALIKE)
    if best and all(one == other or (min(len(one), len(other)) > 4 and OSA.distance(one, other) == 1 and not re.search(r"\d", one + other))
                    for one, other in zip_longest(words(title), words(known.spelt[best[0]]), fillvalue="")):
        return best[1], known.titles[best[0]]
    return 0.0, None


class _Likeness:
    """The profiles as rows of TF-IDF weights: ours, and those of the papers that are taken for them."""

    def __init__(self):
        from sklearn.feature_extraction.text import TfidfVectorizer
        self.ours = list(profiles.profiles().values())
        self.others = [one for slug in profiles.near() for one in profiles.near()[slug]]
        self.vectoriser = TfidfVectorizer(analyzer=_terms_and_pairs, sublinear_tf=True)
        rows = self.vectoriser.fit_transform([_told(one) for one in (*self.ours, *self.others)])
        self.surnames = {name for one in (*self.ours, *self.others) for name in _surnames(one.authors)}
        self.names = self.vectoriser.get_feature_names_out()
        self.rows = rows[:len(self.ours)]  # (papers, terms)
        self.other_rows = rows[len(self.ours):]  # (others, terms)


def _terms_and_pairs(text: str) -> list[str]:
    found = terms(text)
    return found + [f"{one} {next_one}" for one, next_one in pairwise(found)]


def _told(one: Profile) -> str:
    """All that a profile says; title and names twice, as they are what is told most often."""
    return "\n".join([*2 * [one.title, *one.names], *one.authors, one.says, one.words, *one.told])


_likeness = cache(_Likeness)


def _described(mentions: list[Mention | Found]) -> list[Link]:
    if not mentions:
        return []
    import numpy as np
    known = _likeness()
    texts = [f"{mention.title or ''}\n{mention.text}"[:LONGEST] for mention in mentions]
    vectors = known.vectoriser.transform(texts).tocsr()  # (mentions, terms)
    ours = (vectors @ known.rows.T).toarray()  # (mentions, papers)
    best = ours.argmax(1)
    second = np.partition(ours, -2, axis=1)[:, -2] if ours.shape[1] > 1 else np.zeros(len(texts))
    other = (vectors @ known.other_rows.T).max(1).toarray().ravel() if known.others else np.zeros(len(texts))
    found = []
    for at, mention in enumerate(mentions):
        paper = known.ours[best[at]]
        alike = float(ours[at, best[at]])
        authors = _by(mention, paper)
        b0, b1, b2, b3 = WEIGHTS
        exponent = b0 + b1 * alike + b2 * (alike - float(other[at])) + b3 * authors - OTHER_TITLE * bool(mention.title)
        p = 1 / (1 + math.exp(-exponent)) if alike and not _another(mention, paper) else 0.0
        against = mention.title or authors < 0 or alike - second[at] < CLOSE * alike or AGAINST.search(texts[at][:1000])
        p = min(p, SURE - 0.01) if against else p
        because = _because(texts[at], vectors[at], known.rows[best[at]], paper, authors) if p >= WORTH_NAMING else ()
        found.append(Link(paper.slug, p, because) if p >= LINKED else Link(None, p, because, paper.slug if because else None))
    return found


def _by(mention: Mention | Found, paper: Profile) -> int:
    """+1 if the first author that a mention names is the paper's, -1 if it is another, 0 if it names none or the paper's is not known.

    A text names an author who opens it ("Kumar et al. propose ..."). A list of authors that has the paper's first one elsewhere, or
    others of the paper's, may be in another order: 0.
    """
    own = _surnames(paper.authors)
    if not own:
        return 0
    if named := _surnames(mention.authors):
        return 1 if named[0] == own[0] else 0 if set(named) & set(own) else -1
    opening = AUTHORS.match((mention.text or "")[:200])
    if not opening or not _is_surname(opening[1]):
        return 0
    return 1 if squash(opening[1]) == own[0] else -1


def _is_surname(word: str) -> bool:
    """Whether a word with a capital may be a surname: one of those known, or no word that profiles are made of."""
    known = _likeness()
    return squash(word) in known.surnames or not any(stem in known.vectoriser.vocabulary_ for stem in stems(word.casefold()))


def _because(text: str, vector, row, paper: Profile, authors: int) -> tuple[str, ...]:
    """The words of a text that weigh most in its likeness to a paper, in the text's own spelling; pairs before their parts."""
    shared = vector.multiply(row).tocoo()
    names = _likeness().names[shared.col]
    heaviest = [name for _, name in sorted(zip(shared.data, names, strict=True), reverse=True)[:16]]
    spelt: dict[str, str] = {}
    before: tuple[str, str] | None = None  # the stem and the word before
    for word in words(text):
        for stem in stems(word):
            spelt.setdefault(stem, word)
            if before:
                spelt.setdefault(f"{before[0]} {stem}", before[1] if word == before[1] else f"{before[1]} {word}")
            before = (stem, word)
    paired = {part for name in heaviest if " " in name for part in name.split()}
    shown = [spelt[name] for name in heaviest if name in spelt and (" " in name or name not in paired)]
    by = (f"by {paper.authors[0]}",) if authors > 0 else ()
    surnames = {name.casefold() for name in paper.authors} if by else set()
    return (*by, *(one for one in dict.fromkeys(shown) if one not in surnames))[:6]
