"""Docked poses, from a user's folders and from the two sets that come with bakeoff.

Protein atoms are typed by the names of residue and atom, so a receptor needs no hydrogens: element, aromatic, donor, acceptor, kind
of residue. A pair of heavy atoms nearer than 5 angstrom is a contact. Waters are left out, metals and other groups stay. Nothing else
is dropped: what cannot be read stops the loading with its file.

The packaged sets hold contact graphs and no structures; `tools/poses.py` says how they were made.
"""

from __future__ import annotations

import hashlib
import io
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import numpy as np

from ..errors import DataError, MissingPackage
from .columns import frame
from .kinds.poses import ELEMENTS, RESIDUES, Poses, joined, typed

REACH = 5.0  # angstrom: contacts up to here
STEP = 0.02  # angstrom: distances in the packaged files are whole numbers of it
ALIKE = 0.3  # share of three-residue words two proteins have in common, above which they are one family

_CLASSES = {"hydrophobic": "ALA VAL LEU ILE MET PRO GLY CYS CYX", "aromatic": "PHE TYR TRP", "polar": "SER THR ASN GLN",
            "positive": "LYS ARG HIS HID HIE HIP", "negative": "ASP GLU"}
_CLASS = {residue: RESIDUES.index(name) for name, residues in _CLASSES.items() for residue in residues.split()}
_RINGS = {"PHE": "CG CD1 CD2 CE1 CE2 CZ", "TYR": "CG CD1 CD2 CE1 CE2 CZ", "TRP": "CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2",
          "HIS": "CG ND1 CD2 CE1 NE2"}
_DONORS = {"ARG": "NE NH1 NH2", "ASN": "ND2", "GLN": "NE2", "HIS": "ND1 NE2", "LYS": "NZ", "SER": "OG", "THR": "OG1", "TRP": "NE1",
           "TYR": "OH", "CYS": "SG"}
_ACCEPTORS = {"ASN": "OD1", "ASP": "OD1 OD2", "GLN": "OE1", "GLU": "OE1 OE2", "HIS": "ND1 NE2", "SER": "OG", "THR": "OG1", "TYR": "OH",
              "MET": "SD"}
_HISTIDINES = {"HID", "HIE", "HIP"}
_PLAIN = {*_CLASS, "ASH", "GLH", "LYN", "CYM", "HSD", "HSE", "HSP", "ACE", "NME"}  # every element in them has one letter
_WATERS = {"HOH", "WAT", "DOD", "H2O", "SOL", "TIP", "TP3"}  # TIP3 and TIP4 begin with TIP
_METALS = {"LI", "NA", "MG", "K", "CA", "MN", "FE", "CO", "NI", "CU", "ZN", "CD", "HG"}
_AUTODOCK = {"A": "C", "OA": "O", "OS": "O", "NA": "N", "NS": "N", "SA": "S", "HD": "H", "HS": "H"}  # its atom types -> elements
_LETTERS = {"ALA": "A", "ARG": "R", "ASN": "N", "ASP": "D", "CYS": "C", "GLN": "Q", "GLU": "E", "GLY": "G", "HIS": "H", "ILE": "I",
            "LEU": "L", "LYS": "K", "MET": "M", "PHE": "F", "PRO": "P", "SER": "S", "THR": "T", "TRP": "W", "TYR": "Y", "VAL": "V"}


def load(path: Path) -> Poses:
    """Complexes from a folder with one sub-folder each.

    A sub-folder has `receptor.pdb` or `receptor.pdbqt`; `poses.sdf` or `poses.pdbqt` (several models, as Vina writes them, best first);
    and, for the distances from the crystal, `crystal.sdf`, `crystal.mol2` or `crystal.pdb`. Poses in a PDBQT without a line
    REMARK SMILES need a crystal pose or a file `ligand.smi` that says what the bonds are. Energies come from lines REMARK VINA RESULT, or
    the SDF's property minimizedAffinity.

    Beside the sub-folders a `complexes.csv` may say more, at most a row a complex: the columns `complex` (a sub-folder's name), `family`
    (the protein's; without it, proteins of like sequence are a family) and `active` (1, 0 or empty).

    Args:
        path: the folder.

    Raises:
        DataError: a file is missing or not as expected.
        MissingPackage: RDKit is not installed.
    """
    path = Path(path)
    folders = sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith(".")) if path.is_dir() else []
    if not folders:
        raise DataError(f"{path}: found no sub-folders", "Expected a folder with one sub-folder a complex: receptor.pdb and poses.sdf.")
    said = _said(path / "complexes.csv", {one.name for one in folders})
    receptors = [Receptor(_only(one, "receptor", (".pdb", ".pdbqt"))) for one in folders]
    like = families([one.sequence for one in receptors])
    found = []
    for folder, receptor, number in zip(folders, receptors, like, strict=True):
        row = said.get(folder.name, {})
        family = row.get("family") or f"like {folders[like.index(number)].name}"
        found.append(complex_of(receptor, _poses(folder), folder.name, family, _activity(row.get("active"), path, folder.name)))
    return joined(found)


def packaged(*, name: str, sha256: str) -> Poses:
    """One of the sets that come with bakeoff, by the name of its file and the SHA-256 of what is in it."""
    content = resources.files(__package__).joinpath("files", f"{name}.npz").read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise DataError(f"{name}.npz is not the file it should be: SHA-256 {found[:12]}..., expected {sha256[:12]}...",
                        "Install bakeoff again.")
    with np.load(io.BytesIO(content), allow_pickle=False) as held:
        arrays = {field: held[field] for field in held.files}
    arrays["distances"] = arrays["distances"] * np.float32(STEP)
    for field in ("smiles", "groups", "names"):
        arrays[field] = tuple(str(arrays[field]).split("\n"))
    for field in ("pose_offsets", "pocket_offsets", "contact_offsets"):
        arrays[field] = np.concatenate([[0], np.cumsum(arrays[field], dtype=np.int64)])
    return Poses(**arrays)


def pack(poses: Poses, path: Path) -> None:
    """Write a record in the form that `packaged` reads: lengths for offsets, bytes where they do, distances in steps of 0.02 angstrom."""
    small = {"rank": np.uint8, "energy": np.float32, "rmsd": np.float32, "pocket": np.uint16, "active": np.float16}
    arrays = {field: getattr(poses, field).astype(dtype) for field, dtype in small.items()}
    arrays |= {field: np.array("\n".join(getattr(poses, field))) for field in ("smiles", "groups", "names")}
    arrays |= {field: np.diff(getattr(poses, field)).astype(np.uint16) for field in ("pose_offsets", "pocket_offsets", "contact_offsets")}
    arrays["distances"] = (poses.distances / STEP).round().astype(np.uint8)
    arrays["contacts"] = poses.contacts.astype(np.uint8 if poses.contacts.max(initial=0) < 256 else np.uint16)
    np.savez_compressed(path, **arrays)


class Receptor:
    """The heavy atoms of a PDB or PDBQT file without its waters: `places` (S, 3), `types` (S,), and the protein's `sequence`.

    Of alternative places (column 17) the first one counts. A TER ends a chain, so chains without letters may number alike.
    """

    def __init__(self, path: Path):
        kept, seen, last, letters, chain, models = [], {}, None, [], 0, 0
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            chain, models = chain + line.startswith("TER"), models + line.startswith("ENDMDL")
            if not line.startswith(("ATOM", "HETATM")) or line[17:20].strip() in _WATERS:
                continue
            if models:
                raise DataError(f"{path}, line {number}: an atom behind the first model's end", "Give one model of the receptor.")
            name, residue, where, other = line[12:16].strip(), line[17:20].strip(), (chain, line[21:27]), line[16:17].strip()
            element = _element(line, path.suffix == ".pdbqt")
            if element == "H":
                continue
            if (atom := (where, residue, name)) in seen:
                if other in ("", seen[atom]):
                    raise DataError(f"{path}, line {number}: a second atom {name} of {residue}{line[21:27]}",
                                    "Give each chain its letter or end it with TER; mark alternative places in column 17.")
                continue
            seen[atom] = other
            kept.append((_place(line, path, number), _typed(element, residue, name)))
            if (where, residue) != last and residue in _LETTERS:
                letters.append(_LETTERS[residue])
            last = (where, residue)
        if not kept:
            raise DataError(f"{path}: found no atoms", "Expected lines ATOM or HETATM with coordinates, as in the PDB format.")
        self.places = np.array([one for one, _ in kept])
        self.types = np.array([one for _, one in kept])
        self.sequence = "".join(letters)


def complex_of(receptor: Receptor, poses, name: str, group: str, active: float = np.nan) -> Poses:
    """One complex, from what `read_sdf` or `read_pdbqt` gave: (ligand, places (P, n, 3), energies (P,), RMSDs (P,))."""
    ligand, places, energy, rmsd = poses
    smiles, order = _canonical(ligand)
    from scipy.spatial import cKDTree
    tree = cKDTree(receptor.places)
    found = []
    for pose in places[:, order]:
        pairs = cKDTree(pose).sparse_distance_matrix(tree, REACH, output_type="ndarray")
        found.append(pairs[np.lexsort([pairs["j"], pairs["i"]])])
    edges = np.concatenate(found)
    pocket, place = np.unique(edges["j"], return_inverse=True)
    ends = np.concatenate([[0], np.cumsum([len(one) for one in found])])
    return Poses((smiles,), (group,), [0, len(places)], np.arange(len(places)), energy, rmsd, [0, len(pocket)], receptor.types[pocket],
                 ends, np.stack([edges["i"], place], 1), edges["v"], [active], (name,))


def read_sdf(path: Path, crystal=None):
    """The poses of an SDF: the ligand without hydrogens, places (P, n, 3), energies (P,), RMSDs from the crystal ligand (P,)."""
    chem = _rdkit()
    with chem.rdBase.BlockLogs(), _read(path, "no molecule", "Expected the poses of one ligand as an SDF."):
        mols = [mol and chem.Chem.RemoveAllHs(mol) for mol in chem.Chem.SDMolSupplier(str(path), removeHs=False)]
    mols = [mol if mol and mol.GetNumAtoms() else None for mol in mols]
    if not mols or None in mols:
        raise DataError(f"{path}: molecule {mols.index(None) if mols else 0} cannot be read", "Expected the poses of one ligand as an SDF.")
    matches = [mol.GetSubstructMatch(mols[0]) for mol in mols]
    for number, (mol, match) in enumerate(zip(mols, matches, strict=True)):
        if len(match) != mol.GetNumAtoms() or mol.GetNumAtoms() != mols[0].GetNumAtoms():
            raise DataError(f"{path}: molecule {number} is another ligand than the first", "Give the poses of one ligand.")
    places = np.stack([mol.GetConformer().GetPositions()[list(match)] for mol, match in zip(mols, matches, strict=True)])
    if len(odd := np.flatnonzero(~np.isfinite(places).all((1, 2)))):
        raise DataError(f"{path}: molecule {odd[0]} has a missing or infinite coordinate", "Expected finite numbers.")
    energy = np.full(len(mols), np.nan)
    for number, mol in enumerate(mols):
        if mol.HasProp("minimizedAffinity"):
            written = mol.GetProp("minimizedAffinity")
            with _read(f"{path}: molecule {number}", f"minimizedAffinity {written!r}", "Expected a number, or leave the property out."):
                energy[number] = float(written)
    return mols[0], places, energy, distances_from(crystal, mols[0], places)


def read_pdbqt(path: Path, template=None, crystal=None):
    """The models of a PDBQT, as `read_sdf`. `template` (a molecule) says what the bonds are where no line REMARK SMILES does."""
    places, energies, elements, ligand, index, row = [], [], [], None, {}, 0
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not places or (line.startswith("MODEL") and places[-1]):  # remarks may stand before the first
            places.append([])
            elements = []
        with _read(f"{path}, line {number}", repr(line), "Expected what AutoDock Vina writes there."):
            if line.startswith("REMARK VINA RESULT"):
                energies.append(float(line.split()[3]))
            elif line.startswith("REMARK SMILES IDX") and len(places) == 1:
                numbers = [int(one) for one in line.split()[3:]]
                index |= dict(zip(numbers[::2], numbers[1::2], strict=True))
            elif line.startswith("REMARK SMILES") and not line.startswith("REMARK SMILES IDX") and len(places) == 1:
                ligand, row = _parsed(line.split()[2]), number
            elif line.startswith(("ATOM", "HETATM")) and (element := _element(line, True)) != "H":
                places[-1].append((int(line[6:11]), _place(line, path, number)))
                elements.append(element)
    if not elements or len({len(one) for one in places}) != 1:
        raise DataError(f"{path}: found {sorted({len(one) for one in places})} heavy atoms in its models", "Expected one ligand's poses.")
    serials = [serial for serial, _ in places[0]]
    xyz = np.array([[place for _, place in one] for one in places])
    if ligand:
        with _read(f"{path}, line {row}", "a SMILES whose atoms the lines REMARK SMILES IDX do not all place",
                   "Expected pairs of an atom of the SMILES and a heavy atom's serial number, each once."):
            order = [serials.index(index[atom + 1]) for atom in range(ligand.GetNumAtoms())]
            if len(set(order)) != len(order):
                raise ValueError
    else:
        ligand, order = _matched(template, elements, xyz, path)
    energy = np.array(energies) if len(energies) == len(xyz) else np.full(len(xyz), np.nan)
    return ligand, xyz[:, order], energy, distances_from(crystal, ligand, xyz[:, order])


def distances_from(crystal, ligand, places: np.ndarray) -> np.ndarray:
    """Root mean square distances in angstrom (P,) of poses (P, n, 3) from a crystal pose, symmetric atoms matched, nothing moved."""
    if crystal is None:
        return np.full(len(places), np.nan)
    chem = _rdkit()
    from rdkit.Chem import rdMolAlign
    if crystal.GetNumAtoms() != ligand.GetNumAtoms() or not crystal.HasSubstructMatch(ligand):
        bare, plain = _single_bonds(crystal), _single_bonds(ligand)  # bond orders may be told apart by one file and not by the other
        if bare.GetNumAtoms() != plain.GetNumAtoms() or not bare.HasSubstructMatch(plain):
            raise DataError(f"the crystal ligand {chem.Chem.MolToSmiles(crystal)} is not the docked one {chem.Chem.MolToSmiles(ligand)}",
                            "Give the crystal pose of the same molecule.")
        crystal, ligand = bare, plain
    return np.array([rdMolAlign.CalcRMS(_placed(ligand, one), crystal, maxMatches=100_000) for one in places])


def families(sequences: list[str], alike: float = ALIKE) -> list[int]:
    """A number for each protein, the same for those linked by likeness: shared words of three residues over those of the shorter one.

    Example:
        >>> families(["MKTAYIAKQR", "GGGGGSGGGGS", "MKTAYIAKQRL"])
        [0, 1, 0]
    """
    words = [{one[place:place + 3] for place in range(len(one) - 2)} for one in sequences]
    family = list(range(len(words)))
    for i, mine in enumerate(words):
        for j, other in enumerate(words[:i]):
            if family[i] != family[j] and len(mine & other) > alike * min(len(mine), len(other)):
                low, high = sorted((family[i], family[j]))
                family = [low if one == high else one for one in family]
    return family


def _poses(folder: Path):
    path = _only(folder, "poses", (".sdf", ".pdbqt"))
    crystal = next((folder / f"crystal{end}" for end in (".sdf", ".mol2", ".pdb") if (folder / f"crystal{end}").exists()), None)
    known, written = crystal and _molecule(crystal), folder / "ligand.smi"
    template = known
    if written.exists():
        with _read(written, "no SMILES that can be read", "Expected the ligand's SMILES."):
            template = _parsed(written.read_text(encoding="utf-8-sig").split()[0])
    try:
        return read_sdf(path, known) if path.suffix == ".sdf" else read_pdbqt(path, template, known)
    except DataError as problem:
        where = "" if str(folder) in problem.message else f"{folder}: "
        raise DataError(where + problem.message, problem.hint) from None


def _molecule(path: Path):
    """The ligand of a file, without hydrogens."""
    chem = _rdkit().Chem
    read = {".sdf": chem.MolFromMolFile, ".mol2": chem.MolFromMol2File, ".pdb": chem.MolFromPDBFile}[path.suffix]
    with _rdkit().rdBase.BlockLogs(), _read(path, "no molecule that RDKit can read", "Give the crystal ligand as an SDF."):
        mol = read(str(path), removeHs=False)
        if mol is None or not mol.GetNumAtoms() or not np.isfinite(mol.GetConformer().GetPositions()).all():
            raise ValueError
        return chem.RemoveAllHs(mol)


def _parsed(smiles: str):
    with _rdkit().rdBase.BlockLogs():
        mol = _rdkit().Chem.MolFromSmiles(smiles)
    if not mol or not mol.GetNumAtoms():
        raise ValueError
    return mol


@contextmanager
def _read(where, found: str, expected: str):
    """What goes wrong in reading is told as a `DataError`: where, what was found there, what was expected."""
    try:
        yield
    except (ValueError, LookupError, OSError, RuntimeError):
        raise DataError(f"{where}: found {found}", expected) from None


def _matched(template, elements: list[str], places: np.ndarray, path: Path):
    """A ligand whose bonds the template knows, and where in the file each of its atoms stands."""
    if template is None:
        raise DataError(f"{path}: no line REMARK SMILES, and no crystal pose", "Add a file ligand.smi with the ligand's SMILES.")
    chem = _rdkit()
    from rdkit.Chem import rdDetermineBonds
    for pose in places if template.GetNumAtoms() == len(elements) else ():  # atoms that are near without a bond may hide one in a pose
        found = f"the atom types {', '.join(sorted(set(elements)))}, not all of them elements"
        with chem.rdBase.BlockLogs(), _read(path, found, "Expected AutoDock's atom types."):
            bare = _placed(_atoms(elements), pose)
        rdDetermineBonds.DetermineConnectivity(bare, useVdw=True)
        if match := _single_bonds(bare).GetSubstructMatch(_single_bonds(template)):
            return template, list(match)
    raise DataError(f"{path}: its atoms are not those of {chem.Chem.MolToSmiles(template)}", "Give the SMILES of the docked ligand.")


def _atoms(elements: list[str]):
    mol = _rdkit().Chem.RWMol()
    for element in elements:
        mol.AddAtom(_rdkit().Chem.Atom(element))
    return mol.GetMol()


def _single_bonds(mol):
    """The same atoms and bonds, with no charges, hydrogens, aromaticity or bond orders; places are kept."""
    chem = _rdkit().Chem
    bare = chem.RWMol(_atoms([atom.GetSymbol() for atom in mol.GetAtoms()]))
    for bond in mol.GetBonds():
        bare.AddBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), chem.BondType.SINGLE)
    for atom in bare.GetAtoms():
        atom.SetNoImplicit(True)
    return _placed(bare.GetMol(), mol.GetConformer().GetPositions()) if mol.GetNumConformers() else bare.GetMol()


def _placed(mol, places: np.ndarray):
    chem = _rdkit().Chem
    mol = chem.Mol(mol)
    conformer = chem.Conformer(len(places))
    conformer.SetPositions(np.ascontiguousarray(places, dtype=np.float64))
    mol.RemoveAllConformers()
    mol.AddConformer(conformer)
    return mol


def _canonical(ligand) -> tuple[str, list[int]]:
    """The canonical SMILES, and which atom of the ligand each of its atoms is."""
    chem = _rdkit().Chem
    smiles = chem.MolToSmiles(ligand)
    order = list(ligand.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
    with _rdkit().rdBase.BlockLogs():
        again = chem.MolFromSmiles(smiles)
    if again is None or again.GetNumAtoms() != len(order):
        raise DataError(f"the ligand {smiles} cannot be written as a SMILES and read back", "Correct its bonds and charges.")
    return smiles, order


def _element(line: str, pdbqt: bool) -> str:
    if pdbqt:
        kind = line[77:79].strip()
        return _AUTODOCK.get(kind.upper(), kind.capitalize())
    digits = " 0123456789"
    symbol = line[76:78].strip() or (line[12:16].strip(digits)[:1] if line[17:20].strip() in _PLAIN else line[12:14].strip(digits))
    return "H" if symbol.upper() in ("H", "D") else symbol.capitalize()


def _place(line: str, path: Path, number: int) -> list[float]:
    with _read(f"{path}, line {number}", f"{line[30:54]!r} where coordinates should be",
               "Expected three numbers in the columns 31 to 54, as in the PDB format."):
        place = [float(line[at:at + 8]) for at in (30, 38, 46)]
        if not np.isfinite(place).all():
            raise ValueError
        return place


def _typed(element: str, residue: str, name: str) -> int:
    kind = ELEMENTS.index("metal" if element.upper() in _METALS else element if element in ELEMENTS else "other")
    side = "HIS" if residue in _HISTIDINES else "CYS" if residue == "CYX" else residue
    protein = residue in _CLASS
    donor = name in _DONORS.get(side, "").split() or (protein and name == "N" and residue != "PRO")
    acceptor = name in _ACCEPTORS.get(side, "").split() or (protein and name in ("O", "OXT"))
    return typed(kind, name in _RINGS.get(side, "").split(), donor, acceptor, _CLASS.get(residue, RESIDUES.index("other")))


def _only(folder: Path, stem: str, ends: tuple[str, ...]) -> Path:
    found = [folder / f"{stem}{end}" for end in ends if (folder / f"{stem}{end}").exists()]
    if len(found) != 1:
        raise DataError(f"{folder}: found {len(found)} of {' and '.join(stem + end for end in ends)}", "Expected exactly one of them.")
    return found[0]


def _said(path: Path, folders: set[str]) -> dict[str, dict[str, str]]:
    if not path.exists():
        return {}
    table = frame(path)
    columns = list(table.columns)
    if "complex" not in columns or set(columns) - {"complex", "family", "active"} or len(set(columns)) != len(columns):
        raise DataError(f"{path}: found the columns {columns}", "Expected 'complex', and 'family', 'active' or both, each once.")
    said = {}
    for row in table[(table != "").any(axis=1)].to_dict("records"):
        if (name := row["complex"]) not in folders:
            raise DataError(f"{path}: {name!r} is no sub-folder", "Name the sub-folders in the column 'complex'.")
        if name in said:
            raise DataError(f"{path}: {name!r} has several rows", "Keep one row a complex.")
        said[name] = row
    return said


def _activity(text: str | None, path: Path, name: str) -> float:
    if text not in (None, "", "0", "1"):
        raise DataError(f"{path / 'complexes.csv'}: {name} has active={text!r}", "Expected 1, 0 or nothing.")
    return float(text) if text else np.nan


def _rdkit():
    try:
        import rdkit.Chem
        import rdkit.rdBase
    except ImportError:
        raise MissingPackage("rdkit", "molecules") from None
    return rdkit
