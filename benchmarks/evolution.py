"""Evolution of molecules: what breaks a standstill, two ways of writing, and JANUS, the authors' next algorithm, on one objective.

Every search maximises penalised logP with SMILES of at most 81 characters, with a population of 50, and stops after 1,000 distinct
molecules; the four that differ in the disturbance alone also after 4,000. The seeds are not the evidence's.

Needs `pip install --no-deps janus-ga` (its pin of selfies is not needed) and the set `zinc`.
Writes benchmarks/evolution.md.
"""

import contextlib
import functools
import importlib.metadata
import io
import random
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from bakeoff.claim import Source
from bakeoff.data.sets import load
from bakeoff.papers.molecules.discriminator_ga import DiscriminatorGA
from bakeoff.parts.fingerprints import diversity, nearest, novelty
from bakeoff.parts.penalised_logp import penalised_logp
from bakeoff.parts.smiles_mutation import mutate_smiles

POPULATION, LONGEST = 50, 81
SHORT, LONG = 1000, 4000
SEEDS, SEEDS_OF_LONG = range(100, 103), range(100, 104)
DISTURBANCES = {
    "plain: no disturbance": {"beta": 0.0},
    "discriminator in a standstill": {},
    "chance in a standstill": {"disturbance": "chance"},
    "restart in a standstill": {"disturbance": "restart"},
}
ON_SMILES = {"plain, mutating SMILES": {"beta": 0.0, "mutate": mutate_smiles}}


class Enough(Exception):
    """The objective has been asked often enough."""


def ours(options: dict, seed: int, reference, calls: int) -> tuple[dict[str, float], list[str], int]:
    search = DiscriminatorGA(penalised_logp, reference, population=POPULATION, max_length=LONGEST, seed=seed, **options)
    found = search.run(calls)
    return found.scored, list(found.smiles), len(found.firings)


def janus(start: list[str], seed: int, calls: int) -> tuple[dict[str, float], list[str], None]:
    """JANUS without its network and with a generation a hundredth of its own; the best one has 400 mutants in each."""
    from janus import JANUS
    scored = {}

    def objective(smiles: str) -> float:
        if smiles not in scored:
            if len(scored) == calls:
                raise Enough
            scored[smiles] = float(penalised_logp([smiles])[0])
        return scored[smiles]

    random.seed(seed)
    np.random.seed(seed)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        Path("start.txt").write_text("\n".join(start), encoding="utf-8")
        search = JANUS("found", objective, "start.txt", custom_filter=within, use_gpu=False, num_workers=1, generations=10_000,
                       generation_size=POPULATION, use_fragments=False, use_classifier=False, exploit_num_random_samples=20,
                       exploit_num_mutations=20)
        with contextlib.suppress(Enough):
            search.run()
    return scored, list(search.population), None


def within(smiles: str) -> bool:
    return 0 < len(smiles) <= LONGEST


def seconds() -> float:
    """Of processor time, with that of finished child processes."""
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def measured(search, reference) -> dict[str, float]:
    began = seconds()
    scored, last, firings = search()
    taken = seconds() - began
    values, best = list(scored.values()), sorted(scored, key=scored.get, reverse=True)[:10]
    print(f"{max(values):.2f} after {len(values)} molecules and {taken:.1f} s", file=sys.stderr)
    return {"J": max(values), "s / 1,000": 1000 * taken / len(values), "firings": np.nan if firings is None else firings,
            "diversity": diversity(last), "different": len(set(last)) / len(last), "novelty": novelty(last, reference),
            "nearest": nearest(best, reference[:1000])}


def table(runs: dict[str, list[dict[str, float]]], columns: list[str]) -> list[str]:
    rows = [f"| search | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, each in runs.items():
        values = {column: [one[column] for one in each] for column in columns}
        cells = ["-" if np.isnan(found).any() else f"{np.mean(found):.2f}" + f" ± {np.std(found, ddof=1):.2f}" * (column == "J")
                 for column, found in values.items()]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows


def page(short: dict, long: dict) -> str:
    version = importlib.metadata.version("janus-ga")
    return "\n".join([
        "# Evolution of molecules: disturbances, two ways of writing, and JANUS", "",
        f"Measured with `benchmarks/evolution.py` and janus-ga {version}; one thread, processor time with that of JANUS's child processes,",
        "the objective included; the machine was shared. J is the best penalised logP, in deviations of ZINC, with its deviation over",
        f"seeds. JANUS, without its network, asks for {2 * POPULATION} molecules in a generation.",
        "", f"## {SHORT:,} molecules, {len(SEEDS)} seeds", "", *table(short, list(next(iter(short.values()))[0])), "",
        "Diversity (mean Tanimoto distance), the share of different molecules and novelty (the share that is not in ZINC) are of the last",
        "population; nearest is the Tanimoto similarity of the ten best to the most similar of 1,000 molecules of ZINC.",
        "", f"## {LONG:,} molecules, {len(SEEDS_OF_LONG)} seeds", "", *table(long, ["J", "s / 1,000"])]) + "\n"


def main() -> None:
    torch.set_num_threads(1)
    reference = load(Source("zinc"), "molecules").split(0)[0].smiles
    run = functools.partial
    measured(run(ours, {}, 0, reference, 30), reference)  # what is loaded at first use is loaded before any search is timed
    small = list(ours({"beta": 0.0}, 0, reference, POPULATION)[0])  # methane alone leaves JANUS without a parent
    starts = {"JANUS from methane and 49 of its mutants": small, "JANUS from 50 of ZINC": list(reference[:POPULATION])}
    short = {name: [measured(run(ours, options, seed, reference, SHORT), reference) for seed in SEEDS]
             for name, options in (DISTURBANCES | ON_SMILES).items()}
    short |= {name: [measured(run(janus, start, seed, SHORT), reference) for seed in SEEDS] for name, start in starts.items()}
    long = {name: [measured(run(ours, options, seed, reference, LONG), reference) for seed in SEEDS_OF_LONG]
            for name, options in DISTURBANCES.items()}
    Path(__file__).with_suffix(".md").write_text(page(short, long), encoding="utf-8")


if __name__ == "__main__":
    main()
