"""One step of an optimiser, for learners in which one network's loss passes through another that must not move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def held(network: nn.Module) -> Iterator[nn.Module]:
    """Losses counted inside the block have slopes through the network, but none for its parameters, which are not worked out.

    Example:
        >>> network, x = nn.Linear(1, 1), torch.ones(1, requires_grad=True)
        >>> with held(network):
        ...     network(x).backward()
        >>> network.weight.grad is None, torch.equal(x.grad, network.weight[0])
        (True, True)
    """
    network.requires_grad_(False)
    yield network
    network.requires_grad_(True)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Take the loss's gradients for the optimiser's own parameters, for those alone, and step.

    Args:
        optimizer: holds what moves.
        loss: a single number that depends on all of it.

    Example:
        >>> line, other = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
        >>> before = line.weight.item()
        >>> descend(torch.optim.SGD(line.parameters(), 1.0), other(line(torch.ones(1, 1))).sum())
        >>> round(before - line.weight.item(), 4) == round(other.weight.item(), 4), other.weight.grad
        (True, None)
    """
    optimizer.zero_grad()
    loss.backward(inputs=[one for group in optimizer.param_groups for one in group["params"]])
    optimizer.step()
