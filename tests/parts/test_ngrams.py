import math

import pytest

from bakeoff.parts.ngrams import Ngrams


def test_the_probabilities_of_all_next_words_sum_to_one():
    seen = Ngrams(["so it goes", "so it is", "it is so"], order=3)
    for history in (("", ""), ("so", "it"), ("is", "so"), ("never", "seen")):
        known = sum(seen.probability((*history, word)) for word in ("so", "it", "goes", "is", ""))
        assert known + seen.probability((*history, "another")) == pytest.approx(1)


def test_one_text_of_one_word_has_the_probability_worked_out_by_hand():
    seen = Ngrams(["yes"], order=3)  # two different "words" seen, yes and the end, once each
    one = (1 + 2 / 3) / (2 + 2)  # 1 of 2, with the share 2 / (2 + 2) left to 1 / 3
    two = (1 + one) / 2
    three = (1 + two) / 2
    assert seen.per_word("yes") == pytest.approx(math.log(three))


def test_more_words_in_a_row_find_out_a_loop():
    seen = [Ngrams(["we go home", "home we run", "run we go"], order=order) for order in (2, 4)]
    short, long = (one.per_word("we go home we run we go home we run") - one.per_word("we go home") for one in seen)
    assert long < short < 0
