import numpy as np
import pytest

from bakeoff.errors import DataError
from bakeoff.parts.text_judge import TextJudge


def test_the_judge_tells_kind_words_from_unkind_ones_and_orders_words():
    rng = np.random.default_rng(0)
    kind = rng.random(200) < 0.5
    texts = [f"you are {'lovely' if one else 'awful'} to {rng.choice(['me', 'us', 'them'])}" for one in kind]
    judge = TextJudge(texts, kind, texts)
    assert (judge.pleasing(["a lovely word", "an awful word"]) > 0.5).tolist() == [True, False]
    assert judge.fluent(["you are lovely to us", "us to lovely are you"]).tolist() == [True, False]


def test_all_but_the_worst_twentieth_of_the_real_texts_are_fluent():
    rng = np.random.default_rng(0)
    real = [" ".join(rng.choice(list("abcdef"), 8)) for _ in range(400)]
    judge = TextJudge(real[:200], [0, 1] * 100, real)
    assert 0.94 < judge.fluent(real).mean() < 0.96


def test_texts_that_share_no_word_are_told():
    with pytest.raises(DataError, match="no two of 30 texts share a word, so there is nothing to tell labels apart by"):
        TextJudge([f"a{i} b{i}" for i in range(30)], [0, 1] * 15, ["a"])
