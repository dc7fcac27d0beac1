"""Texts are compared by stems, and a compound is the same with a hyphen, without one, and with an accent."""

from bakeoff.digests.terms import stems, terms, words


def test_a_compound_gives_its_parts_and_itself_in_one_piece():
    assert terms("off-policy") == ["polici", "offpolici"]
    assert terms("offpolicy") == ["offpolici"]
    assert set(terms("State‑of‑the‑art")) == {"state", "art", "stateoftheart"}


def test_inflections_and_accents_and_case_fall_together():
    assert terms("Networks") == terms("network") == terms("NETWORKS")
    assert terms("naïve Čech") == terms("naive cech")


def test_words_that_say_nothing_are_left_out_but_not_inside_a_compound():
    assert terms("The authors of this paper propose a method") == []
    assert "withinclass" in terms("within-class")


def test_words_are_whole_and_digits_stay():
    assert words("VQ-VAE-2, L2 and don't") == ["vq-vae-2", "l2", "and", "don't"]
    assert stems("l2") == ("l2",)


def test_a_word_without_end_is_cut_into_pieces_of_40_letters():
    assert {len(word) for word in words("a" * 10_000)} == {40}


def test_british_and_american_spelling_fall_together():
    british = "regularisation generalised optimisers behaviour behavioural neighbourhoods colour analysed centres modelling labelled"
    american = "regularization generalized optimizers behavior behavioral neighborhoods color analyzed centers modeling labeled"
    assert terms(british) == terms(american)
    assert terms("four sources of this journal") == terms("four source of this journals")
