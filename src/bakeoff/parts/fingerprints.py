"""How alike molecules are, by their Morgan fingerprints: which surroundings of atoms, up to two bonds away, they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import MissingPackage


def similarity(smiles: Sequence[str], others: Sequence[str], *, radius: int = 2, bits: int = 2048) -> np.ndarray:
    """Tanimoto similarity of each molecule with each other one: shared bits over bits that either has.

    Args:
        smiles: N readable SMILES.
        others: M readable SMILES.
        radius: bonds from an atom that its surroundings reach.
        bits: length of the folded fingerprint.

    Returns:
        (N, M), from 0 to 1.

    Raises:
        MissingPackage: RDKit is not installed.

    Example:
        >>> similarity(["CCO", "CCCCO"], ["OCC", "c1ccccc1"]).round(2).tolist()
        [[1.0, 0.0], [0.42, 0.0]]
    """
    try:
        from rdkit import Chem, DataStructs
        from rdkit.Chem import rdFingerprintGenerator
    except ImportError:
        raise MissingPackage("rdkit", "molecules") from None
    morgan = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits)
    rows, columns = ([morgan.GetFingerprint(Chem.MolFromSmiles(one)) for one in ones] for ones in (smiles, others))
    return np.array([DataStructs.BulkTanimotoSimilarity(row, columns) for row in rows])


def diversity(smiles: Sequence[str]) -> float:
    """Mean Tanimoto distance (1 - similarity) over the pairs of N molecules, N >= 2; repeated molecules count as often as they occur.

    Example:
        >>> diversity(["CCO", "CCO", "c1ccccc1"])  # of three pairs one is alike
        0.6666666666666666
    """
    count = len(smiles)
    return float((count**2 - similarity(smiles, smiles).sum()) / (count * (count - 1)))
