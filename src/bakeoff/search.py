"""Search: the library's papers, the wanted ones and those on the shelf, best first, from one index.

The index is a table of SQLite's full-text search (FTS5, ranked by BM25) in the state folder. It can be deleted at any time: it is
made anew from the profiles and the shelf, and brought up to date when either has changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from . import glance, places, profiles
from .digests.terms import stems, terms, words
from .errors import StoreError

WEIGHTS = {"title": 6.0, "names": 8.0, "authors": 4.0, "area": 2.0, "words": 1.0}
TABLES = f"""
begin immediate;
create virtual table if not exists papers using fts5({', '.join(WEIGHTS)}, tokenize = 'unicode61');
create virtual table if not exists vocabulary using fts5vocab(papers, row);
create table if not exists shown (id integer primary key, paper text unique, slug text, mentions integer not null, row text not null);
create table if not exists state (what text primary key, value text not null);
commit;
"""
VERSION = 2
MOST_TERMS = 100  # of a query
LIKE = 80  # how alike (0 to 100) a word of the index must be to one that is not in it


def find(query: str, *, most: int = 20) -> list[dict]:
    """The papers that fit a query best: title words, names of methods, task, area or author, in any order.

    Returns: at most `most` rows with slug (None for a paper that is neither in the library nor wanted), status ("library", "wanted" or
        "read"), area, title, year, arxiv, and mentions, the number of times it was read of.
    """
    return _of_the_index(lambda index: _best(index, query))[:most]


def bring_up_to_date() -> None:
    """Take into the index what was read or settled since."""
    _of_the_index(lambda index: None)


def _best(index: sqlite3.Connection, query: str) -> list[dict]:
    if not (wanted := _match(index, query)):
        return []
    ranks = ", ".join(map(str, WEIGHTS.values()))
    rows = index.execute(
        f"select s.row, bm25(papers, {ranks}) from papers p join shown s on s.id = p.rowid where papers match ? order by 2 limit 400",
        (wanted,)).fetchall()
    mentions = dict(index.execute("select slug, sum(mentions) from shown where slug is not null group by slug"))
    return _once([{**json.loads(row), "score": round(-score, 3)} for row, score in rows], mentions)


def _once(rows: list[dict], mentions: dict[str, int]) -> list[dict]:
    """The rows, a paper of the library standing once for all that was read of it."""
    found: dict[object, dict] = {}
    for at, row in enumerate(rows):
        key = row["slug"] or at
        if key in found:
            found[key] = {**(found[key] if row["status"] == "read" else row), "score": found[key]["score"]}
        else:
            found[key] = row
        found[key]["mentions"] = mentions.get(row["slug"], row["mentions"])
    return list(found.values())


def _match(index: sqlite3.Connection, query: str) -> str:
    """The query in the index's own words: any of its terms, its neighbours also as one word, misspelt ones as the likeliest known."""
    asked = terms(query)[:MOST_TERMS]
    plain = words(query)[:MOST_TERMS]
    found = [*asked]
    found += [stem for pair in itertools.pairwise(plain) for stem in stems("-".join(pair))[-1:]]
    found = list(dict.fromkeys(found))
    known = {row[0] for part in found for row in index.execute("select term from vocabulary where term = ?", (part,))}
    misspelt = [term for term in asked if term not in known]
    chosen = [term for term in found if term in known] + [near for term in misspelt for near in _near(index, term)]
    return " OR ".join(f'"{term}"' for term in dict.fromkeys(chosen))


def _near(index: sqlite3.Connection, term: str) -> list[str]:
    if len(term) < 4:
        return []
    from rapidfuzz import fuzz, process
    known = [row[0] for row in index.execute("select term from vocabulary where term glob ?", (f"{term[0]}*",))]
    best = process.extractOne(term, known, scorer=fuzz.ratio, score_cutoff=LIKE)
    return [best[0]] if best else []


def _of_the_index(asked: Callable[[sqlite3.Connection], object]):
    """What is asked of the index, up to date: made anew once where it is damaged, in memory where nothing can be written."""
    name = hashlib.sha256(os.environ.get("BAKEOFF_STORE", "").encode()).hexdigest()[:8]
    file = places.state() / f"search-{VERSION}-{name}.sqlite"
    try:
        return _answer(file, asked)
    except sqlite3.Error as problem:
        kind = getattr(problem, "sqlite_errorcode", 0) & 0xFF
        if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            return _answer(":memory:", asked)
        if kind not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise StoreError(f"the index {file} cannot be used: {problem}", "Delete it: it is made anew.") from None
    for rest in ("", "-journal", "-wal", "-shm"):
        Path(f"{file}{rest}").unlink(missing_ok=True)
    return _answer(file, asked)


def _answer(file: Path | str, asked: Callable[[sqlite3.Connection], object]):
    with contextlib.closing(sqlite3.connect(file, timeout=30)) as index:
        if not index.execute("select 1 from sqlite_master where name = 'state'").fetchone():
            index.executescript(TABLES)
        _bring_up_to_date(index)
        return asked(index)


def _bring_up_to_date(index: sqlite3.Connection) -> None:
    if glance.standing()[2]:
        _place_all()
    if _state(index) == _wanted():
        return
    with index:
        index.execute("begin immediate")  # another process may be doing the same
        known, wanted = _state(index), _wanted()
        same = all(known.get(what) == wanted[what] for what in ("library", "store")) and int(known["stamp"]) <= int(wanted["stamp"])
        if not same:
            index.execute("delete from papers")
            index.execute("delete from shown")
            for paper, columns, row in _library():
                _keep(index, paper, columns, row)
        if int(wanted["stamp"]):
            for paper, columns, row in _shelf(int(known["stamp"]) if same else -1):
                _keep(index, paper, columns, row)
        index.executemany("insert or replace into state values (?, ?)", wanted.items())


def _state(index: sqlite3.Connection) -> dict[str, str]:
    return dict(index.execute("select what, value from state"))


def _wanted() -> dict[str, str]:
    """What the index is made from: the library, and the store at its stamp."""
    store, stamp, _ = glance.standing()
    return {"library": profiles.fingerprint(), "store": str(store), "stamp": str(stamp)}


def _place_all() -> None:
    from . import shelf
    from .store import Store
    with Store() as store:
        shelf.place_all(store)


def _keep(index: sqlite3.Connection, paper: str, columns: dict[str, str], row: dict) -> None:
    known = index.execute("select id from shown where paper = ?", (paper,)).fetchone()
    if known:
        index.execute("delete from papers where rowid = ?", known)
        index.execute("delete from shown where id = ?", known)
    number = index.execute("insert into shown (paper, slug, mentions, row) values (?, ?, ?, ?)",
                           (paper, row["slug"], row["mentions"], json.dumps(row))).lastrowid
    index.execute(f"insert into papers (rowid, {', '.join(WEIGHTS)}) values (?, {', '.join('?' * len(WEIGHTS))})",
                  (number, *(" ".join(terms(columns[name])) for name in WEIGHTS)))


def _library() -> Iterator[tuple[str, dict[str, str], dict]]:
    for one in profiles.profiles().values():
        columns = {"title": one.title, "names": f"{one.slug.replace('_', ' ')} {' '.join(one.names)}", "authors": " ".join(one.authors),
                   "area": f"{one.area.replace('_', ' ')} {one.year or ''} {one.arxiv or ''}",
                   "words": " ".join((one.says, one.words, *one.told))}
        row = {"slug": one.slug, "status": "library" if one.written else "wanted", "area": one.area, "title": one.title,
               "year": one.year, "arxiv": one.arxiv, "mentions": 0}
        yield one.slug, columns, row


def _shelf(since: int) -> Iterator[tuple[str, dict[str, str], dict]]:
    from . import shelf
    from .store import Store
    with Store() as store:
        papers = shelf.shelved(store, store.papers(since=since).items())
    for one in papers:
        paper, slug = one.paper, None if one.link.doubtful else one.link.slug
        columns = {"title": paper.title or "", "names": "", "authors": " ".join(paper.authors),
                   "area": f"{' '.join(paper.categories)} {paper.arxiv or ''}", "words": (paper.text or "")[:5000]}
        row = {"slug": slug, "status": "read", "area": " ".join(paper.categories) or None,
               "title": paper.title or f"{(paper.text or '')[:100]}", "year": None, "arxiv": paper.arxiv, "mentions": len(paper.mentions)}
        yield f"read:{one.numbers[0]}", columns, row
