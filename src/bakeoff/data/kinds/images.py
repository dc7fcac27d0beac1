"""The kind `Images`: labelled pictures of one size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .records import frozen, require, two_parts


@dataclass(frozen=True)
class Images:
    """Labelled pictures of one size.

    Args:
        pixels: (N, C, H, W), values in [0, 1], C is 1 (grey) or 3 (red, green, blue).
        labels: (N,), whole numbers 0..K-1.
        classes: K names.
    """

    pixels: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self):
        frozen(self, pixels=np.float32, labels=np.int64)
        shape = self.pixels.shape
        require(len(shape) == 4 and shape[1] in (1, 3), "Images.pixels", f"shape {shape}", "(N, 1 or 3, H, W)")
        require(self.labels.shape == shape[:1], "Images.labels", f"shape {self.labels.shape}", f"({shape[0]},), one a picture")
        if shape[0]:
            low, high = float(self.pixels.min()), float(self.pixels.max())
            require(low >= 0 and high <= 1, "Images.pixels", f"values from {low:g} to {high:g}", "values in [0, 1]; divide bytes by 255")
            top = int(self.labels.max())
            require(self.labels.min() >= 0 and top < len(self.classes), "Images.labels",
                     f"the labels {self.labels.min()} to {top} for {len(self.classes)} classes", "labels 0..K-1")

    def __len__(self):
        return len(self.labels)

    def take(self, rows) -> Images:
        """The pictures at these positions."""
        return Images(self.pixels[rows], self.labels[rows], self.classes)

    def split(self, seed: int) -> tuple[Images, Images]:
        """80 % train, 20 % test, shuffled."""
        train, test = two_parts(len(self), seed)
        return self.take(train), self.take(test)
