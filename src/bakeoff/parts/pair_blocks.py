"""Minibatches of drug-target pairs that lie between a few drugs and a few proteins, so that each of these is encoded once a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .supervised import minibatches


def blocks(pairs: np.ndarray, size: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    """Row numbers of the pairs between `size` proteins and `size` of the drugs that are paired with any of them.

    The proteins come in turn, shuffled anew in every epoch; the drugs are drawn.

    Args:
        pairs: (P, 2), a drug and a protein.
        size: the most drugs, and proteins, of a step.
        steps: blocks to give.
        seed: decides the order and the draws.

    Example:
        >>> sorted(next(blocks(np.array([[0, 0], [1, 0], [1, 1]]), size=2, steps=1, seed=0)).tolist())
        [0, 1, 2]
    """
    rng = np.random.default_rng(seed)
    proteins, protein = np.unique(pairs[:, 1], return_inverse=True)
    rows_of = np.split(np.argsort(protein, kind="stable"), np.cumsum(np.bincount(protein))[:-1])
    for some in minibatches(len(proteins), size, steps, seed):
        rows = np.concatenate([rows_of[one] for one in some])
        drugs = rng.permutation(np.unique(pairs[rows, 0]))[:size]
        yield rows[np.isin(pairs[rows, 0], drugs)]


def positions(pairs, smiles: Sequence[str], sequences: Sequence[str]) -> np.ndarray:
    """Pairs (P, 2) as whole numbers, once they are seen to be positions in `smiles` and `sequences`.

    Raises:
        ValueError: they are not.

    Example:
        >>> positions([(0, 1)], smiles=["C"], sequences=["MK", "GA"])
        array([[0, 1]])
    """
    for texts in (smiles, sequences):
        if isinstance(texts, str):
            raise ValueError(f"found the string {texts[:80]!r}; expected a list of SMILES and a list of sequences")
    found = np.asarray(pairs, dtype=float)  # exact for whole numbers up to 2 to the 53
    ends = len(smiles), len(sequences)
    if found.ndim != 2 or found.shape[1] != 2 or not ((found == np.floor(found)) & (found >= 0) & (found < ends)).all():
        raise ValueError(f"pairs of shape {found.shape}; expected (P, 2) whole numbers, places among {ends[0]} drugs, {ends[1]} proteins")
    return found.astype(np.int64)
