"""Morgan fingerprints: which surroundings of atoms molecules have, how alike that makes them, how many kinds and how new they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import MissingPackage
from .molecule_texts import canonical, listed, readable


def morgan(smiles: Sequence[str], *, radius: int = 2, bits: int = 2048) -> np.ndarray:
    """Morgan fingerprints, (N, bits) of 0 and 1: which surroundings of an atom, hashed to bits, a molecule has.

    Args:
        smiles: N readable SMILES.
        radius: bonds from an atom that its surroundings reach.
        bits: length of the folded fingerprint.

    Raises:
        ValueError: a SMILES cannot be read.
        MissingPackage: RDKit is not installed.

    Example:
        >>> both = morgan(["CCO", "OCC"])
        >>> both.shape, bool((both[0] == both[1]).all()), int(both[0].sum())
        ((2, 2048), True, 6)
    """
    generator = _generator(radius, bits)
    return np.stack([generator.GetFingerprintAsNumPy(readable(one)) for one in listed(smiles)])


def similarity(smiles: Sequence[str], others: Sequence[str], *, radius: int = 2, bits: int = 2048) -> np.ndarray:
    """Tanimoto similarity of each molecule with each other one: shared bits over bits that either has.

    Args:
        smiles: N readable SMILES.
        others: M readable SMILES.
        radius, bits: as in `morgan`.

    Returns:
        (N, M), from 0 to 1.

    Raises:
        ValueError: a SMILES cannot be read.
        MissingPackage: RDKit is not installed.

    Example:
        >>> similarity(["CCO", "CCCCO"], ["OCC", "c1ccccc1"]).round(2).tolist()
        [[1.0, 0.0], [0.42, 0.0]]
    """
    generator = _generator(radius, bits)
    from rdkit import DataStructs
    rows, columns = ([generator.GetFingerprint(readable(one)) for one in listed(ones)] for ones in (smiles, others))
    return np.array([DataStructs.BulkTanimotoSimilarity(row, columns) for row in rows]).reshape(len(rows), len(columns))


def nearest(smiles: Sequence[str], others: Sequence[str]) -> float:
    """How like the most similar of M others the N molecules are: the mean Tanimoto similarity, M and N >= 1.

    Example:
        >>> nearest(["CCO", "c1ccccc1"], ["OCC", "CCCCO"])  # ethanol is there, nothing is like benzene
        0.5
    """
    return float(similarity(smiles, others).max(1).mean())


def diversity(smiles: Sequence[str]) -> float:
    """Mean Tanimoto distance (1 - similarity) over the pairs of N molecules, N >= 2; repeated molecules count as often as they occur.

    Example:
        >>> diversity(["CCO", "CCO", "c1ccccc1"])  # of three pairs one is alike
        0.6666666666666666
    """
    count = len(smiles)
    return float((count**2 - similarity(smiles, smiles).sum()) / (count * (count - 1)))


def novelty(smiles: Sequence[str], known: Sequence[str]) -> float:
    """The share of N molecules, N >= 1, that are not among the known, however these are written; stereochemistry does not count.

    Example:
        >>> novelty(["CCO", "CCN", "CCC"], ["OCC", "c1ccccc1"])
        0.6666666666666666
    """
    wanted = {_letters(one) for one in smiles}  # of 30,000 known ones only those of the same atoms need be read
    found = {canonical(one) for one in known if _letters(one) in wanted}
    return sum(canonical(one) not in found for one in smiles) / len(smiles)


def _letters(smiles: str) -> str:
    """The letters of a SMILES but hydrogen's, in alphabetical order: the same for every way of writing one molecule."""
    return "".join(sorted(one for one in smiles.upper() if one.isalpha() and one != "H"))


def _generator(radius: int, bits: int):
    try:
        from rdkit.Chem import rdFingerprintGenerator
    except ImportError:
        raise MissingPackage("rdkit", "molecules") from None
    return rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits)
