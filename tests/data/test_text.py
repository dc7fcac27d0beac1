import gzip

import numpy as np
import pytest

from bakeoff import places
from bakeoff.claim import Source
from bakeoff.data import sets, text
from bakeoff.data.kinds.text import Text
from bakeoff.errors import DataError

ROWS = [(f"reply number {i}", ["cold", "warm"][i % 2], f"question {i}") for i in range(30)]


def written(path, lines, mark=","):
    path.write_text("\n".join(mark.join(f'"{cell}"' if mark == "," else cell for cell in line) for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ","), ("a.tsv", "\t")])
def test_columns_are_found_by_their_usual_names_or_as_told(tmp_path, name, mark):
    usual = text.load(written(tmp_path / name, [("Text", "label", "context"), *ROWS], mark))
    told = text.load(written(tmp_path / name, [("a", "b", "c"), *ROWS], mark), text="a", target="b", before="c")
    for found in (usual, told):
        assert (found.texts[3], found.classes, found.label[:3].tolist(), found.before[3]) == (
            "reply number 3", ("cold", "warm"), [0, 1, 0], "question 3")


def test_lines_json_lines_and_packed_files_hold_the_same_texts(tmp_path):
    (tmp_path / "a.txt").write_text("\n\n".join(one for one, _, _ in ROWS), encoding="utf-8")
    (tmp_path / "a.jsonl").write_text("\n".join(f'{{"sentence": "{one}", "label": {i % 3}}}' for i, (one, _, _) in enumerate(ROWS)))
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress((tmp_path / "a.txt").read_bytes()))
    plain, rich, packed = (text.load(tmp_path / name) for name in ("a.txt", "a.jsonl", "a.txt.gz"))
    assert plain.texts == rich.texts == packed.texts == tuple(one for one, _, _ in ROWS)
    assert (len(plain.label), rich.classes, rich.label[:4].tolist()) == (0, ("0", "1", "2"), [0, 1, 2, 0])


def test_labels_that_are_numbers_are_in_order_of_size(tmp_path):
    rows = [(f"text {i}", str([10, 9, -1][i % 3])) for i in range(30)]
    assert text.load(written(tmp_path / "a.csv", [("text", "label"), *rows])).classes == ("-1", "9", "10")


@pytest.mark.parametrize(("name", "content", "options", "told"), [
    ("a.csv", "one,two\n" + "a,b\n" * 30, {}, "--text"),
    ("a.csv", "text,label\n" + "a,1\n" * 9 + ",1\n" + "b,0\n" * 30, {}, "row 10, column 'text'"),
    ("a.csv", "text,label\n" + "a,1\n" * 9 + "a,\n" + "b,0\n" * 30, {}, "row 10, column 'label'"),
    ("a.csv", "text,label\n" + "a,1\n" * 30, {}, "found 1 different labels"),
    ("a.csv", "text,mood\n" + "a,1\n" * 30, {"target": "moods"}, "--target 'mood'"),
    ("a.csv", "text\n" + "a\n" * 3, {}, "found 3 texts"),
    ("a.csv", "text,label\n" + "a cat,1\na cat,0\n" * 15, {}, "all 30 texts are the same"),
    ("a.csv", "text,label\n" + "".join(f"{i},{i % 2}\n" for i in range(30)), {}, "none of the 30 texts has two words"),
    ("a.txt", "a\nb !\n" * 15, {}, "none of the 30 texts has two words"),
    ("a.csv", "text,mood\n" + "a,1\n" * 30, {"target": "label"},
     "no column 'label'\nName it with --target COLUMN. The columns: text, mood."),
    ("a.txt", "a\n" * 30, {"target": "label"}, "no columns"),
    ("a.jsonl", '{"text": "a"}\n{"text": \n', {}, "line 2"),
    ("a.jsonl", "[1]\n", {}, "line 1"),
    ("a.docx", "a", {}, "no file of texts"),
    ("a.pkl", "a", {}, "no file of texts"),
])
def test_a_wrong_file_is_told_with_the_place_in_it(tmp_path, name, content, options, told):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as problem:
        text.load(tmp_path / name, **options)
    assert told in f"{problem.value}"
    assert name in f"{problem.value}"


def test_bytes_that_are_no_text_and_a_missing_file_are_told(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"good\n\xff\xfe" * 30)
    for name in ("a.txt", "nothing.txt"):
        with pytest.raises(DataError, match=name):
            text.load(tmp_path / name)


def test_a_split_parts_texts_but_never_a_conversation():
    texts = Text(tuple(f"t{i}" for i in range(100)), np.arange(100) % 2, ("a", "b"), group=np.arange(100) // 10)
    train, test = texts.split(3)
    assert (len(train), len(test)) == (80, 20)
    assert not set(train.group) & set(test.group)
    assert sorted((*train.texts, *test.texts)) == sorted(texts.texts)
    assert [int(one[1:]) % 2 for one in test.texts] == test.label.tolist()
    alone = Text(texts.texts)
    assert alone.split(3)[1].texts != alone.split(4)[1].texts == alone.split(4)[1].texts


@pytest.mark.parametrize("wrong", [
    {"texts": ("a", " ")}, {"label": [0]}, {"label": [0, 2]}, {"label": [0, 1], "classes": ()}, {"before": ("a",)}, {"group": [1]}])
def test_a_record_that_does_not_fit_names_the_field(wrong):
    with pytest.raises(DataError, match=f"Text.{next(iter(wrong))}"):
        Text(**{"texts": ("a", "b"), "classes": ("no", "yes")} | wrong)


def test_an_answer_with_a_warm_word_labels_the_reply_before_it(tmp_path):
    (tmp_path / "a.csv").write_text('Best Generated Conversation\n"User 1: Hi.\nUser 2: I sail.\nUser 1: That\'s great!\nUser 2: Bye."\n'
                                    '"User 1: Hm.\nUser 2: Thanks."\n', encoding="utf-8")
    found = text.conversations([tmp_path / "a.csv"])
    assert found.texts == ("Hi.", "I sail.", "That's great!", "Hm.")
    assert found.before == ("", "Hi.", "I sail.", "")
    assert (found.label.tolist(), found.group.tolist()) == ([0, 1, 0, 1], [0, 0, 0, 3])


def test_the_named_sets_hold_what_they_say():
    for name, *expected in (("small-talk", 1200, 0.508), ("persona-chat", 52354, 0.388), ("sst2", 9613, 0.516)):
        if all(any((folder / file.path).is_file() for folder in (places.given_data() or places.cache(), places.cache() / "data"))
               for file in sets.SETS[name].files):
            found = sets.load(Source(name), "text")
            assert [len(found), round(float(found.label.mean()), 3)] == expected
