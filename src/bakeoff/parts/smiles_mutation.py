"""Mutation of molecules written as SMILES: an edit of the text, drawn again until RDKit reads a molecule.

The pieces are those of `selfies_mutation`, as SMILES writes them: atoms with the bond before them and a benzene ring. What SMILES writes
at two places, the brackets of a branch and the number of a ring, goes in at two places at once. As no piece shortens a SMILES, which the
branches and rings of SELFIES do, a third kind of edit cuts a part out.
"""

from __future__ import annotations

import torch

from .molecule_texts import canonical
from .selfies_mutation import below
from .smiles_tokens import tokens

BENZENE = ("c9ccccc9",)
PAIRS = (("(", ")"), ("(=", ")"), ("(#", ")"), ("9", "9"), ("=9", "9"))
PIECES = (("F",), ("O",), ("=O",), ("N",), ("=N",), ("#N",), ("C",), ("=C",), ("#C",), ("S",), ("=S",), *PAIRS, BENZENE)


def mutate_smiles(member: str, max_length: int, rng: torch.Generator) -> tuple[str, str]:
    """A molecule with one edit: a piece put in, one put over a token, or a part cut out, each as often, drawn until RDKit reads it.

    Args:
        member: a SMILES.
        max_length: characters that the canonical SMILES may have.
        rng: where what is drawn comes from.

    Returns:
        Twice the molecule's canonical SMILES without stereochemistry: for the next mutation, and to be looked at.

    Raises:
        MissingPackage: RDKit is not installed.

    Example:
        >>> text, smiles = mutate_smiles("CCO", 81, torch.Generator().manual_seed(0))
        >>> text == smiles, smiles != "CCO"
        (True, True)
    """
    written = tokens(member)
    while True:
        smiles = canonical("".join(edited(written, PIECES[below(len(PIECES), rng)], rng)))
        if smiles and len(smiles) <= max_length:
            return smiles, smiles


def edited(written: list[str], piece: tuple[str, ...], rng: torch.Generator) -> list[str]:
    """Tokens with a piece put in, one put over one of them, or without those between two places; a pair is put in at two places."""
    way = below(3, rng)  # over, in, out
    if way == 2 or piece in PAIRS:
        first, second = sorted(below(len(written) + 1, rng) for _ in range(2))
        if way == 2:
            return [*written[:first], *written[second:]]
        return [*written[:first], piece[0], *written[first:second], piece[1], *written[second:]]
    place = below(len(written) + way, rng)
    return [*written[:place], *piece, *written[place + 1 - way:]]
