"""Made-up papers and results, and a parser of pages."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from bakeoff import verdicts
from bakeoff.catalogue import Entry
from bakeoff.claim import Claim, Drawing, Paper, pair_seed

CARD = """{name}: an idea in one sentence.

Somebody. 2026.

Method: values are summed,

    s = x_1 + ... + x_n                    (eq. 1)

and that is all.

Departures: n is small.

Out of reach: everything else.
"""


def make_entry(slug="sums", area="fields", *, data="china", better="higher", **paper) -> Entry:
    paper = {"title": f"A paper on {slug}", "authors": ("Ada", "Grace"), "year": 2026, "venue": "ICML", "arxiv": "2601.00001", **paper}
    claim = Claim(says="sums beat products by 3 dB", data=data, metric="psnr", unit="dB", better=better, margin=1.0, equal="steps",
                  steps={"smoke": 2, "quick": 400, "full": 15000})
    return Entry(slug, area, Path("/nowhere") / f"{slug}.py", CARD.format(name=slug.title()), Paper(**paper), claim, ("Sums", "add"))


def make_trial(arm, seed, value, **more) -> dict:
    failed = value is None
    return {"arm": arm, "seed": seed, "status": "error" if failed else "done", "value": value,
            "measures": {} if failed else {"psnr": value, "sharpness": value / 2}, "curve": [[1, 8.0], [200, 4.0], [400, 2.0]],
            "seconds": 1.5, "spent": 400, "error": "Traceback:\n  line 3\nValueError: it broke" if failed else "", "drawings": [], **more}


def make_result(slug="sums", treatment=(31.0, 33.0, 32.0), control=(28.0, 29.0, 30.0), *, better="higher", decision=None, **more) -> dict:
    """A result as the engine gives it, with its verdict."""
    seeds = [pair_seed(0, pair) for pair in range(len(treatment))]
    pairs = list(zip(treatment, control, strict=True))
    differences = [a - b for a, b in pairs if None not in (a, b)]
    verdict = verdicts.judge(differences, margin=1.0, better=better)
    trials = [make_trial(arm, seed, value) for seed, pair in zip(seeds, pairs, strict=True)
              for arm, value in zip(("treatment", "control"), pair, strict=True)]
    numbers = [verdict.estimate, *verdict.interval]
    estimate, *interval = (number if np.isfinite(number) else None for number in numbers)
    return {"slug": slug, "title": f"A paper on {slug}", "budget": "quick", "seed": 0, "decision": decision or verdict.decision,
            "estimate": estimate, "interval": interval, "pairs": verdict.pairs, "failed": len(pairs) - len(differences), "unit": "dB",
            "metric": "psnr", "better": better, "margin": 1.0, "equal": "steps", "data": "china", "code": "c", "data_hash": "d",
            "seconds": 1.5 * len(trials), "treatment": list(treatment), "control": list(control), "seeds": seeds, "trials": trials, **more}


def drawn(result: dict) -> dict:
    """The same result, whose first pair drew a picture and molecules."""
    for trial, shade, smiles in zip(result["trials"][:2], (0.2, 0.8), ("c1ccccc1O", "CCO"), strict=True):
        trial["drawings"] = [vars(Drawing.picture("reconstruction", np.full((6, 8, 3), shade))), vars(Drawing.molecules("found", [smiles]))]
    return result


def make_read(slug=None, status=None, *days, **more) -> dict:
    """A paper on the shelf; `days` are (day, retweets, favourites), one for each mention."""
    mentions = [{"file": f"/home/me/{day}.md", "entry": at, "day": day, "popularity": {"retweets": retweets, "favourites": favourites}}
                for at, (day, retweets, favourites) in enumerate(days, 1)] or [
                    {"file": "/home/me/notes.txt", "entry": 7, "day": None, "popularity": None}]
    return {"title": f"On {slug}", "authors": None, "arxiv": None, "slug": slug, "status": status, "confidence": 1.0, "doubtful": False,
            "settled": False, "because": [], "nearest": None, "text": None, "links": None, "categories": None,
            "popularity": mentions[0]["popularity"], "mentions": mentions, **more}


class Page(HTMLParser):
    """What a browser would find in a page: its elements with their attributes, and its text."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        if not self.elements or self.elements[-1][0] not in ("style", "script"):
            self.texts.append(data)

    def all(self, tag: str, class_: str = "") -> list[dict]:
        return [found for name, found in self.elements if name == tag and class_ in ("", *found.get("class", "").split())]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())
