"""A table from a file of one's own: what becomes of its cells, and what is said when it cannot be read."""

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from bakeoff.data import tables
from bakeoff.errors import DataError

NAN = float("nan")


def written(folder, text: str, name: str = "t.csv", encoding: str = "utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def lines(header: str, *rows: str, ending: str = "\n") -> str:
    """A file of at least ten rows: the given ones, again and again."""
    return ending.join([header, *(rows[i % len(rows)] for i in range(max(10, len(rows))))])


def test_numbers_words_holes_and_quotes_become_what_the_loader_says(tmp_path):
    rows = ("1.5,f,red,10.5", ' ?,m,"dark ""brown""",-2e1', "3,,grey,0", "NA,f,n/a,1.25")
    path = written(tmp_path, lines('size,sex,"colour, of hair",price', *rows))
    table = tables.load(path, target="price")
    assert table.names == ("size", "sex=m", 'colour, of hair=dark "brown"', "colour, of hair=grey", "colour, of hair=red")
    np.testing.assert_array_equal(table.features[:4], [[1.5, 0, 0, 0, 1], [NAN, 1, 1, 0, 0], [3, NAN, 0, 1, 0], [NAN, 0, NAN, NAN, NAN]])
    np.testing.assert_array_equal(table.target[:4], [10.5, -20, 0, 1.25])
    assert table.classes == ()


def test_the_same_table_in_every_form_is_the_same_record(tmp_path):
    header, rows = ["a", "b", "label"], [[1.0, 0.5, "yes"], [2.0, None, "no"]] * 5
    text = {d: "\n".join(d.join("" if cell is None else str(cell) for cell in row) for row in [header, *rows]) for d in ",;\t"}
    columns = dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    forms = [written(tmp_path, text[","]), written(tmp_path, text[";"], "semicolons.csv"), written(tmp_path, text["\t"], "t.tsv"),
             written(tmp_path, text["\t"], "t.tab"), tmp_path / "t.parquet",
             written(tmp_path, text[","].replace("\n", "\r\n") + "\r\n\r\n", "windows.CSV", "utf-8-sig")]
    for path in forms:
        table = tables.load(path, target="label")
        np.testing.assert_array_equal(table.features, [[1, 0.5], [2, NAN]] * 5, err_msg=path.name)
        np.testing.assert_array_equal(table.target, [1, 0] * 5, err_msg=path.name)
        assert (table.names, table.classes) == (("a", "b"), ("no", "yes")), path.name


def test_parquet_keeps_its_types(tmp_path):
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"flag": [True, False, None] * 4, "count": [1, 2, 3] * 4, "y": [0.5, 1.5, 2.25] * 4}), path)
    table = tables.load(path, target="y")
    np.testing.assert_array_equal(table.features[:3], [[1, 1], [0, 2], [NAN, 3]])
    np.testing.assert_array_equal(table.target[:3], [0.5, 1.5, 2.25])


def test_whole_numbers_of_few_values_are_classes_in_their_order_unless_told_otherwise(tmp_path):
    path = written(tmp_path, lines("x,y", "0.1,10", "0.2,2", "0.3,10", "0.4,2"))
    classes, number = tables.load(path, target="y"), tables.load(path, target="y", task="number")
    assert (classes.classes, classes.target[:2].tolist()) == (("2", "10"), [1.0, 0.0])
    assert (number.classes, number.target[:2].tolist()) == ((), [10.0, 2.0])
    many = written(tmp_path, lines("x,y", *(f"0.1,{i}" for i in range(11)), *(f"0.1,{i}" for i in range(11))), "many.csv")
    assert tables.load(many, target="y").classes == ()
    assert tables.load(many, target="y", task="classes").classes == tuple(str(i) for i in range(11))


def test_dropped_columns_are_gone(tmp_path):
    path = written(tmp_path, lines("id,x,note,y", *(f"{i},{i / 2},note {i},{i / 3}" for i in range(30))))
    assert tables.load(path, target="y", drop="id, note").names == ("x",)
    with pytest.raises(DataError, match=r"column 'note': found 30 different texts(.|\n)*--drop 'note'"):
        tables.load(path, target="y")


def test_the_packaged_tables_are_those_of_scikit_learn():
    for name, shape, classes in (("breast_cancer", (569, 30), 2), ("wine", (178, 13), 3), ("diabetes", (442, 10), 0)):
        table = tables.packaged(name)
        assert (table.features.shape, len(table.classes), len(table.names)) == (shape, classes, shape[1])
    assert tables.packaged("diabetes").target.mean() == pytest.approx(152.13348416)


PLAIN = lines("alpha,beta,y", "1,2,0.5", "3,4,1.5")


@pytest.mark.parametrize(("text", "options", "found", "expected"), [
    (PLAIN, {}, "which column is to be predicted", "alpha, beta, y"),
    (PLAIN, {"target": "bta"}, "no column 'bta'", "Did you mean beta"),
    (PLAIN, {"target": "zzz"}, "no column 'zzz'", "It has: alpha, beta, y"),
    (PLAIN, {"target": "y", "drop": "alhpa"}, "no column 'alhpa'", "Did you mean alpha"),
    (PLAIN, {"target": "y", "drop": "alpha,beta"}, "no column beside the target", "at least one"),
    (PLAIN, {"target": "y", "task": "guess"}, "--task is 'guess'", "classes or number"),
    ("x,y\n1,2\n3,4\n", {"target": "y"}, "found 2 rows", "at least 10"),
    ("x,y\n", {"target": "y"}, "found 0 rows", "at least 10"),
    ("", {"target": "y"}, "is empty", "header line"),
    ("\n\n", {"target": "y"}, "is empty", "header line"),
    (PLAIN + "\n5,6\n", {"target": "y"}, "line 12: found 2 cells", "Expected 3"),
    ("x,y\n" + '"two\nlines",1\n' + "3,4,5\n", {"target": "y"}, "line 4: found 3 cells", "Expected 2"),
    (PLAIN + '\n"5,6,7\n', {"target": "y"}, "line 12", "quotes"),
    (PLAIN + "\nfive,6,7\n", {"target": "y"}, "line 12, column 'alpha': found 'five'", "Expected a number"),
    (PLAIN + "\n5,inf,7\n", {"target": "y"}, "line 12, column 'beta': found 'inf'", "finite"),
    (PLAIN + "\n5,6,\n5,6,?\n", {"target": "y"}, "line 12, column 'y': the target is missing, as in 2 rows", "remove"),
    (PLAIN + "\n5,6,much\n", {"target": "y"}, "line 12, column 'y': found 'much'", "Expected a number"),
    (lines("x,y", "1,yes", "2,no"), {"target": "y", "task": "number"}, "line 2, column 'y': found 'yes'", "Expected a number"),
    (lines("x,y", "1,a", "2,a"), {"target": "y"}, "column 'y': found 1 classes in 10 rows", "at least 2 classes"),
    (lines("x,y", "1,0.5", "2,0.5"), {"target": "y"}, "column 'y': every row has the same value", "nothing to predict"),
    (lines("x,y", *(f"1,name{i}" for i in range(12))), {"target": "y"}, "found 12 classes in 12 rows", "2 rows a class"),
    (lines("x,void,y", "1,,0.5", "2,NA,1.5"), {"target": "y"}, "column 'void': every cell is missing", "--drop 'void'"),
    (lines("x,x,y", "1,2,3"), {"target": "y"}, "two columns are called 'x'", "Rename"),
    (lines("x, ,y", "1,2,3"), {"target": "y"}, "column 2 has no name", "header"),
])
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path, text, options, found, expected):
    path = written(tmp_path, text)
    with pytest.raises(DataError) as caught:
        tables.load(path, **options)
    assert found in caught.value.message
    assert expected in caught.value.hint
    assert str(path) in caught.value.message or "--task" in found


def test_a_file_of_another_sort_is_told(tmp_path):
    with pytest.raises(DataError, match="not UTF-8 text"):
        tables.load(written(tmp_path, lines("größe,y", "1,2"), encoding="latin-1"), target="y")
    with pytest.raises(DataError, match=r"ends in '\.xlsx'(.|\n)*\.csv, \.tsv or \.parquet"):
        tables.load(written(tmp_path, "x", "t.xlsx"), target="y")
    with pytest.raises(DataError, match="not a Parquet file"):
        tables.load(written(tmp_path, PLAIN, "t.parquet"), target="y")
    with pytest.raises(DataError, match="is not a file"):
        tables.load(tmp_path, target="y")


def test_large_whole_numbers_stay_apart_as_classes(tmp_path):
    path = tmp_path / "codes.csv"
    path.write_text("a,b\n" + "".join(f"{i},{1234560 + i % 3}\n" for i in range(30)))
    assert tables.load(path, target="b").classes == ("1234560", "1234561", "1234562")
    path.write_text("a,b\n" + "".join(f"{i},{2**60 + i % 3}\n" for i in range(30)))
    with pytest.raises(DataError, match="too large to be told apart"):
        tables.load(path, target="b")


def test_a_number_beyond_single_precision_and_a_column_of_dates_are_told(tmp_path):
    path = tmp_path / "far.csv"
    path.write_text("a,b\n" + "".join(f"{i}e300,{i % 2}\n" for i in range(30)))
    with pytest.raises(DataError, match=r"line 3, column 'a': found '1e300'"):
        tables.load(path, target="b")
    import pandas
    pandas.DataFrame({"day": pandas.date_range("2026-01-01", periods=20), "b": [0, 1] * 10}).to_parquet(tmp_path / "days.parquet")
    with pytest.raises(DataError, match=r"column 'day': found values of type timestamp"):
        tables.load(tmp_path / "days.parquet", target="b")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_quoted_comma_in_the_header_decides_nothing(tmp_path, delimiter):
    path = tmp_path / "t.csv"
    path.write_text(delimiter.join(['"a, mm"', "b"]) + "\n" + f"1{delimiter}2\n3{delimiter}4\n" * 20)
    assert tables.load(path, target="b").names == ("a, mm",)
