"""What has been run and read, kept: SQLite by default, PostgreSQL (or any SQLAlchemy URL) by `BAKEOFF_STORE`.

A trial's row is keyed by (slug, arm, seed, budget, code, data): the store is the cache, and what has been run is never
run again. Everything is rows of numbers and JSON text; each `keep_*` is one transaction.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict

from sqlalchemy import URL, Column, Float, Integer, MetaData, String, Table, Text, create_engine, delete, event, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

from . import places
from .claim import Drawing, Outcome, Trial
from .errors import StoreError

_metadata = MetaData()
_key = [Column(name, String(200), primary_key=True) for name in ("slug", "arm")]
_trials = Table(
    "trials", _metadata, *_key, Column("seed", Integer, primary_key=True),
    *(Column(name, String(64), primary_key=True) for name in ("budget", "code", "data")),
    Column("status", String(16), nullable=False), Column("value", Float), Column("seconds", Float), Column("spent", Integer),
    Column("rest", Text, nullable=False), Column("kept", Float, nullable=False))
_runs = Table(
    "runs", _metadata, Column("slug", String(200), primary_key=True), Column("seed", Integer, primary_key=True),
    *(Column(name, String(64), primary_key=True) for name in ("budget", "code", "data")),
    Column("decision", String(16), nullable=False), Column("summary", Text, nullable=False), Column("result", Text, nullable=False),
    Column("kept", Float, nullable=False))
_digests = Table(
    "digests", _metadata, Column("sha256", String(64), primary_key=True), Column("file", Text, nullable=False),
    Column("form", String(40), nullable=False), Column("mentions", Text, nullable=False), Column("kept", Float, nullable=False))


def default_url() -> str | URL:
    """`BAKEOFF_STORE`, or an SQLite file in the state folder."""
    return os.environ.get("BAKEOFF_STORE") or URL.create("sqlite", database=str(places.state() / "bakeoff.sqlite"))


class Store:
    """Rows of trials, runs and digests at an SQLAlchemy URL. Usable as a context manager.

    Raises:
        StoreError: the URL cannot be opened, read or written.
    """

    def __init__(self, url: str | None = None):
        self.url = url or default_url()
        try:
            self._engine = create_engine(self.url)
            if self._engine.dialect.name == "sqlite":
                event.listen(self._engine, "connect", _many_readers_one_writer)
            self._make_tables()
        except (SQLAlchemyError, ImportError, OSError) as problem:
            raise StoreError(f"the store {_without_password(str(self.url))} cannot be opened: {_first_line(problem)}",
                             "Check BAKEOFF_STORE; for PostgreSQL install bakeoff[postgresql].") from None

    def _make_tables(self) -> None:
        for _ in range(len(_metadata.tables)):  # once a table, should another process be making them at the same moment
            with contextlib.suppress(OperationalError, ProgrammingError, IntegrityError):
                return _metadata.create_all(self._engine)
        _metadata.create_all(self._engine)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def outcomes(self, slug: str, budget: str, code: str, data: str) -> dict[tuple[str, int], Outcome]:
        """Everything finished of one claim, by (arm, seed)."""
        wanted = select(_trials).where(_trials.c.slug == slug, _trials.c.budget == budget, _trials.c.code == code, _trials.c.data == data)
        return {(row.arm, row.seed): _outcome(row) for row in self._read(wanted)}

    def keep_trial(self, trial: Trial, code: str, data: str, outcome: Outcome) -> None:
        """Add a finished trial; one that is there already stays as it is."""
        rest = {"measures": outcome.measures, "curve": outcome.curve, "error": outcome.error,
                "drawings": [asdict(drawing) for drawing in outcome.drawings]}
        row = {"slug": trial.slug, "arm": trial.arm, "seed": trial.seed, "budget": trial.budget, "code": code, "data": data,
               "status": outcome.status, "value": outcome.value, "seconds": outcome.seconds, "spent": outcome.spent,
               "rest": json.dumps(rest), "kept": time.time()}
        with contextlib.suppress(IntegrityError):  # another run has kept the same trial meanwhile: the first row stands
            self._write(insert(_trials).values(row))

    def forget_failed(self, slug: str, budget: str, code: str, data: str) -> int:
        """Remove the trials of one claim that ended in an error or ran out of time; their number."""
        failed = [key for key, outcome in self.outcomes(slug, budget, code, data).items() if outcome.status in ("error", "timeout")]
        same = [_trials.c[name] == value for name, value in (("slug", slug), ("budget", budget), ("code", code), ("data", data))]
        self._write(*(delete(_trials).where(*same, _trials.c.arm == arm, _trials.c.seed == seed) for arm, seed in failed))
        return len(failed)

    def keep_run(self, result: dict) -> None:
        """Keep a run's result (see `contest.result`), in place of an earlier one of the same run."""
        key = {name: result["data_hash" if name == "data" else name] for name in ("slug", "seed", "budget", "code", "data")}
        summary = {name: value for name, value in result.items() if name != "trials"}
        row = {**key, "decision": result["decision"], "summary": json.dumps(summary), "result": json.dumps(result), "kept": time.time()}
        same = [_runs.c[name] == value for name, value in key.items()]
        self._write(delete(_runs).where(*same), insert(_runs).values(row))

    def runs(self, *, whole: bool = False) -> list[dict]:
        """The results kept, oldest first; `whole` with every trial of theirs."""
        column = _runs.c.result if whole else _runs.c.summary
        return [json.loads(row[0]) for row in self._read(select(column).order_by(_runs.c.kept))]

    def keep_digest(self, sha256: str, file: str, form: str, mentions: list[dict]) -> bool:
        """Keep a digest that was read; False if the same bytes had been read before."""
        row = {"sha256": sha256, "file": file, "form": form, "mentions": json.dumps(mentions), "kept": time.time()}
        try:
            self._write(insert(_digests).values(row))
        except IntegrityError:
            return False
        return True

    def digests(self) -> list[dict]:
        """Every digest read, in order: file, form and mentions."""
        rows = self._read(select(_digests).order_by(_digests.c.kept))
        return [{"file": row.file, "form": row.form, "mentions": json.loads(row.mentions)} for row in rows]

    def _read(self, query) -> list:
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(query))
        except SQLAlchemyError as problem:
            raise self._unusable(problem) from None

    def _write(self, *statements) -> None:
        try:
            with self._engine.begin() as connection:
                for statement in statements:
                    connection.execute(statement)
        except IntegrityError:
            raise
        except SQLAlchemyError as problem:
            raise self._unusable(problem) from None

    def _unusable(self, problem: SQLAlchemyError) -> StoreError:
        return StoreError(f"the store {_without_password(str(self.url))} cannot be used: {_first_line(problem)}",
                          "Is the disk full, or the file another program's? BAKEOFF_STORE names another place.")


def _many_readers_one_writer(connection, _record) -> None:
    for setting in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {setting}")


def _outcome(row) -> Outcome:
    rest = json.loads(row.rest)
    return Outcome(row.status, row.value, rest["measures"], [tuple(point) for point in rest["curve"]],
                   [Drawing(**drawing) for drawing in rest["drawings"]], row.seconds, row.spent, rest["error"])


def _first_line(problem: Exception) -> str:
    return str(problem).splitlines()[0]


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.rpartition(':')[0]}:***@{tail}" if at and head.count(":") > 1 else url
