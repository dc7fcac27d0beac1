"""Corruptions beside the package imagecorruptions: how much they change, where both must agree how far they differ, images per second.

Needs imagecorruptions 1.1.2 with opencv-python-headless, scikit-image and setuptools below 80 (for pkg_resources). Two names that it
asks of newer NumPy and scikit-image in vain are put back below. Photographs: squares cut from the two that come with scikit-learn.
CPU time on one thread. Writes benchmarks/corruptions.md.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import time
import warnings
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage import feature, filters
from sklearn import datasets

from bakeoff.papers.robustness.mnist_c import corrupt
from bakeoff.parts.corruptions import EXTRA, NAMES, corrupted

warnings.simplefilter("ignore")
np.float_ = np.float64
import imagecorruptions  # noqa: E402
from imagecorruptions import corruptions as theirs  # noqa: E402

theirs.gaussian = lambda image, sigma, multichannel=False, **more: filters.gaussian(
    image, sigma, channel_axis=-1 if multichannel else None, **more)
torch.set_num_threads(1)
cv2.setNumThreads(1)
CERTAIN = ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "gaussian_blur", "saturate")
SIDES = {224: 6, 32: 200}  # side: how many pictures
SEVERITY = 3
SHOWN = (1, 3, 5)
ABOUT = f"""# Corruptions and imagecorruptions 1.1.2

Written by `benchmarks/corruptions.py`: one thread, CPU time, severity {SEVERITY}, squares of two photographs.

"Change" is the mean absolute change of a pixel, in per cent of its range, at severities 1, 3 and 5, bakeoff's before imagecorruptions',
on pictures of 224 pixels, where both use ImageNet-C's constants. "Differ by" is the mean absolute difference of the two results where no
chance is involved, in per cent of the range at severity {SEVERITY}; imagecorruptions rounds to bytes, which alone is 0.1 to 0.2.
At 32 pixels bakeoff uses CIFAR-10-C's constants, imagecorruptions ImageNet-C's still.

Known differences: frost is a fractal here and six photographs there; water drops of `spatter` (severities 1 to 3) have no embossed rim
here; `glass_blur` swaps pixels here, while there, in colour, the swap copies one of the two over the other.

| corruption | change, bakeoff | change, imagecorruptions | differ by | images/s at 224 | theirs | images/s at 32 | theirs |
|---|---|---|---|---|---|---|---|
"""


def pictures(side: int, count: int) -> np.ndarray:
    """Squares of photographs as bytes (N, side, side, 3)."""
    rng = np.random.default_rng(0)
    photographs = datasets.load_sample_images().images
    corners = [(one % 2, *(int(rng.integers(limit - side)) for limit in photographs[0].shape[:2])) for one in range(count)]
    return np.stack([photographs[which][top:top + side, left:left + side] for which, top, left in corners])


def timed(work):
    """What `work` gives and its CPU seconds, the best of two."""
    seconds = []
    for _ in range(2):
        start = time.process_time()
        found = work()
        seconds.append(time.process_time() - start)
    return found, min(seconds)


def rows():
    for name in NAMES + EXTRA:
        changes, speeds = ([], []), []
        for side, count in SIDES.items():
            bytes_ = pictures(side, count)
            images = torch.tensor(bytes_).movedim(-1, 1).float() / 255

            def peer(severity, bytes_=bytes_, name=name):
                np.random.seed(0)
                return np.stack([imagecorruptions.corrupt(one, corruption_name=name, severity=severity) for one in bytes_])

            for severity in SHOWN if side == 224 else (SEVERITY,):
                mine, my_seconds = timed(lambda images=images, name=name, severity=severity: corrupted(images, name, severity))
                known, their_seconds = timed(lambda severity=severity, peer=peer: peer(severity))
                known = known.astype(float) / 255
                mine = mine.movedim(1, -1).numpy()
                if severity == SEVERITY:
                    speeds += [count / my_seconds, count / their_seconds]
                if side == 224:
                    for change, found in zip(changes, (mine, known), strict=True):
                        change.append(100 * np.abs(found - bytes_ / 255).mean())
                    if severity == SEVERITY:
                        gap = f"{100 * np.abs(mine - known).mean():.2f}" if name in CERTAIN else ""
        said = (" ".join(f"{one:.1f}" for one in change) for change in changes)
        yield f"| {name} | {' | '.join(said)} | {gap} | {' | '.join(f'{speed:,.0f}' for speed in speeds)} |"


def edges() -> str:
    """The canny edges of mnist_c beside scikit-image's, on grey squares of 28 pixels."""
    grey = torch.tensor(pictures(28, 500)).float().mean(-1)[:, None] / 255
    mine, seconds = timed(lambda: corrupt(grey, "canny_edges")[:, 0].numpy() > 0)
    known, their_seconds = timed(lambda: np.stack([feature.canny(one[0].numpy()) for one in grey]))
    return (f"\nEdges of `mnist_c` on 500 grey squares of 28 pixels beside `skimage.feature.canny`: {int((mine != known).sum())} of "
            f"{mine.size:,} pixels differ; {500 / seconds:,.0f} images a second, theirs {500 / their_seconds:,.0f}.\n")


if __name__ == "__main__":
    table = []
    for row in rows():
        print(row, flush=True)
        table.append(row)
    Path(__file__).with_suffix(".md").write_text(ABOUT + "\n".join(table) + "\n" + edges(), encoding="utf-8")
