"""Docked poses from files: contacts against all distances, RMSDs against permutations tried by hand, one ligand in two formats."""

import hashlib
import re
from itertools import permutations

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.data.kinds.poses import TRAITS, traits
from bakeoff.data.poses import Receptor, distances_from, families, load, pack, packaged
from bakeoff.errors import DataError

PDB = "{:6s}{:5d} {:4s} {:3s} {:1s}{:4d}    {:8.3f}{:8.3f}{:8.3f}  1.00  0.00          {:>2s}\n"
LIGAND = "Clc1cc(O)ccc1NC(=O)C"  # not in the order of the canonical SMILES


def ligand(smiles=LIGAND, seed=1):
    """A ligand with one conformer about the origin."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(mol, randomSeed=seed) == 0
    return mol


def places(mol):
    return mol.GetConformer().GetPositions()


def moved(mol, by):
    copy = Chem.Mol(mol)
    copy.GetConformer().SetPositions(places(mol) + np.asarray(by, float))
    return copy


RESIDUES = (("PHE", ("N", "CA", "C", "O", "CB", "CG", "CZ")), ("ASP", ("N", "CA", "C", "O", "OD1")), ("LYS", ("N", "CA", "C", "O", "NZ")),
            ("ZN", ("ZN",)), ("HOH", ("O",)))


def receptor(path, seed=0):
    """A PDB file of scattered atoms, with hydrogens and a water; the places of those that count are returned."""
    rng, lines, kept, serial = np.random.default_rng(seed), [], [], 1
    for number in range(12):
        residue, names = RESIDUES[number % len(RESIDUES)]
        for name in (*names, "H"):
            xyz = (rng.normal(size=3) * 5).round(3)
            element = "ZN" if name == "ZN" else name[0]
            lines.append(PDB.format("ATOM", serial, f" {name:3s}" if len(element) == 1 else name, residue, "A", number, *xyz, element))
            serial += 1
            if name != "H" and residue != "HOH":
                kept.append(xyz)
    path.write_text("".join(lines))
    return np.array(kept)


def write_sdf(path, mols):
    with Chem.SDWriter(str(path)) as out:
        for energy, mol in enumerate(mols):
            mol.SetProp("minimizedAffinity", str(energy - 9.5))
            out.write(mol)


def write_pdbqt(path, mols, order, remarks=""):
    """As AutoDock Vina writes it: atoms in another order, its own atom types, polar hydrogens."""
    lines = []
    for number, mol in enumerate(mols):
        lines += [f"MODEL {number + 1}\n", f"REMARK VINA RESULT:    {number - 9.5:6.1f}      0.000      0.000\n", remarks]
        for serial, atom in enumerate(order, 1):
            kind = {"O": "OA", "H": "HD", "C": "A" if mol.GetAtomWithIdx(atom).GetIsAromatic() else "C"}.get(
                symbol := mol.GetAtomWithIdx(atom).GetSymbol(), symbol)
            line = PDB.format("ATOM", serial, f" {symbol:3s}", "UNL", " ", 1, *places(mol)[atom], "")
            lines.append(f"{line[:66]}     0.000 {kind:2s}\n")
        lines.append("ENDMDL\n")
    path.write_text("".join(lines))


@pytest.fixture
def folder(tmp_path):
    """Two complexes of one ligand and one receptor: one of them in SDF, the other in PDBQT."""
    mol = ligand()
    mols = [moved(mol, (0, 0, 0)), moved(mol, (1, 2, 2)), moved(mol, (0, 40, 0))]
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        receptor(tmp_path / name / "receptor.pdb")
        Chem.MolToMolFile(mol, str(tmp_path / name / "crystal.sdf"))
    write_sdf(tmp_path / "first" / "poses.sdf", mols)
    order = np.random.default_rng(3).permutation(mol.GetNumAtoms()).tolist()
    write_pdbqt(tmp_path / "second" / "poses.pdbqt", mols, order)
    return tmp_path


def test_contacts_are_the_pairs_nearer_than_five_angstrom(folder):
    record = load(folder).take([0])
    atoms, protein = places(Chem.RemoveHs(ligand())), receptor(folder / "first" / "receptor.pdb")
    order = Chem.RemoveHs(ligand()).GetSubstructMatch(Chem.MolFromSmiles(record.smiles[0]))
    for pose, shift in enumerate(((0, 0, 0), (1, 2, 2), (0, 40, 0))):
        apart = np.linalg.norm((atoms + shift)[list(order)][:, None] - protein, axis=2)
        mine = slice(*record.contact_offsets[pose:pose + 2])
        expected = np.argwhere(apart < 5)
        assert np.array_equal(record.contacts[mine, 0], expected[:, 0])
        assert record.distances[mine] == pytest.approx(apart[apart < 5], abs=2e-3)
    assert np.diff(record.contact_offsets)[2] == 0
    assert np.diff(record.contact_offsets)[0] > 20


def test_remarks_before_the_first_model_are_no_model(folder):
    path, before = folder / "second" / "poses.pdbqt", load(folder).take([1])
    path.write_text("REMARK  made by hand\n" + path.read_text())
    after = load(folder).take([1])
    assert np.array_equal(after.contacts, before.contacts)
    assert after.energy.tolist() == [-9.5, -8.5, -7.5]


def test_the_two_formats_give_one_record(folder):
    record = load(folder)
    sdf, pdbqt = record.take([0]), record.take([1])
    assert sdf.smiles == pdbqt.smiles
    for name in ("energy", "rank", "pocket", "contacts", "contact_offsets"):
        assert np.array_equal(getattr(sdf, name), getattr(pdbqt, name)), name
    assert sdf.distances == pytest.approx(pdbqt.distances, abs=3e-3)
    assert sdf.energy.tolist() == [-9.5, -8.5, -7.5]
    assert len(set(record.groups)) == 1  # one protein


def test_a_pose_moved_as_a_whole_is_as_far_off_as_it_was_moved(folder):
    assert load(folder).rmsd.tolist() == pytest.approx([0, 3, 40] * 2, abs=2e-3)


def test_atoms_that_are_alike_are_matched_as_the_best_permutation_does():
    mol = Chem.RemoveHs(ligand("FC(F)(F)c1ccccc1"))
    rng = np.random.default_rng(0)
    poses = np.stack([places(mol) + rng.normal(size=(mol.GetNumAtoms(), 3)) for _ in range(5)])
    ring = [one for one in mol.GetSubstructMatches(Chem.MolFromSmarts("C(F)(F)(F)c1ccccc1"), uniquify=False)]
    assert len(ring) == 12  # 3! turns of the fluorines, two of the ring
    expected = [min(np.sqrt(((pose[list(one)] - places(mol)[list(ring[0])]) ** 2).sum(1).mean()) for one in ring) for pose in poses]
    assert distances_from(mol, mol, poses) == pytest.approx(np.array(expected), abs=1e-6)
    fluorines = [a.GetIdx() for a in mol.GetAtoms() if a.GetSymbol() == "F"]
    for other in permutations(fluorines):
        swapped = places(mol).copy()
        swapped[fluorines] = swapped[list(other)]
        assert distances_from(mol, mol, swapped[None])[0] == pytest.approx(0, abs=1e-6)


def test_a_vina_file_says_by_itself_which_atom_is_which(tmp_path):
    mol = ligand()
    heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetSymbol() != "H"]
    order = np.random.default_rng(5).permutation(heavy).tolist()
    pairs = " ".join(f"{atom + 1} {serial}" for serial, atom in enumerate(order, 1))
    remarks = f"REMARK SMILES {LIGAND}\nREMARK SMILES IDX {pairs}\n"
    (tmp_path / "one").mkdir()
    receptor(tmp_path / "one" / "receptor.pdb")
    write_pdbqt(tmp_path / "one" / "poses.pdbqt", [mol], order, remarks)
    told = load(tmp_path)
    (tmp_path / "one" / "poses.pdbqt").unlink()
    write_sdf(tmp_path / "one" / "poses.sdf", [mol])
    assert np.array_equal(load(tmp_path).contacts, told.contacts)
    assert np.isnan(told.rmsd).all()


def meanings(path):
    return [{TRAITS[i] for i in np.flatnonzero(row)} for row in traits(Receptor(path).types)]


def atom(name, residue, number=1, chain=" ", element="", record="ATOM", x=0.0):
    """One line; the name begins in column 13, four letters wide, as it stands."""
    return PDB.format(record, 1, name, residue, chain, number, x, 0, 0, element)


def test_protein_atoms_are_typed_by_their_names(tmp_path):
    path = tmp_path / "receptor.pdb"
    receptor(path)
    means = meanings(path)
    assert means[0] == {"element N", "donor", "residue aromatic"}
    assert means[6] == {"element C", "aromatic", "residue aromatic"}  # CZ of phenylalanine
    assert means[11] == {"element O", "acceptor", "residue negative"}  # OD1 of aspartate
    assert means[16] == {"element N", "donor", "residue positive"}  # NZ of lysine
    assert means[17] == {"element metal", "residue other"}


def test_without_element_columns_hydrogens_are_no_metals(tmp_path):
    names = [("HG11", "VAL"), ("HH11", "ARG"), ("HD21", "ASN"), ("HE21", "GLN"), ("1HG1", "VAL"), (" HG ", "SER"), ("HH31", "ACE"),
             (" CA ", "ARG")]
    path = tmp_path / "receptor.pdb"
    path.write_text("".join(atom(name, residue, number) for number, (name, residue) in enumerate(names)) + atom("HG  ", " HG", 99))
    assert meanings(path) == [{"element C", "residue positive"}, {"element metal", "residue other"}]


def test_waters_of_any_name_are_left_out(tmp_path):
    path = tmp_path / "receptor.pdb"
    lines = [atom(" O  ", residue, number) for number, residue in enumerate(("HOH", "WAT", "DOD", "TIP", "TP3", "SOL", "H2O"))]
    four = atom(" OH2", "TIP", 90, chain="3")  # TIP3 reaches into the next column
    path.write_text("".join(lines) + four + atom(" CA ", "ALA", 91))
    assert len(Receptor(path).types) == 1


def test_chains_without_letters_are_both_kept_when_a_ter_is_between(tmp_path):
    path = tmp_path / "receptor.pdb"
    chains = ["".join(atom(name, "GLY", 1, x=start + i) for i, name in enumerate((" N  ", " CA ", " C  ", " O  "))) for start in (0, 4)]
    path.write_text("TER\n".join(chains))
    found = Receptor(path)
    assert found.places[:, 0].tolist() == list(range(8))
    assert found.sequence == "GG"
    path.write_text("".join(chains))
    with pytest.raises(DataError, match="line 5: a second atom N of GLY"):
        Receptor(path)
    path.write_text("MODEL 1\n" + chains[0] + "TER\nENDMDL\nMODEL 2\n" + chains[1])
    with pytest.raises(DataError, match="line 9: an atom behind the first model"):
        Receptor(path)


def test_of_alternative_places_the_first_one_counts(tmp_path):
    path = tmp_path / "receptor.pdb"
    lines = [atom(" CA ", "ALA", x=1), atom(" CA ", "ALA", x=2)]
    path.write_text("".join(line[:16] + other + line[17:] for other, line in zip("AB", lines, strict=True)))
    assert Receptor(path).places.tolist() == [[1, 0, 0]]


def test_complexes_csv_may_come_from_a_spreadsheet(folder):
    (folder / "complexes.csv").write_bytes("complex , active\nfirst ,1\nsecond, 0\n".encode("utf-8-sig"))
    assert load(folder).active.tolist() == [1, 0]


def test_complexes_csv_names_families_and_activity(folder):
    (folder / "complexes.csv").write_text("complex,family,active\nfirst,kinase,1\nsecond,protease,\n")
    record = load(folder)
    assert record.groups == ("kinase", "protease")
    assert record.active[0] == 1
    assert np.isnan(record.active[1])


def break_receptor(folder):
    (folder / "first" / "receptor.pdb").unlink()


def break_coordinates(folder):
    text = (folder / "first" / "receptor.pdb").read_text()
    (folder / "first" / "receptor.pdb").write_text(text[:32] + "x" + text[33:])


def break_crystal(folder):
    Chem.MolToMolFile(ligand("CCCCO"), str(folder / "first" / "crystal.sdf"))


def break_poses(folder):
    write_sdf(folder / "first" / "poses.sdf", [ligand(), ligand("CCCCO")])


def break_template(folder):
    (folder / "second" / "ligand.smi").write_text("CCCCO\n")


def break_table(folder):
    (folder / "complexes.csv").write_text("complex,family\nthird,kinase\n")


def break_activity(folder):
    (folder / "complexes.csv").write_text("complex,active\nfirst,yes\n")


def break_rows(folder):
    (folder / "complexes.csv").write_text("complex,active\nfirst,1\nfirst,0\n")


def break_columns(folder):
    (folder / "complexes.csv").write_text("complex,activity\nfirst,1\n")


def break_coordinate(folder):
    path = folder / "first" / "receptor.pdb"
    path.write_text(path.read_text()[:30] + "     nan" + path.read_text()[38:])


def break_place(folder):
    block = Chem.MolToV3KMolBlock(ligand())  # of the older form RDKit itself refuses this
    (folder / "first" / "poses.sdf").write_text(re.sub(r"(V30 1 Cl) \S+", r"\1 nan", block) + "$$$$\n")


def break_energy(folder):
    path = folder / "first" / "poses.sdf"
    path.write_text(path.read_text().replace("-8.5", "n/a"))


def empty_poses(folder):
    (folder / "first" / "poses.sdf").write_text("")


def empty_crystal(folder):
    (folder / "first" / "crystal.sdf").write_text("")


def break_serial(folder):
    path = folder / "second" / "poses.pdbqt"
    path.write_text(re.sub(r"ATOM  .....", "ATOM  *****", path.read_text()))


def break_result(folder):
    path = folder / "second" / "poses.pdbqt"
    path.write_text(path.read_text().replace("RESULT:      -9.5      0.000      0.000", "RESULT:", 1))


def break_element(folder):
    path = folder / "second" / "poses.pdbqt"
    path.write_text(path.read_text().replace("     0.000 OA", "     0.000 Qq"))


def remarks(*lines):
    """A PDBQT that says its SMILES by these lines."""
    def wrong(folder):
        mol = ligand()
        heavy = [one.GetIdx() for one in mol.GetAtoms() if one.GetSymbol() != "H"]
        write_pdbqt(folder / "second" / "poses.pdbqt", [mol], heavy, "".join(f"REMARK SMILES{line}\n" for line in lines))
    return wrong


def template(text):
    return lambda folder: (folder / "second" / "ligand.smi").write_text(text)


PAIRS = " ".join(f"{atom} {atom}" for atom in range(1, 12))


@pytest.mark.parametrize(("wrong", "said"), [
    (break_rows, "'first' has several rows"), (break_columns, r"\['complex', 'activity'\]"),
    (break_coordinate, "receptor.pdb, line 1: found"),
    (break_place, "poses.sdf: molecule 0 has"), (break_energy, "poses.sdf: molecule 1: found minimizedAffinity 'n/a'"),
    (empty_poses, "poses.sdf: found no molecule"), (empty_crystal, "crystal.sdf: found no molecule"),
    (break_serial, r"poses.pdbqt, line \d+: found 'ATOM"), (break_result, "poses.pdbqt, line 2: found 'REMARK VINA RESULT:'"),
    (break_element, "poses.pdbqt: found the atom types C, Cl, N, Qq"),
    (template(""), "ligand.smi: found no SMILES"), (template("c1cc"), "ligand.smi: found no SMILES"),
    (remarks(""), "poses.pdbqt, line 3: found 'REMARK SMILES'"), (remarks(" c1cc"), "line 3: found 'REMARK SMILES c1cc'"),
    (remarks(f" {LIGAND}", " IDX 1 2 3"), "line 4: found 'REMARK SMILES IDX 1 2 3'"),
    (remarks(f" {LIGAND}", " IDX 1 x"), "line 4: found"), (remarks(f" {LIGAND}", " IDX 1 1"), "line 3: found a SMILES whose atoms"),
    (remarks(f" {LIGAND}", f" IDX {PAIRS.replace('11 11', '11 99')}"), "line 3: found a SMILES whose atoms"),
    (remarks(f" {LIGAND}", f" IDX {PAIRS.replace('11 11', '11 10')}"), "line 3: found a SMILES whose atoms"),
    (remarks(f" {LIGAND}"), "line 3: found a SMILES whose atoms"),
])
def test_what_cannot_be_read_is_told_with_its_file_and_line(folder, wrong, said):
    wrong(folder)
    with pytest.raises(DataError, match=said):
        load(folder)


@pytest.mark.parametrize(("wrong", "said"), [
    (break_receptor, "found 0 of receptor.pdb"), (break_coordinates, "receptor.pdb, line 1"), (break_crystal, "first.*CCCCO"),
    (break_poses, "molecule 1 is another ligand"), (break_template, "not those of CCCCO"), (break_table, "'third'"),
    (break_activity, "active='yes'"),
])
def test_wrong_files_are_named(folder, wrong, said):
    wrong(folder)
    with pytest.raises(DataError, match=said):
        load(folder)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="no sub-folders"):
        load(tmp_path)


def test_proteins_of_like_sequence_are_one_family():
    rng = np.random.default_rng(0)
    root, other = ("".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 200)) for _ in range(2))
    near = list(root)
    for place in rng.choice(200, 20, replace=False):
        near[place] = "A"
    assert families([root, other, "".join(near), other[:150], root[60:]]) == [0, 1, 0, 1, 0]


def test_a_packed_record_is_read_back_to_a_hundredth_of_an_angstrom(folder, monkeypatch):
    record = load(folder)
    monkeypatch.setattr("bakeoff.data.poses.resources.files", lambda package: folder)
    (folder / "files").mkdir()
    pack(record, folder / "files" / "own.npz")
    again = packaged(name="own", sha256=hashlib.sha256((folder / "files" / "own.npz").read_bytes()).hexdigest())
    for name in ("smiles", "groups", "names", "contacts", "contact_offsets", "pose_offsets", "pocket", "pocket_offsets", "rank"):
        assert np.array_equal(getattr(again, name), getattr(record, name)), name
    assert np.abs(again.distances - record.distances).max() <= 0.0101
    assert again.rmsd == pytest.approx(record.rmsd, abs=1e-4)
    with pytest.raises(DataError, match="not the file it should be"):
        packaged(name="own", sha256="0" * 64)


def test_the_packaged_poses_are_plausible_docking():
    core, screen = (sets.load(Source(name), "poses") for name in ("coreset-2013", "bace-docked"))
    assert (len(core), len(core.rank), len(screen), len(set(core.groups))) == (191, 1217, 450, 63)
    for record in (core, screen):
        assert record.distances.min() > 1.5
        assert record.distances.max() <= 5
        heavy = np.array([Chem.MolFromSmiles(one).GetNumAtoms() for one in record.smiles])[record.complex_of]
        assert (np.maximum.reduceat(record.contacts[:, 0], record.contact_offsets[:-1]) < heavy).all()
        assert (np.diff(record.energy)[np.diff(record.complex_of) == 0] >= 0).all()  # best first
    right = core.rmsd <= 2
    assert np.mean(core.first().rmsd <= 2) == pytest.approx(0.63, abs=0.01)
    assert np.logical_or.reduceat(right, core.pose_offsets[:-1]).mean() == pytest.approx(0.77, abs=0.01)
    assert screen.active.sum() == 150
