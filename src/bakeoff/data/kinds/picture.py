"""The kind `Picture`: one signal to be fitted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .records import frozen, require


@dataclass(frozen=True)
class Picture:
    """A signal to be fitted: one picture, or several of which a seed picks one.

    Args:
        pixels: (H, W, C), values in [0, 1].
        hidden: (H, W) bool; True where a pixel is kept from the learner (all False before `split`).
        side: `split` cuts a square of at most this many pixels a side, at a place the seed chooses.
    """

    pixels: np.ndarray
    hidden: np.ndarray | None = None
    side: int = 128

    def __post_init__(self):
        if self.hidden is None:
            object.__setattr__(self, "hidden", np.zeros(np.shape(self.pixels)[:2], bool))
        frozen(self, pixels=np.float32, hidden=bool)
        shape = self.pixels.shape
        require(len(shape) == 3 and shape[2] in (1, 3), "Picture.pixels", f"shape {shape}", "(H, W, 1 or 3)")
        require(self.hidden.shape == shape[:2], "Picture.hidden", f"shape {self.hidden.shape}", f"{shape[:2]}")
        require(min(shape[:2]) >= 8, "Picture.pixels", f"{shape[0]} x {shape[1]} pixels", "at least 8 x 8")
        low, high = float(self.pixels.min()), float(self.pixels.max())
        require(low >= 0 and high <= 1, "Picture.pixels", f"values from {low:g} to {high:g}", "values in [0, 1]; divide bytes by 255")

    def split(self, seed: int) -> tuple[Picture, Picture]:
        """Train: a square cut, a tenth of its pixels hidden (set to 0). Test: the same cut, whole, same mask."""
        rng = np.random.default_rng(seed)
        height, width = (min(self.side, size) for size in self.pixels.shape[:2])
        top = rng.integers(self.pixels.shape[0] - height + 1)
        left = rng.integers(self.pixels.shape[1] - width + 1)
        cut = self.pixels[top:top + height, left:left + width]
        hidden = rng.random(cut.shape[:2]) < 0.1
        return Picture(np.where(hidden[..., None], 0, cut), hidden, self.side), Picture(cut, hidden, self.side)
