"""SIREN: a network whose activation is a sine fits a signal, and with it the signal's derivatives.

Sitzmann, Martel, Bergman, Lindell, Wetzstein. NeurIPS 2020. arXiv:2006.09661.

Method: a picture is a function Phi from coordinates x in [-1, 1]^2 to colours, and the function is a network:

    Phi(x) = W_n (phi_{n-1} o ... o phi_0)(x) + b_n,     phi_i(x) = sin(omega_0 (W_i x + b_i)),     omega_0 = 30   (eq. 1)

The start keeps every layer's statistics alike whatever the depth (Theorem 1.8): the input of each hidden sine is near standard
normal and its output near the arcsine law if the coordinates are uniform in [-1, 1] and, with n inputs to a layer,

    W_0 ~ U(-1/n, 1/n),     W_i ~ U(-sqrt(6/n)/omega_0, sqrt(6/n)/omega_0) for i > 0.                               (eq. 2)

The derivative of a sine is a sine of another phase, so the gradient of a SIREN is made of SIRENs and can be supervised too:

    L = mean |Phi(x) - f(x)|^2     or     L = mean |grad Phi(x) - grad f(x)|^2,     minimised by Adam.                (eq. 3)

Departures: 2,048 points are drawn at random for a step, where the paper takes every pixel in each of 15,000 steps at a learning
rate of 1e-4; the 400 steps of `quick` show each pixel 56 times, the paper's first 400 steps 400 times. So short a budget wants its
own rate: searched at `quick` on three cuts of the photograph "flower", which is not judged, the best mean ratio was 38.4 dB for
sines (1e-4: 38.1, 3e-4: 38.4, 5e-4: 36.0, 1e-3: 36.3, 3e-3: 15.7) and 35.0 dB for ReLUs (with 5 frequencies 1e-3: 34.0, 2e-3: 35.0,
3e-3: 34.2, 1e-2: 29.8; with 4 at best 34.7, with 6 at best 33.5). Biases start as in the authors' code, uniform in +-1/sqrt(n),
about which the theorem is silent; times omega_0 they widen the hidden sines' inputs to a deviation of about 1.5 (1.0 without).
Colours are fitted in [-1, 1]; the ratios are reported for colours in [0, 1].

Out of reach: video, sound, shapes, the wave and Helmholtz equations, and the hypernetwork over SIRENs. `quick` sees the beginning
of a fit only, which may be why no lead shows on "china" (on one of the three cuts of "flower" sines led by 2.9 dB after 400 steps, by
4.4 dB after 1,600); and one rate serves cuts of sky and of roofs, between which the lead changes sign. A picture of 128 x
128 pixels says nothing about the larger ones of the paper, and a fit says nothing about what lies between the pixels: for that,
look at the hidden ones.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.data.kinds.picture import Picture
from bakeoff.errors import NotFitted
from bakeoff.parts.seeding import seeded

PAPER = Paper(
    title="Implicit Neural Representations with Periodic Activation Functions",
    authors=("Sitzmann", "Martel", "Bergman", "Lindell", "Wetzstein"), year=2020, venue="NeurIPS", arxiv="2006.09661",
    also=("SIREN", "SIRENs", "sinusoidal representation networks", "periodic activation functions"))
CLAIM = Claim(
    says="Within a few hundred steps sines fit a picture closer than ReLUs of the same width and depth, even where these see encoded "
         "coordinates (the paper's figure is for a video: 29 dB, 5 dB above plain ReLUs).",
    data="china", metric="psnr", unit="dB", better="higher", margin=1.0,
    equal="steps", steps={"smoke": 8, "quick": 400, "full": 15_000})
__all__ = ["SIREN", "FourierReLU", "Sine"]


class _Field:
    """What both networks share: a fit of values or of gradients at points, by Adam."""

    def fit(self, coordinates, values=None, gradients=None, steps=500, batch_size=None, on_step=None):
        """Fit a function to its values, to its gradients, or to both (eq. 3).

        Args:
            coordinates: (N, D) points, best in [-1, 1].
            values: (N, C) the function there, or None.
            gradients: (N, C, D) its derivatives there, or None.
            steps: updates of Adam.
            batch_size: points drawn a step; None takes all N each time.
            on_step: called with the loss after each step.

        Returns:
            self.

        Raises:
            ValueError: nothing to fit is given, or not one row for each point.
        """
        if values is None and gradients is None:
            raise ValueError("nothing to fit: give values, gradients, or both")
        x, *targets = (None if one is None else torch.as_tensor(one, dtype=torch.float32) for one in (coordinates, values, gradients))
        for name, target, dimensions in zip(("values", "gradients"), targets, (2, 3), strict=True):
            if target is not None and (target.ndim != dimensions or len(target) != len(x)):
                raise ValueError(f"{name} of shape {tuple(target.shape)} for coordinates of shape {tuple(x.shape)}")
        outputs = next(target.shape[1] for target in targets if target is not None)
        with seeded(self.seed):
            self._network = self._build(x.shape[1], outputs)
        optimizer = torch.optim.Adam(self._network.parameters(), self.learning_rate)
        rng = torch.Generator().manual_seed(self.seed)
        for _ in range(steps):
            rows = slice(None) if batch_size is None else torch.randint(len(x), (batch_size,), generator=rng)
            loss = self._loss(x[rows], *(None if target is None else target[rows] for target in targets))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if on_step:
                on_step(loss.item())
        return self

    def predict(self, coordinates) -> Tensor:
        """The function's values (N, C) at points (N, D)."""
        with torch.no_grad():
            return torch.cat([self._fitted(x) for x in torch.as_tensor(coordinates, dtype=torch.float32).split(1 << 14)])

    def gradient(self, coordinates) -> Tensor:
        """The network's exact derivatives (N, C, D) at points (N, D): entry [n, c, d] is d value c / d coordinate d."""
        points = torch.as_tensor(coordinates, dtype=torch.float32).split(1 << 14)
        return torch.cat([_value_and_gradient(self._fitted, x, keep=False)[1] for x in points])

    def _loss(self, x: Tensor, values: Tensor | None, gradients: Tensor | None) -> Tensor:
        if gradients is None:
            return (self._network(x) - values).square().mean()
        found, slope = _value_and_gradient(self._network, x, keep=True)
        loss = (slope - gradients).square().mean()
        return loss if values is None else loss + (found - values).square().mean()

    @property
    def _fitted(self) -> nn.Module:
        if not hasattr(self, "_network"):
            raise NotFitted()
        return self._network


def _value_and_gradient(network, x: Tensor, keep: bool) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    values = network(x)  # (N, C)
    slopes = [torch.autograd.grad(one.sum(), x, create_graph=keep, retain_graph=True)[0] for one in values.unbind(1)]
    return values if keep else values.detach(), torch.stack(slopes, 1)  # (N, C, D)


class SIREN(_Field):
    """A sinusoidal representation network.

    Args:
        hidden: width of the sine layers.
        layers: how many hidden sine layers follow the first one.
        first_omega, omega: omega_0 of the first and of the hidden layers.
        learning_rate: of Adam.
        seed: of the start and of the points drawn.

    Example:
        >>> import torch
        >>> from bakeoff.papers.fields.siren import SIREN
        >>> x = torch.linspace(-1, 1, 101)[:, None]
        >>> siren = SIREN(hidden=32, layers=1, learning_rate=1e-3).fit(x, torch.sin(9 * x), steps=200)
        >>> bool((siren.predict(x) - torch.sin(9 * x)).abs().max() < 0.05), siren.gradient(x).shape
        (True, torch.Size([101, 1, 1]))
    """

    def __init__(self, hidden=256, layers=3, first_omega=30.0, omega=30.0, learning_rate=1e-4, seed=0):
        self.hidden, self.layers, self.first_omega, self.omega = hidden, layers, first_omega, omega
        self.learning_rate, self.seed = learning_rate, seed

    def _build(self, inputs: int, outputs: int) -> nn.Module:
        last = nn.Linear(self.hidden, outputs)
        _uniform(last.weight, math.sqrt(6 / self.hidden) / self.omega)
        return nn.Sequential(Sine(inputs, self.hidden, self.first_omega, first=True),
                             *(Sine(self.hidden, self.hidden, self.omega) for _ in range(self.layers)), last)


class Sine(nn.Module):
    """One layer, sin(omega (W x + b)), started as in eq. 2.

    Args:
        inputs, outputs: sizes.
        omega: omega_0, the factor on the layer's input.
        first: True for the layer that sees the coordinates.

    Example:
        >>> import torch
        >>> from bakeoff.papers.fields.siren import Sine
        >>> Sine(2, 5)(torch.zeros(3, 2)).shape
        torch.Size([3, 5])
    """

    def __init__(self, inputs: int, outputs: int, omega: float = 30.0, first: bool = False):
        super().__init__()
        self.omega, self.linear = omega, nn.Linear(inputs, outputs)
        _uniform(self.linear.weight, 1 / inputs if first else math.sqrt(6 / inputs) / omega)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's outputs (B, outputs) for its inputs x (B, inputs)."""
        return torch.sin(self.omega * self.linear(x))


def _uniform(weight: Tensor, bound: float) -> None:
    nn.init.uniform_(weight, -bound, bound)


class FourierReLU(_Field):
    """ReLUs on coordinates encoded as (x, sin(2^k pi x), cos(2^k pi x)) for k < frequencies: the positional encoding of NeRF.

    Args:
        frequencies: how many octaves encode each coordinate.
        hidden: width of the ReLU layers.
        layers: how many hidden ReLU layers follow the first one.
        learning_rate: of Adam.
        seed: of the start and of the points drawn.

    Example:
        >>> import torch
        >>> from bakeoff.papers.fields.siren import FourierReLU
        >>> x = torch.linspace(-1, 1, 101)[:, None]
        >>> relus = FourierReLU(frequencies=2, hidden=32, layers=1).fit(x, torch.sin(9 * x), steps=100)
        >>> bool((relus.predict(x) - torch.sin(9 * x)).abs().max() < 0.5)
        True
    """

    def __init__(self, frequencies=6, hidden=256, layers=3, learning_rate=1e-3, seed=0):
        self.frequencies, self.hidden, self.layers = frequencies, hidden, layers
        self.learning_rate, self.seed = learning_rate, seed

    def _build(self, inputs: int, outputs: int) -> nn.Module:
        widths = [inputs * (1 + 2 * self.frequencies)] + [self.hidden] * (self.layers + 1)
        linear = [nn.Linear(*pair) for pair in pairwise(widths)]
        for one in linear:
            nn.init.kaiming_normal_(one.weight, nonlinearity="relu")
        rectified = [part for one in linear for part in (one, nn.ReLU())]
        return nn.Sequential(_Octaves(self.frequencies), *rectified, nn.Linear(self.hidden, outputs))


class _Octaves(nn.Module):
    def __init__(self, count: int):
        super().__init__()
        self.register_buffer("factors", math.pi * 2.0 ** torch.arange(count))

    def forward(self, x: Tensor) -> Tensor:  # (B, D) -> (B, D + 2 D K)
        angles = (x[..., None] * self.factors).flatten(1)
        return torch.cat([x, angles.sin(), angles.cos()], 1)


def _learn(field, train: Picture, budget):
    given = ~train.hidden.reshape(-1)
    points = _grid(*train.hidden.shape)[given]
    colours = torch.tensor(2 * train.pixels - 1).flatten(0, 1)[given]
    return field.fit(points, colours, steps=budget.steps, batch_size=2048, on_step=budget.spend)


def _grid(height: int, width: int) -> Tensor:
    return torch.cartesian_prod(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width))  # (H W, 2)


def _picture(model, like: Picture) -> tuple[np.ndarray, np.ndarray]:
    """Colours (H, W, C) in [0, 1] and their derivatives per pixel (H, W, C, 2)."""
    shape, points = like.pixels.shape, _grid(*like.hidden.shape)
    per_pixel = torch.tensor([1 / (size - 1) for size in shape[:2]])  # half of 2 / (size - 1): colours were doubled
    return (model.predict(points).reshape(shape).numpy() / 2 + 0.5, (model.gradient(points) * per_pixel).reshape(*shape, 2).numpy())


def _differences(pixels: np.ndarray) -> np.ndarray:
    return np.stack(np.gradient(pixels, axis=(0, 1)), -1)  # (H, W, C, 2), central inside


def _decibel(squared_error: np.ndarray) -> float:
    return float(-10 * np.log10(max(squared_error.mean(dtype=np.float64), 1e-12))) if squared_error.size else math.nan


def treatment(train, budget, seed):
    """A SIREN of 3 hidden layers of 256."""
    return _learn(SIREN(learning_rate=3e-4, seed=seed), train, budget)


def control(train, budget, seed):
    """ReLUs on the positional encoding, of the same width and depth."""
    return _learn(FourierReLU(frequencies=5, learning_rate=2e-3, seed=seed), train, budget)


def score(model, test):
    """Peak signal-to-noise ratios: the pixels given (judged), the hidden pixels, and the gradient (per pixel) of the whole."""
    found, slope = _picture(model, test)
    error = np.square(found - test.pixels).mean(2)
    slope_error = np.square(slope - _differences(test.pixels))[1:-1, 1:-1]
    return {"psnr": _decibel(error[~test.hidden]), "psnr of hidden pixels": _decibel(error[test.hidden]),
            "psnr of the gradient": _decibel(slope_error)}


def draw(model, test):
    """The picture that the network holds, and the size of its gradient."""
    found, slope = _picture(model, test)
    size = np.sqrt(np.square(slope).sum(3).mean(2))
    return [Drawing.picture("reconstruction", found), Drawing.picture("size of the gradient", 4 * size)]
