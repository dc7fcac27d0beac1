"""Pictures of a user's own: every form ends as the same numbers, and a wrong file is named with what is wrong."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from bakeoff.claim import Source
from bakeoff.data import pictures, sets
from bakeoff.data.kinds.picture import Picture
from bakeoff.errors import DataError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (12, 20), dtype=np.uint8)


@pytest.fixture
def saved(tmp_path):
    """Write a picture; gives its path."""

    def write(name, image, **options):
        path = tmp_path / name
        (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **options)
        return path

    return write


@pytest.mark.parametrize("ending", ["png", "bmp", "tiff", "webp"])
def test_a_lossless_file_gives_its_pixels_exactly(saved, ending):
    path = saved(f"a.{ending}", COLOUR, **({"lossless": True} if ending == "webp" else {}))
    np.testing.assert_array_equal(pictures.load(path).pixels, COLOUR / np.float32(255))


def test_a_jpeg_is_close_to_what_was_saved(saved):
    smooth = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[:, None, None], 64, 1).repeat(3, 2)
    found = pictures.load(saved("a.JPG", smooth, quality=95)).pixels
    np.testing.assert_allclose(found, smooth / 255, atol=0.02)


def test_grey_stays_grey_and_palettes_and_other_spaces_become_colour(saved):
    np.testing.assert_array_equal(pictures.load(saved("grey.png", GREY)).pixels[..., 0], GREY / np.float32(255))
    assert pictures.load(saved("bits.png", Image.fromarray(GREY > 99))).pixels.tolist() == (GREY > 99)[..., None].tolist()
    few = COLOUR // 128 * 255  # eight colours
    palette = Image.fromarray(few).quantize(8)
    np.testing.assert_array_equal(pictures.load(saved("palette.png", palette)).pixels, np.asarray(palette.convert("RGB")) / np.float32(255))
    inks = Image.fromarray(COLOUR).convert("CMYK")
    np.testing.assert_allclose(pictures.load(saved("inks.tif", inks)).pixels, np.asarray(inks.convert("RGB")) / 255, atol=1e-6)


def test_sixteen_bits_are_divided_by_the_largest_of_sixteen(saved, tmp_path):
    deep = RNG.integers(0, 65536, (9, 10), dtype=np.uint16)
    np.testing.assert_allclose(pictures.load(saved("deep.png", deep)).pixels[..., 0], deep / 65535, atol=1e-6)
    np.save(tmp_path / "deep.npy", deep)
    np.testing.assert_allclose(pictures.load(tmp_path / "deep.npy").pixels[..., 0], deep / 65535, atol=1e-6)


def test_what_is_transparent_becomes_white(saved):
    alpha = np.full((12, 20, 1), 255, np.uint8)
    alpha[:6] = 0
    alpha[6:8] = 51  # a fifth
    found = pictures.load(saved("a.png", np.concatenate((COLOUR, alpha), 2))).pixels
    assert (found[:6] == 1).all()
    np.testing.assert_allclose(found[6:8], 0.2 * COLOUR[6:8] / 255 + 0.8, atol=0.005)
    np.testing.assert_array_equal(found[8:], COLOUR[8:] / np.float32(255))


def test_a_photograph_is_turned_as_its_exif_says(saved):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be seen, turn it a quarter clockwise
    found = pictures.load(saved("a.png", COLOUR, exif=exif)).pixels
    np.testing.assert_array_equal(found, np.rot90(COLOUR, -1) / np.float32(255))


@pytest.mark.parametrize("array", [GREY, GREY[..., None], COLOUR, (COLOUR / 255).astype(np.float64), GREY > 7],
                         ids=["grey", "one channel", "colour", "fractions", "bits"])
def test_an_array_is_taken_as_it_is(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    expected = array / (255 if array.dtype == np.uint8 else 1)
    np.testing.assert_allclose(pictures.load(tmp_path / "a.npy").pixels, expected.reshape(12, 20, -1), atol=1e-7)


@pytest.mark.parametrize(("array", "said"), [
    (np.zeros((5, 12, 12, 3)), r"shape \(5, 12, 12, 3\)"), (np.zeros((12, 12, 2)), r"shape \(12, 12, 2\)"),
    (np.full((12, 12), np.nan), "missing or infinite"), (np.full((12, 12), 3.0), "values from 3 to 3"),
    (np.zeros((12, 12), np.int32), "type int32"), (np.zeros((12, 12), complex), "type complex128"), (np.zeros((4, 12)), "4 x 12 pixels"),
    (np.array([{}]), "not a NumPy array of numbers"), (np.zeros((0, 0)), "0 x 0 pixels")])
def test_a_wrong_array_is_named_with_what_is_wrong(tmp_path, array, said):
    np.save(tmp_path / "wrong.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=f"wrong.npy.*({said})"):
        pictures.load(tmp_path / "wrong.npy")


def test_files_that_are_no_whole_picture_are_named(saved, tmp_path):
    whole = saved("whole.png", COLOUR).read_bytes()
    jpeg = saved("whole.jpg", RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).read_bytes()
    np.savez(archive := io.BytesIO(), GREY)
    np.save(tmp_path / "a.npy", GREY)
    array = (tmp_path / "a.npy").read_bytes()
    for name, body, said in (("cut.png", whole[:len(whole) // 2], "damaged"), ("cut.jpg", jpeg[:len(jpeg) // 2], "damaged"),
                             ("text.png", b"no picture", "not a picture"), ("empty.jpg", b"", "not a picture"),
                             ("text.npy", b"no array", "not a NumPy array"), ("empty.npy", b"", "not a NumPy array"),
                             ("archive.npy", archive.getvalue(), "not a NumPy array"), ("cut.npy", array[:-9], "not a NumPy array")):
        (tmp_path / name).write_bytes(body)
        with pytest.raises(DataError, match=f"{name} is {said}"):
            pictures.load(tmp_path / name)
    with pytest.raises(DataError, match="is not a file"):
        pictures.load(tmp_path)


def test_several_pictures_in_one_file_are_refused(saved):
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    for name in ("film.gif", "pages.tif", "film.webp"):
        with pytest.raises(DataError, match=f"{name} holds 2 pictures"):
            pictures.load(saved(name, frames[0].convert("RGB"), save_all=True, append_images=[frames[1].convert("RGB")]))


def test_a_small_file_that_claims_a_huge_picture_is_not_decoded(tmp_path):
    def chunk(tag, body):
        return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))

    for side in (8_000, 12_000, 60_000):  # above LARGEST; where Pillow warns; where Pillow raises
        head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
        (tmp_path / "bomb.png").write_bytes(bomb)
        with pytest.raises(DataError, match=r"bomb\.png.*(8,000 x 8,000|12,000 x 12,000|3600000000)") as told:
            pictures.load(tmp_path / "bomb.png")
        assert "at most 50,000,000" in told.value.hint
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (10_000, 10_000)})
    with open(tmp_path / "bomb.npy", "wb") as file:
        file.write(stream.getvalue())
        file.truncate(len(stream.getvalue()) + 10**8)  # a hole, no bytes on the disk
    with pytest.raises(DataError, match="10,000 x 10,000"):
        pictures.load(tmp_path / "bomb.npy")


def test_the_side_of_the_cut_is_an_option(saved):
    path = saved("a.png", COLOUR)
    record = sets.load(Source(str(path), (("size", "9"),)), "pictures")
    train, test = record.split(3)
    assert test.pixels.shape == (9, 9, 3)
    corners = [(i, j) for i in range(4) for j in range(12) if (COLOUR[i:i + 9, j:j + 9] / np.float32(255) == test.pixels).all()]
    assert len(corners) == 1
    assert (train.pixels[~train.hidden] == test.pixels[~test.hidden]).all()
    for wrong in ("7", "-9", "9.5", "", "x", "²"):
        with pytest.raises(DataError, match="--size is"):
            pictures.load(path, size=wrong)


def test_the_packaged_photographs_are_whole():
    picture = pictures.photograph("flower.jpg")
    assert isinstance(picture, Picture)
    assert picture.pixels.shape == (427, 640, 3)
    assert (picture.pixels.min(), picture.pixels.max()) == (0, 1)
