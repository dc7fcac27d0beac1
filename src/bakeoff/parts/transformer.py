"""A transformer that reads rows of tokens: torch's own encoder with learned embeddings of tokens and positions before it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TokenEncoder(nn.Module):
    """x_i = norm(token embedding + position embedding), then layers of attention and GELU as in BERT. Token 0 is padding.

    Args:
        vocabulary: how many tokens there are, padding included.
        longest: the most tokens a row may have.
        layers, width, heads: of the encoder; the feed-forward part is four times as wide.
        dropout: share dropped in training.

    Example:
        >>> TokenEncoder(10, longest=8, layers=1, width=16, heads=2)(torch.tensor([[1, 5, 3], [1, 3, 0]])).shape
        torch.Size([2, 3, 16])
    """

    def __init__(self, vocabulary: int, *, longest: int, layers: int, width: int, heads: int, dropout: float = 0.1):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width, padding_idx=0)
        self.positions = nn.Embedding(longest, width)
        self.first = nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout))
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, "gelu", batch_first=True)
                                    for _ in range(layers))
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, std=0.02)
        with torch.no_grad():
            self.tokens.weight[0] = 0
        for one in self.layers.parameters():
            if one.ndim > 1:
                nn.init.xavier_uniform_(one)

    def forward(self, numbers: Tensor) -> Tensor:  # (B, L) -> (B, L, D)
        x, padding = self._embedded(numbers), numbers == 0
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=padding)
        return x

    def first_of(self, numbers: Tensor) -> Tensor:  # (B, L) -> (B, D)
        """The vector of the first token alone: the same as forward's, but the last layer is worked out for nothing else."""
        x, padding, last = self._embedded(numbers), numbers == 0, self.layers[-1]
        for layer in self.layers[:-1]:
            x = layer(x, src_key_padding_mask=padding)
        heard = last.self_attn(x[:, :1], x, x, key_padding_mask=padding, need_weights=False)[0]
        x = last.norm1(x[:, :1] + last.dropout1(heard))
        return last.norm2(x + last.dropout2(last.linear2(last.dropout(F.gelu(last.linear1(x))))))[:, 0]

    def _embedded(self, numbers: Tensor) -> Tensor:  # (B, L) -> (B, L, D)
        places = torch.arange(numbers.shape[1], device=numbers.device)
        return self.first(self.tokens(numbers) + self.positions(places))
