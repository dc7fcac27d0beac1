"""Convolutions along a chain whose stages halve or double it; only the dense layer next to the code knows how long the chain is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STAGES, KERNEL = 3, 3


class ChainAutoencoder(nn.Module):
    """Views of a chain to one code (B, k_i + k_e), and from the code nine numbers for each residue (B, 9, n).

    Args:
        residues: n, places of the chain.
        intrinsic: k_i, numbers in the code of a map (B, 1, n, n); 0 for no map.
        extrinsic: k_e, numbers in the code of the chain's own view (B, 9, n).
        hidden: channels of the decoder.
        chain_channels: of the chain's encoder.
        map_channels: of the map's encoder.
    """

    def __init__(self, residues: int, intrinsic: int, extrinsic: int, hidden: int, chain_channels: int, map_channels: int):
        super().__init__()
        chain = ChainEncoder(nn.Conv1d, residues, 9, chain_channels, extrinsic)
        self.encoders = nn.ModuleList([ChainEncoder(nn.Conv2d, residues, 1, map_channels, intrinsic), chain] if intrinsic else [chain])
        self.decoder = ChainDecoder(residues, intrinsic + extrinsic, hidden)

    def encode(self, *views: Tensor) -> Tensor:
        """The code of the views: the map first, where there is one, then the chain's own."""
        return torch.cat([encoder(view) for encoder, view in zip(self.encoders, views, strict=True)], 1)


class ChainEncoder(nn.Module):
    """A chain (B, C, n), or a map of it (B, C, n, n), to a code (B, k): stages that halve each axis, then a dense layer."""

    def __init__(self, convolution: type[nn.Module], residues: int, inputs: int, channels: int, code: int):
        super().__init__()
        axes = 2 if convolution is nn.Conv2d else 1
        stride = 2 ** axes  # a map, with so many more places, is quartered at once
        self.first = convolution(inputs, channels, stride + 1, stride=stride, padding=stride // 2)
        self.stages = nn.ModuleList(Block(convolution, channels, stride=2) for _ in range(STAGES - axes))
        self.dense = nn.Linear(channels * coarse(residues) ** axes, code)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for stage in self.stages:
            x = stage(x)
        return self.dense(x.flatten(1))


class ChainDecoder(nn.Module):
    """A code (B, k) to nine numbers for each residue (B, 9, n): a dense layer to a coarse chain, then stages that double it.

    The last doubling is of numbers, not of places: each place of the last stage speaks for two residues.
    """

    def __init__(self, residues: int, code: int, channels: int):
        super().__init__()
        self.residues, self.channels = residues, channels
        self.dense = nn.Linear(code, channels * coarse(residues))
        self.stages = nn.ModuleList(Block(nn.Conv1d, channels) for _ in range(STAGES - 1))
        self.last = nn.Conv1d(channels, 2 * 9, KERNEL, padding=KERNEL // 2)

    def forward(self, codes: Tensor) -> Tensor:
        x = self.dense(codes).view(len(codes), self.channels, -1)
        for stage in self.stages:
            x = stage(F.interpolate(x, scale_factor=2, mode="linear"))
        x = self.last(x).unflatten(1, (9, 2)).transpose(2, 3).flatten(2)  # (B, 9, 8 coarse)
        return x[:, :, :self.residues]


class Block(nn.Module):
    """x + a convolution of what is awake of another; with stride 2 every axis is halved, rounded up."""

    def __init__(self, convolution: type[nn.Module], channels: int, stride: int = 1):
        super().__init__()
        self.into = convolution(channels, channels, KERNEL, stride=stride, padding=KERNEL // 2)
        self.out = convolution(channels, channels, KERNEL, padding=KERNEL // 2)
        self.past = convolution(channels, channels, 1, stride=stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.past(x) + self.out(F.silu(self.into(F.silu(x))))


def coarse(residues: int) -> int:
    """The length of a chain that was halved at every stage, rounded up."""
    return -(-residues // 2 ** STAGES)
