"""Test error in noise: how often Gaussian noise fools a classifier tells how near its nearest error lies, so noise training moves both.

Ford, Gilmer, Carlini, Cubuk. Adversarial Examples Are a Natural Consequence of Test Error in Noise. ICML 2019. arXiv:1901.10513.

Method: for an image x of class y let mu be the probability that f errs at x + n, n ~ N(0, s^2 I). Were the errors a half space, its border
would lie at the distance

    d = -s Phi^-1(mu)

from x, and by the Gaussian isoperimetric inequality no set of the same measure is farther from the typical noisy copy of x. Phi is the
normal distribution function: one error in a hundred at s = 0.1 already puts an error within 0.23, though the noise itself is 0.1 sqrt(D)
long. The paper compares d with the length of the smallest L2 change found by an attack. They come close for plain and for noise-trained
networks, so a network made better in noise (by x + n in training) must have its errors farther away; and a defence that leaves the error
in noise where it was cannot have moved its errors, however little an attack by gradients finds.

Departures: a small CNN and Adam in place of a WideResNet; the attack is the shortest of three, each drawn back to the border by bisection:
DDN and DeepFool in place of PGD over radii, and the noise itself, which asks for no gradient, so hiding gradients cannot lengthen what is
found beyond it. Neither noise nor attack is clipped to the range of pixels, as the half space asks. A distance judged is at most sqrt(D),
also where nothing was found, as for a net that gives one class always. s = 0.3 for the comparison, 0.2 for the treatment's training, both
set beforehand and not tuned, as is the learning rate of 2e-3 for both arms. The paper's second relation, of predicted to measured
distance over images, is reported as rank correlations, with that of plain confidence beside it. On seeds apart, at `quick`: 0.74 and 0.78
with noise (predicted 0.77 and 0.72), 0.55 and 0.41 without (0.49 and 0.37); the ranks agree at 0.84 to 0.90.

Out of reach: ImageNet and its corruptions; the list of broken defences. That noise in training lengthens the way to the nearest error is
what the paper says should follow; by how much is what is measured.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor, nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.parts.attacks import decoupled, deepfool, lengths, right
from bakeoff.parts.attacks.outcomes import finite
from bakeoff.parts.evaluating import evaluating
from bakeoff.parts.small_cnn import small_cnn
from bakeoff.parts.supervised import train as learn

PAPER = Paper(title="Adversarial Examples Are a Natural Consequence of Test Error in Noise", authors=("Ford", "Gilmer", "Carlini", "Cubuk"),
              year=2019, venue="ICML", arxiv="1901.10513", also=("test error in noise", "half-space distance"))
CLAIM = Claim(says="Training under Gaussian noise moves the nearest errors away, about as far as the error in noise predicts for a half "
                   "space: 1 % of errors at s = 0.1 stand for a distance of 0.23.",
              data="fashion-mnist", metric="median minimal L2 change", unit="pixel ranges", better="higher", margin=0.05, equal="steps",
              steps={"smoke": 20, "quick": 1500, "full": 40_000})
__all__ = ["half_space_distance", "minimal_l2", "noise_error_rate"]


def half_space_distance(error_rate, noise: float):
    """How far the errors would be, were they a half space: d = -s Phi^-1(mu).

    Args:
        error_rate: mu, the share of noisy copies that are wrong, in [0, 1]; a number or an array.
        noise: s, the standard deviation of the noise, in the unit of x.

    Returns:
        d of the shape of error_rate, in the unit of x: 0 at mu = 1/2, negative above, infinite at 0 and 1.

    Raises:
        ValueError: an error rate outside [0, 1], or noise that is not above 0.

    Example:
        >>> from bakeoff.papers.robustness.corruption_robustness import half_space_distance
        >>> round(half_space_distance(0.01, noise=0.1), 4)
        0.2326
    """
    rate = np.asarray(error_rate, float)
    if not (noise > 0 and ((rate >= 0) & (rate <= 1)).all()):
        raise ValueError("expected error rates in [0, 1] and noise above 0")
    found = -noise * special.ndtri(rate)
    return found if rate.ndim else float(found)


def noise_error_rate(model: nn.Module, x: Tensor, y: Tensor, noise: float, draws: int = 1000, *, seed: int = 0, batch: int = 500) -> Tensor:
    """mu of each image: the share of its noisy copies that the model gets wrong.

    Args:
        model: (B, ...) -> (B, K) logits; looked at in evaluation mode and left as it was.
        x: (B, ...) images; the noisy copies are not clipped to any range.
        y: (B,) true classes.
        noise: s, the standard deviation, in the unit of x.
        draws: noisy copies of each image.
        seed: decides the noise.
        batch: copies in memory at once.

    Returns:
        (B,) shares in [0, 1].

    Raises:
        ValueError: x is not of finite floats, y not of its classes, noise or draws are not above 0, or logits are not finite (B, K).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from bakeoff.papers.robustness.corruption_robustness import noise_error_rate
        >>> model = nn.Linear(1, 2, bias=False)
        >>> _ = model.weight.data.copy_(torch.tensor([[1.0], [-1.0]]))  # class 0 above 0
        >>> 0.15 < float(noise_error_rate(model, torch.tensor([[0.5]]), torch.tensor([0]), noise=0.5)) < 0.17  # one deviation: 0.159
        True
    """
    _check(x, y, noise, draws)
    rng = torch.Generator(x.device).manual_seed(seed)
    wrong = []
    with evaluating(model), torch.no_grad():
        for rows in torch.arange(len(x) * draws, device=x.device).div(draws, rounding_mode="floor").split(batch):
            copies = torch.randn((len(rows), *x.shape[1:]), generator=rng, dtype=x.dtype, device=x.device).mul_(noise).add_(x[rows])
            wrong.append(finite(model(copies), y[rows]).argmax(1) != y[rows])
    return torch.cat(wrong).view(len(x), draws).float().mean(1) if len(x) else x.new_zeros(0)


def minimal_l2(model: nn.Module, x: Tensor, y: Tensor, *, steps: int = 100, noise: float = 0.3, draws: int = 10,
               bounds: tuple[float, float] = (0.0, 1.0), seed: int = 0) -> Tensor:
    """The length of the shortest change found that fools the model, an upper bound of the distance to its nearest error.

    Args:
        model: (B, ...) -> (B, K) logits; left as it was.
        x: (B, ...) images inside the bounds.
        y: (B,) true classes.
        steps: gradients of the longer attack.
        noise: standard deviation of the noisy copies that are tried as well.
        draws: how many of them.
        bounds: (lowest, highest) value of a pixel; infinities for none.
        seed: decides the noise.

    Returns:
        (B,) lengths in the unit of x: 0 where the model is wrong already, infinite where nothing fooled it.

    Raises:
        ValueError: x is not of finite floats inside the bounds, y not of its classes, or logits are not finite (B, K).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from bakeoff.papers.robustness.corruption_robustness import minimal_l2
        >>> model = nn.Linear(2, 2, bias=False)
        >>> _ = model.weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> round(float(minimal_l2(model, torch.tensor([[0.7, 0.5]]), torch.tensor([0]))), 3)  # 0.2 / sqrt 2
        0.141
    """
    _check(x, y, noise, draws)
    x, rng = x.detach(), torch.Generator(x.device).manual_seed(seed)
    noisy = [(x + noise * torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)).clamp(*bounds) for _ in range(draws)]
    found = [decoupled(model, x, y, steps=steps, bounds=bounds), deepfool(model, x, y, bounds=bounds), *noisy]
    nearest = torch.stack([_to_border(model, x, y, other) for other in found]).amin(0)  # (B,)
    return torch.where(right(model, x, y), nearest, 0.0)


def _to_border(model: nn.Module, x: Tensor, y: Tensor, other: Tensor) -> Tensor:
    """How far along the way from x to the other one the model errs first, by bisection; infinite where it is right there: (B,)."""
    fooled = ~right(model, x, y) | ~right(model, other, y)
    low, high = torch.zeros(len(x), dtype=x.dtype, device=x.device), torch.ones(len(x), dtype=x.dtype, device=x.device)
    for _ in range(12):
        middle = (low + high) / 2
        wrong = ~right(model, x + middle.view(-1, *[1] * (x.ndim - 1)) * (other - x), y)
        low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
    return torch.where(fooled, high * lengths(other - x, 2), torch.inf)


def _check(x, y, noise: float, draws: int) -> None:
    if not (isinstance(x, Tensor) and x.is_floating_point() and isinstance(y, Tensor) and y.shape == x.shape[:1]):
        raise ValueError("expected x as a tensor of floats (B, ...) and y as one of classes (B,); for one image, x[None]")
    if not bool(x.isfinite().all()):
        raise ValueError("expected finite x, some pixels are not")
    if not (noise > 0 and draws > 0):
        raise ValueError(f"expected noise and draws above 0, got {noise} and {draws}")


TRAINING, NOISE, FREE = 0.2, 0.3, (-torch.inf, torch.inf)
TESTED = {"smoke": (20, 20), "quick": (200, 300), "full": (1000, 1000)}  # test images, noisy copies of each


def distances(network: nn.Module, x: Tensor, y: Tensor, draws: int):
    """The smallest change found, the one predicted from noise (a rate of none or all counted as half an error), confidence: each (B,)."""
    rate = (noise_error_rate(network, x, y, NOISE, draws).double().numpy() * draws + 0.5) / (draws + 1)
    with evaluating(network), torch.no_grad():
        confidence = network(x).softmax(1).amax(1).numpy()
    return minimal_l2(network, x, y, bounds=FREE).double().numpy(), half_space_distance(rate, NOISE), confidence


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(stats.spearmanr(a, b).statistic) if len(a) > 2 and np.ptp(a) > 0 and np.ptp(b) > 0 else 0.0


def trained(train, budget, seed, noise: float):
    """A small CNN trained under Gaussian noise, and on how many images and noisy copies of each it is to be tested."""
    network = small_cnn(train.pixels.shape[1:], len(train.classes), seed=seed, width=8, hidden=64)
    learn(network, torch.tensor(train.pixels), torch.tensor(train.labels), steps=budget.steps, learning_rate=2e-3, batch_size=64, seed=seed,
          change=lambda x, rng: x + noise * torch.randn(x.shape, generator=rng), on_step=budget.spend)
    return network, *TESTED[budget.name]


def treatment(train, budget, seed):
    """Trained under noise."""
    return trained(train, budget, seed, noise=TRAINING)


def control(train, budget, seed):
    """Trained without."""
    return trained(train, budget, seed, noise=0.0)


def score(model, test):
    network, count, draws = model
    x, y = torch.tensor(test.pixels[:count]), torch.tensor(test.labels[:count])
    measured, predicted, confidence = distances(network, x, y, draws)
    known = np.isfinite(measured) & (measured > 0)
    capped = np.minimum(measured, x[0].numel() ** 0.5)  # the diagonal of the images' cube, where a net that says one class has no error
    return {CLAIM.metric: float(np.median(capped)), "median predicted by a half space": float(np.median(predicted)),
            "accuracy": 100 * float((measured > 0).mean()),
            "accuracy in noise": 100 * float(1 - noise_error_rate(network, x, y, NOISE, 10, seed=1).mean()),
            "rank correlation with the prediction": _correlation(measured[known], predicted[known]),
            "rank correlation with confidence": _correlation(measured[known], confidence[known])}


def draw(model, test):
    network, count, draws = model
    x, y = torch.tensor(test.pixels[:min(count, 100)]), torch.tensor(test.labels[:min(count, 100)])
    measured, predicted, _ = distances(network, x, y, draws)
    good = np.isfinite(measured) & (predicted >= 0)
    top, side = max(float(measured[good].max(initial=1e-9)), float(predicted[good].max(initial=1e-9))), 240
    plane = np.ones((side, side, 3))
    plane[np.arange(side)[::-1], np.arange(side)] = 0.7  # where both are equal
    for across, up in zip(predicted[good] / top, measured[good] / top, strict=True):
        row, column = (int(share * (side - 4)) for share in (1 - up, across))
        plane[row:row + 4, column:column + 4] = (0.1, 0.3, 0.7)
    return [Drawing.picture(f"Smallest change found (up) against the half space's (across), both from 0 to {top:.2f}", plane)]
