"""The guide: everything in it that can be run is run, with few steps; what it shows of the output is what comes."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bakeoff import catalogue
from bakeoff.cli import main

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/guide.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.M | re.S)


def blocks(language):
    return [text for name, text in BLOCKS if name == language]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples/assay.csv", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_say_what_the_guide_shows(folder, capsys):
    first, second, *others = (line for block in blocks("sh") for line in block.splitlines())
    refused, shown, _ = blocks("text")
    assert main(shlex.split(first)[1:]) == 1
    assert capsys.readouterr().err == refused
    assert main([*shlex.split(second)[1:], "--budget", "smoke", "--pairs", "1"]) == 0
    told, expected = ([line for line in text.splitlines() if "rows:" in line or line.startswith("grover: ")]
                      for text in (capsys.readouterr().err, shown))
    assert told == expected
    assert len(told) == 6
    for command in others:
        assert main(shlex.split(command)[1:]) == 0
    assert "DrugTarget" in capsys.readouterr().out


def test_the_python_runs_in_one_go_and_writes_the_card_and_the_picture(folder):
    script = "import warnings; warnings.simplefilter('ignore')\n" + re.sub(r"steps=\d+", "steps=2", "\n".join(blocks("python")))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "(4, 128)" in done.stdout
    assert (folder / "atoms.png").read_bytes()[1:4] == b"PNG"
    exact = {"file", "SHA-256 of the file", "SHA-256 of these SMILES, one a line", "targets", "divided by", "unit"}
    card = dict(re.findall(r"^- (.*?): (.*)$", (folder / "pIC50.safetensors.md").read_text(encoding="utf-8"), re.M))
    shown = dict(re.findall(r"^- (.*?): (.*)$", blocks("text")[2], re.M))
    assert set(card) - set(shown) <= {"atom contexts", "bond contexts", "bakeoff", "numpy", "python", "rdkit", "safetensors", "torch"}
    assert set(shown) <= set(card)
    assert {name: card[name] for name in exact} == {name: shown[name] for name in exact}


def test_every_paper_of_the_area_is_in_the_guide():
    assert set(re.findall(r"^\| `(\w+)`", GUIDE, re.M)) | {"grover"} >= {
        slug for slug, one in catalogue.entries().items() if one.area == "molecules"}
