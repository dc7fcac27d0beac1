"""Randomised smoothing: a classifier's majority vote under Gaussian noise cannot be changed within a radius that the vote's margin proves.

Cohen, Rosenfeld, Kolter. ICML 2019. arXiv:1902.02918.

Method: f is any classifier; the smoothed one answers with the class that f gives most often around x,

    g(x) = argmax_c P(f(x + e) = c),  e ~ N(0, sigma^2 I).

If the winner A has P(A) >= pA >= pB >= P(every other), then g gives A within the L2 distance

    R = sigma / 2 (Phi^-1(pA) - Phi^-1(pB)),

and no larger radius holds for every f with these probabilities. `certify`: n0 noisy copies choose A; n fresh ones count it;
pA is the exact (Clopper-Pearson) lower bound at confidence 1 - alpha, pB <= 1 - pA, so R = sigma Phi^-1(pA), or
the answer is withheld where pA <= 1/2. `predict`: the most frequent class of n copies, withheld unless a two-sided
binomial test tells it from the second at level alpha. f is trained by cross-entropy on x + e, one draw an image and step.

Departures: a small CNN with Adam, the same steps for both arms, instead of a ResNet for 90 epochs; n = 1,000 copies (10,000 at
`full`) instead of 100,000, so that no radius exceeds sigma Phi^-1(alpha^(1/n)) = 0.62 (0.80). sigma = 0.25 in pixels of [0, 1] for
every data set, the paper's best at the judged radius. Both arms are smoothed with it: of 0.22, 0.25, 0.3, 0.4 and 0.5 it
certified most for the control (81 % of 200 training images of MNIST kept aside, at `quick`); the treatment had 94 % from 0.22 to 0.5.

Out of reach: ImageNet; radii above the cap that n sets; whether another sigma would serve the control better on other data. A
certificate speaks of real numbers, while the network adds floats. That noise in training helps under noise is expected, and the
paper says so; how much it adds to the certificates is what is measured.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import special
from torch import Tensor, nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.parts.evaluating import evaluating
from bakeoff.parts.small_cnn import small_cnn
from bakeoff.parts.supervised import train as learn

PAPER = Paper(title="Certified Adversarial Robustness via Randomized Smoothing", authors=("Cohen", "Rosenfeld", "Kolter"), year=2019,
              venue="ICML", arxiv="1902.02918", also=("randomized smoothing", "randomised smoothing", "certified L2 robustness"))
CLAIM = Claim(says="Smoothing certifies at L2 radius 0.5 (49 % of ImageNet's test images) with a net that was trained under the same "
                   "Gaussian noise; without noise in training fewer of the test images can be certified.",
              data="mnist", metric="certified accuracy at radius 0.5", unit="percentage points", better="higher", margin=2.0,
              equal="steps", steps={"smoke": 20, "quick": 1500, "full": 40_000})
__all__ = ["Smoothed", "lower_bound"]

ABSTAIN = -1
STREAM = 0x5EED  # mixed into the seed: a certificate's noise may not be what a model trained by a generator of the same seed has seen


class Smoothed:
    """The smoothed version of a classifier: labels that no L2 change within a stated radius can alter.

    The model votes in evaluation mode and without gradients; its modules' own modes are put back. Every call
    draws its noise from `seed` alone, so a call repeated gives the same answer. The stated probabilities are those over
    the noise: they hold for images chosen without knowing it, and not for a seed chosen by its answers.

    Args:
        model: a network (B, C, H, W) -> (B, K) logits, K >= 2.
        sigma: standard deviation of the noise, in the unit of x; the paper's sigma. A model trained under this noise certifies most.
        seed: decides the noise.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from bakeoff.papers.robustness.randomized_smoothing import Smoothed
        >>> halves = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
        >>> _ = halves[1].weight.data.copy_(torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]]))
        >>> x = torch.tensor([0.3, 0.9, 0.1, 0.5]).view(1, 1, 2, 2)  # 0.3 from the boundary
        >>> labels, radii = Smoothed(halves, sigma=0.25).certify(x)
        >>> labels.tolist(), 0.25 < float(radii) < 0.3
        ([0], True)
    """

    def __init__(self, model: nn.Module, sigma: float = 0.25, *, seed: int = 0):
        self.model, self.sigma, self.seed = model, sigma, seed

    def certify(self, x: Tensor, *, n0: int = 100, n: int = 100_000, alpha: float = 0.001, batch: int = 200):
        """The label of each image and the L2 radius within which it cannot change, wrong with probability alpha at most.

        Args:
            x: (B, C, H, W) images; floats, where the model is.
            n0: noisy copies that choose the label.
            n: further copies that count it; no radius exceeds sigma Phi^-1(alpha^(1/n)).
            alpha: probability, for each image, that a label is certified which is not the smoothed classifier's within the radius.
            batch: copies in memory at once; some hundreds are the quickest on a CPU, thousands on an accelerator.

        Returns:
            labels (B,), -1 where withheld, and radii (B,), 0 where withheld, in the unit of x.

        Raises:
            ValueError: a number is out of range, x is not of finite floats and that shape, or logits are not finite or not (B, K).
        """
        _require(0 < alpha < 1 and min(n0, n, batch) > 0, "alpha in (0, 1); n0, n and batch above 0")
        rng = self._rng(x)
        chosen = self._votes(x, n0, batch, rng).argmax(1, keepdim=True)  # (B, 1)
        hits = self._votes(x, n, batch, rng).gather(1, chosen)[:, 0]  # (B,)
        lower = lower_bound(hits.numpy(), n, alpha)  # (B,)
        labels = torch.where(torch.from_numpy(lower > 0.5), chosen[:, 0], ABSTAIN)
        return labels, torch.from_numpy(self.sigma * special.ndtri(np.maximum(lower, 0.5)))

    def predict(self, x: Tensor, *, n: int = 1000, alpha: float = 0.001, batch: int = 200):
        """The smoothed classifier's label of each image, wrong with probability alpha at most; -1 where the vote is too close.

        Args:
            x: (B, C, H, W) images; floats, where the model is.
            n: noisy copies that vote.
            alpha: level of the two-sided binomial test between the two most frequent classes.
            batch: copies in memory at once; some hundreds are the quickest on a CPU, thousands on an accelerator.

        Returns:
            labels (B,), -1 where withheld.

        Raises:
            ValueError: a number is out of range, x is not of finite floats and that shape, or logits are not finite or not (B, K).
        """
        _require(0 < alpha < 1 and min(n, batch) > 0, "alpha in (0, 1); n and batch above 0")
        (first, second), (label, _) = (pair.T for pair in self._votes(x, n, batch, self._rng(x)).topk(2))  # each (B,)
        close = 2 * special.betainc(first.numpy(), second.numpy() + 1, 0.5) > alpha  # P(first or more of first + second, at 1/2)
        return torch.where(torch.from_numpy(close), ABSTAIN, label)

    def _rng(self, x: Tensor) -> torch.Generator:
        _require(self.sigma > 0, "sigma above 0")
        _require(isinstance(x, Tensor) and x.ndim == 4 and len(x) > 0 and x.is_floating_point(),
                 "x as a tensor of floats, (B, C, H, W) with B > 0; for one image, x[None]")
        _require(bool(x.isfinite().all()), "finite pixels")
        return torch.Generator(x.device).manual_seed(self.seed ^ STREAM)

    def _votes(self, images: Tensor, n: int, batch: int, rng: torch.Generator) -> Tensor:
        """How often each class wins among n noisy copies of every image: (B, K)."""
        votes = 0
        with evaluating(self.model), torch.no_grad():
            for start in range(0, len(images) * n, batch):
                image = torch.arange(start, min(start + batch, len(images) * n), device=images.device) // n  # (batch,)
                noise = torch.randn(len(image), *images.shape[1:], generator=rng, dtype=images.dtype, device=images.device)
                logits = self.model(noise.mul_(self.sigma).add_(images[image]))  # (batch, K)
                _require(isinstance(logits, Tensor) and logits.ndim == 2 and len(logits) == len(image) and logits.shape[1] > 1,
                         f"a model that gives logits (B, K), K >= 2, not {getattr(logits, 'shape', logits)}; of one logit z, stack (-z, z)")
                _require(bool(logits.isfinite().all()), "finite logits; the model gives others, as one does whose training diverged")
                votes = votes + torch.bincount(image * logits.shape[1] + logits.argmax(1), minlength=len(images) * logits.shape[1])
        return votes.view(len(images), -1).cpu()


def lower_bound(hits, n: int, alpha: float):
    """The exact one-sided lower confidence bound of a probability, after Clopper and Pearson.

    The p at which `hits` or more of n happen with probability alpha: the alpha quantile of Beta(hits, n - hits + 1).

    Args:
        hits: how often it happened, 0..n; a number or an array.
        n: how often it was tried.
        alpha: probability that the bound is too high.

    Returns:
        The bound, of the shape of hits.

    Raises:
        ValueError: hits are not in 0..n, or alpha is not in (0, 1).

    Example:
        >>> from bakeoff.papers.robustness.randomized_smoothing import lower_bound
        >>> round(float(lower_bound(100, 100, 0.001)), 6) == round(0.001 ** (1 / 100), 6)
        True
    """
    hits = np.asarray(hits, float)
    _require(0 < alpha < 1 and bool(((hits >= 0) & (hits <= n)).all()), "alpha in (0, 1) and hits in 0..n")
    return np.where(hits > 0, special.betaincinv(np.maximum(hits, 1), n - hits + 1, alpha), 0.0)


def _require(good: bool, expected: str) -> None:
    if not good:
        raise ValueError(f"expected {expected}")


SIGMA, RADIUS = 0.25, 0.5
TESTED = {"smoke": (20, 400), "quick": (200, 1000), "full": (500, 10_000)}  # test images, noisy copies of each


def smoothed_net(train, budget, seed, noise: float):
    """A small CNN trained under Gaussian noise, smoothed, and on how many images and copies it is to be tested."""
    network = small_cnn(train.pixels.shape[1:], len(train.classes), seed=seed)
    learn(network, torch.tensor(train.pixels), torch.tensor(train.labels), steps=budget.steps, learning_rate=1e-3, batch_size=128,
          seed=seed, change=lambda x, rng: x + noise * torch.randn(x.shape, generator=rng), on_step=budget.spend)
    return Smoothed(network, SIGMA, seed=seed), *TESTED[budget.name]


def treatment(train, budget, seed):
    """Trained under the noise that smooths it."""
    return smoothed_net(train, budget, seed, noise=SIGMA)


def control(train, budget, seed):
    """Trained without noise, smoothed by the same."""
    return smoothed_net(train, budget, seed, noise=0.0)


def score(model, test):
    smoothed, images, n = model
    x, y = torch.tensor(test.pixels[:images]), torch.tensor(test.labels[:images])
    labels, radii = smoothed.certify(x, n=n)
    right = labels == y
    with torch.no_grad():
        clean = smoothed.model(x).argmax(1) == y
    return {CLAIM.metric: 100 * float((right & (radii >= RADIUS)).double().mean()),
            "average certified radius": float((radii * right).mean()),
            "accuracy of the smoothed net": 100 * float(right.double().mean()),
            "accuracy without noise": 100 * float(clean.double().mean()),
            "withheld": 100 * float((labels == ABSTAIN).double().mean())}


def draw(model, test):
    smoothed, _, n = model
    x = torch.tensor(test.pixels[:8])
    labels, radii = smoothed.certify(x, n=n)
    noisy = x + SIGMA * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    said = ", ".join("withheld" if label == ABSTAIN else f"{test.classes[label]} within {radius:.2f}"
                     for label, radius in zip(labels, radii, strict=True))
    rows = [torch.cat(list(row.permute(0, 2, 3, 1)), 1) for row in (x, noisy)]  # each (H, 8 W, C)
    return [Drawing.picture(f"Test images, and a noisy copy of each: {said}", torch.cat(rows).numpy())]
