"""How the two sets of docked poses that come with bakeoff were made. What is kept is contact graphs, types of atoms and SMILES.

    python tools/poses.py coreset FOLDER OUT.npz
        FOLDER is a checkout of github.com/caiocrocha/pdbbind-coreset-2013 at commit f0a8b31751cb23df6d9a0cbd294de191c4d53612: the core
        set of PDBbind 2013, each crystal ligand docked back into its own receptor by QuickVina 2. Of its six runs `qvina_ex8_1` is read:
        a short search (exhaustiveness 8), and of the three such runs the one that kept the most poses. The crystal ligand is
        `ligand.pdbqt`, with all hydrogens; bonds and charges follow from its geometry and its total charge, so that here and there a
        tautomer or a charge is another one than a chemist would draw. RMSDs are computed here: the checkout's `out.rmsd` are taken
        after laying pose and crystal over each other, which says nothing of the place. Left out, and said: three ligands for which no
        bonds are found (1u1b, 3ag9, 3ge7) and one that was docked with a bond torn (1nvq). Families: proteins that share three tenths
        of their three-residue words, directly or through others.

    python tools/poses.py dock RECEPTOR.pdbqt BACE.csv ZINC.txt FOLDER
        Docks measured actives and measured inactives of MoleculeNet's BACE, and molecules of ZINC-250k matched to the actives in size,
        logP, bends, donors, acceptors and polar area, into the receptor of 4djv (beta-secretase 1) of the same checkout, by Vina 1.2.7 at
        its lowest exhaustiveness, cut off after 250,000 evaluations. All are made neutral first, or their charges would tell the source.
        Needs `vina` and `meeko` 0.8; half an hour. Run again, it goes on where it stopped.

    python tools/poses.py screen RECEPTOR.pdbqt FOLDER OUT.npz
        Packs the best pose of each; a molecule's group is its Bemis-Murcko scaffold, its name says which of the three it is.
"""

import argparse
import csv
import signal
import sys
from pathlib import Path

import numpy as np
from rdkit import Chem, RDLogger
from rdkit.Chem import AllChem, Crippen, Descriptors, rdDetermineBonds, rdMolDescriptors
from rdkit.Chem.MolStandardize import rdMolStandardize
from rdkit.Chem.Scaffolds import MurckoScaffold

from bakeoff.data import poses
from bakeoff.data.kinds.poses import joined
from bakeoff.errors import DataError

RUN = "pdbbind-2019.chemflow/DockFlow/qvina_ex8_1"
CENTER, SIDE = (24.471, 10.477, 21.464), 22.0  # angstrom: the box of the core set's 4djv, made large enough for other ligands
LARGEST, BENDS = 30, 6  # heavy atoms and rotatable bonds of a molecule, so that a short search finds its way
EACH, EVALUATIONS, MODES = 150, 250_000, 3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for command, names in ((coreset, "folder out"), (dock, "receptor bace zinc folder"), (screen, "receptor folder out")):
        one = commands.add_parser(command.__name__)
        one.set_defaults(command=command)
        for name in names.split():
            one.add_argument(name, type=Path)
    given = vars(parser.parse_args())
    RDLogger.DisableLog("rdApp.*")
    given.pop("command")(**given)


def coreset(folder, out):
    """Pack the docked core set."""
    found, receptors = [], []
    for one in sorted((folder / RUN).iterdir()):
        if (crystal := with_bonds(one / "ligand.pdbqt")) is None:
            print(f"{one.name}: no bonds found, left out", file=sys.stderr)
            continue
        try:
            found.append((one.name, poses.read_pdbqt(one / "out.pdbqt", crystal, crystal)))
        except DataError as problem:
            print(f"{one.name}: {problem.message}; left out", file=sys.stderr)
            continue
        receptors.append(poses.Receptor(one / "receptor.pdbqt"))
    family = poses.families([one.sequence for one in receptors])
    poses.pack(joined([poses.complex_of(receptor, kept, name, f"like {found[number][0]}")
                       for receptor, (name, kept), number in zip(receptors, found, family, strict=True)]), out)


def with_bonds(path, seconds=4):
    """The ligand of a PDBQT that has all hydrogens, its bonds found for the total charge or the nearest one that can be; then without H."""
    lines = [line for line in path.read_text().splitlines() if line.startswith(("ATOM", "HETATM"))]
    atoms = poses._atoms([poses._element(line, True) for line in lines])
    skeleton = poses._placed(atoms, np.array([poses._place(line, path, 0) for line in lines]))
    rdDetermineBonds.DetermineConnectivity(skeleton)
    charge = round(sum(float(line[70:76]) for line in lines))
    for off in (0, 1, -1, 2, -2):
        mol = Chem.Mol(skeleton)
        signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(seconds)
        try:
            rdDetermineBonds.DetermineBondOrders(mol, charge=charge + off, embedChiral=True, maxIterations=20_000)
            signal.alarm(0)
            return Chem.RemoveAllHs(mol)
        except (ValueError, RuntimeError, TimeoutError):
            signal.alarm(0)
    return None


def _too_long(*_):
    raise TimeoutError


def dock(receptor, bace, zinc, folder):
    """Write folder/{active,inactive,decoy}/NNN.pdbqt: the poses of each molecule."""
    with bace.open() as file:
        rows = [(row["smiles"], row["Class"] == "1") for row in csv.DictReader(file)]
    rng = np.random.default_rng(0)
    active, inactive = (chosen({smiles for smiles, good in rows if good == which}, rng)[:EACH] for which in (True, False))
    decoys = matched(active, chosen(set(zinc.read_text().split()), rng)[:8000])
    from vina import Vina
    vina = Vina(sf_name="vina", cpu=1, seed=1, verbosity=0)
    vina.set_receptor(str(receptor))
    vina.compute_vina_maps(center=CENTER, box_size=[SIDE] * 3)
    for place in range(EACH):
        for kind, ones in (("active", active), ("inactive", inactive), ("decoy", decoys)):
            target = folder / kind / f"{place:03d}.pdbqt"
            if place < len(ones) and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    target.write_text(docked(vina, ones[place]))
                except (RuntimeError, ValueError) as problem:
                    print(f"{kind} {place}: {ones[place]}: {problem}", file=sys.stderr)


def screen(receptor, folder, out):
    """Pack the best pose of every molecule that was docked."""
    pocket, found = poses.Receptor(receptor), []
    for path in sorted(folder.rglob("*.pdbqt"), key=lambda one: (one.stem, one.parent.name)):
        ligand, places, energy, rmsd = poses.read_pdbqt(path)
        scaffold = MurckoScaffold.MurckoScaffoldSmiles(mol=ligand)
        best = (ligand, places[:1], energy[:1], rmsd[:1])
        found.append(poses.complex_of(pocket, best, f"{path.parent.name} {path.stem}", scaffold, float(path.parent.name == "active")))
    poses.pack(joined(found), out)


def chosen(smiles, rng) -> list[str]:
    """Neutral, in canonical SMILES, not too large; shuffled, so that the order says nothing."""
    found = set()
    for one in sorted(smiles):
        mol = Chem.MolFromSmiles(one)
        if mol.GetNumHeavyAtoms() <= LARGEST and rdMolDescriptors.CalcNumRotatableBonds(mol) <= BENDS and "." not in one:
            found.add(Chem.MolToSmiles(rdMolStandardize.Uncharger().uncharge(mol)))
    return list(rng.permutation(sorted(found)))


def matched(active: list[str], pool: list[str]) -> list[str]:
    """For each active the molecule of the pool, not taken yet, that is nearest in size, logP, bends, donors, acceptors and polar area."""
    def properties(smiles):
        mols = [Chem.MolFromSmiles(one) for one in smiles]
        asked = (Descriptors.MolWt, Crippen.MolLogP, rdMolDescriptors.CalcNumRotatableBonds, rdMolDescriptors.CalcNumHBD,
                 rdMolDescriptors.CalcNumHBA, rdMolDescriptors.CalcTPSA)
        return np.array([[ask(mol) for ask in asked] for mol in mols])
    ours, theirs = properties(active), properties(pool)
    apart = (np.abs(ours[:, None] - theirs) / theirs.std(0)).sum(2)  # (actives, pool)
    taken = []
    for row in apart:
        row[taken] = np.inf
        taken.append(int(row.argmin()))
    return [pool[one] for one in taken]


def docked(vina, smiles: str) -> str:
    """The best poses of one molecule, as PDBQT."""
    from meeko import MoleculePreparation, PDBQTWriterLegacy
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if AllChem.EmbedMolecule(mol, randomSeed=1) != 0:
        raise ValueError("no conformer")
    AllChem.MMFFOptimizeMolecule(mol)
    text, good, problem = PDBQTWriterLegacy.write_string(MoleculePreparation()(mol)[0])
    if not good:
        raise ValueError(problem)
    vina.set_ligand_from_string(text)
    vina.dock(exhaustiveness=1, n_poses=MODES, max_evals=EVALUATIONS)
    return vina.poses(n_poses=MODES)


if __name__ == "__main__":
    main()
