"""How many mentions find their paper, how many of other papers are linked to one, and how fast.

    python benchmarks/recognise.py             the figures, on the two test sets
    python benchmarks/recognise.py --write     the same, into benchmarks/recognise.md
    python benchmarks/recognise.py --fit       the weights of recognise.py, from the tuning sets
    ... --truth FILE.tsv, with BAKEOFF_DIGESTS=FOLDER: the same on real digests, or with them, the file telling slug, digest and entry

`recognise/` holds texts written for the purpose by people who had not seen the profiles. described.jsonl: papers of the library told in
other words (`named`: with the method's name). others.jsonl: mentions of real papers that are not in it. tuning_*.jsonl: the same, by
others still, on which the weights were found. No text of the test sets had a part in that; a good half of their papers, though, are
also in the tuning sets, told by somebody else, and a third of the other papers are among those that bakeoff knows to be taken for ours.
"""

import argparse
import csv
import dataclasses
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse
from rapidfuzz import fuzz

from bakeoff import digests, profiles, recognise
from bakeoff.digests import Mention
from bakeoff.digests.merging import squash

HERE = Path(__file__).parent
CUTS = (60, 40, 25, 15)  # words


def lines(name: str) -> list[dict]:
    return [json.loads(line) for line in (HERE / "recognise" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def cut(text: str, count: int | None) -> str:
    """The first words of a text."""
    return " ".join(text.split()[:count])


def mention(one: dict) -> Mention:
    return Mention(entry=1, title=one.get("title"), authors=tuple(one.get("authors", ())), text=one["text"])


def described(ones: list[dict]) -> list[int]:
    """Of descriptions: how many there are, are linked rightly, of these doubtful, are linked wrongly, are not linked."""
    found = recognise.links(map(mention, ones))
    right = [link for link, one in zip(found, ones, strict=True) if link.slug == one["slug"]]
    none = sum(link.slug is None for link in found)
    return [len(ones), len(right), sum(link.doubtful for link in right), len(ones) - len(right) - none, none]


def unknown(ones: list[dict]) -> list[int]:
    """As `others`, but each with the profile that its own paper has among the papers that are taken for ours taken out."""
    known = recognise._likeness()
    told = [[squash(one.title), *map(squash, one.names)] for one in known.others]

    def own(one: dict) -> list[int]:
        """Where in `others` the paper is that a mention is of."""
        name = squash(one["of"])
        return [at for at, texts in enumerate(told) if any(len(text) > 3 and (text in name or fuzz.ratio(text, name) > 80)
                                                            for text in texts)]

    rows = known.other_rows
    try:
        found = []
        for one in ones:
            kept = np.ones(rows.shape[0])
            kept[own(one)] = 0
            known.other_rows = scipy.sparse.diags(kept) @ rows
            recognise._made.cache_clear()  # the links made with all of them
            found += recognise.links([Mention(entry=1, text=one["text"])])
    finally:
        known.other_rows = rows
        recognise._made.cache_clear()
    linked = [link for link in found if link.slug]
    return [len(ones), len(linked), sum(not link.doubtful for link in linked)]


def others(ones: list[dict]) -> list[int]:
    """Of mentions of other papers: how many there are, are linked, are linked without doubt."""
    found = [link for link in recognise.links(map(mention, ones)) if link.slug]
    return [len(ones), len(found), sum(not link.doubtful for link in found)]


def heading(title: str, *columns: str) -> list[str]:
    return ["", f"## {title}", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


def quality() -> list[str]:
    out = heading("Papers of the library, told in other words",
                  "texts", "number", "linked rightly", "of these doubtful", "linked to another", "not linked", "share right")
    for name, wanted in (("test", "described"), ("tuning", "tuning_described")):
        ones = lines(wanted)
        shorter = [(f"the first {count} words", [{**one, "text": cut(one["text"], count)} for one in ones]) for count in CUTS]
        for part, chosen in (("all", ones), ("with the method's name", [one for one in ones if one["named"]]),
                             ("without it", [one for one in ones if not one["named"]]), *(shorter if name == "test" else ())):
            count = described(chosen)
            out.append(f"| {name}, {part} | {' | '.join(map(str, count))} | {count[1] / count[0]:.1%} |")
    out += heading("Mentions of papers that are not in it", "texts", "number", "linked", "linked without doubt", "share linked")
    for name, wanted in (("test", "others"), ("tuning", "tuning_others")):
        ones = lines(wanted)
        bare = [{"text": one["text"], "of": one["of"]} for one in ones]
        for part, chosen in (("all", ones), ("without a title", [one for one in ones if not one["title"]]),
                             ("with title and authors", [one for one in ones if one["title"]]), ("the text alone", bare)):
            count = others(chosen)
            out.append(f"| {name}, {part} | {' | '.join(map(str, count))} | {count[1] / count[0]:.1%} |")
    count = unknown(lines("others"))
    out.append(f"| test, the text alone, its paper never heard of | {' | '.join(map(str, count))} | {count[1] / count[0]:.1%} |")
    return out


def real(truth: Path) -> list[tuple[Mention, str]]:
    """The mentions of the digests in BAKEOFF_DIGESTS, each with its slug."""
    with truth.open(encoding="utf-8", newline="") as rows:
        known = {(row["digest"], int(row["entry"])): row["slug"] for row in csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE)}
    files = sorted(Path(os.environ["BAKEOFF_DIGESTS"]).iterdir())
    return [(one, known[file.name, one.entry]) for file in files for one in digests.read(file).mentions]


def digests_read(truth: Path) -> list[str]:
    """Real digests: as they are, and with titles, authors and arXiv ids taken away, so that only the text can tell."""
    ones = real(truth)
    bare = [(dataclasses.replace(one, title=None, arxiv=None, authors=()), slug) for one, slug in ones]
    out = heading("Real digests", "mentions", "number", "linked rightly", "of these doubtful", "linked to another")
    for name, part in (("as they are", ones), ("their texts alone", bare)):
        found = recognise.links(one for one, _ in part)
        right = [link for link, (_, slug) in zip(found, part, strict=True) if link.slug == slug]
        wrong = sum(link.slug not in (None, slug) for link, (_, slug) in zip(found, part, strict=True))
        out.append(f"| {name} | {len(part)} | {len(right)} | {sum(link.doubtful for link in right)} | {wrong} |")
    return out


def speed() -> list[str]:
    texts = [one["text"] for name in ("described", "others") for one in lines(name)]
    recognise.links([Mention(entry=1, text=texts[0])])
    rng = random.Random(0)
    many = [Mention(entry=1, text=f"{rng.choice(texts)} {rng.choice(texts)}") for _ in range(3000)]
    started = time.process_time()
    recognise.links(many)
    rate = len(many) / (time.process_time() - started)
    with tempfile.TemporaryDirectory() as home:
        os.environ["BAKEOFF_HOME"] = home
        files = pages(Path(home), texts, days=500, entries=10)
        some, rest = files[:300], files[300:]
        read_some, read_rest = (seconds("read", *map(str, part)) for part in (some, rest))
        searched = min(seconds("list", "learn from a fixed batch without exploring") for _ in range(3))
    words = sum(len(one.text.split()) for one in many) // len(many)
    return ["", "## Speed", "", f"One core, this run. Linking by text alone: {rate:,.0f} mentions a second (texts of {words} words).",
            f"Reading {len(some)} hot-papers pages of 10 papers each into an empty store: {read_some:.1f} s; "
            f"{len(rest)} more: {read_rest:.1f} s.",
            f"`bakeoff list QUERY` with {len(files) * 10:,} papers stored: {searched:.2f} s, the start of the command included."]


def pages(folder: Path, texts: list[str], days: int, entries: int) -> list[Path]:
    """Hot-papers pages of made-up papers: words of the texts in an order of their own."""
    rng = random.Random(0)
    words = [word for text in texts for word in text.split()]
    files = []
    for day in range(days):
        parts = [f"---\ntitle: Hot Papers 2022-{day // 28 % 12 + 1:02}-{day % 28 + 1:02}\n---\n"]
        for at in range(1, entries + 1):
            title, text = " ".join(rng.choices(words, k=8)), " ".join(rng.choices(words, k=180))
            parts.append(f"# {at}. {title}\n\nAnn Bee\n\n- retweets: {at}, favorites: 1\n\n"
                         f"- links: [abs](https://arxiv.org/abs/2201.{day * entries + at:05})\n\n{text}.\n\n")
        files.append(folder / f"{day:03}.md")
        files[-1].write_text("\n".join(parts), encoding="utf-8")
    return files


def seconds(*words: str) -> float:
    import subprocess
    command = [str(Path(sys.executable).parent / "bakeoff"), *words]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def fit(truth: Path | None) -> list[float]:
    """b0 ... b3 by logistic regression on the tuning sets, whole and cut to their first words, and on the texts of real digests where
    these are given. A text of a paper of ours counts once more as another paper's, with its own taken out of the library. A wrong
    link weighs as much as two that are missed.
    """
    from sklearn.linear_model import LogisticRegression
    whole = [{"slug": slug, "text": one.text[:recognise.LONGEST]} for one, slug in (real(truth) if truth else ())]
    ours = [{**one, "text": cut(one["text"], count)} for one in lines("tuning_described") for count in (None, *CUTS[:2])] + whole
    theirs = [{"text": cut(one["text"], count)} for one in lines("tuning_others") if not one["title"] for count in (None, *CUTS[:2])]
    known = recognise._likeness()
    slugs = [one.slug for one in known.ours]

    def features(ones: list[dict], *, without: bool = False) -> tuple[np.ndarray, list[str]]:
        vectors = known.vectoriser.transform([one["text"] for one in ones])
        alike, other = (vectors @ known.rows.T).toarray(), (vectors @ known.other_rows.T).toarray().max(1)
        if without:
            alike[np.arange(len(ones)), [slugs.index(one["slug"]) for one in ones]] = 0
        best = alike.argmax(1)
        by = [recognise._by(mention(one), known.ours[at]) for one, at in zip(ones, best, strict=True)]
        return np.c_[alike.max(1), alike.max(1) - other, by], [slugs[at] for at in best]

    rows, found = features(ours)
    right = [slug == one["slug"] for slug, one in zip(found, ours, strict=True)]
    x = np.r_[rows[right], features(theirs)[0], features(ours, without=True)[0]]
    y = np.r_[np.ones(sum(right)), np.zeros(len(x) - sum(right))]
    found = LogisticRegression(C=100, class_weight={0: 2, 1: 1}).fit(x, y)
    return [*found.intercept_.tolist(), *found.coef_[0].tolist()]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--truth", type=Path)
    arguments = parser.parse_args()
    if arguments.fit:
        print([round(weight, 2) for weight in fit(arguments.truth)])
        return 0
    near = sum(map(len, profiles.near().values()))
    out = ["# Recognising papers", "", "Made by `python benchmarks/recognise.py --write`; the file says how.", "",
           f"{len(profiles.profiles())} papers with profiles, and {near} that are taken for them.", *quality(),
           *(digests_read(arguments.truth) if arguments.truth else ()), *speed()]
    print("\n".join(out))
    if arguments.write:
        (HERE / "recognise.md").write_text("\n".join(out) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
