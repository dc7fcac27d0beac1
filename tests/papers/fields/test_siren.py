"""Sines and encoded ReLUs: the start's statistics, exact derivatives, fits of values and of gradients, and the measures of the score."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from bakeoff.data.kinds.picture import Picture
from bakeoff.errors import NotFitted
from bakeoff.papers.fields import siren as paper
from bakeoff.papers.fields.siren import SIREN, FourierReLU, Sine
from bakeoff.parts.seeding import seeded

LINE = torch.linspace(-1, 1, 64)[:, None]
SQUARE = torch.cartesian_prod(torch.linspace(-1, 1, 12), torch.linspace(-1, 1, 12))


def test_a_layer_is_a_sine_of_the_scaled_linear_map():
    with seeded(0):
        layer, x = Sine(3, 4, omega=7.0), torch.randn(5, 3)
    weight, bias = (one.detach().numpy() for one in layer.parameters())
    np.testing.assert_allclose(layer(x).detach(), np.sin(7 * (x.numpy() @ weight.T + bias)), atol=1e-5)


def test_the_start_keeps_every_hidden_layer_near_standard_normal_and_arcsine():
    with seeded(0):
        x = 2 * torch.rand(1000, 2) - 1
        first, *hidden = [Sine(2, 512, first=True)] + [Sine(512, 512) for _ in range(4)]
    spread = 1.0
    with torch.no_grad():
        x = first(x)
        for layer in hidden:
            layer.linear.bias.zero_()  # the theorem has none
            before, x = layer.omega * layer.linear(x), layer(x)
            assert before.std().item() == pytest.approx(spread, abs=0.03)
            assert stats.kstest(before[:, ::16].flatten().numpy(), stats.norm(0, spread).cdf).statistic < 0.03
            assert stats.kstest(x[:, ::16].flatten().numpy(), stats.arcsine(-1, 2).cdf).statistic < 0.1
            spread = math.sqrt(1 - math.exp(-2 * spread ** 2))  # 2 Var sin(spread Z): 1, 0.93, 0.91, 0.90, and no lower than 0.89


@pytest.mark.parametrize("field", [SIREN(hidden=32, layers=2, seed=1), FourierReLU(frequencies=2, hidden=32, layers=2, seed=1)])
def test_the_gradient_is_the_slope_of_the_values(field):
    field.fit(SQUARE, torch.stack((SQUARE[:, 0] * SQUARE[:, 1], SQUARE[:, 0] ** 2), 1), steps=20)
    with seeded(3):
        points = 1.8 * torch.rand(40, 2) - 0.9
    step = 5e-4
    sides = [(field.predict(points + step * axis), field.predict(points - step * axis)) for axis in torch.eye(2)]
    slopes = torch.stack([(above - below) / (2 * step) for above, below in sides], 2)
    assert slopes.abs().mean() > 0.1
    assert ((field.gradient(points) - slopes).abs() < 1e-3).double().mean() > 0.75  # a ReLU has corners


def test_a_fit_of_values_learns_the_derivative_as_well():
    field = SIREN(hidden=64, layers=1, first_omega=10, learning_rate=1e-3).fit(LINE, torch.sin(4 * LINE), steps=300)
    inner = LINE[4:-4]
    torch.testing.assert_close(field.predict(inner), torch.sin(4 * inner), atol=0.02, rtol=0)
    torch.testing.assert_close(field.gradient(inner)[:, 0], 4 * torch.cos(4 * inner), atol=0.4, rtol=0)


def test_a_fit_of_gradients_finds_the_function_up_to_a_constant():
    x, y = SQUARE.unbind(1)
    values = torch.sin(2 * x) + x * y
    gradients = torch.stack((2 * torch.cos(2 * x) + y, x), 1)[:, None]  # (N, 1, 2)
    field = SIREN(hidden=64, layers=1, first_omega=5, omega=5, learning_rate=1e-3).fit(SQUARE, gradients=gradients, steps=300)
    found = field.predict(SQUARE)[:, 0]
    torch.testing.assert_close(found - found.mean(), values - values.mean(), atol=0.03, rtol=0)
    both = SIREN(hidden=64, layers=1, first_omega=5, omega=5, learning_rate=1e-3).fit(SQUARE, values[:, None], gradients, steps=300)
    torch.testing.assert_close(both.predict(SQUARE)[:, 0], values, atol=0.05, rtol=0)


def test_the_control_sees_octaves_of_sines_and_cosines():
    field = FourierReLU(frequencies=3, hidden=8, layers=0, seed=2).fit(SQUARE, SQUARE[:, :1], steps=3)
    _, first, _, last = field._network
    waves = [wave(2 ** k * math.pi * SQUARE[:, axis]) for wave in (torch.sin, torch.cos) for axis in (0, 1) for k in range(3)]
    inputs = torch.stack([*SQUARE.unbind(1), *waves], 1)  # (N, 14)
    torch.testing.assert_close(field.predict(SQUARE), last((inputs @ first.weight.T + first.bias).relu()).detach())


@pytest.mark.parametrize("kind", [SIREN, FourierReLU])
def test_a_second_fit_begins_anew_and_a_seed_decides_all(kind):
    def fitted(field, seed=0):
        return field.fit(LINE, torch.sin(3 * LINE), steps=5, batch_size=16).predict(LINE)

    field = kind(hidden=16, layers=1, seed=4)
    first = fitted(field)
    torch.rand(3)
    assert torch.equal(first, fitted(field))
    assert torch.equal(first, fitted(kind(hidden=16, layers=1, seed=4)))
    assert not torch.equal(first, fitted(kind(hidden=16, layers=1, seed=5)))


def test_wrong_use_is_told():
    with pytest.raises(NotFitted):
        SIREN().predict(LINE)
    with pytest.raises(NotFitted):
        FourierReLU().gradient(LINE)
    with pytest.raises(ValueError, match="give values, gradients, or both"):
        SIREN().fit(LINE)
    with pytest.raises(ValueError, match=r"values of shape \(64,\)"):
        SIREN().fit(LINE, LINE[:, 0])


class Exact:
    """A picture whose colours are linear in its coordinates, off by `error` where it was hidden."""

    def __init__(self, hidden, given_error, hidden_error):
        self.error = np.where(hidden, hidden_error, given_error).reshape(-1, 1)

    def predict(self, points):
        return torch.tensor(2 * (points[:, :1].numpy() / 4 + 0.5 + self.error) - 1)

    def gradient(self, points):
        return torch.tensor([0.5, 0.0]).expand(len(points), 1, 2)


def test_the_score_is_in_decibels_of_colours_between_0_and_1():
    rows = np.linspace(0.25, 0.75, 16)
    test = Picture(np.repeat(rows[:, None], 20, 1)[..., None], np.random.default_rng(0).random((16, 20)) < 0.3)
    found = paper.score(Exact(test.hidden, 0.01, -0.1), test)
    assert found["psnr"] == pytest.approx(40, abs=0.01)
    assert found["psnr of hidden pixels"] == pytest.approx(20, abs=0.01)
    assert found["psnr of the gradient"] > 100  # per pixel: 1/30 down, 0 across


def test_no_arm_learns_from_a_hidden_pixel():
    picture = Picture(np.random.default_rng(1).random((24, 24, 3)), side=24)
    train, _ = picture.split(0)
    altered = Picture(np.where(train.hidden[..., None], 1.0, train.pixels), train.hidden, 24)

    class Two:
        steps = 2

        @staticmethod
        def spend(value):
            pass

    for arm in (paper.treatment, paper.control):
        assert torch.equal(*(arm(one, Two, 0).predict(SQUARE) for one in (train, altered)))
