"""Molecules in three dimensions, from a user's .xyz or .sdf files and from the public sets.

Coordinates are in angstrom. Nothing is dropped: a molecule that cannot be read stops the loading with its place.
"""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import DataError, MissingPackage
from .columns import column, frame, number
from .kinds.structures import Structures

_SYMBOLS = """H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh
 Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U
 Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"""
NUMBER = {symbol: place for place, symbol in enumerate(_SYMBOLS.split(), 1)}

Atoms = tuple[list[int], list[list[float]]]


def load(path: Path, *, target: str | None = None, unit: str = "") -> Structures:
    """Structures from an .xyz file of one molecule or more, an .sdf file, or a folder of .xyz files.

    Args:
        path: the file or the folder. Values come from a CSV: in a folder the only one there, its column `file` naming the
            .xyz file of each row; beside mine.xyz the file mine.csv, one row a molecule in the same order. In an .sdf file
            they are the molecules' own properties.
        target: the column or property of values, several with commas between them; empty cells are values not known.
        unit: the unit of each target, in words, with commas between them.

    Raises:
        DataError: a file, a molecule or a row is not as expected.
        MissingPackage: the file is an .sdf, and RDKit is not installed.
    """
    path = Path(path)
    names = [one.strip() for one in target.split(",")] if target else []
    units = [one.strip() for one in unit.split(",")] if unit else [""] * len(names)
    if len(units) != len(names):
        raise DataError(f"--unit {unit}: {len(units)} units for {len(names)} targets", "Give one unit a target, with commas between them.")
    if path.is_dir():
        molecules, values = _folder(path, names)
    elif path.suffix.lower() == ".sdf":
        molecules, values = _sdf(path, names)
    elif path.suffix.lower() == ".xyz":
        molecules = xyz(path.read_text(encoding="utf-8"), path)
        values = _values(path.with_suffix(".csv"), names, len(molecules)) if names else []
    else:
        raise DataError(f"{path}: unknown form {path.suffix or 'without a suffix'!r}", "Expected .xyz, .sdf or a folder of .xyz files.")
    return _record(molecules, np.array(values, float).reshape(len(molecules), len(names)), names, units)


def clusters(*, count: int = 300) -> Structures:
    """Clusters of three to seven neon and argon atoms, made here, with their Lennard-Jones energy.

    For two atoms at the distance r: 4 epsilon ((sigma / r)^12 - (sigma / r)^6), epsilon and sigma by the Lorentz-Berthelot rules.
    """
    rng = np.random.default_rng(0)
    sigma, epsilon = {10: 2.78, 18: 3.40}, {10: 0.0735, 18: 0.238}  # angstrom, kcal/mol
    molecules, energies = [], []
    while len(molecules) < count:
        numbers = rng.choice([10, 18], rng.integers(3, 8))
        places = rng.uniform(-4, 4, (len(numbers), 3))
        first, second = np.triu_indices(len(numbers), 1)
        mean = np.array([(sigma[a] + sigma[b]) / 2 for a, b in zip(numbers[first], numbers[second], strict=True)])
        depth = np.array([np.sqrt(epsilon[a] * epsilon[b]) for a, b in zip(numbers[first], numbers[second], strict=True)])
        ratio = mean / np.linalg.norm(places[first] - places[second], axis=1)
        if ratio.max() < 1.1:
            molecules.append((numbers, places))
            energies.append([float((4 * depth * (ratio**12 - ratio**6)).sum())])
    return _record(molecules, np.array(energies), ("energy",), ("kcal/mol",))


def qm7(files: list[Path]) -> Structures:
    """QM7: a zip with .xyz files in a folder qm7, and a text of file name, energy, another energy. The zip is read where it lies."""
    archive, energies = files
    rows = [line.split() for line in energies.read_text(encoding="utf-8").splitlines()]
    with zipfile.ZipFile(archive) as opened:
        members = {PurePosixPath(name).name: name for name in opened.namelist() if PurePosixPath(name).parent.name == "qm7"}
        molecules = [xyz(opened.read(members[row[0]]).decode(), f"{archive}: {row[0]}")[0] for row in rows]
    return _record(molecules, np.array([[float(row[1])] for row in rows]), ("atomisation energy",), ("kcal/mol",))


def xyz(text: str, where: Path | str) -> list[Atoms]:
    """The molecules of an .xyz text: for each the number of atoms, a comment line, and as many lines of element, x, y, z."""
    lines = text.splitlines()
    molecules, place = [], 0
    while place < len(lines):
        if not lines[place].strip():
            place += 1
            continue
        count = lines[place].strip()
        if not count.isdecimal() or int(count) == 0:
            raise DataError(f"{where}, line {place + 1}: found {count[:40]!r}", "Expected the number of atoms of the next molecule.")
        atoms = lines[place + 2:place + 2 + int(count)]
        if len(atoms) < int(count):
            raise DataError(f"{where}, line {place + 1}: {count} atoms announced, {len(atoms)} lines follow", "Is the file cut off?")
        molecules.append(tuple(zip(*(_atom(line, where, place + 3 + i) for i, line in enumerate(atoms)), strict=True)))
        place += 2 + int(count)
    if not molecules:
        raise DataError(f"{where} holds no molecule", "Expected the number of atoms, a comment line, and a line for each atom.")
    return molecules


def _atom(line: str, where: Path | str, row: int) -> tuple[int, list[float]]:
    try:
        symbol, *position = line.split()[:4]
        element = int(symbol) if symbol.isdecimal() else NUMBER[symbol.capitalize()]
        x, y, z = map(float, position)
    except (ValueError, KeyError):
        raise DataError(f"{where}, line {row}: found {line.strip()[:60]!r}", "Expected an element and x, y, z in angstrom.") from None
    return element, [x, y, z]


def _folder(path: Path, names: list[str]) -> tuple[list[Atoms], list[list[float]]]:
    files = sorted(path.glob("*.xyz"))
    if not files:
        raise DataError(f"{path} holds no .xyz file", "Put one molecule in each .xyz file.")
    molecules = {}
    for file in files:
        found = xyz(file.read_text(encoding="utf-8"), file)
        if len(found) > 1:
            raise DataError(f"{file} holds {len(found)} molecules", "In a folder, each .xyz file holds one.")
        molecules[file.stem] = found[0]
    if not names:
        return list(molecules.values()), []
    tables = sorted(path.glob("*.csv"))
    if len(tables) != 1:
        raise DataError(f"{path} holds {len(tables)} CSV files", "Put one there, with the column `file` and the targets.")
    cells = frame(tables[0])
    stems = [name.removesuffix(".xyz") for name in cells[column(tables[0], cells.columns, "file", "target")]]
    if (wrong := sorted(set(stems) ^ molecules.keys()) or sorted({one for one in stems if stems.count(one) > 1})):
        raise DataError(f"{tables[0]} and the .xyz files do not agree on {len(wrong)} molecules, such as {wrong[0]!r}",
                        "Give each .xyz file exactly one row, its name in the column `file`.")
    return [molecules[stem] for stem in stems], _values(tables[0], names, len(stems))


def _values(table: Path, names: list[str], count: int) -> list[list[float]]:
    if not table.is_file():
        raise DataError(f"{table} is not there, so no values for {', '.join(names)}", "Put the values there, one row a molecule.")
    cells = frame(table)
    if len(cells) != count:
        raise DataError(f"{table} has {len(cells)} rows for {count} molecules", "Give one row a molecule, in the same order.")
    wanted = [column(table, cells.columns, name, "target") for name in names]
    return [[number(table, row, name, cell) for name, cell in zip(wanted, values, strict=True)]
            for row, values in enumerate(cells[wanted].itertuples(index=False, name=None), 1)]


def _sdf(path: Path, names: list[str]) -> tuple[list[Atoms], list[list[float]]]:
    try:
        from rdkit import Chem, rdBase
    except ImportError:
        raise MissingPackage("rdkit", "molecules") from None
    with rdBase.BlockLogs():
        found = list(Chem.SDMolSupplier(str(path), sanitize=False, removeHs=False))
    molecules, values = [], []
    for row, one in enumerate(found, 1):
        if one is None or not one.GetNumConformers() or not one.GetConformer().Is3D():
            raise DataError(f"{path}, molecule {row}: found {'an unreadable block' if one is None else 'no three-dimensional coordinates'}",
                            "Expected a molecule in three dimensions, marked 3D in its second line.")
        if missing := [name for name in names if not one.HasProp(name)]:
            raise DataError(f"{path}, molecule {row}: there is no property {missing[0]!r}",
                            f"Its properties: {', '.join(one.GetPropNames()) or 'none'}.")
        molecules.append(([atom.GetAtomicNum() for atom in one.GetAtoms()], one.GetConformer().GetPositions().tolist()))
        values.append([number(path, row, name, one.GetProp(name).strip()) for name in names])
    return molecules, values


def _record(molecules: list[Atoms], targets: np.ndarray, names, units) -> Structures:
    ends = np.cumsum([0] + [len(numbers) for numbers, _ in molecules])
    return Structures(np.concatenate([numbers for numbers, _ in molecules]), np.concatenate([places for _, places in molecules]), ends,
                      targets, names, units)
