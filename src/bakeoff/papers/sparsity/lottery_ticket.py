"""Lottery ticket: inside a dense network lies a sparse one that trains as well alone, if it starts from its own original weights.

Frankle, Carbin. The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks. ICLR 2019. arXiv:1803.03635.

Method: f(x; theta) is a network, m in {0, 1}^|theta| a mask, theta_0 the weights drawn at the start. A ticket is found by
iterative magnitude pruning with resetting; from m = 1, each of n rounds does this:

    1. train f(x; m * theta) from m * theta_0 for j steps, which gives theta_j;
    2. in every layer, set m = 0 for the share p of the remaining weights that are smallest in |theta_j|;
    3. put the remaining weights back to theta_0.

After n rounds (1 - p)^n of a layer's weights remain. The winning ticket f(x; m * theta_0) is then trained for j steps.
The paper's own control keeps m and draws theta_0' from the law of theta_0: f(x; m * theta_0'), trained alike. What is
left between the two is the start alone. LeNet-300-100, Gaussian Glorot start, biases 0 and never pruned, Adam at 1.2e-3,
batches of 60, p = 20 % a round, 10 % in the output layer; n = 7 leaves 21.1 %, the size for which the paper gives its figures.

Departures: j = 2,000 steps at `quick` instead of 50,000 (`full`), so accuracy is read at the end of equal steps, where the
paper also reads it at the lowest validation loss; the step of that is a side measure. One twelfth of the training images is
held out for it, as the paper's 5,000 of 60,000 are. A fifth of all images is the test, drawn anew with every seed. Each
training takes the rows in another order, so that a start meets no batch order for which its mask was chosen.

Out of reach: Conv-2 to Conv-6, VGG-19 and ResNet-18 on CIFAR-10, one-shot pruning, and levels below 21.1 % (`rounds=12` leaves 7 %).
Weights that moved little are kept for the size that they started with, and a mask chosen by the start's size favours that start over
any other: the correlation of the dense net's weights' sizes before and after training, shown beside the score, says how much of this
there can be. The kept original weights are larger than freshly drawn ones, so the two starts differ in scale as well as in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.errors import NotFitted
from bakeoff.parts.seeding import seeded
from bakeoff.parts.supervised import train as learn

PAPER = Paper(title="The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks", authors=("Frankle", "Carbin"), year=2019,
              venue="ICLR", arxiv="1803.03635",
              also=("lottery ticket hypothesis", "lottery tickets", "winning tickets", "iterative magnitude pruning"))
CLAIM = Claim(says="The 21.1 % of LeNet's weights that iterative magnitude pruning leaves learn faster and get more accurate from "
                   "their original start than from a fresh one (by half a percentage point at the lowest validation loss).",
              data="mnist", metric="accuracy", unit="percentage points", better="higher", margin=0.1,
              equal="steps", steps={"smoke": 80, "quick": 16_000, "full": 400_000})
__all__ = ["LotteryTicket", "lenet_300_100", "prune_by_magnitude"]


class LotteryTicket:
    """A sparse classifier: found by iterative magnitude pruning, put back to its start, and trained.

    Pruned are the parameters of two dimensions or more, layer by layer; biases and normalisation are not. After `fit`:
    `ticket_` is the trained sparse network and `dense_` the unpruned one, trained as long; `start_` and `origin_` are
    the state dictionaries that the two began with; `masks_` maps a weight's name to its mask (bool, True where it is kept);
    `remaining_` is the share of prunable weights left, before round 1 and after each; `validation_` lists (step, loss).

    Args:
        network: makes a fresh network (B, ...) -> (B, K) logits at every call, its weights drawn by torch's own generator, which
            stands at a place that follows from `seed`; None for LeNet-300-100.
        rounds: how often to prune, n.
        rate: share of a layer's remaining weights that a round takes, p.
        output_rate: the same for the last layer.
        start: "original" for theta_0, the winning ticket; "redrawn" for a fresh draw under the same masks.
        learning_rate: Adam's.
        batch_size: rows a minibatch.
        seed: decides the start, the fresh draw, and the order of rows; training number i, from 0, takes the order of `seed + i`.

    Example:
        >>> import torch
        >>> from bakeoff.papers.sparsity.lottery_ticket import LotteryTicket
        >>> x = torch.randn(600, 20, generator=torch.Generator().manual_seed(0))
        >>> y = (x[:, 0] > x[:, 1]).long()
        >>> found = LotteryTicket(rounds=5).fit(x, y, steps=300)
        >>> round(found.remaining_[-1], 2), bool((found.predict(x) == y).float().mean() > 0.9)
        (0.33, True)
    """

    def __init__(self, network: Callable[[], nn.Module] | None = None, *, rounds: int = 7, rate: float = 0.2, output_rate: float = 0.1,
                 start: str = "original", learning_rate: float = 1.2e-3, batch_size: int = 60, seed: int = 0):
        self.network, self.rounds, self.rate, self.output_rate, self.start = network, rounds, rate, output_rate, start
        self.learning_rate, self.batch_size, self.seed = learning_rate, batch_size, seed

    def fit(self, x, y, *, steps: int = 16_000, validation: tuple | None = None, on_step: Callable[[float], None] | None = None):
        """Find the ticket and train it.

        Args:
            x: (N, ...) inputs of the network.
            y: (N,) class numbers 0..K-1.
            steps: minibatches in all: each of the rounds + 1 trainings gets steps // (rounds + 1).
            validation: inputs and class numbers on which the ticket's loss is taken every 100 steps of its training, and at its end.
            on_step: called with the loss after every step.

        Returns:
            self.

        Raises:
            ValueError: a number is out of range.
        """
        self._check(steps)
        x, y = _tensor(x, torch.float32), _tensor(y, torch.int64)
        network, redrawn = self._draw(x, y)
        weights = {name: weight for name, weight in network.named_parameters() if weight.ndim > 1}
        rates = dict.fromkeys(weights, self.rate) | {list(weights)[-1]: self.output_rate}
        self.masks_ = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()}
        self.origin_, self.remaining_, self.validation_ = deepcopy(network.state_dict()), [1.0], []
        each = steps // (self.rounds + 1)

        def train(number: int, on_step) -> None:
            with _only_kept_learn(weights, self.masks_):
                learn(network, x, y, steps=each, learning_rate=self.learning_rate, batch_size=self.batch_size,
                      seed=self.seed + number, on_step=on_step)

        for number in range(self.rounds):
            train(number, on_step)
            if number == 0:
                self.dense_ = deepcopy(network)
            self.masks_ = {name: prune_by_magnitude(weight, rates[name], self.masks_[name]) for name, weight in weights.items()}
            self.remaining_.append(torch.cat([mask.flatten() for mask in self.masks_.values()]).double().mean().item())
            _reset(network, self.origin_, self.masks_)
        if self.start == "redrawn":
            _reset(network, redrawn.state_dict(), self.masks_)
        self.start_ = deepcopy(network.state_dict())
        train(self.rounds, self._watched(network, each, validation, on_step))
        self.ticket_ = network
        return self

    def predict(self, x) -> Tensor:
        """The class numbers that the ticket gives.

        Args:
            x: (N, ...) inputs of the network.

        Returns:
            (N,), each in 0..K-1.

        Raises:
            NotFitted: before `fit`.
        """
        if not hasattr(self, "ticket_"):
            raise NotFitted()
        return classify(self.ticket_, _tensor(x, torch.float32))

    def _check(self, steps: int) -> None:
        if not 0 < self.rounds < steps:
            raise ValueError(f"expected 0 < rounds < steps, not rounds={self.rounds} and steps={steps}")
        if not all(0 <= rate < 1 for rate in (self.rate, self.output_rate)):
            raise ValueError(f"expected rates in [0, 1), not rate={self.rate} and output_rate={self.output_rate}")
        if self.start not in ("original", "redrawn"):
            raise ValueError(f"expected start 'original' or 'redrawn', not {self.start!r}")

    def _draw(self, x: Tensor, y: Tensor) -> tuple[nn.Module, nn.Module]:
        """Two networks of one law: theta_0 and theta_0'."""
        make = self.network or (lambda: lenet_300_100(x[0].numel(), int(y.max()) + 1))
        with seeded(self.seed):
            return make().to(x.device), make().to(x.device)

    def _watched(self, network: nn.Module, steps: int, validation: tuple | None, on_step):
        """`on_step`, which also takes the validation loss now and then."""
        if validation is None:
            return on_step
        x, y, numbers = _tensor(validation[0], torch.float32), _tensor(validation[1], torch.int64), count(1)

        def watch(loss: float) -> None:
            if on_step is not None:
                on_step(loss)
            if (step := next(numbers)) % 100 == 0 or step == steps:
                self.validation_.append((step, F.cross_entropy(_logits(network.eval(), x), y).item()))
                network.train()

        return watch


def prune_by_magnitude(weight: Tensor, rate: float, mask: Tensor | None = None) -> Tensor:
    """Take the share `rate` of the remaining weights out of a mask: those of the smallest |w|, the earlier of equals first.

    Args:
        weight: of any shape.
        rate: share of the remaining weights; their number is rounded.
        mask: (as weight) bool, True where a weight remains; None where all do.

    Returns:
        The new mask, (as weight) bool.

    Example:
        >>> import torch
        >>> from bakeoff.papers.sparsity.lottery_ticket import prune_by_magnitude
        >>> w = torch.tensor([0.3, -0.1, 0.0, -2.0])
        >>> prune_by_magnitude(w, 0.5, torch.tensor([True, True, False, True])).tolist()  # 1.5 of 3 rounds to 2
        [False, False, False, True]
    """
    kept = torch.ones_like(weight, dtype=torch.bool) if mask is None else mask.clone()
    sizes, taken = weight.detach().abs().masked_fill(~kept, torch.inf).flatten(), round(rate * int(kept.sum()))
    if taken:
        limit = sizes.kthvalue(taken).values
        equal = (sizes == limit).nonzero()[:taken - int((sizes < limit).sum()), 0]
        kept &= (sizes >= limit).index_fill(0, equal, False).view_as(kept)
    return kept


def lenet_300_100(inputs: int, classes: int) -> nn.Sequential:
    """The dense network of the paper: two hidden layers of 300 and 100, Gaussian Glorot weights, biases 0.

    Args:
        inputs: numbers in a row, C H W for pictures.
        classes: K.

    Returns:
        A network (B, ...) -> (B, K) logits, drawn by torch's own generator: build it inside `seeded(seed)`.

    Example:
        >>> import torch
        >>> from bakeoff.papers.sparsity.lottery_ticket import lenet_300_100
        >>> lenet_300_100(784, 10)(torch.zeros(2, 1, 28, 28)).tolist() == torch.zeros(2, 10).tolist()
        True
    """
    first, second, last = layers = nn.Linear(inputs, 300), nn.Linear(300, 100), nn.Linear(100, classes)
    for layer in layers:
        nn.init.xavier_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), second, nn.ReLU(), last)


@contextmanager
def _only_kept_learn(weights: dict[str, Tensor], masks: dict[str, Tensor]) -> Iterator[None]:
    """Gradients of pruned weights are 0 inside the block, so a fresh Adam leaves them where they are: at 0."""
    kept = {weight: masks[name].to(weight.dtype) for name, weight in weights.items()}

    def hook(weight: Tensor) -> None:
        weight.grad.mul_(kept[weight])

    hooks = [weight.register_post_accumulate_grad_hook(hook) for weight in kept]
    try:
        yield
    finally:
        for one in hooks:
            one.remove()


def _reset(network: nn.Module, state: dict[str, Tensor], masks: dict[str, Tensor]) -> None:
    network.load_state_dict({name: value * masks[name] if name in masks else value for name, value in state.items()})


def classify(network: nn.Module, x: Tensor) -> Tensor:
    return _logits(network, x).argmax(1)


def _logits(network: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([network(part) for part in x.split(1000)])  # (N, K)


def _tensor(values, dtype: torch.dtype) -> Tensor:
    return values.to(dtype) if isinstance(values, Tensor) else torch.tensor(np.asarray(values), dtype=dtype)


def find(ticket: LotteryTicket, train, budget) -> LotteryTicket:
    x, y, held = torch.tensor(train.pixels), torch.tensor(train.labels), len(train) // 12
    return ticket.fit(x[held:], y[held:], steps=budget.steps, validation=(x[:held], y[:held]), on_step=budget.spend)


def memory(model: LotteryTicket) -> float:
    """Correlation of |theta_0| and |theta_j| in the dense net, the mean over its layers."""
    after = model.dense_.state_dict()
    pairs = [torch.stack([model.origin_[name].flatten(), after[name].flatten()]).abs() for name in model.masks_]
    return sum(torch.corrcoef(pair)[0, 1].item() for pair in pairs) / len(pairs)


def treatment(train, budget, seed):
    """The winning ticket: the remaining weights start from theta_0."""
    return find(LotteryTicket(start="original", seed=seed), train, budget)


def control(train, budget, seed):
    """The same search and the same mask; the remaining weights start from a fresh draw."""
    return find(LotteryTicket(start="redrawn", seed=seed), train, budget)


def score(model, test):
    """Test accuracy of the ticket (judged) and of the dense net, both in percent; weights left; learning speed; memory of the start."""
    x, y = torch.tensor(test.pixels), torch.tensor(test.labels)
    return {CLAIM.metric: 100 * (model.predict(x) == y).double().mean().item(),
            "accuracy of the dense net": 100 * (classify(model.dense_, x) == y).double().mean().item(),
            "weights remaining": 100 * model.remaining_[-1],
            "step of the lowest validation loss": min(model.validation_, key=lambda point: point[1])[0],
            "lowest validation loss": min(loss for _, loss in model.validation_),
            "correlation of sizes before and after": memory(model)}


def draw(model, test):
    """What the first layer still sees: how many connections each pixel keeps, beside the mean picture; and the busiest units' weights."""
    channels, *sides = test.pixels.shape[1:]
    name, mask = next(iter(model.masks_.items()))
    kept = mask.double().mean(0).view(channels, *sides).mean(0)  # (H, W)
    mean = torch.tensor(test.pixels).double().mean((0, 1))  # (H, W)
    units = model.ticket_.state_dict()[name][mask.sum(1).argsort(descending=True)[:8]].view(8, channels, *sides).mean(1)  # (8, H, W)
    units = units / (2 * units.abs().amax((1, 2), keepdim=True)) + 0.5  # 0 is grey
    title = f"Left: share of its {len(mask)} connections that each pixel keeps; white is {100 * kept.max():.0f} %. Right: the mean picture"
    return [Drawing.picture(title, torch.cat([kept / kept.max(), mean / mean.max()], 1).numpy()),
            Drawing.picture("Weights of the 8 units that keep most connections; grey is 0", torch.cat(list(units), 1).numpy())]
