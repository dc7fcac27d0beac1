"""Frames of a protein through 16 numbers and back: the autoencoder, one without its two encoders, and MDAnalysis' principal components.

And what a transfer saves: convolutions learned on one trajectory of adenylate kinase, kept for a second one, for another length and
for a made-up helix, beside a network learned from scratch in equal CPU time.

Needs `pip install MDAnalysisTests`. Writes benchmarks/protein_frames.md. One thread; some five minutes.
"""

import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch

from bakeoff.baselines.principal_modes import PrincipalModes
from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.papers.molecules.pro_gae import ProteinAutoencoder, as_large
from bakeoff.parts.backbone import backbone
from bakeoff.parts.superposition import mean_structure, rmsd, superposed

SPLITS, CODE, STEPS, TRANSFER_SECONDS = (0, 1), 16, 800, 5.0


class MDAnalysisModes:
    """The same four words over MDAnalysis.analysis.pca, on all frames' atoms superposed on the first."""

    def fit(self, frames):
        import MDAnalysis
        from MDAnalysis.analysis import pca
        from MDAnalysis.coordinates.memory import MemoryReader
        self.first = np.asarray(frames[0], float)
        universe = MDAnalysis.Universe.empty(frames.shape[1], trajectory=True)
        universe.load_new(np.array(frames, float), format=MemoryReader)
        found = pca.PCA(universe, align=True).run()
        self.axes, self.mean = found.results.p_components[:, :CODE], found.mean.reshape(-1)
        return self

    def reconstruct(self, frames):
        codes = (superposed(frames, self.first).reshape(len(frames), -1) - self.mean) @ self.axes
        return (self.mean + codes @ self.axes.T).reshape(frames.shape)


class Modes(PrincipalModes):
    def reconstruct(self, frames):
        return self.decode(self.encode(frames))


class Mean:
    def fit(self, frames):
        self.mean = mean_structure(frames)
        return self

    def reconstruct(self, frames):
        return np.broadcast_to(self.mean, frames.shape)


def timed(work):
    """CPU seconds, and what came of it."""
    started = time.process_time()
    made = work()
    return time.process_time() - started, made


def judged(model, test) -> tuple[float, float, float]:
    """CA RMSD, backbone RMSD, and the share of pseudo-bonds within 0.1 of 3.8 angstrom."""
    found = model.reconstruct(test)
    bonds = np.linalg.norm(np.diff(found[:, 1::3], axis=1), axis=2)
    return rmsd(found[:, 1::3], test[:, 1::3]).mean(), rmsd(found, test).mean(), (np.abs(bonds - 3.8) < 0.1).mean()


def contenders(train, seed: int):
    """What is fitted to frames, under its name in the table."""
    residues = train.shape[1] // 3
    two = ProteinAutoencoder(residues, seed=seed)
    yield "the mean structure", lambda: Mean().fit(train)
    yield f"principal modes, {CODE}", lambda: Modes(CODE).fit(train)
    yield f"MDAnalysis PCA, {CODE}", lambda: MDAnalysisModes().fit(train)
    yield f"two encoders, 8 + 8, {STEPS} steps", lambda: two.fit(train, STEPS)
    yield f"one encoder, {CODE}, {STEPS} steps", lambda: as_large(two.parameters(), residues, seed).fit(train, STEPS)


def side_by_side(name: str) -> list[str]:
    rows: dict[str, list] = {}
    for seed in SPLITS:
        train, test = (backbone(part) for part in sets.load(Source(name), "trajectories").split(seed))
        for says, work in contenders(train, seed):
            seconds, model = timed(work)
            rows.setdefault(says, []).append((*judged(model, test), seconds))
    return [f"| {says} | " + " | ".join(f"{one:.2f}" for one in np.mean(found, 0)) + " |" for says, found in rows.items()]


def in_time(begin, test):
    """Fits of 1/5 and all of the seconds, by as many steps as their measured pace allows: seconds, what `judged` says, steps, spent."""
    begin(5)
    pace = (timed(lambda: begin(45))[0] - timed(lambda: begin(5))[0]) / 40  # seconds a step
    for seconds in (TRANSFER_SECONDS / 5, TRANSFER_SECONDS):
        steps = max(1, round(seconds / pace))
        spent, model = timed(partial(begin, steps))
        yield seconds, (*judged(model, test), steps, spent)


def transfers() -> list[str]:
    rows: dict[tuple, list] = {}
    for seed in SPLITS:
        source, _ = (backbone(part) for part in sets.load(Source("adk"), "trajectories").split(seed))
        taught = ProteinAutoencoder(source.shape[1] // 3, seed=seed).fit(source, STEPS)
        for says, name, residues in (("second run, 214 residues", "adk-second", 214), ("second run, its first 120", "adk-second", 120),
                                     ("made-up helix, 16 residues", "hinge", 16)):
            train, test = (backbone(part)[:, :3 * residues] for part in sets.load(Source(name), "trajectories").split(seed))
            for kind, begin in (("convolutions kept", partial(taught.transfer, train, residues)),
                                ("from scratch", partial(ProteinAutoencoder(residues, seed=seed).fit, train))):
                for seconds, found in in_time(begin, test):
                    rows.setdefault((says, kind, seconds), []).append(found)
    return [f"| {says} | {kind}, {seconds:g} s | " + " | ".join(f"{one:.2f}" for one in np.mean(found, 0)[:3])
            + f" | {np.mean(found, 0)[3]:.0f} | {np.mean(found, 0)[4]:.1f} |" for (says, kind, seconds), found in rows.items()]


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # MDAnalysis says that a universe in memory has no masses
    head = "CA RMSD, angstrom | backbone RMSD | pseudo-bonds within 0.1 of 3.8 | "
    text = ["# Frames of a protein through 16 numbers and back", "",
            "Written by `benchmarks/protein_frames.py`: held-out blocks of frames, the mean of 2 splits, one thread, CPU seconds.", ""]
    for name in ("adk", "adk-second"):
        text += [f"## `{name}`: {sets.SETS[name].says}", "", f"| model | {head}seconds to fit |", "|---|---|---|---|---|",
                 *side_by_side(name), ""]
    text += ["## Learned on `adk`, moved elsewhere, in equal CPU time", "", f"| to | how | {head}steps | seconds |",
             "|---|---|---|---|---|---|---|", *transfers()]
    Path(__file__).with_suffix(".md").write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
