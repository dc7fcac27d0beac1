"""The command: parse, call one function, print. Results go to stdout, progress to stderr."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import shlex
import sys
from pathlib import Path

from . import __version__, catalogue
from .claim import BUDGETS
from .data.options import DATA_OPTIONS
from .errors import BakeoffError, DataError, UnknownPaper


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 for an error told in two lines, 2 for wrong usage."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.do(arguments) or 0
    except BakeoffError as problem:
        told = _wanted(arguments) if isinstance(problem, UnknownPaper) else None
        message, hint = told or (problem.message, problem.hint)
        print(f"bakeoff: {_clean(message)}\n{_clean(hint)}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, UnicodeError) as problem:
        print(f"bakeoff: {_clean(problem)}\nCheck the path, the space on the disk, and who may read and write there.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bakeoff: stopped; what had finished is kept\nGive the same command again to go on.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bakeoff", description="Read a digest of papers and put their claims to the test.")
    parser.add_argument("--version", action="version", version=f"bakeoff {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, do, says: str, *, listing: bool = True) -> argparse.ArgumentParser:
        one = verbs.add_parser(name, help=says, description=says)
        one.set_defaults(do=do)
        if listing:
            form = one.add_mutually_exclusive_group()
            form.add_argument("--json", action="store_true", help="print JSON")
            form.add_argument("--csv", action="store_true", help="print CSV")
        return one

    read = verb("read", _read, "read digests: which papers are in them, and which of those the library knows")
    read.add_argument("files", nargs="+", metavar="FILE")
    link = verb("link", _link, "say for good which paper an entry of a digest is of")
    link.add_argument("file", metavar="FILE")
    link.add_argument("entry", metavar="ENTRY", type=_positive, help="the number of the entry in the digest, from 1")
    link.add_argument("slug", metavar="SLUG", help="the paper; none: no paper of the library; auto: forget what was said")
    listed = verb("list", _list, "list the library's papers, or search them and all that was read")
    listed.add_argument("query", nargs="*", metavar="QUERY", help="words of the title, a method's name, the task, the area, an author")
    verb("show", _show, "show a paper's card, claim and results").add_argument("slug", metavar="SLUG")
    run = verb("run", _run, "put claims to the test until the evidence decides")
    run.add_argument("slugs", nargs="*", metavar="SLUG|AREA|FILE.py", help="papers, whole areas, or a paper file of your own")
    run.add_argument("--digest", metavar="FILE", help="the papers recognised in a digest")
    run.add_argument("--all", action="store_true", help="every paper of the library")
    run.add_argument("--budget", choices=BUDGETS, default="quick", help="how much each arm may spend (quick)")
    run.add_argument("--seed", type=_seed, default=0, help="the run's first seed (0)")
    run.add_argument("--pairs", type=_positive, default=20, help="the most pairs of arms to run (20)")
    run.add_argument("--jobs", type=_positive, default=1, help="how many trials run side by side (1)")
    run.add_argument("--runner", choices=("local", "ray"), default="local", help="where trials run (local)")
    run.add_argument("--data", metavar="PATH|NAME", help="your own files, or another named set")
    for name, (what, means) in DATA_OPTIONS.items():
        run.add_argument(f"--{name}", metavar=what, help=means)
    run.add_argument("--retry", action="store_true", help="first forget the trials that ended in an error or ran out of time")
    run.add_argument("--evidence", metavar="DIR", type=Path, help="also write each result to DIR/SLUG.json")
    verb("verdicts", _verdicts, "the verdicts reached so far")
    verb("check", _check, "check a paper file, the library's or your own").add_argument("paper", metavar="PATH|SLUG")
    named = verb("data", _data, "the named data sets; with a name, bring it here")
    named.add_argument("name", nargs="?", metavar="NAME")
    named.add_argument("--kind", metavar="KIND", help="only those of a kind, such as transitions")
    named.add_argument("--to", metavar="PATH", type=Path,
                       help="write a batch of transitions there: an .npz file, or the folder of a Minari set")
    verb("site", _site, "write the static site", listing=False).add_argument("folder", metavar="DIR", type=Path)
    serve = verb("serve", _serve, "show the site at a local address", listing=False)
    serve.add_argument("--port", type=int, default=8000)
    return parser


def _wanted(arguments) -> tuple[str, str] | None:
    """What to say where a paper was named that is not in the library, but wanted."""
    from . import profiles
    named = (*getattr(arguments, "slugs", ()), getattr(arguments, "slug", ""))
    one = next((one for slug in named if (one := profiles.profiles().get(slug)) and not one.written), None)
    return (f"{one.slug} is not in the library yet: {one.title}", one.says) if one else None


def _seed(text: str) -> int:
    if not 0 <= (number := int(text)) < 2**31:
        raise argparse.ArgumentTypeError("a seed is a whole number from 0 to 2147483647")
    return number


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number, at least 1")
    return int(text)


def _clean(text: str) -> str:
    """Text from outside made fit for a terminal: no control characters, no overrides of the writing direction."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", str(text)).replace("\n", " ")


def _print(arguments, rows: list[dict], text) -> None:
    """Rows as JSON, as CSV, or each as the line that `text` makes of it."""
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    elif arguments.csv:
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(rows[0] if rows else [])
        writer.writerows([_cell(value) for value in row.values()] for row in rows)
        print(lines.getvalue(), end="")
    else:
        for row in rows:
            print(_clean(text(row)))


def _cell(value):
    """A value as a table program shall take it: never as a formula."""
    text = json.dumps(value) if isinstance(value, (list, tuple, dict)) else value
    return f"'{text}" if isinstance(text, str) and text[:1] in tuple("=+-@") else text


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _read(arguments) -> None:
    from . import search, shelf
    from .store import Store
    read = shelf.read(arguments.files)
    with Store() as store:
        papers = shelf.keep(store, read)
    for digest in read.values():
        for note in digest.notes:
            _tell(f"{_clean(digest.file)}: {_clean(note)}")
    files = [{"file": one.file, "form": one.form, "mentions": len(one.mentions), "notes": list(one.notes)}
             for one in read.values()]
    rows = [shelf.as_json(one) for one in papers]
    if arguments.json:
        print(json.dumps({"files": files, "papers": rows}, ensure_ascii=False, indent=1))
    elif arguments.csv:
        names = ("title", "authors", "arxiv", "slug", "status", "confidence", "doubtful", "settled", "because", "nearest", "popularity",
                 "mentions")
        _print(arguments, [{name: row[name] for name in names} for row in rows], str)
    else:
        for file in files:
            print(_clean(f"{file['file']}: {file['form']}, {file['mentions']} mentions"))
        known = {status: sum(row["status"] == status for row in rows) for status in ("library", "wanted")}
        print(f"{len(rows)} papers, {known['library']} of them in the library, {known['wanted']} wanted")
        order = ("library", "wanted", None)
        for row in sorted(rows, key=lambda row: order.index(row["status"])):
            print(_clean(_paper_line(row)))
        if any(row["doubtful"] for row in rows):
            print("? is doubtful; settle it: bakeoff link FILE ENTRY SLUG (or none)")
    search.bring_up_to_date()


def _paper_line(row: dict) -> str:
    said = " settled" if row["settled"] else f"{row['confidence']:8.2f}" if row["slug"] else " " * 8
    because = f"  [{', '.join(row['because'][:4])}]" if row["because"] and row["slug"] else ""
    perhaps = f"  [perhaps {row['nearest']}, {row['confidence']:.2f}]" if row["nearest"] else ""
    where = ", ".join(f"{Path(one['file']).name}/{one['entry']}" for one in row["mentions"][:3]) + ", ..." * (len(row["mentions"]) > 3)
    mark = "?" if row["doubtful"] else " "
    title = row["title"] or row["text"] or ""
    return f"{mark} {row['slug'] or '-':22} {said}  {title[:80]}{'...' * (len(title) > 80)}  ({where}){because}{perhaps}"


def _link(arguments) -> None:
    from . import digests, profiles, search, shelf
    from .store import Store
    slug = None if arguments.slug in ("none", "auto") else profiles.profile(arguments.slug).slug
    with Store() as store:
        mention, before = shelf.settle(store, arguments.file, arguments.entry, slug, forget=arguments.slug == "auto")
    row = {"file": digests.shown_name(arguments.file), "entry": arguments.entry, "title": mention.title or (mention.text or "")[:100],
           "slug": slug, "before": before.slug}
    _print(arguments, [row],
           lambda row: f"{row['file']}, entry {row['entry']}: {arguments.slug} (was {row['before'] or 'none'}): {row['title']}")
    search.bring_up_to_date()


def _kept(*, whole: bool = False) -> list[dict]:
    from . import places
    if not os.environ.get("BAKEOFF_STORE") and not (places.state() / "bakeoff.sqlite").exists():
        return []  # nothing has been run: no need to open (and import) a store
    from .store import Store
    with Store() as store:
        return store.runs(whole=whole)


def _list(arguments) -> None:
    from . import glance
    known = [*catalogue.evidence(), *glance.results()]
    if query := " ".join(arguments.query):
        from . import search
        rows = [{**row, "decision": _decision(catalogue.entry(row["slug"]), known) if row["status"] == "library" else None}
                for row in search.find(query)]
        if not rows:
            _tell(f"nothing fits: {_clean(query)}")
    else:
        rows = [{"slug": one.slug, "status": "library", "area": one.area, "title": one.paper.title, "year": one.paper.year,
                 "arxiv": one.paper.arxiv, "decision": _decision(one, known)} for one in catalogue.entries().values()]
    _print(arguments, rows, _list_line)


def _list_line(row: dict) -> str:
    state = row["decision"] or {"library": "not run"}.get(row["status"], row["status"])
    return f"{row['slug'] or '-':22} {row['area'] or '-':14} {state:10} {row['title']}" + (f" ({row['year']})" if row["year"] else "")


def _decision(one: catalogue.Entry, results: list[dict]) -> str | None:
    """What stands in a listing: found on the claim's own data, with the largest budget, latest; never chosen by its outcome."""
    own = [result for result in results if result["slug"] == one.slug and result["data"] == one.claim.data]
    return max(reversed(own), key=lambda result: BUDGETS.index(result["budget"]))["decision"] if own else None


def _show(arguments) -> None:
    from .contest import sentence, summary
    one = catalogue.entry(arguments.slug)
    results = [result for result in (*catalogue.evidence(), *_kept()) if result["slug"] == one.slug]
    if arguments.json or arguments.csv:
        row = {"slug": one.slug, "area": one.area, **vars(one.paper), "claim": vars(one.claim), "card": one.card,
               "names": one.names, "results": [summary(result) for result in results]}
        return _print(arguments, [row], str)
    print(f"{one.paper.title}\n{', '.join(one.paper.authors)}. {one.paper.venue} {one.paper.year}. arXiv {one.paper.arxiv}\n")
    print(one.card)
    print(f"\nClaim: {one.claim.says}\n  {one.claim.metric}, {one.claim.unit}, {one.claim.better} is better, "
          f"margin {one.claim.margin:g}, equal {one.claim.equal}, data {one.claim.data}")
    print(f"Use:   from bakeoff.papers.{one.area}.{one.slug} import {', '.join(one.names)}\n")
    for result in results:
        print(sentence(result))


def _run(arguments) -> None:
    from . import contest
    from .data import sets
    from .store import Store
    options = {name: value for name in DATA_OPTIONS if (value := getattr(arguments, name)) is not None}
    if options and not arguments.data:
        raise DataError(f"--{next(iter(options))} was given without --data", "Say which file it is about: --data PATH.")
    source = contest.Source(arguments.data, tuple(sorted(options.items()))) if arguments.data else None
    if arguments.data and not sets.is_path(source) and Path(arguments.data).exists():
        _tell(f"{arguments.data}: the named set is meant; for the file of that name write ./{arguments.data}")
    if arguments.evidence:
        arguments.evidence.mkdir(parents=True, exist_ok=True)
    slugs = _chosen(arguments)
    prepared = [contest.Contest.prepare(slug, source=source, budget=arguments.budget, seed=arguments.seed, pairs=arguments.pairs)
                for slug in slugs]
    made = []

    def runner():
        if not made:
            if arguments.runner == "ray":
                from .runners.ray import RayRunner as Runner
            else:
                from .runners.local import LocalRunner as Runner
            made.append(Runner(arguments.jobs))
        return made[0]

    results = []
    try:
        with Store() as store:
            if arguments.digest or arguments.all:
                order = contest.soonest_first(prepared, store)
                prepared = [one for one, _ in order]
                for one, seconds in order:
                    _tell(f"{one.entry.slug}: likely {seconds:.0f} s of work")
            for one in prepared:
                if arguments.retry and (forgotten := one.retry(store)):
                    _tell(f"{one.entry.slug}: {forgotten} failed trials will be run again")
                results.append(contest.run(one, store, runner, tell=_tell))
                for line in contest.curves(results[-1]):
                    _tell(line)
                if arguments.evidence:
                    write_evidence(arguments.evidence, results[-1])
    finally:
        for one in made:
            one.close()
    _print(arguments, [contest.summary(one) for one in results], contest.sentence)
    if barren := [one["slug"] for one in results if one.get("pairs") == 0]:
        raise BakeoffError(f"{barren[0]}: no pair was finished", f"What went wrong in its trials: bakeoff show {barren[0]}")


def write_evidence(folder: Path, result: dict) -> None:
    """Write a result to FOLDER/SLUG.json, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{result['slug']}.part"
    part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    os.replace(part, folder / f"{result['slug']}.json")


def _chosen(arguments) -> list[str]:
    if arguments.all:
        return list(catalogue.entries())
    slugs: list[str] = []
    if arguments.digest:
        slugs += _recognised(arguments.digest)
    for word in arguments.slugs:
        area = [one.slug for one in catalogue.entries().values() if one.area == word]
        slugs += area or [word]
    if not slugs:
        raise BakeoffError("nothing to run", "Name papers or areas, or give --digest FILE or --all. See: bakeoff list")
    return list(dict.fromkeys(slugs))


def _recognised(file: str) -> list[str]:
    from . import shelf
    from .store import Store
    read = shelf.read([file])
    with Store() as store:
        papers = [one for one in shelf.keep(store, read) if one.link.slug]
        entries = {number: entry for sha256 in read for entry, number in reversed(shelf.entries(store, sha256).items())}
    rows = [shelf.as_json(one) for one in papers]
    wanted = [row["slug"] for row in rows if row["status"] == "wanted"]
    if wanted:
        _tell(f"{len(wanted)} papers were recognised that the library has not yet: {', '.join(wanted[:8])}{', ...' * (len(wanted) > 8)}")
    for one, row in zip(papers, rows, strict=True):
        if row["status"] == "library" and row["doubtful"]:
            entry = next(entries[number] for number in one.numbers if number in entries)
            _tell(f"{row['slug']}: it is doubtful ({row['confidence']:.2f}) whether this paper is meant; to say that it is not: "
                  f"bakeoff link {shlex.quote(_clean(file))} {entry} none")
    found = [row["slug"] for row in rows if row["status"] == "library"]
    if not found:
        raise BakeoffError(f"no paper of the library was recognised in {file}", "See what is in it: bakeoff read FILE")
    return found


def _verdicts(arguments) -> None:
    from .contest import sentence, summary
    latest = {(one["slug"], one["budget"], one["data_hash"], one["seed"]): one for one in (*catalogue.evidence(), *_kept())}
    _print(arguments, [summary(one) for one in latest.values()], lambda row: sentence(row))


def _check(arguments) -> int:
    from .checks import run_checks
    findings = run_checks(arguments.paper)
    rows = [{"check": one.check, "ok": one.ok, "message": one.message, "hint": one.hint, "seconds": round(one.seconds, 2)}
            for one in findings]
    _print(arguments, rows, lambda row: f"ok    {row['check']}" if row["ok"] else f"FAIL  {row['check']}: {row['message']} {row['hint']}")
    return 0 if all(one.ok for one in findings) else 1


def _data(arguments) -> None:
    from .data import sets
    if arguments.kind not in (None, *(kinds := sorted({one.kind for one in sets.SETS.values()}))):
        raise BakeoffError(f"no set is of the kind {arguments.kind!r}", f"The kinds: {', '.join(kinds)}.")
    if arguments.name is not None:
        record = sets.load(sets.Source(arguments.name), sets.kind_of(arguments.name))
        if arguments.to:
            sets.save(record, sets.kind_of(arguments.name), arguments.to)
    elif arguments.to:
        raise BakeoffError("--to writes one set, and none is named", "Name it before: bakeoff data hopper-half --to hopper.npz.")
    rows = [{"name": name, "kind": one.kind, "says": one.says} for name, one in sets.SETS.items()
            if arguments.name in (None, name) and arguments.kind in (None, one.kind)]
    _print(arguments, rows, lambda row: f"{row['name']:32} {row['kind']:12} {row['says']}")


def _site(arguments) -> None:
    print(_build_site(arguments.folder))


def _build_site(folder: Path) -> Path:
    from .web import site
    results: dict[str, list[dict]] = {}
    for one in (*catalogue.evidence(whole=True), *_kept(whole=True)):
        results.setdefault(one["slug"], []).append(one)
    site.build(folder, catalogue.entries(), results, shelf=_shelf())
    return folder / "index.html"


def _shelf() -> list[dict]:
    from . import glance
    _, stamp, waiting = glance.standing()
    if not stamp and not waiting:
        return []
    from . import shelf
    from .store import Store
    with Store() as store:
        return [shelf.as_json(one) for one in shelf.everything(store)]


def _serve(arguments) -> None:
    import functools
    import http.server
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        _build_site(Path(folder) / "site")
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(Path(folder) / "site"))
        with http.server.ThreadingHTTPServer(("127.0.0.1", arguments.port), handler) as server:
            _tell(f"http://127.0.0.1:{arguments.port}/  (Ctrl-C ends it)")
            server.serve_forever()
