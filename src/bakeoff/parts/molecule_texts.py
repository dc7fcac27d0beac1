"""Molecules from text and back: SMILES read once, and the one way of writing a molecule that RDKit gives each."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ..errors import MissingPackage


@lru_cache(maxsize=1024)
def read(smiles: str):
    """The RDKit molecule of a SMILES, None where RDKit cannot read it. Kept for the next who asks: look at it, do not change it.

    Raises:
        MissingPackage: RDKit is not installed.

    Example:
        >>> read("CCO").GetNumAtoms(), read("C1CC") is None
        (3, True)
    """
    try:
        from rdkit import Chem, rdBase
    except ImportError:
        raise MissingPackage("rdkit", "molecules") from None
    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(smiles)


def readable(smiles: str):
    """The RDKit molecule of a SMILES, as `read` gives it.

    Raises:
        ValueError: RDKit cannot read it.
        MissingPackage: RDKit is not installed.

    Example:
        >>> readable("C1CC")
        Traceback (most recent call last):
        ValueError: 'C1CC' is no readable SMILES
    """
    molecule = read(smiles) if isinstance(smiles, str) else None
    if molecule is None:
        raise ValueError(f"{smiles!r} is no readable SMILES")
    return molecule


def listed(smiles: Iterable[str]) -> list[str]:
    """SMILES as a list, whatever held them.

    Raises:
        ValueError: one string was given, whose letters would be taken for molecules.

    Example:
        >>> listed("CCO")
        Traceback (most recent call last):
        ValueError: found the string 'CCO'; expected a list of SMILES
    """
    if isinstance(smiles, str):
        raise ValueError(f"found the string {smiles[:80]!r}; expected a list of SMILES")
    return list(smiles)


def canonical(smiles: str) -> str:
    """A molecule's canonical SMILES without stereochemistry; "" for nothing, and where RDKit cannot read a SMILES, or its own of it.

    Example:
        >>> canonical("C(O)[C@H](N)F"), canonical("C1CC")
        ('NC(F)CO', '')
    """
    molecule = read(smiles)
    if molecule is None:
        return ""
    from rdkit import Chem
    written = Chem.MolToSmiles(molecule, isomericSmiles=False)
    return written if written and read(written) is not None else ""
