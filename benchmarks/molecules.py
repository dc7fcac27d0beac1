"""Molecules: bakeoff's D-MPNN beside chemprop 2's, and a forest on fingerprints beside both, on MoleculeNet's scaffold splits.

Give BAKEOFF_CHEMPROP=/path/to/python of an environment with chemprop 2. Everything runs on one thread. Writes benchmarks/molecules.md.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SETS = {"bace": 10, "esol": 30, "freesolv": 30, "lipophilicity": 8, "bbbp": 10}  # epochs
SEEDS = (0, 1)
CLASSES = ("bace", "bbbp")
BATCH, HIDDEN, DEPTH = 64, 300, 3  # chemprop's own defaults
FEATURISED = "bace"  # the set whose training molecules are featurised against the clock


def tasks() -> dict:
    """The train and test rows of every set, as plain lists that either side reads."""
    from bakeoff.claim import Source
    from bakeoff.data.sets import load
    jobs = {}
    for name, epochs in SETS.items():
        parts = load(Source(f"{name}-scaffold"), "molecules").split(0)
        jobs[name] = {"epochs": epochs, "classes": name in CLASSES}
        jobs[name] |= {part: {"smiles": one.smiles, "targets": one.targets[:, :1].tolist()}
                       for part, one in zip(("train", "test"), parts, strict=True)}
    return jobs


def ours(jobs: dict) -> dict:
    import torch

    from bakeoff.baselines.dmpnn import DMPNN
    from bakeoff.data.kinds.molecules import Molecules
    from bakeoff.parts import molecular_graphs
    torch.set_num_threads(1)
    out = {}
    if FEATURISED in jobs:
        out["featurised"] = featurised(jobs, lambda smiles: spelled(molecular_graphs.featurise(smiles)), molecular_graphs._read.cache_clear)
    for name, job in jobs.items():
        train = Molecules(tuple(job["train"]["smiles"]), job["train"]["targets"], ("y",))
        test = Molecules(tuple(job["test"]["smiles"]))
        molecular_graphs.featurise(train.smiles)  # the time of an epoch is without reading
        steps = job["epochs"] * -(-len(train) // BATCH)
        out[name] = {"predictions": [], "seconds": []}
        for seed in SEEDS:
            network = DMPNN("classification" if job["classes"] else "regression", hidden=HIDDEN, depth=DEPTH, batch_size=BATCH, seed=seed)
            started = time.process_time()
            network.fit(train, steps=steps)
            out[name]["seconds"].append((time.process_time() - started) / job["epochs"])
            out[name]["predictions"].append(network.predict(test)[:, 0].tolist())
    return out


def spelled(graphs) -> None:
    """Features spelled out, as a network takes them."""
    assert graphs.atoms.shape[1] + graphs.bonds.shape[1] + len(graphs.molecule) + len(graphs.reverse) > 0


def featurised(jobs: dict, read, forget=lambda: None) -> float:
    """Molecules a second, from SMILES to one packed batch; best of 3."""
    smiles, best = jobs[FEATURISED]["train"]["smiles"], 0.0
    for _ in range(3):
        forget()
        started = time.process_time()
        read(smiles)
        best = max(best, len(smiles) / (time.process_time() - started))
    return best


def forest(jobs: dict) -> dict:
    from bakeoff.baselines.fingerprint_forest import FingerprintForest
    from bakeoff.data.kinds.molecules import Molecules
    out = {}
    for name, job in jobs.items():
        train = Molecules(tuple(job["train"]["smiles"]), job["train"]["targets"], ("y",))
        test = Molecules(tuple(job["test"]["smiles"]))
        out[name] = {"predictions": [], "seconds": []}
        for seed in SEEDS[:1]:
            trees = FingerprintForest("classification" if job["classes"] else "regression", seed=seed)
            started = time.process_time()
            trees.fit(train)
            out[name]["seconds"].append(time.process_time() - started)
            out[name]["predictions"].append(trees.predict(test)[:, 0].tolist())
    return out


def chemprop(jobs: dict) -> dict:
    """Runs in the other interpreter: chemprop's network and training with the defaults of its own command."""
    import logging
    import warnings

    import lightning
    import torch
    from chemprop import __version__, data, featurizers, models, nn
    from chemprop.utils import make_mol
    from rdkit import RDLogger
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    RDLogger.DisableLog("rdApp.*")
    torch.set_num_threads(1)
    simple, compiled = featurizers.SimpleMoleculeMolGraphFeaturizer(), featurizers.CuikmolmakerMolGraphFeaturizer()
    out = {"version": __version__}
    if FEATURISED in jobs:
        out["featurised"] = featurised(jobs, lambda smiles: data.BatchMolGraph([simple(make_mol(one)) for one in smiles]))
        out["compiled"] = featurised(jobs, compiled)
    for name, job in jobs.items():
        out[name] = {"predictions": [], "seconds": []}
        for seed in SEEDS:
            torch.manual_seed(seed)
            train, test = (data.MoleculeDataset([data.MoleculeDatapoint.from_smi(text, np.array(y)) for text, y in
                                                 zip(job[part]["smiles"], job[part]["targets"], strict=True)], simple)
                           for part in ("train", "test"))
            train.cache = True
            transform = None if job["classes"] else nn.UnscaleTransform.from_standard_scaler(train.normalize_targets())
            head = nn.BinaryClassificationFFN(hidden_dim=HIDDEN) if job["classes"] else nn.RegressionFFN(
                hidden_dim=HIDDEN, output_transform=transform)
            network = models.MPNN(nn.BondMessagePassing(d_h=HIDDEN, depth=DEPTH), nn.NormAggregation(), head, batch_norm=False)
            quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
            trainer = lightning.Trainer(accelerator="cpu", devices=1, max_epochs=job["epochs"], **quiet)
            loader = data.build_dataloader(train, batch_size=BATCH, seed=seed)
            started = time.process_time()
            trainer.fit(network, loader)
            out[name]["seconds"].append((time.process_time() - started) / job["epochs"])
            found = torch.cat(trainer.predict(network, data.build_dataloader(test, batch_size=BATCH, shuffle=False)))
            out[name]["predictions"].append(found.reshape(-1).tolist())
    return out


def peer(jobs: dict, python: str) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "jobs.json", Path(folder) / "answer.json"
        given.write_text(json.dumps(jobs))
        subprocess.run([python, __file__, given, answer], check=True, stdout=subprocess.DEVNULL)
        return json.loads(answer.read_text())


def errors(job: dict, found: dict) -> np.ndarray:
    """RMSE, or the area under the ROC curve, of each seed's predictions."""
    from sklearn.metrics import roc_auc_score
    y = np.array(job["test"]["targets"])[:, 0]
    known = ~np.isnan(y)
    return np.array([roc_auc_score(y[known], np.array(one)[known]) if job["classes"] else np.sqrt(np.mean((np.array(one) - y)[known] ** 2))
                     for one in found["predictions"]])


def page(jobs: dict, mine: dict, theirs: dict, trees: dict) -> str:
    def told(values) -> str:
        return f"{values.mean():.3f} ({', '.join(f'{one:.3f}' for one in values)})"

    rows, won = [], 0
    for name, job in jobs.items():
        scores = [errors(job, side[name]) for side in (mine, theirs, trees)]
        means = [one.mean() * (1 if job["classes"] else -1) for one in scores]
        won += means[0] >= means[1]
        best = ("bakeoff", "chemprop", "forest")[int(np.argmax(means))]
        seconds = [np.min(side[name]["seconds"]) for side in (mine, theirs)]
        rows.append(f"| {name}, {'ROC-AUC, higher' if job['classes'] else 'RMSE, lower'} | {len(job['train']['smiles'])} + "
                    f"{len(job['test']['smiles'])} | {job['epochs']} | {' | '.join(map(told, scores))} | {best} | "
                    f"{seconds[0]:.2f} s | {seconds[1]:.2f} s | {seconds[1] / seconds[0]:.2f} |")
    return "\n".join([
        "# Molecules, beside chemprop and a forest on fingerprints", "",
        f"Written by `benchmarks/molecules.py` with chemprop {theirs['version']} on {platform.machine()}, one thread, CPU time. "
        f"MoleculeNet's scaffold split (80 % train, 20 % test). Both networks: width {HIDDEN}, depth {DEPTH}, batches of {BATCH}, as many "
        "updates, each with its own defaults else. "
        f"Mean over the seeds {SEEDS}, each in brackets (the forest: one); an epoch's seconds are the fewest, without featurising.", "",
        "| set, metric | train + test | epochs | bakeoff D-MPNN | chemprop | forest | best | bakeoff, an epoch | chemprop, an epoch | "
        "times faster |", "|---|---|---|---|---|---|---|---|---|---|", *rows, "",
        f"bakeoff's network is no worse than chemprop's on {won} of {len(jobs)}.", "",
        f"| from SMILES to one packed batch, {FEATURISED} | molecules a second | bakeoff is times faster |", "|---|---|---|",
        f"| bakeoff | {mine['featurised']:,.0f} | |",
        f"| chemprop, its default | {theirs['featurised']:,.0f} | {mine['featurised'] / theirs['featurised']:.2f} |",
        f"| chemprop with the compiled cuik-molmaker | {theirs['compiled']:,.0f} | {mine['featurised'] / theirs['compiled']:.2f} |"]) + "\n"


def main() -> None:
    if len(sys.argv) == 3:
        Path(sys.argv[2]).write_text(json.dumps(chemprop(json.loads(Path(sys.argv[1]).read_text()))))
        return
    python = os.environ.get("BAKEOFF_CHEMPROP")
    if not python:
        sys.exit("Set BAKEOFF_CHEMPROP to the python of an environment with chemprop 2.")
    jobs, sides = tasks(), [{}, {}, {}]
    for name, job in jobs.items():  # one set after the other, so that both networks meet the same load of the machine
        for side, found in zip(sides, (ours({name: job}), peer({name: job}, python), forest({name: job})), strict=True):
            side |= found
        print(f"{name}: done", file=sys.stderr, flush=True)
    text = page(jobs, *sides)
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
