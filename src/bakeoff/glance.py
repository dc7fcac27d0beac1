"""A glance at the store: only the decisions, soon enough for a listing (SQLAlchemy takes longer to import than to answer)."""

from __future__ import annotations

import contextlib
import os
import sqlite3

from . import places


def decisions() -> dict[str, str]:
    """The latest decision on each paper that the store knows of; nothing where nothing has been run."""
    url = os.environ.get("BAKEOFF_STORE", "")
    file = url.removeprefix("sqlite:///") if url else str(places.state() / "bakeoff.sqlite")
    if url and not url.startswith("sqlite:///"):
        from .store import Store
        with Store() as store:
            return {run["slug"]: run["decision"] for run in store.runs()}
    if not os.path.exists(file):
        return {}
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        try:
            return dict(connection.execute("select slug, decision from runs order by kept"))
        except sqlite3.Error:
            return {}  # no store yet, or one of another making; opening it to write tells which
