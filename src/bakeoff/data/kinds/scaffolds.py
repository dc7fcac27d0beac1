"""Bemis-Murcko scaffolds, and the two ways of splitting molecules by them.

A scaffold is the ring systems of a molecule with the chains between them, without side chains and without chirality;
every molecule without a ring has the empty one. Molecules of one scaffold go to one side.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

import numpy as np

from ...errors import DataError, MissingPackage

TEST_SHARE = 0.2


def scaffold_parts(smiles: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers for train and test as MoleculeNet divides: the largest scaffolds to train, the rare ones to test.

    Sets of one scaffold come by size, the largest first, among equals the one whose first molecule stands later first;
    each goes to train while train has at most 80 % of the molecules with it, else to test. Nothing is random.
    """
    return _filled(sorted(_sets(smiles), key=lambda rows: (len(rows), rows[0]), reverse=True), len(smiles))


def balanced_parts(smiles: tuple[str, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers for train and test from a seed: scaffolds larger than half the test part first, the others in random order."""
    rng = np.random.default_rng(seed)
    sets = _sets(smiles)
    sets = [sets[place] for place in rng.permutation(len(sets))]
    half = TEST_SHARE * len(smiles) / 2
    return _filled(sorted(sets, key=lambda rows: len(rows) <= half), len(smiles))  # stable: the random order stays within both


@lru_cache(maxsize=200_000)
def scaffold(smiles: str) -> str:
    """The canonical SMILES of a molecule's Bemis-Murcko scaffold, without chirality; "" without rings."""
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles
    except ImportError:
        raise MissingPackage("rdkit", "molecules") from None
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise DataError(f"RDKit cannot read the SMILES {smiles!r}", "A scaffold is asked for; give molecules that RDKit reads.")
    return MurckoScaffoldSmiles(mol=molecule, includeChirality=False)


def _sets(smiles: tuple[str, ...]) -> list[list[int]]:
    sets = defaultdict(list)
    for row, one in enumerate(smiles):
        sets[scaffold(one)].append(row)
    return list(sets.values())


def _filled(sets: list[list[int]], count: int) -> tuple[np.ndarray, np.ndarray]:
    room = (1 - TEST_SHARE) * count
    train, test = [], []
    for rows in sets:
        (train if len(train) + len(rows) <= room else test).extend(rows)
    if not train or not test:
        raise DataError(f"{count} molecules with {len(sets)} scaffolds cannot be split by scaffold: one side stays empty",
                        "Split them with --split shuffle.")
    return np.array(train), np.array(test)
