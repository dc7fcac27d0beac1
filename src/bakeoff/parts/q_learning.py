"""The loop that learners of action values share: one optimiser, a loss a minibatch, a target network that is copied now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from .replay import follow


def learn(network: nn.Module, slow: nn.Module, loss_of: Callable[..., Tensor], minibatches: Iterable, *, learning_rate: float,
          target_every: int, on_step=None) -> None:
    """Descend by Adam, one step a minibatch.

    Args:
        network: what learns.
        slow: its target network, which becomes what the network is after each `target_every` steps.
        loss_of: from observation, action, reward, next observation and alive to the loss.
        minibatches: of these five, such as a `DiscreteReplay` gives.
        learning_rate: Adam's.
        target_every: steps.
        on_step: called with the loss after each step.

    Example:
        >>> from .replay import slow_copy
        >>> network = nn.Linear(1, 1)
        >>> slow = slow_copy(network)
        >>> learn(network, slow, lambda x: network(x).square().mean(), [[torch.ones(3, 1)]] * 99, learning_rate=0.1, target_every=99)
        >>> network(torch.ones(1)).abs().item() < 0.1, torch.equal(slow.weight, network.weight)
        (True, True)
    """
    optimiser = torch.optim.Adam(network.parameters(), learning_rate, fused=True)
    for step, minibatch in enumerate(minibatches, 1):
        loss = loss_of(*minibatch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % target_every == 0:
            follow(slow, network, 1.0)
        if on_step:
            on_step(loss.item())


def chosen(values: Tensor, action) -> Tensor:
    """What is said of the actions (B,) that a caller names, of values (B, actions); `ValueError` if they are not such.

    Example:
        >>> chosen(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), [1, 0])
        tensor([2., 3.])
    """
    action = np.asarray(action)
    if action.shape != (len(values),) or not np.isin(action, np.arange(values.shape[1])).all():
        raise ValueError(f"actions of shape {action.shape}, from {action.min(initial=0)} to {action.max(initial=0)}; expected "
                         f"({len(values)},) whole numbers from 0 to {values.shape[1] - 1}")
    return taken(values, torch.from_numpy(action.astype(np.int64)))


def taken(values: Tensor, action: Tensor) -> Tensor:
    """What is said of the action taken: values (B, actions, ...) and action (B,) -> (B, ...).

    Example:
        >>> taken(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1, 0]))
        tensor([2., 3.])
    """
    where = action.view(-1, *[1] * (values.ndim - 1)).expand(-1, 1, *values.shape[2:])
    return values.gather(1, where).squeeze(1)
