"""Labelled pictures: folders, archives and IDX files give the very pixels and labels; a wrong one is named."""

import gzip
import io
import struct
import tarfile
import zlib
from functools import partial

import numpy as np
import pytest
from PIL import Image

from bakeoff.claim import Source
from bakeoff.data import images, sets
from bakeoff.errors import DataError

RNG = np.random.default_rng(0)
packed = partial(gzip.compress, mtime=0)  # without the time of day, as the bytes are in the names of tests


def picture(height=6, width=8, channels=3):
    return RNG.integers(0, 256, (height, width, channels) if channels > 1 else (height, width), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Write pictures given by path; gives the folder above them."""

    def write(**named):
        for path, image in named.items():
            file = tmp_path / "pictures" / path.replace("__", "/").replace("_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(image, bytes):
                file.write_bytes(image)
            else:
                (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(file)
        return tmp_path / "pictures"

    return write


def refused(said, load, *args, **options):
    with pytest.raises(DataError, match=said) as told:
        load(*args, **options)
    assert told.value.hint
    return told.value


def test_a_folder_gives_pixels_by_class_in_order(folder):
    one, two, three = picture(), picture(), picture()
    record = images.load(folder(dogs__b_png=two, dogs__a_png=one, cats__z_bmp=three))
    assert record.classes == ("cats", "dogs")
    assert record.labels.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(record.pixels, np.stack((three, one, two)).transpose(0, 3, 1, 2) / np.float32(255))


def test_grey_pictures_have_one_channel_unless_one_is_in_colour(folder):
    grey, same = picture(channels=1), picture(channels=1)
    place = folder(a__one_png=grey, b__two_png=np.repeat(same[..., None], 3, 2))  # grey, saved as colour
    record = images.load(place)
    np.testing.assert_array_equal(record.pixels[:, 0], np.stack((grey, same)) / np.float32(255))
    colour = picture()
    record = images.load(folder(b__zoo_png=colour))
    assert record.pixels.shape == (3, 3, 6, 8)
    np.testing.assert_array_equal(record.pixels[0], np.stack((grey,) * 3) / np.float32(255))
    np.testing.assert_array_equal(record.pixels[2], colour.transpose(2, 0, 1) / np.float32(255))


def test_a_size_cuts_the_middle_square_and_resizes_it(folder):
    wide, tall = np.zeros((8, 24), np.uint8), np.zeros((32, 16), np.uint8)
    wide[:, 8:16], tall[8:24] = 200, 100  # only the middle square is lit
    record = sets.load(Source(str(folder(a__wide_png=wide, b__tall_png=tall)), (("size", "8"),)), "images")
    np.testing.assert_array_equal(record.pixels[0], np.float32(200 / 255))
    np.testing.assert_array_equal(record.pixels[1, 0, 1:-1], np.float32(100 / 255))
    assert record.pixels[1].min() > 0.8 * 100 / 255  # the filter reaches half a pixel past the edge
    assert record.pixels.shape == (2, 1, 8, 8)
    exact = picture(8, 8, 1)
    np.testing.assert_array_equal(images.load(folder(a__wide_png=exact), size="8").pixels[0, 0], exact / np.float32(255))


def test_pictures_are_turned_laid_on_white_and_brought_to_eight_bits(folder, tmp_path):
    upright, deep = picture(8, 6), RNG.integers(0, 65536, (6, 8), dtype=np.uint16)
    clear = np.concatenate((picture(), np.zeros((6, 8, 1), np.uint8)), 2)
    place = folder(a__deep_png=deep, b__clear_png=clear)
    exif = Image.Exif()
    exif[0x0112] = 8  # to be seen, turn it a quarter anticlockwise
    Image.fromarray(upright).save(place / "a/turned.png", exif=exif)
    record = images.load(place)
    np.testing.assert_array_equal(record.pixels[0], np.stack((deep >> 8,) * 3) / np.float32(255))
    np.testing.assert_array_equal(record.pixels[1], np.rot90(upright).transpose(2, 0, 1) / np.float32(255))
    assert (record.pixels[2] == 1).all()


def test_what_lies_beside_pictures_is_passed_over(folder):
    place = folder(a__one_png=picture(), b__one_png=picture())
    for extra in (".DS_Store", "labels.csv", "a/notes.txt", "a/.hidden.png"):
        (place / extra).write_text("beside")
    (place / "__MACOSX").mkdir()
    assert images.load(place).labels.tolist() == [0, 1]


def test_a_wrong_folder_is_named(folder, tmp_path):
    empty = tmp_path / "none"
    empty.mkdir()
    refused("none has no sub-folders; 0 pictures", images.load, empty)
    place = folder(a__one_png=picture())
    refused("has one class only: a", images.load, place)
    refused("a has no sub-folders; 1 pictures", images.load, place / "a")
    folder(b__one_png=picture(7, 9))
    assert "--size" in refused(r"b/one.png has 9 x 7 pixels; .*a/one.png has 8 x 6", images.load, place).hint
    folder(b__one_png=picture(), loose_png=picture())
    refused("loose.png lies beside the class folders", images.load, place)
    (place / "loose.png").rename(place / "b" / "one.heic")
    refused("one.heic is no picture of a known form", images.load, place)
    (place / "b/one.heic").rename(place / "b/two.png")
    folder(c__inner__one_png=picture())
    assert "or that folder" in refused("the class folder .*c holds no pictures, but 1 folders", images.load, place).hint
    refused("is a file", images.load, place / "a/one.png")


@pytest.mark.parametrize("size", ["3", "1025", "-8", "8.5", "x", "²", " 8"])
def test_a_size_out_of_range_is_refused(folder, size):
    refused("--size is", images.load, folder(a__one_png=picture(), b__one_png=picture()), size=size)


def png(width, height, depth=8, kind=2, body=b""):
    def chunk(tag, body):
        return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))

    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def test_a_file_that_cannot_be_read_is_named(folder, tmp_path):
    Image.fromarray(picture(64, 64)).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    numbers = Image.fromarray(picture(6, 8, 1).astype(np.float32))
    for name, body, said in (("a__bad_png", whole[:len(whole) // 2], "bad.png cannot be read as a picture"),
                             ("a__bad_png", b"no picture", "bad.png cannot be read as a picture"),
                             ("a__bad_png", b"", "bad.png cannot be read as a picture"),
                             ("a__bad_png", png(60_000, 60_000), "bad.png has more than 89 million pixels"),
                             ("a__bad_png", png(12_000, 12_000), "bad.png has more than 89 million pixels"),
                             ("a__bad_tif", numbers, "bad.tif cannot be read as a picture: .*mode F")):
        place = folder(**{name: body, "b__one_png": picture()})
        refused(said, images.load, place)
        (place / name.replace("__", "/").replace("_", ".")).unlink()


def test_more_pictures_than_memory_are_refused_after_the_first(folder, monkeypatch):
    place = folder(a__one_png=picture(), a__two_png=b"never read", b__one_png=picture())
    monkeypatch.setattr(images, "LIMIT", 3 * 6 * 8 * 3 * 4 - 1)
    assert "--size" in refused("3 pictures like .*one.png would take", images.load, place).hint


@pytest.mark.parametrize("x", [picture(6, 8, 1)[None].repeat(4, 0), RNG.integers(0, 256, (4, 6, 8, 3), dtype=np.uint8),
                               RNG.integers(0, 256, (4, 3, 6, 8)), RNG.random((4, 1, 6, 8))], ids=["grey", "last", "first", "fractions"])
def test_an_archive_may_have_its_channels_anywhere(tmp_path, x):
    np.savez(tmp_path / "a.npz", x=x, y=np.array(["cat", "dog", "cat", "ape"]))
    record = images.load(tmp_path / "a.npz")
    assert record.classes == ("ape", "cat", "dog")
    assert record.labels.tolist() == [1, 2, 1, 0]
    expected = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2) if x.shape[3] == 3 else x
    np.testing.assert_allclose(record.pixels, expected / (1 if x.dtype.kind == "f" else 255), atol=1e-7)


def test_an_archive_s_parts_are_put_together_and_its_labels_named(tmp_path):
    x = RNG.integers(0, 256, (5, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x_train=x[:3], y_train=[7, 9, 7], x_test=x[3:], y_test=[9, 8])
    record = images.load(tmp_path / "a.npz")
    assert (record.classes, record.labels.tolist()) == (("7", "8", "9"), [0, 2, 0, 2, 1])
    np.testing.assert_array_equal(record.pixels[:, 0], x / np.float32(255))
    np.savez(tmp_path / "b.npz", x=x, y=[[0], [2], [0], [0], [2]], classes=["ant", "bee", "cow"])
    record = images.load(tmp_path / "b.npz")
    assert (record.classes, record.labels.tolist()) == (("ant", "bee", "cow"), [0, 2, 0, 0, 2])
    np.savez(tmp_path / "c.npz", x=x, y=[0.0, 1.0, 1.0, 0.0, 4.0])
    assert images.load(tmp_path / "c.npz").classes == ("0", "1", "4")


X = np.zeros((4, 6, 8), np.uint8)


@pytest.mark.parametrize(("arrays", "said"), [
    ({"x": X}, "holds x; no y"), ({"pictures": X, "y": [0, 1, 0, 1]}, "no x"), ({}, "holds nothing; no x and no y"),
    ({"x": X, "y": [0, 1]}, r"y has shape \(2,\)"), ({"x": X, "y": [3, 3, 3, 3]}, "y holds 1 class"),
    ({"x": X, "y": [0.5, 1, 0, 1]}, "y holds float64 values such as"), ({"x": X, "y": [0, 1, np.nan, 1]}, "y holds float64"),
    ({"x": X, "y": [0, 1, np.inf, 1]}, "y holds float64"), ({"x": X, "y": [0, 1, 0, 1], "classes": "ab"}, r"classes has shape \(\)"),
    ({"x": X, "y": [0, 1, 2, 3], "classes": ["a", "b"]}, "labels 0 to 3 for 2 classes"),
    ({"x": X, "y": ["a", "b", "a", "b"], "classes": ["a", "b"]}, "beside classes"),
    ({"x": X[0], "y": [0, 1]}, r"x has shape \(6, 8\)"), ({"x": X[..., None].repeat(2, 3), "y": [0, 1, 0, 1]}, "x has shape"),
    ({"x": X.astype(float) + 9, "y": [0, 1, 0, 1]}, "values from 9 to 9"), ({"x": X.astype(int) + 300, "y": [0, 1, 0, 1]}, "values from"),
    ({"x": X.astype(str), "y": [0, 1, 0, 1]}, "x holds <U"), ({"x": np.full(X.shape, np.nan), "y": [0, 1, 0, 1]}, "values from nan"),
    ({"x_train": X, "y_train": [0, 1, 0, 1], "x_test": X[:, :4], "y_test": [0, 1, 0, 1]}, "different shapes"),
    ({"x": np.array([{}] * 4), "y": [0, 1, 0, 1]}, "not an .npz archive of plain arrays")])
def test_a_wrong_archive_is_named_with_what_is_wrong(tmp_path, arrays, said):
    np.savez(tmp_path / "wrong.npz", **arrays)
    refused(f"wrong.npz.*{said}", images.load, tmp_path / "wrong.npz")


def test_bytes_that_are_no_archive_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "whole.npz", x=RNG.random((4, 6, 8)), y=[0, 1, 0, 1])
    whole = (tmp_path / "whole.npz").read_bytes()
    middle = len(whole) // 2
    np.save(tmp_path / "array.npy", X)
    single = (tmp_path / "array.npy").read_bytes()
    for body in (b"", b"no archive", whole[:middle], whole[:middle] + b"\xff" * 9 + whole[middle + 9:], single):
        (tmp_path / "wrong.npz").write_bytes(body)
        refused("wrong.npz is not an .npz archive", images.load, tmp_path / "wrong.npz")
    refused("--size goes with a folder", images.load, tmp_path / "whole.npz", size="8")


@pytest.fixture
def idx(tmp_path):
    """Write the four files of a set; `wrong` replaces some by number. Gives their paths."""

    def write(wrong=None, shape=(4, 5)):
        x = RNG.integers(0, 256, (6, *shape), dtype=np.uint8)
        y = np.array([0, 1, 2, 1, 0, 3], np.uint8)
        files = []
        for number, array in enumerate((x[:4], y[:4], x[4:], y[4:])):
            head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
            files.append(tmp_path / f"{number}.gz")
            files[-1].write_bytes((wrong or {}).get(number, packed(head + array.tobytes())))
        return files, x, y

    return write


def test_idx_files_give_their_bytes(idx):
    files, x, y = idx()
    record = images.idx(files)
    np.testing.assert_array_equal(record.pixels[:, 0], x / np.float32(255))
    assert (record.labels.tolist(), record.classes) == (y.tolist(), ("0", "1", "2", "3"))


LABELS = bytes((0, 0, 8, 1, 0, 0, 0, 4))


@pytest.mark.parametrize(("number", "body", "said"), [
    (0, b"no gzip", "0.gz cannot be unpacked"), (0, packed(LABELS + bytes(4)), "0.gz begins with 00 00 08 01"),
    (0, packed(b""), "0.gz begins with nothing"), (1, packed(LABELS + bytes(3)), "1.gz holds 3 values where .* says 4"),
    (1, packed(LABELS + bytes(5)), "1.gz holds more values"), (1, packed(LABELS + bytes(4))[:-12], "1.gz cannot be unpacked"),
    (3, packed(LABELS + bytes(4)), "3.gz: 4 labels"),
    (2, packed(bytes((0, 0, 8, 3)) + struct.pack(">3I", 2, 9, 9) + bytes(162)), r"2.gz: pictures of \(9, 9\) pixels")])
def test_a_wrong_idx_file_is_named(idx, number, body, said):
    refused(said, images.idx, idx({number: body})[0])


def test_the_packaged_digits_are_known():
    record = images.digits()
    assert np.bincount(record.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert record.pixels[0, 0, 0].tolist() == [0, 0, 5 / 16, 13 / 16, 9 / 16, 1 / 16, 0, 0]


def test_pictures_of_one_colour_only_are_refused(folder):
    dark = Image.fromarray(RNG.integers(0, 200, (6, 8)).astype(np.uint16))  # of 65,535: nothing is left of them in eight bits
    refused("one and the same colour", images.load, folder(a__1_png=dark, b__2_png=dark))


@pytest.fixture
def cifar(tmp_path):
    """Write an archive of binary batches; gives its path."""

    def write(batches, names=b"cat\ndog\n\n"):
        with tarfile.open(tmp_path / "cifar.tgz", "w:gz") as packed:
            for name, body in {**batches, **({"batches.meta.txt": names} if names else {})}.items():
                entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                entry.size = len(body)
                packed.addfile(entry, io.BytesIO(body))
        return [tmp_path / "cifar.tgz"]

    return write


def test_binary_batches_are_read_in_order_a_byte_of_label_before_red_green_and_blue(cifar):
    rows = RNG.integers(0, 256, (3, 3073), dtype=np.uint8)
    rows[:, 0] = 1, 0, 1
    record = images.cifar(cifar({"test_batch.bin": rows[2].tobytes(), "data_batch_1.bin": rows[:2].tobytes()}))
    assert (record.labels.tolist(), record.classes) == ([1, 0, 1], ("cat", "dog"))
    np.testing.assert_array_equal(record.pixels[1, 2, 31], rows[1, -32:] / np.float32(255))


def test_an_archive_of_something_else_is_refused(cifar, tmp_path):
    refused("3072 bytes in batches", images.cifar, cifar({"data_batch_1.bin": bytes(3072)}))
    refused("holds data_batch_1.bin", images.cifar, cifar({"data_batch_1.bin": bytes(3073)}, names=None))
    (tmp_path / "cifar.tgz").write_bytes(b"no archive")
    refused("cannot be unpacked", images.cifar, [tmp_path / "cifar.tgz"])


def test_the_small_photographs_are_in_ten_classes():
    record = sets.load(Source("cifar10-small"), "images")
    assert (record.pixels.shape, record.classes[:2]) == ((14_000, 3, 32, 32), ("airplane", "automobile"))
