"""Affinities: a user's table, the public matrices, and splits that keep a drug or a protein on one side."""

import gzip
import json

import numpy as np
import pytest

from bakeoff.data.affinities import davis, kiba, load, made
from bakeoff.data.kinds.affinities import Affinities
from bakeoff.errors import DataError

ROWS = "smiles,sequence,value\nOCC,mkv,5.5\nCCN,MKV,6\nCCO,AAA,7\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.csv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def grid(by, drugs=10, proteins=15):
    """Every pair of ten drugs and fifteen proteins, its value 100 drug + protein; drugs 0 and 1 are the same text."""
    pairs = np.argwhere(np.ones((drugs, proteins)))
    smiles = ["C"] + ["C" * max(1, n) for n in range(1, drugs)]
    sequences = [f"M{'A' * n}" for n in range(proteins)]
    return Affinities(smiles, sequences, pairs, pairs @ [100, 1], "pKd", "", by, np.arange(len(pairs)) % 6 - 1)


def rows(record):
    """Each pair as texts with its value, whatever the numbering."""
    return sorted((record.smiles[drug], record.sequences[protein], value)
                  for (drug, protein), value in zip(record.pairs, record.values, strict=True))


@pytest.mark.parametrize("by", ["pairs", "cold drug", "cold target", "published"])
def test_a_split_is_repeatable_disjoint_and_whole(by):
    record = grid(by)
    train, test = record.split(1)
    assert sorted(rows(train) + rows(test)) == rows(record)
    assert rows(record.split(1)[1]) == rows(test)
    assert (rows(record.split(2)[1]) == rows(test)) == (by == "published")
    assert train.by == test.by == by


def test_a_cold_split_keeps_each_text_on_one_side_and_says_nothing_of_the_other():
    for seed in range(8):
        train, test = grid("cold drug").split(seed)
        assert not set(train.smiles) & set(test.smiles)
        assert set(test.sequences) == set(train.sequences)
        assert len(set(test.smiles)) == 2
        train, test = grid("cold target").split(seed)
        assert not set(train.sequences) & set(test.sequences)
        assert len(test) == 3 * 10
        assert all(len(used) == len(set(pairs)) for used, pairs in
                   ((test.sequences, test.pairs[:, 1].tolist()), (train.smiles, train.pairs[:, 0].tolist())))


def test_the_published_division_puts_fold_minus_one_into_the_test():
    record = grid("published")
    train, test = record.split(0)
    assert sorted(test.values) == sorted(record.values[record.folds == -1])
    assert set(train.folds) == {0, 1, 2, 3, 4}
    with pytest.raises(DataError, match="without a published division"):
        Affinities(["C"], ["M"], [[0, 0], [0, 0]], [1, 2], by="published").split(0)


@pytest.mark.parametrize(("change", "said"), [
    ({"pairs": [[0, 0], [0, 2]]}, r"\[2\] in row \[1\], column 1"), ({"pairs": [[0, 0]]}, r"shape \(1, 2\)"),
    ({"values": [1, np.nan]}, r"infinite value in row \[1\]"), ({"by": "drug"}, "found 'drug'"), ({"folds": [1]}, r"shape \(1,\)")])
def test_a_wrong_record_is_refused_by_field(change, said):
    with pytest.raises(DataError, match=said):
        Affinities(**{"smiles": ["C"], "sequences": ["M", "A"], "pairs": [[0, 0], [0, 1]], "values": [1, 2]} | change)


def test_a_users_table_gives_each_drug_and_protein_once(write):
    found = load(write(ROWS), unit="-log10 mol/L", split="cold-drug")
    assert (found.smiles, found.sequences) == (("CCO", "CCN"), ("MKV", "AAA"))
    assert found.pairs.tolist() == [[0, 0], [1, 0], [0, 1]]
    assert found.values.tolist() == [5.5, 6, 7]
    assert (found.name, found.unit, found.by) == ("value", "-log10 mol/L", "cold drug")
    renamed = load(write(ROWS.replace("smiles,sequence,value", "Drug,Target,pKd")), smiles="drug", sequence="target", target="pkd")
    assert (renamed.name, rows(renamed)) == ("pKd", rows(found))


@pytest.mark.parametrize(("row", "said", "hint"), [
    ("CC,MK1,5", r"unreadable sequence, row 4", "--invalid drop"), ("CC,,5", "unreadable sequence, row 4", "--invalid drop"),
    ("CC,MKV,", "no value, row 4", "--invalid drop"), ("C1C,MKV,5", r"unreadable SMILES, row 4 \('C1C'\)", "--invalid drop"),
    ("CC.O,MKV,5", "several unbonded parts", "--mixtures keep"), ("CCO,MKV,9", "a pair of an earlier row, with another value, row 4",
                                                                  "--duplicates keep, mean or drop")])
def test_a_doubtful_row_is_named_with_the_option_that_settles_it(write, row, said, hint):
    with pytest.raises(DataError, match=f"1 of 4 rows: {said}") as told:
        load(write(f"{ROWS}{row}\n"))
    assert hint in told.value.hint


def test_each_option_does_what_it_says_and_counts_it(write):
    file = write(f"{ROWS}CC,MK1,5\n\nCCO,MKV,6.5\nCCN,MKV,6\n")
    for duplicates, values in (("mean", {6.0: 2, 7.0: 1}), ("keep", {5.5: 1, 6.0: 2, 7.0: 1, 6.5: 1}), ("drop", {6.0: 1, 7.0: 1})):
        with pytest.warns(UserWarning, match="of 7 rows") as told:
            found = load(file, invalid="drop", duplicates=duplicates)
        assert {value: found.values.tolist().count(value) for value in found.values} == values
        assert len(told) == 4


def test_molecules_to_learn_from_come_along_as_for_molecules(write):
    assert len(load(write(ROWS)).unlabelled) == 5000
    assert load(write(ROWS), unlabelled="none").unlabelled == ()
    found = load(write(ROWS), unlabelled=str(write("FCC\nOCCO\n", "more.smi")))
    train, test = found.split(0)
    assert (train.unlabelled, test.unlabelled) == (("CCF", "OCCO"), ())


def test_a_wrong_file_or_option_says_what_is_expected(write):
    for text, name, options, words in [
            (ROWS, "mine.smi", {}, ".csv"), (ROWS, "mine.csv", {"target": "Kd"}, "smiles, sequence, value"),
            (ROWS, "mine.csv", {"split": "published"}, "pairs, cold-drug, cold-target"),
            ("smiles,sequence,value\n", "mine.csv", {}, "every row")]:
        with pytest.raises(DataError) as told:
            load(write(text, name), **options)
        assert words in told.value.hint


def test_the_matrices_are_read_as_pairs_in_the_order_of_their_folds(write):
    texts = {"drugs": json.dumps({"1": "CC", "2": "CO"}), "proteins": json.dumps({"A": "MA", "B": "MB", "C": "MC"}),
             "davis": "10000 43 1000\n100 10000 1\n", "kiba": "11.1\tnan\t10.5\nnan\t12\t9\n"}
    drugs, proteins, kd, score = (write(text, f"{name}.txt") for name, text in texts.items())
    six, four = ([write(json.dumps(folds), f"{name}.txt"), write(json.dumps(test), f"{name}_test.txt")]
                 for name, folds, test in (("six", [[4, 1], [3, 2]], [0, 5]), ("four", [[3], [0]], [2, 1])))
    found = davis([drugs, proteins, kd, *six], split="published")
    np.testing.assert_allclose(found.values, [5, 9 - np.log10(43), 6, 7, 5, 9])
    assert found.folds.tolist() == [-1, 0, 1, 1, 0, -1]
    assert (found.name, found.unit, found.by, found.sequences) == ("pKd", "-log10 mol/L", "published", ("MA", "MB", "MC"))
    found = kiba([drugs, proteins, score, *four])
    assert found.pairs.tolist() == [[0, 0], [0, 2], [1, 1], [1, 2]]
    assert found.values.tolist() == [11.1, 10.5, 12, 9]
    assert found.folds.tolist() == [1, -1, -1, 0]
    with pytest.raises(DataError, match="no division of 4 pairs"):
        kiba([drugs, proteins, score, *six[:1], four[1]])


def test_the_made_up_affinities_are_every_pair_once_and_more_than_levels():
    record = made(split="cold-drug")
    matrix = np.full((62, 8), np.nan)
    matrix[tuple(record.pairs.T)] = record.values
    assert not np.isnan(matrix).any()
    assert record.by == "cold drug"
    rest = matrix - matrix.mean(0) - matrix.mean(1, keepdims=True) + matrix.mean()
    assert 0.1 < rest.std() < matrix.std()
    assert np.linalg.matrix_rank(rest, tol=1e-9) == 1


def test_dropping_pairs_that_disagree_counts_the_first_of_them_too(write):
    with pytest.warns(UserWarning, match="a pair of") as told:
        load(write(f"{ROWS}CCO,MKV,6.5\nCCN,MKV,6\n"), duplicates="drop")
    assert [str(one.message).split(": ", 1)[1] for one in told] == [
        "2 of 5 rows: a pair of several rows, with different values, row 1 ('OCC'), row 4 ('CCO'): drop",
        "1 of 5 rows: a pair of an earlier row, row 5 ('CCN'): drop"]


def test_an_unreadable_sequence_is_shown_itself(write):
    with pytest.raises(DataError, match=r"unreadable sequence, row 4 \('mk1'\)"):
        load(write(f"{ROWS}CC,mk1,5\n"))


def test_a_cut_packed_table_is_told(tmp_path):
    file = tmp_path / "mine.csv.gz"
    file.write_bytes(gzip.compress(ROWS.encode())[:-10])
    with pytest.raises(DataError, match=r"mine\.csv\.gz cannot be unpacked"):
        load(file)


@pytest.mark.parametrize("change", [{"pairs": [[0, 0], [0.9, 1.7]]}, {"pairs": [[0, 0], [np.nan, 1]]},
                                    {"pairs": np.array([[0, 0], [np.nan, 1]])}, {"folds": [0.5, -1]}])
def test_positions_that_are_not_whole_are_refused(change):
    good = {"smiles": ["C", "CC"], "sequences": ["M", "A"], "pairs": np.array([[0.0, 0], [1, 1]]), "values": [1, 2], "folds": [0.0, -1.0]}
    assert Affinities(**good).pairs.tolist() == [[0, 0], [1, 1]]
    with pytest.raises(DataError, match=f"Affinities.{next(iter(change))}"):
        Affinities(**good | change)


@pytest.mark.parametrize("change", [{"smiles": "CO"}, {"sequences": "MA"}, {"sequences": ["M", 7]}, {"unlabelled": "CC"}])
def test_texts_that_are_none_are_refused(change):
    good = {"smiles": ["C", "O"], "sequences": ["M", "A"], "pairs": [[0, 0], [1, 1]], "values": [1, 2]}
    with pytest.raises(DataError, match=f"Affinities.{next(iter(change))}: found .*\n.*texts"):
        Affinities(**good | change)
