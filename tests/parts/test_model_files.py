"""Models on disk: what is read is what was written, and anything else is refused with its name."""

import hashlib
import json
import os
import pickle

import numpy as np
import pytest
import safetensors.torch
import torch

from bakeoff.errors import DataError
from bakeoff.parts import model_files


def test_weights_and_card_come_back_bit_for_bit(tmp_path):
    weight = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    tensors = {"a.weight": weight, "a.transposed": weight.T, "count": torch.tensor(7), "empty": torch.zeros(0)}  # shared storage
    model_files.save(tmp_path / "m.safetensors", tensors, {"model": "Scale", "tokens": ["C", "é"]})
    read, card = model_files.load(tmp_path / "m.safetensors", "Scale")
    assert all(torch.equal(read[name], one) for name, one in tensors.items())
    assert {**card, "versions": None} == {"model": "Scale", "tokens": ["C", "é"], "versions": None}
    assert card == json.loads((tmp_path / "m.safetensors.json").read_text("utf-8"))
    assert card["versions"]["torch"] == torch.__version__
    assert torch.equal(model_files.part("a", read)["weight"], weight)


def test_what_is_missing_damaged_or_another_model_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(DataError, match="is not a file"):
        model_files.load(path, "Scale")
    model_files.save(path, {"w": torch.ones(2)}, {"model": "Scale"})
    with pytest.raises(DataError, match="holds Scale"):
        model_files.load(path, "Shift")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match="no safetensors file"):
        model_files.load(path, "Scale")


def test_a_file_of_another_kind_is_refused_and_nothing_in_it_runs(tmp_path):
    path, ran = tmp_path / "m.safetensors", tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {ran}",)

    torch.save({"w": Hostile()}, path)
    with pytest.raises(DataError, match="no safetensors file"):
        model_files.load(path, "Scale")
    path.write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(DataError, match="no safetensors file"):
        model_files.load(path, "Scale")
    assert not ran.exists()
    safetensors.torch.save_file({"w": torch.ones(2)}, path)
    with pytest.raises(DataError, match="holds a model without a card"):
        model_files.load(path, "Scale")
    safetensors.torch.save_file({"w": torch.ones(2)}, path, {"card": "[1]"})
    with pytest.raises(DataError, match="holds a card that is none"):
        model_files.load(path, "Scale")
    model_files.save(path, {"w": torch.tensor([1.0, torch.nan])}, {"model": "Scale"})
    with pytest.raises(DataError, match="w has values that are no numbers"):
        model_files.load(path, "Scale")


def test_what_does_not_fit_together_is_told_as_an_error_of_the_file():
    for wrong in (lambda: torch.nn.Linear(2, 3).load_state_dict({"weight": torch.ones(3, 2)}), lambda: torch.nn.Linear(wide=3),
                  lambda: {}["arguments"], lambda: torch.nn.Linear(2, 3).load_state_dict({"weight": torch.ones(2), "bias": torch.ones(3)})):
        with pytest.raises(DataError, match=r"a\.safetensors does not fit together"), model_files.rebuilding("a.safetensors"):
            wrong()


def test_the_page_for_people_says_what_the_card_says(tmp_path):
    file = tmp_path / "assay.csv"
    file.write_text("SMILES\nCCO\n")
    sha256 = hashlib.sha256(b"SMILES\nCCO\n").hexdigest()
    assert model_files.origin(file) == {"file": "assay.csv", "SHA-256 of the file": sha256}
    assert model_files.origin(None) == {}
    assert model_files.digest(["SMILES", "CCO"]) == sha256
    model_files.save(tmp_path / "m.safetensors", {"w": torch.ones(2)},
                     {"model": "Scale", "predicts": ["a", "b"], "fitting": {"molecules": 12345, "contexts": list("abcdefghijk")}})
    lines = (tmp_path / "m.safetensors.md").read_text("utf-8").splitlines()
    assert lines[:8] == ["# Scale", "", "- predicts: a, b", "", "## fitting", "", "- molecules: 12,345",
                         "- contexts: a, b, c, d, e, f, g, h, ... (11 in all)"]
    assert f"- torch: {torch.__version__}" in lines


@pytest.mark.parametrize("card", ["[" * 200_000, '{"model": ' + "9" * 6000 + "}", "{"])
def test_a_card_that_is_no_json_to_be_read_is_refused(tmp_path, card):
    path = tmp_path / "m.safetensors"
    safetensors.torch.save_file({"w": torch.ones(2)}, path, {"card": card})
    with pytest.raises(DataError, match="no safetensors file with a card"):
        model_files.load(path, "Scale")


def test_whatever_goes_wrong_in_rebuilding_is_told_but_an_interruption():
    def deep():
        deep()

    for wrong in (lambda: 1 / 0, deep, lambda: [][0]):
        with pytest.raises(DataError, match="does not fit together"), model_files.rebuilding("a.safetensors"):
            wrong()
    with pytest.raises(KeyboardInterrupt), model_files.rebuilding("a.safetensors"):
        raise KeyboardInterrupt


def test_numbers_of_numpy_come_back_as_plain_ones_and_other_things_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    numbers = {"a": np.int64(3), "b": np.float32(0.5), "c": np.arange(2), "d": np.True_}
    model_files.save(path, {"w": torch.ones(2)}, {"model": "Scale", **numbers})
    card = model_files.load(path, "Scale")[1]
    assert [card[name] for name in "abcd"] == [3, 0.5, [0, 1], True]
    assert "- c: 0, 1" in (tmp_path / "m.safetensors.md").read_text("utf-8").splitlines()
    for wrong in ({"a": object()}, {(1, 2): 3}):
        with pytest.raises(DataError, match="the card cannot be written"):
            model_files.save(path, {"w": torch.ones(2)}, {"model": "Scale", **wrong})


def test_a_place_that_cannot_be_written_to_is_told(tmp_path):
    for path in (tmp_path / "missing/m.safetensors", tmp_path):
        with pytest.raises(DataError, match=r"cannot be written.*\nGive the path of a file"):
            model_files.save(path, {"w": torch.ones(2)}, {"model": "Scale"})


class Shift:
    def __init__(self, width=1, rate=0.5, sizes=(1, 2), centre=None):
        self.made = width, rate, sizes, centre


def test_arguments_have_the_types_of_their_defaults_as_json_has_them():
    given = {"width": 3, "rate": 0, "sizes": [4], "centre": "any"}
    assert model_files.built(Shift, given).made == (3, 0, [4], "any")
    for wrong in ({"width": "3"}, {"width": 3.0}, {"width": True}, {"rate": "fast"}, {"sizes": 4}, {"wide": 3}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            model_files.built(Shift, wrong)


def test_weights_are_put_in_only_if_each_is_of_the_modules_shape_and_type():
    tensors = {"weight": torch.full((1, 2), 3.0), "bias": torch.ones(1)}
    line = model_files.filled(torch.nn.Linear(2, 1), tensors)
    assert line(torch.ones(1, 2)).item() == 7
    assert not line.training
    for wrong in ({"weight": torch.ones(1, 2).long()}, {"weight": torch.ones(2, 1)}, {"bias": torch.ones(1).double()},
                  {"more": torch.ones(1)}):
        with pytest.raises((ValueError, RuntimeError), match=next(iter(wrong))):
            model_files.filled(torch.nn.Linear(2, 1), tensors | wrong)
