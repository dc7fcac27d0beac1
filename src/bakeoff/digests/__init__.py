"""Digests of papers: a file in, its mentions out; mentions of the same paper in several files are one.

A form of digest is one module of `forms/`: FORM (its name), `recognises(text)` (how surely a text has the form, from 0 to 1) and
`mentions(text, note)`. To add a form is to add a module.
"""

from .mention import Digest, Mention
from .merging import Found, found, marks, merge, place
from .reading import read, read_and_hash, shown_name

__all__ = ["Digest", "Found", "Mention", "found", "marks", "merge", "place", "read", "read_and_hash", "shown_name"]
