"""The branches of DeepDTA (Ozturk et al. 2018, arXiv:1801.10193): embedded letters, convolutions, the maximum over places."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AMINO_ACIDS = 27  # numbers that `residues` gives, padding included


class SequenceConvolution(nn.Module):
    """Letters as numbers (S, T), 0 for padding, to (S, F): the largest value of each last filter over the windows without padding.

    Args:
        alphabet: how many numbers there are, padding included.
        width: of the embedding.
        filters: of the convolutions, first to last; each has ReLUs and no padding of its own.
        kernel: letters under a filter.

    Example:
        >>> SequenceConvolution(AMINO_ACIDS, 8, filters=(4, 6), kernel=3)(residues(["MKKFFDSRR", "MEN"], longest=1000)).shape
        torch.Size([2, 6])
    """

    def __init__(self, alphabet: int, width: int, filters: Sequence[int], kernel: int):
        super().__init__()
        self.embedding = nn.Embedding(alphabet, width, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(*pair, kernel) for pair in zip((width, *filters[:-1]), filters, strict=True))
        self.shortest = 1 + len(filters) * (kernel - 1)  # what one window of the last convolution sees

    def forward(self, numbers: Tensor) -> Tensor:  # (S, T) -> (S, F)
        lengths = (numbers > 0).sum(1).clamp(min=self.shortest)  # (S,)
        x = self.embedding(F.pad(numbers, (0, max(0, self.shortest - numbers.shape[1])))).transpose(1, 2)  # (S, D, T)
        for one in self.convolutions:
            x = one(x).relu()
        whole = torch.arange(x.shape[2], device=x.device) <= (lengths - self.shortest)[:, None]  # (S, T')
        return (x * whole[:, None]).amax(2)  # after a ReLU nothing is below the 0 that stands for the others


def residues(sequences: Sequence[str], longest: int) -> Tensor:
    """Amino acids in one-letter codes as numbers 1..26, padded with 0.

    Args:
        sequences: S of them.
        longest: letters after which one is cut.

    Returns:
        (S, T), T at most `longest`.

    Raises:
        ValueError: a sequence is empty, or there is something else than letters in it.

    Example:
        >>> residues(["MAC", "c"], longest=2)
        tensor([[13,  1],
                [ 3,  0]])
    """
    for place, one in enumerate(sequences):
        if not (one.isascii() and one.isalpha()):
            raise ValueError(f"sequence {place} is {one[:40]!r}; expected the letters of amino acids")
    rows = [torch.tensor(list(one[:longest].upper().encode())) - ord("A") + 1 for one in sequences]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)
