"""AEPecker: an image altered in few pixels gives itself away beside a copy in which its lone extreme pixels were painted over.

Zuo, Yang, Li, Luo, Zeng. RAID 2019. arXiv:1812.09638.

Method: who may alter only few pixels has to alter them much, and alters them here and there. A pixel is suspect where a channel lies
below `low` or above `high` while fewer than `company` of its eight neighbours lie beyond the same end. Suspects are painted over from
around (`inpaint`): x' = inpaint(x). A natural image hardly changes by that, an attacked one loses what was done to it.

    detector    p(attacked) = sigmoid(v . |e(x) - e(x')| + b),  e one network for both, trained with v and b by cross-entropy
                on natural and attacked images
    rectifier   x' in place of x: the classifier's answer to it is the answer before the attack, it is hoped

Departures: the fill solves Laplace's equation on the suspects, by sweeps over all images at once, where the paper takes a ready inpainting
algorithm. The thresholds and the test for loneliness are this file's. Attacks: greedy saliency, to learn from; projected gradient on 12
pixels and single pixels, to be judged by; not the code of JSMA and of Carlini and Wagner's L0 attack. Of the attacked images those that
fool the classifier count. The control is the same network with as many weights, of x alone. The adaptive attacker puts saliency's pixels
back just inside [low, high], where nothing is suspect: a side measure, at which the comparison is blind; no attacker climbs the detector's
own score. The pictures are photographs, as in the paper, where extreme pixels are rare (12 suspects in a natural image). Tuned on training
images kept aside, by AUROC on projected gradient and on single pixels together. With one classifier and detector seeds 110 to 113, means:
the treatment after 300 steps at rates of 1e-3 and 3e-3 had 84.6 and 82.5, after 600 at 3e-4, 5e-4, 1e-3 and 3e-3 85.2, 78.7, 78.8 and
81.0; the control after 300 at 1e-3, 2e-3 and 3e-3 72.8, 79.0 and 81.5, after 600 at 1e-3, 3e-3 and 6e-3 82.5, 85.8 and 66.9, where at 6e-3
it gave one answer for ever in two of four. A detector of the image alone stays at a constant answer for 100 to 250 steps; in 300 two of
twelve had barely left it (AUROC 51 and 65), in 600 both had (89 and 88). So both arms have 600 steps, the control at 3e-3, the comparison
at 3e-4: neither is ahead. In one of the twenty pairs judged the control stayed at a constant (50); without it the means are 84.6 and 85.0.
In one earlier trial on 4,000 photographs the comparison was ahead, by 3 and 12 points. Clothes (Fashion-MNIST) are the failing case, as
their edges and the dark ground lie at the ends of the range (22 suspects in a natural image): 77.3 and 60.6 at best, the control 89.7 and
69.3.

Out of reach: ImageNet. What is found here is found against attackers that know nothing of the detector, but for that one side
measure, and it is no proof against others.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.errors import NotFitted
from bakeoff.parts.attacks import accuracy, one_pixel, right, saliency, sparse_pgd
from bakeoff.parts.calibration import auroc
from bakeoff.parts.learning import inputs, learn, tensor
from bakeoff.parts.seeding import seeded
from bakeoff.parts.small_cnn import small_cnn
from bakeoff.parts.supervised import train as learn_classes

PAPER = Paper(title="Exploiting the Inherent Limitation of L0 Adversarial Examples", authors=("Zuo", "Yang", "Li", "Luo", "Zeng"),
              year=2019, venue="RAID", arxiv="1812.09638", also=("AEPecker", "L0 Adversarial Examples Are Not Strong Enough"))
CLAIM = Claim(says="A Siamese network that compares an image with its inpainted copy detects L0 attacks more accurately than one that sees "
                   "the image alone, also attacks of a kind that it has not learned from.",
              data="cifar10-small", metric="AUROC on unseen kinds of attack", unit="%", better="higher", margin=1.0,
              equal="steps", steps={"smoke": 20, "quick": 900, "full": 20_000})
__all__ = ["AEPecker", "inpaint", "suspects"]


class AEPecker:
    """A detector of images with few altered pixels, and a way back to what they were.

    Args:
        low, high: a channel outside [low, high] is extreme.
        company: an extreme pixel with so many neighbours at the same end, of eight, is no suspect.
        compare: whether the image is compared with its repaired copy; without, the detector sees the image alone.
        embedding: numbers by which e describes an image.
        learning_rate: Adam's.
        batch_size: images a step.
        seed: decides the start weights and the order of images.

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.l0_detection import AEPecker
        >>> natural = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
        >>> attacked = natural.clone()
        >>> attacked[:, :, 3, 4] = 1.0
        >>> detector = AEPecker().fit(natural, attacked, steps=30)
        >>> bool(detector.score(attacked).min() > detector.score(natural).max())
        True
        >>> bool((detector.rectify(attacked) < 0.7).all())
        True
    """

    def __init__(self, low: float = 0.02, high: float = 0.98, company: int = 3, *, compare: bool = True, embedding: int = 32,
                 learning_rate: float = 3e-3, batch_size: int = 64, seed: int = 0):
        self.low, self.high, self.company, self.compare, self.embedding = low, high, company, compare, embedding
        self.learning_rate, self.batch_size, self.seed = learning_rate, batch_size, seed

    def fit(self, images, attacked, *, steps: int = 1000, on_step=None) -> AEPecker:
        """Learn to tell attacked images from natural ones.

        Args:
            images: (N, C, H, W) natural ones, values in [0, 1]; a tensor or an array.
            attacked: (M, C, H, W), in [0, 1] as well.
            steps: minibatches to learn from.
            on_step: called with the loss after every step.

        Returns:
            self.

        Raises:
            ValueError: one of the two is empty, their shapes differ, or values are not in [0, 1].
        """
        images, attacked = inputs(images).float(), inputs(attacked).float()
        if not (images.ndim == 4 and len(images) and len(attacked) and images.shape[1:] == attacked.shape[1:]):
            raise ValueError(f"expected natural and attacked images of one shape, got {tuple(images.shape)} and {tuple(attacked.shape)}")
        both = torch.cat((images, attacked))
        says = torch.cat((torch.zeros(len(images)), torch.ones(len(attacked))))
        weight = torch.tensor(len(images) / len(attacked))  # so that both kinds count alike
        self._network = learn(Siamese(images.shape[1:], self.embedding, self.compare, self.seed), self._pairs(both), says,
                              lambda network, x, y, rng, done: F.binary_cross_entropy_with_logits(network(x), y, pos_weight=weight),
                              steps=steps, learning_rate=self.learning_rate, batch_size=self.batch_size, seed=self.seed, on_step=on_step)
        return self

    @torch.no_grad()
    def score(self, images) -> Tensor:
        """p(attacked) of images, each in (0, 1): (B,).

        Args:
            images: (B, C, H, W), as in `fit`.

        Raises:
            NotFitted: before `fit`.
            ValueError: values are not in [0, 1].
        """
        if not hasattr(self, "_network"):
            raise NotFitted
        return torch.cat([self._network(self._pairs(part)).sigmoid() for part in inputs(images, self._network).split(500)])

    def rectify(self, images) -> Tensor:
        """The images with their suspects painted over, (B, C, H, W); needs no `fit`.

        Args:
            images: (B, C, H, W), values in [0, 1]; a tensor or an array.

        Raises:
            ValueError: values are not in [0, 1].
        """
        images = inputs(images)
        return inpaint(images, suspects(images, self.low, self.high, self.company))

    def _pairs(self, images: Tensor) -> Tensor:
        return torch.stack((images, self.rectify(images)), 1)  # (B, 2, C, H, W)


class Siamese(nn.Module):
    """The detector's network: pairs (B, 2, C, H, W) -> (B,) logits of "attacked"."""

    def __init__(self, shape, embedding: int, compare: bool, seed: int):
        super().__init__()
        self.branch = small_cnn(tuple(shape), embedding, seed=seed, width=8, hidden=64)
        with seeded(seed):
            self.head = nn.Linear(embedding, 1)
        self.compare = compare

    def forward(self, pairs: Tensor) -> Tensor:
        if not self.compare:
            return self.head(self.branch(pairs[:, 0]))[:, 0]  # (B,)
        first, second = self.branch(pairs.flatten(0, 1)).unflatten(0, pairs.shape[:2]).unbind(1)  # each (B, embedding)
        return self.head((first - second).abs())[:, 0]


def suspects(images: Tensor, low: float = 0.02, high: float = 0.98, company: int = 3) -> Tensor:
    """Pixels that stand at an end of the range without enough neighbours there.

    Args:
        images: (B, C, H, W), values in [0, 1]; a tensor or an array.
        low, high: a channel outside [low, high] is extreme.
        company: an extreme pixel with so many neighbours at the same end in the same channel, of eight, is no suspect.

    Returns:
        (B, 1, H, W) booleans: whether any channel makes the pixel suspect.

    Raises:
        ValueError: values are not in [0, 1].

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.l0_detection import suspects
        >>> image = torch.full((1, 1, 5, 5), 0.5)
        >>> image[0, 0, 2, 3] = 1.0
        >>> suspects(image).nonzero().tolist()
        [[0, 0, 2, 3]]
    """
    images = inputs(images)
    found, ring = torch.zeros_like(images[:, :1], dtype=torch.bool), images.new_tensor([[1.0, 1, 1], [1, 0, 1], [1, 1, 1]])
    for extreme in (images < low, images > high):
        neighbours = _around(extreme.to(images.dtype), ring)
        found |= (extreme & (neighbours < company - 0.5)).any(1, keepdim=True)
    return found


def inpaint(images: Tensor, holes: Tensor, sweeps: int = 60) -> Tensor:
    """Fill holes so that each pixel in them is the mean of its (up to four) neighbours: Laplace's equation, by sweeps.

    Args:
        images: (B, C, H, W).
        holes: (B, 1, H, W) booleans.
        sweeps: of Jacobi's method; lone pixels need one.

    Returns:
        (B, C, H, W), equal to the images outside the holes.

    Raises:
        ValueError: images are not finite floats, or holes not booleans (B, 1, H, W).

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.l0_detection import inpaint
        >>> ramp = torch.linspace(0, 1, 5).expand(1, 1, 5, 5)
        >>> holes = torch.zeros(1, 1, 5, 5, dtype=torch.bool)
        >>> holes[..., 2, 3] = True
        >>> torch.allclose(inpaint(torch.where(holes, 0.0, ramp), holes), ramp)
        True
    """
    images, holes = inputs(images, bounds=None), tensor(holes)
    if holes.dtype != torch.bool or holes.shape != images[:, :1].shape:
        raise ValueError(f"expected holes as booleans (B, 1, H, W) for images {tuple(images.shape)}, "
                         f"found {holes.dtype} {tuple(holes.shape)}")
    if not bool(holes.any()):
        return images.clone()
    cross = images.new_tensor([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]])
    mean = (images * ~holes).sum((2, 3), keepdim=True) / (~holes).sum((2, 3), keepdim=True).clamp_min(1)
    filled, count = torch.where(holes, mean, images), _around(torch.ones_like(images[:1]), cross)
    for _ in range(sweeps):
        before, filled = filled, torch.where(holes, _around(filled, cross) / count, images)
        if bool((filled - before).abs().max() < 1e-4):
            break
    return filled


def _around(images: Tensor, kernel: Tensor) -> Tensor:
    """The sum over each pixel's neighbours, as the kernel (3, 3) has them, by channel; nothing beyond the edge."""
    return F.conv2d(images.flatten(0, 1)[:, None], kernel[None, None], padding=1)[:, 0].unflatten(0, images.shape[:2])


def midrange(model: nn.Module, x: Tensor, y: Tensor, low: float, high: float) -> Tensor:
    """The attacker who knows `suspects`: greedy saliency whose pixels stay within [low, high], where nothing is extreme."""
    attacked = saliency(model, x, y, pixels=PIXELS)
    return torch.where(attacked != x, attacked.clamp(low, high), x)


PIXELS, UNSEEN = 12, ("projected gradient", "single pixel")
USED = {"smoke": (100, 50), "quick": (1500, 300), "full": (10_000, 1000)}  # images to learn attacks from, images attacked in the test


def pecker(train, budget, seed, compare: bool, learning_rate: float):
    """A small CNN, a detector of attacks on it, and how many images of the test are to be attacked."""
    x, y = torch.tensor(train.pixels), torch.tensor(train.labels)
    learned, tested = USED[budget.name]
    third, network = budget.steps // 3, small_cnn(x.shape[1:], len(train.classes), seed=seed, width=8, hidden=64)
    learn_classes(network, x, y, steps=third, learning_rate=3e-3, batch_size=128, seed=seed, on_step=budget.spend)
    attacked = saliency(network, x[:learned], y[:learned], pixels=PIXELS)
    fooled = right(network, x[:learned], y[:learned]) & ~right(network, attacked, y[:learned])
    detector = AEPecker(compare=compare, learning_rate=learning_rate, seed=seed)
    attacked = attacked[fooled] if bool(fooled.any()) else attacked  # those that fool, where any do
    return detector.fit(x[:learned], attacked, steps=budget.steps - third, on_step=budget.spend), network, tested


def attacks(detector: AEPecker, model: nn.Module, x: Tensor, y: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """By kind, the attacked images that fool the model, and their classes."""
    kinds = {"projected gradient": sparse_pgd(model, x, y, pixels=PIXELS, steps=40), "single pixel": one_pixel(model, x, y, tries=100),
             "saliency": saliency(model, x, y, pixels=PIXELS), "mid-range": midrange(model, x, y, detector.low, detector.high)}
    fooling = {kind: ~right(model, attacked, y) for kind, attacked in kinds.items()}
    return {kind: (attacked[fooling[kind]], y[fooling[kind]]) for kind, attacked in kinds.items() if bool(fooling[kind].any())}


def squeezed(model: nn.Module, x: Tensor) -> Tensor:
    """How far a 3 x 3 median filter moves the model's probabilities, in L1 (B,): feature squeezing."""
    median = F.unfold(F.pad(x, (1, 1, 1, 1), mode="replicate").flatten(0, 1)[:, None], 3).median(1).values.view_as(x)
    with torch.no_grad():
        return (model(x).softmax(1) - model(median).softmax(1)).abs().sum(1)


def told_apart(measure, natural: Tensor, attacked: Tensor) -> float:
    """The AUROC in % of a measure, (B, C, H, W) -> (B,); 50 where nothing is attacked."""
    scores = torch.cat((measure(natural), measure(attacked)))
    return 100 * auroc(scores, torch.arange(len(scores)) >= len(natural)) if len(attacked) else 50.0


def treatment(train, budget, seed):
    """The image beside its repaired copy."""
    return pecker(train, budget, seed, compare=True, learning_rate=3e-4)


def control(train, budget, seed):
    """The image alone."""
    return pecker(train, budget, seed, compare=False, learning_rate=3e-3)


def score(model, test):
    detector, network, tested = model
    x, y = torch.tensor(test.pixels[:tested]), torch.tensor(test.labels[:tested])
    kept = right(network, x, y)
    x, y = x[kept], y[kept]
    found = attacks(detector, network, x, y)
    unseen = torch.cat([x[:0], *(attacked for kind, (attacked, _) in found.items() if kind in UNSEEN)])
    return {CLAIM.metric: told_apart(detector.score, x, unseen),
            "the same by feature squeezing": told_apart(lambda part: squeezed(network, part), x, unseen),
            **{f"AUROC on {kind}": told_apart(detector.score, x, attacked) for kind, (attacked, _) in found.items()},
            **{f"{kind} put right": 100 * accuracy(network, detector.rectify(attacked), y) for kind, (attacked, y) in found.items()},
            "natural images kept right": 100 * accuracy(network, detector.rectify(x), y), "attacked": float(len(unseen))}


def draw(model, test):
    detector, network, _ = model
    x, y = torch.tensor(test.pixels[:8]), torch.tensor(test.labels[:8])
    attacked = sparse_pgd(network, x, y, pixels=PIXELS, steps=40)
    rows = (x, attacked, suspects(attacked).expand_as(x).float(), detector.rectify(attacked))
    said = ", ".join(f"{one:.2f}" for one in detector.score(attacked))
    picture = torch.cat([torch.cat(list(row.permute(0, 2, 3, 1)), 1) for row in rows])  # (4 H, 8 W, C)
    return [Drawing.picture(f"Test images; attacked, with p(attacked) {said}; what is suspect; painted over", picture.numpy())]
