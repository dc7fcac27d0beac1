"""The shelf: every paper ever read of, once, with all its mentions and the paper of the library that it is.

A digest is kept whole, once for the same bytes. Which of its mentions are of papers read before is found by their marks, so that the
work grows with the digest and not with the shelf. What a person settled counts before what was recognised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from . import digests, profiles, recognise
from .digests import Digest, Found, Mention
from .errors import DigestError
from .recognise import Link
from .store import Store


@dataclass(frozen=True)
class Shelved:
    """A paper that was read of, its numbers on the shelf, and what it is linked to."""

    numbers: tuple[int, ...]
    paper: Found
    link: Link


def read(files: Iterable[str]) -> dict[str, Digest]:
    """The digests of some files, by the hash of their bytes."""
    return dict(digests.read_and_hash(Path(file)) for file in dict.fromkeys(files))


def keep(store: Store, read: dict[str, Digest]) -> list[Shelved]:
    """Keep digests and give the papers that are in them, each once, in the order in which they mention them."""
    for sha256, digest in read.items():
        store.keep_digest(sha256, digest.file, digest.form, [asdict(mention) for mention in digest.mentions])
    place_all(store)
    order = {sha256: at for at, sha256 in enumerate(read)}

    def first(told: list[dict]) -> tuple[int, int]:
        return min((order[one["sha256"]], one["entry"]) for one in told if one["sha256"] in order)

    return _with_the_same(store, shelved(store, sorted(store.papers(of=order).items(), key=lambda item: first(item[1]))))


def _with_the_same(store: Store, found: list[Shelved]) -> list[Shelved]:
    """The papers, with what was read elsewhere and surely is the same paper of the library, whatever it said."""
    sure = _sure(found)
    known = {number for one in found for number in one.numbers}
    others = [item for item in store.papers(marked={mark for mark, _ in sure}).items() if item[0] not in known]
    slugs = {one.link.slug for one in found}
    return once([*found, *(one for one in shelved(store, others) if one.link.slug in slugs and not one.link.doubtful)])


def place_all(store: Store) -> None:
    """Find for the mentions of every digest kept which paper they are of."""
    for kept in store.unplaced():
        mentions = [mention_of(told) for told in kept["mentions"]]
        marks = [digests.marks(mention) for mention in mentions]

        def choose(known: dict[int, list[dict]], mentions=mentions) -> list[int]:
            return digests.place(mentions, {number: [mention_of(one) for one in told] for number, told in known.items()})

        store.place(kept["sha256"], marks, choose)


def shelved(store: Store, papers: Iterable[tuple[int, list[dict]]]) -> list[Shelved]:
    """Papers as the store gives them, with their links; those that are sure are marked, to be found by their paper."""
    found = {number: digests.found([(one["file"], mention_of(one)) for one in told]) for number, told in papers}
    settled = store.settled()
    order = {mark: at for at, mark in enumerate(settled)}
    links = recognise.links(found.values())
    for at, paper in enumerate(found.values()) if settled else ():
        said = [mark for mention in paper.told for mark in digests.marks(mention)[0] if mark in settled]
        if said:
            links[at] = recognise.settled(settled[max(said, key=order.get)])
    made = [Shelved((number,), paper, link) for (number, paper), link in zip(found.items(), links, strict=True)]
    if sure := _sure(made):
        store.mark(sure)
    return made


def _sure(papers: list[Shelved]) -> set[tuple[str, int]]:
    return {(f"slug:{one.link.slug}", number) for one in papers if one.link.slug and not one.link.doubtful for number in one.numbers}


def everything(store: Store) -> list[Shelved]:
    """Every paper on the shelf, in the order in which they were first read of."""
    place_all(store)
    return once(shelved(store, store.papers().items()))


def once(papers: list[Shelved]) -> list[Shelved]:
    """The papers, those that are surely the same one of the library made one."""
    first: dict[object, Shelved] = {}
    for one in papers:
        key = one.link.slug if one.link.slug and not one.link.doubtful else one.numbers
        if key in first:
            told = [(file, mention) for paper in (first[key].paper, one.paper)
                    for (file, _), mention in zip(paper.mentions, paper.told, strict=True)]
            first[key] = replace(first[key], numbers=first[key].numbers + one.numbers, paper=digests.found(told))
        else:
            first[key] = one
    return list(first.values())


def settle(store: Store, file: str, entry: int, slug: str | None, *, forget: bool = False) -> tuple[Mention, Link]:
    """Say for good which paper an entry of a digest is of, None for none of the library's; or forget what was said.

    Returns: the entry, and its link before.
    Raises: DigestError: the file cannot be read, or has no such entry.
    """
    found = read([file])
    ((sha256, digest),) = found.items()
    if not 1 <= entry <= len(digest.mentions):
        raise DigestError(f"{file} has no entry {entry}", f"It has the entries 1 to {len(digest.mentions)}: bakeoff read {file}")
    mention = digest.mentions[entry - 1]
    own, _ = digests.marks(mention)
    if not own:
        raise DigestError(f"{file}: entry {entry} has no title, and too little text to be known again", "It cannot be settled.")
    papers = keep(store, found)
    number = entries(store, sha256)[entry]
    before = next(one.link for one in papers if number in one.numbers)
    told = [mention_of(one) for one in store.papers(of=[sha256])[number]]
    own = {mark for one in told for mark in digests.marks(one)[0]}
    if forget:
        store.unsettle(own)
    else:  # a title may be another paper's as well, which an arXiv id tells from this one
        store.settle({mark for mark in own if not (mark.startswith("title:") and any(one.arxiv for one in told))}, slug)
    shelved(store, store.papers(marked=own).items())
    return mention, before


def entries(store: Store, sha256: str) -> dict[int, int]:
    """The number of the paper of each entry of a digest kept."""
    return {one["entry"]: number for number, told in store.papers(of=[sha256]).items() for one in told if one["sha256"] == sha256}


def as_json(one: Shelved) -> dict:
    """A paper with its link and its mentions as plain data; None for what is not given.

    `status` is "library", "wanted" or None; `nearest` the paper that comes closest where none is linked, with the `confidence` in it.
    """
    paper, link = one.paper, one.link
    known = profiles.profiles().get(link.slug or "")
    return {"title": paper.title, "authors": list(paper.authors) or None, "arxiv": paper.arxiv, "slug": link.slug,
            "status": known and ("library" if known.written else "wanted"), "confidence": round(link.confidence, 2),
            "doubtful": link.doubtful, "settled": link.settled, "because": list(link.because), "nearest": link.nearest,
            "text": paper.text, "links": list(paper.links) or None, "categories": list(paper.categories) or None,
            "popularity": paper.popularity,
            "mentions": [{"file": file, "entry": entry, "day": told.day, "popularity": told.popularity}
                         for (file, entry), told in zip(paper.mentions, paper.told, strict=True)]}


def mention_of(told: dict) -> Mention:
    """A mention from the plain data that it is kept as."""
    lists = {name: tuple(told[name]) for name in ("authors", "links", "categories")}
    return Mention(**{name: told.get(name) for name in Mention.__dataclass_fields__} | lists)
