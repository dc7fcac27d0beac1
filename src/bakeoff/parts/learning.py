"""The supervised loop with a loss of one's own: what is minimised is given as a function of network, minibatch and progress.

Beside `supervised.train`, whose loss is the cross-entropy: two networks trained with one seed see the same rows in the same order.
`inputs` and `class_numbers` look at what a user gives before anything is learned from it.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from .seeding import seeded
from .supervised import minibatches

Loss = Callable[[nn.Module, Tensor, Tensor, torch.Generator, float], Tensor]


def learn(network: nn.Module, x: Tensor, y: Tensor, loss: Loss, *, steps: int, learning_rate: float, batch_size: int, seed: int,
          weight_decay: float = 0.0, rate: Callable[[float], float] | None = None,
          on_step: Callable[[float], None] | None = None) -> nn.Module:
    """Train `network` in place by Adam on `loss`; left in evaluation mode and returned.

    What dropout and the like draw from torch's global generator follows from `seed` too, and the caller's generator is left as it was.

    Args:
        network: (B, ...) -> (B, K) logits.
        x: (N, ...) inputs.
        y: (N,) class numbers 0..K-1, as which whole numbers (N,) are read where the network answers (B, K); or what else `loss` wants.
        loss: of (network, x (B, ...), y (B,), rng, done) -> (); rng decides what it draws, done in [0, 1) is the share of steps behind.
        steps: minibatches to learn from.
        learning_rate: Adam's.
        batch_size: rows a minibatch.
        seed: decides the order of rows, and what `loss` and `network` draw.
        weight_decay: decoupled from the gradient, as in AdamW; 0 for none.
        rate: factor of the learning rate at a share of the steps, done -> factor; constant without it.
        on_step: called with the loss after every step.

    Raises:
        ValueError: there are no inputs, not as many of y, or numbers that are not finite; a class number is below 0 or not below K;
            steps are below 0; training diverged.

    Example:
        >>> import torch.nn.functional as F
        >>> x = torch.linspace(-1, 1, 50)[:, None]
        >>> network = learn(nn.Linear(1, 2), x, (x[:, 0] > 0).long(), lambda network, x, y, rng, done: F.cross_entropy(network(x), y),
        ...                 steps=100, learning_rate=0.1, batch_size=25, seed=0)
        >>> network(torch.tensor([[-0.5], [0.5]])).argmax(1).tolist()
        [0, 1]
    """
    y = _checked(network, x, y, steps)
    optimiser = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=weight_decay, fused=True)
    rng = torch.Generator(x.device).manual_seed(seed)
    network.train()
    with seeded(seed):
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


def _checked(network: nn.Module, x: Tensor, y: Tensor, steps: int) -> Tensor:
    if not len(x) == len(y) > 0:
        raise ValueError(f"expected one y for each input, and one input at least; got {len(x)} inputs and {len(y)} of y")
    if x.is_floating_point() and not bool(x.isfinite().all()):
        raise ValueError("the inputs hold NaN or infinite numbers; leave those rows out, or fill them")
    if steps < 0:
        raise ValueError(f"steps is {steps}; expected 0 or more")
    classes = None if y.ndim != 1 or y.is_floating_point() else _classes(network, x)
    return y if classes is None else _numbered(y, len(x), classes)


def inputs(values, like: nn.Module | None = None, bounds: tuple[float, float] | None = (0.0, 1.0)) -> Tensor:
    """Inputs as a tensor of finite floats within bounds, in a network's precision.

    Args:
        values: (B, ...) floats; a tensor or an array, which may be read-only.
        like: the network whose precision is given to them; without one, or one without weights, they keep their own.
        bounds: ends of the range that they are in; None for no ends.

    Raises:
        ValueError: they are not floats, not finite, or out of bounds, as bytes are.

    Example:
        >>> inputs(torch.tensor([[0.0, 0.5]], dtype=torch.float64), like=nn.Linear(2, 1)).dtype
        torch.float32
        >>> inputs(torch.tensor([[0, 255]], dtype=torch.uint8))
        Traceback (most recent call last):
        ValueError: expected values in [0, 1], found torch.uint8 from 0 to 255; divide bytes by 255, and scale what is of another range
    """
    found = tensor(values)
    low, high = (-torch.inf, torch.inf) if bounds is None else bounds
    finite = found.is_floating_point() and bool(found.isfinite().all())
    if not (finite and bool(((found >= low) & (found <= high)).all())):
        wanted, cure = (("finite floats", "convert whole numbers, and leave out or fill what is not finite") if bounds is None else
                        (f"values in [{low:g}, {high:g}]", "divide bytes by 255, and scale what is of another range"))
        raise ValueError(f"expected {wanted}, found {_described(found)}; {cure}")
    weight = None if like is None else next(like.parameters(), None)
    return found if weight is None else found.to(weight.dtype)


def class_numbers(labels, network: nn.Module, x: Tensor) -> Tensor:
    """Labels (N,) as whole numbers, one for each of the inputs, that a network has answers for.

    Args:
        labels: class numbers; a tensor or an array.
        network: (B, ...) -> (B, K) logits; a copy of it is asked.
        x: (N, ...) inputs; the copy answers the first of them.

    Raises:
        ValueError: they are not whole numbers from 0 to K - 1, or not as many as inputs.

    Example:
        >>> class_numbers([0, 1, 2], nn.Linear(4, 2), torch.zeros(3, 4))
        Traceback (most recent call last):
        ValueError: expected 3 class numbers from 0 to 1, one for each input; found (3,) of torch.int64 from 0 to 2
    """
    return _numbered(tensor(labels), len(x), (_classes(network, x) or 0) if len(x) else 0)


def _numbered(labels: Tensor, count: int, classes: int) -> Tensor:
    whole = labels.shape == (count,) and not (labels.is_floating_point() or labels.is_complex())
    if not (whole and bool(((labels >= 0) & (labels < classes)).all())):
        raise ValueError(f"expected {count} class numbers from 0 to {classes - 1}, one for each input; "
                         f"found {tuple(labels.shape)} of {_described(labels)}")
    return labels.long()


def tensor(values) -> Tensor:
    """A tensor of an array, or the tensor itself.

    Args:
        values: numbers of any shape; read-only arrays are welcome.
    """
    return values if isinstance(values, Tensor) else torch.tensor(values)


def _classes(network: nn.Module, x: Tensor) -> int | None:
    """K of a network whose answers are (B, K), without a pass through the network itself; None where they are of another shape."""
    with seeded(0), torch.no_grad():
        answers = deepcopy(network).eval()(x[:1])
    return answers.shape[1] if answers.ndim == 2 else None


def _described(found: Tensor) -> str:
    return f"{found.dtype}" + (f" from {found.min():g} to {found.max():g}" if found.numel() else ", empty")
