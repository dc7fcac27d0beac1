"""The records of a digest: what one entry says of a paper, and a file's worth of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Mention:
    """One entry of a digest, counted from 1; None or () for what the form of the digest does not give.

    `day` is the day of the digest, or of its count of `popularity` where it gives one: YYYY-MM-DD.
    """

    entry: int
    title: str | None = None
    authors: tuple[str, ...] = ()
    arxiv: str | None = None
    links: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    popularity: dict[str, int] | None = None
    day: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Digest:
    """A digest that was read: the file as it was named, its form, its mentions, and what was skipped or repaired."""

    file: str
    form: str
    mentions: tuple[Mention, ...]
    notes: tuple[str, ...] = ()
