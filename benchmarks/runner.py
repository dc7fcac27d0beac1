"""What the local runner costs: a further trial on a warm worker, two workers against one, a run that is finished already.

benchopt, in-process and without isolation, spends about 11 ms around a run of a solver; the first figure stands beside that.
Writes benchmarks/runner.md.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from conftest import OWN_PAPER  # noqa: E402

from bakeoff import contest  # noqa: E402
from bakeoff.claim import ARMS, Outcome, Source, Trial  # noqa: E402
from bakeoff.runners.local import LocalRunner  # noqa: E402
from bakeoff.store import Store  # noqa: E402

BUSY = "import torch\n    x = torch.ones(300, 300)\n    for _ in range({rounds}):\n        x = x @ x / 300\n    return float(x[0, 0])"


def own(folder: Path, name: str, body: str) -> str:
    file = folder / f"{name}.py"
    file.write_text(OWN_PAPER.format(treatment=body, control=body), encoding="utf-8")
    return str(file)


def asked(slug: str, seeds: range) -> list[Trial]:
    return [Trial(slug, arm, seed, "smoke", Source("diabetes")) for seed in seeds for arm in ARMS]


def warm_trial(folder: Path) -> tuple[float, float]:
    slug = own(folder, "empty", "return 1.0")
    with LocalRunner(1) as runner:
        started = time.perf_counter()
        list(runner.run(asked(slug, range(1))[:1]))
        first = time.perf_counter() - started
        times = []
        for trial in asked(slug, range(1, 101)):
            started = time.perf_counter()
            (_, outcome), = runner.run([trial])
            times.append(time.perf_counter() - started - outcome.seconds)
    return first, sorted(times)[len(times) // 2]


def throughput(folder: Path) -> tuple[float, dict[int, float]]:
    started = time.perf_counter()
    with LocalRunner(1) as runner:
        (_, outcome), = runner.run(asked(own(folder, "probe", BUSY.format(rounds=500)), range(1))[:1])
    slug, times = own(folder, "busy", BUSY.format(rounds=int(500 * 2.8 / outcome.seconds))), {}
    for jobs in (1, 2):
        with LocalRunner(jobs) as runner:
            list(runner.run(asked(own(folder, "empty", "return 1.0"), range(jobs))))
            started = time.perf_counter()
            one = [outcome.seconds for _, outcome in runner.run(asked(slug, range(4)))]
            times[jobs] = time.perf_counter() - started
    return sum(one) / len(one), times


def finished_run(folder: Path) -> float:
    slug, home = own(folder, "done", "return 1.0"), folder / "home"
    (home / "state").mkdir(parents=True)
    with Store(f"sqlite:///{home / 'state' / 'bakeoff.sqlite'}") as store:
        one = contest.Contest.prepare(slug, budget="smoke", pairs=100)
        for pair, seed in enumerate(one.seeds):
            for arm in ARMS:
                value = 0.05 + (-1) ** pair if arm == "treatment" else 0.0
                store.keep_trial(Trial("done", arm, seed, "smoke", one.source), one.code, one.data, Outcome("done", value))
    words = [str(Path(sys.executable).parent / "bakeoff"), "run", slug, "--budget", "smoke", "--pairs", "100"]
    times = []
    for _ in range(7):
        started = time.perf_counter()
        subprocess.run(words, env={**os.environ, "BAKEOFF_HOME": str(home)}, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        first, warm = warm_trial(Path(made))
        trial, times = throughput(Path(made))
        rows = [("first trial, worker and its imports included", f"{first:.2f} s"),
                ("a further trial on a warm worker, beyond its own work", f"{1000 * warm:.2f} ms"),
                (f"8 trials of {trial:.1f} s, one worker", f"{times[1]:.1f} s"),
                ("the same, two workers", f"{times[2]:.1f} s: {times[1] / times[2]:.2f} times the throughput"),
                ("`bakeoff run` with 200 finished trials", f"{finished_run(Path(made)):.2f} s")]
    table = "\n".join(["| what | measured |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows)])
    (HERE / "runner.md").write_text(f"# The local runner\n\nWritten by `benchmarks/runner.py`, two cores.\n\n{table}\n", encoding="utf-8")
    print(table)
