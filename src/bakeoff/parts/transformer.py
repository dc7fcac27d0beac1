"""A transformer that reads rows of tokens: torch's own encoder with learned embeddings of tokens and positions before it."""

from __future__ import annotations

import torch
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
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, "gelu", batch_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, std=0.02)
        with torch.no_grad():
            self.tokens.weight[0] = 0
        for one in self.layers.parameters():  # torch starts every layer as a copy of one
            if one.ndim > 1:
                nn.init.xavier_uniform_(one)

    def forward(self, numbers: Tensor) -> Tensor:  # (B, L) -> (B, L, D)
        places = torch.arange(numbers.shape[1], device=numbers.device)
        x = self.first(self.tokens(numbers) + self.positions(places))
        return self.layers(x, src_key_padding_mask=numbers == 0)
