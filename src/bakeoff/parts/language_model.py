"""A small recurrent language model, whose dropout masks can be held fixed, and the replies that it is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .words import END, START, Vocabulary, words


@dataclass(frozen=True)
class Replies:
    """Texts as rows of word numbers: the words before, START, the text, END, then nothing.

    Args:
        tokens: (N, S + T) int64; column S - 1 is START, columns S and later are the text, END behind it.
        start: S.
        reward: (N, T), what each word of the text earned.

    Example:
        >>> vocabulary = Vocabulary(["so it goes"])
        >>> found = Replies.of(["so", "it goes"], vocabulary, longest=3, reward=[1.0, 2.0])
        >>> found.tokens, found.reward, found.alive()
        (tensor([[1, 5, 0, 0],
                [1, 4, 3, 0]]), tensor([[0., 1., 0.],
                [0., 0., 2.]]), tensor([[ True,  True, False],
                [ True,  True,  True]]))
    """

    tokens: Tensor
    start: int
    reward: Tensor

    @classmethod
    def of(cls, texts: Sequence[str], vocabulary: Vocabulary, longest: int, before: Sequence[str] = (), reward: Sequence[float] = (),
           context: int = 0) -> Replies:
        """Texts of fewer words than `longest`; of what was `before` the last `context` words are kept; the reward comes with END."""
        text = vocabulary.rows(texts, longest)
        seen = vocabulary.rows(before or [""] * len(texts), context, end=False)
        tokens = torch.cat([seen, torch.full((len(texts), 1), START), text], 1)
        earned = torch.zeros(text.shape)
        if len(reward):
            ends = (text == END).int().argmax(1)
            earned[torch.arange(len(texts)), ends] = torch.tensor(reward, dtype=torch.float32)
        return cls(tokens, context + 1, earned)

    def __len__(self):
        return len(self.tokens)

    def take(self, rows) -> Replies:
        """The texts at these positions."""
        return Replies(self.tokens[rows], self.start, self.reward[rows])

    def alive(self) -> Tensor:
        """(N, T), where there is a word or the END of the text, and not what fills the row behind it."""
        ended = self.tokens[:, self.start:] == END
        return ended.cumsum(1) - ended.int() == 0


def fitting(texts: Sequence[str], longest: int) -> list[int]:
    """The positions of the texts that have fewer words than `longest`, one at least."""
    return [i for i, text in enumerate(texts) if 0 < len(words(text)) < longest]


class LanguageModel(nn.Module):
    """Which word comes next: p(word | words before it), by a gated recurrent unit.

    Args:
        vocabulary: the words; V of them.
        hidden: H, the size of state and word vectors, which input and output share.
        dropout: share of the state that a mask hides from the output.

    Example:
        >>> import torch
        >>> told = ["so it goes", "so it is"]
        >>> model = LanguageModel(Vocabulary(told), hidden=8)
        >>> rng, rows = torch.Generator().manual_seed(0), Replies.of(told, model.vocabulary, longest=4)
        >>> model.learn(rows, steps=300, rng=rng, learning_rate=0.05, batch_size=2)
        >>> model(rows.tokens[:, :-1]).softmax(-1)[0, 1].argmax() == rows.tokens[0, 2]  # after "so" comes "it"
        tensor(True)
        >>> model(rows.tokens[:, :-1], masks=model.masks(5, 2, rng)).shape
        torch.Size([5, 2, 4, 7])
    """

    def __init__(self, vocabulary: Vocabulary, hidden: int = 128, dropout: float = 0.2):
        super().__init__()
        self.vocabulary, self.dropout = vocabulary, dropout
        self.vectors = nn.Embedding(len(vocabulary), hidden)
        nn.init.normal_(self.vectors.weight, std=hidden ** -0.5)
        self.recurrent = nn.GRU(hidden, hidden, batch_first=True)
        self.bias = nn.Parameter(torch.zeros(len(vocabulary)))

    def forward(self, tokens: Tensor, skip: int = 0, masks: Tensor | None = None) -> Tensor:
        """Logits of the next word after each position but the first `skip` of tokens (B, T): (B, T - skip, V); with masks (M, B, H)
        one such array a mask: (M, B, T - skip, V)."""
        state = self.recurrent(self.vectors(tokens))[0][:, skip:]
        if masks is not None:
            state = state * masks[:, :, None]  # (M, B, T - skip, H)
        return F.linear(state, self.vectors.weight, self.bias)

    def masks(self, count: int, batch: int, rng: torch.Generator) -> Tensor:
        """`count` dropout masks for each of `batch` rows, the same at every word: (count, batch, H)."""
        kept = torch.rand(count, batch, self.vectors.embedding_dim, generator=rng) >= self.dropout
        return kept / (1 - self.dropout)

    def learn(self, replies: Replies, steps: int, rng: torch.Generator, learning_rate: float = 4e-3, batch_size: int = 64,
              on_step=None) -> None:
        """Raise the likelihood of the texts by `steps` steps of Adam, on a cosine from `learning_rate` to 0; `on_step` gets each loss."""
        optimizer = torch.optim.Adam(self.parameters(), learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
        for _ in range(steps):
            batch = replies.take(torch.randint(len(replies), (batch_size,), generator=rng))
            logits = self(batch.tokens[:, :-1], batch.start - 1, self.masks(1, batch_size, rng))[0]
            alive = batch.alive()
            loss = F.cross_entropy(logits[alive], batch.tokens[:, batch.start:][alive])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if on_step:
                on_step(loss.item())
