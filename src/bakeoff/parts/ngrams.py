"""How probable a text is under counts of a few words in a row: a judge of fluency that shares nothing with a neural language model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from .words import words

STOP = ""  # stands before and behind every text


class Ngrams:
    """p(word | the words before it), counted in some texts; where a history is rare, counts of shorter ones come in.

    At each length with N counts after a history, U of them different words, the share U / (N + U) goes to the shorter history
    (Witten and Bell); below one word lies 1 / (V + 1) for each of V words and for any other.

    Args:
        texts: where to count.
        order: words in a row, the last of which is told from the others.

    Example:
        >>> seen = Ngrams(["so it goes", "so it is"])
        >>> seen.per_word("so it goes") > seen.per_word("goes it so") > seen.per_word("xyz xyz xyz")
        True
    """

    def __init__(self, texts: Sequence[str], order: int = 5):
        self.order = order
        self._counts, self._after, self._kinds = Counter(), Counter(), Counter()
        for text in texts:
            for gram in self._grams(text):
                for length in range(1, order + 1):
                    part = gram[-length:]
                    self._kinds[part[:-1]] += part not in self._counts
                    self._counts[part] += 1
                    self._after[part[:-1]] += 1

    def per_word(self, text: str) -> float:
        """The mean over a text's words, and its end, of the log of their probability."""
        grams = self._grams(text)
        return sum(math.log(self.probability(gram)) for gram in grams) / len(grams)

    def probability(self, gram: tuple[str, ...]) -> float:
        """Of the last word of `gram`, after the others of it."""
        found = 1 / (self._kinds[()] + 1)
        for length in range(1, len(gram) + 1):
            part = gram[-length:]
            if after := self._after[part[:-1]]:
                found = (self._counts[part] + self._kinds[part[:-1]] * found) / (after + self._kinds[part[:-1]])
        return found

    def _grams(self, text: str) -> list[tuple[str, ...]]:
        row = [STOP] * (self.order - 1) + words(text) + [STOP]
        return [tuple(row[i:i + self.order]) for i in range(len(row) - self.order + 1)]
