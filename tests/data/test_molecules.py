"""Molecules from a user's file: what is read, what is refused, and what a doubtful row says."""

import gzip

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from bakeoff.claim import Source
from bakeoff.data import sets
from bakeoff.data.molecules import DRUGS, lines, load, packaged_table
from bakeoff.errors import DataError


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.csv"):
        file = tmp_path / name
        file.write_bytes(text) if isinstance(text, bytes) else file.write_text(text, encoding="utf-8")
        return file

    return write


def test_a_named_column_is_read_in_the_files_order_as_canonical_smiles(write):
    found = load(write("id,Drug\n1,OCC\n2,C(C)(=O)O\n3,c1ccccc1\n"), smiles="drug")
    assert found.smiles == ("CCO", "CC(=O)O", "c1ccccc1")
    assert found.targets.shape == (3, 0)


def test_every_form_gives_the_same_record(write, tmp_path):
    import pandas
    table = pandas.DataFrame({"smiles": ["CCO", "CCN"], "y": ["1.5", ""]})
    table.to_parquet(tmp_path / "mine.parquet")
    forms = [load(write(table.to_csv(index=False)), target="y"), load(write(table.to_csv(index=False, sep=";")), target="y"),
             load(write(table.to_csv(index=False, sep="\t"), "mine.tsv"), target="y"), load(tmp_path / "mine.parquet", target="y"),
             load(write(gzip.compress(table.to_csv(index=False).encode()), "mine.csv.gz"), target="y")]
    for one in forms:
        assert one.smiles == ("CCO", "CCN")
        assert np.array_equal(one.targets, [[1.5], [np.nan]], equal_nan=True)
    for bare in ("CCO ethanol\nCCN\tethylamine\n\n", "SMILES name\nCCO ethanol\nCCN ethylamine\n"):
        assert load(write(bare, "mine.smi")).smiles == ("CCO", "CCN")


def test_targets_are_numbers_or_missing(write):
    found = load(write("smiles,logS,logD\nCCO,-0.3,1\nCCN,,NaN\n"), target="logs, logD")
    assert found.names == ("logS", "logD")
    assert np.array_equal(found.targets, [[-0.3, 1], [np.nan, np.nan]], equal_nan=True)
    with pytest.raises(DataError, match=r"row 2, column 'y': found 'high'"):
        load(write("smiles,y\nCCO,1\nCCN,high\n"), target="y")


@pytest.mark.parametrize(("text", "message", "hint"), [
    ("smiles\nCCO\nC1CC\n", r"1 of 2 rows: unreadable SMILES, row 2 \('C1CC'\)", "--invalid drop"),
    ("smiles,n\nCCO,1\n,2\n", "1 of 2 rows: empty SMILES, row 2", "--invalid drop"),
    ("smiles\nCC.O\n", r"several unbonded parts, row 1 \('CC.O'\)", "--mixtures keep, largest or drop"),
    ("smiles\nCCO\nOCC\n", r"a molecule of an earlier row, row 2 \('OCC'\)", "--duplicates keep, mean or drop"),
    ("smiles\nC[CH2]\nCCO\n", r"1 of 2 rows: unpaired electrons, row 1 \('C\[CH2\]'\)", "--radicals keep or drop"),
    ("smiles\nCCO\n*CC\n", r"1 of 2 rows: a wildcard atom, row 2 \('\*CC'\)", "--wildcards keep or drop"),
    (f"smiles\n{'C' * 501}\nCC\n", r"1 of 2 rows: more than 500 atoms, row 1 \('C{57}\.\.\.'\)", "--large keep or drop"),
    ("smiles,y\nCCO,1\nCC,2\nOCC,3\n", r"a molecule of an earlier row, with other targets, row 3 \('OCC'\)", "--duplicates keep, mean")])
def test_a_doubtful_row_is_named_with_the_option_that_settles_it(write, text, message, hint):
    with pytest.raises(DataError, match=message) as told:
        load(write(text), target="y" if ",y" in text else None)
    assert hint in told.value.hint


def test_each_option_does_what_it_says_and_counts_it(write):
    file = write("smiles,y\nCCO,1\nCCCC.O,2\nOCC,3\nC1CC,4\n")
    with pytest.warns(UserWarning, match="of 4 rows") as told:
        found = load(file, target="y", invalid="drop", mixtures="largest", duplicates="mean")
    assert dict(zip(found.smiles, found.targets[:, 0].tolist(), strict=True)) == {"CCO": 2.0, "CCCC": 2.0}
    assert len(told) == 3
    with pytest.warns(UserWarning, match="of 4 rows"):
        assert load(file, invalid="drop", mixtures="drop", duplicates="keep").smiles == ("CCO", "CCO")


def test_an_empty_row_is_left_out_and_counted_but_not_those_at_the_end(write):
    for name, text in (("mine.csv", "smiles,y\nCCO,1\n\n,\nCCN,2\n\n\n"), ("mine.smi", "CCO a\n\n\nCCN b\n\n")):
        with pytest.warns(UserWarning, match="2 of 4 rows: empty row, row 2, row 3: drop") as told:
            assert load(write(text, name)).smiles == ("CCO", "CCN")
        assert len(told) == 1


def test_every_doubt_of_a_file_is_named_at_once_and_every_doubt_of_a_row(write):
    with pytest.raises(DataError) as told:
        load(write("smiles\n[Cl].CCO\nxyz\n\nCC*\n"))
    assert str(told.value).splitlines()[0].endswith(
        "1 of 4 rows: several unbonded parts, row 1 ('[Cl].CCO'); 1 of 4 rows: unpaired electrons, row 1 ('[Cl].CCO'); "
        "1 of 4 rows: unreadable SMILES, row 2 ('xyz'); 1 of 4 rows: a wildcard atom, row 4 ('CC*')")
    assert told.value.hint == ("Correct the rows, or add --mixtures keep, largest or drop; --radicals keep or drop; --invalid drop; "
                               "--wildcards keep or drop.")


def test_the_largest_part_of_a_salt_is_judged_without_its_counter_ion(write):
    with pytest.warns(UserWarning, match="1 of 2 rows: several unbonded parts") as told:
        assert load(write("smiles\n[Cl].CCO\nCCN\n"), mixtures="largest").smiles == ("CCO", "CCN")
    assert len(told) == 1


def test_doubtful_molecules_are_kept_or_dropped_as_asked(write):
    file = write(f"smiles\nC[CH2]\n*CC\n{'C' * 501}\nCC\n{'C' * 500}\n")
    with pytest.warns(UserWarning, match="of 5 rows"):
        assert load(file, radicals="drop", wildcards="drop", large="drop").smiles == ("CC", "C" * 500)
    with pytest.warns(UserWarning, match="of 5 rows"):
        assert load(file, radicals="keep", wildcards="keep", large="keep").smiles == ("[CH2]C", "*CC", "C" * 501, "CC", "C" * 500)


def test_dropping_duplicates_keeps_the_first_of_those_that_agree_and_none_of_those_that_do_not(write):
    with pytest.warns(UserWarning, match="a molecule of an earlier row"):
        found = load(write("smiles,y\nCCO,1\nCCN,1\nOCC,1\nNCC,0\nCC,0\n"), target="y", duplicates="drop")
    assert dict(zip(found.smiles, found.targets[:, 0], strict=True)) == {"CCO": 1, "CC": 0}


def test_mirror_images_stay_two_molecules(write):
    found = load(write("smiles\nN[C@@H](C)C(=O)O\nN[C@H](C)C(=O)O\nF/C=C/F\nF/C=C\\F\n"))
    assert len(set(found.smiles)) == 4
    assert [Chem.CanonSmiles(one) for one in ("C[C@H](N)C(=O)O", "F/C=C/F")] == [found.smiles[0], found.smiles[2]]


def test_the_split_is_the_users_choice(write):
    file = write("smiles\n" + "".join(f"{'C' * n}C1CC1\n" for n in range(8)) + "Cc1ccccc1\nc1ccccc1\n")
    assert load(file, split="scaffold").split(3)[1].smiles == ("Cc1ccccc1", "c1ccccc1")
    assert load(file, split="balanced-scaffold").by == "balanced scaffold"


@pytest.mark.parametrize(("name", "text", "options", "words"), [
    ("mine.csv", "Smile,y\nCCO,1\n", {}, "Did you mean --smiles 'Smile'"),
    ("mine.csv", "smiles,y\nCCO,1\n", {"target": "z"}, "The columns: smiles, y"),
    ("mine.csv", "smiles\nCCO\n", {"invalid": "skip"}, "The choices: error, drop"),
    ("mine.csv", b"smiles\nCC\xff\n", {}, "Save it as UTF-8"),
    ("mine.csv", "", {}, "one header row"),
    ("mine.sdf", "x", {}, "Expected one of .csv"),
    ("mine.smi", "CCO\n", {"target": "y"}, "Give targets in a CSV"),
    ("mine.csv", "smiles\n", {}, "one SMILES in every row")])
def test_a_wrong_file_or_option_says_what_is_expected(write, name, text, options, words):
    with pytest.raises(DataError) as told:
        load(write(text, name), **options)
    assert words in told.value.hint


def test_the_medicines_are_the_molecules_their_names_say():
    formulas = {"aspirin": "C9H8O4", "caffeine": "C8H10N4O2", "ibuprofen": "C13H18O2", "metformin": "C4H11N5", "imatinib": "C29H31N7O",
                "warfarin": "C19H16O4", "omeprazole": "C17H19N3O3S", "haloperidol": "C21H23ClFNO2", "sildenafil": "C22H30N6O4S"}
    assert {name: CalcMolFormula(Chem.MolFromSmiles(DRUGS[name])) for name in formulas} == formulas
    assert len({Chem.CanonSmiles(one) for one in DRUGS.values()}) == len(DRUGS) == 62
    assert sets.load(Source("drugs"), "molecules").smiles == tuple(DRUGS.values())


def test_pinned_files_are_read_as_they_are(write):
    assert lines([write("CCO\n\nCCN \n", "a.txt"), write(gzip.compress(b"CCC"), "b.txt.gz")]).smiles == ("CCO", "CCN", "CCC")
    found = packaged_table([write("name,smiles,logS\nethanol,CCO ,1.5\n")], "smiles", "logS")
    assert found.smiles == ("CCO",)
    assert found.targets.tolist() == [[1.5]]


def test_a_packaged_table_reads_several_targets_with_gaps_and_leaves_out_the_rows_it_was_told(write):
    found = packaged_table([write("smiles,a,b\nCC,1,\nbad,0,0\nCO,,0\n")], "smiles", "a,b", "2", split="scaffold")
    assert (found.smiles, found.names, found.by) == (("CC", "CO"), ("a", "b"), "scaffold")
    assert np.array_equal(found.targets, [[1, np.nan], [np.nan, 0]], equal_nan=True)
