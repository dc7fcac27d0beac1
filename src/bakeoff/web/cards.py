"""A paper's card and its two arms as the pages show them: read from the text of the paper file, never by importing it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

from markupsafe import Markup

from ..claim import ARMS
from .plots import tag
from .text import clean

HEADS = ("Method", "Departures", "Out of reach")


@dataclass
class Section:
    """A part of the card under one of its three words; `parts` are ("text" | "item" | "equation", words) in order."""

    title: str
    parts: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Arm:
    """What an arm's docstring says of it, if anything, and the lines of its function."""

    says: str
    source: str


def sections(card: str) -> list[Section]:
    """The card without its first line and its citation: prose is joined, what is indented stays as it stands."""
    blocks = [block for block in re.split(r"\n\s*\n", clean(card).strip("\n")) if block.strip()][1:]
    if blocks and not _head(blocks[0]):
        blocks = blocks[1:]  # the citation
    found: list[Section] = []
    for block in blocks:
        if head := _head(block):
            found.append(Section(head[1]))
            block = block[head.end():]
        elif not found:
            found.append(Section(""))
        _add(found[-1].parts, block)
    for section in found:
        section.parts = [(kind, dedent(words) if kind == "equation" else words) for kind, words in section.parts]
        if section.parts and section.parts[0][0] == "text":
            section.parts[0] = ("text", _begun(section.parts[0][1]))
    return found


def prose(text: str) -> Markup:
    """Text whose words in `backticks` are code."""
    pieces = re.split(r"`([^`]+)`", clean(text))
    return Markup().join(tag("code", piece) if at % 2 else piece for at, piece in enumerate(pieces))


def arms(path: Path) -> dict[str, Arm]:
    """Both arms of a paper file; none where the file is gone or is no Python."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, ValueError, SyntaxError):
        return {}
    return {node.name: Arm((ast.get_docstring(node) or "").partition("\n")[0], ast.get_source_segment(text, node) or "")
            for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in ARMS}


def _begun(text: str) -> str:
    """The text with a capital first, if it begins with a word and not with a symbol."""
    return text[0].upper() + text[1:] if re.match(r"(a|[a-z]{3,})(?=[ ,.:;])", text) else text


def _head(block: str) -> re.Match | None:
    return re.match(rf"({'|'.join(HEADS)}):[ \t]*", block)


def _add(parts: list[tuple[str, str]], block: str) -> None:
    """Append a block's lines to the parts; neighbouring equations become one, lines of prose one paragraph."""
    fresh = True
    for line in filter(str.strip, block.splitlines()):
        kind = "equation" if line.startswith("    ") else "item" if re.match(r"\s*[-*•] ", line) else "text"
        last = parts[-1][0] if parts else ""
        if kind == last == "equation":
            parts[-1] = (kind, parts[-1][1] + ("\n\n" if fresh else "\n") + line)
        elif kind == "text" and last in ("text", "item") and not fresh:
            parts[-1] = (last, f"{parts[-1][1]} {line.strip()}")
        else:
            parts.append((kind, {"equation": line, "item": line.strip()[2:], "text": line.strip()}[kind]))
        fresh = False
