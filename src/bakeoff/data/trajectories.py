"""Trajectories of one molecule, from a user's arrays or PDB text, and from simulations in CHARMM's forms (PSF, DCD)."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np

from ..errors import DataError
from .columns import choice
from .kinds.trajectory import Trajectory

BACKBONE = "N,CA,C"


def load(path: Path, *, atoms: str = BACKBONE, unit: str = "angstrom") -> Trajectory:
    """A trajectory from a .npz or .npy archive, or from a PDB text with several models.

    Args:
        path: the file. A .npz holds `frames` (T, A, 3), `atoms` (A,) the atom names, and `residues` (A,) the residue of each
            atom. A .npy holds the frames alone, its atoms being `atoms` over and over, once a residue. In a PDB a TER ends a
            chain; HETATM residues count if they have the atoms N, CA and C.
        atoms: the names of the atoms to be read, with commas between them; "all" for every one (not for .npy).
        unit: "angstrom", or "nanometre", of the coordinates in an archive; a PDB is in angstrom.

    Raises:
        DataError: the file, an array or a line is not as expected.
    """
    path = Path(path)
    scale = {"angstrom": 1.0, "nanometre": 10.0}[choice("unit", unit, ("angstrom", "nanometre"))]
    names = tuple(one.strip() for one in atoms.split(",") if one.strip())
    form = path.suffix.lower()
    if form in (".pdb", ".ent"):
        return _chosen(path, _pdb(path, names), names)
    if form not in (".npy", ".npz"):
        raise DataError(f"{path}: unknown form {form or 'without a suffix'!r}", "Expected .npz, .npy or .pdb.")
    found = _arrays(path)
    if missing := [name for name in ("frames", "atoms", "residues")[:1 if form == ".npy" else 3] if name not in found]:
        raise DataError(f"{path}: there is no array {missing[0]!r}", f"Its arrays: {', '.join(found) or 'none'}.")
    frames = found["frames"]
    if frames.ndim != 3 or frames.shape[2] != 3 or not len(frames) or frames.dtype.kind not in "fiu":
        raise DataError(f"{path}: found frames of shape {frames.shape} and type {frames.dtype}", "Expected numbers of shape (T, A, 3).")
    if form == ".npz":
        called, residues = found["atoms"], found["residues"]
        for name, one in (("atoms", called), ("residues", residues)):
            if one.shape != frames.shape[1:2]:
                raise DataError(f"{path}: found {name} of shape {one.shape}", f"Expected ({frames.shape[1]},), one an atom.")
        called = np.char.decode(called, "utf-8", "replace") if called.dtype.kind == "S" else called
        return _angstrom(path, _chosen(path, Trajectory(frames * scale, called.tolist(), _counted(residues)), names))
    if not names or frames.shape[1] % len(names):
        raise DataError(f"{path}: {frames.shape[1]} atoms are no whole number of residues of the atoms {atoms}",
                        "Say with --atoms which atoms each residue has, in order, such as --atoms CA.")
    count = frames.shape[1] // len(names)
    return _angstrom(path, Trajectory(frames * scale, names * count, np.repeat(np.arange(count), len(names))))


def hinge(*, residues: int = 16, frames: int = 96) -> Trajectory:
    """A helix that bends at its middle and shakes, made here: ideal bonds and angles, torsions drawn from one fixed seed."""
    rng = np.random.default_rng(0)
    torsions = np.radians([180.0, -57.0, -47.0]) + np.radians(2) * rng.standard_normal((frames, residues, 3))  # omega, phi, psi
    torsions[:, residues // 2, 2] += np.radians(90) * np.sin(np.linspace(0, 3 * np.pi, frames))
    lengths, angles = np.tile([1.33, 1.46, 1.53], residues), np.radians(np.tile([116.6, 121.7, 111.0], residues))
    turns = np.roll(torsions.reshape(frames, -1), 1, axis=1)  # psi turns the next residue's N, omega its CA, phi its C
    places = np.zeros((frames, 3 * residues, 3))
    places[:, 1], places[:, 2] = [1.46, 0, 0], [1.46 - 1.53 * np.cos(angles[2]), 1.53 * np.sin(angles[2]), 0]
    for i in range(3, 3 * residues):
        a, b, c = (places[:, j] for j in (i - 3, i - 2, i - 1))
        along = _unit(c - b)
        normal = _unit(np.cross(b - a, along))
        turn = turns[:, i, None]
        step = -np.cos(angles[i]) * along + np.sin(angles[i]) * (np.cos(turn) * np.cross(normal, along) + np.sin(turn) * normal)
        places[:, i] = c + lengths[i] * step
    return Trajectory(places, ("N", "CA", "C") * residues, np.repeat(np.arange(residues), 3))


def charmm(files: list[Path], atoms: str = BACKBONE) -> Trajectory:
    """The named atoms of a simulation: a PSF file says what the atoms are, a DCD file where they go."""
    names, residues = psf(files[0])
    return Trajectory(dcd(files[1]), names, _counted(residues)).select(tuple(atoms.split(",")))


def psf(path: Path) -> tuple[list[str], list[str]]:
    """Atom names (A,) and residues (A,), as segment and number, of a PSF file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [place for place, line in enumerate(lines) if "!NATOM" in line]
    if not starts:
        raise DataError(f"{path}: there is no line with !NATOM", "Expected a PSF file.")
    words = [line.split() for line in lines[starts[0] + 1:starts[0] + 1 + int(lines[starts[0]].split()[0])]]
    return [one[4] for one in words], [f"{one[1]} {one[2]}" for one in words]


def dcd(path: Path) -> np.ndarray:
    """Coordinates (T, A, 3) of a DCD file in either byte order, with or without unit cells; files with fixed atoms are refused.

    The file is a row of blocks, each between two copies of its length in bytes: twenty whole numbers behind "CORD", titles, the
    number of atoms, then for every frame perhaps a unit cell, x, y, z as 4-byte floats, perhaps a fourth coordinate. How many
    frames there are is counted: the first of the twenty numbers is the plan of the simulation, not what was written.
    """
    data = path.read_bytes()
    order = next((one for one in "<>" if data[:8] == struct.pack(f"{one}i4s", 84, b"CORD")), None)
    if order is None:
        raise DataError(f"{path}: found {data[:8]!r}", "Expected a DCD file, which begins with 84 and CORD.")
    blocks, place = [], 0
    while place < len(data):
        size, = struct.unpack_from(f"{order}i", data, place)
        if size < 0 or data[place:place + 4] != data[place + 4 + size:place + 8 + size]:
            raise DataError(f"{path}: a block of {size} bytes at byte {place} does not end as it began", "Is the file cut off?")
        blocks.append((place + 4, size))
        place += 8 + size
    header = struct.unpack_from(f"{order}20i", data, 8)
    if header[8]:
        raise DataError(f"{path}: {header[8]} atoms are fixed", "Write every atom in every frame.")
    atoms, = struct.unpack_from(f"{order}i", data, blocks[2][0])
    cell, fourth = bool(header[10]), bool(header[11])
    width, frames = 3 + cell + fourth, blocks[3:]
    axes = [one for place, one in enumerate(frames) if place % width in range(cell, cell + 3)]
    if not frames or len(frames) % width or any(size != 4 * atoms for _, size in axes):
        raise DataError(f"{path}: {len(frames)} blocks are no whole number of frames of {atoms} atoms", "Is the file cut off?")
    values = np.stack([np.frombuffer(data, f"{order}f4", atoms, start) for start, _ in axes])
    return values.reshape(-1, 3, atoms).transpose(0, 2, 1)


def _pdb(path: Path, names: tuple[str, ...]) -> Trajectory:
    """All atoms of a PDB text's models; of alternative places the first one. A second atom of one of the `names` is refused."""
    models, model, others, chain = [], {}, {}, 0
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    linked = _linked(lines)
    for row, line in enumerate(lines, 1):
        if line.startswith("ENDMDL") or (model and line.startswith(("MODEL ", "END"))):
            models.append(model)
            model, others, chain = {}, {}, 0
        elif line.startswith("TER"):
            chain += 1
        elif line.startswith("ATOM") or (line.startswith("HETATM") and line[17:27] in linked):
            try:
                place = [float(line[start:start + 8]) for start in (30, 38, 46)]
            except ValueError:
                raise DataError(f"{path}, line {row}: found {line[30:54]!r}", "Expected x, y, z in columns 31 to 54.") from None
            name, other = line[12:16].strip(), line[16:17].strip()
            key = f"{line[21:27]} {chain}", name  # chain letter, residue number and insertion, chain's place; atom name
            if key in model and other in ("", others[key]) and (name in names or names == ("all",)):
                raise DataError(f"{path}, line {row}: a second atom {name} of {line[17:20].strip()}{line[21:27]}",
                                "Give each chain its letter or end it with TER, and put MODEL and ENDMDL around each frame.")
            if key not in model:
                model[key], others[key] = place, other
    models += [model] if model else []
    if not models:
        raise DataError(f"{path} holds no ATOM line", "Expected a PDB text, with MODEL and ENDMDL around each frame.")
    for number, one in enumerate(models, 1):
        if one.keys() != models[0].keys():
            odd = next(iter(one.keys() ^ models[0].keys()))
            raise DataError(f"{path}, model {number}: its atoms are not those of the first, such as {odd[1]} of {odd[0][:6].strip()}",
                            "Write the same atoms in every model.")
    keys = list(models[0])
    return Trajectory([[one[key] for key in keys] for one in models], [name for _, name in keys], _counted([where for where, _ in keys]))


def _linked(lines: list[str]) -> set[str]:
    """The HETATM residues of a PDB text that are links of a chain, such as MSE and SEP: those with N, CA and C; as columns 18 to 27."""
    atoms = {}
    for line in lines:
        if line.startswith("HETATM"):
            atoms.setdefault(line[17:27], set()).add(line[12:16].strip())
    return {residue for residue, names in atoms.items() if names >= {"N", "CA", "C"}}


def _chosen(path: Path, record: Trajectory, names: tuple[str, ...]) -> Trajectory:
    if names == ("all",):
        return record
    if missing := [name for name in names if name not in record.atoms]:
        raise DataError(f"{path}: no atom is called {missing[0]!r}", f"Its atoms: {', '.join(sorted(set(record.atoms))[:20])}.")
    return record.select(names)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an archive by their names; the one of a .npy is `frames`. No pickles."""
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {"frames": found}
        with found as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as problem:
        raise DataError(f"{path} cannot be read: {problem}", "Expected a NumPy archive of plain arrays.") from None


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _counted(residues) -> np.ndarray:
    """Residue labels (A,) as 0, 1, ...: a new number wherever the label changes."""
    labels = np.asarray(residues)
    return np.cumsum(np.concatenate([[False], labels[1:] != labels[:-1]])) if len(labels) else np.zeros(0, int)


def _angstrom(path: Path, record: Trajectory) -> Trajectory:
    """Refuse coordinates that are plainly nanometres: neighbours in a chain less than half an angstrom apart."""
    steps = np.linalg.norm(np.diff(record.frames[0], axis=0), axis=1)
    if len(steps) and np.median(steps) < 0.5:
        raise DataError(f"{path}: neighbouring atoms are {np.median(steps):.3g} angstrom apart",
                        "If these are nanometres, add --unit nanometre.")
    return record
