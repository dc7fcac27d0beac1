"""Molecules: bakeoff's D-MPNN beside chemprop 2's, and a forest on fingerprints beside both, on MoleculeNet's scaffold splits.

Run it by a Python that has chemprop 2 beside bakeoff, so that both read SMILES by the same RDKit:

    BAKEOFF_DATA=... PYTHONPATH=src python benchmarks/molecules.py

It takes some 15 minutes of one core and writes benchmarks/molecules.md. Concordance on Davis and KIBA is in benchmarks/affinity.py.
"""

import logging
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # on a shared machine a thread that spins while it waits measures the others

import lightning
import numpy as np
import rdkit
import torch
from chemprop import __version__ as chemprop_version
from chemprop import data, featurizers, models, nn
from chemprop.utils import make_mol
from sklearn.metrics import roc_auc_score

from bakeoff.baselines.dmpnn import DMPNN
from bakeoff.baselines.fingerprint_forest import FingerprintForest
from bakeoff.claim import Source
from bakeoff.data.kinds.molecules import Molecules
from bakeoff.data.sets import load
from bakeoff.parts import molecular_graphs

EPOCHS = {"esol": 30, "freesolv": 30, "lipophilicity": 8, "bace": 10, "bbbp": 10}
CLASSES = ("bace", "bbbp")
SEEDS = (0, 1)
BATCH, HIDDEN, DEPTH = 64, 300, 3  # chemprop's own defaults
ROUNDS = 3  # of every measurement of speed, of which the best counts


@dataclass
class Fitted:
    """Predictions for the test molecules, and when each epoch ended."""

    predictions: np.ndarray
    marks: list = field(default_factory=list)

    @property
    def epochs(self) -> np.ndarray:
        return np.diff(self.marks)


def ours(train: Molecules, test: Molecules, task: str, seed: int, epochs: int, clock: Callable = time.process_time) -> Fitted:
    """An epoch is over when as many molecules have been seen as there are."""
    seen, marks = [0], []

    def tick(_loss) -> None:
        seen[0] += BATCH
        if seen[0] >= len(marks) * len(train):
            marks.append(clock())

    network = DMPNN(task, hidden=HIDDEN, depth=DEPTH, batch_size=BATCH, seed=seed)
    molecular_graphs.featurise(train.smiles)  # kept, so the time of an epoch is without reading
    marks.append(clock())
    network.fit(train, steps=-(-epochs * len(train) // BATCH), on_step=tick)
    return Fitted(network.predict(test)[:, 0].numpy(), marks)


class Marks(lightning.Callback):
    def __init__(self, clock):
        self.clock, self.at = clock, []

    def on_train_epoch_start(self, *_):
        self.at.append(self.clock())

    def on_train_end(self, *_):
        self.at.append(self.clock())


def theirs(train: Molecules, test: Molecules, task: str, seed: int, epochs: int, clock: Callable = time.process_time) -> Fitted:
    """chemprop's network and training with the defaults of its own command."""
    torch.manual_seed(seed)
    known, asked = (data.MoleculeDataset([data.MoleculeDatapoint.from_smi(text, y) for text, y in zip(one.smiles, targets, strict=True)])
                    for one, targets in ((train, train.targets[:, :1].copy()), (test, np.zeros((len(test), 1)))))
    known.cache = True
    if task == "classification":
        head = nn.BinaryClassificationFFN(hidden_dim=HIDDEN)
    else:
        head = nn.RegressionFFN(hidden_dim=HIDDEN, output_transform=nn.UnscaleTransform.from_standard_scaler(known.normalize_targets()))
    network = models.MPNN(nn.BondMessagePassing(d_h=HIDDEN, depth=DEPTH), nn.NormAggregation(), head)
    marks = Marks(clock)
    trainer = lightning.Trainer(accelerator="cpu", devices=1, max_epochs=epochs, callbacks=[marks], logger=False,
                                enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.fit(network, data.build_dataloader(known, BATCH, seed=seed))
    found = trainer.predict(network, data.build_dataloader(asked, BATCH, shuffle=False, drop_last=False))
    return Fitted(torch.cat(found).reshape(-1).numpy(), marks.at)


def forest(train: Molecules, test: Molecules, task: str, seed: int) -> np.ndarray:
    return FingerprintForest(task, seed=seed).fit(train).predict(test)[:, 0].numpy()


def error(predictions: np.ndarray, test: Molecules, task: str) -> float:
    """RMSE, or the area under the ROC curve."""
    y = test.targets[:, 0]
    return roc_auc_score(y, predictions) if task == "classification" else float(np.sqrt(np.mean((predictions - y) ** 2)))


def errors_of(name: str) -> dict:
    """Both networks for as many epochs, ours once more for as long as chemprop took, and the forest."""
    train, test = load(Source(f"{name}-scaffold"), "molecules").split(0)
    task, epochs = "classification" if name in CLASSES else "regression", EPOCHS[name]
    train = Molecules(train.smiles, train.targets[:, :1], train.names[:1])
    test = Molecules(test.smiles, test.targets[:, :1], test.names[:1])
    longer, told = [], {"mine": [], "same time": [], "chemprop": [], "forest": []}
    for seed in SEEDS:
        mine, peer = ours(train, test, task, seed, epochs), theirs(train, test, task, seed, epochs)
        longer.append(round(epochs * sum(peer.epochs) / sum(mine.epochs)))
        long = ours(train, test, task, seed, longer[-1])
        for side, found in (("mine", mine), ("same time", long), ("chemprop", peer)):
            told[side].append(error(found.predictions, test, task))
        told["forest"].append(error(forest(train, test, task, seed), test, task))
    return {"rows": f"{len(train)} + {len(test)}", "task": task, "epochs": epochs, "longer": longer, **told}


def speeds_of(name: str) -> dict:
    """Seconds of an epoch on one thread and on two, and molecules featurised a second; the sides take turns."""
    train, test = load(Source(f"{name}-scaffold"), "molecules").split(0)
    train, test = Molecules(train.smiles, train.targets[:, :1], train.names[:1]), Molecules(test.smiles[:2])
    task, found = "classification" if name in CLASSES else "regression", {}
    for threads, clock in ((1, time.process_time), (2, time.perf_counter)):
        torch.set_num_threads(threads)
        runs = [[min(side(train, test, task, 0, 2, clock).epochs) for side in (ours, theirs)] for _ in range(ROUNDS)]
        found[threads] = np.min(runs, 0)
    torch.set_num_threads(1)
    simple, compiled = featurizers.SimpleMoleculeMolGraphFeaturizer(), featurizers.CuikmolmakerMolGraphFeaturizer()
    sides = (read_afresh, lambda smiles: data.BatchMolGraph([simple(make_mol(one)) for one in smiles]), compiled)
    with rdkit.rdBase.BlockLogs():
        found["read"] = np.max([[per_second(side, train.smiles) for side in sides] for _ in range(ROUNDS)], 0)
    return found


def read_afresh(smiles) -> None:
    """From SMILES to features spelled out, as a network takes them."""
    molecular_graphs._read.cache_clear()
    graphs = molecular_graphs.featurise(smiles)
    for _used in (graphs.atoms, graphs.bonds, graphs.molecule, graphs.reverse):
        pass


def per_second(read: Callable, smiles) -> float:
    started = time.process_time()
    read(smiles)
    return len(smiles) / (time.process_time() - started)


def page(errors: dict, speeds: dict) -> str:
    def told(values) -> str:
        return f"{statistics.mean(values):.3f} ({', '.join(f'{one:.3f}' for one in values)})"

    def better(one: dict, side: str) -> bool:
        """No worse than chemprop."""
        gain = statistics.mean(one["chemprop"]) - statistics.mean(one[side])
        return (gain if one["task"] == "regression" else -gain) >= 0

    rows, quick, read = [], [], []
    for name, one in errors.items():
        sides = {"bakeoff": one["mine"], "bakeoff, longer": one["same time"], "chemprop": one["chemprop"], "forest": one["forest"]}
        best = (max if one["task"] == "classification" else min)(sides, key=lambda side: statistics.mean(sides[side]))
        rows.append(f"| {name}, {'ROC-AUC, higher' if one['task'] == 'classification' else 'RMSE, lower'} | {one['rows']} | "
                    f"{one['epochs']} | {told(one['mine'])} | {told(one['chemprop'])} | {told(one['same time'])} in "
                    f"{statistics.mean(one['longer']):.0f} | {told(one['forest'])} | {best} |")
    for name, one in speeds.items():
        cells = [f"{one[n][0]:.2f} s | {one[n][1]:.2f} s | {one[n][1] / one[n][0]:.1f}" for n in (1, 2)]
        quick.append(f"| {name} | {' | '.join(cells)} |")
        mine, peer, built = one["read"]
        read.append(f"| {name} | {mine:,.0f} | {peer:,.0f} | {mine / peer:.1f} | {built:,.0f} | {mine / built:.1f} |")
    won = [sum(better(one, side) for one in errors.values()) for side in ("mine", "same time")]
    return "\n".join([
        "# Molecules, beside chemprop and a forest on fingerprints", "",
        f"Written by `benchmarks/molecules.py` with chemprop {chemprop_version}, RDKit {rdkit.__version__} and torch {torch.__version__} "
        f"on {platform.machine()}; the machine was shared. MoleculeNet's scaffold split, 80 % train, 20 % test. Both networks: width "
        f"{HIDDEN}, depth {DEPTH}, batches of {BATCH}, each with its own defaults else (bakeoff's were tuned on parts of the training "
        f"rows). Mean over the seeds {SEEDS}, each in brackets.", "",
        "| set, metric | train + test | epochs | bakeoff D-MPNN | chemprop | bakeoff for chemprop's time, epochs | forest | best |",
        "|---|---|---|---|---|---|---|---|", *rows, "",
        f"bakeoff's network is no worse than chemprop's on {won[0]} of {len(errors)} sets for as many epochs, and on {won[1]} for as much "
        "time. Differences as small as those between seeds may be chance.", "",
        "| an epoch, without featurising | bakeoff, 1 thread | chemprop | times faster | bakeoff, 2 threads | chemprop | times faster |",
        "|---|---|---|---|---|---|---|", *quick, "",
        f"One thread in seconds of CPU, two in seconds of the clock; the fastest of {2 * ROUNDS} epochs, the sides in turn.", "",
        "| molecules a second, SMILES to one packed batch | bakeoff | chemprop | times faster | chemprop with the compiled cuik-molmaker "
        "(an option of its command) | bakeoff is times faster than that |",
        "|---|---|---|---|---|---|", *read, "",
        f"One thread, seconds of CPU, the best of {ROUNDS}.", "",
        "Concordance on Davis and KIBA, beside what the papers of MT-DTI and DeepDTA report: `benchmarks/affinity.md`."]) + "\n"


def quiet() -> None:
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    rdkit.RDLogger.DisableLog("rdApp.*")
    torch.set_num_threads(1)


def main() -> None:
    quiet()
    speeds = {name: speeds_of(name) for name in EPOCHS}
    errors = {name: errors_of(name) for name in EPOCHS}
    Path(__file__).with_suffix(".md").write_text(page(errors, speeds), encoding="utf-8")


if __name__ == "__main__":
    main()
