"""The supervised training loop: shuffled minibatches, cross-entropy, Adam; a seed decides the order and nothing else does.

Two networks trained with one seed see the same rows in the same order, whatever else differs between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def minibatches(count: int, batch_size: int, steps: int, seed: int) -> Iterator[Tensor]:
    """Row numbers of `steps` minibatches. Every epoch is shuffled anew; its last rows, too few for a batch, sit it out.

    Args:
        count: rows there are.
        batch_size: rows a batch; at most `count` are given.
        steps: batches to give.
        seed: decides the order.

    Example:
        >>> [len(rows) for rows in minibatches(count=10, batch_size=4, steps=3, seed=0)]
        [4, 4, 4]
    """
    rng = torch.Generator().manual_seed(seed)
    size = min(batch_size, count)
    rows = []
    for _ in range(steps):
        if not rows:
            rows = list(torch.randperm(count, generator=rng).split(size))[:count // size][::-1]
        yield rows.pop()


def train(network: nn.Module, x: Tensor, y: Tensor, *, steps: int, learning_rate: float, batch_size: int, seed: int,
          change: Callable[[Tensor, torch.Generator], Tensor] | None = None,
          on_step: Callable[[float], None] | None = None) -> nn.Module:
    """Train `network` in place by Adam on the cross-entropy of its outputs; left in evaluation mode and returned.

    Args:
        network: (B, ...) -> (B, K) logits.
        x: (N, ...) inputs.
        y: (N,) class numbers 0..K-1.
        steps: minibatches to learn from.
        learning_rate: Adam's, constant.
        batch_size: rows a minibatch.
        seed: decides the order of rows, and what `change` draws.
        change: what is done to a minibatch of inputs before the network sees it; draws from the generator it is given.
        on_step: called with the loss after every step.

    Example:
        >>> x = torch.linspace(-1, 1, 50)[:, None]
        >>> network = train(nn.Linear(1, 2), x, (x[:, 0] > 0).long(), steps=100, learning_rate=0.1, batch_size=25, seed=0)
        >>> network(torch.tensor([[-0.5], [0.5]])).argmax(1).tolist()
        [0, 1]
    """
    optimiser = torch.optim.Adam(network.parameters(), learning_rate, fused=True)
    rng = torch.Generator(x.device).manual_seed(seed)
    network.train()
    for rows in minibatches(len(x), batch_size, steps, seed):
        inputs = x[rows] if change is None else change(x[rows], rng)
        loss = F.cross_entropy(network(inputs), y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if on_step is not None:
            on_step(loss.item())
    return network.eval()
