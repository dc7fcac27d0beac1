"""Which paper of the library a mention is of, if any.

A mention with a title is recognised by its arXiv id or its title. A mention without one is recognised by an `also` phrase of the
paper, but only where the text speaks of it as the paper's own: a summary of another paper may well cite it. The phrase is its own
- if the text opens with the paper's first author ("Cohen et al. study ...") and has the phrase in its opening; or
- if the phrase is what is proposed ("we introduce PHRASE", "the proposed model titled PHRASE", "the central technique proposed by
  PHRASE"), unless it is called earlier work or a new version of it;
and never if the text opens with other authors. A phrase with dots ("genetic algorithm ... molecules ... discriminator") is no name but
a description: it fits where its parts follow each other in the text's opening.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from . import catalogue, digests
from .claim import Paper
from .digests.mention import Digest, Mention
from .digests.merging import Found, squash

OPENING = 1500  # characters
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
AUTHORS = re.compile(r"\W{0,6}([^\W\d_][\w'’-]*)(?: et al\b|,? (?:and|&) [A-Z][\w'’-]*(?= [a-z]))")
PROPOSING = re.compile(r"propos|introduc|present")
NAMING = {"dubbed", "called", "named", "termed", "titled", "coined"}
CENTRAL = {"central", "main", "key", "core"}
EARLIER = {"recently", "previously", "originally", "newly", "earlier", "previous", "existing", "recent", "been", "was", "were"}
FOREIGN = EARLIER | {"following", "to", "of", "for", "against", "on", "with", "than", "like", "from", "over", "in", "and", "as", "by",
                     "via", "using", "through", "extending", "combining", "version", "variant", "extension", "improved"}
NOUNS = {"algorithm", "approach", "architecture", "framework", "method", "model", "network", "networks", "system", "technique"}
NEUTRAL = NOUNS | {"a", "an", "the", "our", "its", "new", "novel", "simple"}


def recognise(mention: Mention | Found) -> str | None:
    """The slug of the library's paper that a mention, or a paper found in digests, is of; None if it is of none."""
    papers = catalogue.entries().values()
    if mention.arxiv:
        for one in papers:
            if one.paper.arxiv == mention.arxiv:
                return one.slug
    if mention.title:
        title = squash(mention.title)
        for one in papers:
            other = one.paper.arxiv and mention.arxiv and one.paper.arxiv != mention.arxiv
            if not other and any(_letters(name) == title for name in (one.paper.title, *one.paper.also)):
                return one.slug
        return None
    if mention.text:
        letters = squash(mention.text)
        return next((one.slug for one in papers if _is_own(mention.text, letters, one.paper)), None)
    return None


def as_json(read: Iterable[Digest]) -> dict:
    """What some digests say, as plain data: the files, and each distinct paper with its slug; null for what is not given."""
    read = list(read)
    files = [{"file": one.file, "form": one.form, "mentions": len(one.mentions), "notes": list(one.notes)} for one in read]
    papers = [{"title": paper.title, "authors": list(paper.authors) or None, "arxiv": paper.arxiv, "slug": recognise(paper),
               "text": paper.text, "links": list(paper.links) or None, "categories": list(paper.categories) or None,
               "popularity": paper.popularity, "mentions": [{"file": file, "entry": entry} for file, entry in paper.mentions]}
              for paper in digests.merge(read)]
    return {"files": files, "papers": papers}


def _is_own(text: str, letters: str, paper: Paper) -> bool:
    by = AUTHORS.match(text[:100])
    if by and squash(by[1]) != _letters(paper.authors[0].split()[-1]):
        return False
    for phrase in (paper.title, *paper.also):
        if "..." in phrase:
            if _described(text[:OPENING], phrase):
                return True
        elif _letters(phrase) in letters and any(
                (by and found.start() < OPENING / 2) or _proposed(text[max(0, found.start() - 300):found.start()])
                for found in _pattern(phrase).finditer(text)):
            return True
    return False


@cache
def _letters(name: str) -> str:
    return squash(name)


@cache
def _pattern(phrase: str) -> re.Pattern:
    """A phrase as a text has it that lost or gained hyphens, singular or plural; short capitals (BEAR, CLIP) are no common words."""
    words = r"[\W_]{0,3}".join(map(re.escape, re.findall(r"[^\W_]+", phrase)))
    return re.compile(rf"(?<!\w){words}s?(?!\w)" if words else r"(?!)", 0 if phrase.isupper() and len(phrase) < 5 else re.I)


def _described(opening: str, phrase: str) -> bool:
    at = 0
    for part in phrase.split("..."):
        found = _pattern(part.strip()).search(opening, at)
        if not found:
            return False
        at = found.end()
    return True


def _proposed(before: str) -> bool:
    """Whether the words of a sentence up to a phrase say that the phrase is what is proposed."""
    sentence = re.split(r"[.!?:;](?:\s|$)", before)[-1]
    words = [word.casefold() for word in WORD.findall(sentence)][::-1]  # nearest first
    bracketed = sentence.rstrip().endswith("(")
    for at, word in enumerate(words[:9]):
        between, earlier = set(words[:at]), set(words[at + 1:at + 2])
        if word in NAMING:
            return any(PROPOSING.match(one) and not EARLIER & set(words[place + 1:place + 2])
                       for place, one in enumerate(words) if place > at)
        if PROPOSING.match(word):
            if words[:at] == ["by"]:
                return bool(CENTRAL & set(words[at:at + 4]))
            named = between <= NEUTRAL or words[0] in NOUNS or bracketed
            return named and not FOREIGN & between and not EARLIER & earlier
    return False
