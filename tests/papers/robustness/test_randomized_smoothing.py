"""Certificates against closed forms: the binomial bound, linear and interval classifiers, earlier bounds, and their rate of error."""

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from torch import nn

from bakeoff.data.kinds.images import Images
from bakeoff.papers.robustness import randomized_smoothing as paper
from bakeoff.papers.robustness.randomized_smoothing import Smoothed, lower_bound


class Score(nn.Module):
    """Class 1 where `rule` of the pixels (B, M) is positive."""

    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def forward(self, x):
        value = self.rule(x.flatten(1))
        return torch.stack((-value, value), 1)


class Calls(nn.Module):
    def __init__(self, rule):
        super().__init__()
        self.forward = rule


def images(*pixels):
    """One image of 1 x 1 x M for each row."""
    return torch.tensor(pixels, dtype=torch.float32)[:, None, None]


def test_the_lower_bound_is_the_exact_binomial_one():
    for n, alpha in ((10, 0.05), (100, 0.001), (100_000, 0.001)):
        hits = [0, 1, n // 2, n - 1, n]
        known = [stats.binomtest(k, n, alternative="greater").proportion_ci(1 - alpha, "exact").low for k in hits]
        np.testing.assert_allclose(lower_bound(hits, n, alpha), known, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(lower_bound([1, n], n, alpha), [-np.expm1(np.log1p(-alpha) / n), alpha ** (1 / n)], rtol=1e-9)


def test_a_linear_classifier_is_certified_up_to_its_boundary_and_no_further():
    weight, bias, sigma = torch.tensor([3.0, -4.0]), 0.5, 0.5
    x = images([0.1, 0.0], [0.3, 0.2], [0.2, 0.6], [0.9, 0.7])
    margin = x[:, 0, 0] @ weight + bias
    distance = margin.abs() / weight.norm()  # 0.16, 0.12, 0.26, 0.08
    network, gaps = Score(lambda rows: rows @ weight + bias), []
    for n in (1000, 10_000, 100_000):
        labels, radii = Smoothed(network, sigma).certify(x, n=n, alpha=1e-6, batch=10_000)
        known = labels >= 0
        assert torch.equal(labels[known], (margin > 0).long()[known])
        assert (radii < distance).all()
        gaps.append(float((distance - radii).max()))
        attacked = x - (radii[:, None] * torch.sign(margin)[:, None] * weight / weight.norm()).float()[:, None, None]
        assert torch.equal(network(attacked).argmax(1)[known], labels[known])
    assert known.all()
    assert gaps[2] < 0.015 < gaps[0]
    assert gaps[2] < gaps[1] < gaps[0]


def test_a_classifier_that_is_not_linear_is_certified_within_the_smoothed_boundary():
    sigma, x = 0.5, images([0.0], [0.5], [0.8])

    def vote(at):  # P(|at + noise| < 1) - 1/2
        return stats.norm.cdf((1 - at) / sigma) - stats.norm.cdf((-1 - at) / sigma) - 0.5

    boundary = optimize.brentq(vote, 0.5, 2)
    labels, radii = Smoothed(Score(lambda rows: 1 - rows[:, 0].abs()), sigma).certify(x, n=20_000)
    assert labels.tolist() == [1, 1, 1]
    assert (radii < boundary - x.flatten()).all()
    np.testing.assert_allclose(radii, sigma * stats.norm.ppf(vote(x.flatten().numpy()) + 0.5), atol=0.06)


def test_certificates_are_wrong_as_seldom_as_they_say():
    sigma, alpha, distance, repeats = 1.0, 0.05, 0.7, 4000
    x = torch.zeros(repeats, 1, 1, 1)
    _, radii = Smoothed(Score(lambda rows: rows[:, 0] + distance), sigma).certify(x, n=300, alpha=alpha, batch=100_000)
    wrong = float((radii > distance).double().mean())
    assert alpha / 2 < wrong <= alpha + 3 * (alpha * (1 - alpha) / repeats) ** 0.5  # the bound is exact, so it is not idle either


def test_nothing_is_said_about_a_coin():
    x = torch.zeros(2000, 1, 1, 1)
    coin = Smoothed(Score(lambda rows: rows[:, 0]), 1.0)
    labels, radii = coin.certify(x, n=200, alpha=0.01, batch=100_000)
    assert (labels != -1).double().mean() <= 0.02
    assert (radii[labels == -1] == 0).all()
    assert (coin.predict(x, n=200, alpha=0.01, batch=100_000) != -1).double().mean() <= 0.02


def test_predict_withholds_where_the_two_sided_binomial_test_does():
    counts = []

    def recorded(rows):
        counts.append((rows[:, 0] > 0).view(60, -1).sum(1))
        return rows[:, 0]

    x = torch.linspace(-1.2, 1.2, 60).view(60, 1, 1, 1)
    labels = Smoothed(Score(recorded), 1.0).predict(x, n=100, alpha=0.05, batch=6000)
    ones = counts[0].tolist()
    known = [int(k > 50) if stats.binomtest(k, 100).pvalue <= 0.05 else -1 for k in ones]
    assert labels.tolist() == known
    assert set(known) == {-1, 0, 1}


def test_certain_votes_certify_what_n_allows_whatever_the_batch():
    x = images(*([float(i % 3)] for i in range(7)))
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 3))  # logits -(x - k)^2 up to a part common to all k
    network[1].weight.data, network[1].bias.data = torch.tensor([[0.0], [2.0], [4.0]]), torch.tensor([0.0, -1.0, -4.0])
    for batch in (11, 64, 5000):
        labels, radii = Smoothed(network, 0.01).certify(x, n0=3, n=50, batch=batch)
        assert labels.tolist() == [i % 3 for i in range(7)]
        np.testing.assert_allclose(radii, 0.01 * stats.norm.ppf(0.001 ** (1 / 50)), rtol=1e-9)


def test_the_certificate_is_larger_than_earlier_ones_that_know_the_exact_probabilities():
    for margin in (0.5, 1.0, 2.0):
        p = stats.norm.cdf(margin)
        _, radius = Smoothed(Score(lambda rows, m=margin: rows[:, 0] + m), 1.0).certify(torch.zeros(1, 1, 1, 1), n=100_000, batch=50_000)
        privacy, divergence = privacy_radius(p, 1 - p), divergence_radius(p, 1 - p)
        assert 0 < privacy < divergence < radius < margin


def privacy_radius(first: float, second: float) -> float:
    """Lecuyer et al. (arXiv:1802.03471) at noise 1: the largest e / sqrt(2 ln(1.25 / d)) with first >= exp(2 e) second + (1 + exp(e)) d."""
    e = np.linspace(1e-3, 1, 1000)
    d = (first - np.exp(2 * e) * second) / (1 + np.exp(e))
    return float((e[d > 0] / np.sqrt(2 * np.log(1.25 / d[d > 0]))).max())


def divergence_radius(first: float, second: float) -> float:
    """Li et al. (arXiv:1809.03113) at noise 1: by the Renyi divergence of order a, the best over a."""
    a = np.linspace(1.001, 30, 5000)
    mean = ((first ** (1 - a) + second ** (1 - a)) / 2) ** (1 / (1 - a))
    return float(np.sqrt((-2 / a * np.log(1 - first - second + 2 * mean)).max()))


def test_the_model_votes_in_evaluation_mode_and_is_left_as_it_was():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.9), nn.Linear(8, 3))
    network[2].eval()  # modes may differ inside one model
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x, drawn = torch.rand(5, 1, 2, 2), torch.get_rng_state()
    found = Smoothed(network, 0.1).certify(x, n=100)
    assert [module.training for module in network] == [True, True, False, True, True, True]
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)
    for one, other in zip(found, Smoothed(network.eval(), 0.1).certify(x, n=100), strict=True):
        assert torch.equal(one, other)


def test_the_score_is_the_share_of_images_that_are_right_and_certified_at_one_half():
    test = Images(np.zeros((10, 1, 2, 2)), [1] * 7 + [0] * 3, ("a", "b"))
    always = Smoothed(Score(lambda rows: torch.ones(len(rows))), 0.25)
    cap = 0.25 * stats.norm.ppf(0.001 ** (1 / 1000))
    found = paper.score((always, 10, 1000), test)
    assert found["certified accuracy at radius 0.5"] == pytest.approx(70)
    assert found["average certified radius"] == pytest.approx(0.7 * cap)
    assert (found["accuracy without noise"], found["withheld"]) == (pytest.approx(70), 0)
    assert paper.score((always, 10, 200), test)["certified accuracy at radius 0.5"] == 0  # 200 copies certify 0.46 at most


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"alpha": 1.0}, {"n": 0}, {"n0": 0}, {"batch": 0}])
def test_numbers_out_of_range_are_refused(wrong):
    certifier = Smoothed(Score(lambda rows: rows[:, 0]))
    with pytest.raises(ValueError, match="expected"):
        certifier.certify(torch.zeros(1, 1, 1, 1), **wrong)
    with pytest.raises(ValueError, match="expected x as a tensor of floats"):
        certifier.predict(torch.zeros(1, 2, 2))
    with pytest.raises(ValueError, match=r"expected alpha in \(0, 1\) and hits in 0..n"):
        lower_bound(11, 10, 0.1)


def test_what_is_not_a_number_is_never_certified():
    network = Score(lambda rows: rows[:, 0])
    with pytest.raises(ValueError, match="finite pixels"):
        Smoothed(network).certify(torch.full((2, 1, 1, 1), torch.nan), n=10)
    with pytest.raises(ValueError, match="training diverged"):
        Smoothed(Score(lambda rows: rows[:, 0] / 0 * 0)).certify(torch.zeros(2, 1, 1, 1), n=10)
    for logits in (lambda x: x[:, 0, 0], lambda x: x):  # (B, 1) and (B, K, H, W)
        with pytest.raises(ValueError, match=r"logits \(B, K\), K >= 2"):
            Smoothed(Calls(logits)).certify(torch.zeros(2, 1, 1, 1), n=10)
