"""No certificate of randomised smoothing is broken: by a search of the plane, by attacks, or by noise that the model has seen."""

import numpy as np
import torch
from scipy import stats
from sklearn.datasets import load_digits
from torch import nn

from bakeoff.papers.robustness.randomized_smoothing import Smoothed
from bakeoff.papers.robustness.smooth_adv import attack_smoothed
from bakeoff.parts.attacks import pgd
from bakeoff.parts.seeding import seeded
from bakeoff.parts.supervised import train as learn


class Score(nn.Module):
    """Class 1 where `rule` of the pixels (B, M) is positive."""

    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def forward(self, x):
        value = self.rule(x.flatten(1))
        return torch.stack((-value, value), 1)


def test_no_direction_leads_out_of_a_certificate_where_the_smoothed_label_is_known():
    """In the plane, class 1 is a square and a half-plane: every point of every certified disc is looked at, by the exact vote."""
    sigma, centre, half = 0.4, torch.tensor([0.2, -0.1]), 0.45

    def rule(rows):
        square = half - (rows - centre).abs().amax(1)
        return torch.maximum(square, rows[:, 0] - 1.5)

    def share(points):  # P(class 1) of points (M, 2), in closed form: the parts do not overlap
        ends = (centre.numpy() + half * np.array([[[1.0]], [[-1.0]]]) - points) / sigma  # (2, M, 2)
        inside = -np.diff(stats.norm.cdf(ends), axis=0)[0]  # (M, 2)
        return inside.prod(1) + stats.norm.cdf((points[:, 0] - 1.5) / sigma)

    grid = torch.cartesian_prod(torch.linspace(-1, 2.5, 29), torch.linspace(-1.2, 1, 12))
    labels, radii = Smoothed(Score(rule), sigma).certify(grid[:, None, None], n=2000, alpha=1e-6, batch=100_000)
    turn = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    disc = np.linspace(0, 1, 15)[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], 1)  # (15, 180, 2)
    known = 0
    for point, label, radius in zip(grid.numpy(), labels.tolist(), radii.tolist(), strict=True):
        if label != -1:
            votes = share((point + radius * disc).reshape(-1, 2))
            assert (votes > 0.5).all() if label == 1 else (votes < 0.5).all()
            known += 1
    assert known > 250
    assert set(labels.tolist()) >= {0, 1}


def test_no_attack_on_the_smoothed_classifier_breaks_a_certificate():
    sigma = 0.3
    data = load_digits()
    x, y = torch.tensor(data.images[:, None] / 16, dtype=torch.float32), torch.tensor(data.target)
    with seeded(0):
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    learn(network, x, y, steps=200, learning_rate=3e-3, batch_size=64, seed=0,
          change=lambda rows, rng: rows + sigma * torch.randn(rows.shape, generator=rng))
    smoothed = Smoothed(network, sigma)
    labels, radii = smoothed.certify(x[:40], n=1000)
    kept = (radii + 9 * (radii == 0)).argsort()[:8]  # the smallest certificates
    assert (labels[kept] >= 0).all()
    for row in kept.tolist():
        one, label, radius = x[row:row + 1], labels[row:row + 1], float(radii[row])
        tried = [pgd(network, one, label, radius=radius, norm=2, steps=10, noise=sigma, draws=32),
                 pgd(network, one, label, radius=radius, norm=2, steps=10),
                 attack_smoothed(network, one, label, sigma=sigma, radius=radius, steps=10, draws=32)]
        said = Smoothed(network, sigma, seed=1).predict(torch.cat(tried), n=1000)
        assert ((said == label) | (said == -1)).all()
    further = attack_smoothed(network, x[:60][kept], labels[kept], sigma=sigma, radius=2.0, steps=10, draws=32)  # the attack is no dud
    assert (smoothed.predict(further, n=1000) != labels[kept]).all()


def test_the_noise_of_a_certificate_is_not_that_of_a_generator_with_the_same_seed():
    seen = []
    Smoothed(Score(lambda rows: seen.append(rows) or rows[:, 0]), 1.0, seed=5).certify(torch.zeros(1, 1, 4, 4), n0=50, n=50, batch=50)
    trained = torch.randn(100 * 16, generator=torch.Generator().manual_seed(5))
    assert not set(torch.cat(seen).flatten().tolist()) & set(trained.tolist())
