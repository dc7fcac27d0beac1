"""What a trial drew, made safe to show: pictures as data addresses, molecules as SVG drawn here from their SMILES."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from xml.etree import ElementTree

from markupsafe import Markup

from .plots import tag
from .text import clean

LARGEST_FILE, LARGEST_SIDE = 2_000_000, 4096
MOST_MOLECULES, LONGEST_SMILES = 12, 400
WIDTH, HEIGHT = 180, 130


def show(drawing: dict, arm: str) -> Markup:
    """A drawing as HTML; one that is not what it says becomes a sentence."""
    title, content = clean(str(drawing.get("title", ""))), drawing.get("content")
    if drawing.get("kind") == "png" and isinstance(content, str):
        return _picture(content, f"{title}, by the {arm}")
    if drawing.get("kind") == "smiles" and isinstance(content, str):
        return _molecules([line.strip() for line in clean(content).splitlines() if line.strip()])
    return tag("p", "This drawing cannot be shown.", class_="quiet")


def png_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a whole PNG file of sane size, else None."""
    if len(data) > LARGEST_FILE or data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        return None
    at, last = 8, b""
    while at + 12 <= len(data):
        length, last = struct.unpack(">I4s", data[at:at + 8])
        body, end = data[at + 4:at + 8 + length], at + 12 + length
        if end > len(data) or struct.unpack(">I", data[end - 4:end])[0] != binascii.crc32(body):
            return None
        at = end
    width, height = struct.unpack(">II", data[16:24])
    whole = at == len(data) and last == b"IEND" and 0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE
    return (width, height) if whole else None


def _picture(content: str, told: str) -> Markup:
    try:
        data = base64.b64decode(content, validate=True) if len(content) <= LARGEST_FILE * 4 / 3 + 4 else b""
    except ValueError:
        data = b""
    if not (size := png_size(data)):
        return tag("p", "This picture is damaged or too large to be shown.", class_="quiet")
    address = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    small = "small" if max(size) <= 160 else None
    return Markup(str(tag("img", src=address, alt=told, width=size[0], height=size[1], class_=small)).removesuffix("</img>"))


def _molecules(lines: list[str]) -> Markup:
    shown = [tag("li", molecule(smiles) or "", tag("code", smiles[:LONGEST_SMILES])) for smiles in lines[:MOST_MOLECULES]]
    more = len(lines) - MOST_MOLECULES
    rest = tag("p", f"and {more} more", class_="quiet") if more > 0 else ""
    return tag("ul", *shown, class_="molecules") + rest


def molecule(smiles: str) -> Markup | None:
    """A molecule as SVG; None where it is none, or where RDKit is not installed."""
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem.Draw import rdMolDraw2D
    except ImportError:
        return None
    with rdBase.BlockLogs():
        read = Chem.MolFromSmiles(smiles) if len(smiles) <= LONGEST_SMILES else None
        if read is None or not 0 < read.GetNumAtoms() <= 150:
            return None
        drawer = rdMolDraw2D.MolDraw2DSVG(WIDTH, HEIGHT)
        drawer.drawOptions().useBWAtomPalette()
        drawer.drawOptions().clearBackground = False
        rdMolDraw2D.PrepareAndDrawMolecule(drawer, read)
        drawer.FinishDrawing()
        return redrawn(drawer.GetDrawingText(), smiles)


def redrawn(drawing: str, told: str) -> Markup:
    """A new SVG with nothing of the given one but the outlines of its paths, one path for each way of drawing them."""
    groups: dict[tuple[bool, str], list[str]] = {}
    for path in ElementTree.fromstring(drawing.encode("iso-8859-1", "replace")).iter("{http://www.w3.org/2000/svg}path"):
        style = dict(part.split(":", 1) for part in path.get("style", "").split(";") if ":" in part)
        outline = path.get("d", "")
        if re.fullmatch(r"[MLHVCSQTAZmlhvcsqtaz0-9 .,eE+-]*", outline, re.A):
            filled = style.get("fill", path.get("fill", "none")) != "none"
            width = re.match(r"[0-9.]+", style.get("stroke-width", "")) if style.get("stroke", "none") != "none" else None
            groups.setdefault((filled, width[0] if width else "0"), []).append(outline)
    paths = [tag("path", d=" ".join(outlines), class_="solid" if filled else "bond", stroke_width=width)
             for (filled, width), outlines in groups.items()]
    return tag("svg", tag("title", told), *paths, class_="molecule", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=told)
