"""What a check looks at: the text of a paper file, and what was seen when its arms ran."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import tempfile
from functools import cached_property
from pathlib import Path

from .. import catalogue
from ..catalogue import Entry
from ..claim import ARMS, Source
from ..data import sets
from ..errors import BakeoffError, PaperError

Function = ast.FunctionDef | ast.AsyncFunctionDef


class CheckFailed(BakeoffError):
    """A paper file breaks the rule that a check stands for."""


class Subject:
    """One paper file under examination; everything is read, parsed or run once, when first asked for.

    Args:
        path_or_slug: a slug of the library, or the path of a paper file.
        source: the data of the smoke run; None for the claim's own set, or a small one of its kind (`small_set`).
        bench: the processes to run in.
    """

    def __init__(self, path_or_slug, source: Source | None, bench: Bench):
        own = Path(path_or_slug)
        self.path = own.resolve() if own.suffix == ".py" and own.is_file() else catalogue.entry(str(path_or_slug)).path
        self.in_library = self.path.is_relative_to(catalogue.ROOT / "papers")
        self.source, self.bench = source, bench

    @cached_property
    def entry(self) -> Entry:
        self.text  # noqa: B018  what is no text is told here, before it is taken for a header
        return catalogue.read(self.path)

    @cached_property
    def text(self) -> str:
        try:
            text = self.path.read_text(encoding="utf-8")
        except UnicodeDecodeError as problem:
            raise PaperError(f"{self.path} is no text in UTF-8: byte {problem.start}", "Give a Python file.") from None
        if "\0" in text:
            raise PaperError(f"{self.path} is no text: there is a null character in it", "Give a Python file.")
        return text

    @cached_property
    def tree(self) -> ast.Module:
        try:
            return ast.parse(self.text)
        except SyntaxError as problem:
            raise PaperError(f"{self.path}, line {problem.lineno}: {problem.msg}", "Correct the Python of the file.") from None

    @cached_property
    def top(self) -> dict[str, Function | ast.ClassDef]:
        """The functions and classes of the file by name."""
        return {node.name: node for node in self.tree.body if isinstance(node, Function | ast.ClassDef)}

    @cached_property
    def public(self) -> list[tuple[str, Function | ast.ClassDef]]:
        """What a user meets, as (name, node): the names of `__all__` and, as "Class.method", their public methods."""
        found = []
        for name in self.entry.names:
            if node := self.top.get(name):
                found.append((name, node))
                found += [(f"{name}.{one.name}", one) for one in methods(node) if not one.name.startswith("_") or one.name == "__call__"]
        return found

    def reads(self, function: str, parameter: str) -> bool:
        """True where the body of a function of the file reads its parameter."""
        return function in self.top and parameter in names_read(self.top[function])

    @cached_property
    def seen(self) -> dict:
        """What `probe.look` saw: both arms' smoke runs, and what came of repeating and varying them."""
        return self._ask("look", seeded=[arm for arm in ARMS if self.reads(arm, "seed")])

    @cached_property
    def again(self) -> dict:
        """What `probe.repeat` saw: the same two trials in another process, control first."""
        return self._ask("repeat")

    def _ask(self, task: str, **more) -> dict:
        source = self.source or Source(small_set(self.entry.claim.data))
        slug = self.entry.slug if self.in_library else str(self.path)
        where = source.where if source.where in sets.SETS else str(Path(source.where).resolve())
        answer = self.bench.ask({"task": task, "slug": slug, "where": where, "options": source.options, **more})
        if "stopped" in answer:
            raise PaperError(*answer["stopped"])
        return answer


class Bench:
    """Two warm Python processes that differ in how they hash text; every question is answered in a fresh fork of one.

    What depends on the order of a set therefore differs between `look` (the first) and `repeat` (the second).

    Args:
        seconds: processor time that an answer may take; a paper that takes longer is stopped.
    """

    def __init__(self, seconds: int = 60):
        self.seconds = seconds
        self._servers: dict[str, subprocess.Popen] = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self._servers.values():
            server.stdin.close()
            server.wait()
            server.stdout.close()
        self._servers.clear()

    def ask(self, job: dict) -> dict:
        """The answer of `probe` to a job, asked in an empty folder of its own."""
        for number, task in enumerate(("look", "repeat"), 1):
            if task not in self._servers:
                surroundings = os.environ | {"PYTHONHASHSEED": str(number), "OMP_NUM_THREADS": "1"}
                self._servers[task] = subprocess.Popen([sys.executable, "-m", "bakeoff.checks.probe"], stdin=subprocess.PIPE,
                                                       stdout=subprocess.PIPE, text=True, env=surroundings)
        with tempfile.TemporaryDirectory() as folder:
            server = self._servers[job["task"]]
            server.stdin.write(json.dumps({**job, "folder": folder, "seconds": self.seconds}) + "\n")
            server.stdin.flush()
            if not (line := server.stdout.readline()):
                raise BakeoffError("the process that runs papers for the checks has ended", "Its error is above; correct the installation.")
            code, answer = os.waitstatus_to_exitcode(int(line)), Path(folder, "answer.json")
            if code == 0 and answer.is_file():
                return json.loads(answer.read_text(encoding="utf-8"))
        if code in (-signal.SIGXCPU, -signal.SIGALRM):
            return {"stopped": ["the smoke runs did not end", "Each arm ends after budget.steps, at smoke within 2 s."]}
        return {"stopped": [f"the smoke runs ended their process ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})",
                            "A method returns or raises; it never ends the process."]}


def small_set(name: str) -> str:
    """The named set itself, where it takes no files and no time to make; else the quickest of its kind that takes no files, if any."""
    kind = sets.kind_of(name)

    def labour(other: str) -> tuple[int, bool]:
        return sum(int(value) for word, value in sets.SETS[other].options if word.endswith("steps")), other != name

    return min((other for other, one in sets.SETS.items() if one.kind == kind and not one.files), key=labour, default=name)


def methods(node: ast.AST) -> list[Function]:
    """The functions defined in the body of a class."""
    return [one for one in node.body if isinstance(one, Function)] if isinstance(node, ast.ClassDef) else []


def parameters(function: Function) -> list[str]:
    """The parameters of a function by name, without self and cls."""
    args = function.args
    every = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
    return [one.arg for one in every if one and one.arg not in ("self", "cls")]


def names_read(function: ast.AST) -> set[str]:
    """Every plain name that the body of a function reads."""
    return {node.id for part in function.body for node in ast.walk(part) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
