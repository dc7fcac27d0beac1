"""Text from outside made plain: mojibake repaired, one kind of line end, no invisible character that hides or steers text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

Note = Callable[[str], None]

LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\u2028\u2029]")
BLANK = re.compile("\n{3,}")
WINDOWS = {code: sign for code in range(0x80, 0xA0) if (sign := bytes([code]).decode("cp1252", "ignore"))}
BYTES = {ord(sign): code for code, sign in WINDOWS.items()}
GOES_ON = f"[\x80-\xbf{''.join(WINDOWS.values())}]"  # what a byte of UTF-8 after the first became
MOJIBAKE = re.compile(f"(?:[\xc2-\xdf]{GOES_ON}|[\xe0-\xef]{GOES_ON}{{2}}|[\xf0-\xf4]{GOES_ON}{{3}})+")
INVISIBLE = {code: None for code in range(0x20000) if code not in (0x09, 0x0A) and unicodedata.category(chr(code)) == "Cc"}
INVISIBLE |= dict.fromkeys([  # joiners (U+200C, U+200D) and the selectors of emoji and Mongolian stay: scripts need them
    0xAD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F),
    *range(0x2060, 0x2070), 0x2800, 0x3164, 0xFEFF, 0xFFA0, *range(0xFFF0, 0xFFFC), 0xFFFE, 0xFFFF, *range(0x1BCA0, 0x1BCA4),
    *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)])
URL = re.compile(r"(?:https?:|(?<![:\w/]))//[\w-]+(?:\.[\w-]+)+(?::[0-5]?[0-9]{1,4}\b)?(?:[/?#][^\s<>\"|)\[\]}]*)?")
PROXIED = re.compile(r"//i([0-9a-f]+(?:o[0-9a-f]+)*)z\.oszar\.com")
STUMP = re.compile(r"//i[0-9a-f]{6}\S*$")  # a proxied link without its end: whole ones have been made direct
WHOLE = re.compile(r"(?:[.!?…。:)\]}\"'’”»|]|//[\w-]+(?:\.[\w-]+)+\S*)[ \t]*$")


def clean(text: str, note: Note) -> str:
    """The text with its mojibake, line ends, invisible characters and proxied links put right; each repair is noted."""
    text, repaired = repair(text)
    text = BLANK.sub("\n\n", LINE_ENDS.sub("\n", text))
    visible = text.translate(INVISIBLE)
    direct, links = PROXIED.subn(_host, visible)
    for count, what in ((repaired, "line{s} with mojibake repaired"), (len(text) - len(visible), "invisible character{s} removed"),
                        (links, "link{s} through a proxy made direct")):
        if count:
            note(f"{count} {what.format(s='s' * (count > 1))}")
    return direct


def repair(text: str) -> tuple[str, int]:
    """UTF-8 that was read as Latin-1 or Windows-1252 ("RocktÃ¤schel") put right, line by line, and the number of lines it was in.

    Three times at most: to go on while anything changes (as in "Ãƒƒƒƒ") would cost the square of its length.
    """
    if text.isascii():
        return text, 0
    from ftfy.badness import is_bad
    lines = text.split("\n")
    fixed = [line if line.isascii() else _decoded(line, is_bad).translate(WINDOWS) for line in lines]
    return "\n".join(fixed), sum(old != new for old, new in zip(lines, fixed, strict=True))


def one_line(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())


def links(text: str) -> tuple[str, ...]:
    """The addresses in the text, each once, in order; one that lost its scheme gets https."""
    if "//" not in text:
        return ()
    found = (address.group().rstrip(".,;:!?'*_") for address in URL.finditer(text))
    return tuple(dict.fromkeys(address if address.startswith("http") else f"https:{address}" for address in found))


def on_the_web(address: str) -> bool:
    """Whether the whole of it is an http or https address; javascript:, data: and paths are none."""
    return address.startswith("http") and bool(URL.fullmatch(address))


def cut_off(text: str) -> bool:
    """Whether a text stops in the middle: no line end after it, and no sentence, bracket or address that it ends with."""
    end = text[text.rfind("\n") + 1:][-2000:]
    return not text.endswith("\n") and (not WHOLE.search(end) or bool(STUMP.search(end)))


def prose(line: str) -> bool:
    """Whether a line is a paragraph of running text, as an abstract is."""
    if len(line) < 160:
        return False
    head = line[:2000]
    return sum(map(str.isalpha, head)) >= 0.6 * len(head) and head.count(" ") >= len(head) / 20


def _decoded(line: str, is_bad: Callable[[str], bool], rounds: int = 3) -> str:
    """The line read as UTF-8 where all of it can be, else the parts of it that are surely mojibake."""
    if not rounds or not MOJIBAKE.search(line) or not is_bad(line):
        return line
    decoded = _as_utf8(line) or MOJIBAKE.sub(lambda part: (is_bad(part[0]) and _as_utf8(part[0])) or part[0], line)
    return line if decoded == line else _decoded(decoded, is_bad, rounds - 1)


def _as_utf8(text: str) -> str | None:
    try:
        return text.translate(BYTES).encode("latin-1").decode()
    except UnicodeError:
        return None


def _host(proxied: re.Match) -> str:
    """Each label of the host's name stands in hexadecimal, with an o for each dot."""
    labels = [bytes.fromhex(label).decode("latin-1") if len(label) % 2 == 0 else "" for label in proxied[1].split("o")]
    plain = all(re.fullmatch(r"[a-z0-9-]+", label) for label in labels)
    return f"//{'.'.join(labels)}" if plain else proxied.group()
