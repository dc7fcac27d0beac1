"""Five ways of writing a molecule down, one property with 3D structures: the atomisation energies of QM7, equal training time for each.
Then what carrying the symmetry of space saves, by the number of molecules learned from.

Fingerprint (random forest on Morgan bits), SMILES (transformer on tokens), 2D graph (directed message passing), 3D by lengths alone, and
3D with places that turn along. All learn from the same 1,000 molecules and are judged on the same 1,420; the target is reduced by the
same least-squares sum over elements. Each gets as many steps (or trees) as fill 10 seconds of one thread, measured beforehand. The
networks' learning rates are chosen from two by the error on a fifth of the training molecules of a further split, kept aside, a fifth of
which are among those judged elsewhere, the same for all; nothing else is tuned for any of them. QM7 holds no bonds: RDKit's
DetermineBonds reads them from the places, and molecules for which it finds none are left out for all five. So the first three see the
bonds but no geometry, the last two the geometry but no bonds.

Second, the network that carries the symmetry beside the one of equal size that has to learn it from turned molecules, at three numbers of
molecules and equal steps: those of the paper's claim at `quick`, with its constants. Judged are molecules turned at random. From 1,000
molecules on the steps limit both arms, not the molecules: it is about what symmetry saves, not about where either would end.

Needs RDKit. Writes benchmarks/representations.md.
"""

import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rdkit import Chem, RDLogger
from rdkit.Chem import rdDetermineBonds
from torch import nn

from bakeoff.baselines.dmpnn import DMPNN
from bakeoff.baselines.fingerprint_forest import FingerprintForest
from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.data.kinds.molecules import Molecules
from bakeoff.papers.molecules.gdl_molecules import CLAIM, GeometricNet, turned
from bakeoff.parts.seeding import seeded
from bakeoff.parts.smiles_tokens import SmilesVocabulary
from bakeoff.parts.supervised import minibatches
from bakeoff.parts.transformer import TokenEncoder

SECONDS, SEEDS, LEARNED, TESTED = 10.0, (0, 1, 2), 1000, 1420
TUNED = 1000  # the split that learning rates are chosen on
SIZES, ARMS = (250, 1000, 4000), {"E3": "carries it", "translation": "learns it from turned molecules"}


class SmilesNet:
    """A transformer on SMILES; the mean over its tokens times their number goes through two dense layers."""

    def __init__(self, seed=0, learning_rate=1e-3, batch_size=32):
        self.seed, self.learning_rate, self.batch_size = seed, learning_rate, batch_size

    def fit(self, molecules, steps):
        self._vocabulary = SmilesVocabulary.of(molecules.smiles)
        numbers, y = torch.tensor(self._vocabulary.numbers(molecules.smiles, 60)), torch.tensor(molecules.targets, dtype=torch.float32)
        with seeded(self.seed):
            self._encoder = TokenEncoder(len(self._vocabulary), longest=60, layers=2, width=64, heads=4, dropout=0.0)
            self._head = nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))
        weights = [*self._encoder.parameters(), *self._head.parameters()]
        optimiser = torch.optim.Adam(weights, self.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.learning_rate, total_steps=steps + 1, pct_start=0.05)
        for rows in minibatches(len(y), self.batch_size, steps, self.seed):
            loss = (self._answer(numbers[rows]) - y[rows]).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        return self

    def predict(self, molecules):
        with torch.no_grad():
            return self._answer(torch.tensor(self._vocabulary.numbers(molecules.smiles, 60)))

    def _answer(self, numbers):
        numbers = numbers[:, :int((numbers > 0).sum(1).max())]
        return self._head((self._encoder(numbers) * (numbers > 0)[..., None]).sum(1) / 10)


def smiles_of(numbers, places) -> str | None:
    """The SMILES that RDKit reads from places, hydrogens implied; None where its bonds make no sense to it."""
    molecule = Chem.MolFromXYZBlock("\n".join(
        [str(len(numbers)), "", *(f"{Chem.GetPeriodicTable().GetElementSymbol(int(z))} {x:.6f} {y:.6f} {w:.6f}"
                                  for z, (x, y, w) in zip(numbers, places, strict=True))]))
    try:
        rdDetermineBonds.DetermineBonds(molecule, charge=0)
        smiles = Chem.MolToSmiles(Chem.RemoveHs(molecule))
    except (ValueError, RuntimeError):
        return None
    return smiles if Chem.MolFromSmiles(smiles) is not None and "." not in smiles else None


def reduced(structures, train):
    """Targets without their least-squares sum over elements, which every learner is spared; fitted on the training rows."""
    counts = np.add.reduceat(structures.numbers[:, None] == np.unique(structures.numbers), structures.offsets[:-1], dtype=float)
    y = structures.targets[:, 0]
    return y - counts @ np.linalg.lstsq(counts[train], y[train], rcond=None)[0]


LEARNERS = {  # name: what it reads, how it is made from a seed and its knob, the knob's values
    "fingerprint (random forest)": ("2D", None, (None,)),
    "SMILES sequence (transformer)": ("2D", lambda seed, rate: SmilesNet(seed=seed, learning_rate=rate), (3e-4, 1e-3)),
    "2D graph (directed message passing)": (
        "2D", lambda seed, rate: DMPNN(hidden=100, depth=4, readout="sum", batch_size=32, learning_rate=rate, seed=seed),
        (1e-3, 3e-3)),
    "3D by lengths (invariant)": (
        "3D", lambda seed, rate: GeometricNet("invariant", hidden=32, layers=3, learning_rate=rate, seed=seed), (5e-3, 1e-2)),
    "3D, places turn along (E3)": (
        "3D", lambda seed, rate: GeometricNet("E3", hidden=32, layers=3, learning_rate=rate, seed=seed), (5e-3, 1e-2))}


def fitted(make, seed: int, rate, train, steps: int):
    """One learner after so many steps; for the forest, of so many trees."""
    if make is None:
        return FingerprintForest(trees=steps, seed=seed).fit(train)
    return make(seed, rate).fit(train, steps=steps)


def affordable(make, rate, train, few: int = 5) -> int:
    """The steps that fill SECONDS, by how much longer than a `few` so many take that it is a second; a first run imports and featurises."""
    def seconds(steps: int) -> float:
        started = time.process_time()
        fitted(make, 0, rate, train, steps)
        return time.process_time() - started
    seconds(few)
    before, more = seconds(few), 2 * few
    while (after := seconds(more)) < before + 1.0:
        more *= 2
    return int(SECONDS * (more - few) / (after - before))


def error(method, test) -> float:
    return float(np.abs(np.asarray(method.predict(test)).reshape(-1) - test.targets[:, 0]).mean())


def parts(structures, smiles, seed: int, learned: int, tested: int, of: slice):
    """Train and test of one split in both forms, their targets without the sum over elements that fits the training rows best."""
    order = np.random.default_rng(seed).permutation(len(structures))[of]
    rows = {"train": order[:learned], "test": order[-tested:]}
    y = reduced(structures, rows["train"])[:, None]
    return {part: {"2D": Molecules([smiles[i] for i in at], y[at], ("energy",)),
                   "3D": replace(structures.take(at), targets=y[at])} for part, at in rows.items()}


def main() -> None:
    RDLogger.DisableLog("rdApp.*")
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    structures = sets.load(Source("qm7"), "structures")
    smiles = [smiles_of(*structures.molecule(i)) for i in range(len(structures))]
    kept = [i for i, one in enumerate(smiles) if one]
    first, second = [], []
    for _ in by_representation(structures.take(kept), [smiles[i] for i in kept], first):
        write(first, second, len(kept), len(structures))
    for _ in by_size(structures, second):
        write(first, second, len(kept), len(structures))


def by_representation(structures, smiles, table: list[str]):
    """Fills the first table, a row at a time."""
    aside = parts(structures, smiles, TUNED, LEARNED * 4 // 5, LEARNED // 5, slice(LEARNED))
    splits = {seed: parts(structures, smiles, seed, LEARNED, TESTED, slice(None)) for seed in SEEDS}
    alone = [float(np.abs(one["test"]["3D"].targets).mean()) for one in splits.values()]
    table.append(f"| elements alone | {np.mean(alone):.2f} | {min(alone):.2f} to {max(alone):.2f} | | | |")
    for name, (form, make, rates) in LEARNERS.items():
        steps = affordable(make, rates[-1], splits[SEEDS[0]]["train"][form])
        tried = {rate: error(fitted(make, 0, rate, aside["train"][form], steps), aside["test"][form]) for rate in rates} if make else {}
        rate = min(tried, key=tried.get, default=None)
        started = time.process_time()
        methods = {seed: fitted(make, seed, rate, one["train"][form], steps) for seed, one in splits.items()}
        seconds = (time.process_time() - started) / len(SEEDS)
        errors = [error(methods[seed], one["test"][form]) for seed, one in splits.items()]
        spent = f"{steps:,} {'steps' if make else 'trees'} | {rate or ''} | {seconds:.0f}"
        table.append(f"| {name} | {np.mean(errors):.2f} | {min(errors):.2f} to {max(errors):.2f} | {spent} |")
        yield


def by_size(structures, table: list[str]):
    """Fills the second table, a row at a time: both arms of the claim on two splits, by the molecules learned from."""
    for size in SIZES:
        errors = {symmetry: [] for symmetry in ARMS}
        started = time.process_time()
        for seed in SEEDS[:2]:
            order = np.random.default_rng(seed).permutation(len(structures))
            train, test = structures.take(order[:size]), turned(structures.take(order[-TESTED:]), seed)
            for symmetry, found in errors.items():
                net = GeometricNet(symmetry, hidden=32, layers=3, rotate=True, seed=seed).fit(train, steps=CLAIM.steps["quick"])
                found.append(error(net, test.take(net.knows(test))))
        seconds = (time.process_time() - started) / (2 * len(ARMS))
        cells = [f"{np.mean(found):.2f} ({', '.join(f'{one:.2f}' for one in found)})" for found in errors.values()]
        ratio = np.mean(errors["translation"]) / np.mean(errors["E3"])
        table.append(f"| {size:,} | {' | '.join(cells)} | {ratio:.1f} | {seconds:.0f} |")
        yield


def write(first: list[str], second: list[str], kept: int, total: int) -> None:
    story = [" ".join(one.split()) for one in __doc__.split("\n\n")[:3]]
    text = ["# Five representations of a molecule, one property", "", story[0], "", story[1], "",
            f"{kept:,} of {total:,} molecules have bonds that RDKit finds. Mean absolute error in kcal/mol over {len(SEEDS)} splits:", "",
            "| representation | error | smallest to largest | spent | learning rate | CPU seconds |", "|---|---:|---:|---:|---:|---:|",
            *first, "", "## What symmetry saves, by the number of molecules", "", story[2],
            f"Mean absolute error in kcal/mol over two splits, {CLAIM.steps['quick']:,} steps of 32 molecules each:", "",
            "| molecules | " + " | ".join(ARMS.values()) + " | times larger | CPU seconds a run |",
            "|---:|---:|---:|---:|---:|", *second, ""]
    Path(__file__).with_suffix(".md").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
