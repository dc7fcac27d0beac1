"""A glance at the store: only the verdicts, soon enough for a listing (SQLAlchemy takes longer to import than to answer)."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path

from . import places


def results() -> list[dict]:
    """The results that the store knows of, oldest first and without their trials; none where nothing has been run."""
    url = os.environ.get("BAKEOFF_STORE", "")
    file = url.removeprefix("sqlite:///") if url else str(places.state() / "bakeoff.sqlite")
    if url and not url.startswith("sqlite:///"):
        from .store import Store
        with Store() as store:
            return store.runs()
    if not os.path.exists(file):
        return []
    try:
        with contextlib.closing(sqlite3.connect(f"{Path(file).absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return [json.loads(row[0]) for row in connection.execute("select summary from runs order by kept")]
    except sqlite3.Error:
        return []  # no store yet, or one of another making; opening it to write tells which
