"""CapsAttacks: pixels that bring a capsule network nearest to a wrong answer are changed where the picture is busy, and less is seen.

Marchisio, Nanfa, Khalid, Hanif, Martina, Shafique. 2019. arXiv:1901.09878.

Method: a targeted attack by outputs alone. With P the outputs and t the class wanted,

    gap(x) = P_t - max over other classes of P,
    SD = the standard deviation of an entry's channel in the 3 x 3 window around it.

A round asks the network about x with each single entry raised and lowered by delta, keeps the better sign, and moves at once the M
entries of highest priority

    SD x (gap of the changed image - gap(x)),

as far as that is above 0; it ends when the gap is above a threshold, the distance D = sum |change| / SD exceeds a limit, or no entry helps.
The network of Sabour, Frosst and Hinton (arXiv:1710.09829): convolution, then primary capsules u_i, then one capsule a class, routed by
agreement. From u_ij = W_ij u_i and b = 0, a few times over:

    c_i = softmax(b_i),  s_j = sum_i c_ij u_ij,  v_j = |s_j|^2 / (1 + |s_j|^2) s_j / |s_j|,  b_ij += u_ij . v_j;

P_j = |v_j|, trained by T max(0, 0.9 - P)^2 + (1 - T) max(0, P - 0.1)^2 / 2 with T the true class.

Departures: the order of the steps, M and delta are this file's; SD is the first image's, so that the attack's own noise is no texture. The
network is small (8 channels, 64 primary capsules of 4 numbers, class capsules of 8, two rounds of routing), without the decoder that
reconstructs; the agreement is differentiated through in the last round only. The class wanted is the one ranked second. D rewards SD by
its definition, so the judge is another, though one with a leaning of its own (SSIM divides by the local variance, so the same change
weighs less where the picture is busy, as it does for people): 1 - SSIM at the first success, 1 where there was none, and of that the
median over images, which one failure does not swamp. Beside it stands the L2 length of the change after a blur, which leans to neither
arm. Neither arm has anything to tune: delta, M and rounds are the same, and both attack the same network. The comparison with CNNs of 5
and 9 layers is left out: `caps_attack` takes any network.

Out of reach: traffic signs (GTSRB) and their CNNs; what people see, of which SSIM is a stand-in.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.parts.attacks import lengths
from bakeoff.parts.attacks.outcomes import finite
from bakeoff.parts.evaluating import evaluating
from bakeoff.parts.learning import inputs, learn
from bakeoff.parts.picture_filters import blurred
from bakeoff.parts.seeding import seeded

PAPER = Paper(title="CapsAttacks: Robust and Imperceptible Adversarial Attacks on Capsule Networks",
              authors=("Marchisio", "Nanfa", "Khalid", "Hanif", "Martina", "Shafique"), year=2019, venue="arXiv",
              arxiv="1901.09878", also=("CapsAttacks", "CapsAttack"))
CLAIM = Claim(says="An attack that weighs each pixel's gain by how busy the picture is around it misleads a capsule network (in the "
                   "paper of 43 traffic signs) by changes that are seen less than those of the same attack by the gain alone.",
              data="fashion-mnist", metric="median 1 - SSIM of what misleads", unit="of 1", better="lower", margin=0.01,
              equal="steps", steps={"smoke": 20, "quick": 250, "full": 10_000})
__all__ = ["CapsuleNetwork", "caps_attack", "ssim"]


def caps_attack(model: nn.Module, x: Tensor, target: Tensor, *, delta: float = 0.1, pixels: int = 20, max_distance: float = float("inf"),
                rounds: int = 50, gap: float = 0.0, weigh: bool = True, area: Tensor | None = None, batch: int = 4096,
                bounds: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Change images, few entries a round, until the model gives them the class wanted.

    Args:
        model: (B, C, H, W) -> (B, K) probabilities or the lengths of capsules; only asked, never differentiated, and left as it was.
        x: (B, C, H, W) images inside the bounds.
        target: (B,) class numbers wanted.
        delta: how far an entry moves in a round; clipped at the bounds.
        pixels: entries moved in a round at most; the paper's M.
        max_distance: the round that would exceed this sum of |change| / SD is not made.
        rounds: at most; each asks the model 2 C H W times an image, or twice for each entry of `area`.
        gap: the target's output has to exceed every other's by more than this.
        weigh: whether the priority is SD x gain, as in the paper, or the gain alone.
        area: (H, W) booleans, the pixels that may be changed; None for all.
        batch: images asked about at once.
        bounds: (lowest, highest) value of an entry.

    Returns:
        (B, C, H, W), a new tensor, in bounds; it may still miss the target where no entry helped or the limits were reached.

    Raises:
        ValueError: x is not of that shape or outside the bounds, or a number is out of range.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from bakeoff.papers.robustness.caps_attacks import caps_attack
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False))
        >>> _ = model[1].weight.data.copy_(torch.stack((torch.ones(16), torch.zeros(16))))
        >>> x = torch.linspace(0, 0.3, 16).view(1, 1, 4, 4)
        >>> moved = caps_attack(model, x, torch.tensor([1]), gap=-1.0, pixels=3)
        >>> bool(model(moved)[0, 0] < 1.0), bool((moved <= x).all())
        (True, True)
    """
    _check(x, bounds, delta, pixels, rounds)
    result = x.detach().clone()
    if not len(x):
        return result
    busy = deviation(result)  # the SD of the first image
    free = torch.arange(x[0].numel(), device=x.device)
    if area is not None:
        free = free[area.expand(x.shape[1:]).flatten()]
    live = torch.arange(len(x), device=x.device)
    with evaluating(model), torch.no_grad():
        for _ in range(rounds):
            now = _gap(finite(model(result[live]), target[live]), target[live])
            live, now = live[now <= gap], now[now <= gap]
            if not len(live):
                break
            step, gain = _best_signs(model, result[live], target[live], now, free, delta, batch, bounds)  # each (b, D)
            priority = gain * busy[live].flatten(1) if weigh else gain
            chosen = torch.zeros_like(gain, dtype=torch.bool).scatter_(1, priority.topk(min(pixels, gain.shape[1])).indices, True)
            moved = result[live] + torch.where(chosen & (priority > 0), step, 0.0).view_as(result[live])
            fits = (distance(moved.clamp(*bounds), x[live]) <= max_distance) & (moved != result[live]).flatten(1).any(1)
            live = live[fits]
            result[live] = moved[fits].clamp(*bounds)
    return result


def _check(x: Tensor, bounds, delta: float, pixels: int, rounds: int) -> None:
    if x.ndim != 4 or not x.is_floating_point():
        raise ValueError(f"expected images (B, C, H, W) of floats, got {x.dtype} {tuple(x.shape)}; for one image, x[None]")
    if len(x) and not bounds[0] <= float(x.min()) <= float(x.max()) <= bounds[1]:
        raise ValueError(f"expected pixels in {bounds}, got {float(x.min()):g} to {float(x.max()):g}")
    if not (delta > 0 and pixels > 0 and rounds >= 0):
        raise ValueError(f"expected delta and pixels above 0, rounds of at least 0, got {delta}, {pixels}, {rounds}")


def _gap(outputs: Tensor, target: Tensor) -> Tensor:
    """The output (B, K) of the target above the highest other: (B,)."""
    wanted = target[:, None]
    return outputs.gather(1, wanted)[:, 0] - outputs.scatter(1, wanted, -torch.inf).amax(1)


def _best_signs(model, x, target, now, free, delta, batch, bounds) -> tuple[Tensor, Tensor]:
    """For each entry the better of +delta and -delta, and what it gains: (b, D) each, 0 where an entry is not free."""
    step, gain = (torch.zeros_like(x.flatten(1)) for _ in range(2))
    one = torch.eye(x[0].numel(), dtype=x.dtype, device=x.device)[free].view(-1, *x.shape[1:]) * delta  # (F, C, H, W)
    for row in range(len(x)):
        tried = torch.cat([(x[row] + sign * part).clamp(*bounds) for sign in (1, -1) for part in (one,)])  # (2 F, C, H, W)
        outputs = torch.cat([model(part) for part in tried.split(batch)])
        raised, lowered = (_gap(outputs, target[row].expand(len(outputs))) - now[row]).chunk(2)
        gain[row, free] = torch.maximum(raised, lowered)
        step[row, free] = torch.where(raised >= lowered, delta, -delta)
    return step, gain


def deviation(x: Tensor) -> Tensor:
    """SD: the standard deviation in the 3 x 3 window around every entry of (B, C, H, W), its edge repeated outwards."""
    windows = F.unfold(F.pad(x, (1, 1, 1, 1), mode="replicate").flatten(0, 1)[:, None], 3)  # (B C, 9, H W)
    return windows.std(1, correction=0).view_as(x)


def distance(changed: Tensor, x: Tensor) -> Tensor:
    """D = sum |change| / SD of images (B, C, H, W): (B,); infinite where a flat place was changed."""
    change = (changed - x).abs()
    return torch.where(change > 0, change / deviation(x), 0.0).flatten(1).sum(1)


class CapsuleNetwork(nn.Module):
    """Capsules routed by agreement: (B, C, H, W) -> (B, K) lengths in [0, 1), the longest is the answer.

    Args:
        shape: (C, H, W) of one image.
        n_classes: K.
        routing: rounds of routing.
        channels: of the first convolution.
        capsules: kinds of primary capsules, one of each at every place.
        primary: numbers in a primary capsule.
        size: numbers in a class's capsule.
        seed: decides the start weights.

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.caps_attacks import CapsuleNetwork
        >>> lengths = CapsuleNetwork((1, 28, 28), 10, seed=0)(torch.rand(2, 1, 28, 28))
        >>> lengths.shape, bool((lengths >= 0).all() and (lengths < 1).all())
        (torch.Size([2, 10]), True)
    """

    def __init__(self, shape: tuple[int, int, int], n_classes: int, *, routing: int = 3, channels: int = 8, capsules: int = 4,
                 primary: int = 4, size: int = 8, seed: int = 0):
        super().__init__()
        self.routing, self.primary = routing, primary
        kernel, padding = (5, 0) if min(shape[1:]) > 12 else (3, 1)
        with seeded(seed):
            self.features = nn.Sequential(nn.Conv2d(shape[0], channels, kernel, 2, padding), nn.ReLU(),
                                          nn.Conv2d(channels, capsules * primary, kernel, 2, padding))
            with torch.no_grad():
                places = self.features(torch.zeros(1, *shape))[0, 0].numel()
            self.turns = nn.Parameter(0.1 * torch.randn(places * capsules, n_classes, size, primary))  # W

    def forward(self, x: Tensor) -> Tensor:
        maps = self.features(x)  # (B, capsules primary, h, w)
        capsules = squash(maps.unflatten(1, (-1, self.primary)).permute(0, 1, 3, 4, 2).flatten(1, 3))  # (B, I, primary)
        return route(torch.einsum("bip,ikdp->bikd", capsules, self.turns), self.routing).norm(dim=2)


def route(votes: Tensor, rounds: int) -> Tensor:
    """Routing by agreement: what I capsules vote for K classes, (B, I, K, D), comes to the classes' capsules (B, K, D)."""
    agreement = torch.zeros_like(votes[..., 0])  # b (B, I, K)
    fixed = votes.detach()
    for _ in range(rounds - 1):
        capsules = squash(torch.einsum("bik,bikd->bkd", agreement.softmax(2), fixed))
        agreement = agreement + torch.einsum("bikd,bkd->bik", fixed, capsules)
    return squash(torch.einsum("bik,bikd->bkd", agreement.softmax(2), votes))


def squash(s: Tensor) -> Tensor:
    """Vectors (..., D) turned into ones of the same direction and a length |s|^2 / (1 + |s|^2) in [0, 1)."""
    square = s.square().sum(-1, keepdim=True)
    return s * (square + 1e-12).sqrt() / (1 + square)


def capsule_loss(lengths: Tensor, y: Tensor) -> Tensor:
    """The margin loss of lengths (B, K) and classes (B,): ()."""
    true = F.one_hot(y, lengths.shape[1])
    return (true * (0.9 - lengths).relu().square() + 0.5 * (1 - true) * (lengths - 0.1).relu().square()).sum(1).mean()


def ssim(x, other, *, sigma: float = 1.5) -> Tensor:
    """The structural similarity of images (B, C, H, W) in [0, 1], Gaussian windows of 11 x 11 or what fits: (B,). Wang and others, 2004.

    Args:
        x, other: (B, C, H, W), values in [0, 1]; tensors or arrays.
        sigma: of the window, in pixels; above 0.

    Raises:
        ValueError: they are not of one such shape, values are not in [0, 1], or sigma is not above 0.

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.caps_attacks import ssim
        >>> x = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0))
        >>> round(float(ssim(x, x)), 6), bool(ssim(x, 1 - x) < 0)
        (1.0, True)
    """
    x, other = inputs(x), inputs(other)
    if x.ndim != 4 or x.shape != other.shape or not sigma > 0:
        raise ValueError(f"expected two batches (B, C, H, W) of one shape and sigma above 0, found {tuple(x.shape)}, {tuple(other.shape)} "
                         f"and {sigma}")
    other = other.to(x.dtype)
    reach = min(5, (min(x.shape[2:]) - 1) // 2)
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=x.device) / sigma) ** 2).to(x.dtype)
    window = (line[:, None] * line / line.sum() ** 2)[None, None]

    def mean(images):
        return F.conv2d(images.flatten(0, 1)[:, None], window)

    first, second = mean(x), mean(other)
    variances = mean(x * x) - first ** 2 + mean(other * other) - second ** 2
    covariance = mean(x * other) - first * second
    found = ((2 * first * second + 1e-4) * (2 * covariance + 9e-4)) / ((first ** 2 + second ** 2 + 1e-4) * (variances + 9e-4))
    return found.flatten(1).mean(1).view(len(x), -1).mean(1)


@torch.no_grad()
def wanted(network: nn.Module, test, count: int) -> tuple[Tensor, Tensor, float]:
    """The first images that the network gets right, the class it ranks second for each, and its accuracy in %."""
    x, y = torch.tensor(test.pixels[:2000]), torch.tensor(test.labels[:2000])
    ranked = network(x).topk(2).indices  # (B, 2)
    right = ranked[:, 0] == y
    return x[right][:count], ranked[right][:count, 1], 100 * float(right.double().mean())


def percent(truths: Tensor) -> float:
    """The share of truths, in %; 0 of none."""
    return 100 * float(truths.double().sum() / max(truths.numel(), 1))


TRIED = {"smoke": (1, 2), "quick": (12, 25), "full": (100, 60)}  # images, rounds


def attacked_network(train, budget, seed, weigh: bool):
    """A trained capsule network, and by which priority how many images are to be attacked in how many rounds."""
    network = CapsuleNetwork(train.pixels.shape[1:], len(train.classes), routing=2, seed=seed)
    learn(network, torch.tensor(train.pixels), torch.tensor(train.labels), lambda network, x, y, rng, done: capsule_loss(network(x), y),
          steps=budget.steps, learning_rate=5e-3, batch_size=128, seed=seed, on_step=budget.spend)
    return network, weigh, *TRIED[budget.name]


def treatment(train, budget, seed):
    """Priority: SD x gain."""
    return attacked_network(train, budget, seed, weigh=True)


def control(train, budget, seed):
    """Priority: gain."""
    return attacked_network(train, budget, seed, weigh=False)


def score(model, test):
    network, weigh, images, rounds = model
    x, target, accuracy = wanted(network, test, images)
    moved = caps_attack(network, x, target, rounds=rounds, weigh=weigh)
    with torch.no_grad():
        done, darker, aside = (network(part).argmax(1) == target for part in (moved, 0.9 * moved, moved.roll(1, 3)))
    unlike = torch.where(done, 1 - ssim(x, moved), 1.0)
    touched, flat = (moved != x).flatten(1), deviation(x).flatten(1) < 0.02  # each (B, D)
    return {CLAIM.metric: float(unlike.quantile(0.5)), "misled": percent(done), "accuracy": accuracy,
            "median L2 of the blurred change": float(lengths(blurred(moved - x, 1.0), 2).quantile(0.5)),
            "mean 1 - SSIM where misled": float((unlike * done).sum() / done.sum().clamp_min(1)),
            "changed entries": float(touched.double().sum(1).mean()), "changed in flat places": percent(flat[touched]),
            "still misled when darker": percent(darker[done]), "still misled when moved aside": percent(aside[done])}


def draw(model, test):
    network, weigh, _, rounds = model
    x, target, _ = wanted(network, test, 6)
    moved = caps_attack(network, x, target, rounds=rounds, weigh=weigh)
    rows = [torch.cat(list(row.permute(0, 2, 3, 1)), 1) for row in (x, moved, 0.5 + (moved - x) / 2)]  # each (H, 6 W, C)
    said = ", ".join(test.classes[int(label)] for label in target)
    return [Drawing.picture(f"Test images; the same, to be taken for {said}; what was changed", torch.cat(rows).numpy())]
