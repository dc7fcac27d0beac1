"""A glance at the store, soon enough for a listing (SQLAlchemy takes longer to import than to answer)."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path

from . import places


def results() -> list[dict]:
    """The results that the store knows of, oldest first and without their trials; none where nothing has been run."""
    return [json.loads(row[0]) for row in _rows("select summary from runs order by kept")] if _is_file() else _store("runs")


def stamp() -> int:
    """See `Store.stamp`: it grows whenever a paper is put on the shelf."""
    return next((row[0] or 0 for row in _rows("select max(stamp) from mentions")), 0) if _is_file() else _store("stamp")


def _is_file() -> bool:
    url = os.environ.get("BAKEOFF_STORE", "")
    return not url or url.startswith("sqlite:///")


def _store(what: str):
    from .store import Store
    with Store() as store:
        return getattr(store, what)()


def _rows(query: str) -> list[tuple]:
    url = os.environ.get("BAKEOFF_STORE", "")
    file = url.removeprefix("sqlite:///") if url else str(places.state() / "bakeoff.sqlite")
    if not os.path.exists(file):
        return []
    try:
        with contextlib.closing(sqlite3.connect(f"{Path(file).absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return list(connection.execute(query))
    except sqlite3.Error:
        return []  # no store yet, or one of another making; opening it to write tells which
