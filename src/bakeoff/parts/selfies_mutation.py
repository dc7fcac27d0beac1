"""Mutation of molecules written as SELFIES, of which nearly every string is a molecule: a symbol more, or another one in a place.

Krenn, Hase, Nigam, Friederich, Aspuru-Guzik. Self-referencing embedded strings. MLST 2020. arXiv:1905.13741.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..errors import MissingPackage
from .molecule_texts import canonical

BENZENE = ("[C]", "[=C]", "[C]", "[=C]", "[C]", "[=C]", "[Ring1]", "[=Branch1]")
ALPHABET = (*((symbol,) for symbol in (
    "[Branch1]", "[=Branch1]", "[#Branch1]", "[Branch2]", "[=Branch2]", "[#Branch2]", "[Ring1]", "[Ring2]", "[epsilon]",
    "[F]", "[O]", "[=O]", "[N]", "[=N]", "[#N]", "[C]", "[=C]", "[#C]", "[S]", "[=S]")), BENZENE)


def mutate_selfies(member: str | Sequence[str], max_length: int, rng: torch.Generator) -> tuple[tuple[str, ...], str]:
    """A molecule with one change: a symbol put in, or put over another, with probability 1/2 each, drawn again until it is readable.

    Args:
        member: a SMILES, or the SELFIES symbols that an earlier mutation gave.
        max_length: characters that the canonical SMILES may have.
        rng: where what is drawn comes from.

    Returns:
        The SELFIES symbols, for the next mutation, and the molecule as canonical SMILES without stereochemistry.

    Raises:
        MissingPackage: RDKit or selfies is not installed.

    Example:
        >>> symbols, smiles = mutate_selfies("CCO", 81, torch.Generator().manual_seed(1))
        >>> len(symbols) in (3, 4, 10, 11), decoded(symbols) == smiles
        (True, True)
    """
    symbols = encoded(member) if isinstance(member, str) else tuple(member)
    while True:
        inserted = below(2, rng)
        place = below(len(symbols) + inserted, rng)
        mutant = symbols[:place] + ALPHABET[below(len(ALPHABET), rng)] + symbols[place + 1 - inserted:]
        smiles = decoded(mutant)
        if smiles and len(smiles) <= max_length:
            return mutant, smiles


def encoded(smiles: str) -> tuple[str, ...]:
    """The SELFIES symbols of a SMILES."""
    selfies = _selfies()
    return tuple(selfies.split_selfies(selfies.encoder(smiles)))


def decoded(symbols: Sequence[str]) -> str:
    """Canonical SMILES of what the symbols stand for, without stereochemistry; "" where RDKit cannot read it."""
    return canonical(_selfies().decoder("".join(symbols)))


def below(count: int, rng: torch.Generator) -> int:
    """A whole number from 0 to count - 1."""
    return int(torch.randint(count, (), generator=rng))


def _selfies():
    try:
        import selfies
    except ImportError:
        raise MissingPackage("selfies", "molecules") from None
    return selfies
