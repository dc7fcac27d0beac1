"""Trajectories: CHARMM's files as MDAnalysis writes and reads them, a user's archives and PDB models, blocks held out."""

import base64
import re
import zlib

import numpy as np
import pytest

from bakeoff.data.kinds.trajectory import Trajectory
from bakeoff.data.trajectories import charmm, dcd, hinge, load
from bakeoff.errors import DataError

# two frames of the first four backbone atoms of adenylate kinase, written by MDAnalysis 2.11, and what it reads from them
DCD = zlib.decompress(base64.b85decode(
    "c-jkLU|?|e4{~8*fB;4Y+@NmpVn=-PFdzZMAwc{Eh?yBi9sv291qmBqsQ6%yosSR)=@9_pYsah|y%$+I>a8+zoLFM(C;%0AVdijL<;~`}N8yP>W$zUSnD~8p^@9Ps`44*k"
    "XFa(2?27{e6xzRC%)-&B($Z0>*uc?_)dp_=7e+?M#`R2&ce3w0{1iU}x4%hO?ckbnzJr?e%m;U$d=9oB0NuGaJO"))
PLACES = [[[11.736043930053711, 8.500797271728516, -10.445281028747559], [11.66462230682373, 8.393472671508789, -8.983230590820312],
           [11.166547775268555, 7.128995895385742, -8.37482738494873], [11.840958595275879, 6.642269611358643, -7.275109767913818]],
          [[11.505545616149902, 8.062976837158203, -10.386110305786133], [11.592103958129883, 8.167847633361816, -8.904216766357422],
           [11.028108596801758, 6.981916427612305, -8.218544960021973], [11.751279830932617, 6.377926349639893, -7.243375301361084]]]
PSF = """PSF CMAP CHEQ

       1 !NTITLE
* A TITLE
       4 !NATOM
       1 4AKE 1    MET  N      56  -0.300000       14.0070           0
       2 4AKE 1    MET  CA     22   0.210000       12.0110           0
       3 4AKE 1    MET  C      20   0.510000       12.0110           0
       4 4AKE 2    ARG  N      54  -0.470000       14.0070           0

       3 !NBOND: bonds
"""
MODEL = """MODEL        {0}
ATOM      1  N   MET A   1       {0}.000   2.000   3.000  1.00  0.00           N
ATOM      2  CA AMET A   1       {0}.500   2.500   3.500  0.50  0.00           C
ATOM      3  CA BMET A   1       9.500   9.500   9.500  0.50  0.00           C
ATOM      4  C   MET A   1       {0}.750-102.500   3.500  1.00  0.00           C
ATOM      5  O   MET A   1       0.000   0.000   0.000  1.00  0.00           O
ATOM      6  N   ARG A   1A      {0}.000   0.000   1.000  1.00  0.00           N
HETATM    7  O   HOH A 300       5.000   5.000   5.000  1.00  0.00           O
ENDMDL
"""


@pytest.fixture
def write(tmp_path):
    def write(content, name):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return write


def moving(count, block=8):
    """One residue of three atoms; the first coordinate is the frame's number."""
    frames = np.zeros((count, 3, 3))
    frames[:, :, 0] = np.arange(count)[:, None]
    frames[:, :, 1] = [0, 1.5, 3]
    return Trajectory(frames, ("N", "CA", "C"), [0, 0, 0], block)


@pytest.mark.parametrize("count", [98, 102, 200, 1000])
def test_whole_blocks_are_held_out_each_part_in_the_order_of_time(count):
    held_out = set()
    for seed in range(6):
        train, test = (part.frames[:, 0, 0].astype(int) for part in moving(count).split(seed))
        assert sorted([*train, *test]) == list(range(count))
        for part in (train, test):
            assert (np.diff(part) > 0).all()
        runs = np.split(test, np.flatnonzero(np.diff(test) != 1) + 1)
        assert all(len(run) >= 8 for run in runs)
        assert 0.12 < len(test) / count < 0.25
        assert moving(count).split(seed)[1].frames[:, 0, 0].tolist() == test.tolist()
        held_out.add(tuple(test))
    assert len(held_out) > 1


def test_a_short_trajectory_is_held_out_by_halves_and_one_frame_not_at_all():
    train, test = moving(6).split(0)
    assert sorted([len(train), len(test)]) == [3, 3]
    assert set(np.diff(test.frames[:, 0, 0])) == {1}
    with pytest.raises(DataError, match="there are 1 rows"):
        moving(1).split(0)


def test_selecting_atoms_renumbers_the_residues():
    record = Trajectory(np.arange(30.0).reshape(2, 5, 3), ("N", "CA", "O", "N", "CA"), [0, 0, 1, 2, 2])
    found = record.select(("CA", "N"))
    assert (found.atoms, found.residues.tolist()) == (("N", "CA", "N", "CA"), [0, 0, 1, 1])
    np.testing.assert_array_equal(found.frames, record.frames[:, [0, 1, 3, 4]])


@pytest.mark.parametrize(("change", "said"), [
    ({"frames": np.zeros((2, 3))}, r"shape \(2, 3\)"), ({"atoms": ("N",)}, "1 names"), ({"residues": [0, 2]}, "rise by one"),
    ({"residues": [1, 1]}, "from 0"), ({"frames": np.full((1, 2, 3), np.nan)}, r"in frame \[0\]"), ({"block": 0}, "at least 1")])
def test_a_wrong_record_is_refused_by_field(change, said):
    with pytest.raises(DataError) as told:
        Trajectory(**{"frames": np.zeros((2, 2, 3)), "atoms": ("N", "CA"), "residues": [0, 0]} | change)
    assert re.search(said, str(told.value))


def test_a_dcd_file_gives_the_coordinates_that_mdanalysis_gives(write):
    np.testing.assert_array_equal(dcd(write(DCD, "a.dcd")), np.array(PLACES, np.float32))
    found = charmm([write(PSF, "a.psf"), write(DCD, "a.dcd")])
    np.testing.assert_array_equal(found.frames, np.array(PLACES, np.float32))
    assert (found.atoms, found.residues.tolist()) == (("N", "CA", "C", "N"), [0, 0, 0, 1])
    np.testing.assert_array_equal(charmm([write(PSF, "a.psf"), write(DCD, "a.dcd")], "CA").frames, np.array(PLACES, np.float32)[:, 1:2])


def test_a_dcd_file_of_the_other_byte_order_and_without_cells_reads_alike(write):
    words = np.frombuffer(DCD, "<i4")
    swapped = bytearray(words.byteswap().tobytes())
    swapped[4:8] = b"CORD"
    np.testing.assert_array_equal(dcd(write(bytes(swapped), "swapped.dcd")), np.array(PLACES, np.float32))
    frame = 56 + 3 * 24  # bytes: a cell of 48 and three axes of 16, each between its two lengths
    start = len(DCD) - 2 * frame
    bare = bytearray(DCD[:start] + DCD[start + 56:start + frame] + DCD[start + frame + 56:])
    bare[48:52] = bytes(4)
    np.testing.assert_array_equal(dcd(write(bytes(bare), "bare.dcd")), np.array(PLACES, np.float32))


@pytest.mark.parametrize(("damage", "said"), [
    (lambda data: data[:-5], "does not end as it began"), (lambda data: data[:-24], "no whole number of frames of 4 atoms"),
    (lambda data: b"x" + data, "begins with 84 and CORD"), (lambda data: data[:40] + b"\2\0\0\0" + data[44:], "2 atoms are fixed"),
    (lambda data: data[:-2], "does not end as it began")])
def test_a_damaged_dcd_file_is_refused(write, damage, said):
    with pytest.raises(DataError) as told:
        dcd(write(damage(DCD), "a.dcd"))
    assert said in str(told.value)


def test_archives_are_read_by_the_names_of_their_atoms(tmp_path):
    frames = np.arange(36.0).reshape(2, 6, 3)
    names, residues = np.array(["N", "CA", "C", "O", "N", "CA"]), np.array([4, 4, 4, 4, 7, 7])
    np.savez(tmp_path / "a.npz", frames=frames, atoms=names, residues=residues)
    found = load(tmp_path / "a.npz")
    assert (found.atoms, found.residues.tolist()) == (("N", "CA", "C", "N", "CA"), [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(found.frames, frames[:, [0, 1, 2, 4, 5]])
    assert load(tmp_path / "a.npz", atoms="all").atoms == tuple(names)
    np.savez(tmp_path / "bytes.npz", frames=frames, atoms=names.astype("S"), residues=residues)
    assert load(tmp_path / "bytes.npz").atoms == found.atoms
    np.save(tmp_path / "a.npy", frames)
    assert load(tmp_path / "a.npy").residues.tolist() == [0, 0, 0, 1, 1, 1]
    assert load(tmp_path / "a.npy", atoms="CA").atoms == ("CA",) * 6
    np.save(tmp_path / "small.npy", frames / 100)
    with pytest.raises(DataError, match=r"0\.052 angstrom apart") as told:
        load(tmp_path / "small.npy")
    assert "--unit nanometre" in told.value.hint
    np.testing.assert_allclose(load(tmp_path / "small.npy", unit="nanometre").frames, frames / 10, rtol=1e-6)


def test_the_models_of_a_pdb_text_are_the_frames(write):
    found = load(write(MODEL.format(1) + MODEL.format(2), "a.pdb"))
    assert (found.atoms, found.residues.tolist()) == (("N", "CA", "C", "N"), [0, 0, 0, 1])
    np.testing.assert_array_equal(found.frames, [[[n, 2, 3], [n + 0.5, 2.5, 3.5], [n + 0.75, -102.5, 3.5], [n, 0, 1]] for n in (1, 2)])
    assert load(write(MODEL.format(1), "a.pdb"), atoms="all").atoms == ("N", "CA", "C", "O", "N")


def chain(start, *residues, record="ATOM  ", letter=" ", ends="TER\n"):
    """The lines of residues with N, CA and C; the first coordinate counts the atoms from `start`."""
    atoms = [(name, number, residue) for number, residue in residues for name in ("N", "CA", "C")]
    return "".join(f"{record}{1:5d}  {name:3s} {residue:3s} {letter}{number:4d}    {start + place:8.3f}   0.000   0.000\n"
                   for place, (name, number, residue) in enumerate(atoms)) + ends


THREE = ((1, "ALA"), (2, "GLY"), (3, "SER"))


def test_two_chains_without_letters_are_both_read_when_a_ter_is_between(write):
    frame = "MODEL 1\n" + chain(0, *THREE) + chain(9, *THREE) + "ENDMDL\n"
    found = load(write(frame * 2, "a.pdb"))
    assert found.frames[:, :, 0].tolist() == [list(range(18))] * 2
    assert found.residues.tolist() == np.repeat(range(6), 3).tolist()
    assert load(write(chain(0, *THREE) + "END\n" + chain(9, *THREE) + "END\n", "a.pdb")).frames.shape == (2, 9, 3)  # as VMD writes


def test_a_repeated_atom_that_is_no_alternative_place_is_told_by_its_line(write):
    twice = chain(0, *THREE, ends="") + chain(9, *THREE)
    with pytest.raises(DataError, match="line 10: a second atom N of ALA"):
        load(write(twice, "a.pdb"))
    with pytest.raises(DataError, match="line 11: a second atom CA of ALA"):
        load(write(twice, "a.pdb"), atoms="CA")
    waters = "ATOM      1  OW  SOL     1      50.000   0.000   0.000\n" * 2  # their numbers begin anew after 9999
    assert load(write(chain(0, *THREE) + waters, "a.pdb")).frames.shape == (1, 9, 3)


def test_changed_residues_of_a_chain_are_read_and_ligands_are_not(write):
    text = chain(0, (3, "ALA"), letter="A", ends="") + chain(3, (4, "MSE"), (5, "SEP"), record="HETATM", letter="A", ends="")
    calcium = "HETATM    1 CA    CA A 201      50.000   0.000   0.000\nHETATM    1  N   LIG A 202      50.000   0.000   0.000\n"
    found = load(write(text + chain(9, (6, "ALA"), letter="A") + calcium, "a.pdb"))
    assert found.frames[0, :, 0].tolist() == list(range(12))
    assert found.residues.tolist() == np.repeat(range(4), 3).tolist()


@pytest.mark.parametrize(("name", "text", "options", "said"), [
    ("a.pdb", MODEL.format(1) + MODEL.format(2).replace("  O   MET", "  OXT MET"), {}, "model 2: its atoms are not those of the first"),
    ("a.pdb", MODEL.format(1).replace("   2.000", "     two"), {}, "line 2: found"), ("a.pdb", "END\n", {}, "holds no ATOM line"),
    ("a.pdb", MODEL.format(1), {"atoms": "CB"}, "no atom is called 'CB'"), ("a.xtc", "", {}, "unknown form '.xtc'"),
    ("a.npz", "text", {}, "cannot be read"), ("a.npy", "text", {}, "cannot be read")])
def test_a_wrong_file_is_told(write, name, text, options, said):
    with pytest.raises(DataError, match=said):
        load(write(text, name), **options)


def test_wrong_arrays_are_told(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 4, 3)))
    with pytest.raises(DataError, match="4 atoms are no whole number of residues of the atoms N,CA,C"):
        load(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.zeros((2, 4)))
    with pytest.raises(DataError, match=r"frames of shape \(2, 4\)"):
        load(tmp_path / "a.npy", atoms="CA")
    np.savez(tmp_path / "a.npz", frames=np.zeros((2, 4, 3)))
    with pytest.raises(DataError, match="no array 'atoms'"):
        load(tmp_path / "a.npz")
    for atoms, residues, said in ((["CA"] * 4, np.zeros((2, 2)), r"residues of shape \(2, 2\)"),
                                  ([["CA"]] * 4, [0] * 4, r"atoms of shape \(4, 1\)")):
        np.savez(tmp_path / "a.npz", frames=np.zeros((2, 4, 3)), atoms=atoms, residues=residues)
        with pytest.raises(DataError, match=said):
            load(tmp_path / "a.npz")


def test_the_hinge_has_a_helixs_bonds_angles_and_rise_and_bends_in_its_middle_alone():
    frames = hinge().frames.astype(float)
    bonds = np.diff(frames, axis=1)
    np.testing.assert_allclose(np.linalg.norm(bonds, axis=2), np.broadcast_to(np.tile([1.46, 1.53, 1.33], 16)[:47], (96, 47)), atol=1e-5)
    cosines = -(bonds[:, :-1] * bonds[:, 1:]).sum(2) / np.linalg.norm(bonds[:, :-1], axis=2) / np.linalg.norm(bonds[:, 1:], axis=2)
    np.testing.assert_allclose(np.degrees(np.arccos(cosines)), np.broadcast_to(np.tile([111, 116.6, 121.7], 16)[:46], (96, 46)), atol=1e-3)
    alpha = frames[:, 1::3]
    assert np.linalg.norm(np.diff(alpha, axis=1), axis=2).mean() == pytest.approx(3.8, abs=0.05)
    torsions = np.array([[dihedral(*frame[i:i + 4]) for frame in frames[::8] for i in range(start, 21, 3)] for start in (0, 1, 2)])
    np.testing.assert_allclose(np.median(torsions % 360, axis=1), [313, 180, 303], atol=1)  # psi, omega, phi of the first half
    ends = np.linalg.norm(alpha[:, -1] - alpha[:, 0], axis=1)
    halves = np.linalg.norm(alpha[:, 7] - alpha[:, 0], axis=1)
    assert ends.std() > 5 * halves.std()


def dihedral(a, b, c, d):
    """The torsion of four points in degrees, by IUPAC's sign, by two planes' normals."""
    first, second = np.cross(b - a, c - b), np.cross(c - b, d - c)
    angle = np.degrees(np.arccos(np.clip(first @ second / np.linalg.norm(first) / np.linalg.norm(second), -1, 1)))
    return angle if first @ (d - c) > 0 else -angle
