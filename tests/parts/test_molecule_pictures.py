"""Coloured molecules: the colours where they must be."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from bakeoff.parts.molecule_pictures import coloured, write


def pixels(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")).astype(int)


def test_the_atom_that_raises_is_orange_and_the_one_that_lowers_is_blue():
    picture = pixels(coloured(["CO"], [np.array([-2.0, 2.0])], ["methanol"]))
    orange = (abs(picture - [255, 140, 25]).max(2) < 3)
    blue = (abs(picture - [51, 127, 255]).max(2) < 3)
    assert orange.sum() > 100
    assert blue.sum() > 100
    assert np.nonzero(blue)[1].mean() < np.nonzero(orange)[1].mean()  # carbon stands to the left


def test_numbers_of_zero_leave_the_picture_black_and_white():
    picture = pixels(coloured(["CO", "CCN"], [np.zeros(2), np.zeros(3)], ["a", "b"], size=100))
    assert picture.shape == (100, 200, 3)
    assert abs(picture - picture.mean(2, keepdims=True)).max() < 1


def test_the_picture_is_written_to_a_file_and_numbers_that_are_not_of_its_atoms_are_refused(tmp_path):
    write(tmp_path / "atoms.png", ["CO"], [np.array([-2.0, 2.0])], ["methanol"], size=120)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "atoms.png").convert("RGB")),
                          pixels(coloured(["CO"], [np.array([-2.0, 2.0])], ["methanol"], size=120)))
    for smiles in ("CCO", "C1"):
        with pytest.raises(ValueError, match=f"2 numbers for the atoms of '{smiles}'"):
            write(tmp_path / "atoms.png", [smiles], [np.zeros(2)], ["?"])


def test_lists_are_drawn_like_arrays_and_what_does_not_belong_together_is_refused():
    assert coloured(["CO"], [[-2, 2]], ["methanol"]) == coloured(["CO"], [np.array([-2.0, 2.0])], ["methanol"])
    for wrong, match in ((([], [], []), "at least one SMILES"), (("CO", [[0, 0]], ["a"]), "at least one SMILES"),
                         ((["CO"], [[0, 0]], []), "1 molecules, 1 arrays of numbers and 0 legends"),
                         ((["CO"], [], ["a"]), "1 molecules, 0 arrays"), ((["CO"], [[[0, 0], [1, 1]]], ["a"]), "4 numbers for the atoms"),
                         ((["CO"], [[0, np.nan]], ["a"]), "a number that is none for an atom of 'CO'"), (([""], [[]], ["a"]), "0 numbers")):
        with pytest.raises(ValueError, match=match):
            coloured(*wrong)
