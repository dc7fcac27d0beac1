"""Penalised logP: the molecular design benchmark that asks for a greasy molecule, easy to make, without large rings.

    J(m) = z(logP) - z(SA) - z(RingPenalty),

where z(.) takes off the mean over the 250,000 molecules of ZINC and divides by their deviation. logP is Crippen's estimate, SA the
synthetic accessibility score of Ertl and Schuffenhauer (1 easy to 10 hard, by fragment frequencies that come with RDKit), RingPenalty
the atoms by which the largest ring exceeds six. ZINC's own molecules lie around 0; a long carbon chain scores 20: a high value is no drug.
"""

from __future__ import annotations

import numpy as np

from ..errors import MissingPackage
from .molecule_texts import listed, readable

ZINC = {"logP": (2.4729421499641497, 1.4157879815362406), "SA": (3.0470797085649894, 0.830643172314514),
        "ring penalty": (0.038131530820234766, 0.2240274735210179)}  # mean and deviation of each term


def penalised_logp(smiles) -> np.ndarray:
    """J of each molecule.

    Args:
        smiles: N SMILES.

    Returns:
        (N,), in deviations of ZINC.

    Raises:
        ValueError: a SMILES cannot be read, or there is one string in place of a list.
        MissingPackage: RDKit is not installed.

    Example:
        >>> penalised_logp(["CCCCCC", "c1ccccc1", "C1CCCCCCC1"]).round(2).tolist()
        [2.46, 2.08, -5.84]
    """
    logp, sa, ring = terms(smiles).T
    return standardised(logp, "logP") - standardised(sa, "SA") - standardised(ring, "ring penalty")


def terms(smiles) -> np.ndarray:
    """logP, SA score and ring penalty of each of N molecules, as they are, not standardised: (N, 3)."""
    try:
        from rdkit.Chem import Crippen
        from rdkit.Contrib.SA_Score import sascorer
    except ImportError:
        raise MissingPackage("rdkit", "molecules") from None
    rows = []
    for molecule in map(readable, listed(smiles)):
        rows.append((Crippen.MolLogP(molecule), sascorer.calculateScore(molecule), ring_penalty(molecule)))
    return np.array(rows, dtype=float).reshape(-1, 3)


def ring_penalty(molecule) -> int:
    """By how many atoms the largest ring of an RDKit molecule exceeds six; 0 without such a ring."""
    return max(0, max(map(len, molecule.GetRingInfo().AtomRings()), default=0) - 6)


def standardised(values: np.ndarray, term: str) -> np.ndarray:
    """Values of one term, in deviations of ZINC around its mean."""
    mean, deviation = ZINC[term]
    return (values - mean) / deviation
