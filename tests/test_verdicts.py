"""The interval against its own definition, and the error it promises, by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bakeoff import verdicts
from bakeoff.verdicts import interval, judge

RUNS, LOOKS = 4000, 50
ERROR = 0.05


def log_evidence(x, mu):
    """log E_n(mu) as the module's docstring defines it."""
    n, g = len(x), verdicts.EFFECT_VARIANCE
    r = n * (x.mean() - mu) ** 2 / ((x - x.mean()) ** 2).sum()
    return -0.5 * np.log(1 + n * g) + n / 2 * (np.log1p(r) - np.log1p(r / (1 + n * g)))


def mirrored(size):
    """Normal numbers with their mirror images: no skewness."""
    half = np.random.default_rng(size).normal(size=size)
    return np.concatenate([1 + half, 1 - half])


@pytest.mark.parametrize("size", [4, 8, 25])
def test_at_both_ends_the_evidence_is_one_over_the_error(size):
    x = mirrored(size)
    for end in interval(x, error=0.05):
        assert log_evidence(x, end) == pytest.approx(np.log(20), rel=1e-9)


def test_the_evidence_is_the_likelihood_ratio_mixed_over_effect_sizes():
    """Effects and scales integrated by hand: the densities of n = 5 numbers under N(delta sigma, sigma^2), d sigma / sigma."""
    x, g = np.array([0.3, 1.1, -0.2, 0.8, 1.5]), verdicts.EFFECT_VARIANCE
    log_sigma = np.linspace(-6, 6, 1201)[:, None]
    delta = np.linspace(-9, 9, 1801)[None]
    power = sum(-0.5 * (one / np.exp(log_sigma) - delta) ** 2 for one in x) - len(x) * log_sigma
    alternative = np.exp(power - delta**2 / (2 * g)).sum() / np.sqrt(2 * np.pi * g) * (18 / 1800)
    null = np.exp(sum(-0.5 * (one / np.exp(log_sigma)) ** 2 for one in x) - len(x) * log_sigma).sum()
    assert np.log(alternative / null) == pytest.approx(log_evidence(x, 0.0), abs=1e-6)


@given(st.lists(st.floats(-100, 100), min_size=7, max_size=30), st.floats(0.1, 10), st.floats(-50, 50))
def test_the_interval_moves_with_the_unit(numbers, scale, shift):
    x = np.round(numbers, 3)
    ends, moved = interval(x), interval(scale * x + shift)
    if np.ptp(x) > 0 and np.isfinite(ends).all():
        assert np.allclose([scale * end + shift for end in ends], moved, rtol=1e-6, atol=1e-6)


@given(st.lists(st.floats(-100, 100), min_size=7, max_size=30))
def test_mirrored_differences_give_the_mirrored_verdict(numbers):
    x = np.round(numbers, 3)
    one, other = judge(x, margin=1.0, better="higher"), judge(-x, margin=1.0, better="lower")
    assert one.decision == other.decision
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))


def test_skewness_moves_the_end_on_the_side_of_the_long_tail_and_never_inward():
    x = np.array([1.0, 1.1, 0.9, 1.2, 1.0, 1.1, 0.8, 1.0, 1.1, -2.0])
    plain = np.sqrt(((x - x.mean()) ** 2).mean()) * verdicts._reach(len(x), 0.05)
    low, high = interval(x)
    c = verdicts.SKEWNESS_FACTOR * stats.skew(x, bias=False)
    T = (x.mean() - low) / np.std(x)
    assert T + c * T**2 / 3 + c**2 * T**3 / 27 + c / (6 * len(x)) == pytest.approx(verdicts._reach(len(x), 0.05))
    assert low < x.mean() - 1.3 * plain
    assert high == pytest.approx(x.mean() + plain)


def first_decision(differences, margin):
    """The verdict of the first look that decides."""
    looks = (judge(differences[:n], margin=margin) for n in range(1, len(differences) + 1))
    return next((one for one in looks if one.decision != "undecided"), judge(differences, margin=margin))


NULLS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "normal, tiny": lambda rng, shape: 1e-7 * rng.normal(size=shape),
    "heavy tails": lambda rng, shape: rng.standard_t(3, size=shape),
    "uniform": lambda rng, shape: rng.uniform(-1, 1, size=shape),
    "skewed to the right": lambda rng, shape: rng.exponential(size=shape) - 1,
    "skewed to the left": lambda rng, shape: 1 - rng.exponential(size=shape),
    "gamma, to the left": lambda rng, shape: 2 - rng.gamma(2, size=shape),
    "signs": lambda rng, shape: rng.choice([-1.0, 1.0], size=shape),
    "mostly ties": lambda rng, shape: rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=shape),
    "counts": lambda rng, shape: rng.binomial(20, 0.9, size=shape) - rng.binomial(20, 0.9, size=shape) + 0.0,
    "Poisson, to the left": lambda rng, shape: 1.0 - rng.poisson(1, size=shape),
}


@pytest.mark.parametrize("name", NULLS)
def test_peeking_after_every_pair_up_to_fifty_seldom_finds_an_effect_that_is_not_there(name):
    x = NULLS[name](np.random.default_rng(11), (RUNS, LOOKS))
    found = np.any([interval(x[:, :n])[0] > 0 for n in range(1, LOOKS + 1)], axis=0)
    assert found.mean() <= ERROR


def test_a_fixed_t_test_looked_at_every_time_would_not_do():
    """The simulation can see what it is there to see."""
    x = NULLS["normal"](np.random.default_rng(11), (RUNS, LOOKS))
    found = np.any([stats.ttest_1samp(x[:, :n], 0, axis=1, alternative="greater").pvalue < ERROR for n in range(7, LOOKS + 1)], axis=0)
    assert found.mean() > 2 * ERROR


def test_the_interval_holds_the_mean_at_every_look_together():
    x = 3 + NULLS["normal"](np.random.default_rng(2), (RUNS, LOOKS))
    ends = [interval(x[:, :n]) for n in range(1, LOOKS + 1)]
    assert np.mean(np.any([(low > 3) | (high < 3) for low, high in ends], axis=0)) <= ERROR


@pytest.mark.parametrize(("effect", "most_pairs"), [(1.0, 16.5), (1.5, 11), (3.0, 8)])
def test_a_true_effect_is_found_soon(effect, most_pairs):
    x = effect + np.random.default_rng(5).normal(size=(300, LOOKS))
    found = [first_decision(row, margin=0.1) for row in x]
    assert np.mean([one.decision == "holds" for one in found]) > 0.98
    assert np.mean([one.pairs for one in found]) < most_pairs


def test_no_effect_fails_once_the_margin_is_out_of_reach():
    x = np.random.default_rng(6).normal(size=(200, LOOKS))
    found = [first_decision(row, margin=1.0).decision for row in x]
    assert np.mean([one == "fails" for one in found]) > 0.97


def test_the_smallest_numbers_of_pairs_are_kept():
    clear = [5.0, 5.1, 4.9, 5.2, 4.8, 5.1, 4.9]
    assert [judge(clear[:n], margin=1).decision for n in (6, 7)] == ["undecided", "holds"]
    assert [judge([5.0] * n, margin=1).decision for n in (9, 10)] == ["undecided", "holds"]
    assert judge([0.0] * 10, margin=1).decision == "fails"
    assert judge([5.0] * 10, margin=1).interval == (5.0, 5.0)
    assert judge([0.1 + 0.2] * 9 + [0.3], margin=1).decision == "holds"


def test_a_sure_advantage_holds_even_below_the_margin_and_a_sure_loss_fails():
    small = [0.1, 0.11, 0.09, 0.1, 0.12, 0.08, 0.1, 0.1]
    assert judge(small, margin=1).decision == "holds"
    assert judge([-one for one in small], margin=1).decision == "fails"
    assert judge(small, margin=1, better="lower").decision == "fails"


def test_nothing_seen_is_undecided():
    verdict = judge([], margin=1)
    assert (verdict.decision, verdict.interval, verdict.pairs) == ("undecided", (-np.inf, np.inf), 0)
    assert np.isnan(verdict.estimate)


@pytest.mark.parametrize(("differences", "options"), [
    ([1.0, float("nan")], {}), ([1.0, float("inf")], {}), ([[1.0], [2.0]], {}), ([1.0], {"margin": 0}), ([1.0], {"margin": float("nan")}),
    ([1.0], {"error": 0}), ([1.0], {"error": 1}), ([1.0], {"better": "more"})])
def test_arguments_outside_their_range_are_refused(differences, options):
    with pytest.raises(ValueError, match=r"."):
        judge(differences, **{"margin": 1.0, **options})
