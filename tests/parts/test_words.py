import pytest
import torch

from bakeoff.parts.words import END, UNKNOWN, Vocabulary, words


def test_words_are_small_letters_with_signs_apart_and_apostrophes_kept():
    assert words("Isn't it 3.5 °C, Zoë?!") == ["isn't", "it", "3", ".", "5", "°", "c", ",", "zoë", "?", "!"]


def test_the_most_frequent_words_are_kept_and_read_back():
    vocabulary = Vocabulary(["a b c a", "b a"], size=5)
    assert vocabulary.words[3:] == ["a", "b"]
    assert vocabulary.numbers("b a c") == [4, 3, UNKNOWN]
    assert vocabulary.text([4, 3, UNKNOWN, END, 4]) == "b a unknown"


def test_rows_begin_at_the_left_or_end_at_the_right():
    vocabulary = Vocabulary(["a b c"], size=6)
    assert vocabulary.rows(["a b c"], 5).tolist() == [[3, 4, 5, END, END]]
    assert vocabulary.rows(["a b c", "", "a"], 2, end=False).tolist() == [[4, 5], [END, END], [END, 3]]
    assert torch.equal(vocabulary.rows([], 3), torch.zeros(0, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="3 words"):
        vocabulary.rows(["a b c"], 3)
