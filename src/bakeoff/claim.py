"""The records that every part of the house passes on: paper, claim, budget, trial, outcome, verdict."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
import zlib
from dataclasses import dataclass, field

from .errors import OverBudget, PaperError

ARMS = ("treatment", "control")
BUDGETS = ("smoke", "quick", "full")
CURRENCIES = ("steps", "samples", "environment steps", "objective calls", "model evaluations", "seconds")
STATUSES = ("done", "diverged", "timeout", "error")


@dataclass(frozen=True, kw_only=True)
class Paper:
    """Who wrote what, and (`also`) by which names and phrases people call it."""

    title: str
    authors: tuple[str, ...]
    year: int
    venue: str
    arxiv: str | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One statement that a run can decide: `treatment` beats `control` in `metric` by something above 0.

    `margin` is the smallest difference that would matter, in `unit`; `equal` is what both arms spend
    equally; `steps` says how much of it each budget grants.
    """

    says: str
    data: str
    metric: str
    unit: str
    better: str
    margin: float
    equal: str
    steps: dict[str, int]

    def __post_init__(self):
        for wrong, found in (
            (self.better not in ("higher", "lower"), f"better={self.better!r}; expected 'higher' or 'lower'"),
            (self.equal not in CURRENCIES, f"equal={self.equal!r}; expected one of {', '.join(CURRENCIES)}"),
            (not self.margin > 0, f"margin={self.margin!r}; expected a positive number"),
            (tuple(self.steps) != BUDGETS, f"steps for {tuple(self.steps)}; expected {BUDGETS}"),
        ):
            if wrong:
                raise PaperError(f"CLAIM has {found}", "Correct the CLAIM of the paper file.")


class Budget:
    """What an arm may spend, and the meter that measures it.

    An arm hands `budget.spend` to its method as `on_step`; the method calls it once a step with the
    current value of what it optimises. Spending past `steps` raises `OverBudget`: no arm can train longer.
    """

    def __init__(self, name: str, steps: int):
        self.name, self.steps = name, steps
        self.spent = 0
        self._points: list[tuple[int, float]] = []
        self._every = 1

    def spend(self, value: float | None = None, amount: int = 1) -> None:
        """Count `amount` units of the claim's currency; `value` (a loss, a score) becomes a point of the curve."""
        if self.spent + amount > self.steps * 1.02:
            raise OverBudget(f"the arm spent {self.spent + amount} of {self.steps}", "Train for budget.steps, no more.")
        self.spent += amount
        if value is None or (len(self._points) and self.spent < self._points[-1][0] + self._every):
            return
        self._points.append((self.spent, float(value)))
        if len(self._points) == 128:  # keep the curve short: halve it and sample half as often
            self._points, self._every = self._points[1::2], max(1, 2 * self._every)

    @property
    def curve(self) -> list[tuple[int, float]]:
        """The learning curve as (spent, value), at most 128 points."""
        return list(self._points)


@dataclass(frozen=True)
class Source:
    """Where data comes from: the name of a public set or a path, and the options given with it."""

    where: str
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Trial:
    """One arm of one claim at one seed."""

    slug: str
    arm: str
    seed: int
    budget: str
    source: Source
    draw: bool = False


@dataclass(frozen=True)
class Drawing:
    """Something a trial made that a person can look at. `kind` is "png" (base64) or "smiles" (one a line)."""

    title: str
    kind: str
    content: str

    @classmethod
    def picture(cls, title: str, pixels) -> Drawing:
        """A picture from an array (H, W), (H, W, 1) or (H, W, 3) with values in [0, 1]."""
        height, width, *channels = pixels.shape
        depth = channels[0] if channels else 1
        if depth not in (1, 3):
            raise ValueError(f"a picture has 1 or 3 channels, not {depth}")
        rows = (pixels.clip(0, 1) * 255).round().astype("uint8").reshape(height, width * depth)
        raw = b"".join(b"\0" + row.tobytes() for row in rows)

        def chunk(tag: bytes, body: bytes) -> bytes:
            return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))

        head = struct.pack(">IIBBBBB", width, height, 8, 0 if depth == 1 else 2, 0, 0, 0)
        png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")
        return cls(title, "png", base64.b64encode(png).decode())

    @classmethod
    def molecules(cls, title: str, smiles) -> Drawing:
        """Molecules, drawn later from their SMILES."""
        return cls(title, "smiles", "\n".join(smiles))


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: its status, every measure by name, the claim's own metric as `value`."""

    status: str
    value: float | None = None
    measures: dict[str, float] = field(default_factory=dict)
    curve: list[tuple[int, float]] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    seconds: float = 0.0
    spent: int = 0
    error: str = ""


@dataclass(frozen=True)
class Verdict:
    """`decision` is "holds", "fails" or "undecided"; `interval` holds the mean difference, at any time of looking."""

    decision: str
    estimate: float
    interval: tuple[float, float]
    pairs: int


def pair_seed(seed: int, pair: int) -> int:
    """The seed of the run's pair number `pair` (from 0): the run's own seed first, then numbers derived from it."""
    if pair == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}:{pair}".encode()).digest()[:4], "big") >> 1


def finite(number: float | None) -> bool:
    """True for a real number; False for None, NaN and the infinities."""
    return number is not None and math.isfinite(number)
