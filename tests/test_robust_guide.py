"""The guide "Is my classifier robust?": its code is run in one go, and what it finds is in the order that logic demands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bakeoff.cli import main

GUIDE = (Path(__file__).parent.parent / "docs/robust.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.M | re.S)
LOGIC = """
for norm in attacked:
    assert all(small >= large for small, large in zip(attacked[norm], attacked[norm][1:]))  # a larger ball holds the smaller
    assert attacked[norm][0] == accuracy(model, x, y) > 0.9
    assert attacked[norm][-1] < 0.2
assert all(sure <= held for sure, held in zip(certified[math.inf], hardened[math.inf]))  # no certified image was fooled
assert certified[math.inf][2] > 0.3
assert certified[2][1] > 0.5
assert curve(method.network, [0.15], math.inf)[0] > curve(model, [0.15], math.inf)[0] + 0.2
assert len(damage) == 15
assert all(0 <= share <= 1 for shares in damage.values() for share in shares)
"""


def blocks(language):
    return [text for name, text in BLOCKS if name == language]


def test_the_python_runs_in_one_go_and_its_figures_fit_each_other(tmp_path):
    script = "import torch\ntorch.set_num_threads(1)\n" + "\n".join(blocks("python")) + LOGIC
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "robust.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines()])
def test_the_commands_answer(line, capsys):
    assert main(shlex.split(line)[1:]) == 0
    assert "randomi" in capsys.readouterr().out
