"""The site as files: complete, the same each time, safe against what it is given, and careful with the folder."""

import base64
import dataclasses
import hashlib
import math
import os
import re

import pytest
from made_up import Page, drawn, make_entry, make_result

from bakeoff import catalogue, contest
from bakeoff.claim import Outcome
from bakeoff.errors import BakeoffError
from bakeoff.store import Store
from bakeoff.web import site

HOSTILE = """"'><script>alert(1)</script><img src=x onerror=alert(2)></title></style></svg>{{ 7 * 7 }}<!-- \u202e]]>`"""


def page(files, name="papers/sums.html") -> Page:
    return Page(files[name])


def long_result(**more) -> dict:
    treatment = [31 + 0.3 * (pair % 4) for pair in range(9)]
    return make_result(treatment=tuple(treatment), control=tuple(28 + 0.2 * (pair % 3) for pair in range(9)), **more)


def test_every_paper_of_the_catalogue_has_a_row_and_a_page_with_or_without_a_result():
    entries = catalogue.entries()
    assert entries
    files = site.render(entries, {})
    rows = page(files, "index.html").all("tr", "paper")
    assert len(rows) == len(entries)
    assert {row["data-verdict"] for row in rows} == {"not run"}
    for slug, entry in entries.items():
        text = page(files, f"papers/{slug}.html").text
        assert " ".join(entry.paper.title.split()) in text
        assert f"bakeoff run {slug} --data PATH" in text
        assert {"Method", "Departures", "Out of reach"} <= set(re.findall(r"Method|Departures|Out of reach", text))


def test_the_index_shows_verdict_effect_interval_and_cost():
    index = page(site.render({"sums": make_entry(), "other": make_entry("other")}, {"sums": [long_result()]}), "index.html")
    assert "1 holds" in index.text
    assert "1 not run" in index.text
    assert "+3.2 dB" in index.text
    assert "9 pairs 27 s quick" in index.text
    assert len(index.all("svg", "forest")) == 1
    assert [row["data-verdict"] for row in index.all("tr", "paper")] == ["holds", "not run"]


def test_a_page_tells_claim_verdict_evidence_measures_failures_card_and_use():
    result = drawn(make_result(treatment=(31.0, 33.0, None), control=(28.0, 29.0, 30.0), seconds=7300))
    found = page(site.render({"sums": make_entry()}, {"sums": [result]}))
    for words in ("A paper on sums", "Ada, Grace. ICML 2026.", "Sums beat products by 3 dB.", "psnr, in dB; higher is better", "Undecided",
                  "Over 2 pairs, the treatment's psnr was on average 3.5 dB higher", "Failed pairs 1", "Budget quick", "Cost 2.0 h",
                  "Margin 1 dB: a smaller difference would not matter.", "Each arm gets 2 (smoke), 400 (quick), 15,000 (full)",
                  "china: a photograph", "psnr (dB) 32 29", "sharpness 16 14.5", "treatment , seed", "ValueError: it broke",
                  "Values are summed,", "s = x_1 + ... + x_n", "n is small.", "Everything else.",
                  "from bakeoff.papers.fields.sums import Sums, add", "bakeoff run sums --data PATH"):
        assert words in found.text, words
    assert [link["href"] for link in found.all("a") if link["href"].startswith("http")] == ["https://arxiv.org/abs/2601.00001"]
    assert len(found.all("svg", "plot")) == 3
    assert [image["alt"] for image in found.all("img")] == ["reconstruction, by the treatment", "reconstruction, by the control"]
    assert len(found.all("svg", "molecule")) == 2


def test_what_the_engine_gives_is_what_the_pages_take(own_paper, tmp_path):
    class Here:
        def run(self, asked):
            for trial in asked:
                good = Outcome("done", trial.seed % 7, {"value": trial.seed % 7}, [(1, 3.0), (2, math.nan), (3, 1.0)], seconds=1.0, spent=2)
                yield trial, good if trial.seed else Outcome("error", error="Traceback:\nZeroDivisionError: division by zero")

    with Store(f"sqlite:///{tmp_path / 'store.sqlite'}") as store:
        result = contest.run(contest.Contest.prepare(own_paper(), budget="smoke", pairs=12), store, Here)
        [kept] = store.runs(whole=True)
    assert kept == result
    found = page(site.render({}, {"own": [kept]}), "papers/own.html")
    assert len(found.all("svg", "plot")) == 3
    assert "ZeroDivisionError" in found.text
    assert "Failed pairs 1" in found.text
    assert [trial.curve for trial in site.Result.read("own", kept).trials][2] == [(1.0, 3.0), (3.0, 1.0)]


def test_a_papers_page_without_a_result_says_so_and_how_to_get_one():
    text = page(site.render({"sums": make_entry()}, {})).text
    assert "Not run" in text
    assert "has not been put to the test here. To do so: bakeoff run sums" in text


def test_a_paper_of_the_users_own_is_shown_by_its_result_alone():
    files = site.render({}, {"own": [long_result(slug="own", title="My paper")]})
    assert "Your own My paper" in page(files, "index.html").text
    assert "Over 9 pairs" in page(files, "papers/own.html").text


def test_the_run_in_front_is_chosen_by_data_and_budget_and_time_never_by_its_outcome():
    bad = {"decision": "fails", "estimate": -3.0, "interval": [-4.0, -2.0]}
    runs = [long_result(budget="smoke"), long_result(budget="full", data="/mine"), long_result(**bad, seed=1),
            long_result(budget="smoke", seed=2)]
    first, *others = site.Page("sums", None, site._in_order("sums", make_entry(), runs)).runs
    assert (first.decision, first.budget, first.seed) == ("fails", "quick", 1)
    assert [(one.budget, one.data, one.seed) for one in others] == [("smoke", "china", 2), ("smoke", "china", 0), ("full", "/mine", 0)]


def test_a_run_repeated_replaces_the_earlier_one():
    runs = [make_result(treatment=(1.0, 2.0), control=(0.0, 0.0)), long_result()]
    assert [one.pairs for one in site._in_order("sums", make_entry(), runs)] == [9]


def test_hostile_text_breaks_out_nowhere():
    entry = make_entry(title=HOSTILE, authors=(HOSTILE,), venue=HOSTILE, arxiv='1234.56789" onclick="alert(1)', also=(HOSTILE,))
    card = f"Sums: {HOSTILE}\n\nx.\n\nMethod: `{HOSTILE}`\n\n    {HOSTILE}\n"
    entry = dataclasses.replace(entry, area=HOSTILE, card=card, names=(HOSTILE,))
    texts = dict.fromkeys(("title", "budget", "unit", "metric", "equal", "data"), HOSTILE)
    result = drawn({**make_result(treatment=(1.0, None), control=(2.0, 3.0)), **texts})
    for trial in result["trials"]:
        trial["error"] = trial["error"] and HOSTILE + "\n" + HOSTILE
        trial["measures"] = {HOSTILE: 3.0}
        trial["drawings"] = [{**one, "title": HOSTILE} for one in trial["drawings"]]
    result["trials"][0]["drawings"] += [{"title": HOSTILE, "kind": kind, "content": HOSTILE} for kind in ("smiles", "png", HOSTILE)]
    result["trials"][0]["drawings"] += [{"title": 3, "kind": "png", "content": 3}, {}]
    results = {"sums": [result, {**result, "seed": 3}], HOSTILE: [result], f"own{HOSTILE}": [result]}
    files = site.render({"sums": entry, HOSTILE: entry}, results)
    harmless = {name: Page(text) for name, text in site.render({"sums": make_entry()}, {"sums": [drawn(make_result())]}).items()}
    known = {tag for one in harmless.values() for tag, _ in one.elements} | {"code", "pre", "details", "summary", "ul", "li", "h3"}
    assert len(files) == 4
    for name, html in files.items():
        found = Page(html)
        scripts = 1 if name == "index.html" else 0
        assert len(found.all("script")) == scripts
        assert {tag for tag, _ in found.elements} <= known
        for tag, attributes in found.elements:
            assert not [key for key in attributes if key.startswith("on") or key in ("style", "srcdoc", "action")], (tag, attributes)
            for key in ("href", "src", "xlink:href"):
                if key in attributes:
                    allowed = r"\.\./index\.html|papers/[a-z0-9_-]+\.html|#[a-z]+|data:,|data:image/png;base64,[A-Za-z0-9+/=]+"
                    assert re.fullmatch(allowed, attributes[key]), attributes
        assert "{{" not in html.replace("{{ 7 * 7 }}", "")
        assert "\u202e" not in html
    assert "<script>alert(1)</script>" in page(files).text  # shown as the text that it is


def test_the_policy_of_a_page_names_its_own_style_and_script_by_their_hashes():
    for name, html in site.render({"sums": make_entry()}, {}).items():
        policy = next(meta["content"] for meta in Page(html).all("meta") if "Content-Security-Policy" in meta.get("http-equiv", ""))
        assert policy.startswith("default-src 'none'; img-src data:;")
        for tag in ("style", "script"):
            inside = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.S)
            hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in inside]
            assert re.findall(rf"{tag}-src ([^;]+);", policy) == hashes, (name, tag)


def test_a_site_is_the_same_each_time(tmp_path):
    results = {"sums": [drawn(long_result())]}
    for name in ("one", "two"):
        site.build(tmp_path / name, {"sums": make_entry()}, results)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()} for name in ("one", "two"))
    assert one == two
    assert set(one) == {"index.html", "sums.html", ".bakeoff-site"}


def test_a_site_takes_the_place_of_an_empty_folder_and_of_an_older_site(tmp_path):
    folder = tmp_path / "deep" / "site"
    folder.mkdir(parents=True)
    site.build(folder, {"sums": make_entry(), "gone": make_entry("gone")}, {})
    assert (folder / "papers" / "gone.html").exists()
    site.build(folder, {"sums": make_entry()}, {})
    assert sorted(path.name for path in folder.rglob("*.html")) == ["index.html", "sums.html"]
    assert [path.name for path in folder.parent.iterdir()] == ["site"]  # nothing is left beside it
    assert folder.stat().st_mode & 0o777 == 0o777 & ~_mask()


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("before", ["file in it", "file beside a site", "link beside a site", "a file", "an empty folder in it"])
def test_what_bakeoff_did_not_write_is_never_replaced(tmp_path, before):
    folder = tmp_path / "site"
    if before == "a file":
        folder.write_text("mine")
    elif before == "an empty folder in it":
        (folder / "mine").mkdir(parents=True)
    elif before == "file in it":
        folder.mkdir()
        (folder / "index.html").write_text("mine")
    else:
        site.build(folder, {}, {})
        if "link" in before:
            (folder / "papers").mkdir()
            (folder / "papers" / "mine").symlink_to(tmp_path)
        else:
            (folder / "mine").write_text("mine")
    kept = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    with pytest.raises(BakeoffError, match=r"did not write|is a file"):
        site.build(folder, {"sums": make_entry()}, {})
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == kept


@pytest.mark.parametrize("broken", ["result", "disk", "swap"])
def test_a_build_that_fails_leaves_the_old_site_as_it_was(tmp_path, monkeypatch, broken):
    folder = tmp_path / "site"
    site.build(folder, {"sums": make_entry()}, {})
    kept = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    results, rename, calls = {"sums": [long_result()]}, os.rename, []

    def failing(*names):
        calls.append(names)
        if len(calls) == 2:  # the old site has been moved aside, the new one is to take its place
            raise OSError(28, "No space left on device")
        rename(*names)

    if broken == "result":
        results["sums"].append({"slug": "sums"})
    elif broken == "disk":
        monkeypatch.setattr(site.Path, "write_text", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    else:
        monkeypatch.setattr(site.os, "rename", failing)
    with pytest.raises(BakeoffError, match="of 'sums' has no" if broken == "result" else "No space left on device"):
        site.build(folder, {"sums": make_entry()}, results)
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == kept
    assert len(calls) == (3 if broken == "swap" else 0)
