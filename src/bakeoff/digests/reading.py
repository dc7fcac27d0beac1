"""Reading one digest: a file in, a Digest out, or a DigestError that says why not."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import stat
from functools import cache
from pathlib import Path
from types import ModuleType

from ..errors import DigestError
from . import forms
from .cleaning import clean, one_line
from .mention import Digest

LARGEST = 20_000_000  # bytes
MOST = 20_000  # entries: more than a thousand times a day's


def read(path: Path) -> Digest:
    """Read a digest of any known form.

    Args:
        path: a text file in UTF-8 of at most 20 MB and 20,000 entries.
    Returns: its mentions; `file` is the path as given, `notes` says what was skipped or repaired.
    Raises: DigestError: not a text file, too large, of no known form, without a whole entry, or with too many.
    """
    return read_and_hash(path)[1]


def read_and_hash(path: Path) -> tuple[str, Digest]:
    """The SHA-256 of a file's bytes, and the digest that the same bytes are; see `read`."""
    raw = _bytes(Path(path))
    return hashlib.sha256(raw).hexdigest(), _digest(Path(path), raw)


def shown_name(path: Path | str) -> str:
    """A file's name as it may be shown: in one line, without signs that hide or steer text."""
    return one_line(clean(str(path).encode("utf-8", "replace").decode(), lambda note: None))


def _digest(path: Path, raw: bytes) -> Digest:
    notes: list[str] = []
    text = clean(_text(path, raw), notes.append)
    score, form = max(((form.recognises(text), form) for form in known_forms()), key=lambda pair: pair[0])
    if not score:
        names = ", ".join(form.FORM for form in known_forms())
        raise DigestError(f"{path}: this is no form of digest that bakeoff knows", f"The known forms are: {names}.")
    mentions = form.mentions(text, notes.append)
    if not mentions:
        raise DigestError(f"{path}: a {form.FORM} digest without one whole entry", "Give the whole page.")
    if len(mentions) > MOST:
        raise DigestError(f"{path}: has {len(mentions):,} entries, and a digest at most {MOST:,}",
                          "Split it, or check that it is a digest.")
    return Digest(shown_name(path), form.FORM, tuple(mentions), tuple(map(one_line, notes)))


@cache
def known_forms() -> tuple[ModuleType, ...]:
    """Every module of `forms/`, in order of name."""
    names = sorted(module.name for module in pkgutil.iter_modules(forms.__path__))
    return tuple(importlib.import_module(f"{forms.__name__}.{name}") for name in names)


def _bytes(path: Path) -> bytes:
    try:
        about = path.stat()
        if stat.S_ISDIR(about.st_mode):
            raise DigestError(f"{path}: is a folder", "Name the digest file in it.")
        if not stat.S_ISREG(about.st_mode):
            raise DigestError(f"{path}: is not a plain file", "Give a digest as a text file.")
        if about.st_size > LARGEST:
            raise DigestError(f"{path}: has {about.st_size / 1e6:.0f} MB, and a digest at most {LARGEST / 1e6:.0f} MB",
                              "Split it, or check that it is a digest.")
        return path.read_bytes()
    except FileNotFoundError:
        raise DigestError(f"{path}: there is no such file", "Check the path.") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise DigestError(f"{path}: cannot be read: {reason}", "Check the path and its permissions.") from None


def _text(path: Path, raw: bytes) -> str:
    if not raw.removeprefix(b"\xef\xbb\xbf").strip():
        raise DigestError(f"{path}: is empty", "Give a digest with at least one entry.")
    if b"\0" in raw:
        raise DigestError(f"{path}: is not text but binary", "Give a digest as a text file in UTF-8.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DigestError(f"{path}: is not UTF-8 at byte {problem.start}", "Save the digest as text in UTF-8.") from None
