"""The catalogue reads headers as text; hashes follow the code that matters."""

import subprocess
import sys

import pytest

from bakeoff import catalogue
from bakeoff.errors import PaperError, UnknownPaper


def test_every_paper_file_is_in_the_catalogue_and_none_was_imported():
    files = {file.stem for file in (catalogue.ROOT / "papers").glob("*/[!_]*.py")}
    script = "import sys; from bakeoff import catalogue; print(*catalogue.entries(), *{'torch', 'numpy', 'rdkit'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert set(printed) == files
    assert files >= {"siren", "bcq", "lottery_ticket", "randomized_smoothing", "tree_explainer", "discriminator_ga"}


def test_a_header_that_calls_something_is_not_run(tmp_path):
    file = tmp_path / "bad.py"
    file.write_text('"""Bad: it runs."""\nPAPER = Paper(title=open("/tmp/x").read())\nCLAIM = 1\n__all__ = ["A"]\n')
    with pytest.raises(PaperError, match="not literal"):
        catalogue.read(file)


@pytest.mark.parametrize("text", ['"""Card: x."""\n', '"""Card: x."""\n__all__ = ["A"]\n', "def (:\n__all__ = []\n", '__all__ = ["A"]\n'])
def test_a_file_without_the_form_of_a_paper_says_what_is_missing(tmp_path, text):
    file = tmp_path / "bad.py"
    file.write_text(text)
    with pytest.raises(PaperError) as told:
        catalogue.read(file)
    assert str(file) in told.value.message
    assert told.value.hint


def test_an_unknown_name_brings_near_ones():
    with pytest.raises(UnknownPaper, match="Did you mean siren"):
        catalogue.entry("sirne")


def test_the_code_hash_changes_with_a_module_that_the_paper_imports_and_with_no_other(tmp_path, monkeypatch):
    package = tmp_path / "bakeoff"
    for name, text in {"__init__.py": "", "claim.py": "", "parts/__init__.py": "", "parts/mlp.py": "x = 1\n", "parts/other.py": "",
                       "papers/__init__.py": "", "papers/area/__init__.py": "",
                       "papers/area/one.py": '"""One: x."""\nfrom ...claim import Paper\nfrom ...parts.mlp import x\n'
                                             'PAPER = Paper(title="t", authors=("a",), year=1, venue="v")\n'
                                             'CLAIM = Claim(says="s", data="d", metric="m", unit="u", better="higher", margin=1.0, '
                                             'equal="steps", steps={"smoke": 1, "quick": 1, "full": 1})\n__all__ = ["x"]\n'}.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    monkeypatch.setattr(catalogue, "ROOT", package)
    monkeypatch.setattr(catalogue, "entries", lambda: {"one": catalogue.read(package / "papers/area/one.py")})
    before = catalogue.code_hash("one")
    (package / "parts/other.py").write_text("y = 2\n")
    assert catalogue.code_hash("one") == before
    (package / "parts/mlp.py").write_text('"""Words."""\nx = 1\n\n')
    assert catalogue.code_hash("one") == before
    paper = package / "papers/area/one.py"
    paper.write_text(paper.read_text().replace('"""One: x."""', '"""One: y."""').replace('title="t"', 'title="u"'))
    assert catalogue.code_hash("one") == before
    (package / "parts/mlp.py").write_text("x = 2\n")
    assert catalogue.code_hash("one") != before
    (package / "parts/mlp.py").write_text("x = 1\n")
    paper.write_text(paper.read_text().replace("margin=1.0", "margin=2.0"))
    assert catalogue.code_hash("one") != before


def test_a_file_that_is_no_text_is_refused_in_words(tmp_path):
    file = tmp_path / "own.py"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(PaperError, match="not UTF-8 text: byte 0"):
        catalogue.read(file)
