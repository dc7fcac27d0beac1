"""Digests that mean harm: pages of every form with attacks in them, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bakeoff import catalogue

CANARY = "zqcanary"  # stands in whatever would run or act, and is looked for where things run and act
FORMS = ("hot_papers", "hugging_face", "short_science", "abstracts")
SENTENCES = """Small networks forget what they have learnt when the task changes under them.
We keep a handful of old examples, chosen so that their mean stays close to the mean of all that was seen.
Accuracy on the first task falls by two points after ten further tasks (plain training loses forty).
Picking a step size by hand costs more runs than training itself.
On six problems the result is as good as the best of thirty fixed step sizes, at https://example.org/steps.
Molecules are drawn as graphs, yet chemists speak of them in names.
Our reader turns names into graphs by a grammar whose weights $w_1, ..., w_n$ are learnt from pairs.
It says so when a name is ambiguous instead of guessing at one of its meanings.
The proof bounds the regret by $O(\\sqrt{T})$ and needs no convexity.
Policies trained on fixed data choose actions that the data never show, and are wrong about them.""".splitlines()
WORDS = ("deep", "off-policy", "learning", "with", "small", "graphs", "and", "certified", "steps", "for", "the", "naïve", "agents")
NAMES = ("Ana Lucía Núñez", "山田 太郎", "Олег Иванов", "John Smith, Jr.", "Bo Li", "Mary O'Neil", "محمد علي", "Łukasz Żak")
CONTROLS = (
    "\x1b[31m", "\x1b]0;title\x07", "\x1b[2J\x1b[H", "\x9b1m", "\b\b\b", "\x7f", "\x85", "\x0b", "\x0c", "\x1c\x1d\x1e\x1f", "\t", "\a",
    "\x1b]8;;javascript:zqcanary()\x1b\\x\x1b]8;;\x1b\\")
TURNS = ("\u202e", "\u202d", "\u202a", "\u202b", "\u2066", "\u2067", "\u2068", "\u2069", "\u200e", "\u200f", "\u061c", "â€®", "â\x80®")
HIDDEN = (
    "\u200b", "\u2060", "\ufeff", "\xad", "\u034f", "\u3164", "\u115f", "\u180e", "\U000e0041", "\U000e0101", "\ufff9", "\u2800", "\ufffe",
    "\U0001d173", "\u200d", "\u200c", "\ufe0f", "\U0010ffff", "\ue000", "\u0338", "a" + "\u0301" * 9)
MARKUP = (
    "<script>zqcanary()</script>", "</title><script>zqcanary()</script>", "<img src=x onerror=zqcanary()>", "<svg/onload=zqcanary()>",
    "<zqcanary>", "'\"><iframe src=javascript:zqcanary()>", "\" onmouseover=\"zqcanary()", "' onfocus='zqcanary()' autofocus='",
    "<style>*{x:zqcanary}</style>", "<!-- zqcanary", "--><script>zqcanary()</script>", "]]><script>zqcanary()</script>",
    "<a href=javascript:zqcanary()>x</a>", "<base href=//zqcanary>", "<form action=//zqcanary>",
    "<meta http-equiv=refresh content=0;url=//zqcanary>", "&lt;script&gt;zqcanary()&lt;/script&gt;", "<\x00script>zqcanary()",
    "<scr\u200bipt>zqcanary()</scr\u200bipt>", "＜script＞zqcanary()", "{{ zqcanary }}", "{% include 'zqcanary' %}", "${zqcanary}",
    "<?php zqcanary() ?>", "<math><mtext></p><style><img src=zqcanary onerror=zqcanary()>", "\\u003cscript\\u003ezqcanary()",
    "<object data=zqcanary>", "`zqcanary`")
MARKDOWN = (
    "[x](javascript:zqcanary())", "[x](data:text/html,zqcanary)", "![zqcanary](http://a.b/c.png)", "[x]: javascript:zqcanary",
    "# 1. zqcanary", "\n# 7. zqcanary\n", "\n- links: [abs](javascript:zqcanary)\n", "\n[link]\n", "```\nzqcanary", "~~~",
    "| zqcanary | zqcanary |\n|---|---|", "***", "<https://zqcanary.org>", "\n---\ntitle: Hot Papers zqcanary\n---\n",
    "- [zqcanary](vbscript:zqcanary)", "![](", "\n![]() |\n", "[[zqcanary]]")
LINKS = (
    "javascript:zqcanary", "JaVaScRiPt:zqcanary", "java\tscript:zqcanary", "data:text/html;base64,zqcanary", "vbscript:zqcanary",
    "file:///etc/passwd", "https://user:pass@zqcanary.org", "//zqcanary.org/x", "http://", "https:///zqcanary", "https://zqcanary",
    "ftp://zqcanary.org", "mailto:a@zqcanary.org", "https://a.org/\"onclick=zqcanary", "https://a.org/<script>zqcanary",
    "javascript:https://a.org/zqcanary", "\u202ehttps://a.org/zqcanary", "https://arxiv.org/abs/٢٠٠٦.٠٩٦٦١",
    "https://arxiv.org/abs/../../zqcanary", "https://a.org/" + "%2e%2e/" * 9, "https://ａ.org/zqcanary", "blob:https://a.org/zqcanary",
    "http://[::1]/zqcanary", "http://1.2.3.4:99999/zqcanary", "https://a.org/zqcanary#//i6a6fz.oszar.com")
PATHS = (
    "../../../../etc/passwd", "C:\\Windows\\System32\\zqcanary", "/dev/null", "~/.ssh/id_rsa", "CON", "..", ".", "a/../../b",
    "\\\\host\\share", "papers/../index.html", "%2e%2e%2f", "x" * 300, "sqlite:////tmp/zqcanary", "-rf", "--help",
    "'; DROP TABLE digests; --", "$(zqcanary)", "`zqcanary`", "|zqcanary")
FORMULAS = (
    "=cmd|'/C calc'!A0", "+1+cmd|'/C calc'!A0", "-2+3", "@SUM(1+9)", "=HYPERLINK(\"http://a.b\",\"x\")", "\t=1+1", ",=1+1", "\"=1+1",
    "\",\"=1+1", ";=1+1")
NUMBERS = (
    "9" * 40, "9" * 400, "9," * 60, "-1", "1e999", "NaN", "Infinity", "0x7fffffff", "٣٤٥", "²³", "1" * 5000, "00000000",
    "18446744073709551616", "𝟗𝟗", "½")
SURROGATES = (
    "\ud800", "\udfff", "\ud83d\udd25", "\\ud800", "\\udc00\\ud800", "&#xD800;", "%ED%A0%80", "í\xa0\x80", "\\x00", "&#0;", "\\u202e",
    "&#8238;")
MOJIBAKE = (
    "RocktÃ¤schel", "Donâ€™t", "ðŸ”¥", "Ãƒ" + "ƒ" * 90, "ÃƒÆ’Ã‚Â©", "Ã" * 40, "â€" * 40, "Ãƒƒƒ" * 40, "É» " * 20, "å±±ç”°", "à€€" * 20,
    "Ð\x9fÑ\x80", "ï»¿", "Â\xa0", "Ã ")
SCRIPTS = (
    "Привет мир", "山田太郎の論文", "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया", "می‌خواهم", "👩‍👩‍👧‍👦🏳️‍🌈", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "ﷺ", "ǅ", "ß",
    "İstanbul", "ｆｕｌｌ", "Ｚ͑ͫ̓ͪ̂ͫ̽͏̴", "ไทย", "ᠮᠣᠩᠭᠣᠯ")
OPENERS = (
    "[", "(", "{", "<", "<div>", "<b><i>", ">", "> ", "- ", "  * ", "\"", "“", "**", "`", "![", "](", "[x](", "<blockquote>", "$\\frac{",
    "\\left(", "<!--", "((", "{{", "#", "# ")
UNITS = (  # each repeats what one expression of the readers has repeated in it
    "# 1. ", "# 1.", "\n# 1", "\n#", "\n# 12. t", "- retweets: ", "9,", "- retweets: 1,", "arxiv.org/abs/", "arxiv.org/abs/a-", "a-", "](",
    "](a", "[(", "[a", "[a.", "[a](", "<", "<a\n", "<blockquote", ", ", ", Jr", "a, Jr", ",  ", "//", "//a.", "//a.b", "//a-", "https:",
    "https://a-", "http://a.b/", "a.", "//i0o", "//i00", "//i", "0o", "//i0z.oszar.co", "//i6162z.oszar.com/", "//i000000", ". ", ".\t",
    "…", "!", "1", "1 author ", "\n1 comment", "\nJan 1", "\nnew", "- 1 -\n", "![]()", "![]() ", "![", "![](", "![](|", "|", "| ", "\n| |",
    "1 Comments ", "\n[link]", "[link]", "Ãƒƒ", "É» ", "Ã©\n", "â€", "\r", "\r\n", "\n\r", "\u2028", "\x0b", " ", "\t", "\u3000", "\xa0",
    "\n", "\n \n", "a\n", "A b. ", "word ", "- [", "- [a", "\n- [a](b) | ", "\n- links: [a](http://a.b/", "\n- links: ](", "et al. ",
    "We propose ", "proposed by ", "(", "'", "a’", "_", "-", "e\u0301", "ﷺ", "ŉ", "\u0390")


@dataclass(frozen=True)
class Hostile:
    """A digest that means harm: the form it imitates, what is done to it, and its bytes."""

    form: str
    attack: str
    content: bytes


def of(*choices: tuple[str, ...]) -> Callable[[Random, int], str]:
    """Some of the pieces one after another, up to a number of characters."""
    pieces = [piece for one in choices for piece in one]

    def make(rng: Random, size: int) -> str:
        made = rng.choice(pieces)
        while len(made) < size:
            made += rng.choice(("", " ", "a", ". ")) + rng.choice(pieces) * min(rng.choice((1, 1, 1, 2, 9)), size)
        return made

    return make


def nested(rng: Random, size: int) -> str:
    """One thing opened over and over."""
    opener = rng.choice(OPENERS)
    return opener * (size // len(opener) + 1)


def repeated(rng: Random, size: int) -> str:
    """What an expression of the readers repeats, repeated, with something after it that it does not expect."""
    unit = rng.choice(UNITS)
    return unit * (size // len(unit) + 1) + rng.choice(("", "", "x", "!", "\n", " ", ")", "|", "\u202e"))


def known(rng: Random, size: int) -> str:
    """Names of the library's papers among the words that the recognition looks for."""
    papers = list(catalogue.entries().values())
    made = ""
    while len(made) < size:
        paper = rng.choice(papers).paper
        name = rng.choice((paper.title, *paper.also, paper.authors[0].split()[-1] + " et al."))
        made += rng.choice(("We propose ", "the proposed model called ", "proposed by ", "introduced (", "")) + name + rng.choice((". ",
                                                                                                                                   " ",
                                                                                                                                   "-",
                                                                                                                                   "\n",
                                                                                                                                   ")"))
    return made


def anything(rng: Random, size: int) -> str:
    """Any characters at all."""
    planes = ((0, 0x80), (0x80, 0x250), (0x2000, 0x2070), (0x250, 0xFFFF), (0x10000, 0x10FFFF))
    return "".join(chr(rng.randrange(*rng.choice(planes))) for _ in range(min(size, 20_000)))


FIELDS: dict[str, Callable[[Random, int], str]] = {
    "markup": of(MARKUP), "Markdown": of(MARKDOWN, LINKS), "links": of(LINKS), "paths": of(PATHS), "formulas": of(FORMULAS),
    "controls": of(CONTROLS),
    "direction": of(TURNS), "invisible": of(HIDDEN), "numbers": of(NUMBERS), "surrogates": of(SURROGATES), "mojibake": of(MOJIBAKE),
    "scripts": of(SCRIPTS),
    "nesting": nested, "repetition": repeated, "long words": lambda rng, size: rng.choice("aé山_'/.=-") * (size * 4), "known names": known,
    "any characters": anything,
    "all at once": of(MARKUP, MARKDOWN, LINKS, PATHS, FORMULAS, CONTROLS, TURNS, HIDDEN, NUMBERS, MOJIBAKE, SCRIPTS)}


def truncated(rng: Random, page: bytes) -> bytes:
    return page[:rng.randrange(len(page))]


def line_ends(rng: Random, page: bytes) -> bytes:
    ends = [b"\n", b"\r", b"\r\n", b"\n\r", b"\x0b", b"\x0c", "\u2028".encode(), "\u2029".encode(), "\x85".encode(), b"\r\r\n", b"\n\n",
            b" \n\t"]
    one = rng.choice(ends)
    return b"".join(line + (one if rng.random() < 0.9 else rng.choice(ends)) for line in page.split(b"\n"))


def bad_bytes(rng: Random, page: bytes) -> bytes:
    bad = rng.choice((b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\x80", b"\0", b"\xf4\x90\x80\x80",
                      b"\xef\xbb\xbf", b"\xfe\xff"))
    at = rng.choice((0, len(page), rng.randrange(len(page))))
    return page[:at] + bad + page[at:]


def changed_bytes(rng: Random, page: bytes) -> bytes:
    made = bytearray(page)
    for _ in range(rng.choice((1, 2, 5, 20))):
        made[rng.randrange(len(made))] = rng.choice((rng.randrange(1, 128), rng.randrange(1, 128), rng.randrange(256)))
    return bytes(made)


def moved_lines(rng: Random, page: bytes) -> bytes:
    lines = page.split(b"\n")
    for _ in range(rng.choice((1, 2, 5))):
        change, at = rng.randrange(4), rng.randrange(len(lines))
        if change == 0 and len(lines) > 1:
            del lines[at]
        elif change == 1:
            lines.insert(rng.randrange(len(lines)), lines[at])
        elif change == 2:
            lines[at:at + 1] = [lines[at], b""] * rng.choice((1, 3, 50))
        else:
            lines[at] = lines[at] + b" " + lines[rng.randrange(len(lines))]
    return b"\n".join(lines)


def entries_twice(rng: Random, page: bytes) -> bytes:
    return page.rstrip(b"\n") + b"\n\n" + page[page.find(b"\n") + 1:] * rng.choice((1, 2, 9))


def emptied(rng: Random, page: bytes) -> bytes:
    return b"\n".join(line if rng.random() < 0.7 else line[:rng.choice((0, 1, 4, 9))] for line in page.split(b"\n"))


def one_line(rng: Random, page: bytes) -> bytes:
    return page.replace(b"\n", rng.choice((b" ", b"", b"\t")))


PAGES: dict[str, Callable[[Random, bytes], bytes]] = {
    "truncation": truncated, "line ends": line_ends, "bad bytes": bad_bytes, "changed bytes": changed_bytes, "moved lines": moved_lines,
    "entries twice": entries_twice, "empty entries": emptied, "one line": one_line}


def hostile(seed: int) -> Hostile:
    """One of endlessly many: mostly 0.2 to 4 kB, one in five hundred large."""
    rng = Random(seed)
    size = int(10 ** rng.uniform(0.3, 2.6)) if rng.random() > 0.002 else int(10 ** rng.uniform(4, 5.7))
    form, attack = rng.choice((*FORMS, "mixed")), rng.choice((*FIELDS, *FIELDS, *PAGES))
    harm = FIELDS.get(attack) or rng.choice(list(FIELDS.values()))
    pages = [page(rng, one, harm, size) for one in ((form,) if form in FORMS else rng.sample(FORMS, 2))]
    content = "\n".join(pages).encode("utf-8", "surrogatepass")
    return Hostile(form, attack, PAGES[attack](rng, content) if attack in PAGES else content)


def page(rng: Random, form: str, harm: Callable[[Random, int], str], size: int) -> str:
    """A page of one form that looks real, with harm in one or several fields of one entry."""
    entries = [entry(rng) for _ in range(rng.choice((1, 1, 2, 3)))]
    victim = rng.choice(entries)
    for field in rng.sample(sorted(victim), rng.choice((1, 1, 2, 6))):
        victim[field] = rng.choice((put, put, put, replace))(rng, victim[field], harm(rng, size), field)
    return WRITERS[form](entries)


def put(rng: Random, text: str, harm: str, field: str) -> str:
    at = len(text) if len(harm) > 200 and field == "text" else rng.choice((0, len(text), rng.randrange(len(text) + 1)))
    return text[:at] + harm + text[at:]


def replace(rng: Random, text: str, harm: str, field: str) -> str:
    return f"{text} {harm}." if field == "text" else harm


def entry(rng: Random) -> dict[str, str]:
    """One paper, as real digests have them."""
    number = f"{rng.randint(1000, 2999)}.{rng.randint(10000, 99999)}"
    return {"title": " ".join(rng.choices(WORDS, k=rng.randint(3, 9))).capitalize(),
            "authors": ", ".join(rng.sample(NAMES, rng.randint(1, 4))), "link": f"https://arxiv.org/abs/{number}",
            "category": rng.choice(("cs.LG", "stat.ML", "physics.chem-ph")), "popularity": f"{rng.randint(0, 9999):,}",
            "text": " ".join(rng.sample(SENTENCES, rng.randint(4, 7)))}


def _hot_papers(entries: list[dict[str, str]]) -> str:
    return "---\ntitle: Hot Papers 2024-02-30\n---\n\n" + "\n\n".join(
        f"# {at}. {one['title']}\n\n{one['authors']}\n\n- retweets: {one['popularity']}, favorites: 35 (03/01/2024 10:09:49)\n\n"
        f"- links: [abs]({one['link']}) | [pdf](https://arxiv.org/pdf/2402.12375)\n"
        f"- [{one['category']}](https://arxiv.org/list/cs.LG/recent)\n\n{one['text']}\n\n"
        f"<blockquote class=\"twitter-tweet\"><p>tweet</p></blockquote>\n<script async src=\"https://platform.example.org/w.js\"></script>\n"
        for at, one in enumerate(entries, 1))


def _hugging_face(entries: list[dict[str, str]]) -> str:
    return "new\n\nGet trending papers in your email inbox!\n\nSubscribe\n\nJun 3\n\n" + "\n\n".join(
        f"{one['title']}\n\n{one['text']} {one['link']} .\n\n{one['popularity']} comments" for one in entries) + "\n"


def _short_science(entries: list[dict[str, str]]) -> str:
    return "![]() |\nWelcome to ShortScience.org! |\n![]() ![]() ![]() |\n" + "".join(
        f"[link]\n{one['title']} {one['text']} {one['link']} ![]() |\n{one['popularity']} Comments\n" for one in entries)


def _abstracts(entries: list[dict[str, str]]) -> str:
    return "".join(f"{one['text']} {one['text']} {one['link']}\n" for one in entries)


WRITERS = {"hot_papers": _hot_papers, "hugging_face": _hugging_face, "short_science": _short_science, "abstracts": _abstracts}


PROSE = " ".join(SENTENCES)
FACE = f"Get trending papers in your email inbox!\nA title\n{PROSE}\n"


LARGE: dict[str, Callable[[int], str]] = {  # pages of about so many bytes, each of one thing that could take long
    "one line of prose": lambda size: PROSE * (size // len(PROSE)),
    "one word": lambda size: "[link]\n" + "a" * size,
    "short lines": lambda size: "[link]\n" + "a\n" * (size // 2),
    "short lines without a form": lambda size: "ab\n" * (size // 3),
    "page furniture": lambda size: FACE + "12 comments\n" * (size // 12),
    "headings": lambda size: "# 1. t\n" * (size // 7) + "- links: [a](http://a.b)\n",
    "short entries": lambda size: "# 1. t\n- links: [a](http://a.b)\n" * (size // 32),
    "separators": lambda size: "[link]\na\n" * (size // 9),
    "one title by many groups": lambda size: "".join(
        f"# 1. A title\n{', '.join(f'A{at}b{other}' for other in range(99))}\n- links: [a](http://a.b)\n" for at in range(size // 850)),
    "abstracts all alike": lambda size: f"{PROSE[:300]}.\n" * (size // 302),
    "abstracts nearly alike": lambda size: "".join(f"{PROSE[:200]} {at}{at * at} {PROSE[200:400]}.\n" for at in range(size // 415)),
    "links": lambda size: "[link]\n" + "".join(f"http://a{at}.org " for at in range(size // 17)),
    "authors": lambda size: "# 1. t\n" + "a, " * (size // 3) + "\n- links: [a](http://a.b)\n",
    "categories": lambda size: "# 1. t\n- links: [a](http://a.b)\n- " + "".join(f"[c{at}](x)" for at in range(size // 11)),
    "digits": lambda size: f"# 1. t\n- retweets: {'9' * size}, favorites: 1\n- links: [a](http://a.b)\n",
    "known names": lambda size: "[link]\n" + known(Random(0), size),
    "mojibake of mojibake": lambda size: "[link]\nÃ" + "ƒ" * (size // 2),
    "mojibake in groups": lambda size: "[link]\n" + "Ãƒƒƒ" * (size // 8),
    "mojibake a line": lambda size: "[link]\n" + "Ã©\n" * (size // 5),
    "combining marks": lambda size: "[link]\na" + "\u0301" * (size // 2),
    "letters that grow": lambda size: "[link]\n" + "ﷺ" * (size // 3),
    "direction overrides": lambda size: "[link]\n" + "\u202e" * (size // 3) + "a",
    "Chinese": lambda size: "[link]\n" + "山田太郎。" * (size // 15)}


def repetitions(size: int) -> dict[str, str]:
    """Pages of about so many bytes with one unit over and over, in three places."""
    made = {}
    for unit in UNITS:
        many = unit * (size // len(unit.encode())) + "x"
        made |= {f"{unit!a} in a summary": f"[link]\nText {many}", f"{unit!a} between papers": f"{FACE}{many}\n{PROSE}\n",
                 f"{unit!a} in a hot paper": f"# 1. t\n- links: [a](http://a.b) {many}\n"}
    return made
