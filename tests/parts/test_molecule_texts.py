"""Reading and writing molecules, against RDKit asked anew."""

from rdkit import Chem

from bakeoff.data.molecules import drugs
from bakeoff.parts.molecule_texts import canonical, read


def test_every_way_of_writing_a_molecule_gives_one_text():
    for one in drugs().smiles[:20]:
        molecule = Chem.MolFromSmiles(one)
        ways = {Chem.MolToSmiles(molecule, rootedAtAtom=place, canonical=False) for place in range(molecule.GetNumAtoms())}
        assert len(ways) > 1
        assert {canonical(way) for way in ways} == {Chem.MolToSmiles(molecule)}


def test_mirror_images_are_one_and_what_is_no_molecule_is_nothing():
    assert canonical("F[C@H](Cl)Br") == canonical("F[C@@H](Cl)Br") == "FC(Cl)Br"
    assert [canonical(one) for one in ("", "C1CC", "c1cc1", "C(C)(C)(C)(C)C", "x")] == [""] * 5


def test_a_molecule_that_was_looked_at_is_read_as_before():
    first = read("CC(=O)Oc1ccccc1C(=O)O")
    assert read("CC(=O)Oc1ccccc1C(=O)O") is first
    assert Chem.MolToSmiles(first) == Chem.MolToSmiles(Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O"))
