"""Discriminator GA: an evolution of molecules that, when it stands still, is driven off by a classifier which has learnt to recognise it.

Nigam, Friederich, Krenn, Aspuru-Guzik. ICLR 2020. arXiv:1909.11655.

Method: a population of P molecules, written as SELFIES, of which any string is a molecule, is improved by mutation alone.

    J(m) = z(logP) - z(SA) - z(RingPenalty)          the objective: penalised logP, standardised over ZINC
    F(m) = J(m) + beta D(m)                          the fitness; D(m) in (0, 1)
    P(replace the r-th best by F) = 1 / (1 + exp(-10 (r / P - 0.2))),  r = 0..P-1

A replaced molecule gives its place to a mutant of a kept one, drawn evenly; all start as methane. A mutation inserts a symbol or
overwrites one, with probability 1/2 each, and is drawn again until RDKit reads a molecule of at most 81 characters. D is a network
of sigmoid units on 51 descriptors, trained in every generation, 10 steps of Adam on the cross-entropy, to give 1 to molecules of the
reference and 0 to the population: what has stayed long is recognised best. Time-adaptive beta: 1000 in a generation in which the
population's best J has been the same for five generations, else 0. So a standstill is broken by keeping what looks like the reference.

Departures: J is asked once for each distinct molecule, and such calls are what both arms spend, not generations. The standstill counts
from the start, where the authors' release waits for 100 of its 1,000 generations. The descriptors name the release's 51 properties, but
rings are counted in the whole molecule, not in pieces of it, adjacent double bonds by the atom they share, not by the order in which
bonds are listed, and ratios to the carbons divide by at least 1. SELFIES 2 renamed symbols. `quick` has a population of 50; the logistic
above is the release's for P = 500, with ranks taken relative to P. Two other disturbances, which the paper does not have, can take the
discriminator's place in a standstill: `chance`, numbers drawn evenly from (0, 1) for D, and `restart`, all methane again.

Out of reach: whether the paper's figures are of runs of one length; what D gains at 100,000 molecules and more. At `quick` a standstill
of five generations is no rut yet, and breaking it costs more climbing than it brings, whatever breaks it: after 4,000 molecules the best
J was 12.5 of the plain search, 11.7 with chance, 10.5 with the discriminator and 9.5 with restarts (benchmarks/evolution.md). Where the
search never comes to a standstill, both arms are one run, and the side measure of firings is 0. J is a toy: long chains of carbon and of
sulphur win, and no high value is a drug.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.parts.fingerprints import diversity, nearest, novelty
from bakeoff.parts.molecule_descriptors import DESCRIPTORS, descriptors
from bakeoff.parts.molecule_texts import listed
from bakeoff.parts.penalised_logp import penalised_logp, terms
from bakeoff.parts.seeding import seeded
from bakeoff.parts.selfies_mutation import below, mutate_selfies

PAPER = Paper(title="Augmenting Genetic Algorithms with Deep Neural Networks for Exploring the Chemical Space",
              authors=("Nigam", "Friederich", "Krenn", "Aspuru-Guzik"), year=2020, venue="ICLR", arxiv="1909.11655",
              also=("GA+D", "genetic algorithm with a neural discriminator"))
CLAIM = Claim(says="On penalised logP with at most 81 characters the plain genetic algorithm reaches 12.61; with the discriminator "
                   "switched on whenever it stands still it reaches 20.72.",
              data="zinc", metric="best penalised logP", unit="deviations of ZINC", better="higher", margin=0.5,
              equal="objective calls", steps={"smoke": 100, "quick": 4000, "full": 400_000})
__all__ = ["DiscriminatorGA"]

METHANE = "C"
DISTURBANCES = ("discriminator", "chance", "restart")


@dataclass(frozen=True)
class Evolution:
    """What a run has found.

    Args:
        scored: the objective of every molecule ever scored, by canonical SMILES, in the order of scoring.
        smiles: the P molecules of the last population.
        scores: (G, P), the objective of every population, in the order of its members.
        firings: the generations in which the discriminator, or what stood in its place, counted.
        reference: the molecules that were given as reference.
    """

    scored: dict[str, float]
    smiles: tuple[str, ...]
    scores: np.ndarray
    firings: tuple[int, ...]
    reference: tuple[str, ...]

    @property
    def objective_calls(self) -> int:
        """How many molecules were scored."""
        return len(self.scored)

    @property
    def best(self) -> str:
        """The molecule with the highest objective."""
        return self.top(1)[0]

    def top(self, count: int) -> list[str]:
        """The `count` best molecules, best first."""
        return sorted(self.scored, key=self.scored.get, reverse=True)[:count]

    @property
    def unique(self) -> int:
        """How many different molecules the last population has."""
        return len(set(self.smiles))

    @cached_property
    def diversity(self) -> float:
        """Mean Tanimoto distance of two members of the last population."""
        return diversity(self.smiles)

    @cached_property
    def novelty(self) -> float:
        """The share of the last population that is not in the reference."""
        return novelty(self.smiles, self.reference)

    @cached_property
    def nearest(self) -> float:
        """Mean Tanimoto similarity of the last population's members to the most similar molecule of the reference."""
        return nearest(self.smiles, self.reference)


class DiscriminatorGA:
    """A search for molecules that maximise an objective, by mutation of SELFIES and a discriminator against standstill.

    Args:
        objective: takes a list of N SMILES, gives (N,) numbers, higher is better; asked once for each distinct molecule.
        reference_smiles: molecules that are as molecules should be; the discriminator learns to tell them from the population.
        beta: weight of the discriminator in the fitness; "adaptive" is `strong` in generations of standstill, else 0.
        population: molecules in a generation; the paper's generation size.
        max_length: characters that a canonical SMILES may have.
        patience: generations with the same best objective that make a standstill.
        strong: beta in a standstill.
        disturbance: what counts with weight beta, or in a standstill: the "discriminator", "chance" (numbers drawn from (0, 1) instead
            of D), or "restart" (all members are methane again; only for an adaptive beta).
        mutate: gives from a SMILES, or from what it gave last, and `max_length` and a generator, the changed molecule: as it wants to be
            given it again, and as canonical SMILES. `mutate_selfies`, or `mutate_smiles` of `bakeoff.parts.smiles_mutation`.
        hidden: widths of the discriminator's hidden layers.
        learning_rate, weight_decay: Adam's, for the discriminator.
        steps: the discriminator's training steps in a generation.
        seed: decides everything drawn.

    Example:
        >>> def carbons(smiles):
        ...     return [one.count("C") for one in smiles]
        >>> from bakeoff.papers.molecules.discriminator_ga import DiscriminatorGA
        >>> search = DiscriminatorGA(carbons, ["CCO", "CCN"], population=10, max_length=30)
        >>> found = search.run(calls=30)
        >>> found.objective_calls, len(found.best) <= 30, found.scored[found.best] > 1
        (30, True, True)
    """

    def __init__(self, objective: Callable[[list[str]], Sequence[float]], reference_smiles: Sequence[str], *,
                 beta: str | float = "adaptive", population: int = 500, max_length: int = 81, patience: int = 5, strong: float = 1000.0,
                 disturbance: str = "discriminator", mutate: Callable = mutate_selfies, hidden: Sequence[int] = (100, 10),
                 learning_rate: float = 1e-3, weight_decay: float = 1e-4, steps: int = 10, seed: int = 0):
        self.objective, self.reference_smiles, self.beta, self.population = objective, reference_smiles, beta, population
        self.max_length, self.patience, self.strong, self.seed = max_length, patience, strong, seed
        self.disturbance, self.mutate = disturbance, mutate
        self.hidden, self.learning_rate, self.weight_decay, self.steps = hidden, learning_rate, weight_decay, steps

    def run(self, calls: int, *, generations: int = 10_000, on_step: Callable[[float], None] | None = None) -> Evolution:
        """Evolve from methane until the objective has been asked `calls` times, or for so many generations.

        Args:
            calls: distinct molecules to score, methane included.
            generations: a limit for objectives and lengths that leave too few molecules to find.
            on_step: called with the best objective so far, once for each molecule scored.

        Raises:
            ValueError: a number is out of range, the objective does not give one finite number a molecule, the reference is one string
                and no list, or one of its molecules that is drawn cannot be read.
            MissingPackage: RDKit or selfies is not installed.
        """
        reference = tuple(listed(self.reference_smiles))
        self._check(calls, generations, reference)
        rng = torch.Generator().manual_seed(self.seed)
        judge = self._judge(reference) if self.beta else None
        scored, scores, firings = {}, [], []
        members = smiles = [METHANE] * self.population
        self._score(smiles, scored, calls, on_step)
        while len(scored) < calls and len(scores) < generations:
            scores.append([scored[one] for one in smiles])
            beta = adaptive_beta([max(row) for row in scores], self.patience, self.strong) if self.beta == "adaptive" else self.beta
            firings += [len(scores) - 1] if beta else []
            last = smiles
            if beta and self.disturbance == "restart":
                members = smiles = [METHANE] * self.population
            else:
                fitness = np.array(scores[-1]) + (beta * judge(smiles) if beta else 0)  # (P,)
                members, smiles = self._next(fitness, members, smiles, rng)
            if isinstance(judge, Discriminator):
                judge.learn(smiles)
            self._score(smiles, scored, calls, on_step)
        return Evolution(scored, tuple(last), np.array(scores), tuple(firings), reference)

    def _next(self, fitness: np.ndarray, members: list, smiles: list[str], rng: torch.Generator) -> tuple[list, list[str]]:
        """The next population: the kept ones, and mutants of them in the places of the others."""
        order = np.argsort(-fitness, kind="stable")  # best first
        drawn = torch.rand(len(order), generator=rng, dtype=torch.float64).numpy()
        keep = drawn >= replacement_probability(len(order))
        keep[0] |= not keep.any()
        kept = order[keep]
        pairs = []
        for place, stays in zip(order, keep, strict=True):
            parent = place if stays else kept[below(len(kept), rng)]
            pairs.append((members[place], smiles[place]) if stays else self.mutate(members[parent], self.max_length, rng))
        return [one for one, _ in pairs], [text for _, text in pairs]

    def _score(self, smiles: list[str], scored: dict[str, float], calls: int, on_step: Callable[[float], None] | None) -> None:
        """Ask the objective for those molecules that are new, as far as the calls go."""
        new = [one for one in dict.fromkeys(smiles) if one not in scored][:calls - len(scored)]
        if not new:
            return
        values = np.asarray(self.objective(new), dtype=float)
        if values.shape != (len(new),) or not np.isfinite(values).all():
            raise ValueError(f"the objective gave {values!r} for {len(new)} molecules; expected one finite number for each")
        best = max(scored.values(), default=-np.inf)
        for one, value in zip(new, values.tolist(), strict=True):
            scored[one], best = value, max(best, value)
            if on_step is not None:
                on_step(best)

    def _judge(self, reference: tuple[str, ...]) -> Callable[[Sequence[str]], np.ndarray]:
        if self.disturbance != "discriminator":
            return chance(self.seed + 1)
        return Discriminator(reference, hidden=self.hidden, learning_rate=self.learning_rate, weight_decay=self.weight_decay,
                             steps=self.steps, seed=self.seed)

    def _check(self, calls: int, generations: int, reference: tuple[str, ...]) -> None:
        least = {"calls": (calls, 2), "generations": (generations, 1), "population": (self.population, 2),
                 "max_length": (self.max_length, 1), "patience": (self.patience, 2)}
        for name, (found, expected) in least.items():
            if found < expected:
                raise ValueError(f"{name} is {found}; expected at least {expected}")
        if isinstance(self.beta, str) and self.beta != "adaptive":
            raise ValueError(f"beta is {self.beta!r}; expected 'adaptive' or a number")
        if self.disturbance not in DISTURBANCES:
            raise ValueError(f"disturbance is {self.disturbance!r}; expected one of {', '.join(DISTURBANCES)}")
        if self.disturbance == "restart" and self.beta not in ("adaptive", 0):
            raise ValueError(f"beta is {self.beta!r}; a restart needs 'adaptive'")
        if self.disturbance == "discriminator" and self.beta and not reference:
            raise ValueError("reference_smiles is empty; the discriminator needs molecules to learn from")


def adaptive_beta(maxima: Sequence[float], patience: int, strong: float) -> float:
    """`strong` where the last `patience` generations had the same best objective, else 0."""
    return strong if len(maxima) >= patience and len(set(maxima[-patience:])) == 1 else 0.0


def replacement_probability(population: int) -> np.ndarray:
    """By rank, best first: (P,)."""
    return 1 / (1 + np.exp(-10 * (np.arange(population) / population - 0.2)))


def chance(seed: int) -> Callable[[Sequence[str]], np.ndarray]:
    """What stands for D where any disturbance will do: a number between 0 and 1 for each molecule, drawn anew every time."""
    rng = torch.Generator().manual_seed(seed)
    return lambda smiles: torch.rand(len(smiles), generator=rng, dtype=torch.float64).numpy()


class Discriminator:
    """D(m): how much a molecule looks like the reference, 0 to 1. Each `learn` is one generation's training."""

    def __init__(self, reference: Sequence[str], *, hidden: Sequence[int] = (100, 10), learning_rate: float = 1e-3,
                 weight_decay: float = 1e-4, steps: int = 10, seed: int = 0):
        self.reference, self.known, self.steps = reference, frozenset(reference), steps
        self.rng = torch.Generator().manual_seed(seed)
        widths = (DESCRIPTORS, *hidden)
        with seeded(seed):
            layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.Sigmoid())]
            self.network = nn.Sequential(*layers, nn.Linear(widths[-1], 1), nn.Flatten(0))  # (N, 51) -> (N,) logits
        self.optimiser = torch.optim.Adam(self.network.parameters(), learning_rate, weight_decay=weight_decay, fused=True)
        self._seen: dict[str, list[float]] = {}

    def learn(self, smiles: Sequence[str]) -> None:
        """Train on these molecules, as 0 unless they are of the reference, and as many drawn from the reference, as 1."""
        drawn = torch.randint(len(self.reference), (len(smiles),), generator=self.rng).tolist()
        x = self._describe([*smiles, *(self.reference[place] for place in drawn)])
        y = torch.tensor([float(one in self.known) for one in smiles] + [1.0] * len(drawn))
        for _ in range(self.steps):
            loss = nn.functional.binary_cross_entropy_with_logits(self.network(x), y)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()

    def __call__(self, smiles: Sequence[str]) -> np.ndarray:
        """D of each molecule: (N,)."""
        with torch.no_grad():
            return torch.sigmoid(self.network(self._describe(smiles)).double()).numpy()

    def _describe(self, smiles: Sequence[str]) -> torch.Tensor:
        for one in smiles:
            if one not in self._seen:
                self._seen[one] = descriptors(one)
        return torch.tensor([self._seen[one] for one in smiles])


POPULATION = {"smoke": 10, "quick": 50, "full": 500}


def evolved(train, budget, seed, beta):
    """The search that both arms share."""
    search = DiscriminatorGA(penalised_logp, train.smiles, beta=beta, population=POPULATION[budget.name], seed=seed)
    return search.run(calls=budget.steps, on_step=budget.spend)


def treatment(train, budget, seed):
    """With the discriminator in generations of standstill."""
    return evolved(train, budget, seed, beta="adaptive")


def control(train, budget, seed):
    """The plain genetic algorithm."""
    return evolved(train, budget, seed, beta=0.0)


def score(model, test):
    top, known = model.top(10), [*model.reference, *test.smiles]
    logp, sa, _ = terms(top[:1])[0]
    return {CLAIM.metric: float(penalised_logp(top[:1])[0]),
            "mean of the ten best": float(penalised_logp(top).mean()),
            "logP of the best": logp, "SA of the best": sa,
            "novelty of the ten best": novelty(top, known), "novelty of the last population": novelty(model.smiles, known),
            "nearest test molecule to the ten best (Tanimoto)": nearest(top, test.smiles[:1000]),
            "diversity of the ten best": diversity(top), "diversity of the last population": model.diversity,
            "different molecules in the last population": model.unique,
            "generations": len(model.scores), "firings (0: the arms are one run)": len(model.firings)}


def draw(model, test):
    return [Drawing.molecules("The eight best molecules, best first", model.top(8))]
