"""Adam whose rate rises in a straight line over a tenth of the steps, and then falls to 0 in another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .seeding import seeded
from .supervised import minibatches


def descend(modules: Sequence[nn.Module], loss_of: Callable[[Tensor, torch.Generator], Tensor], count: int, *, steps: int, rate: float,
            batch_size: int, seed: int, on_step: Callable[[float], None] | None = None) -> None:
    """Train modules together, in place; the gradient is cut at norm 1, and they are left in evaluation mode.

    Args:
        modules: what learns.
        loss_of: the loss of a minibatch, from its row numbers and a generator to draw from.
        count: rows there are.
        steps: minibatches to learn from.
        rate: Adam's highest.
        batch_size: rows a minibatch.
        seed: of the order, of that generator and of dropout.
        on_step: called with the loss after each step.

    Example:
        >>> line, x = nn.Linear(1, 1), torch.linspace(-1, 1, 20)[:, None]
        >>> descend([line], lambda rows, rng: (line(x[rows]) - 3 * x[rows]).square().mean(), 20, steps=200, rate=0.1, batch_size=10, seed=0)
        >>> round(line.weight.item(), 1)
        3.0
    """
    everything = nn.ModuleList(modules).train()
    optimiser = torch.optim.Adam(everything.parameters(), rate, fused=True)
    rng = torch.Generator().manual_seed(seed)
    with seeded(seed):  # dropout draws from the global generator
        for step, rows in enumerate(minibatches(count, batch_size, steps, seed)):
            optimiser.param_groups[0]["lr"] = rate * min((step + 1) / (0.1 * steps), (steps - step) / (0.9 * steps), 1)
            loss = loss_of(rows, rng)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(everything.parameters(), 1.0)
            optimiser.step()
            if on_step:
                on_step(loss.item())
    everything.eval()
