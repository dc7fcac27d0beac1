"""Blind-spot attack: fade an image, which an adversarially trained net still reads, and its robustness is gone.

Zhang, Chen, Song, Boning, Dhillon, Hsieh. ICLR 2019. arXiv:1901.04684.

Method: adversarial training makes a net robust around its training images, not around others that people read as well. Such others
are had by a linear map of all pixels,

    x' = scale x + shift,  0 < scale <= 1,  0 <= shift <= 1 - scale.

Of the x' that the net classifies correctly an attack tries to change the class within a radius that shrinks with the contrast,

    x_adv = argmax_z loss(f(z), y),  |z - x'|_inf <= scale radius,

so that the change is no larger beside the image than before. Losses are the cross-entropy and the margin of Carlini and Wagner, climbed
by projected gradients; an attack succeeds if either does. To see where a net is blind, images are embedded by its last hidden layer:
the distance of a test image to the training set is the mean over its k nearest training images of its class.

Departures: a small CNN, adversarially trained for a few hundred steps (three attack steps each, the radius growing over the first half,
else it learns nothing) instead of the released models of Madry et al. and of provably robust ones. The middle grey is kept: scale 0.7
with shift 0.15. The attack on faded images is kept between faded black and faded white, shift and shift + scale. In [0, 1] the answer
would be built into the box: pixels at 0 and 1 leave the attack half of its ball, faded to 0.15 and 0.85 both sides of it, and a net that
standardises every image, blind to fading, loses 59 % and, faded, 78 %. Between faded black and white it loses the same at any scale and
shift, so that what is gained is the net's own. Success in [0, 1] is shown beside. Seen at seed 101, accuracy and success: 89 and 42 % as
they are, 86 and 63 % at scale 0.7 alone, 88 and 93 % with shift 0.15, 86 and 99 % with shift 0.3. In [0, 1] with shift 0.15 it was 78 %,
though that box holds the other: there the same attack climbs worse, so each number is a lower bound. Training on faded images as well,
the remedy that suggests itself, is left out. Rank correlations are taken with the margin that the attack leaves, not with success, which
has two values. The distance of whole data sets (t-SNE, density estimates, KL divergence) is left out.

Out of reach: the released models, CIFAR-10 and ImageNet, and whether people would still call the faded images the same.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from bakeoff.baselines.adversarial_training import AdversarialTraining
from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.parts.attacks import cross_entropy, margin_loss, pgd, right, worst_of
from bakeoff.parts.evaluating import evaluating
from bakeoff.parts.learning import inputs
from bakeoff.parts.small_cnn import small_cnn

PAPER = Paper(title="The Limitations of Adversarial Training and the Blind-Spot Attack",
              authors=("Zhang", "Chen", "Song", "Boning", "Dhillon", "Hsieh"), year=2019, venue="ICLR", arxiv="1901.04684",
              also=("blind-spot attack", "blind spots of adversarial training", "limitations of adversarial training"))
CLAIM = Claim(says="An adversarially trained net that withstands most attacks on MNIST's test images loses to the same attack on images "
                   "faded to 0.7 of their contrast, the radius too, which it classifies as well as before.",
              data="mnist", metric="attack success", unit="percentage points", better="higher", margin=2.0,
              equal="steps", steps={"smoke": 6, "quick": 400, "full": 20_000})
__all__ = ["blind_spot_attack", "manifold_distance"]


def blind_spot_attack(model: nn.Module, images: Tensor, labels: Tensor, *, scale: float = 0.7, shift: float = 0.15, radius: float = 0.3,
                      steps: int = 40, restarts: int = 1, seed: int = 0,
                      bounds: tuple[float, float] | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Fade images, then attack them within a radius that shrinks with the contrast.

    Args:
        model: a network (B, C, H, W) -> (B, K) logits.
        images: (B, C, H, W), values in [0, 1].
        labels: (B,) true class numbers.
        scale: factor of all pixels, in (0, 1]; the paper's alpha.
        shift: what is added to them, in [0, 1 - scale]; the paper's beta, for pixels in [0, 1].
        radius: largest change of a pixel of an image of full contrast (L-infinity).
        steps: gradient steps for each of two losses.
        restarts: random starts for each of them.
        seed: decides the starts.
        bounds: (lowest, highest) value of an attacked pixel; None for those of faded pixels, (shift, shift + scale). With (0, 1) the
            attack has more room beside a faded image than beside the image itself.

    Returns:
        The attacked images (B, C, H, W), within scale * radius of the faded ones and in the bounds; read (B,): the faded image was
        classified correctly; success (B,): it was, and the attacked one is not.

    Raises:
        ValueError: scale or shift is out of range, the bounds leave faded pixels out, images are not in [0, 1], or labels are not class
            numbers of the model.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from bakeoff.papers.robustness.blind_spot_attack import blind_spot_attack
        >>> bright = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))  # class 1 where the mean is above 0.5
        >>> _ = bright[1].weight.data.copy_(torch.tensor([[0.0] * 4, [1.0] * 4])), bright[1].bias.data.copy_(torch.tensor([2.0, 0.0]))
        >>> images, labels = torch.tensor([0.2, 0.9]).view(2, 1, 1, 1).expand(2, 1, 2, 2), torch.tensor([0, 1])
        >>> _, read, success = blind_spot_attack(bright, images, labels, scale=1.0, shift=0.0, radius=0.25)
        >>> read.tolist(), success.tolist()
        ([True, True], [False, False])
        >>> blind_spot_attack(bright, images, labels, scale=0.7, shift=0.3, radius=0.25)[2].tolist()  # 0.44 and 0.93, radius 0.175
        [True, False]
    """
    if not (0 < scale <= 1 and 0 <= shift <= 1 - scale + 1e-6):
        raise ValueError(f"scale {scale}, shift {shift}; expected scale in (0, 1] and shift in [0, 1 - scale], else pixels leave [0, 1]")
    images = inputs(images, model)
    room = shift, min(1.0, shift + scale)
    faded = (scale * images + shift).clamp(*room)
    attacked = worst_of(model, faded, labels, [
        pgd(model, faded, labels, radius=scale * radius, steps=steps, restarts=restarts, loss=loss, seed=seed, bounds=bounds or room)
        for loss in (cross_entropy, margin_loss)])
    read = right(model, faded, labels)
    return attacked, read, read & ~right(model, attacked, labels)


def manifold_distance(embed: nn.Module | Callable[[Tensor], Tensor], train: Tensor, train_labels: Tensor, test: Tensor,
                      test_labels: Tensor, *, k: int = 5) -> Tensor:
    """How far test images lie from the training images of their class, as a representation sees them.

    Args:
        embed: images (B, C, H, W) -> representation (B, ...); of an nn.Sequential classifier, `network[:-1]`.
        train: (N, C, H, W) training images.
        train_labels: (N,) their class numbers.
        test: (M, C, H, W) test images.
        test_labels: (M,) theirs.
        k: nearest training images that are averaged over; all of the class where it has fewer.

    Returns:
        (M,) mean Euclidean distances.

    Raises:
        ValueError: a class of the test images has no training image, or k is below 1.

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.blind_spot_attack import manifold_distance
        >>> train, test = torch.tensor([0.0, 0.5, 0.9]).view(3, 1, 1, 1), torch.tensor([0.2]).view(1, 1, 1, 1)
        >>> round(float(manifold_distance(lambda x: x, train, torch.tensor([0, 0, 1]), test, torch.tensor([0]), k=2)), 4)
        0.25
    """
    if k < 1 or not torch.isin(test_labels, train_labels).all():
        raise ValueError(f"k is {k}; expected 1 or more, and a training image of every class that is tested")
    known, asked = embedded(embed, train), embedded(embed, test)
    found = torch.zeros(len(test))
    for label in test_labels.unique():
        between = torch.cdist(asked[test_labels == label], known[train_labels == label],  # (M of the class, N of the class)
                              compute_mode="donot_use_mm_for_euclid_dist")  # which gives exactly 0 between an image and itself
        found[test_labels == label] = between.topk(min(k, between.shape[1]), largest=False).values.mean(1)
    return found


def embedded(embed: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    with evaluating(embed) if isinstance(embed, nn.Module) else nullcontext(), torch.no_grad():
        return torch.cat([embed(x).flatten(1) for x in images.split(500)])


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's, of (N,) and (N,) without ties."""
    return float(torch.corrcoef(torch.stack((a, b)).argsort(1).argsort(1).double())[0, 1])


RADIUS, SCALE, SHIFT = 0.3, 0.7, 0.15
TESTED = {"smoke": (30, 5), "quick": (300, 40), "full": (2000, 200)}  # test images, gradient steps on each
KNOWN = 5000  # training images that distances are taken to


def hardened(train, budget, seed, scale, shift):
    """An adversarially trained net, how the test images are to be faded before they are attacked, and training images."""
    network = small_cnn(train.pixels.shape[1:], len(train.classes), seed=seed, width=8, hidden=64)
    robust = AdversarialTraining(network, radius=RADIUS, attack_steps=3, learning_rate=2e-3, warm_up=0.5, seed=seed)
    robust.fit(train.pixels, train.labels, steps=budget.steps, on_step=budget.spend)
    return robust.network, {"scale": scale, "shift": shift}, train.take(slice(KNOWN)), TESTED[budget.name]


def treatment(train, budget, seed):
    """The faded images are attacked."""
    return hardened(train, budget, seed, scale=SCALE, shift=SHIFT)


def control(train, budget, seed):
    """The images as they are."""
    return hardened(train, budget, seed, scale=1.0, shift=0.0)


def score(model, test):
    network, fading, train, (tested, steps) = model
    x, y = torch.tensor(test.pixels[:tested]), torch.tensor(test.labels[:tested])
    attacked, read, success = blind_spot_attack(network, x, y, **fading, radius=RADIUS, steps=steps)
    _, _, wider = blind_spot_attack(network, x, y, **fading, radius=RADIUS, steps=steps, bounds=(0.0, 1.0))
    faded = fading["scale"] * x + fading["shift"]
    with torch.no_grad():
        lost, unsure = (margin_loss(network(images), y) for images in (attacked, faded))  # each (B,)
    distance = manifold_distance(network[:-1], torch.tensor(train.pixels), torch.tensor(train.labels), faded, y)
    return {CLAIM.metric: 100 * float(success.sum() / read.sum().clamp_min(1)),
            "attack success, clipped to [0, 1] alone": 100 * float(wider.sum() / read.sum().clamp_min(1)),
            "accuracy before the attack": 100 * float(read.double().mean()),
            "distance to the training images": float(distance.mean()),
            "rank correlation of distance and margin lost": rank_correlation(distance, lost),
            "rank correlation of margin before and margin lost": rank_correlation(unsure, lost)}


def draw(model, test):
    network, fading, _, (_, steps) = model
    x, y = torch.tensor(test.pixels[:10]), torch.tensor(test.labels[:10])
    attacked, _, success = blind_spot_attack(network, x, y, **fading, radius=RADIUS, steps=steps)
    with torch.no_grad():
        told = ", ".join(test.classes[label] for label in network(attacked).argmax(1))
    faded = fading["scale"] * x + fading["shift"]
    rows = [torch.cat(list(row.permute(0, 2, 3, 1)), 1) for row in (x, faded, attacked)]  # each (H, 10 W, C)
    return [Drawing.picture(f"Test images, faded, attacked ({int(success.sum())} of 10 lost); taken for: {told}", torch.cat(rows).numpy())]
