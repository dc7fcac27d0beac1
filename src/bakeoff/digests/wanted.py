"""The papers that the library is to hold."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Wanted:
    """A paper that the library has or is to have."""

    slug: str
    area: str
    title: str


@cache
def wanted() -> tuple[Wanted, ...]:
    """Every paper that the library is to hold, in the order in which digests brought them."""
    with Path(__file__).with_suffix(".tsv").open(encoding="utf-8", newline="") as lines:
        return tuple(Wanted(**row) for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
