"""Draws that follow from what they are made at, so that a policy that draws its actions is a function of the observation."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor


def rng_at(observation: Tensor, seed: int) -> torch.Generator:
    """A generator that follows from a seed and the observations (B, O), and from nothing else.

    Example:
        >>> x = torch.ones(2, 3)
        >>> torch.rand(1, generator=rng_at(x, 0)) == torch.rand(1, generator=rng_at(x, 0))
        tensor([True])
    """
    return torch.Generator().manual_seed(seed + zlib.crc32(observation.numpy().tobytes()))


def repeated(observation: Tensor, count: int) -> Tensor:
    """Each observation (B, O) `count` times, (B, count, O), without copying it."""
    return observation[:, None].expand(-1, count, -1)
