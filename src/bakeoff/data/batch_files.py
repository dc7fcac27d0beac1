"""The batches of MinAtar that come with bakeoff: observations as bits, the next one being the next row's where the episode goes on.

`tools/batches.py` says how they were made.
"""

from __future__ import annotations

import hashlib
import io
from importlib import resources
from pathlib import Path

import numpy as np

from ..errors import DataError
from .kinds.discrete_transitions import DiscreteTransitions


def packaged(*, name: str, sha256: str) -> DiscreteTransitions:
    """One of the batches that come with bakeoff, by the name of its file and the SHA-256 of what is in it."""
    content = resources.files(__package__).joinpath("files", f"{name}.npz").read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise DataError(f"{name}.npz is not the file it should be: SHA-256 {found[:12]}..., expected {sha256[:12]}...",
                        "Install bakeoff again.")
    return unpacked(content)


def unpacked(content: bytes) -> DiscreteTransitions:
    """The batch that `pack` wrote, from the bytes of its file."""
    with np.load(io.BytesIO(content), allow_pickle=False) as held:
        arrays = {field: held[field] for field in held.files}
    rows, shape = len(arrays["action"]), tuple(arrays["shape"])
    observation, last = (_images(arrays[field], shape) for field in ("observation", "last"))
    ended = np.unpackbits(arrays["ended"], count=rows).astype(bool)
    following = np.empty_like(observation)
    following[:-1] = observation[1:]
    following[ended] = last
    facts = zip(arrays["fact"], arrays["fact_value"], strict=True)
    return DiscreteTransitions(
        observation, arrays["action"], arrays["reward"], following, np.unpackbits(arrays["terminated"], count=rows), ended,
        int(arrays["actions"]), str(arrays["environment"]), tuple((str(fact), float(value)) for fact, value in facts))


def pack(batch: DiscreteTransitions, path: Path) -> None:
    """Write a batch of images (N, H, W, C) of 0 and 1: each as its difference from the row before, a bit a pixel, channels first."""
    observation, ended = batch.observation.astype(bool), batch.ended.astype(bool)
    goes_on = np.flatnonzero(~ended[:-1])
    if not (ended[-1] and np.array_equal(batch.next_observation[goes_on], batch.observation[goes_on + 1])):
        raise DataError("the rows of this batch do not follow one another", "Give episodes in their order, the last row marked as ended.")
    arrays = {"observation": _bits(observation), "last": _bits(batch.next_observation[ended].astype(bool)),
              "shape": np.array(observation.shape[1:]), "action": batch.action.astype(np.uint8), "reward": batch.reward.astype(np.float16),
              "terminated": np.packbits(batch.terminated), "ended": np.packbits(ended), "actions": np.array(batch.actions),
              "environment": np.array(batch.environment), "fact": np.array([name for name, _ in batch.behaviour], dtype=str),
              "fact_value": np.array([value for _, value in batch.behaviour], dtype=float)}
    np.savez_compressed(path, **arrays)


def _bits(images: np.ndarray) -> np.ndarray:  # (N, H, W, C) bool -> (N, bytes)
    flat = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    flat[1:] ^= flat[:-1].copy()
    return np.packbits(flat, axis=1)


def _images(bits: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:  # (N, bytes) -> (N, H, W, C) bool
    height, width, channels = shape
    flat = np.unpackbits(bits, axis=1, count=height * width * channels)
    return np.bitwise_xor.accumulate(flat, axis=0).reshape(-1, channels, height, width).transpose(0, 2, 3, 1).astype(bool)
