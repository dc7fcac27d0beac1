"""The library's papers, read from the text of their files; `load` is the only place that imports one.

A header is everything of a paper file above its `__all__`: the card, PAPER, CLAIM and the public names. Reading it
takes no import of the paper, so listing answers at once and works where a paper's packages are missing.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import json
import re
import sys
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType

from .claim import Claim, Paper
from .errors import PaperError, UnknownPaper

ROOT = Path(__file__).parent
ARMS_AND_SCORE = ("treatment", "control", "score")


@dataclass(frozen=True)
class Entry:
    """One paper of the library: what its file says before any of its code."""

    slug: str
    area: str
    path: Path
    card: str
    paper: Paper
    claim: Claim
    names: tuple[str, ...]

    @property
    def idea(self) -> str:
        """The card's first line without the name before the colon."""
        return self.card.splitlines()[0].partition(": ")[2]


@cache
def entries() -> dict[str, Entry]:
    """Every paper of the library by slug, in order of area and slug."""
    files = sorted((ROOT / "papers").glob("*/[!_]*.py"))
    return {file.stem: read(file) for file in files}


def entry(slug: str) -> Entry:
    """One paper by its slug, or by the path of a paper file of the user's own."""
    if slug in entries():
        return entries()[slug]
    if slug.endswith(".py") and Path(slug).is_file():
        return _own_header(Path(slug), Path(slug).stat().st_mtime_ns)
    if slug.endswith(".py") or "/" in slug:
        raise UnknownPaper(f"there is no file {slug}", "Give the path of a paper file, or the name of a paper: bakeoff list")
    import difflib
    near = difflib.get_close_matches(slug, entries(), 3, 0.5)
    raise UnknownPaper(f"no paper is called {slug!r}", f"Did you mean {' or '.join(near)}?" if near else "See: bakeoff list")


@lru_cache(maxsize=8)
def _own_header(path: Path, changed: int) -> Entry:
    return read(path)


def read(path: Path) -> Entry:
    """The header of a paper file, without importing it."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        raise PaperError(f"{path} is not UTF-8 text: byte {problem.start}", "Save the file as UTF-8.") from None
    if not (end := re.search(r"^__all__\s*=\s*[\[(][^\])]*[\])]", text, re.M)):
        raise PaperError(f"{path}: there is no __all__", "Name the one to three public names after CLAIM.")
    try:
        tree = ast.parse(text[:end.end()])
    except SyntaxError as problem:
        raise PaperError(f"{path}, line {problem.lineno}: {problem.msg}", "Correct the Python of the header.") from None
    found = {node.targets[0].id: node.value for node in tree.body
             if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)}
    card = ast.get_docstring(tree)
    if not card:
        raise PaperError(f"{path}: there is no card", "Begin the file with its docstring.")
    return Entry(path.stem, path.parent.name, path, card, _record(path, found, "PAPER", Paper), _record(path, found, "CLAIM", Claim),
                 tuple(ast.literal_eval(found["__all__"])))


def _record(path: Path, found: dict, name: str, record: type):
    call = found.get(name)
    if not isinstance(call, ast.Call) or call.args or getattr(call.func, "id", "") != record.__name__:
        form = f"{name} = {record.__name__}(key=value, ...)"
        raise PaperError(f"{path}: {name} is missing or is not a plain call", f"Write {form}.")
    try:
        return record(**{word.arg: ast.literal_eval(word.value) for word in call.keywords})
    except (ValueError, TypeError) as problem:
        raise PaperError(f"{path}: {name} is not literal or not complete: {problem}", "Use plain literals for every field.") from None


def load(slug: str) -> ModuleType:
    """The paper's module, imported."""
    found = entry(slug)
    if found.path.is_relative_to(ROOT):
        return importlib.import_module(f"bakeoff.papers.{found.area}.{found.slug}")
    return _own_module(found.path.resolve(), found.path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _own_module(path: Path, changed: int) -> ModuleType:
    name = f"bakeoff_own_{hashlib.sha256(f'{path}{changed}'.encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def code_hash(slug: str) -> str:
    """A hash of the paper file and of every bakeoff module that it imports, directly or not, but for what is said in them."""
    todo, seen = [entry(slug).path], set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        try:
            todo += sorted(imported_files(path))
        except SyntaxError as problem:
            raise PaperError(f"{path}, line {problem.lineno}: {problem.msg}", "Correct the Python of the file.") from None
    parts = sorted(hashlib.sha256(_without_words(path.read_text(encoding="utf-8")).encode()).hexdigest() for path in seen)
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]


@lru_cache(maxsize=1024)
def _without_words(source: str) -> str:
    """A module's text without docstrings, PAPER and what CLAIM says, which no trial depends on."""
    lines = source.splitlines()
    for node in ast.walk(tree := ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
            _blank(lines, node.body[0])
    for node in tree.body:
        if isinstance(node, ast.Assign) and (name := ast.unparse(node.targets[0])) in ("PAPER", "CLAIM"):
            _blank(lines, node)
            if name == "CLAIM" and isinstance(node.value, ast.Call):
                node.value.keywords = [one for one in node.value.keywords if one.arg != "says"]
                lines[node.lineno - 1] = ast.unparse(node)
    return "\n".join(line for line in lines if line.strip())


def _blank(lines: list[str], node: ast.stmt) -> None:
    lines[node.lineno - 1:node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)


def imported_files(path: Path) -> set[Path]:
    """The files of bakeoff's own modules that the text of `path` imports."""
    package = ("bakeoff", *path.relative_to(ROOT).parent.parts) if path.is_relative_to(ROOT) else ()
    found = set()
    for name in _imported_names(path.read_text(encoding="utf-8"), package):
        if name[:1] == ("bakeoff",):
            for candidate in (ROOT.joinpath(*name[1:]).with_suffix(".py") if len(name) > 1 else None,
                              ROOT.joinpath(*name[1:], "__init__.py")):
                if candidate and candidate.is_file():
                    found.add(candidate)
    return found


@lru_cache(maxsize=1024)
def _imported_names(source: str, package: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    """Every dotted name that a text in `package` imports; parsed once a text, since a run asks again for each of its trials."""
    names: set[tuple[str, ...]] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {tuple(one.name.split(".")) for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            names |= {module} | {(*module, one.name) for one in node.names}
    return frozenset(names)


def evidence(*, whole: bool = False) -> list[dict]:
    """The results that come with the library, one a paper, as the engine wrote them; `whole` with every trial."""
    shipped = ROOT / "evidence" if (ROOT / "evidence").is_dir() else ROOT.parent.parent / "evidence"
    texts = (file.read_text(encoding="utf-8") for file in sorted(shipped.glob("*.json")))
    if whole:
        return [json.loads(text) for text in texts]
    heads = (text.partition(',\n "trials": [')[0].removesuffix("\n}\n") + "}" for text in texts)  # trials come last, and are long
    return [json.loads(head) for head in heads]
