"""The command as a user meets it: what it prints, how it fails, how soon it answers."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bakeoff import catalogue, cli
from bakeoff.data import sets

BAKEOFF = str(Path(sys.executable).parent / "bakeoff")


def run(capsys, *words):
    code = cli.main(list(words))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("words", [["--help"], ["list"], ["list", "--json"]])
def test_help_and_list_answer_in_under_300_ms_without_torch(words, own_paper, capsys):
    assert run(capsys, "run", own_paper(), "--budget", "smoke", "--pairs", "5")[0] == 0  # so that there is a store to look into
    seconds = []
    for _ in range(5):
        before = os.times()
        subprocess.run([BAKEOFF, *words], check=True, capture_output=True, env=os.environ)
        seconds.append(sum(os.times()[2:4]) - sum(before[2:4]))  # of the command alone, however busy the machine is
    assert min(seconds) < 0.3
    script = f"import sys; from bakeoff.cli import main; main({words!r}); assert not {{'torch', 'numpy', 'scipy'}} & set(sys.modules)"
    if words != ["--help"]:
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_a_run_of_which_no_pair_was_finished_prints_its_result_and_fails(own_paper, capsys):
    slug = own_paper(treatment="raise ValueError('a wrong turn')")
    code, out, err = run(capsys, "run", slug, "--budget", "smoke", "--pairs", "1", "--json")
    (result,) = json.loads(out)
    assert (code, result["pairs"], result["failed"] > 0) == (1, 0, True)
    assert "no pair was finished" in err


def test_a_run_prints_one_result_a_claim_with_the_promised_names(own_paper, capsys):
    code, out, err = run(capsys, "run", own_paper(), "--budget", "smoke", "--pairs", "12", "--seed", "3", "--json")
    result, = json.loads(out)
    assert code == 0
    assert set(result) >= {"slug", "decision", "estimate", "interval", "pairs", "unit", "budget", "seconds", "treatment", "control"}
    assert result["decision"] == "holds"
    assert len(result["treatment"]) == len(result["control"]) == result["pairs"]
    assert "pair  1" in err
    again = json.loads(run(capsys, "verdicts", "--json")[1])
    assert [one for one in again if one["slug"] == "own"] == [result]


def test_list_as_json_and_csv_say_the_same(capsys):
    listed = json.loads(run(capsys, "list", "--json")[1])
    table = list(csv.DictReader(io.StringIO(run(capsys, "list", "--csv")[1])))
    assert [row["slug"] for row in table] == [row["slug"] for row in listed] == list(catalogue.entries())
    assert set(listed[0]) == {"slug", "status", "area", "title", "year", "arxiv", "decision"}
    assert next(row for row in listed if row["slug"] == "bcq")["arxiv"] == "1812.02900"


def test_an_error_is_two_lines_and_exit_code_1(capsys):
    code, out, err = run(capsys, "run", "sirne")
    assert (code, out, len(err.splitlines())) == (1, "", 2)
    assert "Did you mean siren" in err


@pytest.mark.parametrize("verb", ["run", "show"])
def test_a_paper_that_is_only_wanted_is_told_from_one_that_is_not_known(verb, capsys):
    from bakeoff import profiles
    slug, one = next((slug, one) for slug, one in profiles.profiles().items() if not one.written)
    assert run(capsys, verb, slug) == (1, "", f"bakeoff: {slug} is not in the library yet: {one.title}\n{one.says}\n")


@pytest.mark.parametrize("words", [["run", "siren", "--budget", "huge"], ["run", "siren", "--pairs", "0"], ["bake"], [],
                                   ["run", "--seed", "-1"], ["list", "--json", "--csv"]])
def test_wrong_usage_exits_2(words, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    assert left.value.code == 2


def test_options_of_data_need_data(capsys):
    code, _, err = run(capsys, "run", "siren", "--target", "y")
    assert (code, "--data PATH" in err) == (1, True)


def test_a_claim_that_fails_is_a_result_and_evidence_is_written_whole(own_paper, capsys, tmp_path):
    slug = own_paper(treatment="return 1.0 + 0.01 * gain(seed)", control="return 2.0 + 0.01 * gain(seed + 1)")
    code, out, _ = run(capsys, "run", slug, "--budget", "smoke", "--evidence", str(tmp_path / "evidence"))
    written = json.loads((tmp_path / "evidence" / "own.json").read_text())
    assert (code, written["decision"]) == (0, "fails")
    assert out.split()[:2] == ["own", "fails"]
    assert len(written["trials"]) == 2 * written["pairs"]
    assert [file.name for file in (tmp_path / "evidence").iterdir()] == ["own.json"]


def test_text_from_outside_cannot_steer_the_terminal():
    assert cli._clean("a\x1b[31mred\x07 \u202egnp.exe\nline") == "a[31mred gnp.exe line"


def test_a_digest_is_read_shown_and_its_claims_can_be_run(capsys):
    code, out, _ = run(capsys, "read", "examples/digest.md", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["files"][0]["mentions"] == len(found["papers"]) >= 5
    assert {paper["slug"] for paper in found["papers"]} >= {"siren", "tree_explainer", "randomized_smoothing", None}


SUMMARIES = """[link]
Fujimoto et al. show that offpolicy learners fail on a fixed batch, and constrain the actions to those likely in it (BCQ).
[link]
This paper is about the breeding of roses in cold climates.
[link]
Sines as activations: an implicit representation of a picture whose derivatives are as good as its values, with careful initial weights.
"""


@pytest.fixture
def summaries(tmp_path):
    file = tmp_path / "summaries.txt"
    file.write_text(SUMMARIES, encoding="utf-8")
    return str(file)


def test_a_link_shows_how_sure_it_is_and_the_words_that_made_it(capsys, summaries):
    papers = json.loads(run(capsys, "read", summaries, "--json")[1])["papers"]
    assert [(one["slug"], one["status"]) for one in papers] == [("bcq", "library"), (None, None), ("siren", "library")]
    assert all(0.5 <= one["confidence"] <= 1 and one["doubtful"] == (one["confidence"] < 0.8) for one in papers if one["slug"])
    assert {"by Fujimoto", "offpolicy"} <= set(papers[0]["because"])
    shown = run(capsys, "read", summaries)[1]
    assert "3 papers, 2 of them in the library, 0 wanted" in shown
    assert "offpolicy" in next(line for line in shown.splitlines() if " bcq " in line)
    table = list(csv.DictReader(io.StringIO(run(capsys, "read", summaries, "--csv")[1])))
    assert [row["slug"] for row in table] == ["bcq", "", "siren"]


def test_a_doubtful_link_is_marked_and_can_be_settled_for_good(capsys, summaries, monkeypatch):
    from bakeoff import catalogue, profiles, recognise
    monkeypatch.setattr(recognise, "SURE", 0.9999)
    wanted = next(slug for slug in profiles.profiles() if slug not in catalogue.entries())
    shown = run(capsys, "read", summaries)[1]
    assert next(line for line in shown.splitlines() if " bcq " in line).startswith("?")
    assert "bakeoff link FILE ENTRY SLUG" in shown
    said = f"{summaries}, entry 1: bcq (was bcq): {SUMMARIES.splitlines()[1][:100]}\n"
    assert run(capsys, "link", summaries, "1", "bcq")[:2] == (0, said)
    assert run(capsys, "link", summaries, "2", wanted, "--json")[0] == 0
    assert run(capsys, "link", summaries, "3", "none")[0] == 0
    papers = json.loads(run(capsys, "read", summaries, "--json")[1])["papers"]
    assert [(one["slug"], one["status"], one["settled"], one["doubtful"]) for one in papers] == [
        ("bcq", "library", True, False), (wanted, "wanted", True, False), (None, None, True, False)]
    assert run(capsys, "link", summaries, "3", "auto")[0] == 0
    assert json.loads(run(capsys, "read", summaries, "--json")[1])["papers"][2]["slug"] == "siren"


@pytest.mark.parametrize(("words", "told"), [(["4", "bcq"], "has no entry 4"), (["1", "bqc"], "no paper is called 'bqc'")])
def test_a_link_that_cannot_be_made_changes_nothing(words, told, capsys, summaries):
    code, out, err = run(capsys, "link", summaries, *words)
    assert (code, out, told in err, len(err.splitlines())) == (1, "", True, 2)
    assert not any(one["settled"] for one in json.loads(run(capsys, "read", summaries, "--json")[1])["papers"])


def test_the_papers_of_a_digest_are_run_with_the_soonest_verdict_first(capsys, tmp_path, monkeypatch):
    from bakeoff import contest
    papers = [catalogue.entry(slug).paper for slug in ("siren", "bcq", "tree_explainer")]
    file = tmp_path / "digest.md"
    file.write_text("".join(f"# {at}. {one.title}\n\nAnn\n\n- links: [abs](https://arxiv.org/abs/{one.arxiv})\n\nText.\n\n"
                            for at, one in enumerate(papers, 1)))
    ran = []
    monkeypatch.setattr(contest, "run", lambda one, *_, **__: ran.append(one.slug) or {"trials": []})
    monkeypatch.setattr(contest, "summary", lambda one: {})
    monkeypatch.setattr(contest, "sentence", lambda one: "")
    code, _, err = run(capsys, "run", "--digest", str(file))
    seconds = {one["slug"]: one["seconds"] for one in catalogue.evidence()}
    assert code == 0
    assert ran == sorted(ran, key=seconds.get) == ["tree_explainer", "bcq", "siren"]
    assert [line.split(":")[0] for line in err.splitlines() if "likely" in line] == ran


def test_nothing_is_stored_from_a_digest_that_cannot_be_read(capsys, tmp_path, home):
    bad = tmp_path / "bad.md"
    bad.write_bytes(b"\0\1\2binary")
    assert run(capsys, "read", str(bad))[0] == 1
    assert not (home / "state" / "bakeoff.sqlite").exists()


def test_the_site_holds_every_paper_and_the_users_own_results(capsys, tmp_path, own_paper):
    run(capsys, "run", own_paper(), "--budget", "smoke")
    code, out, _ = run(capsys, "site", str(tmp_path / "site"))
    assert code == 0
    page = Path(out.strip()).read_text(encoding="utf-8")
    assert all(one.paper.title.split("'")[0] in page for one in catalogue.entries().values())


def test_show_prints_card_claim_and_how_to_import(capsys):
    out = run(capsys, "show", "siren")[1]
    assert "from bakeoff.papers.fields.siren import" in out
    assert catalogue.entry("siren").claim.says in out


def test_data_lists_the_named_sets(capsys):
    listed = json.loads(run(capsys, "data", "--json")[1])
    assert {row["name"]: row["kind"] for row in listed}["digits"] == "images"


def test_data_writes_a_batch_that_is_read_back_and_overwrites_nothing(capsys, tmp_path):
    written = tmp_path / "cart.npz"
    code, out, _ = run(capsys, "data", "cartpole-half", "--to", str(written))
    assert (code, out.split()[0]) == (0, "cartpole-half")
    kind = sets.kind_of("cartpole-half")
    again, made = (sets.load(sets.Source(where), kind) for where in (str(written), "cartpole-half"))
    assert (again.action == made.action).all()
    assert again.behaviour == made.behaviour
    before = written.read_bytes()
    assert run(capsys, "data", "cartpole-half", "--to", str(written))[0] == 1
    assert written.read_bytes() == before
    for words, told in ((("data", "wine", "--to", "x.npz"), "kind tables"), (("data", "--to", "x.npz"), "none is named")):
        code, _, err = run(capsys, *words)
        assert (code, told in err) == (1, True)


def test_data_lists_one_kind_where_asked(capsys):
    listed = json.loads(run(capsys, "data", "--kind", "pictures", "--json")[1])
    assert {row["name"] for row in listed} >= {"china", "flower"}
    assert {row["kind"] for row in listed} == {"pictures"}
    for words, told in ((("data", "--kind", "nonsense"), "pictures"), (("data", ""), "no data set is called")):
        code, _, err = run(capsys, *words)
        assert (code, told in err) == (1, True)


def test_a_listing_shows_what_was_found_on_the_claims_own_data_with_the_largest_budget(capsys, monkeypatch):
    known = {"slug": "tree_explainer", "data": "breast-cancer", "budget": "quick", "decision": "fails"}
    monkeypatch.setattr(catalogue, "evidence", lambda whole=False: [known])
    for words in (["--data", "wine"], []):
        assert run(capsys, "run", "tree_explainer", "--budget", "smoke", "--pairs", "1", *words)[0] == 0
        assert json.loads(run(capsys, "list", "tree_explainer", "--json")[1])[0]["decision"] == "fails"
        assert {row["slug"]: row["decision"] for row in json.loads(run(capsys, "list", "--json")[1])}["tree_explainer"] == "fails"
    monkeypatch.setattr(catalogue, "evidence", lambda whole=False: [])
    assert json.loads(run(capsys, "list", "tree_explainer", "--json")[1])[0]["decision"] == "undecided"


def test_a_link_tells_the_slug_or_null_and_no_sign_of_the_files_name_that_steers(capsys, tmp_path):
    file = tmp_path / "x\u202ey.txt"
    file.write_text(SUMMARIES, encoding="utf-8")
    told, = json.loads(run(capsys, "link", str(file), "1", "none", "--json")[1])
    assert (told["slug"], told["before"], Path(told["file"]).name) == (None, "bcq", "xy.txt")


def test_the_hint_of_a_doubtful_paper_names_the_entry_of_the_digest_that_was_given(capsys, tmp_path, summaries, monkeypatch):
    from bakeoff import cli, recognise
    monkeypatch.setattr(recognise, "SURE", 0.9999)
    one, two, three = [f"[link]\n{text}\n" for text in SUMMARIES.splitlines()[1::2]]
    other = tmp_path / "an other.txt"
    other.write_text(two + three + one, encoding="utf-8")
    run(capsys, "read", summaries)
    cli._recognised(str(other))
    assert f"bakeoff link '{other}' 3 none" in next(line for line in capsys.readouterr().err.splitlines() if line.startswith("bcq"))


def test_a_query_that_nothing_fits_is_answered(capsys):
    assert run(capsys, "list", "xqzwvj") == (0, "", "nothing fits: xqzwvj\n")
