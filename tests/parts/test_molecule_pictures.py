"""Coloured molecules: the colours where they must be."""

import base64
import io

import numpy as np
from PIL import Image

from bakeoff.parts.molecule_pictures import coloured


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
