"""Grover in use: saved and loaded, refused with a reason, asked for nothing, or judged on what it was never told."""

import json
from hashlib import sha256

import numpy as np
import pandas
import pytest
import torch
from rdkit import Chem

from bakeoff.data.kinds.molecules import Molecules
from bakeoff.data.molecules import drugs
from bakeoff.errors import DataError
from bakeoff.papers.molecules.grover import Grover, draw, score
from bakeoff.parts import model_files
from bakeoff.parts.contexts import contexts, vocabulary

DRUGS = drugs().smiles
HASH = sha256("".join(f"{one}\n" for one in DRUGS).encode()).hexdigest()
SIZES = {"width": 16, "heads": 2, "hops": 2}
HEAVY = Molecules(DRUGS, [[float(Chem.MolFromSmiles(one).GetNumAtoms())] for one in DRUGS], ("heavy atoms",))


@pytest.fixture(scope="module")
def model():
    return Grover(**SIZES).pretrain(DRUGS, steps=3).fit(HEAVY, steps=20)


def test_a_saved_model_predicts_and_learns_on_as_before(model, tmp_path):
    model.save(tmp_path / "grover.safetensors")
    loaded = Grover.load(tmp_path / "grover.safetensors")
    assert np.array_equal(loaded.predict(DRUGS[:9]), model.predict(DRUGS[:9]))
    again = [one.fit(HEAVY, steps=2).predict(DRUGS[:9]) for one in (Grover.load(tmp_path / "grover.safetensors"),
                                                                  Grover(**SIZES).pretrain(DRUGS, steps=3))]
    assert np.array_equal(*again)


def test_the_card_tells_steps_data_vocabulary_and_what_the_chemist_adds(model, tmp_path):
    (tmp_path / "assay.csv").write_text("SMILES,y\n")
    model.save(tmp_path / "grover.safetensors", tmp_path / "assay.csv", {"unit": "atoms", "RMSE on held-out scaffolds": 1.25})
    card = json.loads((tmp_path / "grover.safetensors.json").read_text())
    told, learnt = card["pre-training"], card["fitting"]
    assert (told["steps"], told["molecules"], told["of"]) == (3, len(DRUGS), len(DRUGS))
    assert told["atom contexts"] == list(vocabulary((contexts(one)[0] for one in DRUGS), 500))
    assert (learnt["targets"], learnt["molecules"], learnt["values of each"], learnt["steps"]) == (["heavy atoms"], 62, [62], 20)
    assert learnt["divided by"] == "shuffle"
    page = (tmp_path / "grover.safetensors.md").read_text()
    for line in ("# Grover", "- file: assay.csv", f"- SHA-256 of the file: {model_files.digest(['SMILES,y'])}", "- unit: atoms",
                 "- RMSE on held-out scaffolds: 1.25", "- targets: heavy atoms", f"- SHA-256 of their SMILES, one a line: {HASH}",
                 f"- SHA-256 of these SMILES, one a line: {HASH}"):
        assert line in page.splitlines()


def test_a_file_whose_weights_do_not_fit_its_card_is_refused(model, tmp_path):
    path = tmp_path / "grover.safetensors"
    model.save(path)
    weights, card = model_files.load(path, "Grover")
    card = {name: one for name, one in card.items() if name != "versions"}
    scale, whole = next(name for name in weights if name.startswith("head.")), "network.atom_view.mix.weight"
    for tensors, told in ((weights, card | {"arguments": {**card["arguments"], "width": 32}}), (weights, card | {"arguments": {"wide": 3}}),
                          ({**weights, scale: torch.ones(1)}, card), ({**weights, "network.more": torch.ones(1)}, card),
                          ({name: one for name, one in weights.items() if name != "center"}, card), (weights, {"model": "Grover"}),
                          (weights, card | {"parts": ["network", "head"], "fitting": {"targets": ["a", "b"]}}),
                          *((weights, card | {"arguments": {**card["arguments"], **wrong}}) for wrong in (
                              {"heads": 0}, {"hops": -3}, {"hops": 2.5}, {"task": "foo"}, {"learning_rate": "fast"}, {"seed": True})),
                          (weights, card | {"parts": "network"}), (weights, card | {"parts": ["network", "pretrained"]}),
                          (weights, card | {"parts": ["pretrained", "head"]}),
                          ({name: one for name, one in weights.items() if "network" not in name}, card | {"parts": ["pretrained", "head"]}),
                          (weights, card | {"fitting": {**card["fitting"], "values of each": ["62"]}}),
                          ({**weights, "center": torch.zeros(2)}, card), ({**weights, "scale": torch.ones(1).double()}, card),
                          ({**weights, "center": torch.zeros(())}, card), ({**weights, whole: weights[whole].long()}, card)):
        model_files.save(path, tensors, told)
        with pytest.raises(DataError, match=r"grover\.safetensors does not fit together"):
            Grover.load(path)


def test_what_cannot_be_meant_is_refused():
    for wrong, match in ((lambda: Grover(**SIZES, task="ranking").fit(HEAVY, steps=1), "ranking"),
                         (lambda: Grover(**SIZES, task="classification").fit(Molecules(DRUGS[:3], [[1.0], [0.5], [2.0]], ("a",)), steps=1),
                          r"classes other than 0 and 1: 0\.5, 2\. .*--duplicates drop"),
                         (lambda: Grover(width=16, heads=2, hops=-3).fit(HEAVY, steps=1), "hops=-3; expected at least 1"),
                         (lambda: Grover(width=16, heads=0).pretrain(DRUGS, steps=1), "heads=0; expected at least 1"),
                         (lambda: Grover(width=10, heads=4).fit(HEAVY, steps=1), "divide"),
                         (lambda: Grover(**SIZES).pretrain(DRUGS, steps=1, tasks=("motifs",)), "motifs"),
                         (lambda: Grover(**SIZES).pretrain([], steps=1), "no molecules")):
        with pytest.raises(ValueError, match=match):
            wrong()


def test_of_no_molecules_there_are_no_rows_and_of_one_text_no_answer(model):
    assert model.predict([]).shape == (0, 1)
    assert model.encode([]).shape == (0, 32)
    assert model.attribute([]) == []
    for wrong in (model.predict, model.encode, model.attribute, Grover(**SIZES).pretrain):
        with pytest.raises(ValueError, match="found the string 'CCO'"):
            wrong("CCO")


def test_a_row_without_a_smiles_is_named_by_its_place_in_what_was_given():
    column = pandas.Series([*DRUGS[:20], np.nan])
    with pytest.raises(DataError, match="molecule 20: nan is no readable SMILES"):
        Grover(**SIZES).pretrain(column, steps=1)
    with pytest.raises(DataError, match="molecule 2: 'C1CC' is no readable SMILES"):
        Grover(**SIZES).fit(Molecules(("C", "CC", "C1CC"), [[np.nan], [1.0], [2.0]], ("a",)), steps=1)
    filtered = pandas.Series(["no", *DRUGS]).iloc[1:]
    assert np.array_equal(*(Grover(**SIZES).pretrain(one, steps=1).encode(DRUGS[:3]) for one in (filtered, DRUGS)))


def test_a_target_without_a_value_in_training_is_neither_predicted_nor_judged(tmp_path):
    holes = np.column_stack([np.full(len(DRUGS), np.nan), HEAVY.targets[:, 0]])
    model = Grover(**SIZES).fit(Molecules(DRUGS, holes, ("none", "heavy")), steps=3)
    assert model.measured.tolist() == [False, True]
    assert np.isnan(model.predict(DRUGS)[:, 0]).all()
    both = Molecules(DRUGS, np.column_stack([np.full(len(DRUGS), 1e6), HEAVY.targets[:, 0]]), ("none", "heavy"))
    error = model.predict(DRUGS)[:, 1] - HEAVY.targets[:, 0]
    assert score(model, both) == pytest.approx({"RMSE": np.sqrt((error**2).mean()), "MAE": abs(error).mean(), "test molecules": 62})
    assert "heavy" in draw(model, both)[0].title
    with pytest.raises(DataError, match="no molecule had a value of none in training"):
        model.attribute(DRUGS[:1])
    with pytest.raises(DataError, match="none of the 62 test molecules has a value"):
        score(model, Molecules(DRUGS, np.column_stack([np.ones(len(DRUGS)), holes[:, 0]]), ("none", "heavy")))
    model.save(tmp_path / "grover.safetensors")
    np.testing.assert_array_equal(Grover.load(tmp_path / "grover.safetensors").predict(DRUGS[:3]), model.predict(DRUGS[:3]))


def test_predictions_that_are_no_numbers_are_no_small_error(model):
    class Lost:
        measured = np.array([True])

        def predict(self, smiles):
            return np.where(np.arange(len(smiles)) % 2, 1.0, np.nan)[:, None]

    assert np.isnan(score(Lost(), HEAVY)["RMSE"])


def test_numbers_of_numpy_are_saved_and_what_fit_learnt_is_forgotten_with_the_next_pretraining(tmp_path):
    model = Grover(width=np.int64(16), heads=2, hops=2).fit(HEAVY, steps=1)
    model.save(tmp_path / "grover.safetensors", notes={"RMSE": np.float32(1.25)})
    card = json.loads((tmp_path / "grover.safetensors.json").read_text())
    assert (card["arguments"]["width"], card["notes"]) == (16, {"RMSE": 1.25})
    model.pretrain(DRUGS, steps=1).save(tmp_path / "grover.safetensors")
    assert json.loads((tmp_path / "grover.safetensors.json").read_text())["fitting"] == {}
