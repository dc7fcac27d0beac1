"""Self-defence of CycleGAN: what a generator hides in its translations is drowned in noise, or told on by a guessing discriminator.

Bashkirova, Usman, Saenko. NeurIPS 2019. arXiv:1908.01517.

Method: G: A -> B and F: B -> A are learnt without pairs. D_B tells real b from G(a), D_A real a from F(b), by least squares:

    D:     1/2 E (D_B(b) - 1)^2 + 1/2 E D_B(G(a))^2                                   and so for A,
    G, F:  E (D_B(G(a)) - 1)^2 + 10 E |F(G(a)) - a|_1 + 5 E |G(b) - b|_1               and so for the other way.

Where b says less than a, the second term is lowered by hiding the rest of a in G(a) as faint structured noise: an adversarial
example that G makes for F. Two defences, alone or together:

    noise   F sees G(a) + s R n / 2, n ~ N(0, I) and R the range of the batch's translations, in the cycle term;
    guess   a discriminator sees (a, F(G(a))) or (F(G(a)), a) along the channels, the order by a coin, and says whether the first is the
            reconstruction; G and F are told off, with weight 2, when it says so rightly.

Measured: noise sensitivity is the mean |F(G(a) + n_s) - F(G(a))| over deviations s of the noise; honesty is by how much
|F(G(a)) - a| grows when each pixel of G(a) is rounded to the nearest of the values that b can have, which wipes out what is hidden.

Departures: the pictures are of 14 pixels a side (any others are halved until they fit in 16): A are garments, each dyed in a colour of its
own, which B, maps in three colours of background, dark and bright parts, do not tell; so the pairing is known, and the halves that are
learnt from share no picture. Generators of two residual blocks start from the picture itself, to which they add a change, and have neither
normalisation nor tanh: with tanh some seeds ended in all-black pictures. 300 steps at a rate of 0.002, not 200 epochs at 0.0002. The coin
of a pair is thrown for each picture. The judged number is the share of pixels whose nearest map colour is wrong: unlike noise sensitivity,
training under noise does not lower it by itself. The paper's formula for honesty was not to be had; its idea, reconstruction with and
without what rounding removes, is measured. Tuned on training pictures kept aside, error in %, means of seeds 101 and 102, the identity
weight alike in both arms. At 0.5: CycleGAN with a cycle weight of 0.1, 0.3 and 1 had 25.8, 23.2 and 26.5, both defences together with 0.1,
0.3, 1, 3 and 10 had 29.6, 24.3, 25.0, 25.4 and 24.5. At the paper's 5: CycleGAN with 0.3 and 1 had 34.2 and 29.6, both defences with 1 and
3 had 35.0 and 24.6. So the identity weight is 0.5 and each arm has its best cycle weight there, 0.3 in both; seeds differ by up to 10
points. In an earlier trial of one seed noise alone had 27.3 at the paper's 10 and 5, both defences 24.1, CycleGAN 35.8, and the growth by
rounding was 0.061 (noise), 0.034 (both) and 0.121; with weights of 0.3 and 0.5 CycleGAN hides as little (0.024) as both defences do
(0.035). Guess alone was not tuned here.

Out of reach: scenes of 256 pixels, and nothing follows for photographs. From a start at the identity the cycle term is small at once, which
makes hiding easy; how much would be hidden from another start is not told.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.errors import NotFitted
from bakeoff.parts.learning import inputs
from bakeoff.parts.seeding import seeded
from bakeoff.parts.supervised import minibatches

PAPER = Paper(title="Adversarial Self-Defense for Cycle-Consistent GANs", authors=("Bashkirova", "Usman", "Saenko"), year=2019,
              venue="NeurIPS", arxiv="1908.01517", also=("self-adversarial attack", "guess loss", "CycleGAN steganography"))
CLAIM = Claim(says="On all 3 data sets (maps, street scenes, shapes) noise on the translations, or a discriminator that guesses the "
                   "reconstruction, makes CycleGAN hide less of its input and translate better.",
              data="fashion-mnist", metric="translation error", unit="percentage points", better="lower", margin=0.5,
              equal="steps", steps={"smoke": 4, "quick": 300, "full": 40_000})
__all__ = ["HonestCycleGAN", "dishonesty", "noise_sensitivity"]


class HonestCycleGAN:
    """Translates between two kinds of pictures of which no pairs are known. Pixels are in [0, 1].

    Args:
        channels_a, channels_b: of a picture of each kind.
        noise: s, the deviation of the noise in halves of the translations' range; 0 for none.
        guess_weight: of the guess defence; 0 for none.
        cycle_weight: of the cycle term.
        identity_weight: of the identity term; kinds that differ in channels have none.
        width: channels of the first layer of every network.
        learning_rate, batch_size: Adam's, whose beta1 is 1/2.
        pool: how many earlier translations are kept, to be shown to the discriminators half of the time.
        seed: decides start, order, coins and noise.

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.honest_cycle_gan import HonestCycleGAN
        >>> rng = torch.Generator().manual_seed(0)
        >>> a, b = torch.rand(40, 3, 8, 8, generator=rng), torch.rand(30, 1, 8, 8, generator=rng)
        >>> model = HonestCycleGAN(3, 1, width=4).fit(a, b, steps=3)
        >>> model.to_b(a).shape, model.to_a(b).shape
        (torch.Size([40, 1, 8, 8]), torch.Size([30, 3, 8, 8]))
    """

    def __init__(self, channels_a: int, channels_b: int, *, noise: float = 0.1, guess_weight: float = 0.0, cycle_weight: float = 10.0,
                 identity_weight: float = 5.0, width: int = 8, learning_rate: float = 2e-4, batch_size: int = 16, pool: int = 50,
                 seed: int = 0):
        self.channels_a, self.channels_b, self.noise, self.guess_weight = channels_a, channels_b, noise, guess_weight
        self.cycle_weight, self.identity_weight, self.width, self.pool = cycle_weight, identity_weight, width, pool
        self.learning_rate, self.batch_size, self.seed = learning_rate, batch_size, seed

    def fit(self, a, b, *, steps: int, on_step=None) -> HonestCycleGAN:
        """Learn both translations.

        Args:
            a: (N, channels_a, H, W) pictures of one kind, sides divisible by 2; a tensor or an array.
            b: (M, channels_b, H, W) of the other, in no known order.
            steps: minibatches of each kind to learn from.
            on_step: called with the generators' loss after every step.

        Returns:
            self.

        Raises:
            ValueError: shapes do not fit, or values are not in [0, 1].
        """
        a, b = inputs(a).float(), inputs(b).float()
        if (not len(a) or not len(b) or a.ndim != 4 or a.shape[1:] != (self.channels_a, *b.shape[2:]) or b.shape[1] != self.channels_b
                or a.shape[2] % 2 or a.shape[3] % 2):
            raise ValueError(f"expected (N, {self.channels_a}, H, W) and (M, {self.channels_b}, H, W) with even H and W, "
                             f"found {tuple(a.shape)} and {tuple(b.shape)}")
        a, b, width, (c, d) = 2 * a - 1, 2 * b - 1, self.width, (self.channels_a, self.channels_b)
        with seeded(self.seed):
            self.forth, self.back = Generator(c, d, width), Generator(d, c, width)
            judges = nn.ModuleList([discriminator(channels, width) for channels in (d, c, 2 * c, 2 * d)])
        rng, pools = torch.Generator().manual_seed(self.seed), (Pool(self.pool), Pool(self.pool))
        make, tell = (torch.optim.Adam(one.parameters(), self.learning_rate, betas=(0.5, 0.999), fused=True)
                      for one in (nn.ModuleList([self.forth, self.back]), judges))
        rows_a, rows_b = (minibatches(len(one), self.batch_size, steps, self.seed + i) for i, one in enumerate((a, b)))
        for here, there in zip(rows_a, rows_b, strict=True):
            made = self._cycle(a[here], b[there], rng)
            judges.requires_grad_(False)
            loss = self._generators_loss(a[here], b[there], made, judges, rng)
            _descend(make, loss)
            judges.requires_grad_(True)
            _descend(tell, self._judges_loss(a[here], b[there], [one.detach() for one in made[:4]], judges, pools, rng))
            if on_step is not None:
                on_step(loss.item())
        return self

    def to_b(self, a) -> Tensor:
        """Pictures a (N, channels_a, H, W) of the first kind, floats, translated to the second."""
        return self._translated("forth", inputs(a, bounds=None).float())

    def to_a(self, b) -> Tensor:
        """Pictures b (N, channels_b, H, W) of the second kind, floats, translated to the first."""
        return self._translated("back", inputs(b, bounds=None).float())

    def _cycle(self, a, b, rng):
        """G(a), F(b), F(G(a) + n), G(F(b) + n), G(b), F(a); the last two empty where there is no identity term."""
        same = self.identity_weight > 0 and self.channels_a == self.channels_b
        fake_b, same_b = self.forth(torch.cat([a, b] if same else [a])).split([len(a), len(b) * same])
        fake_a, same_a = self.back(torch.cat([b, a] if same else [b])).split([len(b), len(a) * same])
        return fake_b, fake_a, self.back(noisy(fake_b, self.noise, rng)), self.forth(noisy(fake_a, self.noise, rng)), same_b, same_a

    def _generators_loss(self, a, b, made, judges, rng):
        fake_b, fake_a, again_a, again_b, same_b, same_a = made
        loss = squares(judges[0](fake_b), 1) + squares(judges[1](fake_a), 1)
        loss = loss + self.cycle_weight * (F.l1_loss(again_a, a) + F.l1_loss(again_b, b))
        if len(same_b):
            loss = loss + self.identity_weight * (F.l1_loss(same_b, b) + F.l1_loss(same_a, a))
        if self.guess_weight > 0:
            loss = loss + self.guess_weight * (guess_loss(judges[2], again_a, a, rng) + guess_loss(judges[3], again_b, b, rng))
        return loss

    def _judges_loss(self, a, b, made, judges, pools, rng):
        fake_b, fake_a, again_a, again_b = made
        loss = 0.5 * (squares(judges[0](b), 1) + squares(judges[0](pools[0](fake_b, rng)), 0))
        loss = loss + 0.5 * (squares(judges[1](a), 1) + squares(judges[1](pools[1](fake_a, rng)), 0))
        if self.guess_weight > 0:
            loss = loss + guess_loss(judges[2], a, again_a, rng) + guess_loss(judges[3], b, again_b, rng)
        return loss

    def _translated(self, way, x):
        if not hasattr(self, way):
            raise NotFitted
        with torch.no_grad():
            return (torch.cat([getattr(self, way)(2 * part - 1) for part in x.split(500)]) / 2 + 0.5).clamp(0, 1)


def guess_loss(judge: nn.Module, first: Tensor, second: Tensor, rng: torch.Generator) -> Tensor:
    """How far a judge is from saying that `second` is the reconstruction: 1 if it comes first in the pair, by a coin a picture, else 0.

    Telling the judge that the true picture is the reconstruction is what the generators want.
    """
    ahead = torch.rand(len(first), 1, 1, 1, generator=rng) < 0.5
    pair = torch.where(ahead, torch.cat([second, first], 1), torch.cat([first, second], 1))
    return squares(judge(pair), ahead.to(first.dtype))


def squares(told: Tensor, truth) -> Tensor:
    """The mean squared distance from the truth."""
    return (told - truth).square().mean()


def noisy(x: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """x under Gaussian noise of deviation `share` times half the range of x."""
    if share == 0:
        return x
    spread = share * 0.5 * (x.max() - x.min()).detach()
    return x + spread * torch.randn(x.shape, generator=rng)


class Generator(nn.Module):
    """Half the size, two residual blocks, and back, added to a mixture of the channels: (B, channels, H, W) -> (B, out, H, W)."""

    def __init__(self, channels: int, out: int, width: int):
        super().__init__()
        self.through = nn.Conv2d(channels, out, 1, bias=False)
        nn.init.dirac_(self.through.weight)  # each channel to itself, at first
        self.change = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.2),
                                    nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.LeakyReLU(0.2),
                                    Residual(2 * width), Residual(2 * width),
                                    nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
                                    nn.Conv2d(width, out, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.through(x) + self.change(x)


class Residual(nn.Module):
    """x + two convolutions of x."""

    def __init__(self, width: int):
        super().__init__()
        self.change = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.change(x)


def discriminator(channels: int, width: int) -> nn.Module:
    """What is thought of each patch: (B, channels, H, W) -> (B, 1, H / 4, W / 4)."""
    return nn.Sequential(nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
                         nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(2 * width, 1, 3, padding=1))


class Pool:
    """The last pictures that came: each one asked about is answered, half of the time, with an earlier one, whose place it takes."""

    def __init__(self, size: int):
        self.size, self.kept = size, []

    def __call__(self, x: Tensor, rng: torch.Generator) -> Tensor:  # (B, C, H, W) -> the same shape
        given = []
        for one in x:
            if len(self.kept) < self.size:
                self.kept.append(one)
            elif torch.rand((), generator=rng) < 0.5:
                place = int(torch.randint(self.size, (), generator=rng))
                one, self.kept[place] = self.kept[place], one
            given.append(one)
        return torch.stack(given)


def _descend(optimiser, loss):
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def noise_sensitivity(model, a: Tensor, scales: Sequence[float] = (0.02, 0.05, 0.1, 0.2), seed: int = 0) -> float:
    """How much a reconstruction depends on faint signals: the mean of |F(G(a) + n) - F(G(a))| over pixels and over scales of the noise.

    Args:
        model: has `to_b` and `to_a`.
        a: (N, C, H, W).
        scales: deviations of the noise, for pixels in [0, 1].
        seed: decides the noise.

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.honest_cycle_gan import noise_sensitivity
        >>> class Constant:
        ...     to_b = to_a = staticmethod(torch.zeros_like)
        >>> noise_sensitivity(Constant, torch.rand(2, 1, 4, 4))
        0.0
    """
    rng, b = torch.Generator().manual_seed(seed), model.to_b(a)
    still = model.to_a(b)
    return sum(float((model.to_a(b + scale * torch.randn(b.shape, generator=rng)) - still).abs().mean()) for scale in scales) / len(scales)


def dishonesty(model, a: Tensor, colours: Tensor) -> float:
    """By how much |F(G(a)) - a|, on average, grows when the translation is rounded to colours that pictures of B have.

    Args:
        model: has `to_b` and `to_a`.
        a: (N, C, H, W).
        colours: (K, channels of B).

    Example:
        >>> import torch
        >>> from bakeoff.papers.robustness.honest_cycle_gan import dishonesty
        >>> class Hidden:  # all of a picture in the last digits of its translation
        ...     to_b, to_a = staticmethod(lambda a: 0.01 * a), staticmethod(lambda b: 100 * b)
        >>> round(dishonesty(Hidden, torch.full((2, 1, 4, 4), 0.5), torch.tensor([[0.0], [1.0]])), 3)
        0.5
    """
    b = model.to_b(a)
    return float((model.to_a(colours[nearest(b, colours)].permute(0, 3, 1, 2)) - a).abs().mean() - (model.to_a(b) - a).abs().mean())


def nearest(b: Tensor, colours: Tensor) -> Tensor:
    """Which of the colours (K, C) is nearest to each pixel of b (N, C, H, W): (N, H, W)."""
    return (b[:, None] - colours[:, :, None, None]).square().sum(2).argmin(1)


COLOURS = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.3, 0.9], [1.0, 0.9, 0.2]])  # of background, dark and bright parts
BOUNDS, LEARNING_RATE, IDENTITY, TESTED = torch.tensor([0.15, 0.55]), 2e-3, 0.5, 1000
TEST_DYES = 2 ** 31  # a seed beyond those of pairs, whose dyes are learnt from


def dyed(pixels, seed: int) -> tuple[Tensor, Tensor]:
    """Pictures of at most 16 pixels a side, each dyed in a colour of its own (N, 3, H, W), and the part of every pixel (N, H, W)."""
    light = torch.tensor(pixels).mean(1, keepdim=True)  # (N, 1, H, W)
    while max(light.shape[2:]) > 16:
        light = F.avg_pool2d(light, 2)
    light = light[:, :, :light.shape[2] // 2 * 2, :light.shape[3] // 2 * 2]
    dye = 0.3 + 0.7 * torch.rand(len(light), 3, 1, 1, generator=torch.Generator().manual_seed(seed))
    return light * dye, torch.bucketize(light[:, 0], BOUNDS)


def fitted(train, budget, seed, **how):
    """One half of the pictures is seen dyed, the other half as maps of their parts."""
    half = len(train) // 2
    a, _ = dyed(train.pixels[:half], seed)
    _, parts = dyed(train.pixels[half:2 * half], seed)
    return HonestCycleGAN(3, 3, identity_weight=IDENTITY, learning_rate=LEARNING_RATE, seed=seed, **how).fit(
        a, COLOURS[parts].permute(0, 3, 1, 2), steps=budget.steps, on_step=budget.spend)


def treatment(train, budget, seed):
    """Noise on the translations, and a judge of reconstructions."""
    return fitted(train, budget, seed, noise=0.1, guess_weight=2.0, cycle_weight=0.3)


def control(train, budget, seed):
    """CycleGAN."""
    return fitted(train, budget, seed, noise=0.0, guess_weight=0.0, cycle_weight=0.3)


def score(model, test):
    a, parts = dyed(test.pixels[:TESTED], TEST_DYES)
    b = model.to_b(a)
    return {CLAIM.metric: 100 * float((nearest(b, COLOURS) != parts).double().mean()),
            "absolute error of the translation": float((b - COLOURS[parts].permute(0, 3, 1, 2)).abs().mean()),
            "absolute error of the reconstruction": float((model.to_a(b) - a).abs().mean()),
            "noise sensitivity": noise_sensitivity(model, a), "dishonesty": dishonesty(model, a, COLOURS)}


def draw(model, test):
    a, parts = dyed(test.pixels[:10], TEST_DYES)
    b = model.to_b(a)
    rounded = COLOURS[nearest(b, COLOURS)].permute(0, 3, 1, 2)
    rows = (a, COLOURS[parts].permute(0, 3, 1, 2), b, model.to_a(b), model.to_a(rounded))
    picture = torch.cat([torch.cat(list(row.permute(0, 2, 3, 1)), 1) for row in rows])
    return [Drawing.picture("Pictures; their true translations; the model's; what it makes of these; the same when they are rounded",
                            picture.repeat_interleave(4, 0).repeat_interleave(4, 1).numpy())]
