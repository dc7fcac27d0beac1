"""Docked poses: which modules find the right pose, which tell ligands that bind from those that do not, and parity with the usual tools.

    PYTHONPATH=src python benchmarks/docking.py

It takes some five minutes of one core and writes benchmarks/docking.md. RMSDs are held against `spyrmsd` and contacts against `prolif`
where they are installed.
"""

import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import AllChem, Descriptors, rdMolDescriptors
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bakeoff.baselines.fingerprint_forest import FingerprintForest
from bakeoff.claim import Source
from bakeoff.data import poses as reader
from bakeoff.data import sets
from bakeoff.data.kinds.molecules import Molecules
from bakeoff.papers.molecules import docking_gcn as paper
from bakeoff.papers.molecules.docking_gcn import PoseClassifier

TARGET = Path(__file__).with_suffix(".md")
SEEDS = {"pose": (200, 201, 202), "activity": (200, 201, 202, 203, 204)}
STEPS = {"pose": 200, "activity": 150}


def main():
    torch.set_num_threads(1)
    began = time.process_time()
    core, screen = (sets.load(Source(name), "poses") for name in ("coreset-2013", "bace-docked"))
    sections = [pose_table(core), screening_table(screen), parity()]
    TARGET.write_text("\n\n".join([
        "# Docked poses: what each module is worth",
        f"Written by `benchmarks/docking.py` on {platform.machine()}, one thread, {(time.process_time() - began) / 60:.0f} minutes of CPU. "
        f"Means over the splits of {len(SEEDS['pose'])} and {len(SEEDS['activity'])} seeds, none of them one of the evidence's; after ± "
        "the standard error over the seeds.",
        *sections]) + "\n")


def pose_table(poses) -> str:
    """Success of each set of modules on proteins of other families."""
    rows = {}
    for modules in (("R",), ("L",), ("LP",), ("L", "R"), ("LP", "R"), ("L", "LP", "R")):
        for seed in SEEDS["pose"]:
            train, test = poses.split(seed)
            model = PoseClassifier(modules, hidden=32, seed=seed).fit(train, STEPS["pose"])
            told = paper.score(model, test)
            rows.setdefault(" + ".join(modules), []).append([told[name] for name in PRINTED])
            for name, share in (("the docking program's first pose", told["the docking program's first pose"]),
                                ("a right pose whenever one was kept", 100 * kept(test))):
                if modules == ("R",):
                    rows.setdefault(name, []).append([share, np.nan, np.nan, np.nan])
        say(modules, np.mean(rows[" + ".join(modules)], 0))
    return "\n".join([
        "## Which pose is right", "",
        f"{len(poses)} complexes, {len(poses.rank)} poses, split by families of proteins; width 32, {STEPS['pose']} steps.", "",
        f"| chosen by | {' | '.join(PRINTED.values())} |", "|---" * (1 + len(PRINTED)) + "|",
        *(f"| {name} | {' | '.join(cells(found))} |" for name, found in rows.items())])


PRINTED = {paper.CLAIM.metric: "right, % of complexes", "of complexes that keep a right pose": "of complexes that keep a right pose, %",
           "of the half it is surer of": "of the half it is surer of, %", "ROC-AUC over poses": "ROC-AUC over poses"}


def kept(poses) -> float:
    return np.logical_or.reduceat(poses.rmsd <= 2, poses.pose_offsets[:-1]).mean()


def screening_table(poses) -> str:
    """ROC-AUC of ligand alone, contacts, both, and of simpler answers: against measured inactives and against decoys."""
    source = np.array([name.split()[0] for name in poses.names])
    rows = {}
    for against in ("inactive", "decoy"):
        chosen = poses.take(np.isin(source, ("active", against)))
        for seed in SEEDS["activity"]:
            train, test = chosen.split(seed)
            y = test.active
            for modules in (("L",), ("LP",), ("L", "LP")):
                model = PoseClassifier(modules, "activity", batch_size=32, seed=seed).fit(train, STEPS["activity"])
                rows.setdefault(" + ".join(modules), {}).setdefault(against, []).append(roc_auc_score(y, model.score(test)))
            forest = FingerprintForest("classification", seed=seed).fit(Molecules(train.smiles, train.active[:, None], ("active",)))
            for name, answer in (("fingerprint forest", forest.predict(Molecules(test.smiles))[:, 0]), ("docking energy", -test.energy),
                                 ("six plain properties", plain(train, test))):
                rows.setdefault(name, {}).setdefault(against, []).append(roc_auc_score(y, answer))
        say(against, {name: np.mean(found[against]) for name, found in rows.items()})
    counts = {one: int((source == one).sum()) for one in ("active", "inactive", "decoy")}
    lines = [f"| {name} | {cell(found['inactive'], 3)} | {cell(found['decoy'], 3)} |" for name, found in rows.items()]
    return "\n".join([
        "## Which ligand binds", "",
        f"{counts['active']} molecules measured to inhibit beta-secretase 1, {counts['inactive']} measured not to, and {counts['decoy']} "
        f"of ZINC matched to the former in size, logP, bends, donors, acceptors and polar area; the best pose of each by Vina in the "
        f"receptor of 4djv. ROC-AUC on scaffolds held out, {STEPS['activity']} steps. L never sees the protein.", "",
        "| | against measured inactives | against decoys |", "|---|---|---|", *lines])


def plain(train, test) -> np.ndarray:
    """The log odds that a logistic regression gives on the six properties that decoys were matched in."""
    def properties(smiles):
        asked = (Descriptors.MolWt, Descriptors.MolLogP, rdMolDescriptors.CalcNumRotatableBonds, rdMolDescriptors.CalcNumHBD,
                 rdMolDescriptors.CalcNumHBA, rdMolDescriptors.CalcTPSA)
        return [[ask(Chem.MolFromSmiles(one)) for ask in asked] for one in smiles]
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(properties(train.smiles), train.active).decision_function(
        properties(test.smiles))


def parity() -> str:
    """RMSDs beside spyrmsd's and contacts beside prolif's, on ligands displaced at random among atoms of a made-up pocket."""
    lines = ["## Parity", ""]
    rng, ligands = np.random.default_rng(0), []
    for smiles in ("FC(F)(F)c1ccc(O)cc1", "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "c1ccc(cc1)C(c1ccccc1)c1ccccc1", "CC(=O)Nc1ccc(O)cc1"):
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        AllChem.EmbedMolecule(mol, randomSeed=1)
        ligands.append(Chem.RemoveHs(mol))
    try:
        from spyrmsd import rmsd
        worst = 0.0
        for mol in ligands:
            places = mol.GetConformer().GetPositions()
            numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
            bonds = Chem.GetAdjacencyMatrix(mol)
            poses = np.stack([places + rng.normal(size=places.shape) for _ in range(20)])
            theirs = [rmsd.symmrmsd(places, one, numbers, numbers, bonds, bonds) for one in poses]
            worst = max(worst, np.abs(reader.distances_from(mol, mol, poses) - theirs).max())
        lines.append(f"- RMSDs of 80 displaced poses of four ligands with symmetries: at most {worst:.1e} angstrom from spyrmsd's.")
    except ImportError:
        lines.append("- RMSDs: spyrmsd is not installed.")
    try:
        from prolif import Molecule, interactions
        lines.append(f"- Contacts: {contacts_like_prolif(Molecule, interactions.VdWContact, ligands, rng)}")
    except ImportError:
        lines.append("- Contacts: prolif is not installed.")
    return "\n".join(lines)


def contacts_like_prolif(molecule, interaction, ligands, rng) -> str:
    """How many contacts with a cloud of carbons, at prolif's van der Waals distance for two carbons, both find and one alone."""
    both = alone = 0
    touching = interaction(tolerance=0.0, vdwradii=dict.fromkeys("CNOF", 2.25))  # so two atoms touch up to 4.5 angstrom
    for mol in ligands:
        cloud = rng.normal(size=(60, 3)) * 4
        atoms = Chem.RWMol()
        for _ in cloud:
            atoms.AddAtom(Chem.Atom(6))
        pocket = reader._placed(atoms.GetMol(), cloud)
        for atom in pocket.GetAtoms():
            info = Chem.AtomPDBResidueInfo(f" C{atom.GetIdx():<3d}", residueName="UNL", residueNumber=atom.GetIdx() + 1, chainId="A")
            atom.SetMonomerInfo(info)
            atom.SetNoImplicit(True)
        theirs = {(one["indices"]["ligand"][0], place) for place, atom in enumerate(molecule.from_rdkit(pocket))
                  for one in touching.detect(molecule.from_rdkit(mol)[0], atom)}
        protein = type("Protein", (), {"places": cloud, "types": np.zeros(60, int)})
        record = reader.complex_of(protein, (mol, mol.GetConformer().GetPositions()[None], [0.0], [0.0]), "x", "x")
        order = list(mol.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
        used = np.unique(np.argwhere(np.linalg.norm(mol.GetConformer().GetPositions()[:, None] - cloud, axis=2) < reader.REACH)[:, 1])
        ours = {(order[i], int(used[j])) for (i, j), d in zip(record.contacts, record.distances, strict=True) if d < 4.5}
        both, alone = both + len(ours & theirs), alone + len(ours ^ theirs)
    return f"of four ligands in clouds of 60 carbons, up to 4.5 angstrom: {both} contacts found by prolif and here, {alone} by one alone."


def cell(values, digits) -> str:
    mean, error = np.nanmean(values), np.nanstd(values, ddof=1) / np.sqrt(len(values))
    return f"{mean:.{digits}f} ± {error:.{digits}f}"


def cells(found) -> list[str]:
    return ["" if np.isnan(column).all() else cell(column, 3 if place == len(PRINTED) - 1 else 1)
            for place, column in enumerate(np.array(found, float).T)]


def say(*what):
    print(*what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
