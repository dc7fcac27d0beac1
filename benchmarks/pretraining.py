"""What each task of GROVER's pre-training is worth: contexts alone, motifs alone, both, none; beside a D-MPNN and a forest on fingerprints.

The arms of the paper's claim at `quick`, on its set, with the pre-training's tasks as the only difference; the seeds are 0, 1 and 2. The
scaffold split is MoleculeNet's, the same for every seed. The D-MPNN and the forest are those of baselines/, as they were tuned there once.
Seconds are CPU time of one thread; the time of pre-training counts. Three seeds show differences as large as the spread between seeds or
larger, and no smaller ones: the claim's verdict, with more pairs, is in the README.

Needs RDKit. Writes benchmarks/pretraining.md.
"""

import time
from pathlib import Path

import numpy as np
import torch

from bakeoff.baselines.dmpnn import DMPNN
from bakeoff.baselines.fingerprint_forest import FingerprintForest
from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.papers.molecules.grover import CLAIM, PRETRAINING, RATES, SIZES, Grover

SEEDS = (0, 1, 2)
TASKS = {"contexts and motifs": ("context", "motif"), "contexts alone": ("context",), "motifs alone": ("motif",), "no pre-training": ()}


def grover(train, test, seed, tasks):
    """The test predictions of a network that was pre-trained by `tasks` and fitted to `train`."""
    molecules, steps = PRETRAINING["quick"]
    model = Grover(**SIZES["quick"], learning_rate=RATES["pre-trained" if tasks else "from scratch"], seed=seed)
    if tasks:
        model.pretrain((*train.unlabelled[:molecules], *train.smiles), steps, tasks)
    return model.fit(train, CLAIM.steps["quick"]).predict(test.smiles)


def rivals():
    """By name: from train, test and a seed to test predictions (N, T)."""
    found = {f"GROVER, {name}": lambda *of, tasks=tasks: grover(*of, tasks) for name, tasks in TASKS.items()}
    found["D-MPNN"] = lambda train, test, seed: DMPNN(seed=seed).fit(train, 400).predict(test).numpy()
    found["forest on fingerprints"] = lambda train, test, seed: np.asarray(FingerprintForest(seed=seed).fit(train).predict(test))
    return found


def main():
    torch.set_num_threads(1)
    lines = [f"# Pre-training, task by task\n\n{CLAIM.metric} on `{CLAIM.data}` at `quick`, seeds {', '.join(map(str, SEEDS))}; made by "
             "`benchmarks/pretraining.py`, whose first lines say how.\n",
             f"| method | {' | '.join(f'seed {seed}' for seed in SEEDS)} | mean | seconds each |", f"|---|{'---|' * (len(SEEDS) + 2)}"]
    for name, rival in rivals().items():
        before, errors = time.process_time(), []
        for seed in SEEDS:
            train, test = sets.load(Source(CLAIM.data), "molecules").split(seed)
            errors.append(float(np.sqrt(np.mean((rival(train, test, seed) - test.targets) ** 2))))
        seconds = (time.process_time() - before) / len(SEEDS)
        lines.append(f"| {name} | {' | '.join(f'{one:.2f}' for one in errors)} | {np.mean(errors):.2f} | {seconds:.0f} |")
        print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
