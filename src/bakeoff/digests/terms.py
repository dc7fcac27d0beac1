"""Text as the terms by which papers are compared and searched.

Digests lose hyphens ("offpolicy"), cards keep them ("off-policy"), and people write two words ("off policy"). So a compound stands
for its parts and for itself in one piece; every term is in lower case, without accents, in American spelling, and cut to its stem
(Porter's Snowball).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

WORD = re.compile(r"[^\W_]{1,40}(?:[-'’‐‑–][^\W_]{1,40})*")
COMPOUND = re.compile(r"[-'’‐‑–]")
BRITISH = ((re.compile(r"(?<=\w\w\w)is(?=(?:e[drs]?|ers|ing|ations?|able|ability)$)"), "iz"),  # noise becomes noize everywhere: no harm
           (re.compile(r"(?<=\w\w)ys(?=(?:e[drs]?|ers|ing)$)"), "yz"),
           (re.compile(r"(?<=\w\w\w)our(?=(?:s|ed|al|ally|ing|hoods?|ite|able)?$)"), "or"),
           (re.compile(r"(?<=\w\wn)tre(?=[ds]?$)"), "ter"), (re.compile(r"(?<=\wl)l(?=(?:ed|ing|ers?)$)"), ""))
# Words that say nothing of what a paper is about: English ones, and those of every paper.
EMPTY_WORDS = """a about above after again all also although among an and another any are as at based be because been before being
between both but by can could did do does doing done down during each either et al etc even every few first for from further get give
given gives had has have having he her here his how however i if in instead into is it its itself just let like made make makes making
many may me might more most much must my need needs new no non nor not now of off often on once one only or other our out over own per
quite rather s same say second see several she should since so some still such t than that the their them then there these they thing
things this those though three through thus to together too two under until up upon us use used uses using very via was way we well were
what when where whether which while who whole whose why will with within without would yet you your
approach approaches author authors demonstrate experiment experiments experimental find found idea introduce introduces method methods
novel paper papers present presents previous problem problems propose proposed proposes result results show showed shown shows study
summary work works"""
EMPTY = frozenset(EMPTY_WORDS.split())


def words(text: str) -> list[str]:
    """The words of a text, compounds whole, in lower case and without accents."""
    text = text.casefold()
    if not text.isascii():
        text = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return WORD.findall(text)


def terms(text: str) -> list[str]:
    """The stems of a text's words, in order; a compound gives its parts and then itself in one piece."""
    return [stem for word in words(text) for stem in stems(word)]


@cache
def _stemmer():
    import Stemmer
    return Stemmer.Stemmer("english")


@lru_cache(100_000)
def stems(word: str) -> tuple[str, ...]:
    """The terms of one word as `words` gives it."""
    parts = COMPOUND.split(word)
    single = tuple(map(_stem, (part for part in parts if part not in EMPTY and (len(part) > 1 or part.isdigit()))))
    return single if len(parts) == 1 else (*single, _stem("".join(parts)))


def _stem(word: str) -> str:
    for british, american in BRITISH:
        word = british.sub(american, word)
    return _stemmer().stemWord(word)
