"""Adversarial camera stickers: a few translucent dots on the lens send whatever it sees of one class to another.

Li, Schmidt, Kolter. ICML 2019. arXiv:1904.00759.

Method: out of focus, a dot printed on a film over the lens is a soft disc. One of centre c, radius r and colour g turns pixel p into

    (1 - a) x_p + a g,  a = alpha_max exp(-d^beta),  d = |p - c|^2 / r^2,

and K dots are composed one after another, so the sticker is x -> T x + b with T and b the same for every image: a universal change.
Searched are centres on a grid and colours of a palette that can be printed, to send images of a class y to a target t:

    minimise  mean over images of  log p_y - log p_t.

Block coordinate descent: dot after dot takes the centre and colour that lower the loss most, the others held, until K lie there;
further sweeps try each dot anew; gradient steps then move the centres. A change that does not lower the loss is not made.

Departures: simulated alone; alpha_max, beta and r are assumed, while the paper fits them to photographs of printed dots by structural
similarity, prints, and fits again. Candidates are drawn at random from grid and palette instead of all being tried. Grey clothes of
28 x 28 pixels, five greys as palette, a small CNN trained in the trial, and two pairs of classes drawn from the seed, each in both
directions. Both arms have the same net and pairs and as many losses; a step of the gradient is paid as three. The control draws whole
stickers at random and keeps the best. An attack has no adaptive attacker: a defender would blur or look for the dots' soft discs.

Out of reach: printing, lens, light and ImageNet's classes, and so the paper's 49.6 % of objects seen through a camera; whether people
notice the dots.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.errors import NotFitted
from bakeoff.parts.evaluating import evaluating
from bakeoff.parts.learning import inputs
from bakeoff.parts.small_cnn import small_cnn
from bakeoff.parts.supervised import train as learn

PAPER = Paper(title="Adversarial camera stickers: A physical camera-based attack on deep learning systems",
              authors=("Li", "Schmidt", "Kolter"), year=2019, venue="ICML", arxiv="1904.00759",
              also=("adversarial camera stickers", "camera sticker attack", "camera-based attack"))
CLAIM = Claim(says="A few translucent dots on the lens, chosen by search, send images of a class that were not searched on to a target "
                   "class (49.6 % of objects seen through the camera), which as many dots at random do not.",
              data="fashion-mnist", metric="targeted fooling rate", unit="percentage points", better="higher", margin=5.0,
              equal="objective calls", steps={"smoke": 96, "quick": 2400, "full": 40_000})
__all__ = ["CameraSticker"]

GREYS = ((0.0,), (0.25,), (0.5,), (0.75,), (1.0,))
COLOURS = tuple((red, green, blue) for red in (0.0, 0.5, 1.0) for green in (0.0, 0.5, 1.0) for blue in (0.0, 0.5, 1.0))


class CameraSticker:
    """Translucent dots over the lens that send images of one class to another.

    Args:
        dots: K, the most that are placed.
        radius: r, as a share of the image's shorter side.
        alpha_max: opacity at a dot's centre, in [0, 1].
        beta: how sharply a dot ends.
        palette: (P, C) colours in [0, 1] that can be printed; five greys, or 27 colours, unless given.
        grid: centres tried lie on a grid of so many times so many.
        sweeps: times that each dot is searched.
        refinements: gradient steps on the centres at the end.
        search: "greedy" for block coordinate descent, "random" for the best of whole stickers at random.
        seed: decides the candidates.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from bakeoff.papers.robustness.camera_stickers import CameraSticker
        >>> bright = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))  # class 1 from a mean of 0.5
        >>> _ = bright[1].weight.data.copy_(torch.tensor([[-1.0], [1.0]]).expand(2, 64))
        >>> _ = bright[1].bias.data.copy_(torch.tensor([32.0, -32.0]))
        >>> dark = torch.full((3, 1, 8, 8), 0.48)
        >>> sticker = CameraSticker(dots=2, alpha_max=0.5).fit(bright, dark, source=0, target=1, calls=100)
        >>> bright(sticker.apply(dark)).argmax(1).tolist(), sorted(set(sticker.colours.flatten().tolist()))
        ([1, 1, 1], [1.0])
    """

    def __init__(self, dots: int = 6, *, radius: float = 0.18, alpha_max: float = 0.3, beta: float = 1.5, palette=None, grid: int = 15,
                 sweeps: int = 2, refinements: int = 10, search: str = "greedy", seed: int = 0):
        self.dots, self.radius, self.alpha_max, self.beta, self.palette = dots, radius, alpha_max, beta, palette
        self.grid, self.sweeps, self.refinements, self.search, self.seed = grid, sweeps, refinements, search, seed

    def fit(self, model: nn.Module, images: Tensor, source: int, target: int, *, calls: int = 1000, on_step=None) -> CameraSticker:
        """Search for the dots.

        Args:
            model: (B, C, H, W) -> (B, K) logits; looked at in evaluation mode and left as it was.
            images: (N, C, H, W) of the source class, values in [0, 1].
            source: y, their class.
            target: t, the class wanted.
            calls: losses over all images that may be asked for; a gradient step is paid as three.
            on_step: called with the lowest loss so far, and how many calls it took since.

        Returns:
            self, with centres (k, 2) in shares of height and width, colours (k, C), k <= K, and losses, the loss without dots first
            and then after every change kept.

        Raises:
            ValueError: images are not of that shape or range, or a setting is out of range.
        """
        images = inputs(images, model)
        if images.ndim != 4 or not len(images):
            raise ValueError(f"expected images (N, C, H, W), N > 0, got shape {tuple(images.shape)}")
        amounts = (self.radius, self.beta, self.dots, self.sweeps)
        if self.search not in ("greedy", "random") or not 0 <= self.alpha_max <= 1 or min(amounts) <= 0:
            raise ValueError("expected search 'greedy' or 'random', alpha_max in [0, 1], and radius, beta, dots and sweeps above 0")
        rng = torch.Generator().manual_seed(self.seed)
        palette = torch.as_tensor({1: GREYS, 3: COLOURS}[images.shape[1]] if self.palette is None else self.palette).to(images)  # (P, C)

        def losses(centres, colours):
            """Of M stickers, each of k dots: (M, k, 2), (M, k, C) -> (M,)."""
            through, tint = self._film(centres, colours, images.shape[2:])
            logits = model((through[:, None] * images + tint[:, None]).flatten(0, 1))
            return (logits[:, source] - logits[:, target]).view(len(centres), -1).mean(1)

        def draw(*shape):
            places = (torch.randint(self.grid, (*shape, 2), generator=rng) + 0.5) / self.grid
            return places, palette[torch.randint(len(palette), shape, generator=rng)]

        def tell(value, amount):
            if on_step is not None:
                on_step(value, amount)

        self.centres, self.colours = images.new_zeros(0, 2), palette[:0]
        with evaluating(model), torch.no_grad():
            self.losses = [float(losses(self.centres[None], self.colours[None]))]  # paid for by nobody: both searches ask it
            {"greedy": self._greedy, "random": self._random}[self.search](losses, draw, calls, tell)
        return self

    def apply(self, images: Tensor) -> Tensor:
        """Images seen through the sticker: (N, C, H, W) -> (N, C, H, W), in [0, 1] where images are."""
        if not hasattr(self, "centres"):
            raise NotFitted(type(self).__name__)
        through, tint = self._film(self.centres[None], self.colours[None], images.shape[2:])
        return through * images + tint

    def _film(self, centres: Tensor, colours: Tensor, size) -> tuple[Tensor, Tensor]:
        """What M stickers let through (M, 1, H, W), and what they add (M, C, H, W)."""
        height, width = size
        rows, columns = (torch.arange(side) + 0.5 for side in size)
        apart = ((rows[:, None] - height * centres[..., 0, None, None]) ** 2
                 + (columns - width * centres[..., 1, None, None]) ** 2) / (self.radius * min(size)) ** 2  # (M, k, H, W)
        alpha = self.alpha_max * torch.exp(-(apart ** self.beta))
        through, tint = torch.ones(len(centres), 1, *size), torch.zeros(len(centres), colours.shape[2], *size)
        for k in range(centres.shape[1]):
            one = alpha[:, k, None]  # (M, 1, H, W)
            through, tint = (1 - one) * through, (1 - one) * tint + one * colours[:, k, :, None, None]
        return through, tint

    def _keep(self, centres: Tensor, colours: Tensor, values: Tensor) -> None:
        """The best of some stickers, if it is better than what there is."""
        best = int(values.argmin())
        if float(values[best]) < self.losses[-1]:
            self.centres, self.colours = centres[best].clone(), colours[best].clone()
            self.losses.append(float(values[best]))

    def _random(self, losses, draw, calls: int, tell) -> None:
        for start in range(0, calls, 20):
            stickers = draw(min(20, calls - start), self.dots)
            self._keep(*stickers, losses(*stickers))
            tell(self.losses[-1], len(stickers[0]))

    def _greedy(self, losses, draw, calls: int, tell) -> None:
        refinements = min(self.refinements, calls // 6)
        rounds = np.diff(np.linspace(0, calls - 3 * refinements, self.dots * self.sweeps + 1).astype(int))
        for turn, tries in enumerate(rounds):
            k = min(turn % self.dots, len(self.centres))
            for start in range(0, tries, 20):
                centres, colours = draw(min(20, tries - start))
                stickers = [torch.cat([old[:k].expand(len(new), -1, -1), new[:, None], old[k + 1:].expand(len(new), -1, -1)], 1)
                            for old, new in ((self.centres, centres), (self.colours, colours))]
                self._keep(*stickers, losses(*stickers))
                k = min(turn % self.dots, len(self.centres) - 1) if len(self.centres) > k else k
                tell(self.losses[-1], len(centres))
        self._refine(losses, refinements, tell)

    def _refine(self, losses, steps: int, tell) -> None:
        """Gradient steps of falling length on the centres."""
        centres = self.centres
        for step in range(steps):
            with torch.enable_grad():
                place = centres.clone().requires_grad_()
                value = losses(place[None], self.colours[None]).sum()
                slope = torch.autograd.grad(value, place)[0] if len(place) else place
            self._keep(centres[None], self.colours[None], value.detach()[None])
            tell(self.losses[-1], 3)
            longest = slope.norm(dim=1).max().clamp_min(1e-12) if len(slope) else 1.0
            centres = (centres - 0.03 * (1 - step / steps) * slope / longest).clamp(0, 1)


PAIRS, LEARNING_STEPS, SEARCHED, TESTED = 2, {"smoke": 30, "quick": 300, "full": 3000}, 40, 200


def attacked(train, budget, seed, search: str):
    """A net trained as usual, and a sticker for each of the class pairs drawn from the seed, in both directions."""
    x, y = torch.tensor(train.pixels), torch.tensor(train.labels)
    network = small_cnn(x.shape[1:], len(train.classes), seed=seed, width=8, hidden=64)
    learn(network, x, y, steps=LEARNING_STEPS[budget.name], learning_rate=2e-3, batch_size=128, seed=seed)
    count = min(PAIRS, len(train.classes) // 2)
    drawn = np.random.default_rng(seed).permutation(len(train.classes))[:2 * count].reshape(count, -1)
    pairs = [(int(a), int(b)) for a, b in (*drawn, *drawn[:, ::-1])]
    calls = np.diff(np.linspace(0, budget.steps, len(pairs) + 1).astype(int)).tolist()
    return network, {(source, target): CameraSticker(search=search, seed=seed).fit(
        network, x[y == source][:SEARCHED], source, target, calls=asked, on_step=budget.spend)
        for (source, target), asked in zip(pairs, calls, strict=True)}


def treatment(train, budget, seed):
    """Dots searched by block coordinate descent."""
    return attacked(train, budget, seed, search="greedy")


def control(train, budget, seed):
    """The best of as many stickers at random."""
    return attacked(train, budget, seed, search="random")


def score(model, test):
    network, stickers = model
    x, y = torch.tensor(test.pixels), torch.tensor(test.labels)
    shares = []
    with torch.no_grad():
        clean = network(x[:1000]).argmax(1) == y[:1000]
        for (source, target), sticker in stickers.items():
            images = x[y == source][:TESTED]
            before, after = (network(seen).argmax(1) for seen in (images, sticker.apply(images)))
            shares.append([(after == target).double().mean(), (before == target).double().mean(), (after == source).double().mean()])
    fooled, anyway, held = (100 * float(share) for share in torch.tensor(shares).mean(0))
    return {CLAIM.metric: fooled, "said the target without dots": anyway, "still said the true class": held,
            "accuracy without dots": 100 * float(clean.double().mean())}


def draw(model, test):
    network, stickers = model
    x, y = torch.tensor(test.pixels), torch.tensor(test.labels)
    drawings = []
    for (source, target), sticker in stickers.items():
        images = x[y == source][:8]
        seen = sticker.apply(images)
        with torch.no_grad():
            said = ", ".join(test.classes[label] for label in network(seen).argmax(1))
        rows = [torch.cat(list(row.permute(0, 2, 3, 1)), 1) for row in (images, seen)]  # each (H, 8 W, C)
        drawings.append(Drawing.picture(f"{test.classes[source]} through a sticker towards {test.classes[target]}: {said}",
                                        torch.cat(rows).numpy()))
    return drawings
