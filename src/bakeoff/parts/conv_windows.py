"""Windows of convolutional layers: what each number of the output is made from, cut out of the input and of every layer's box between.

A unit at place p of a layer is made from the numbers p T - o to p T - o + k - 1 of an earlier one; going back through a convolution of
kernel d, stride t and padding q, the side k becomes (k - 1) t + d, the step T becomes T t, and the start o becomes o t + q.
"""

from __future__ import annotations

import copy
import itertools
import math

import torch.nn.functional as F
from torch import Tensor, nn

IDLE = (nn.Identity, nn.Dropout, nn.Dropout2d)  # nothing, in evaluation mode
LOCAL = (nn.Conv2d, nn.ReLU, nn.BatchNorm2d, *IDLE)  # what a number of the output is made from is a window
Box = tuple[Tensor, Tensor]  # lower and upper ends, of one shape


def windows(layers: list[nn.Module], boxes: list[Box]) -> tuple[list[nn.Module], list[Box]] | None:
    """Unpadded layers, and each box as windows (B, H, W, C, h, w): what the numbers at H, W of the last one are made from, 0 outside.

    None where that is no window or more than all, or where rows reach outside of a box and no ReLU makes them 0 there.
    """
    pairs = itertools.pairwise(layer for layer in layers if not isinstance(layer, IDLE))
    if not all(isinstance(layer, LOCAL) for layer in layers) or any(
            isinstance(layer, nn.Conv2d) and any(layer.padding) and not isinstance(before, nn.ReLU) for before, layer in pairs):
        return None
    places, start, side, step = boxes[-1][0].shape[2:], (0, 0), (1, 1), (1, 1)
    cut, found = [], []
    for layer, box in zip((nn.Identity(), *layers[::-1]), boxes[::-1], strict=True):
        if isinstance(layer, nn.Conv2d):
            start = [a * b + c for a, b, c in zip(start, layer.stride, layer.padding, strict=True)]
            side = [(a - 1) * b + c * (d - 1) + 1 for a, b, c, d in zip(side, layer.stride, layer.dilation, layer.kernel_size, strict=True)]
            step = [a * b for a, b in zip(step, layer.stride, strict=True)]
            layer = copy.copy(layer)
            layer.padding = (0, 0)
        rest = [(a - 1) * b + c - d - e for a, b, c, d, e in zip(places, step, side, start, box[0].shape[2:], strict=True)]
        padded = (F.pad(end, (start[1], rest[1], start[0], rest[0])) for end in box)
        found.append(tuple(end.unfold(2, side[0], step[0]).unfold(3, side[1], step[1]).permute(0, 2, 3, 1, 4, 5) for end in padded))
        cut.append(layer)
    return (cut[:0:-1], found[::-1]) if math.prod(side) < boxes[0][0][0, 0].numel() else None
