"""A judge of texts that shares nothing with who wrote them: is a text of the class that pleases, and is it as fluent as real ones?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ..errors import DataError
from .ngrams import Ngrams
from .words import words


class TextJudge:
    """Learned from labelled texts: a logistic regression on words and pairs of words, and counts of five words in a row.

    Args:
        texts: the texts to learn from.
        wanted: (N,) true where a text is of the class that pleases; of both there must be some.
        real: other real texts; fluent is what is more probable, per word, than the least probable 5 % of them.

    Raises:
        DataError: no two of the texts share a word.

    Example:
        >>> judge = TextJudge(["a good day", "a bad day"] * 5, [1, 0] * 5, ["a good day"])
        >>> judge.pleasing(["good", "bad"]) > 0.5, judge.fluent(["a good day", "day bad bad"])
        (array([ True, False]), array([ True, False]))
    """

    def __init__(self, texts: Sequence[str], wanted, real: Sequence[str]):
        pairs = CountVectorizer(tokenizer=words, token_pattern=None, ngram_range=(1, 2), binary=True, min_df=2)
        try:
            found = pairs.fit_transform(texts)
        except ValueError:
            raise DataError(f"no two of {len(texts)} texts share a word, so there is nothing to tell labels apart by",
                            "Give texts in which words come again.") from None
        self._model = make_pipeline(pairs, LogisticRegression(C=0.1, max_iter=500).fit(found, np.asarray(wanted, dtype=bool)))
        self._texts, self._real = texts, real

    @cached_property
    def _ngrams(self) -> Ngrams:
        return Ngrams(self._texts)

    @cached_property
    def _least(self) -> float:
        return np.quantile(self.per_word(self._real), 0.05)

    def pleasing(self, texts: Sequence[str]) -> np.ndarray:
        """The probability that each text is of the class that pleases: (N,)."""
        return self._model.predict_proba(texts)[:, 1]

    def per_word(self, texts: Sequence[str]) -> np.ndarray:
        """The log of the probability of each text, per word: (N,)."""
        return np.array([self._ngrams.per_word(one) for one in texts])

    def fluent(self, texts: Sequence[str]) -> np.ndarray:
        """Whether each text is at least as probable as the worst 5 % of real ones: (N,)."""
        return self.per_word(texts) >= self._least
