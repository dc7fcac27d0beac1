"""SMILES as tokens, and tokens as numbers: bracket atoms, two-letter elements, two-digit rings, arrows to metals are one token each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .molecule_texts import listed

TOKEN = re.compile(r"->|<-|\[[^\[\]]+\]|Br|Cl|%\d\d|%\(\d+\)|[BCNOPSFIbcnops*]|[0-9]|[-=#$:~/\\.()]")
PAD, REP, BEGIN, END, MASK, UNKNOWN = range(6)
SPECIAL = ("[PAD]", "[REP]", "[BEGIN]", "[END]", "[MASK]", "[UNKNOWN]")


def tokens(smiles: str) -> list[str]:
    """The tokens of a SMILES string; joined they are the string again.

    Args:
        smiles: SMILES, without space around it.

    Raises:
        ValueError: a character is none that SMILES have at its place.

    Example:
        >>> tokens("C[C@@H](Cl)Br")
        ['C', '[C@@H]', '(', 'Cl', ')', 'Br']
    """
    found = TOKEN.findall(smiles)
    if sum(map(len, found)) != len(smiles) or not smiles:
        place = next((place for place, (one, two) in enumerate(zip("".join(found) + "\0", smiles, strict=False)) if one != two), 0)
        raise ValueError(f"{smiles[:80]!r} is no SMILES: found {smiles[place:place + 1]!r} at character {place + 1}")
    return found


@dataclass(frozen=True)
class SmilesVocabulary:
    """The tokens that a model knows; each one's number is its place after those of `SPECIAL`.

    A molecule is written [REP] [BEGIN] tokens [END] [PAD] ...; a token that is not known becomes [UNKNOWN].

    Args:
        known: the tokens, without the special ones.

    Example:
        >>> vocabulary = SmilesVocabulary.of(["CCO", "CCl"])
        >>> vocabulary.known, len(vocabulary)
        (('C', 'Cl', 'O'), 9)
        >>> vocabulary.numbers(["CO", "CCCl"], longest=100)
        array([[1, 2, 6, 8, 3, 0],
               [1, 2, 6, 6, 7, 3]])
    """

    known: tuple[str, ...]

    @classmethod
    def of(cls, smiles: Iterable[str]) -> SmilesVocabulary:
        """Every token of these SMILES, in alphabetical order. Raises ValueError for a string in place of a list of them."""
        return cls(tuple(sorted({token for one in listed(smiles) for token in tokens(one)})))

    def __len__(self):
        return len(SPECIAL) + len(self.known)

    def numbers(self, smiles: Sequence[str], longest: int) -> np.ndarray:
        """(N, L) numbers of the tokens of N SMILES, L that of the longest of them and at most `longest`, where they are cut."""
        place = {token: number for number, token in enumerate(self.known, len(SPECIAL))}
        rows = [[REP, BEGIN, *(place.get(token, UNKNOWN) for token in tokens(one)), END][:longest] for one in listed(smiles)]
        padded = np.full((len(rows), max(map(len, rows), default=0)), PAD, dtype=np.int64)
        for row, found in zip(padded, rows, strict=True):
            row[:len(found)] = found
        return padded

    def smiles(self, numbers: np.ndarray) -> list[str]:
        """The SMILES that rows (N, L) of numbers stand for; the names of [MASK] and [UNKNOWN] are written as they are."""
        names = np.array(("", "", "", "", *SPECIAL[MASK:], *self.known), dtype=object)
        return ["".join(row) for row in names[numbers]]


def with_gaps(numbers: Tensor, vocabulary: int, share: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """BERT's gaps: of a share of the tokens 80 % become [MASK], 10 % a random token, 10 % stay as they are.

    Args:
        numbers: (B, L) tokens; the special ones but [UNKNOWN] are never chosen.
        vocabulary: how many tokens there are, the special ones included.
        share: the probability that a token is chosen.
        rng: draws.

    Returns:
        The tokens as they are to be seen (B, L), and True where one was chosen (B, L).

    Example:
        >>> seen, chosen = with_gaps(torch.tensor([[1, 2, 7, 8, 3, 0]]), 9, 1.0, torch.Generator().manual_seed(0))
        >>> chosen.tolist()
        [[False, False, True, True, False, False]]
    """
    chosen = (torch.rand(numbers.shape, generator=rng) < share) & (numbers >= UNKNOWN)
    fate = torch.rand(numbers.shape, generator=rng)
    others = torch.randint(len(SPECIAL), vocabulary, numbers.shape, generator=rng)
    seen = torch.where(chosen & (fate < 0.8), MASK, numbers)
    return torch.where(chosen & (fate >= 0.9), others, seen), chosen


def without_padding(numbers: Tensor) -> Tensor:
    """Rows (B, L) of numbers without the columns that are padding in all of them.

    Example:
        >>> without_padding(torch.tensor([[1, 2, 0], [1, 0, 0]])).tolist()
        [[1, 2], [1, 0]]
    """
    return numbers[:, (numbers != PAD).any(0)]
