"""Words and numbers as the pages show them; text from outside is cleaned here, and nowhere trusted."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

KEPT = {0x09, 0x0A}  # tab and newline
UNSEEN = (range(0x20), range(0x7F, 0xA0), (0x061C, 0x200E, 0x200F), range(0x2028, 0x202F), range(0x2066, 0x206A), (0xFEFF, 0xFFFE, 0xFFFF),
          range(0xD800, 0xE000), range(0xE0000, 0xE0080))  # control, direction overrides, surrogates, tags
REMOVED = {code: None for codes in UNSEEN for code in codes if code not in KEPT}
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def clean(value):
    """The same text, or the same lists and dictionaries of text, without control and direction characters."""
    if isinstance(value, str):
        return value.translate(REMOVED) if type(value) is str else value  # markup of our own stays markup
    if isinstance(value, dict):
        return {clean(key): clean(inside) for key, inside in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(inside) for inside in value]
    return value


def real(value) -> float | None:
    """A finite number, or None for everything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e150 and math.isfinite(value):
        return float(value)
    return None


def number(value, *, sign: bool = False, digits: int = 4) -> str:
    """Four digits that matter: 0.1234, 31.07, 12,346, 1.2·10⁻⁵; an en dash where there is no number."""
    if (value := real(value)) is None:
        return "–"
    plain = f"{abs(value):,.0f}" if 10 ** digits <= abs(value) < 1e9 else f"{abs(value):.{digits}g}"
    if "e" in plain:
        head, _, power = plain.partition("e")
        plain = f"{head}·10{str(int(power)).translate(RAISED)}"
    return ("−" if value < 0 else "+" if sign and value > 0 else "") + plain


def ends(low: float | None, high: float | None) -> tuple[str, str]:
    """The two ends of an interval; an end that is not there yet is infinite."""
    return "−∞" if low is None else number(low, sign=True), "+∞" if high is None else number(high, sign=True)


def duration(seconds) -> str:
    """Seconds below a hundred, then minutes, then hours."""
    seconds = real(seconds) or 0.0
    if seconds < 99.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def arxiv_link(number) -> str | None:
    """The address of an arXiv number such as 2006.09661 or cs/0112017."""
    good = isinstance(number, str) and re.fullmatch(r"(\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7})(v\d+)?", number, re.A)
    return f"https://arxiv.org/abs/{number}" if good else None


def web_links(links: Iterable[str]) -> dict[str, str]:
    """The first http or https address of each host, by the host's name; everything else is no link."""
    found: dict[str, str] = {}
    for link in links:
        if re.fullmatch(r"https?://[\w.-]+(:\d+)?([/?#][^\s\"'<>\\]*)?", link, re.A) and clean(link) == link and len(link) < 2000:
            found.setdefault(urlsplit(link).hostname.removeprefix("www."), link)
    return found


def cut(text: str, most: int) -> str:
    """The text on one line, an ellipsis for what is beyond the length."""
    text = " ".join(clean(text[:20 * most]).split())
    return text if len(text) <= most else f"{text[:most - 1].rstrip()}…"


def page_name(slug: str) -> str:
    """The file name of a paper's page: the slug where that is a plain word, else what is plain in it and a hash."""
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,99}", slug):
        return f"{slug}.html"
    plain = re.sub(r"[^a-z0-9_-]+", "-", slug.lower())[:60].strip("-")
    return f"{plain}-{hashlib.sha256(slug.encode('utf-8', 'replace')).hexdigest()[:10]}.html"
