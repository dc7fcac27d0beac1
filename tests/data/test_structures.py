"""Structures: .xyz texts, folders, .sdf files, QM7's archive, and records that keep each atom with its molecule."""

import re
import zipfile

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from bakeoff.data.kinds.structures import Structures
from bakeoff.data.structures import NUMBER, clusters, load, qm7, xyz
from bakeoff.errors import DataError

WATER = "3\nwater\nO 0 0 0.1\nH 0 0.76 -0.48\nh 0 -0.76 -0.48\n"
SALT = "2\n\nNa 0 0 0\n17 0 0 2.36 ignored\n"
RECORD = Structures(np.arange(1, 22), np.arange(63.0).reshape(21, 3), [0, 1, 3, 6, 10, 15, 21], np.arange(6.0)[:, None], ("y",), ("eV",))


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.xyz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def test_taking_molecules_keeps_their_atoms():
    taken = RECORD.take([4, 0])
    assert taken.offsets.tolist() == [0, 5, 6]
    for place, row in enumerate([4, 0]):
        for found, expected in zip(taken.molecule(place), RECORD.molecule(row), strict=True):
            np.testing.assert_array_equal(found, expected)
    assert taken.targets.tolist() == [[4], [0]]
    assert RECORD.take(slice(1, 3)).numbers.tolist() == [2, 3, 4, 5, 6]
    assert len(RECORD.take([])) == 0


def test_a_split_is_repeatable_disjoint_and_whole():
    train, test = RECORD.split(1)
    assert sorted([*train.numbers, *test.numbers]) == list(range(1, 22))
    assert (len(train), len(test)) == (5, 1)
    assert RECORD.split(1)[0].numbers.tolist() == train.numbers.tolist()
    assert len({tuple(RECORD.split(seed)[1].numbers) for seed in range(9)}) > 1
    with pytest.raises(ValueError, match="read-only"):
        train.coordinates[0] = 1


@pytest.mark.parametrize(("change", "said"), [
    ({"offsets": [0, 1, 1, 2]}, "at least one atom"), ({"offsets": [0, 1]}, "rising from 0 to 2"), ({"numbers": [1, 119]}, "no element"),
    ({"coordinates": [[0, 0, np.inf], [0, 0, 0]]}, "infinite"), ({"coordinates": np.zeros((2, 2))}, r"\(2, 3\)"),
    ({"targets": [[1.0], [2.0]]}, r"Structures.targets.*\(2, 1\)"), ({"names": ("a",), "targets": [[1], [2]]}, "0 units")])
def test_a_wrong_record_is_refused_by_field(change, said):
    with pytest.raises(DataError) as told:
        Structures(**{"numbers": [1, 8], "coordinates": np.zeros((2, 3)), "offsets": [0, 1, 2]} | change)
    assert re.search(said, str(told.value))


def test_the_elements_are_numbered_as_rdkit_numbers_them():
    table = Chem.GetPeriodicTable()
    assert {symbol: table.GetAtomicNumber(symbol) for symbol in NUMBER} == NUMBER
    assert len(NUMBER) == 118


def test_an_xyz_file_holds_molecules_one_after_another(write):
    found = load(write(f"{WATER}\n{SALT}"))
    assert found.offsets.tolist() == [0, 3, 5]
    assert found.numbers.tolist() == [8, 1, 1, 11, 17]
    np.testing.assert_array_equal(found.molecule(1)[1], [[0, 0, 0], [0, 0, 2.36]])
    assert found.targets.shape == (2, 0)


def test_values_come_from_the_table_beside_the_file(write):
    write("Energy,gap\n-76.4,\n-622.5,8\n", "mine.csv")
    found = load(write(WATER + SALT), target="energy,gap", unit="hartree,eV")
    assert (found.names, found.units) == (("energy", "gap"), ("hartree", "eV"))
    assert np.array_equal(found.targets, [[-76.4, np.nan], [-622.5, 8]], equal_nan=True)
    with pytest.raises(DataError, match="2 rows for 1 molecules"):
        load(write(WATER), target="gap")
    with pytest.raises(DataError, match="1 units for 2 targets"):
        load(write(WATER), target="energy,gap", unit="eV")


def test_a_folder_is_read_in_the_order_of_its_table(write, tmp_path):
    write(WATER, "all/water.xyz")
    write(SALT, "all/salt.xyz")
    assert load(tmp_path / "all").numbers.tolist() == [11, 17, 8, 1, 1]
    write("file,y\nwater.xyz,1\nsalt,2\n", "all/values.csv")
    found = load(tmp_path / "all", target="y")
    assert found.numbers.tolist() == [8, 1, 1, 11, 17]
    assert found.targets.tolist() == [[1], [2]]
    for table in ("file,y\nwater,1\n", "file,y\nwater,1\nsalt,2\nsalt,3\n"):
        write(table, "all/values.csv")
        with pytest.raises(DataError, match="do not agree on 1 molecules, such as 'salt'"):
            load(tmp_path / "all", target="y")


def test_an_sdf_file_gives_every_atom_its_place_and_properties_as_values(tmp_path):
    molecule = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    molecule.SetProp("gap", "7.5")
    with Chem.SDWriter(str(tmp_path / "mine.sdf")) as out:
        out.write(molecule)
    found = load(tmp_path / "mine.sdf", target="gap", unit="eV")
    assert found.numbers.tolist() == [6, 6, 8, 1, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(found.coordinates, molecule.GetConformer().GetPositions(), atol=1e-4)
    assert found.targets.tolist() == [[7.5]]
    with pytest.raises(DataError, match="molecule 1: there is no property 'E'") as told:
        load(tmp_path / "mine.sdf", target="E")
    assert "gap" in told.value.hint
    flat = Chem.MolFromSmiles("CCO")
    AllChem.Compute2DCoords(flat)
    with Chem.SDWriter(str(tmp_path / "flat.sdf")) as out:
        out.write(flat)
    with pytest.raises(DataError, match="no three-dimensional coordinates"):
        load(tmp_path / "flat.sdf")


@pytest.mark.parametrize(("text", "said"), [
    ("3\nwater\nO 0 0 0\n", "3 atoms announced, 1 lines follow"), ("1\n\nXx 0 0 0\n", "line 3: found 'Xx 0 0 0'"),
    ("1\n\nH 0 0\n", "line 3: found 'H 0 0'"), ("water\n\nH 0 0 0\n", "line 1: found 'water'"), ("\n\n", "holds no molecule"),
    (f"{WATER}x", "line 6: found 'x'"), ("1\n\nH 0 0 nan\n", "missing or infinite")])
def test_a_wrong_text_is_told_by_line(write, text, said):
    with pytest.raises(DataError, match=said):
        load(write(text))


def test_qm7_is_read_from_its_archive_wherever_the_folder_lies(tmp_path):
    (tmp_path / "energies.txt").write_text("0002.xyz -711.1 -730\n0001.xyz -417.0 -431\n")
    for prefix in ("", "qml-1/tests/"):
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            archive.writestr(f"{prefix}qm7/0001.xyz", WATER)
            archive.writestr(f"{prefix}qm7/0002.xyz", SALT.rstrip())
            archive.writestr(f"{prefix}data/0001.xyz", "no molecule")
        found = qm7([tmp_path / "all.zip", tmp_path / "energies.txt"])
        assert found.numbers.tolist() == [11, 17, 8, 1, 1]
        assert found.targets.tolist() == [[-711.1], [-417.0]]
        assert (found.names, found.units) == (("atomisation energy",), ("kcal/mol",))
        assert sorted(tmp_path.iterdir()) == [tmp_path / "all.zip", tmp_path / "energies.txt"]


def test_an_xyz_text_names_the_place_it_came_from():
    with pytest.raises(DataError, match=r"archive: 7\.xyz, line 1"):
        xyz("x", "archive: 7.xyz")


def test_the_clusters_have_their_lennard_jones_energy():
    record = clusters(count=20)
    for i in range(20):
        numbers, places = record.molecule(i)
        energy = 0.0
        for a in range(len(numbers)):
            for b in range(a):
                sigma = {20: 2.78, 28: 3.09, 36: 3.40}[int(numbers[a] + numbers[b])]
                epsilon = {20: 0.0735, 28: (0.0735 * 0.238) ** 0.5, 36: 0.238}[int(numbers[a] + numbers[b])]
                r = float(np.linalg.norm(places[a] - places[b]))
                energy += 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6)
        assert record.targets[i, 0] == pytest.approx(energy, rel=1e-9)
    assert len(clusters()) == 300
