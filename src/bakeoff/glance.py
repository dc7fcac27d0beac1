"""A glance at the store, soon enough for a listing (SQLAlchemy takes longer to import than to answer)."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path

from . import places

STANDING = """select (select number from counted where what = 'store'), (select max(stamp) from mentions),
exists (select 1 from digests d where not exists (select 1 from mentions m where m.sha256 = d.sha256))"""


def results() -> list[dict]:
    """The results that the store knows of, oldest first and without their trials; none where nothing has been run."""
    return [json.loads(row[0]) for row in _rows("select summary from runs order by kept")] if _is_file() else _store("runs")


def standing() -> tuple[int, int, bool]:
    """See `Store.standing`: which store it is, its stamp, and whether digests are still to be placed."""
    if not _is_file():
        return _store("standing")
    found = _rows(STANDING) if _file().exists() else [(None, None, 0)]
    own, stamp, waiting = found[0] if found else (None, None, 1)
    return own or 0, stamp or 0, bool(waiting)


def _is_file() -> bool:
    url = os.environ.get("BAKEOFF_STORE", "")
    return not url or url.startswith("sqlite:///")


def _store(what: str):
    from .store import Store
    with Store() as store:
        return getattr(store, what)()


def _file() -> Path:
    url = os.environ.get("BAKEOFF_STORE", "")
    return Path(url.removeprefix("sqlite:///")) if url else places.state() / "bakeoff.sqlite"


def _rows(query: str) -> list[tuple]:
    if not (file := _file()).exists():
        return []
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return list(connection.execute(query))
    except sqlite3.Error:
        return []  # no store yet, or one of another making; opening it to write tells which
