"""Plots as inline SVG. Coordinates are linear in the values (curves over several decades: in their logarithm); colours
come from the page's style sheet by class, and nothing is told by colour alone: the treatment is a filled dot and a
solid line, the control a ring and a dashed one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup, escape

from .text import clean, cut, ends, number, real

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 348, 26, 212
SYMBOLS = {"holds": "M4.5 8.5 7 11l4.5-5.5", "fails": "M5.3 5.3l5.4 5.4m0-5.4-5.4 5.4",
           "undecided": "M4.5 9c1.2-2.4 2.4-2.4 3.5-1s2.3 1.4 3.5-1", "wanted": "M8 4.8v6.4M4.8 8h6.4",
           "library": "M5.4 5v6M8 5v6M10.6 5v6",
           "doubtful": "M6 6.5a2 2 0 1 1 2.7 1.9c-.5.2-.7.5-.7 1M8 11.4v.1"}
COUNTS = ("retweets", "favourites")


def tag(element: str, *inside, **attributes) -> Markup:
    """An element; text inside and attributes are escaped, a trailing underscore of a name is dropped."""
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    written = "".join(f' {name}="{escape(_plain(value))}"' for name, value in named.items())
    return Markup(f"<{element}{written}>{''.join(escape(clean(one)) for one in inside)}</{element}>")


@dataclass(frozen=True)
class Scale:
    """Values low..high onto coordinates start..end, linear in the value or in its logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def over(cls, values, start: float, end: float, *, room: float = 0.06, log: bool = False) -> Scale:
        """A scale that holds all the values, with some room at both ends."""
        values = [math.log10(value) if log else value for value in values] or [0.0]
        low, high = min(values), max(values)
        space = (high - low) * room if high - low > 1e-9 * max(abs(low), abs(high)) else abs(high) * 0.1 or 1.0
        low, high = low - space, high + space
        return cls(10**low, 10**high, start, end, True) if log else cls(low, high, start, end)

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        value = min(max(value, low), high)
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values between low and high."""
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            if last > first:
                return [10.0**power for power in range(first, last + 1, max(1, math.ceil((last - first) / (most - 1))))]
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = power * next(size for size in (1, 2, 5, 10) if size * power >= rough * 0.999)
        first = math.ceil(self.low / step)
        return [round(at * step, 12 - math.floor(math.log10(step))) for at in range(first, math.floor(self.high / step * (1 + 1e-12)) + 1)]


def icon(decision: str) -> Markup:
    """The sign of a verdict (a tick, a cross, a wave; an empty ring: not run) or of a paper read (books, a plus, a question mark)."""
    sign = tag("path", d=SYMBOLS[decision]) if decision in SYMBOLS else ""
    return tag("svg", tag("circle", cx=8, cy=8, r=7), sign, class_="icon", viewBox="0 0 16 16", aria_hidden="true")


def swatch(arm: str) -> Markup:
    """An arm's mark for a legend."""
    line = tag("line", x1=0, y1=6, x2=28, y2=6, class_=f"line {arm}")
    return tag("svg", line, tag("circle", cx=14, cy=6, r=4, class_=f"dot {arm}"), class_="swatch", viewBox="0 0 28 12", aria_hidden="true")


def interval(result) -> Markup:
    """The interval against 0 (middle) and the margin (dashed), right being the side that the paper claims."""
    low, high = (None if end is None else end * result.toward for end in result.interval)
    low, high = (low, high) if result.toward > 0 else (high, low)
    estimate = None if result.estimate is None else result.estimate * result.toward
    reach = 1.12 * max(abs(value) for value in (low, high, estimate, result.margin) if value is not None)
    x = Scale(-reach, reach, 4, 156)
    left, right = x(-reach if low is None else low), x(reach if high is None else high)
    marks = [tag("line", x1=x(0), y1=2, x2=x(0), y2=26, class_="zero"),
             tag("line", x1=x(result.margin), y1=2, x2=x(result.margin), y2=26, class_="margin")]
    if estimate is not None:
        open_ended = " open" if None in (low, high) else ""
        marks += [tag("line", x1=left, y1=14, x2=right, y2=14, class_=f"interval {result.decision}{open_ended}"),
                  tag("circle", cx=x(estimate), cy=14, r=4, class_=f"estimate {result.decision}")]
    told = (f"{number(result.estimate, sign=True)} {result.unit}, interval {' to '.join(ends(*result.interval))}, "
            f"margin {number(result.margin)}, {result.better} is better")
    return _picture(160, 28, told, *marks, class_="forest")


def pairs(result) -> Markup:
    """Both arms' values of every pair, joined by a line."""
    known = [value for value in (*result.treatment, *result.control) if value is not None]
    x, y = _across(len(result.seeds)), Scale.over(known, BOTTOM, TOP)
    marks = []
    for at, (treatment, control) in enumerate(zip(result.treatment, result.control, strict=True), 1):
        told = f"pair {at}: treatment {number(treatment)}, control {number(control)} {result.unit}"
        if None in (treatment, control):
            inside = [tag("path", d=f"M{_plain(x(at) - 3.5)} {BOTTOM - 9}l7 7m0-7l-7 7", class_="failed")]
        else:
            inside = [tag("line", x1=x(at), y1=y(control), x2=x(at), y2=y(treatment), class_="join")]
        inside += [tag("circle", cx=x(at), cy=y(value), r=4, class_=f"dot {arm}")
                   for arm, value in (("control", control), ("treatment", treatment)) if value is not None]
        marks.append(tag("g", tag("title", told), *inside))
    told = f"{result.metric} of both arms in each of {len(result.seeds)} pairs"
    return _plot(told, f"{result.metric} ({result.unit})", "pair", x, y, marks)


def narrowing(result) -> Markup:
    """The differences of the pairs, and how the interval for their mean narrows."""
    differences = [(at, value) for at, value in enumerate(result.differences, 1) if value is not None]
    margin = result.toward * result.margin
    known = [(at, low, high) for at, _, low, high in result.running if None not in (low, high)]  # the first few have no ends
    last = known[-1][1:] if known else ()
    x, y = _across(len(result.seeds)), Scale.over([0.0, margin, *(value for _, value in differences), *last], BOTTOM, TOP, room=0.1)
    lower, upper = [(x(at), y(low)) for at, low, _ in known], [(x(at), y(high)) for at, _, high in known]
    marks = [_path(upper + lower[::-1], "band", close=True), _path(upper, "edge"), _path(lower, "edge")] if len(known) > 1 else []
    marks += [tag("line", x1=x(at), y1=y(low), x2=x(at), y2=y(high), class_=f"interval {result.decision}") for at, low, high in known[-1:]]
    marks += [_level(y, 0.0, "zero", "no difference"), _level(y, margin, "margin", "margin"),
              _path([(x(at), y(estimate)) for at, estimate, *_ in result.running if estimate is not None], "estimate")]
    marks += [tag("g", tag("title", f"pair {at}: {number(value, sign=True)} {result.unit}"),
                  tag("circle", cx=x(at), cy=y(value), r=3, class_="difference")) for at, value in differences]
    low, high = ends(*result.interval)
    told = f"differences of {len(differences)} pairs; the interval for their mean narrows to {low} to {high} {result.unit}"
    return _plot(told, f"treatment − control ({result.unit})", "pair", x, y, marks)


def curves(result) -> Markup:
    """What each arm optimised, over what it had spent; one thin line a trial."""
    lines = {arm: result.curves(arm) for arm in ("control", "treatment")}
    points = [point for arm in lines.values() for line in arm for point in line]
    if not points:
        return Markup()
    values = [value for _, value in points]
    log = min(values) > 0 and max(values) > 50 * min(values)
    x, y = Scale(0, max(max(spent for spent, _ in points), 1e-9), LEFT + 6, RIGHT - 6), Scale.over(values, BOTTOM, TOP, log=log)
    marks = [_path([(x(spent), y(value)) for spent, value in line], f"line {arm}") for arm, drawn in lines.items() for line in drawn]
    told = f"learning curves: {len(lines['treatment'])} of the treatment, {len(lines['control'])} of the control"
    return _plot(told, f"value optimised{' (logarithmic)' if log else ''}", f"{result.equal} spent", x, y, marks)


def spark(days: dict[date, dict[str, int]]) -> Markup:
    """How a paper's counts grew over two days or more: lines from the first day to the last, above 0."""
    if len(days) < 2:
        return Markup()
    first, last = min(days), max(days)
    x, y = Scale(first.toordinal(), last.toordinal(), 3, 117), Scale(0, max([1, *(n for of in days.values() for n in of.values())]), 27, 3)
    lines = {name: [(day, days[day][name]) for day in sorted(days) if name in days[day]] for name in COUNTS}
    marks, told = [], []
    for name, line in lines.items():
        points = [(x(day.toordinal()), y(value)) for day, value in line]
        if points:
            marks += [_path(points, name), tag("circle", cx=points[-1][0], cy=points[-1][1], r=2.2, class_=name)]
            told.append(f"{name} from {number(line[0][1])} to {number(line[-1][1])}")
    return _picture(120, 30, f"{', '.join(told)}, {first} to {last}", *marks, class_="spark")


def _across(count: int) -> Scale:
    return Scale(1, max(count, 2), LEFT + 12, RIGHT - 12)


def _level(y: Scale, value: float, kind: str, name: str) -> Markup:
    return tag("line", tag("title", f"{name}: {number(value)}"), x1=LEFT, y1=y(value), x2=RIGHT, y2=y(value), class_=kind)


def _path(points: list[tuple[float, float]], class_: str, *, close: bool = False) -> Markup:
    if not points:
        return Markup()
    return tag("path", d="M" + "L".join(f"{_plain(x)} {_plain(y)}" for x, y in points) + ("Z" if close else ""), class_=class_)


def _plot(told: str, y_label: str, x_label: str, x: Scale, y: Scale, marks: list[Markup]) -> Markup:
    """The frame of a plot: a faint line and a number at each round value, what both axes show, then the marks."""
    frame = [tag("g", tag("line", x1=LEFT, y1=y(value), x2=RIGHT, y2=y(value), class_="grid"),
                 tag("text", _short(value), x=LEFT - 6, y=y(value) + 3.5, class_="tick y")) for value in y.ticks()]
    whole = x_label == "pair"
    frame += [tag("text", _short(value), x=x(value), y=BOTTOM + 16, class_="tick x")
              for value in x.ticks() if not whole or value == int(value)]
    frame += [tag("text", cut(y_label, 52), x=4, y=12, class_="axis"), tag("text", x_label, x=RIGHT, y=HEIGHT - 6, class_="axis x"),
              tag("line", x1=LEFT, y1=BOTTOM, x2=RIGHT, y2=BOTTOM, class_="base")]
    return _picture(WIDTH, HEIGHT, told, *frame, *marks, class_="plot")


def _picture(width: float, height: float, told: str, *inside, class_: str) -> Markup:
    return tag("svg", tag("title", told), *inside, class_=class_, viewBox=f"0 0 {width} {height}", role="img", aria_label=told)


def _plain(value) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".").replace("-0", "0") if abs(value) < 0.005 else f"{value:.2f}".rstrip("0").rstrip(".")
    return clean(str(value))


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{number(value / (1e3 if letter == 'k' else size))}{letter}"
    return number(value if real(value) else 0.0)
