"""Pictures of chains: what coincides covers what is below it, bars are as tall as their values."""

import numpy as np

from bakeoff.parts.trace_pictures import BARS, FOUND, TRUE, bars, overlaid


def pixels(picture, colour):
    return int((picture == np.array(colour)).all(-1).sum())


def test_a_trace_given_back_exactly_covers_the_true_one_and_another_leaves_it_to_be_seen():
    chain = np.random.default_rng(0).normal(size=(2, 9, 3)) * [3, 2, 1]
    same = overlaid(chain, chain)
    assert pixels(same, TRUE) == 0
    assert pixels(same, FOUND) > 200
    assert pixels(overlaid(chain, chain * 0.5), TRUE) > 200
    np.testing.assert_array_equal(overlaid(chain[:, ::-1], chain[:, ::-1]) == 1, same == 1)  # a chain has no direction in a picture


def test_bars_are_as_tall_as_their_values_up_to_the_full_height():
    picture = bars(np.array([0.0, 0.5, 1.0, 7.0]), width=8, height=10)
    tall = (picture == np.array(BARS)).all(-1)
    assert tall.sum(0).tolist() == [0, 0, 5, 5, 10, 10, 10, 10]
    assert tall[5:, 2].all()
