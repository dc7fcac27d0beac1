"""The supervised loop with a loss of one's own: what is minimised is given as a function of network, minibatch and progress.

Beside `supervised.train`, whose loss is the cross-entropy: two networks trained with one seed see the same rows in the same order.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .supervised import minibatches

Loss = Callable[[nn.Module, Tensor, Tensor, torch.Generator, float], Tensor]


def learn(network: nn.Module, x: Tensor, y: Tensor, loss: Loss, *, steps: int, learning_rate: float, batch_size: int, seed: int,
          weight_decay: float = 0.0, rate: Callable[[float], float] | None = None,
          on_step: Callable[[float], None] | None = None) -> nn.Module:
    """Train `network` in place by Adam on `loss`; left in evaluation mode and returned.

    Args:
        network: (B, ...) -> (B, K) logits.
        x: (N, ...) inputs.
        y: (N,) class numbers, or whatever `loss` wants with each input.
        loss: of (network, x (B, ...), y (B,), rng, done) -> (); rng decides what it draws, done in [0, 1) is the share of steps behind.
        steps: minibatches to learn from.
        learning_rate: Adam's.
        batch_size: rows a minibatch.
        seed: decides the order of rows, and what `loss` draws.
        weight_decay: decoupled from the gradient, as in AdamW; 0 for none.
        rate: factor of the learning rate at a share of the steps, done -> factor; constant without it.
        on_step: called with the loss after every step.

    Raises:
        ValueError: there are no inputs, not as many of y, or numbers that are not finite; steps are below 0; training diverged.

    Example:
        >>> import torch.nn.functional as F
        >>> x = torch.linspace(-1, 1, 50)[:, None]
        >>> network = learn(nn.Linear(1, 2), x, (x[:, 0] > 0).long(), lambda network, x, y, rng, done: F.cross_entropy(network(x), y),
        ...                 steps=100, learning_rate=0.1, batch_size=25, seed=0)
        >>> network(torch.tensor([[-0.5], [0.5]])).argmax(1).tolist()
        [0, 1]
    """
    _check(x, y, steps)
    optimiser = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=weight_decay, fused=True)
    rng = torch.Generator(x.device).manual_seed(seed)
    network.train()
    for step, rows in enumerate(minibatches(len(x), batch_size, steps, seed)):
        done = step / steps
        if rate is not None:
            optimiser.param_groups[0]["lr"] = learning_rate * rate(done)
        value = loss(network, x[rows], y[rows], rng, done)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        if on_step is not None:
            on_step(value.item())
    if not all(bool(one.isfinite().all()) for one in network.parameters()):
        raise ValueError("the weights are not finite after training; try a lower learning rate")
    return network.eval()


def _check(x: Tensor, y: Tensor, steps: int) -> None:
    if not len(x) == len(y) > 0:
        raise ValueError(f"expected one y for each input, and one input at least; got {len(x)} inputs and {len(y)} of y")
    if x.is_floating_point() and not bool(x.isfinite().all()):
        raise ValueError("the inputs hold NaN or infinite numbers; leave those rows out, or fill them")
    if steps < 0:
        raise ValueError(f"steps is {steps}; expected 0 or more")
