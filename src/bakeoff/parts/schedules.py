"""How a learning rate goes over the steps of a training."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def rise_and_fall(optimiser: Optimizer, steps: int, rise: float = 0.05) -> LambdaLR:
    """The optimiser's rate times min(u / rise, 1) (1 + cos(pi u)) / 2 at step s of `steps`, u = (s + 1/2) / steps.

    Args:
        optimiser: its rates are the highest that the schedule comes near to.
        steps: of the training; call the schedule's `step()` after each.
        rise: share of the steps in which the rate rises.

    Example:
        >>> import torch
        >>> optimiser = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        >>> schedule, seen = rise_and_fall(optimiser, steps=4, rise=0.25), []
        >>> for _ in range(4):
        ...     seen.append(round(schedule.get_last_lr()[0], 3))
        ...     optimiser.step()
        ...     schedule.step()
        >>> seen
        [0.481, 0.691, 0.309, 0.038]
    """
    def factor(step: int) -> float:
        done = min((step + 0.5) / steps, 1.0)
        return min(done / rise, 1.0) * (1 + math.cos(math.pi * done)) / 2

    return LambdaLR(optimiser, factor)
