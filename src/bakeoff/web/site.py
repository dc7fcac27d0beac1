"""The static site: an index of every paper and a page for each, whole in themselves and the same for the same results.

The papers that were read of in digests have a page together. A page brings its own style sheet (and a list its search
script) and asks for nothing else, so it works from a file, offline, or mailed alone. Whatever comes from cards, digests
and results is escaped by the templates, and the pages' own policy lets nothing run but the one script named there by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..catalogue import Entry
from ..claim import ARMS, BUDGETS
from ..data.sets import SETS
from ..errors import BakeoffError
from . import cards, drawings, plots
from .read import GROUPS, Read
from .read import tally as tally_of
from .results import DECISIONS, Result
from .text import arxiv_link, clean, duration, ends, number, page_name

MARK = ".bakeoff-site"  # lists the files of a site, one a line; a folder without it is not ours to replace
OPTIONS = {"tables": " --target COLUMN", "molecules": " --smiles COLUMN", "transitions": " --environment ID",
           "discrete_transitions": " --environment ID", "demonstrations": " --environment ID", "text": " --text COLUMN --target COLUMN",
           "affinities": " --smiles COLUMN --sequence COLUMN --target COLUMN", "structures": " --target COLUMN"}
ACRONYMS = {word: word.upper() for word in ("rl", "nlp", "ml")} | {"gans": "GANs", "3d": "3D"}
OWN = "your own"


@dataclass(frozen=True)
class Page:
    """One paper as the templates see it; `entry` is None for a paper of the user's own that is not in the library."""

    slug: str
    entry: Entry | None
    runs: list[Result]
    read: list[Read] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"papers/{page_name(self.slug)}"

    @property
    def area(self) -> str:
        return self.entry.area if self.entry else OWN

    @property
    def title(self) -> str:
        return self.entry.paper.title if self.entry else self.runs[0].title

    @property
    def name(self) -> str:
        """What the card calls the method."""
        return self.entry.card.splitlines()[0].partition(": ")[0] if self.entry else self.slug

    @property
    def idea(self) -> str:
        return sentence(self.entry.idea) if self.entry else ""

    @property
    def citation(self) -> str:
        paper = self.entry.paper if self.entry else None
        return f"{', '.join(paper.authors)}. {paper.venue} {paper.year}." if paper else ""

    @property
    def arxiv(self) -> str | None:
        return arxiv_link(self.entry.paper.arxiv) if self.entry else None

    @property
    def result(self) -> Result | None:
        return self.runs[0] if self.runs else None

    @property
    def decision(self) -> str:
        return self.result.decision if self.result else "not run"

    @cached_property
    def arms(self) -> dict[str, cards.Arm]:
        return cards.arms(self.entry.path) if self.entry else {}

    @property
    def data(self) -> str:
        """The claim's own data, and what that is."""
        name = self.entry.claim.data
        return f"{name}: {SETS[name].says}" if name in SETS else name

    @property
    def options(self) -> str:
        """What `--data PATH` needs beside it for this kind of data."""
        named = SETS.get(self.entry.claim.data)
        return OPTIONS.get(named.kind, "") if named else ""

    @property
    def words(self) -> str:
        """What the search looks in."""
        more = (*self.entry.paper.also, self.citation, self.entry.claim.says, self.entry.claim.data) if self.entry else ()
        return " ".join((self.slug, self.area, self.title, self.name, self.idea, self.decision, *more)).casefold()


def build(folder: Path, entries: Mapping[str, Entry], results: Mapping[str, list[dict]], shelf: Iterable[dict] = ()) -> None:
    """Write the site, whole or not at all: it is made beside `folder` and then takes its place.

    Args:
        folder: new, empty, or a site written before; its own files are replaced.
        entries: every paper of the library, by slug.
        results: the results of each slug as `contest.result` makes them, later ones last.
        shelf: the papers that were read of, as `shelf.as_json` tells of them.

    Raises:
        BakeoffError: `folder` holds something else, cannot be written, or a result is not what a run gives.
    """
    folder = Path(folder).resolve()
    files = render(entries, results, shelf)
    try:
        _refuse_what_is_not_ours(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            _write(made, files)
            _swap(made, folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as problem:
        raise BakeoffError(f"the site cannot be written to {folder}: {problem.strerror}", "Give a folder that can be written.") from problem


def render(entries: Mapping[str, Entry], results: Mapping[str, list[dict]], shelf: Iterable[dict] = ()) -> dict[str, str]:
    """The site's files by their path in it."""
    slugs = [*entries, *sorted(slug for slug, runs in results.items() if slug not in entries and runs)]
    read = [Read(told) for told in shelf]
    of: dict[str | None, list[Read]] = {}
    for one in read:
        of.setdefault(one.slug if one.status == "library" else None, []).append(one)
    pages = [Page(slug, entries.get(slug), _in_order(slug, entries.get(slug), results.get(slug, [])), of.get(slug, [])) for slug in slugs]
    areas = [(area, list(ones)) for area, ones in groupby(pages, key=lambda page: page.area)]
    tally = {decision: sum(page.decision == decision for page in pages) for decision in (*DECISIONS, "not run")}
    reading = tally_of(read) if read else None
    files = {"index.html": _page("index.html", areas=areas, tally=tally, all=len(pages), reading=reading)}
    if read:
        groups = [(name, [one for one in read if one.status == status]) for status, name in GROUPS.items()]
        files["read.html"] = _page("read.html", groups=groups, tally=reading, pages={page.slug: page for page in pages if page.read})
    for page in pages:
        files[page.address] = _page("paper.html", page=page, reading=reading)
    return files


def sentence(text: str) -> str:
    """The text with a capital first and a full stop last."""
    text = clean(text).strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) or not text else ".")


def area_name(area: str) -> str:
    """The name of an area's folder as people write it: "offline_rl" is "Offline RL"."""
    words = [ACRONYMS.get(word, word) for word in clean(area).split("_")]
    return " ".join([words[0] if words[0] in ACRONYMS.values() else words[0].capitalize(), *words[1:]])


def _in_order(slug: str, entry: Entry | None, runs: list[dict]) -> list[Result]:
    """The runs, each once: on the claim's own data first, then the larger budget, then the later; never by their outcome."""
    latest: dict[tuple, Result] = {}
    for run in runs:
        one = Result.read(slug, run)
        key = (one.budget, str(run.get("data_hash", one.data)), one.seed)
        latest.pop(key, None)
        latest[key] = one  # the later ones last
    return sorted(reversed(latest.values()), key=lambda one: (entry is not None and one.data != entry.claim.data, -_size(one.budget)))


def _size(budget: str) -> int:
    return BUDGETS.index(budget) if budget in BUDGETS else -1


def _page(template: str, **values) -> str:
    return _templates().get_template(template).render(**values)


@cache
def _templates() -> Environment:
    made = Environment(loader=PackageLoader("bakeoff.web"), autoescape=True, undefined=StrictUndefined, finalize=clean,
                       trim_blocks=True, lstrip_blocks=True)
    made.filters.update(number=number, duration=duration, prose=cards.prose, sentence=sentence, area=area_name)
    style, script = (Markup(made.loader.get_source(made, name)[0]) for name in ("style.css", "search.js"))
    made.globals.update(
        plots=plots, show=drawings.show, sections=cards.sections, ends=ends, arms=ARMS, style=style, script=script,
        style_hash=_hash(style), script_hash=_hash(script))
    return made


def _hash(text: str) -> str:
    """As a content security policy names an inline script or style sheet."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _refuse_what_is_not_ours(folder: Path) -> None:
    hint = "Give a new or empty folder, or one that holds nothing but a site written by bakeoff."
    if folder.exists() and not folder.is_dir():
        raise BakeoffError(f"{folder} is a file, not a folder", hint)
    if not folder.exists() or not any(folder.iterdir()):
        return
    mark = folder / MARK
    ours = {MARK, *mark.read_text(encoding="utf-8", errors="replace").splitlines()} if mark.is_file() else set()
    others = [path for path in sorted(folder.rglob("*")) if not path.is_dir() or path.is_symlink()]
    others = [name for path in others if (name := path.relative_to(folder).as_posix()) not in ours]
    if not ours or others:
        raise BakeoffError(f"{folder} holds files that bakeoff did not write: {', '.join(others[:3]) or 'an empty folder'}", hint)


def _write(folder: Path, files: dict[str, str]) -> None:
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)  # mkdtemp makes it private
    for name, text in {**files, MARK: "".join(f"{name}\n" for name in files)}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", errors="replace", newline="\n")


def _swap(made: Path, folder: Path) -> None:
    """Put `made` in the place of `folder`; if that fails, what was there stays."""
    if not folder.exists():
        os.rename(made, folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    os.rename(folder, old)  # onto a folder that is empty
    try:
        os.rename(made, folder)
    except OSError:
        os.rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
