"""The plots, by the coordinates of their marks; the results that they show, by value."""

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import make_result

from bakeoff import verdicts
from bakeoff.errors import BakeoffError
from bakeoff.web import drawings, plots
from bakeoff.web.results import Result


def read(**more) -> Result:
    return Result.read("sums", make_result(**more))


def marks(svg, tag, class_):
    wanted = class_.split()
    return [mark.attrib for mark in ET.fromstring(str(svg)).iter(tag) if mark.get("class", "").split()[:len(wanted)] == wanted]


def test_a_scale_is_linear_and_clamps_what_lies_outside():
    scale = plots.Scale(0.0, 10.0, 100.0, 200.0)
    assert [scale(value) for value in (0, 2.5, 10, 11, -1)] == [100, 125, 200, 200, 100]


def test_a_logarithmic_scale_gives_each_decade_the_same_length():
    scale = plots.Scale(0.01, 100.0, 0.0, 40.0, log=True)
    assert [scale(value) for value in (0.01, 0.1, 1, 100)] == pytest.approx([0, 10, 20, 40])
    assert scale.ticks() == [0.01, 0.1, 1.0, 10.0, 100.0]


def test_a_scale_over_values_leaves_room_at_both_ends():
    scale = plots.Scale.over([1.0, 3.0], 0, 100, room=0.1)
    assert (scale.low, scale.high) == pytest.approx((0.8, 3.2))
    assert plots.Scale.over([], 0, 100).low == -1


@pytest.mark.parametrize(("low", "high", "ticks"), [
    (0, 10, [0, 2, 4, 6, 8, 10]), (-0.13, 0.31, [-0.1, 0, 0.1, 0.2, 0.3]), (995, 1012, [995, 1000, 1005, 1010])])
def test_ticks_are_round(low, high, ticks):
    assert plots.Scale(low, high, 0, 1).ticks() == pytest.approx(ticks)


def test_points_of_the_pairs_lie_where_their_values_put_them():
    svg = plots.pairs(read(treatment=(10.0, 20.0, 30.0), control=(0.0, 10.0, 20.0)))
    # three pairs over 58..336; values 0..30 with 6 % room, -1.8..31.8, over 212 (bottom) to 26 (top)
    treatment, control = marks(svg, "circle", "dot treatment"), marks(svg, "circle", "dot control")
    assert [float(mark["cx"]) for mark in treatment] == [58, 197, 336]
    for dots, values in ((treatment, (10, 20, 30)), (control, (0, 10, 20))):
        assert [float(dot["cy"]) for dot in dots] == pytest.approx([212 - 186 * (value + 1.8) / 33.6 for value in values], abs=0.01)
    joins = marks(svg, "line", "join")
    ends = [(one["cx"], one["cy"], other["cy"]) for one, other in zip(control, treatment, strict=True)]
    assert [(join["x1"], join["y1"], join["y2"]) for join in joins] == ends


def test_a_failed_trial_is_a_cross_at_the_foot_beside_the_other_arms_value():
    svg = plots.pairs(read(treatment=(10.0, 20.0), control=(None, 10.0)))
    assert len(marks(svg, "circle", "dot control")) == 1
    assert len(marks(svg, "circle", "dot treatment")) == 2
    assert [mark["d"] for mark in marks(svg, "path", "failed")] == ["M54.5 203l7 7m0-7l-7 7"]


def test_the_small_interval_has_0_in_the_middle_and_the_claimed_side_on_the_right():
    result = read(treatment=(1.0,) * 3, control=(3.0, 4.0, 5.0), better="lower", interval=[-4.0, -2.0], estimate=-3.0, decision="holds")
    svg = plots.interval(result)
    line, = marks(svg, "line", "interval")
    # reach 1.12 * 4 = 4.48 on both sides of 80, over 4..156
    assert (float(line["x1"]), float(line["x2"])) == pytest.approx((80 + 76 * 2 / 4.48, 80 + 76 * 4 / 4.48), abs=0.01)
    assert float(marks(svg, "circle", "estimate")[0]["cx"]) == pytest.approx(80 + 76 * 3 / 4.48, abs=0.01)
    assert float(marks(svg, "line", "zero")[0]["x1"]) == 80
    assert float(marks(svg, "line", "margin")[0]["x1"]) == pytest.approx(80 + 76 / 4.48, abs=0.01)
    assert "−3 dB, interval −4 to −2, margin 1, lower is better" in str(svg)


def test_an_interval_without_ends_reaches_both_edges_and_is_dotted():
    line, = marks(plots.interval(read(treatment=(3.0,), control=(1.0,))), "line", "interval")
    assert (float(line["x1"]), float(line["x2"]), line["class"]) == (4, 156, "interval undecided open")


def test_the_running_interval_is_that_of_the_engine_after_every_pair():
    treatment = tuple(30 + 0.1 * (pair % 3) for pair in range(12))
    result = read(treatment=treatment, control=(None, *(28.0 + 0.05 * (pair % 4) for pair in range(1, 12))))
    seen = [value for value in result.differences if value is not None]
    at, estimate, low, high = result.running[-1]
    verdict = verdicts.judge(seen, margin=1.0)
    assert (at, len(result.running)) == (12, 11)
    assert (estimate, low, high) == pytest.approx((verdict.estimate, *verdict.interval))
    assert result.running[0][2:] == (None, None)  # one pair bounds nothing
    edges = marks(plots.narrowing(result), "path", "edge")
    finite = sum(low is not None for _, _, low, _ in result.running)
    assert 1 < finite < 11
    assert [edge["d"].count("L") + 1 for edge in edges] == [finite, finite]
    last, = marks(plots.narrowing(result), "line", "interval")
    assert [edge["d"].split("L")[-1] for edge in edges] == [f"{last['x1']} {last['y2']}", f"{last['x1']} {last['y1']}"]  # upper, lower


def test_curves_run_from_the_first_point_to_the_last_and_change_to_logarithms_over_decades():
    result = read()
    svg = plots.curves(result)
    paths = marks(svg, "path", "line treatment")
    assert len(paths) == 3
    # 0..400 steps over 52..342; values 2..8 with 6 % room, 1.64..8.36, over 212 (bottom) to 26 (top)
    points = [[float(number) for number in point.split()] for point in paths[0]["d"].removeprefix("M").split("L")]
    expected = [(52 + 290 * spent / 400, 212 - 186 * (value - 1.64) / 6.72) for spent, value in ((1, 8), (200, 4), (400, 2))]
    assert points == [pytest.approx(point, abs=0.01) for point in expected]
    assert "logarithmic" not in str(svg)
    for trial in result.trials:
        trial.curve[0] = (1.0, 800.0)
    assert "logarithmic" in str(plots.curves(result))


def test_curves_of_nothing_are_nothing():
    result = read()
    for trial in result.trials:
        trial.curve.clear()
    assert plots.curves(result) == ""


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-1e140, 1e140) | st.none() | st.floats(-1e-300, 1e-300)] * 2), min_size=0, max_size=4))
def test_no_numbers_break_a_plot(pairs):
    result = Result.read("sums", {
        **make_result(), "treatment": [a for a, _ in pairs], "control": [b for _, b in pairs], "seeds": list(range(len(pairs))),
        "interval": [None, pairs[0][0] if pairs else math.inf], "estimate": math.nan})
    for plot in (plots.pairs, plots.interval, plots.narrowing, plots.curves):
        assert "nan" not in str(plot(result))
        assert "inf " not in str(plot(result))
        ET.fromstring(str(plot(result)))


def test_measures_are_means_over_the_trials_that_finished_with_the_judged_one_first():
    result = read(treatment=(31.0, 33.0, None), control=(28.0, 29.0, 30.0))
    rows = dict((name, values) for name, *values in result.measures)
    assert list(rows) == ["psnr", "sharpness", "spent (steps)", "seconds"]
    assert rows["psnr"] == [32.0, 29.0]
    assert rows["sharpness"] == [16.0, 14.5]


@pytest.mark.parametrize(("more", "words"), [
    ({"decision": "holds", "estimate": 3.0, "interval": [2.0, 4.0]},
     "was on average 3 dB higher than the control's (interval +2 to +4). The whole interval lies on the side the paper claims. "
     "All of it is beyond the margin of 1 dB."),
    ({"decision": "holds", "estimate": 3.0, "interval": [0.5, 4.0]}, "Whether the advantage reaches the margin of 1 dB stays open."),
    ({"decision": "fails", "estimate": -3.0, "interval": [-4.0, -2.0]}, "3 dB lower than the control's (interval −4 to −2). "
     "The whole interval lies on the other side of 0: here the control did better."),
    ({"decision": "fails", "estimate": 0.1, "interval": [-0.4, 0.6]},
     "falls short of the margin of 1 dB, the smallest difference that would matter."),
    ({"decision": "undecided", "estimate": 0.1, "interval": [-0.4, 1.6]}, "The pairs ran out while the interval still allowed both"),
    ({"decision": "undecided", "estimate": None, "interval": [None, None], "pairs": 0, "failed": 3}, "No pair finished: 3 failed."),
    ({"decision": "undecided", "estimate": 0.1, "interval": [0.0, 1.6], "failed": 2}, "2 of 5 pairs failed: too many to decide.")])
def test_the_verdict_is_told_in_a_sentence(more, words):
    assert words in read(**more).sentence


def test_a_claim_that_lower_is_better_is_read_from_the_other_side():
    told = read(better="lower", decision="fails", estimate=2.0, interval=[1.0, 3.0]).sentence
    assert "2 dB higher" in told
    assert "here the control did better" in told


@pytest.mark.parametrize(("field", "value"), [
    ("decision", "won"), ("interval", [1.0]), ("margin", 0), ("seeds", [0]), ("trials", "none"), ("unit", 3), ("better", "louder")])
def test_a_result_of_another_form_is_refused_by_paper_and_field(field, value):
    with pytest.raises(BakeoffError, match=f"'sums' has no '{field}'"):
        Result.read("sums", {**make_result(), field: value})


def test_infinities_of_a_result_are_read_as_missing():
    result = Result.read("sums", {**make_result(), "estimate": math.nan, "interval": [-math.inf, math.inf], "seconds": "long",
                                  "treatment": [math.nan, 1.0, 2.0]})
    assert (result.estimate, result.interval, result.seconds, result.treatment[0]) == (None, (None, None), None, None)


def test_a_molecule_is_drawn_with_as_many_bonds_as_it_has_and_text_where_it_is_none():
    benzene = drawings.molecule("c1ccccc1")
    strokes = [stroke for path in marks(benzene, "path", "bond") for stroke in path["d"].split("M")[1:]]
    assert sum(stroke.count("L") == 1 for stroke in strokes) == 9  # six bonds, three of them double; corners have two lines
    assert drawings.molecule("not a molecule") is None


def test_molecules_are_their_smiles_where_rdkit_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rdkit", None)
    assert drawings.molecule("CCO") is None
    assert "<code>CCO</code>" in drawings.show({"title": "t", "kind": "smiles", "content": "CCO"}, "control")


def test_a_redrawn_molecule_keeps_nothing_but_outlines():
    svg = ('<svg xmlns="http://www.w3.org/2000/svg" onload="x()"><script>x()</script>'
           '<path d="M 1,2 L 3,4" style="fill:none;stroke:#000;stroke-width:2px"/><path d="M0 0 url(x)" style="fill:none"/></svg>')
    drawn = str(drawings.redrawn(svg, "</title><script>"))
    assert drawn.count("<path") == 1
    assert 'd="M 1,2 L 3,4"' in drawn
    assert "<script" not in drawn
    assert "onload" not in drawn


def test_only_whole_pngs_are_shown():
    from made_up import drawn
    good = drawn(make_result())["trials"][0]["drawings"][0]
    shown = drawings.show(good, "treatment")
    assert 'width="8" height="6"' in shown
    assert 'alt="reconstruction, by the treatment"' in shown
    for content in ("", "!!!", good["content"][:-8], "PHN2ZyBvbmxvYWQ9eD4=", good["content"][:60] + "AAAA" + good["content"][64:]):
        assert "<img" not in drawings.show({**good, "content": content}, "treatment")
