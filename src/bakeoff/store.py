"""What has been run and read, kept: SQLite by default, PostgreSQL (or any SQLAlchemy URL) by `BAKEOFF_STORE`.

A trial's row is keyed by (slug, arm, seed, budget, code, data): the store is the cache, and what has been run is never
run again. Everything is rows of numbers and JSON text; each `keep_*` is one transaction.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

from sqlalchemy import URL, Column, Float, Integer, MetaData, String, Table, Text, create_engine, delete, event, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

from . import places
from .claim import Drawing, Outcome, Trial
from .errors import StoreError

COMMON = 50  # a mark that more papers have tells nothing
ENOUGH = 3  # of the marks that are a sample of a text

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
# What is known of the papers mentioned: which paper each mention is of, the marks by which a paper is found again, what a person settled.
_mentions = Table(
    "mentions", _metadata, Column("sha256", String(64), primary_key=True), Column("entry", Integer, primary_key=True),
    Column("paper", Integer, nullable=False, index=True), Column("stamp", Integer, nullable=False, index=True))
_marks = Table(
    "marks", _metadata, Column("mark", String(80), primary_key=True), Column("paper", Integer, primary_key=True))
_settled = Table(
    "settled", _metadata, Column("mark", String(80), primary_key=True), Column("slug", String(200)), Column("kept", Float, nullable=False))
_counted = Table("counted", _metadata, Column("what", String(40), primary_key=True), Column("number", Integer, nullable=False))
_papers_counted, _identity = _counted.c.what == "papers", _counted.c.what == "store"


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
        """Keep a digest that was read; False if the same bytes had been read before.

        Where they were read differently then, what is read now stands, and its papers are to be found anew (see `unplaced`).
        """
        row = {"sha256": sha256, "file": file, "form": form, "mentions": json.dumps(mentions), "kept": time.time()}
        try:
            self._write(insert(_digests).values(row))
        except IntegrityError:
            same = _digests.c.sha256 == sha256
            if self._read(select(_digests.c.sha256).where(same, _digests.c.mentions != row["mentions"])):
                self._write(_digests.update().where(same).values(mentions=row["mentions"]),
                            delete(_mentions).where(_mentions.c.sha256 == sha256),
                            _counted.update().where(_identity).values(number=secrets.randbits(31)))
            return False
        return True

    def digests(self) -> list[dict]:
        """Every digest read, in order: sha256, file, form and mentions."""
        return [_digest(row) for row in self._read(select(_digests).order_by(_digests.c.kept))]

    def unplaced(self) -> list[dict]:
        """The digests of whose mentions it is not yet known which paper they are of, in the order in which they were read."""
        placed = select(_mentions.c.sha256).where(_mentions.c.sha256 == _digests.c.sha256)
        return [_digest(row) for row in self._read(select(_digests).where(~placed.exists()).order_by(_digests.c.kept))]

    def place(self, sha256: str, marks: list[tuple[set[str], set[str]]], choose: Callable[[dict[int, list[dict]]], list[int]]) -> None:
        """Say of every mention of a digest which paper it is of. One transaction, in which no other one places anything.

        Args:
            marks: of each mention, the marks one of which makes a known paper a candidate, and those of which it takes `ENOUGH`.
            choose: gets the candidates, as number -> mentions, and gives each mention the number of its paper; numbers that are not
                a candidate's, a different one for each new paper, stand for new papers.
        """
        self._count()
        try:
            with self._engine.begin() as connection:
                connection.execute(_one_more())  # whoever else wants to place must wait here
                if connection.execute(select(_mentions.c.entry).where(_mentions.c.sha256 == sha256)).first():
                    return
                known = _papers(connection, _candidates(connection, marks))
                numbers = {number: number for number in known}
                stamp = last = connection.execute(select(_counted.c.number).where(_papers_counted)).scalar_one()
                for paper in (chosen := choose(known)):
                    if paper not in numbers:
                        last = numbers[paper] = last + 1
                connection.execute(_counted.update().where(_papers_counted).values(number=last))
                connection.execute(insert(_mentions), [
                    {"sha256": sha256, "entry": entry, "paper": numbers[paper], "stamp": stamp} for entry, paper in enumerate(chosen, 1)])
                _mark(connection, {(mark, numbers[paper]) for paper, both in zip(chosen, marks, strict=True) for mark in both[0] | both[1]})
        except SQLAlchemyError as problem:
            raise self._unusable(problem) from None

    def _count(self) -> None:
        """Have a number of papers to count on, and one by which this store is told from others, whoever comes first."""
        known = {row.what for row in self._read(select(_counted))}
        for what, number in (("papers", 0), ("store", secrets.randbits(31))):
            if what not in known:
                with contextlib.suppress(IntegrityError):
                    self._write(insert(_counted).values(what=what, number=number))

    def mark(self, pairs: set[tuple[str, int]]) -> None:
        """Give papers marks, as (mark, number); those that they have already stay."""
        try:
            with self._engine.begin() as connection:
                _mark(connection, pairs)
        except SQLAlchemyError as problem:
            raise self._unusable(problem) from None

    def papers(self, *, since: int = -1, of: Iterable[str] | None = None, marked: Iterable[str] | None = None) -> dict[int, list[dict]]:
        """The papers read, as number -> its mentions in order of reading, each with `file` and `sha256`.

        Args:
            since: only papers that have a mention with a later stamp (see `stamp`).
            of: only papers that the digests of these sha256 mention.
            marked: only papers that have one of these marks.
        """
        if marked is not None:
            queries = [select(_marks.c.paper).where(_marks.c.mark.in_(part)) for part in _parts(list(marked))]
        elif of is not None:
            queries = [select(_mentions.c.paper).where(_mentions.c.sha256.in_(part)) for part in _parts(list(of))]
        else:
            queries = [select(_mentions.c.paper).where(_mentions.c.stamp > since).distinct()]
        numbers = [row.paper for query in queries for row in self._read(query)]
        with self._engine.connect() as connection:
            return _papers(connection, sorted(set(numbers)))

    def stamp(self) -> int:
        """A number that grows whenever mentions are placed."""
        latest = self._read(select(_mentions.c.stamp).order_by(_mentions.c.stamp.desc()).limit(1))
        return latest[0].stamp if latest else 0

    def standing(self) -> tuple[int, int, bool]:
        """The store's own number, its stamp, and whether digests are still to be placed."""
        own = self._read(select(_counted.c.number).where(_identity))
        return own[0].number if own else 0, self.stamp(), bool(self.unplaced())

    def settle(self, marks: Iterable[str], slug: str | None) -> None:
        """Remember which paper the mentions with these marks are of, None for none of the library's, whatever was settled before."""
        marks = sorted(set(marks))
        rows = [{"mark": mark, "slug": slug, "kept": time.time()} for mark in marks]
        statements = delete(_settled).where(_settled.c.mark.in_(marks)), insert(_settled).values(rows), *_stamped(marks)
        with contextlib.suppress(IntegrityError):  # another process settled the same ones just now: this one is the later
            return self._write(*statements)
        self._write(*statements)

    def unsettle(self, marks: Iterable[str]) -> None:
        """Forget what was settled of the mentions with these marks."""
        marks = sorted(set(marks))
        self._write(delete(_settled).where(_settled.c.mark.in_(marks)), *_stamped(marks))

    def settled(self) -> dict[str, str | None]:
        """Everything that was settled: mark -> slug, or None for no paper; the latest last."""
        return {row.mark: row.slug for row in self._read(select(_settled).order_by(_settled.c.kept))}

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


def _parts(values: list, size: int = 500) -> Iterator[list]:
    """The values in parts that fit into one statement."""
    return (values[at:at + size] for at in range(0, len(values), size))


def _digest(row) -> dict:
    return {"sha256": row.sha256, "file": row.file, "form": row.form, "mentions": json.loads(row.mentions)}


def _one_more():
    return _counted.update().where(_papers_counted).values(number=_counted.c.number + 1)


def _stamped(marks: list[str]) -> list:
    """What gives the papers that have one of the marks a new stamp."""
    now, papers = select(_counted.c.number).where(_papers_counted).scalar_subquery(), select(_marks.c.paper).where(_marks.c.mark.in_(marks))
    return [_one_more(), _mentions.update().where(_mentions.c.paper.in_(papers)).values(stamp=now)]


def _candidates(connection, marks: list[tuple[set[str], set[str]]]) -> list[int]:
    """The papers that one of the mentions may be of, by its marks; a mark that too many papers have tells nothing."""
    holders: dict[str, list[int]] = {}
    for part in _parts(sorted({mark for both in marks for mark in both[0] | both[1]})):
        for row in connection.execute(select(_marks).where(_marks.c.mark.in_(part))):
            holders.setdefault(row.mark, []).append(row.paper)
    holders = {mark: papers for mark, papers in holders.items() if len(papers) <= COMMON}
    found: set[int] = set()
    for own, sample in marks:
        found |= {paper for mark in own for paper in holders.get(mark, ())}
        shared = Counter(paper for mark in sample for paper in holders.get(mark, ()))
        found |= {paper for paper, count in shared.items() if count >= ENOUGH}
    return sorted(found)


def _mark(connection, pairs: set[tuple[str, int]]) -> None:
    known = {(row.mark, row.paper) for part in _parts(sorted({mark for mark, _ in pairs}))
             for row in connection.execute(select(_marks).where(_marks.c.mark.in_(part)))}
    if new := sorted(pairs - known):
        connection.execute(_insert_new(connection, _marks), [{"mark": mark, "paper": paper} for mark, paper in new])


def _insert_new(connection, table: Table):
    """An insert that leaves alone what another process has put there meanwhile."""
    own = {"sqlite": sqlite, "postgresql": postgresql}.get(connection.dialect.name)
    return own.insert(table).on_conflict_do_nothing() if own else insert(table)


def _papers(connection, numbers: list[int]) -> dict[int, list[dict]]:
    """Each paper's mentions, in the order in which they were read."""
    columns = select(_mentions.c.paper, _mentions.c.entry, _digests.c.sha256, _digests.c.file).join(
        _digests, _digests.c.sha256 == _mentions.c.sha256)
    rows = [row for part in _parts(numbers) for row in connection.execute(
        columns.where(_mentions.c.paper.in_(part)).order_by(_digests.c.kept, _mentions.c.entry))]
    told = select(_digests.c.sha256, _digests.c.mentions)  # once a digest, not once a mention: it may be megabytes
    read = {row.sha256: json.loads(row.mentions) for part in _parts(sorted({row.sha256 for row in rows}))
            for row in connection.execute(told.where(_digests.c.sha256.in_(part)))}
    found: dict[int, list[dict]] = {number: [] for number in numbers}
    for row in rows:
        found[row.paper].append({**read[row.sha256][row.entry - 1], "file": row.file, "sha256": row.sha256})
    return {number: ones for number, ones in found.items() if ones}


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
