"""Molecules from a user's file: what is read, what is refused, and what a doubtful row says."""

import gzip
import subprocess
import sys

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from bakeoff.claim import Source
from bakeoff.cli import main
from bakeoff.data import sets
from bakeoff.data.molecules import DRUGS, SAMPLE, lines, load, packaged_table
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
    table = pandas.DataFrame({"smiles": ["CCO", "CCN"], "y": ["1.5", ""], "z": ["2", "3"]})
    table.to_parquet(tmp_path / "mine.parquet")
    text = table.to_csv(index=False)
    forms = [write(text), write(text.replace(",", ";"), "semicolon.csv"), write(text.replace(",", "\t"), "mine.tsv"),
             write(text.encode("utf-8-sig").replace(b"\n", b"\r\n"), "excel.csv"), write(gzip.compress(text.encode()), "mine.csv.gz"),
             tmp_path / "mine.parquet"]
    for form in forms:
        one = load(form, smiles="SMILES", target="Y, z")
        assert one.smiles == ("CCO", "CCN")
        assert one.names == ("y", "z")
        assert np.array_equal(one.targets, [[1.5, 2], [np.nan, 3]], equal_nan=True)
    for bare in ("CCO ethanol\nCCN\tethylamine\n\n", "SMILES name\nCCO ethanol\nCCN ethylamine\n"):
        assert load(write(bare, "mine.smi")).smiles == ("CCO", "CCN")


def test_targets_are_numbers_or_missing(write):
    with pytest.warns(UserWarning, match=r"1 of 2 rows: no value of any target, row 2 \('CCN'\): keep"):
        found = load(write("smiles,logS,logD\nCCO,-0.3,1\nCCN,,NaN\n"), target="logs, logD")
    assert found.names == ("logS", "logD")
    assert np.array_equal(found.targets, [[-0.3, 1], [np.nan, np.nan]], equal_nan=True)
    with pytest.raises(DataError, match=r"row 2, column 'y': found 'high'\n"):
        load(write("smiles,y\nCCO,1\nCCN,high\n"), target="y")
    for cell, advice in (("5.2 nM", "Take 'nM' out"), ("-3e-1mol/L", "Take 'mol/L' out"), ('"5,2"', "Write decimals with a point, as 5.2."),
                         (">10", "A bound is not a measured value"), ("high", "Expected a number")):
        with pytest.raises(DataError, match=r"row 1, column 'y': found .*, the first of 2 such cells of 3") as told:
            load(write(f"smiles,y\nCCO,{cell}\nCCN,1\nCCC,x\n"), target="y")
        assert told.value.hint.startswith(advice)


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


DOUBTFUL = {  # of a row's SMILES: what is told, the option that settles it, and what is then left of its molecule
    "[Na+].CC(=O)[O-]": ("several unbonded parts", "mixtures", "largest", ["CC(=O)[O-]"]),
    "CCOC(C)=O.CN1C=NC2=C1C(=O)N(C)C(=O)N2C": ("several unbonded parts", "mixtures", "drop", []),
    "C[CH2]": ("unpaired electrons", "radicals", "keep", ["[CH2]C"]),
    "*CC": ("a wildcard atom", "wildcards", "drop", []),
    "C" * 501: ("more than 500 atoms", "large", "keep", ["C" * 501]),
    "C1CC": ("unreadable SMILES", "invalid", "drop", []),
    "C(C)(C)(C)(C)C": ("unreadable SMILES", "invalid", "drop", []),
    "OCC": ("a molecule of an earlier row, with other targets", "duplicates", "mean", []),
    "c1ccccc1": ("a molecule of an earlier row", "duplicates", "drop", []),
    "": ("empty SMILES", "invalid", "drop", [])}


@pytest.mark.parametrize("smiles", DOUBTFUL)
def test_no_doubtful_row_passes_untold_and_each_has_an_option_that_settles_it(smiles, write):
    doubt, option, way, left = DOUBTFUL[smiles]
    file = write(f"id,Structure,pIC50,note\na,CCO,5,\nb,C1=CC=CC=C1,9,\nx,{smiles},9,\nd,CCN,7,\n")
    source = Source(str(file), (("smiles", "structure"), ("target", "pic50")))
    shown = f"{smiles[:57]}..." if len(smiles) > 60 else smiles
    told = f"{file}: 1 of 4 rows: {doubt}, row 3" + f" ({shown!r})" * bool(smiles)
    with pytest.raises(DataError) as error:
        sets.ready(source, "molecules")
    assert error.value.message == told
    source = Source(source.where, (*source.options, (option, way)))
    assert sets.ready(source, "molecules") == [f"{told}: {way}"]
    with pytest.warns(UserWarning, match="1 of 4 rows"):
        found = sets.load(source, "molecules")
    assert [one for one in found.smiles if one not in ("CCO", "c1ccccc1", "CCN")] == left
    assert dict(zip(found.smiles, found.targets[:, 0], strict=True))["CCO"] == (7 if smiles == "OCC" else 5)


def test_the_command_tells_every_doubtful_row_that_was_settled(write, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BAKEOFF_HOME", str(tmp_path / "home"))
    ways = {option: way for _, option, way, _ in DOUBTFUL.values()}
    rows = "".join(f"{one},5\n" for one in ["c1ccccc1", *DOUBTFUL, "CCN"])
    file = write(f"Drug,pIC50\nCCO,4\n{rows},\nCCCC,\n")
    options = [f"--{name}={value}" for name, value in {"smiles": "drug", "target": "pic50", "unlabelled": "none", **ways}.items()]
    assert main(["run", "grover", "--data", str(file), "--budget", "smoke", "--pairs", "1", *options]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if f"{file}: " in line]
    assert len(told) == len({doubt for doubt, *_ in DOUBTFUL.values()}) + 2  # and the empty row and the one without a value
    for doubt, option, *_ in DOUBTFUL.values():
        doubt = doubt.replace("an earlier row, with other", "several rows, with different")  # as they are told where all are dropped
        assert any(f"of 15 rows: {doubt}, row" in line and line.endswith(ways[option]) for line in told), doubt
    assert any("1 of 15 rows: empty row, row 14: drop" in line for line in told)


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
    with pytest.warns(UserWarning, match="a molecule of (an earlier row|several rows)"):
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
    ("mine.csv", "smiles,y\nCCO,1,2\nCCN,2,3\n", {}, "quotes around cells"),
    ("mine.csv", "smiles,y,Y\nCCO,1,2\n", {"target": "Y,y,y"}, "Name each column once"),
    ("mine.csv", "smiles,y,y\nCCO,1,2\n", {"target": "y"}, "Rename all but one"),
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


def test_the_shipped_sample_is_given_along_unless_another_or_none_is_asked_for(write):
    file = write("smiles,y\nCCO,1\nCCN,2\nCCC,3\nCCCC,3\nCCCCC,3\n")
    found = load(file, target="y")
    assert (len(found), len(found.unlabelled)) == (5, 5000)
    train, test = found.split(0)
    assert (train.unlabelled, test.unlabelled) == (found.unlabelled, ())
    assert load(file, unlabelled="none").unlabelled == ()
    for text, name in (("OCCO glycol\nCCF\n", "more.smi"), ("id,Smiles\n1,OCCO\n2,CCF\n", "more.csv"), ("Drug\nOCCO\nCCF\n", "other.csv"),
                       (gzip.compress(b"OCCO\nCCF\n"), "more.txt.gz")):
        named = load(write("drug,smiles_old\nCCO,\n", "named.csv"), smiles="drug", unlabelled=str(write(text, name)))
        assert named.unlabelled == ("OCCO", "CCF")


def test_doubtful_rows_of_the_unlabelled_are_told_with_their_file_and_settled_likewise(write):
    file, more = write("smiles\nCCO\n"), write("CCF\nC1CC\n[Na+].[O-]C\nFCC\n", "more.smi")
    with pytest.raises(DataError, match=r"more.smi: 1 of 4 rows: unreadable SMILES, row 2 \('C1CC'\); 1 of 4 rows: several") as told:
        load(file, unlabelled=str(more))
    assert "--invalid drop; --mixtures keep, largest or drop; --duplicates" in told.value.hint
    with pytest.warns(UserWarning, match="more.smi: 1 of 4 rows") as told:
        assert load(file, unlabelled=str(more), invalid="drop", mixtures="largest", duplicates="drop").unlabelled == ("CCF", "C[O-]")
    assert len(told) == 3
    with pytest.raises(DataError, match=r"nowhere\.smi is not a file"):
        load(file, unlabelled="nowhere.smi")


def test_the_shipped_sample_is_canonical_distinct_and_keeps_its_stereochemistry():
    sample = lines([SAMPLE]).smiles
    assert len(set(sample)) == 5000
    assert [Chem.CanonSmiles(one) for one in sample[::50]] == list(sample[::50])
    assert sum("@" in one or "/" in one for one in sample) > 3000


@pytest.mark.parametrize("smiles", ["C" * 20_000, "C(" * 20_000 + "C" + ")" * 20_000], ids=["chain", "nested"])
def test_a_molecule_that_rdkit_would_die_of_is_refused_or_dropped_never_kept(write, smiles):
    file = write(f"smiles\n{smiles}\nCC\n")
    script = ("import sys, warnings\nfrom bakeoff.data.molecules import load\nfrom bakeoff.errors import DataError\n"
              "warnings.simplefilter('ignore')\nfor way in ('error', 'keep', 'drop'):\n"
              "    try:\n        print(load(sys.argv[1], large=way, unlabelled='none').smiles)\n"
              "    except DataError as told:\n        print(told.message.split(': ', 1)[1], told.hint)\n")
    done = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    *refused, dropped = done.stdout.splitlines()
    shown = smiles[:57]
    assert refused == [f"1 of 2 rows: more than 5,000 atoms, row 1 ('{shown}...') Correct the rows, or add --large drop."] * 2
    assert dropped == "('CC',)"


def test_what_cannot_be_kept_and_what_can_are_told_together(write, monkeypatch):
    monkeypatch.setattr("bakeoff.data.molecules.LARGEST", 510)
    file = write(f"smiles\n{'C' * 505}\n{'C' * 511}\nCC\nCC.O\n")
    with pytest.raises(DataError, match=r"row 1 .*; 1 of 4 rows: more than 5,000 atoms, row 2 .*; 1 of 4 rows: several") as told:
        load(file)
    assert told.value.hint == "Correct the rows, or add --large drop; --mixtures keep, largest or drop."
    with pytest.raises(DataError, match=r"1 of 4 rows: more than 5,000 atoms, row 2 [^;]*$"):
        load(file, large="keep", mixtures="drop")


def test_dropping_rows_that_disagree_counts_the_first_of_them_too(write):
    with pytest.warns(UserWarning, match="a molecule of") as told:
        assert load(write("smiles,y\nCCO,1\nOCC,2\nCC,3\nC(C)O,1\n"), target="y", duplicates="drop").smiles == ("CC",)
    assert [str(one.message).split(": ", 1)[1] for one in told] == [
        "3 of 4 rows: a molecule of several rows, with different targets, row 1 ('CCO'), row 2 ('OCC'), row 4 ('C(C)O'): drop"]


@pytest.mark.parametrize("way", ["mean", "drop"])
def test_rows_that_measure_different_targets_are_put_together(write, way):
    file = write("smiles,a,b\nCCO,0.1,\nOCC,,2\nC(C)O,0.1,\nC(O)C,0.1,2\nCC,1,1\n")
    with pytest.raises(DataError, match="3 of 5 rows: a molecule of an earlier row, row 2"):
        load(file, target="a,b")
    with pytest.warns(UserWarning, match=f"3 of 5 rows: a molecule of an earlier row, row 2 .*: {way}"):
        found = load(file, target="a,b", duplicates=way)
    assert (found.smiles, found.targets.tolist()) == (("CCO", "CC"), [[0.1, 2], [1, 1]])
    clash = write("smiles,a,b\nCCO,1,\nOCC,,2\nC(C)O,,3\n")
    with pytest.raises(DataError, match=r"earlier row, row 2 .*; 1 of 3 rows: a molecule of an earlier row, with other targets, row 3"):
        load(clash, target="a,b")


def test_a_mean_between_two_classes_is_told(write):
    with pytest.warns(UserWarning, match="other targets|0 and 1") as told:
        assert load(write("smiles,y\nCCO,1\nOCC,0\nCC,1\n"), target="y", duplicates="mean").targets.tolist() == [[0.5], [1]]
    assert "column 'y' holds 0 and 1 alone; 1 of 2 molecules, where rows disagree, have now a mean" in str(told[1].message)
    with pytest.warns(UserWarning, match="with other targets") as told:
        load(write("smiles,y\nCCO,1\nOCC,0\nCC,2\n"), target="y", duplicates="mean")
    assert len(told) == 1


def test_a_target_without_any_value_is_named(write):
    with pytest.warns(UserWarning, match="column 'logD' has no value in any row") as told:
        load(write("smiles,y,logD\nCCO,1,\nCC,1,na\n"), target="y,logd")
    assert len(told) == 1


def test_atom_map_numbers_make_no_other_molecule(write):
    rows = ["[CH3:1][CH2:2][OH:3]", "[CH3:1][C@H:4]([F:2])[CH3:3]", "[CH3:1][CH2:2][NH:3][H:9]", "[CH3:7][C@@H:2]([F:3])[Cl:4]"]
    assert load(write("smiles\n" + "\n".join(rows))).smiles == ("CCO", "CC(C)F", "CCN", Chem.CanonSmiles("C[C@@H](F)Cl"))
    with pytest.raises(DataError, match="a molecule of an earlier row, row 2"):
        load(write("smiles\nCCO\n[CH3:1][CH2:2][OH:3]\n"))


def test_a_column_with_commas_in_its_name_is_a_target_and_so_are_several_columns(write):
    file = write('smiles,"IC50, nM",logD\nCCO,1,2\n')
    assert load(file, target="ic50, nM").names == ("IC50, nM",)
    with pytest.raises(DataError, match="no column 'IC50'"):
        load(file, target="IC50,logD")


@pytest.mark.parametrize(("text", "names", "rows"), [
    ("smiles;pIC50 (10 uM, 24h, n=3)\nCCO;5\nCCN;6\n", "smiles;pIC50 (10 uM, 24h, n=3)", [5, 6]),
    ('"smiles, canonical";"y, mean, of 3"\n"CCO";5\n"CCN";6\n', "smiles, canonical;y, mean, of 3", [5, 6]),
    ('smiles,note (a; b; c),y\nCCO,"x; z",5\nCCN,,6\n', "smiles;y", [5, 6]),
    ("smiles\ty; a; b\nCCO\t5\n", "smiles;y; a; b", [5])])
def test_the_separator_is_the_one_that_repeats_line_after_line(write, text, names, rows):
    smiles, target = names.split(";", 1)
    assert load(write(text), smiles=smiles, target=target).targets[:, 0].tolist() == rows


def test_decimal_commas_are_no_separator_and_an_underscore_no_number(write):
    with pytest.raises(DataError, match="found '5,2'"):
        load(write("smiles;y (a, b)\nCCO;5,2\nCCN;6,1\n"), target="y (a, b)")
    with pytest.raises(DataError, match="found '1_5'") as told:
        load(write("smiles,y\nCCO,1_5\n"), target="y")
    assert told.value.hint.startswith("Expected a number")


@pytest.mark.parametrize("name", ["mine.csv.gz", "mine.smi.gz"])
def test_a_cut_or_damaged_packed_file_is_told(write, name):
    whole = gzip.compress(b"smiles\n" + b"".join(b"C%sO\n" % (b"C" * n) for n in range(300)))
    broken = [whole[:-20], whole[:40], whole[:60] + bytes(200) + whole[260:], whole[:-8] + bytes(8), whole[:10] + b"\xff" * 30]
    for text in broken:
        with pytest.raises(DataError, match=rf"{name} cannot be unpacked: ") as told:
            load(write(text, name))
        assert told.value.hint == "It was cut short or damaged: copy or fetch it again."
