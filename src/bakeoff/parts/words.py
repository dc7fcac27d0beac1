"""Words as numbers: the vocabulary of a set of texts, and texts as rows of numbers that a language model reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

END, START, UNKNOWN = 0, 1, 2  # END ends a text and fills a row; START stands before a text; UNKNOWN for any word too rare
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def words(text: str) -> list[str]:
    """The words and signs of a text, in small letters.

    Example:
        >>> words("Don't you like tea?")
        ["don't", 'you', 'like', 'tea', '?']
    """
    return WORD.findall(text.lower())


class Vocabulary:
    """The most frequent words of some texts, numbered from 3.

    Args:
        texts: where the words are counted.
        size: the number of words at most, END, START and UNKNOWN among them.

    Example:
        >>> vocabulary = Vocabulary(["so it goes", "so it is", "so"], size=5)
        >>> vocabulary.rows(["so it goes"], longest=4), vocabulary.rows(["so it goes"], longest=2, end=False)
        (tensor([[3, 4, 2, 0]]), tensor([[4, 2]]))
        >>> vocabulary.text([3, 4, 0, 3])
        'so it'
    """

    def __init__(self, texts: Iterable[str], size: int = 1000):
        counted = Counter(word for text in texts for word in words(text))
        frequent = sorted(counted, key=lambda word: (-counted[word], word))[: size - 3]
        self.words = ["", "", "unknown", *frequent]
        self._number = {word: i for i, word in enumerate(self.words) if i > UNKNOWN}

    def __len__(self):
        return len(self.words)

    def numbers(self, text: str) -> list[int]:
        """The number of each word."""
        return [self._number.get(word, UNKNOWN) for word in words(text)]

    def rows(self, texts: Sequence[str], longest: int, end: bool = True) -> Tensor:
        """Texts as rows (N, longest). With `end` each begins at the left, and END follows; without, its last words stand at the right.

        Raises:
            ValueError: a text that END should follow has no fewer words than `longest`.
        """
        rows = torch.full((len(texts), longest), END)
        for row, text in zip(rows, texts, strict=True):
            found = torch.tensor(self.numbers(text), dtype=torch.long)
            if end and len(found) >= longest:
                raise ValueError(f"{text!r} has {len(found)} words, and a row of {longest} has room for {longest - 1} and END")
            if end:
                row[:len(found)] = found
            elif len(found):
                row[-len(found):] = found[max(0, len(found) - longest):]
        return rows

    def text(self, numbers: Iterable[int]) -> str:
        """The words of these numbers up to END, a space between them."""
        found = []
        for number in numbers:
            if number == END:
                break
            found.append(self.words[number])
        return " ".join(found)
