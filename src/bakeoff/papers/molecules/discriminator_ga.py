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
rings are counted in the whole molecule, not in pieces of it, and ratios to the carbons divide by at least 1. SELFIES 2 renamed symbols.
`quick` has a population of 50; the logistic above is the release's for P = 500, with ranks taken relative to P.

Out of reach: whether another disturbance, such as a restart, would serve as well as D; whether the paper's figures are of runs of one
length; what D gains at 100,000 molecules and more (at `quick` a standstill of five generations is no rut yet, and breaking it costs
more climbing than it brings). J is a toy: long chains of carbon and of sulphur win, and no high value is a drug.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from bakeoff.claim import Claim, Drawing, Paper
from bakeoff.errors import MissingPackage
from bakeoff.parts.fingerprints import diversity, similarity
from bakeoff.parts.penalised_logp import penalised_logp, terms
from bakeoff.parts.seeding import seeded

PAPER = Paper(title="Augmenting Genetic Algorithms with Deep Neural Networks for Exploring the Chemical Space",
              authors=("Nigam", "Friederich", "Krenn", "Aspuru-Guzik"), year=2020, venue="ICLR", arxiv="1909.11655",
              also=("GA+D", "genetic algorithm with a neural discriminator"))
CLAIM = Claim(says="On penalised logP with at most 81 characters the plain genetic algorithm reaches 12.61; with the discriminator "
                   "switched on whenever it stands still it reaches 20.72.",
              data="zinc", metric="best penalised logP", unit="deviations of ZINC", better="higher", margin=0.5,
              equal="objective calls", steps={"smoke": 100, "quick": 4000, "full": 400_000})
__all__ = ["DiscriminatorGA"]

BENZENE = ("[C]", "[=C]", "[C]", "[=C]", "[C]", "[=C]", "[Ring1]", "[=Branch1]")
ALPHABET = (*((symbol,) for symbol in (
    "[Branch1]", "[=Branch1]", "[#Branch1]", "[Branch2]", "[=Branch2]", "[#Branch2]", "[Ring1]", "[Ring2]", "[epsilon]",
    "[F]", "[O]", "[=O]", "[N]", "[=N]", "[#N]", "[C]", "[=C]", "[#C]", "[S]", "[=S]")), BENZENE)


@dataclass(frozen=True)
class Evolution:
    """What a run has found.

    Args:
        scored: the objective of every molecule ever scored, by canonical SMILES, in the order of scoring.
        smiles: the P molecules of the last population.
        scores: (G, P), the objective of every population, in the order of its members.
        firings: the generations in which the discriminator counted.
    """

    scored: dict[str, float]
    smiles: tuple[str, ...]
    scores: np.ndarray
    firings: tuple[int, ...]

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
                 hidden: Sequence[int] = (100, 10), learning_rate: float = 1e-3, weight_decay: float = 1e-4, steps: int = 10,
                 seed: int = 0):
        self.objective, self.reference_smiles, self.beta, self.population = objective, reference_smiles, beta, population
        self.max_length, self.patience, self.strong, self.seed = max_length, patience, strong, seed
        self.hidden, self.learning_rate, self.weight_decay, self.steps = hidden, learning_rate, weight_decay, steps

    def run(self, calls: int, *, generations: int = 10_000, on_step: Callable[[float], None] | None = None) -> Evolution:
        """Evolve from methane until the objective has been asked `calls` times, or for so many generations.

        Args:
            calls: distinct molecules to score, methane included.
            generations: a limit for objectives and lengths that leave too few molecules to find.
            on_step: called with the best objective so far, once for each molecule scored.

        Raises:
            ValueError: a number is out of range, or the objective does not give one finite number a molecule.
            MissingPackage: RDKit or selfies is not installed.
        """
        self._check(calls, generations)
        rng = torch.Generator().manual_seed(self.seed)
        judge = self._discriminator() if self.beta else None
        scored, scores, firings = {}, [], []
        members, smiles = [("[C]",)] * self.population, ["C"] * self.population
        with _chemistry()[0].rdBase.BlockLogs():
            self._score(smiles, scored, calls, on_step)
            while len(scored) < calls and len(scores) < generations:
                scores.append([scored[one] for one in smiles])
                beta = adaptive_beta([max(row) for row in scores], self.patience, self.strong) if self.beta == "adaptive" else self.beta
                fitness = np.array(scores[-1])  # (P,)
                if beta:
                    fitness = fitness + beta * judge(smiles)
                    firings.append(len(scores) - 1)
                last = smiles
                members, smiles = self._next(fitness, members, smiles, rng)
                if judge:
                    judge.learn(smiles)
                self._score(smiles, scored, calls, on_step)
        return Evolution(scored, tuple(last), np.array(scores), tuple(firings))

    def _next(self, fitness: np.ndarray, members: list, smiles: list[str], rng: torch.Generator) -> tuple[list, list[str]]:
        """The next population: the kept ones, and mutants of them in the places of the others."""
        order = np.argsort(-fitness, kind="stable")  # best first
        chance = torch.rand(len(order), generator=rng, dtype=torch.float64).numpy()
        keep = chance >= replacement_probability(len(order))
        keep[0] |= not keep.any()
        kept = order[keep]
        pairs = []
        for place, stays in zip(order, keep, strict=True):
            parent = place if stays else kept[_below(len(kept), rng)]
            pairs.append((members[place], smiles[place]) if stays else mutate(members[parent], self.max_length, rng))
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

    def _discriminator(self) -> Discriminator:
        return Discriminator(self.reference_smiles, hidden=self.hidden, learning_rate=self.learning_rate, weight_decay=self.weight_decay,
                             steps=self.steps, seed=self.seed)

    def _check(self, calls: int, generations: int) -> None:
        least = {"calls": (calls, 2), "generations": (generations, 1), "population": (self.population, 2),
                 "max_length": (self.max_length, 1), "patience": (self.patience, 2)}
        for name, (found, expected) in least.items():
            if found < expected:
                raise ValueError(f"{name} is {found}; expected at least {expected}")
        if isinstance(self.beta, str) and self.beta != "adaptive":
            raise ValueError(f"beta is {self.beta!r}; expected 'adaptive' or a number")
        if self.beta and not len(self.reference_smiles):
            raise ValueError("reference_smiles is empty; the discriminator needs molecules to learn from")


def adaptive_beta(maxima: Sequence[float], patience: int, strong: float) -> float:
    """`strong` where the last `patience` generations had the same best objective, else 0."""
    return strong if len(maxima) >= patience and len(set(maxima[-patience:])) == 1 else 0.0


def replacement_probability(population: int) -> np.ndarray:
    """By rank, best first: (P,)."""
    return 1 / (1 + np.exp(-10 * (np.arange(population) / population - 0.2)))


def mutate(symbols: tuple[str, ...], max_length: int, rng: torch.Generator) -> tuple[tuple[str, ...], str]:
    """SELFIES symbols with one change, and the molecule they stand for as canonical SMILES of at most `max_length` characters."""
    while True:
        inserted = _below(2, rng)
        place = _below(len(symbols) + inserted, rng)
        mutant = symbols[:place] + ALPHABET[_below(len(ALPHABET), rng)] + symbols[place + 1 - inserted:]
        smiles = decoded(mutant)
        if smiles and len(smiles) <= max_length:
            return mutant, smiles


def decoded(symbols: Sequence[str]) -> str:
    """Canonical SMILES without stereochemistry; "" where RDKit cannot read what the symbols stand for, or read it again."""
    rdkit, selfies = _chemistry()
    molecule = rdkit.Chem.MolFromSmiles(selfies.decoder("".join(symbols)))
    smiles = rdkit.Chem.MolToSmiles(molecule, isomericSmiles=False) if molecule else ""
    return smiles if smiles and rdkit.Chem.MolFromSmiles(smiles) else ""


def _below(count: int, rng: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=rng))


class Discriminator:
    """D(m): how much a molecule looks like the reference, 0 to 1. Each `learn` is one generation's training."""

    def __init__(self, reference: Sequence[str], *, hidden: Sequence[int] = (100, 10), learning_rate: float = 1e-3,
                 weight_decay: float = 1e-4, steps: int = 10, seed: int = 0):
        self.reference, self.steps = reference, steps
        self.rng = torch.Generator().manual_seed(seed)
        widths = (DESCRIPTORS, *hidden)
        with seeded(seed):
            layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.Sigmoid())]
            self.network = nn.Sequential(*layers, nn.Linear(widths[-1], 1), nn.Flatten(0))  # (N, 51) -> (N,) logits
        self.optimiser = torch.optim.Adam(self.network.parameters(), learning_rate, weight_decay=weight_decay, fused=True)
        self._seen: dict[str, list[float]] = {}

    def learn(self, smiles: Sequence[str]) -> None:
        """Train on these molecules, as 0, and as many drawn from the reference, as 1."""
        drawn = torch.randint(len(self.reference), (len(smiles),), generator=self.rng).tolist()
        x = self._describe([*smiles, *(self.reference[place] for place in drawn)])
        y = torch.tensor([0.0, 1.0]).repeat_interleave(len(smiles))
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


CALCULATED = ("Rings", "AliphaticCarbocycles", "AliphaticHeterocycles", "AliphaticRings", "AromaticCarbocycles", "AromaticHeterocycles",
              "AromaticRings", "SaturatedCarbocycles", "SaturatedHeterocycles", "SaturatedRings", "Heteroatoms", "HBA", "HBD")
ELEMENTS = (7, 16, 8, 17, 35, 9)
BONDS = (1.0, 2.0, 3.0, 1.5)  # single, double, triple, aromatic
RING_SIZES = range(3, 21)
DESCRIPTORS = len(CALCULATED) + 4 + 2 + len(ELEMENTS) + len(BONDS) + 4 + len(RING_SIZES)


def descriptors(smiles: str) -> list[float]:
    """51 numbers: RDKit's counts of rings, hetero and hydrogen-bonding atoms; two indices of shape; radical and valence electrons;
    atoms a carbon, by element; shares of bond orders; ring systems, triple bonds in rings, atoms with two double bonds; ring sizes."""
    rdkit, _ = _chemistry()
    from rdkit.Chem import GraphDescriptors, rdMolDescriptors
    molecule = rdkit.Chem.MolFromSmiles(smiles)
    outer = rdkit.Chem.GetPeriodicTable().GetNOuterElecs
    atoms, rings = list(molecule.GetAtoms()), molecule.GetRingInfo()
    elements, hydrogens = [atom.GetAtomicNum() for atom in atoms], sum(atom.GetTotalNumHs() for atom in atoms)
    bonds = [(bond.GetBondTypeAsDouble(), bond.IsInRing(), (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())) for bond in molecule.GetBonds()]
    orders, sizes = [order for order, _, _ in bonds], [len(ring) for ring in rings.AtomRings()]
    doubles = [atom for order, _, ends in bonds if order == 2 for atom in ends]
    adjacent = [atom for atom in dict.fromkeys(doubles) if doubles.count(atom) > 1]
    outside = sum(not rings.NumAtomRings(place) for place in range(len(atoms)))
    numbers = [
        *(getattr(rdMolDescriptors, f"CalcNum{name}")(molecule) for name in CALCULATED),
        rdMolDescriptors.CalcHallKierAlpha(molecule), GraphDescriptors.BalabanJ(molecule),
        sum(atom.GetNumRadicalElectrons() for atom in atoms),
        sum(map(outer, elements)) + hydrogens - rdkit.Chem.GetFormalCharge(molecule),
        *(count / max(elements.count(6), 1) for count in (len(atoms), hydrogens, *map(elements.count, ELEMENTS))),
        *(orders.count(order) / max(len(bonds), 1) for order in BONDS),
        sum(not ring for _, ring, _ in bonds) - outside + 1,  # ring systems: with the atoms outside, joined by the other bonds to one tree
        sum(ring and order == 3 for order, ring, _ in bonds),
        sum(rings.NumAtomRings(place) > 0 for place in adjacent), len(adjacent),
        *map(sizes.count, RING_SIZES)]
    return [float(number) for number in numbers]


def _chemistry():
    try:
        import rdkit.Chem
        import rdkit.rdBase
    except ImportError:
        raise MissingPackage("rdkit", "molecules") from None
    try:
        import selfies
    except ImportError:
        raise MissingPackage("selfies", "molecules") from None
    return rdkit, selfies


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
    top = model.top(10)
    logp, sa, _ = terms(top[:1])[0]
    return {CLAIM.metric: float(penalised_logp(top[:1])[0]),
            "mean of the ten best": float(penalised_logp(top).mean()),
            "logP of the best": logp, "SA of the best": sa,
            "nearest test molecule to the ten best (Tanimoto)": float(similarity(top, test.smiles[:500]).max(1).mean()),
            "diversity of the last population": diversity(model.smiles),
            "generations": len(model.scores),
            "generations with the discriminator": len(model.firings)}


def draw(model, test):
    return [Drawing.molecules("The eight best molecules, best first", model.top(8))]
