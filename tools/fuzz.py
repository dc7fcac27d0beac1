"""Whether digests that mean harm do any: python tools/fuzz.py [--inputs 100000] [--seed 0] [--write] [--atheris SECONDS]

Every input is read; what is read is checked, merged and put through JSON; one in fifty also goes through the command and onto the
site. Exit code 1 if anything was found: a crash (anything but a DigestError), a hang (more than a second for a megabyte), an escape
(something that acts, hides or steers, or a field that is not what it is said to be). --atheris adds inputs led by coverage (pip
install atheris).
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOP / "tests" / "digests"), str(TOP / "src")]

from harmless import assert_harmless, assert_plain, assert_sound, assert_survives_json  # noqa: E402
from hostile import LARGE, hostile, repetitions  # noqa: E402

from bakeoff import cli, digests, shelf  # noqa: E402
from bakeoff.errors import DigestError  # noqa: E402
from bakeoff.store import Store  # noqa: E402
from bakeoff.web import site  # noqa: E402

ENDS = ("accepted", "refused", "crash", "hang", "escape")
COMMAND = 50  # one input in so many goes through the command
CHUNK = 500
PATIENCE = 20  # seconds until an input is given up as hanging


def judge(content: bytes, file: Path, *, command: bool = False) -> tuple[str, str]:
    """How reading a content ended, and what was found."""
    file.write_bytes(content)
    signal.alarm(PATIENCE)
    started = time.process_time()
    try:
        end = "accepted"
        try:
            read = digests.read(file)
        except DigestError as refused:
            end = "refused"
            assert_plain(refused.message + refused.hint)
        if (seconds := time.process_time() - started) > max(1, len(content) / 1e6):
            return "hang", f"{seconds:.1f} s"
        if end == "accepted":
            assert_sound(read)
            assert_survives_json(digests.merge([read]))
        if command:
            for form in ("--json", "--csv", ""):
                _command(file, form, end)
        return end, ""
    except AssertionError as found:
        return "escape", ascii(str(found))[:200]
    except TimeoutError:
        return "hang", f"over {PATIENCE} s"
    except Exception as found:
        return "crash", ascii(repr(found))[:200]
    finally:
        signal.alarm(0)


def _command(file: Path, form: str, end: str) -> None:
    code, said = _said(file, form)
    assert code == (0 if end == "accepted" else 1), f"the command gave {code} on a digest that was {end}: {said}"
    assert_plain(said.replace("\n", ""))


def _said(file: Path, form: str) -> tuple[int, str]:
    """The exit code of `bakeoff read`, and all that it printed."""
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
        return cli.main(["read", str(file), *filter(None, [form])]), said.getvalue()


def _late(*_):
    raise TimeoutError


def _judge_many(seeds: range) -> list[tuple[int, str, str, int, str, str]]:
    made = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BAKEOFF_HOME"] = folder
        os.environ.pop("BAKEOFF_STORE", None)
        for seed in seeds:
            one = hostile(seed)
            ended = judge(one.content, Path(folder) / "digest.txt", command=seed % COMMAND == 0)
            made.append((seed, one.form, one.attack, len(one.content), *ended))
        if found := _page():
            made.append((seeds[0], "site", "all at once", 0, "escape", found))
    return made


def _page() -> str:
    """What is harmful on the site's page of all that the command has read."""
    with Store() as store:
        read = [shelf.as_json(one) for one in shelf.everything(store)]
    try:
        for page in site.render({}, {}, shelf=read).values():
            assert_harmless(page)
    except AssertionError as found:
        return ascii(str(found))[:200]
    return ""


STEPS = {  # of what is timed, and the seconds that it may take for a megabyte
    "read": (digests.read, 1),
    "read and merged": (lambda file: digests.merge([digests.read(file)]), 2),
    "bakeoff read": (lambda file: _said(file, "--json"), 5)}


def measured(size: int) -> tuple[list[tuple[list[float], str]], list[str]]:
    """The seconds of each step for pages of so many bytes, the slowest first; and what was found."""
    rows, found = [], []
    for name, text in {**{name: make(size) for name, make in LARGE.items()}, **repetitions(size)}.items():
        with tempfile.TemporaryDirectory() as folder:
            os.environ["BAKEOFF_HOME"] = folder  # a shelf of its own
            file = Path(folder) / "digest.txt"
            file.write_text(text, encoding="utf-8", newline="")
            times = []
            for step, (work, most) in STEPS.items() if name in LARGE else [("read", STEPS["read"])]:
                signal.alarm(PATIENCE)
                started = time.process_time()
                try:
                    work(file)
                except (DigestError, TimeoutError):
                    pass
                except Exception as problem:
                    found.append(f"crash: {step}: {name}: {ascii(repr(problem))[:200]}")
                finally:
                    signal.alarm(0)
                times.append(time.process_time() - started)
                if times[-1] > most:
                    found.append(f"hang: {step}: {name}: {times[-1]:.1f} s")
            rows.append((times, name))
    return sorted(rows, key=lambda row: -max(row[0])), found


def led(seconds: int) -> str:
    """Inputs led by coverage, by atheris in a process of its own; what it found, "" if nothing."""
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(300):
            (Path(folder) / str(seed)).write_bytes(hostile(seed).content[:20_000])
        run = subprocess.run([sys.executable, __file__, "--led", folder, f"-max_total_time={seconds}", "-max_len=20000", "-timeout=20",
                              "-rss_limit_mb=0", f"-artifact_prefix={folder}/found-"], cwd=folder, capture_output=True, text=True)
    tail = run.stderr.strip().splitlines()[-25:]
    print("\n".join(tail[-1 if run.returncode == 0 else 0:]), file=sys.stderr)
    return "" if run.returncode == 0 else "\n".join(tail)


def _led(arguments: list[str]) -> None:
    import atheris
    for name, module in list(sys.modules.items()):
        for thing in list(vars(module).values()) if name.startswith("bakeoff.digests") else ():
            if inspect.isfunction(thing) and thing.__module__ == name:
                atheris.instrument_func(thing)
    file = Path(tempfile.mkdtemp()) / "digest.txt"

    def one(content: bytes) -> None:
        end, found = judge(content, file)
        if end not in ("accepted", "refused"):
            raise RuntimeError(f"{end}: {found}")

    atheris.Setup([__file__, *arguments], one)
    atheris.Fuzz()


def table(heads: tuple[str, ...], rows: list[tuple]) -> str:
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '¦') for cell in row)} |" for row in (heads, ("---",) * len(heads), *rows))


def main() -> int:
    if sys.argv[1:2] == ["--led"]:
        _led(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, choices=(1, 2))
    parser.add_argument("--write", action="store_true", help="write benchmarks/fuzz.md")
    parser.add_argument("--atheris", type=int, default=0, metavar="SECONDS")
    asked = parser.parse_args()
    signal.signal(signal.SIGALRM, _late)
    started, forms, attacks, sizes, found = time.perf_counter(), {}, {}, [], []
    first = asked.seed * 1_000_000_000
    chunks = [range(at, min(at + CHUNK, first + asked.inputs)) for at in range(first, first + asked.inputs, CHUNK)]
    with multiprocessing.get_context("fork").Pool(asked.processes) as pool:
        for seed, form, attack, size, end, what in (row for rows in pool.imap_unordered(_judge_many, chunks) for row in rows):
            forms.setdefault(form, Counter())[end] += 1
            attacks.setdefault(attack, Counter())[end] += 1
            sizes.append(size)
            if what:
                found.append(f"{end}: seed {seed}, {form}, {attack}: {what}")
    seconds = time.perf_counter() - started
    sizes.sort()
    slowest, late = measured(1_000_000)
    found += late
    if asked.atheris and (what := led(asked.atheris)):
        found.append(f"led by coverage: {what}")
    total = sum(forms.values(), Counter())
    counts = [("all", total), *sorted(forms.items()), *sorted(attacks.items())]
    rows = [(name, count.total(), *(count[end] for end in ENDS)) for name, count in counts]
    text = f"""# Digests that mean harm

Written by `python tools/fuzz.py --inputs {asked.inputs} --seed {asked.seed} --write` in {seconds:.0f} s, {asked.processes} processes.

{total.total():,} digests made by `tests/digests/hostile.py`, half of them {sizes[len(sizes) // 2] / 1000:.1f} kB or less, the largest
{sizes[-1] / 1e6:.0f} MB: {total['accepted']:,} were read, {total['refused']:,} refused in words, {len(found)} things found. One in
{COMMAND} also went through `bakeoff read` as text, JSON and CSV, and onto the site's page of the papers read.

{table(('form, or what was done', 'digests', *ENDS), rows)}

## The slowest megabytes

Seconds of one core for the slowest of {len(slowest)} pages of 1 MB, each of one thing over and over, aimed at the expressions and loops
of the readers. What has no form is only refused; a repetition is only read.

{table(('page', *STEPS), [(name, *(f'{took:.2f}' for took in times), *[''] * (3 - len(times))) for times, name in slowest[:20]])}
"""
    print(text)
    print("\n".join(found[:50]), file=sys.stderr)
    if asked.write:
        (TOP / "benchmarks" / "fuzz.md").write_text(text, encoding="utf-8")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
