"""Affinities of drugs and kinases: from a table of means to a pre-trained transformer, on the published division of Davis and KIBA.

Every network trains for about 40 seconds of one thread; the steps that fill them are measured beforehand, the time taken is in the table.
"Scratch" and both pre-trained rows are MT-DTI as in `bakeoff run mt_dti` at `quick`; DeepDTA has the same protein branch, dense layers
and blocks of pairs. Pre-trained "strict" spends a third of its 40 seconds on gaps in ZINC's SMILES; "free" has an encoder that spent 40
seconds on them beforehand, the same for both sets, and all of its own for the pairs. One seed: differences below 0.005 may be chance.

Rates and DeepDTA's kernels were chosen once, on other divisions of Davis at random, and serve both sets. Writes benchmarks/affinity.md.
"""

import time
from pathlib import Path

import torch

from bakeoff.baselines.additive_means import AdditiveMeans
from bakeoff.baselines.deepdta import DeepDTA
from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.papers.molecules.mt_dti import CORPUS, SIZES, DrugTarget, MoleculeTransformer
from bakeoff.parts.affinity_measures import concordance, external_fit, squared_error

SECONDS, SEED, SHARE = 40.0, 0, 1 / 3
DRUG, PAIR = SIZES["quick"]
LIKE = {name: PAIR[name] for name in ("filters", "head", "block", "averaging")} | {"width": PAIR["protein_width"],
                                                                                     "longest_protein": PAIR["longest"]}
TUNED = {"learning_rate": 3e-3}
REPORTED = {  # concordance, mean squared error, r_m^2: as the papers report them, trained to the end on five folds
    "davis": {"DeepDTA, as its paper reports": (0.878, 0.261, 0.630), "MT-DTI, as its paper reports": (0.887, 0.245, 0.665)},
    "kiba": {"DeepDTA, as its paper reports": (0.863, 0.194, 0.673), "MT-DTI, as its paper reports": (0.882, 0.152, 0.738)}}


def affordable(fit, few: int = 5, more: int = 35) -> float:
    """Steps a second of `fit(steps)`: by the difference between `more` and `few`, after a first run that warms up."""
    fit(few)
    marks = [time.process_time()]
    for steps in (few, more):
        fit(steps)
        marks.append(time.process_time())
    return (more - few) / (marks[2] - 2 * marks[1] + marks[0])


def row(name: str, steps: str, test, fit) -> str:
    """A row of the table: how well what `fit()` gives does on the test pairs, its seconds, and how many pairs it answers a second."""
    marks = [time.process_time()]
    model = fit()
    marks.append(time.process_time())
    found = model.predict(test.smiles, test.sequences, test.pairs)
    trained, answered = marks[1] - marks[0], time.process_time() - marks[1]
    measures = " | ".join(f"{one(test.values, found):.3f}" for one in (concordance, squared_error, external_fit))
    return f"| {name} | {measures} | {steps} | {trained:.0f} | {len(test) / answered:,.0f} |"


def rows(train, test, free: MoleculeTransformer):
    """The table's rows on one set, each as it comes."""
    known, corpus = (train.smiles, train.sequences, train.pairs, train.values), (*train.unlabelled[:CORPUS["quick"]], *train.smiles)
    floor = AdditiveMeans().fit(train).predict(test)
    measures = " | ".join(f"{one(test.values, floor):.3f}" for one in (concordance, squared_error, external_fit))
    yield f"| mean of the drug and of the protein | {measures} | | | |"

    def deep(steps):
        return DeepDTA(**LIKE, **TUNED, seed=SEED).fit(*known, steps)

    def encoder(steps):
        return MoleculeTransformer(**DRUG, seed=SEED).fit(corpus, steps)

    def tuned(start, steps):
        return DrugTarget(start, **PAIR, seed=SEED).fit(*known, steps)

    blank = encoder(0)
    steps = round(SECONDS * affordable(deep))
    yield row("DeepDTA", f"{steps:,}", test, lambda: deep(steps))
    pace, first = affordable(lambda steps: tuned(blank, steps)), round(SHARE * SECONDS * affordable(encoder))
    most, rest = round(SECONDS * pace), round((1 - SHARE) * SECONDS * pace)
    yield row("MT-DTI from scratch", f"{most:,}", test, lambda: tuned(blank, most))
    yield row("MT-DTI pre-trained, strict", f"{first:,} + {rest:,}", test, lambda: tuned(encoder(first), rest))
    yield row("MT-DTI pre-trained, free", f"{most:,}", test, lambda: tuned(free, most))


def main() -> None:
    torch.set_num_threads(1)
    splits = {data: sets.load(Source(data, (("split", "published"),)), "affinities").split(SEED) for data in REPORTED}
    corpus = sorted({one for train, _ in splits.values() for one in (*train.unlabelled[:CORPUS["quick"]], *train.smiles)})
    free = MoleculeTransformer(**DRUG, seed=SEED)
    free.fit(corpus, round(SECONDS * affordable(lambda steps: free.fit(corpus, steps))))
    tables = {data: [] for data in splits}
    for data, (train, test) in splits.items():
        for one in rows(train, test, free):
            tables[data].append(one)
            write(tables, splits)


def write(tables: dict[str, list[str]], splits) -> None:
    text = ["# Affinities: means, convolutions, transformers", "", *("\n\n".join(" ".join(one.split()) for one in
            __doc__.replace(" Writes benchmarks/affinity.md.", "").split("\n\n"))).splitlines()]
    for data, table in tables.items():
        train, test = splits[data]
        text += ["", f"## {data}", "", f"{sets.SETS[data].says}. {len(train):,} training and {len(test):,} test pairs.", "",
                 "| | concordance | squared error | r_m^2 | steps | CPU seconds | answers a second |",
                 "|---|---:|---:|---:|---:|---:|---:|", *table,
                 *(f"| *{name}* | {' | '.join(f'{one:.3f}' for one in reported)} | | | |" for name, reported in REPORTED[data].items())]
    text += ["", "The reported rows are of networks of full size, trained to the end on five folds; the others are one run of a small",
             "network on one thread. A network below the mean of the drug and of the protein is far from done learning: KIBA has",
             "2,111 drugs, each measured on a quarter of the proteins, and a step meets 24 of them. DeepDTA's program squares both",
             "terms under the root of r_m^2 once more; here it is as first published."]
    Path(__file__).with_suffix(".md").write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
