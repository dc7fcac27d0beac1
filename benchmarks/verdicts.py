"""How many pairs a verdict takes, and how often it errs: the anytime-valid interval beside the customary ten seeds.

The custom: run 10 seeds of both arms, do a one-sided paired t-test once. It is given the same error as the interval really
has: its level is set so that it finds an effect that is not there as often as the interval does in 50 looks at normal
differences. The interval may stop after any pair and stops at 50. Writes benchmarks/verdicts.md.
"""

from pathlib import Path

import numpy as np
from scipy import stats

from bakeoff.verdicts import interval

RUNS, LOOKS, SEEDS = 20_000, 50, 10

NULLS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "Student's t, 3 degrees of freedom": lambda rng, shape: rng.standard_t(3, size=shape),
    "uniform": lambda rng, shape: rng.uniform(-1, 1, size=shape),
    "exponential - 1": lambda rng, shape: rng.exponential(size=shape) - 1,
    "1 - exponential": lambda rng, shape: 1 - rng.exponential(size=shape),
    "2 - gamma(2)": lambda rng, shape: 2 - rng.gamma(2, size=shape),
    "mean - lognormal, sigma 0.5": lambda rng, shape: np.exp(0.125) - rng.lognormal(0, 0.5, size=shape),
    "mean - lognormal, sigma 1": lambda rng, shape: np.exp(0.5) - rng.lognormal(size=shape),
    "-1 or 1": lambda rng, shape: rng.choice([-1.0, 1.0], size=shape),
    "-1, 0 or 1, mostly 0": lambda rng, shape: rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=shape),
    "difference of two counts of 20": lambda rng, shape: rng.binomial(20, 0.9, size=shape) - rng.binomial(20, 0.9, size=shape) + 0.0,
    "1 - Poisson(1)": lambda rng, shape: 1.0 - rng.poisson(1, size=shape),
    "gain of 0.2, rare loss of 0.8": lambda rng, shape: 0.2 - (rng.random(shape) < 0.2),
    "gain of 0.1, rare loss of 0.9": lambda rng, shape: 0.1 - (rng.random(shape) < 0.1),
}


def first_looks(x: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """For each row: the number of pairs at the first look that decides (else 0), and whether it said *holds*."""
    pairs, holds = np.zeros(len(x), int), np.zeros(len(x), bool)
    for n in range(1, x.shape[1] + 1):
        low, high = interval(x[:, :n])
        new = (pairs == 0) & ((low > 0) | (high < margin))
        pairs[new], holds[new] = n, low[new] > 0
    return pairs, holds


def main() -> None:
    rng = np.random.default_rng(0)
    rows = ["# Pairs to a verdict", "",
            f"Written by `benchmarks/verdicts.py`: {RUNS:,} simulated claims a row, up to {LOOKS} pairs, error 0.05.", "",
            "## False *holds*: the true mean difference is 0", "",
            "| differences | looking after every pair | ten seeds, t-test at 0.05 | t-test at 0.05 after every pair from 7 |",
            "|---|---|---|---|"]
    for name, draw in NULLS.items():
        x = draw(rng, (RUNS, LOOKS))
        ours = np.any([interval(x[:, :n])[0] > 0 for n in range(1, LOOKS + 1)], axis=0).mean()
        with np.errstate(all="ignore"):
            p = np.array([_p(x[:, :n]) for n in range(7, LOOKS + 1)])
        rows.append(f"| {name} | {ours:.3f} | {(p[SEEDS - 7] < 0.05).mean():.3f} | {(p < 0.05).any(0).mean():.3f} |")
        if name == "normal":
            level = ours
    rows += ["", "No interval without bounds on the differences can know of a rare loss that has not happened yet: the last two rows.", "",
             "## Pairs and power, normal differences of standard deviation 1, margin 0.5", "",
             f"The t-test on ten seeds is held to the same error, {level:.3f}.", "",
             "| true difference | mean pairs to a decision | holds | fails | undecided | ten seeds: pairs | ten seeds: found |",
             "|---|---|---|---|---|---|---|"]
    for effect in (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0):
        x = effect + rng.normal(size=(RUNS, LOOKS))
        pairs, holds = first_looks(x, 0.5)
        taken = np.where(pairs == 0, LOOKS, pairs)
        found = (_p(x[:, :SEEDS]) < level).mean()
        shares = holds.mean(), ((pairs > 0) & ~holds).mean(), (pairs == 0).mean()
        rows.append(f"| {effect} | {taken.mean():.1f} | {' | '.join(f'{share:.3f}' for share in shares)} | {SEEDS} | {found:.3f} |")
    text = "\n".join(rows) + "\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


def _p(x: np.ndarray) -> np.ndarray:
    """One-sided p-values of the t-test on each row; where all of a row are equal, its sign decides."""
    n, mean, deviation = x.shape[1], x.mean(1), x.std(1, ddof=1)
    t = np.where(deviation > 1e-12, mean / np.maximum(deviation, 1e-12) * np.sqrt(n), np.sign(mean) * np.inf)
    return stats.t.sf(np.nan_to_num(t, nan=0.0, posinf=np.inf, neginf=-np.inf), n - 1)


if __name__ == "__main__":
    main()
