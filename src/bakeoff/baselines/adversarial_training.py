"""PGD adversarial training: the network learns from each minibatch's worst change within a radius, found anew at every step.

Madry, Makelov, Schmidt, Tsipras, Vladu. Towards Deep Learning Models Resistant to Adversarial Attacks. ICLR 2018. arXiv:1706.06083.

    min over w of E max over |d| <= radius of loss(f_w(x + d), y)

The inner maximum is climbed towards from a random start in the ball by `attack_steps` steps along the gradient of the input, its sign
(L-infinity), its direction (L2) or the signs of its largest entries (L1), each followed by the projection onto ball and box. The outer
minimum: Adam on the cross-entropy where the climb ends. Of every minibatch only a `fraction` may be attacked, the rest is learned as it
is. Over a warm-up the radius grows from 0: without one a small network whose ball is large may come to say one class for ever.

A training step takes attack_steps + 1 forward and backward passes and no other: where a climb ends is seen by the training pass alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import NotFitted
from ..parts.attacks.balls import NORMS, inside, random_change, steepest
from ..parts.attacks.outcomes import cross_entropy
from ..parts.evaluating import evaluating
from ..parts.learning import inputs, learn, tensor

BOUNDS = (0.0, 1.0)


class LearnsPictures:
    """What the methods share that train a copy of a network on pictures: the end of `fit`, `network` and `predict`.

    A subclass has the `_loss` of a minibatch that `parts.learning.learn` asks for.
    """

    def _learn(self, start: nn.Module, images, labels, **settings):
        """`settings` are those of `learn`."""
        self._network = learn(deepcopy(start), *pictures(images, labels), self._loss, **settings)
        return self

    @property
    def network(self) -> nn.Module:
        """The trained network, in evaluation mode."""
        if not hasattr(self, "_network"):
            raise NotFitted()
        return self._network

    def predict(self, images) -> Tensor:
        """The class (B,) of each of the images (B, C, H, W).

        Raises:
            NotFitted: before `fit`.
            ValueError: images are not floats in [0, 1].
        """
        with torch.no_grad():
            return self.network(inputs(images, self.network)).argmax(1)


class AdversarialTraining(LearnsPictures):
    """Training of a classifier on the changed images that fool it most.

    With fraction 0, or radius 0, it is standard training (`parts.supervised.train`), bit for bit if the network draws nothing itself.

    Args:
        network: (B, C, H, W) -> (B, K) logits; a copy of it is trained, from its present weights.
        radius: of the ball of changes, in the unit of the images.
        norm: math.inf, 2 or 1.
        fraction: share of each minibatch that is replaced by attacked images, rounded to whole images.
        attack_steps: gradient steps of the attack.
        step_size: of one of them; None for 2.5 radius / attack_steps.
        learning_rate: Adam's.
        batch_size: images a minibatch.
        warm_up: share of the training steps over which radius and step size grow from 0, linearly.
        seed: decides the order of the images and the attack's random starts.

    Example:
        >>> import torch
        >>> from bakeoff.parts.small_cnn import small_cnn
        >>> labels = torch.arange(40) % 2  # of dark pictures and of bright ones
        >>> images = 0.4 * torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.6 * labels.view(-1, 1, 1, 1)
        >>> network = small_cnn((1, 8, 8), classes=2, seed=0)
        >>> robust = AdversarialTraining(network, radius=0.1, attack_steps=3).fit(images, labels, steps=40)
        >>> (robust.predict(images) == labels).float().mean().item()
        1.0
    """

    def __init__(self, network: nn.Module, *, radius: float, norm: float = math.inf, fraction: float = 1.0, attack_steps: int = 7,
                 step_size: float | None = None, learning_rate: float = 1e-3, batch_size: int = 128, warm_up: float = 0.0, seed: int = 0):
        self.start, self.radius, self.norm, self.fraction = network, radius, norm, fraction
        self.attack_steps, self.step_size, self.learning_rate, self.batch_size = attack_steps, step_size, learning_rate, batch_size
        self.warm_up, self.seed = warm_up, seed

    def fit(self, images, labels, *, steps: int, on_step: Callable[[float], None] | None = None) -> AdversarialTraining:
        """Learn, afresh from the weights given; returns self.

        Args:
            images: (N, C, H, W), values in [0, 1]; a tensor or an array.
            labels: (N,) class numbers.
            steps: minibatches to learn from.
            on_step: called with the loss of each.

        Raises:
            ValueError: a setting is out of its range, or images and labels are not as above.
        """
        self._check()
        return self._learn(self.start, images, labels, steps=steps, learning_rate=self.learning_rate, batch_size=self.batch_size,
                           seed=self.seed, on_step=on_step)

    def _loss(self, network: nn.Module, x: Tensor, y: Tensor, rng: torch.Generator, done: float) -> Tensor:
        radius = self.radius * (min(1.0, done / self.warm_up) if self.warm_up else 1.0)
        count = round(self.fraction * len(x)) if radius else 0
        if count:
            step_size = None if self.step_size is None else self.step_size * radius / self.radius
            attacked = climbed(network, x[:count], y[:count], radius=radius, norm=self.norm, steps=self.attack_steps,
                               step_size=step_size, rng=rng)
            x = torch.cat((attacked, x[count:]))
        return F.cross_entropy(network(x), y)

    def _check(self) -> None:
        for good, expected in ((self.norm in NORMS, "norm as math.inf, 2 or 1"),
                               (0 <= self.radius < math.inf, "a finite radius of 0 or above"),
                               (0 <= self.fraction <= 1, "fraction in [0, 1]"), (self.attack_steps > 0, "attack_steps above 0"),
                               (self.step_size is None or 0 < self.step_size < math.inf, "a finite step_size above 0"),
                               (0 <= self.warm_up <= 1, "warm_up in [0, 1]")):
            if not good:
                raise ValueError(f"expected {expected}")


def climbed(network: nn.Module, x: Tensor, y: Tensor, *, radius: float, norm: float, steps: int, rng: torch.Generator,
            step_size: float | None = None, loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy) -> Tensor:
    """Where `steps` gradient steps up the loss lead in the ball around x, in [0, 1]: `steps` passes, and none to judge the end.

    Ball and box are kept exactly, as by `parts.attacks`.

    Args:
        network: (B, ...) -> (B, K) logits; looked at in evaluation mode, its gradients untouched.
        x: (B, ...) inputs.
        y: what `loss` compares the logits with, class numbers (B,) if it is the cross-entropy.
        radius: of the ball.
        norm: math.inf, 2 or 1.
        steps: gradient steps.
        rng: draws the start in the ball.
        step_size: of one step; None for 2.5 radius / steps.
        loss: of (logits (B, K), y) -> (B,).

    Returns:
        x changed, (B, ...), without gradient.

    Example:
        >>> from torch import nn
        >>> network, rng = nn.Linear(2, 2, bias=False), torch.Generator().manual_seed(0)
        >>> _ = network.weight.data.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
        >>> climbed(network, torch.tensor([[0.5, 0.5]]), torch.tensor([0]), radius=0.2, norm=math.inf, steps=5, rng=rng)
        tensor([[0.3000, 0.7000]])
    """
    if not radius:
        return x.clone()
    step_size = 2.5 * radius / steps if step_size is None else step_size
    nearest = inside(x, radius, norm, BOUNDS)
    at = nearest(x + random_change(x, radius, norm, rng))
    with evaluating(network), torch.enable_grad():
        for _ in range(steps):
            at.requires_grad_(True)
            slope, = torch.autograd.grad(loss(network(at), y).sum(), at)
            at = at.detach()
            at = nearest(torch.add(at, steepest(slope, norm, at, BOUNDS), alpha=step_size))
    return at


def pictures(images, labels) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) as float32 and their labels (N,) as whole numbers, looked at before anything is learned from them.

    Args:
        images: values in [0, 1]; a tensor or an array.
        labels: class numbers.

    Raises:
        ValueError: images are not finite, not in [0, 1] or not four-dimensional, labels are not whole numbers from 0, or not as many.
    """
    images, labels = tensor(images), tensor(labels)
    if images.ndim != 4 or not len(images) or labels.shape != images.shape[:1] or labels.is_floating_point() or bool((labels < 0).any()):
        raise ValueError(f"expected images (N, C, H, W), N > 0, and N whole numbers from 0 as labels, got {tuple(images.shape)} and "
                         f"{tuple(labels.shape)} of {labels.dtype}")
    if not (images.is_floating_point() and bool(((images >= 0) & (images <= 1)).all())):
        raise ValueError("expected images as finite floats in [0, 1]; divide bytes by 255")
    return images.float(), labels.long()
