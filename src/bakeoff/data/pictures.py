"""Pictures as signals: one file of a user's own, or a photograph that comes with scikit-learn."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from ..errors import DataError
from .kinds.picture import Picture

LARGEST = 50_000_000  # pixels; a small file can claim far more, and decoding it would fill the memory
FULL = {"uint8": 255, "uint16": 65535, "bool": 1}


def photograph(name: str) -> Picture:
    """A sample photograph of scikit-learn, by its file name."""
    from sklearn.datasets import load_sample_image
    return Picture(load_sample_image(name) / np.float32(255))


def load(path: Path, size: str = "128") -> Picture:
    """A picture from a file: PNG, JPEG, WebP, TIFF, BMP, or a NumPy array (.npy) of shape (H, W), (H, W, 1) or (H, W, 3).

    Whole numbers are divided by the largest of their type, floats must lie in [0, 1]. Transparent places become white;
    a photograph is turned as its EXIF says; palettes and other colour spaces become red, green and blue.

    Args:
        path: the file.
        size: `split` cuts a square of at most this many pixels a side.
    """
    if not path.is_file():
        raise DataError(f"{path} is not a file", "A picture is one file: PNG, JPEG, WebP, TIFF, BMP or .npy.")
    if not size.isascii() or not size.isdigit() or int(size) < 8:
        raise DataError(f"--size is {size!r}", "Expected a whole number of pixels, 8 or more.")
    pixels = _array(path) if path.suffix.lower() == ".npy" else _decoded(path)
    try:
        return Picture(pixels, side=int(size))
    except DataError as problem:
        raise DataError(f"{path}: {problem.message}", problem.hint) from None


def _array(path: Path) -> np.ndarray:
    try:
        pixels = np.lib.format.open_memmap(path, mode="r")  # read when it is known to be small enough
    except (ValueError, EOFError, OSError) as problem:
        raise DataError(f"{path} is not a NumPy array of numbers: {problem}", "Save it with numpy.save(path, pixels).") from None
    if pixels.ndim not in (2, 3):
        raise DataError(f"{path}: found an array of shape {pixels.shape}", "Expected (H, W), (H, W, 1) or (H, W, 3).")
    _check_size(path, *pixels.shape[:2])
    if pixels.dtype.kind == "f":
        if not np.isfinite(pixels).all():
            raise DataError(f"{path}: a value is missing or infinite", "Expected numbers in [0, 1].")
    elif pixels.dtype.name not in FULL:
        raise DataError(f"{path}: found values of type {pixels.dtype}", "Expected uint8, uint16, or floats in [0, 1].")
    pixels = pixels.astype(np.float32) / FULL.get(pixels.dtype.name, 1)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _decoded(path: Path) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own guard warns at another size than LARGEST
            with Image.open(path) as image:
                _check_size(path, image.height, image.width)
                if getattr(image, "is_animated", False):
                    raise DataError(f"{path} holds {image.n_frames} pictures, one after another", "Save the one you mean as a PNG.")
                image.load()
                return _rgb_or_grey(path, image)
    except UnidentifiedImageError:
        raise DataError(f"{path} is not a picture that can be read", "Expected PNG, JPEG, WebP, TIFF, BMP or .npy.") from None
    except Image.DecompressionBombError as problem:
        raise DataError(f"{path}: {problem}", f"Expected at most {LARGEST:,} pixels; cut or shrink it first.") from None
    except (OSError, SyntaxError, ValueError, EOFError) as problem:
        raise DataError(f"{path} is damaged: {problem}", "Open and save it anew with an image editor.") from None


def _rgb_or_grey(path: Path, image) -> np.ndarray:
    from PIL import Image, ImageOps
    image = ImageOps.exif_transpose(image)
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        pixels = np.asarray(image, np.float32)[..., None]
        if image.mode == "F":
            return pixels
        if not 0 <= pixels.min() <= pixels.max() <= 65535:
            raise DataError(f"{path}: found whole numbers from {pixels.min():g} to {pixels.max():g}", "Expected 8 or 16 bits a channel.")
        return pixels / np.float32(65535)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    elif image.mode in ("1", "L"):
        image = image.convert("L")
    else:
        image = image.convert("RGB")
    pixels = np.asarray(image, np.float32) / np.float32(255)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _check_size(path: Path, height: int, width: int) -> None:
    if height * width > LARGEST:
        raise DataError(f"{path}: found {height:,} x {width:,} pixels", f"Expected at most {LARGEST:,} in all; cut or shrink it first.")
