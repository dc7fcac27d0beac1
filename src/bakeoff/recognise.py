"""Which paper a mention is of, if any: by its arXiv id, by its title, or by what its text says.

A text is compared with the profile of every paper (library and wanted) and with those of the well-known papers that are taken for
them. Profiles and texts are vectors of TF-IDF weights; with s the cosine of the text and the closest of our papers, r the cosine of
the text and the closest of the others, and a = +1, 0 or -1 for a text that opens with the paper's authors, with none, or with others
("Kumar et al. propose ..."), the confidence in a link is

    p = 1 / (1 + exp(-(b0 + b1 s + b2 (s - r) + b3 a)))

A link is made from p = 1/2 on, and is doubtful below 0.8. `benchmarks/recognise.py` tells how the weights b were found and how
often links are right on texts that had no part in it.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from . import profiles
from .digests import Found, Mention
from .digests.merging import squash
from .digests.terms import stems, terms, words
from .profiles import Profile

WEIGHTS = (-5.94, 26.29, 34.68, 1.68)  # b0 ... b3
OTHER_ARXIV = 0.6  # the confidence in a title whose arXiv id is not the paper's
OTHER_TITLE = 2.0  # taken off where a mention has a title, and that is not the paper's
LINKED, SURE, WORTH_NAMING = 0.5, 0.8, 0.1
ALIKE = 93  # how alike (0 to 100) two titles must be
LONGEST = 6000  # characters of a text that are compared
NAME = r"[^\W\d_][\w'’-]*"
AUTHORS = re.compile(rf"\W{{0,6}}({NAME})(?: et al\b|,? (?:and|&) [A-Z][\w'’-]*(?= [a-z])|(?:, [A-Z][\w'’-]*)+,? (?:and|&) [A-Z])")


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
    """What each of some mentions is linked to (many at once are quicker than one by one)."""
    mentions = list(mentions)
    found = [_identified(mention) for mention in mentions]
    described = [at for at, link in enumerate(found) if link is None]
    for at, link in zip(described, _described([mentions[at] for at in described]), strict=True):
        found[at] = link
    return found


def _identified(mention: Mention | Found) -> Link | None:
    """The link that the arXiv id or the title makes; None if only the text can tell."""
    by_arxiv, by_title = _identities()
    if mention.arxiv in by_arxiv:
        return Link(by_arxiv[mention.arxiv], 1.0, (f"arXiv {mention.arxiv}",))
    if mention.title:
        title = squash(mention.title)
        ratio, slug = (100.0, by_title[title]) if title in by_title else _alike(title)
        if slug and _another(mention, profiles.profiles()[slug]):
            return Link(slug, OTHER_ARXIV, ("title", f"but arXiv {mention.arxiv}"))
        if slug:
            return Link(slug, ratio / 100, ("title",))
    return None if mention.text else NOTHING


def _another(mention: Mention | Found, profile: Profile) -> bool:
    """Whether two arXiv ids say that a mention is not of the paper."""
    return bool(mention.arxiv and profile.arxiv and mention.arxiv != profile.arxiv)


@cache
def _identities() -> tuple[dict[str, str], dict[str, str]]:
    """The slug of each arXiv id, and of each title and each name long enough to be one."""
    ours = profiles.profiles()
    names = {squash(name): slug for slug, one in ours.items() for name in one.names if len(squash(name)) >= 25}
    return {one.arxiv: slug for slug, one in ours.items() if one.arxiv}, names | {squash(one.title): slug for slug, one in ours.items()}


def _alike(title: str) -> tuple[float, str | None]:
    """The title of ours that is most like one, if they differ by no more than slips: never by a digit."""
    from rapidfuzz import fuzz, process
    by_title = _identities()[1]
    best = process.extractOne(title, by_title.keys(), scorer=fuzz.ratio, score_cutoff=ALIKE)
    if best and re.findall(r"\d", best[0]) == re.findall(r"\d", title):
        return best[1], by_title[best[0]]
    return 0.0, None


class _Likeness:
    """The profiles as rows of TF-IDF weights: ours, and those of the papers that are taken for them."""

    def __init__(self):
        from sklearn.feature_extraction.text import TfidfVectorizer
        self.ours = list(profiles.profiles().values())
        self.others = [one for slug in profiles.near() for one in profiles.near()[slug]]
        self.vectoriser = TfidfVectorizer(analyzer=_terms_and_pairs, sublinear_tf=True)
        rows = self.vectoriser.fit_transform([_told(one) for one in (*self.ours, *self.others)])
        self.names = self.vectoriser.get_feature_names_out()
        self.rows = rows[:len(self.ours)]  # (papers, terms)
        self.other_rows = rows[len(self.ours):]  # (others, terms)


def _terms_and_pairs(text: str) -> list[str]:
    found = terms(text)
    return found + [f"{one} {next_one}" for one, next_one in itertools.pairwise(found)]


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
    other = (vectors @ known.other_rows.T).max(1).toarray().ravel() if known.others else np.zeros(len(texts))
    found = []
    for at, mention in enumerate(mentions):
        paper = known.ours[best[at]]
        alike = float(ours[at, best[at]])
        authors = _by(mention, paper)
        b0, b1, b2, b3 = WEIGHTS
        exponent = b0 + b1 * alike + b2 * (alike - float(other[at])) + b3 * authors - OTHER_TITLE * bool(mention.title)
        p = 0.0 if _another(mention, paper) or not alike else 1 / (1 + math.exp(-exponent))
        because = _because(texts[at], vectors[at], known.rows[best[at]], paper, authors) if p >= WORTH_NAMING else ()
        found.append(Link(paper.slug, p, because) if p >= LINKED else Link(None, p, because, paper.slug if because else None))
    return found


def _by(mention: Mention | Found, paper: Profile) -> int:
    """+1 if a mention names the paper's authors as its own, -1 if it names others, 0 if it names none or the paper's are not known."""
    if not paper.authors:
        return 0
    theirs = {squash(name.split()[-1]) for name in paper.authors}
    if mention.authors:
        return 1 if theirs & {squash(name.split()[-1]) for name in mention.authors if name.split()} else -1
    opening = AUTHORS.match((mention.text or "")[:150])
    return 0 if not opening else 1 if squash(opening[1]) in theirs else -1


def _because(text: str, vector, row, paper: Profile, authors: int) -> tuple[str, ...]:
    """The words of a text that weigh most in its likeness to a paper, in the text's own spelling; pairs before their parts."""
    shared = vector.multiply(row).tocoo()
    names = _likeness().names[shared.col]
    heaviest = [name for _, name in sorted(zip(shared.data, names, strict=True), reverse=True)[:16]]
    parts = {part for name in heaviest for part in name.split()}
    spelt: dict[str, str] = {}
    for word in words(text):
        for stem in stems(word):
            if stem in parts:
                spelt.setdefault(stem, word)
    paired = {part for name in heaviest if " " in name for part in name.split()}
    shown = [" ".join(dict.fromkeys(spelt[part] for part in name.split())) for name in heaviest if " " in name or name not in paired]
    by = (f"by {paper.authors[0]}",) if authors > 0 else ()
    surnames = {name.casefold() for name in paper.authors} if by else set()
    return (*by, *(one for one in dict.fromkeys(shown) if one not in surnames))[:6]
