"""Networks of action values: one output an action, or several, at each observation; what an observation looks like decides their form.

- Flat observations (O,): dense layers with ReLUs.
- Small images (H, W, C), such as MinAtar's 10 x 10: 16 filters of 3 x 3 and dense layers; of one layer, 128 wide, this is the network
  of the paper of MinAtar (Young, Tian 2019, arXiv:1903.03176).
- Frames (84, 84, C) of Atari, with values from 0 to 255: three convolutions and dense layers; with 512 that of Mnih et al. 2015.
"""

from __future__ import annotations

from torch import Tensor, nn

from .mlp import mlp

FRAME = 84  # pixels


def q_network(observation_shape: tuple[int, ...], outputs: int, hidden: tuple[int, ...]) -> nn.Sequential:
    """A network from observations (B, *observation_shape) to outputs (B, outputs).

    Args:
        observation_shape: (O,) for flat observations, (H, W, C) for images.
        outputs: actions, times whatever is said of each.
        hidden: widths of the dense layers between.

    Example:
        >>> import torch
        >>> q_network((4,), 2, (64,))(torch.zeros(5, 4)).shape
        torch.Size([5, 2])
        >>> q_network((10, 10, 6), 3, (128,))(torch.zeros(5, 10, 10, 6)).shape
        torch.Size([5, 3])
    """
    seen, size = features(observation_shape)
    return nn.Sequential(seen, mlp(size, *hidden, outputs))


def features(observation_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The part of the network that sees, and how many numbers (B, size) it hands on: convolutions, or a flat observation itself.

    Args:
        observation_shape: (O,) or (H, W, C).
    """
    if len(observation_shape) == 1:
        return nn.Identity(), observation_shape[0]
    if len(observation_shape) != 3:
        raise ValueError(f"observations have shape {observation_shape}; expected (O,) or (H, W, C)")
    height, width, channels = observation_shape
    if (height, width) == (FRAME, FRAME):
        return nn.Sequential(_ChannelsFirst(255.0), nn.Conv2d(channels, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(),
                             nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten()), 64 * 7 * 7
    return nn.Sequential(_ChannelsFirst(), nn.Conv2d(channels, 16, 3), nn.ReLU(), nn.Flatten()), 16 * (height - 2) * (width - 2)


class _ChannelsFirst(nn.Module):
    """Images (B, H, W, C) as convolutions take them, (B, C, H, W), and in units of `largest`."""

    def __init__(self, largest: float = 1.0):
        super().__init__()
        self.largest = largest

    def forward(self, image: Tensor) -> Tensor:  # (B, H, W, C) -> (B, C, H, W)
        image = image.movedim(-1, -3)
        return image if self.largest == 1 else image / self.largest
