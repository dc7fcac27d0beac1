"""A small convolutional network for pictures of any size: two convolutions of stride 2, two dense layers."""

from __future__ import annotations

import math

from torch import nn

from .seeding import seeded


def small_cnn(shape: tuple[int, int, int], classes: int, *, seed: int, width: int = 16, hidden: int = 128) -> nn.Sequential:
    """Build the network, its weights drawn from `seed`.

    Args:
        shape: (C, H, W) of one picture.
        classes: K.
        seed: decides the start weights.
        width: channels of the first convolution; the second has twice as many.
        hidden: width of the dense layer.

    Returns:
        A network (B, C, H, W) -> (B, K) logits.

    Example:
        >>> import torch
        >>> small_cnn((3, 32, 32), classes=5, seed=0)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 5])
    """
    channels, *sides = shape
    sides = [math.ceil(side / 4) for side in sides]
    pooled = [min(side, 7) for side in sides]
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.ReLU(),  # (B, width, H/2, W/2)
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(),  # (B, 2 width, H/4, W/4)
            nn.AdaptiveAvgPool2d(pooled) if pooled != sides else nn.Identity(),  # at most 7 x 7
            nn.Flatten(),
            nn.Linear(2 * width * math.prod(pooled), hidden), nn.ReLU(),
            nn.Linear(hidden, classes))
