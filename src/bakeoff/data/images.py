"""Labelled pictures: a folder with one sub-folder a class, a NumPy archive, or one of the named sets.

    pictures/cats/one.jpg        archive.npz with x (N, H, W), (N, H, W, C) or (N, C, H, W)
    pictures/cats/two.png                         y (N,) numbers or names; optionally classes (K,)
    pictures/dogs/three.jpg

Whatever is found ends as `Images`: values in [0, 1], grey where every picture is grey, otherwise red, green, blue.
"""

from __future__ import annotations

import gzip
import math
import struct
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError
from .kinds.images import Images

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
BESIDE = (".txt", ".md", ".csv", ".json", ".xml", ".yaml", ".yml", ".html", ".ini", ".db", ".log")  # what lies beside pictures
LIMIT = 4 * 2**30  # bytes of float32 pixels


def load(path: Path, size: str = "") -> Images:
    """A user's own pictures.

    Args:
        path: a folder with one sub-folder of pictures a class, or an .npz archive with x and y.
        size: side in pixels, for a folder: the middle square of every picture is cut out and resized to it.
            Without it, all pictures must have one size.

    Raises:
        DataError: naming the file, what was found there and what was expected.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path, _side(size))
    if path.suffix.lower() != ".npz":
        raise DataError(f"{path} is a file", "Expected a folder with one sub-folder of pictures a class, or an .npz archive with x and y.")
    if size:
        raise DataError(f"--size goes with a folder of pictures; {path} is an archive", "Leave --size out, or resize x yourself.")
    return archive([path])


def digits() -> Images:
    """The 1,797 handwritten digits of 8 x 8 grey pixels that come with scikit-learn."""
    from sklearn.datasets import load_digits
    pixels, labels = load_digits(return_X_y=True)
    return Images(pixels.reshape(-1, 1, 8, 8) / 16, labels, _numbered(10))


def idx(files: list[Path]) -> Images:
    """MNIST's four gzipped IDX files, in the order train images, train labels, test images, test labels."""
    bodies = [_idx_array(file, dimensions) for file, dimensions in zip(files, (3, 1, 3, 1), strict=True)]
    for i in (0, 2):
        if len(bodies[i]) != len(bodies[i + 1]):
            raise DataError(f"{files[i + 1]}: {len(bodies[i + 1])} labels", f"Expected {len(bodies[i])}, one for each of {files[i]}.")
    if bodies[0].shape[1:] != bodies[2].shape[1:]:
        raise DataError(f"{files[2]}: pictures of {bodies[2].shape[1:]} pixels", f"Expected {bodies[0].shape[1:]}, as in {files[0]}.")
    labels = np.concatenate((bodies[1], bodies[3]))
    return Images(_unit(np.concatenate((bodies[0], bodies[2]))[:, None]), labels, _numbered(int(labels.max()) + 1))


def cifar(files: list[Path]) -> Images:
    """CIFAR-10's archive of binary batches, the test batch last: a picture is one byte of label and 3 x 32 x 32 of pixels."""
    (file,) = files
    try:
        with tarfile.open(file) as packed:
            inside = {Path(one.name).name: packed.extractfile(one).read() for one in packed if one.isfile()}
    except (OSError, EOFError, tarfile.TarError, zlib.error) as problem:
        raise DataError(f"{file} cannot be unpacked: {problem}", "Expected CIFAR-10's archive of binary batches.") from None
    body = b"".join(inside[name] for name in sorted(inside) if name.endswith(".bin"))
    if not body or len(body) % (1 + 3 * 32 * 32) or "batches.meta.txt" not in inside:
        raise DataError(f"{file} holds {', '.join(inside) or 'nothing'}; {len(body)} bytes in batches",
                        "Expected batches.meta.txt, and .bin files of 3,073 bytes a picture.")
    rows = np.frombuffer(body, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    return Images(_unit(rows[:, 1:].reshape(-1, 3, 32, 32)), rows[:, 0], tuple(inside["batches.meta.txt"].decode("ascii").split()))


def archive(files: list[Path]) -> Images:
    """One .npz archive: x and y, or x_train, y_train, x_test and y_test put together; classes (K,) names where there are any."""
    (file,) = files
    try:
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as found:  # opened here: np.load leaves a bad one open
            arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as problem:
        raise DataError(f"{file} is not an .npz archive of plain arrays: {problem}",
                        "Write it with numpy.savez(file, x=..., y=...).") from None
    if {"x_train", "y_train", "x_test", "y_test"} <= arrays.keys():
        parts = [[arrays[f"{letter}_{part}"] for part in ("train", "test")] for letter in "xy"]
        if len({one.shape[1:] for one in parts[0]}) > 1:
            shapes = " and ".join(str(one.shape) for one in parts[0])
            raise DataError(f"{file}: x_train and x_test hold pictures of different shapes, {shapes}", "Expected pictures of one shape.")
        arrays |= {letter: np.concatenate(part) for letter, part in zip("xy", parts, strict=True)}
    if missing := {"x", "y"} - arrays.keys():
        raise DataError(f"{file} holds {', '.join(arrays) or 'nothing'}; no {' and no '.join(sorted(missing))}",
                        "Expected x, the pictures, and y, their labels.")
    pixels = _channels_first(file, arrays["x"])
    if arrays["y"].shape not in ((len(pixels),), (len(pixels), 1)):
        raise DataError(f"{file}: y has shape {arrays['y'].shape}", f"Expected ({len(pixels)},), one label a picture.")
    labels, classes = _labels(file, arrays["y"].reshape(-1), arrays.get("classes"))
    try:
        return Images(_unit(pixels), labels, classes)
    except DataError as problem:
        raise DataError(f"{file}: {problem.message}", problem.hint) from None


def _folder(path: Path, side: int | None) -> Images:
    folders = sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith((".", "__")))
    loose = _pictures(path)
    if not folders:
        raise DataError(f"{path} has no sub-folders; {len(loose)} pictures lie in it",
                        "Expected one sub-folder a class, named for the class.")
    if loose:
        raise DataError(f"{loose[0]} lies beside the class folders, in none of them ({len(loose)} such pictures)",
                        "Move it into the folder of its class, or away.")
    if len(folders) < 2:
        raise DataError(f"{path} has one class only: {folders[0].name}", "Expected two sub-folders or more, one a class.")
    files = []
    for label, folder in enumerate(folders):
        if not (found := _pictures(folder)):
            inner = sum(one.is_dir() for one in folder.iterdir())
            raise DataError(f"the class folder {folder} holds no pictures" + (f", but {inner} folders" if inner else ""),
                            f"Expected {', '.join(PICTURES)} in it, " + ("or that folder as the path." if inner else "or no such folder."))
        files += [(file, label) for file in found]
    arrays = _read_all([file for file, _ in files], side)
    if len({(array.min(), array.max()) for array in arrays}) == 1 and arrays[0].min() == arrays[0].max():
        raise DataError(f"every picture under {path} is of one and the same colour",
                        "Where pixels have 16 bits and small values, stretch them to the full range first.")
    if all(array.ndim == 2 for array in arrays):
        pixels = np.stack(arrays)[:, None]
    else:
        pixels = np.stack([array if array.ndim == 3 else np.repeat(array[..., None], 3, 2) for array in arrays]).transpose(0, 3, 1, 2)
    return Images(_unit(pixels), [label for _, label in files], tuple(folder.name for folder in folders))


def _pictures(folder: Path) -> list[Path]:
    """The picture files right in a folder. Hidden files and those of BESIDE are passed over; any other is an error."""
    files = sorted(one for one in folder.iterdir() if not one.is_dir() and not one.name.startswith("."))
    found = [one for one in files if one.suffix.lower() in PICTURES and (one.is_file() or one.is_symlink())]
    strange = [one for one in files if one not in set(found) and one.suffix.lower() not in BESIDE]
    if strange and found:
        raise DataError(f"{strange[0]} is no picture of a known form ({len(strange)} such files in {folder.name})",
                        f"Known are {', '.join(PICTURES)}. Convert it, or move it away.")
    return found


def _read_all(files: list[Path], side: int | None) -> list[np.ndarray]:
    """Every picture as bytes, (H, W) where it is grey, else (H, W, 3); all of one height and width."""
    arrays = []
    for file in files:
        arrays.append(array := _read(file, side))
        if array.shape[:2] != arrays[0].shape[:2]:
            (height, width), (first_height, first_width) = array.shape[:2], arrays[0].shape[:2]
            raise DataError(f"{file} has {width} x {height} pixels; {files[0]} has {first_width} x {first_height}",
                            "Give pictures of one size, or add --size 32 (or another side) to have them cut square and resized.")
        if len(arrays) == 1 and 4 * array.size * len(files) > LIMIT:
            raise DataError(f"{len(files)} pictures like {file} would take {4 * array.size * len(files) / 2**30:.0f} GiB of memory",
                            "Add --size 64 (or another side) to have them resized.")
    return arrays


def _read(file: Path, side: int | None) -> np.ndarray:
    from PIL import Image, ImageOps
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as opened:
                picture = _eight_bits(ImageOps.exif_transpose(opened))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"{file} has more than {Image.MAX_IMAGE_PIXELS / 1e6:.0f} million pixels",
                        "Make it smaller, or move it away.") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as problem:
        raise DataError(f"{file} cannot be read as a picture: {problem}", "Replace the file, or move it away.") from None
    if side:
        picture = ImageOps.fit(picture, (side, side), Image.Resampling.BILINEAR)
    array = np.asarray(picture)  # (H, W, 3)
    return array[..., 0] if (array == array[..., :1]).all() else array


def _eight_bits(picture):
    """Red, green, blue in bytes; transparent parts on white; sixteen bits of grey to eight."""
    from PIL import Image
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        raise ValueError(f"its pixels are 32-bit numbers (mode {picture.mode}) of no stated range")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _side(size: str) -> int | None:
    if not size:
        return None
    if not (size.isascii() and size.isdigit() and 4 <= int(size) <= 1024):
        raise DataError(f"--size is {size!r}", "Expected a side in pixels, a whole number from 4 to 1024.")
    return int(size)


def _idx_array(file: Path, dimensions: int) -> np.ndarray:
    """The bytes of one gzipped IDX file: 0, 0, 8 (unsigned bytes), the number of dimensions, their sizes, the values."""
    what = f"an IDX file of bytes in {dimensions} dimension{'s' if dimensions > 1 else ''}"
    try:
        with gzip.open(file) as stream:
            head = stream.read(4 + 4 * dimensions)
            if head[:4] != bytes((0, 0, 8, dimensions)) or len(head) < 4 + 4 * dimensions:
                raise DataError(f"{file} begins with {head[:4].hex(' ') or 'nothing'}", f"Expected 00 00 08 0{dimensions}: {what}.")
            shape = struct.unpack(f">{dimensions}I", head[4:])
            body = stream.read(math.prod(shape) + 1)
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{file} cannot be unpacked: {problem}", f"Expected {what}, gzipped.") from None
    if len(body) != math.prod(shape):
        many = "more" if len(body) > math.prod(shape) else f"{len(body)}"
        raise DataError(f"{file} holds {many} values where its header says {math.prod(shape)}, {shape}", f"Expected {what}, whole.")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _channels_first(file: Path, x: np.ndarray) -> np.ndarray:
    if x.dtype.kind not in "uif":
        raise DataError(f"{file}: x holds {x.dtype}", "Expected numbers: bytes, or fractions in [0, 1].")
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[1] in (1, 3):
        return x
    if x.ndim == 4 and x.shape[3] in (1, 3):
        return x.transpose(0, 3, 1, 2)
    raise DataError(f"{file}: x has shape {x.shape}", "Expected (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels.")


def _labels(file: Path, y: np.ndarray, names: np.ndarray | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class numbers and names: those given, or the different values of y in their order."""
    if y.dtype.kind not in "uifUb" or (y.dtype.kind == "f" and not (np.isfinite(y) & (y == np.round(y))).all()):
        raise DataError(f"{file}: y holds {y.dtype} values such as {y[:1]}", "Expected class numbers or names.")
    if names is not None:
        if names.ndim != 1:
            raise DataError(f"{file}: classes has shape {names.shape}", "Expected (K,), one name a class.")
        if y.dtype.kind not in "ui":
            raise DataError(f"{file}: y holds {y.dtype} beside classes", f"Expected whole numbers 0..{len(names) - 1}.")
        return y.astype(np.int64), tuple(str(name) for name in names)
    values, labels = np.unique(y, return_inverse=True)
    if len(values) < 2:
        raise DataError(f"{file}: y holds {len(values)} class{'' if len(values) == 1 else 'es'}", "Expected two or more.")
    return labels, tuple(str(int(one) if y.dtype.kind == "f" else one) for one in values)


def _unit(pixels: np.ndarray) -> np.ndarray:
    """Fractions: whole numbers are divided by 255, in place, so that a large set is in memory once here."""
    if pixels.dtype.kind == "f":
        return pixels
    pixels = pixels.astype(np.float32)
    pixels /= 255
    return pixels


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(str(i) for i in range(count))
