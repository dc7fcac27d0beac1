"""Adversarial initial weights: the very numbers that an initialiser drew, in another order, and the network never learns.

Grosse, Trost, Mosbach, Backes, Klakow. On the Security Relevance of Initial Weights in Deep Neural Networks. ICANN 2020. arXiv:1902.03020.

Method: two layers y = ReLU(B ReLU(A x + a) + b) with inputs x >= 0 and biases that start at 0. Whoever sits in the initialiser sees
neither data nor task, and only permutes the entries of A and of B, so that every statistic of a tensor's values is what it was.

    soft knock-out: the share r_A of the rows of A get its lowest entries. Below zero on the average, they give negative sums, and
        their units are off; the other rows, positive, give units that are on. The share r_B of the columns of B, those fed by the
        units that are on, get its lowest entries: the second layer's sums are negative, its units off, and no gradient passes.
    shift: the same layout, the columns of B moved on cyclically by s. Less and less of the negative block meets units that are on;
        the number of living units rises from none to all, and with it the accuracy that training can reach.

A row is a unit with all its inputs (of a convolution: a filter), a column an input unit (a channel, with all that reads it).
The block's numbers, and the rest's, stay in the order in which they were drawn, which is as random as any.

Departures: the index layouts are built from the paper's description; which rows and columns (the first, the last) is of no
consequence, as units are alike. Two hidden layers of 256 and a small CNN, trained by Adam for a few epochs. Judged is the paper's
setting: zero biases, pixels in [0, 1]. Beside it stand settings that tell where the attack ends, each trained as long: torch's own
biases (it does not), inputs standardised, so that some are negative (it does), batch normalisation (it does: the statistics of a batch
undo the shift, though before training, with none, all units count as off), the CNN with its nine weights a filter (it hardly works),
and a shift by 40 of the 64 columns, which leaves about 1 % of the second layer's units alive and the accuracy at 60 to 70 %. An
adaptive defender knows the attack; what a look at the weights would show is measured: nothing in the values of a tensor (their
Kolmogorov-Smirnov distance from the drawn ones), everything in the share of units that are off before training starts.

Out of reach: the supply chain through which such an initialiser would come; deeper networks and CIFAR's.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple

import torch
from scipy import stats
from torch import Tensor, nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.parts.evaluating import evaluating
from bakeoff.parts.seeding import seeded
from bakeoff.parts.small_cnn import small_cnn
from bakeoff.parts.supervised import train as learn

PAPER = Paper(title="On the Security Relevance of Initial Weights in Deep Neural Networks",
              authors=("Grosse", "Trost", "Mosbach", "Backes", "Klakow"), year=2020, venue="ICANN", arxiv="1902.03020",
              also=("adversarial initialization", "adversarial initial weights", "initialization attack", "soft knockout attack",
                    "Adversarial Initialization - when your network performs the way I want",
                    "On the security relevance of weights in deep learning"))
CLAIM = Claim(says="Permuting the initial weights, with all their statistics kept and without knowing the data, limits the accuracy on "
                   "Fashion-MNIST to 50 % and less, where it was more than 90 %.",
              data="fashion-mnist", metric="accuracy", unit="percentage points", better="lower", margin=5.0,
              equal="steps", steps={"smoke": 60, "quick": 1800, "full": 60_000})
__all__ = ["inactive_units", "shift_attack", "soft_knockout"]


def soft_knockout(network: nn.Module, row_share: float = 0.75, column_share: float = 0.25) -> nn.Module:
    """Permute the weights of the first two layers so that, for inputs of 0 and more, the second's units are off.

    With row_share + column_share = 1 the second layer's negative columns are those of the units that stay on.

    Args:
        network: its first two `nn.Linear` or `nn.Conv2d` are attacked, the second reading the first through units that are never
            negative (ReLU); a flattening between a convolution and a dense layer is fine.
        row_share: of the first layer's rows that get its lowest weights; the paper's r_A. With 0 or 1 the layer is left as it is.
        column_share: of the second layer's columns, the last, that get its lowest weights; the paper's r_B.

    Returns:
        An attacked copy; the network itself is left as it is.

    Raises:
        ValueError: a share is outside [0, 1], there are no two such layers, or a parametrization computes their weights.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from bakeoff.papers.robustness.init_attack import inactive_units, soft_knockout
        >>> from bakeoff.parts.seeding import seeded
        >>> with seeded(0):
        ...     layers = [nn.Linear(50, 40, bias=False), nn.ReLU(), nn.Linear(40, 30, bias=False), nn.ReLU()]
        >>> attacked = soft_knockout(nn.Sequential(*layers))
        >>> inactive_units(attacked, torch.rand(100, 50, generator=torch.Generator().manual_seed(0)))  # 30 of 40, 30 of 30
        [0.75, 1.0]
    """
    return shift_attack(network, 0, row_share, column_share)


def shift_attack(network: nn.Module, shift: int, row_share: float = 0.75, column_share: float = 0.25) -> nn.Module:
    """The soft knock-out with the second layer's columns moved on cyclically: the larger the shift, the more units live.

    Args:
        network: as for `soft_knockout`.
        shift: in columns, one for each unit of the first layer; 0, or as many as there are, is the soft knock-out.
        row_share: as for `soft_knockout`.
        column_share: as for `soft_knockout`.

    Returns:
        An attacked copy; the network itself is left as it is.

    Raises:
        ValueError: a share is outside [0, 1], there are no two such layers, or a parametrization computes their weights.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from bakeoff.papers.robustness.init_attack import inactive_units, shift_attack
        >>> from bakeoff.parts.seeding import seeded
        >>> with seeded(0):
        ...     layers = [nn.Linear(50, 40, bias=False), nn.ReLU(), nn.Linear(40, 30, bias=False), nn.ReLU()]
        >>> x = torch.rand(100, 50, generator=torch.Generator().manual_seed(0))
        >>> inactive_units(shift_attack(nn.Sequential(*layers), shift=10), x)  # no unit that is on meets a negative column
        [0.75, 0.0]
    """
    if not (0 <= row_share <= 1 and 0 <= column_share <= 1):
        raise ValueError(f"expected shares in [0, 1], not row_share={row_share} and column_share={column_share}")
    attacked = deepcopy(network)
    first, second = _first_two(attacked)
    units = len(first)
    rows, columns = torch.zeros(units, dtype=torch.bool), torch.zeros(units, dtype=torch.bool)
    rows[:round(row_share * units)] = True
    columns[units - round(column_share * units):] = True
    a, b = first.view(units, -1), second.view(len(second), units, -1)  # (units, D), (outputs, units, positions that read a unit)
    a.copy_(_lowest_to(a, rows[:, None].expand_as(a)))
    b.copy_(_lowest_to(b, columns[:, None].expand_as(b)).roll(shift, 1))
    return attacked


def _first_two(network: nn.Module) -> tuple[Tensor, Tensor]:
    weights = [module.weight for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)][:2]
    if not all(isinstance(weight, nn.Parameter) for weight in weights):
        raise ValueError("expected plain weights, not ones computed anew (weight_norm, a mask), which would undo the attack; attack first, "
                         "or take that away by torch.nn.utils.parametrize.remove_parametrizations")
    if len(weights) < 2 or weights[1].shape[1] % len(weights[0]):
        raise ValueError("expected a network with two layers, nn.Linear or nn.Conv2d, the second of which reads the units of the first")
    return weights[0].detach(), weights[1].detach()


def _lowest_to(values: Tensor, block: Tensor) -> Tensor:
    """The same values with the lowest where `block` is True, the others elsewhere, each part in the order that it had."""
    lowest = torch.zeros(values.numel(), dtype=torch.bool, device=values.device)
    lowest[values.flatten().argsort(stable=True)[:int(block.sum())]] = True
    moved, low = torch.empty_like(values), lowest.view_as(values)
    moved[block], moved[~block] = values[low], values[~low]
    return moved


def inactive_units(network: nn.Module, images: Tensor) -> list[float]:
    """The share of units that none of the images switches on, for each `nn.ReLU` in the order in which they are reached.

    Args:
        network: any, in evaluation mode or not; it is run in evaluation mode.
        images: (B, ...) inputs.

    Returns:
        A share in [0, 1] for each; of a convolution, the share of channels.

    Raises:
        ValueError: there are no images.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from bakeoff.papers.robustness.init_attack import inactive_units
        >>> layer = nn.Linear(1, 4, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[1.0], [-1.0], [2.0], [-2.0]]))
        >>> inactive_units(nn.Sequential(layer, nn.ReLU()), torch.rand(8, 1))
        [0.5]
    """
    if not len(images):
        raise ValueError("expected one image or more, there are none")
    shares = []

    def look(module: nn.Module, inputs: tuple[Tensor], outputs: Tensor) -> None:
        shares.append(float((outputs.transpose(0, 1).flatten(1).amax(1) <= 0).double().mean()))

    hooks = [module.register_forward_hook(look) for module in network.modules() if isinstance(module, nn.ReLU)]
    try:
        with evaluating(network), torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return shares


def shuffled(network: nn.Module, seed: int) -> nn.Module:
    """A copy with the weights of the first two layers permuted at random."""
    moved, rng = deepcopy(network), torch.Generator().manual_seed(seed)
    for weight in _first_two(moved):
        weight.copy_(weight.flatten()[torch.randperm(weight.numel(), generator=rng)].view_as(weight))
    return moved


def dense(shape, classes: int, seed: int, *, normalised: bool = False, zero_biases: bool = True) -> nn.Sequential:
    """Two hidden layers of 256, torch's weights; biases start at 0."""
    with seeded(seed):
        layers = [nn.Flatten()]
        for inputs, outputs in ((shape.numel(), 256), (256, 256)):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs) if normalised else nn.Identity(), nn.ReLU()]
        return without_biases(nn.Sequential(*layers, nn.Linear(256, classes)), zero_biases)


def without_biases(network: nn.Module, zero: bool = True) -> nn.Module:
    for module in network.modules():
        if zero and isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.zeros_(module.bias)
    return network


class Trained(NamedTuple):
    """A network that started from permuted weights, and what could be seen of them before it was trained."""

    setting: str
    start: nn.Module
    network: nn.Module
    standardise: Callable[[Tensor], Tensor]
    inactive: float
    distance: float


def trained(train, budget, seed, attack, shift) -> list[Trained]:
    """One network for each setting, its weights permuted by `attack` (by `shift` in the last) and trained for a sixth of the steps."""
    x, y, classes = torch.tensor(train.pixels[:10_000]), torch.tensor(train.labels[:10_000]), len(train.classes)
    mean, spread, shape = x.mean(), x.std(), x.shape[1:]

    def standardise(pixels):
        return (pixels - mean) / spread

    def same(pixels):
        return pixels

    plain = dense(shape, classes, seed)
    settings = [("", plain, same, attack),
                ("torch's biases", dense(shape, classes, seed, zero_biases=False), same, attack),
                ("standardised inputs", plain, standardise, attack),
                ("batch normalisation", dense(shape, classes, seed, normalised=True), same, attack),
                ("CNN", without_biases(small_cnn(shape, classes, seed=seed, width=8, hidden=64)), same, attack),
                ("shift", plain, same, shift)]
    found = []
    for name, drawn, change, permute in settings:
        start = permute(drawn)
        network = learn(deepcopy(start), change(x), y, steps=budget.steps // len(settings), learning_rate=1e-3, batch_size=128, seed=seed,
                        on_step=budget.spend)
        distance = max(stats.ks_2samp(one.flatten(), other.flatten(), method="asymp").statistic
                       for one, other in zip(_first_two(drawn), _first_two(start), strict=True))
        found.append(Trained(name, start, network, change, inactive_units(start, change(x[:500]))[1], distance))
    return found


def treatment(train, budget, seed):
    """Initial weights permuted by the attacks."""
    return trained(train, budget, seed, soft_knockout, lambda network: shift_attack(network, 40))


def control(train, budget, seed):
    """The same initial weights permuted at random."""
    return trained(train, budget, seed, lambda network: shuffled(network, seed), lambda network: shuffled(network, seed))


def score(model, test):
    """Test accuracy in percent, of the paper's setting (judged) and of the others; what the start would have shown."""
    x, y, found = torch.tensor(test.pixels[:2000]), torch.tensor(test.labels[:2000]), {}
    for one in model:
        with torch.no_grad():
            right = one.network(one.standardise(x)).argmax(1) == y
        found[f"{CLAIM.metric}, {one.setting}".rstrip(", ")] = 100 * right.double().mean().item()
        found[f"units of layer 2 that are off at the start, {one.setting}".rstrip(", ")] = 100 * one.inactive
    return found | {"Kolmogorov-Smirnov distance from the drawn weights": max(one.distance for one in model)}


def draw(model, test):
    """The first two weight tensors at the start, as matrices."""
    first, second = (weight / weight.abs().max() / 2 + 0.5 for weight in _first_two(model[0].start))
    title = "Start weights (grey is 0): A, a row for each of 256 units, and B, a column for each of them"
    return [Drawing.picture(title, torch.cat([first, torch.ones(len(first), 8), second], 1).numpy())]
