"""One trial: the same seed gives the same bits, arms see equal data, failures become outcomes."""

import dataclasses

import pytest
import torch

from bakeoff import catalogue, trials
from bakeoff.claim import Source, Trial
from bakeoff.errors import DataError

DIABETES = Source("diabetes")


def smoke(slug, arm="treatment", seed=0, source=DIABETES):
    return trials.run(Trial(slug, arm, seed, "smoke", source))


def test_a_trial_repeats_to_the_bit_whatever_was_drawn_before(own_paper):
    slug = own_paper(treatment="import torch; return float(torch.rand(()))")
    first = smoke(slug)
    torch.rand(100)
    again = smoke(slug)
    assert dataclasses.replace(again, seconds=0) == dataclasses.replace(first, seconds=0)
    assert smoke(slug, seed=1).value != first.value


def test_an_outcome_holds_every_measure_the_spending_and_the_curve(own_paper):
    outcome = smoke(own_paper(treatment="return 2.5"))
    assert (outcome.status, outcome.value, outcome.spent, outcome.curve) == ("done", 2.5, 2, [(1, 1.0), (2, 1.0)])
    assert outcome.measures == {"value": 2.5, "rows": 88.0}  # a fifth of 442 patients


def test_an_exception_is_an_outcome_with_its_traceback(own_paper):
    outcome = smoke(own_paper(treatment="return 1 / 0"))
    assert (outcome.status, outcome.value) == ("error", None)
    assert "return 1 / 0" in outcome.error
    assert outcome.error.strip().endswith("ZeroDivisionError: division by zero")


def test_a_number_that_is_none_is_diverged_and_keeps_the_curve(own_paper):
    outcome = smoke(own_paper(treatment="return float('inf')"))
    assert (outcome.status, outcome.value, len(outcome.curve)) == ("diverged", None, 2)


def test_wrong_data_is_nobodys_trial(own_paper, tmp_path):
    file = tmp_path / "empty.csv"
    file.write_text("")
    with pytest.raises(DataError, match=r"empty\.csv"):
        smoke(own_paper(), source=Source(str(file), (("target", "y"),)))


def test_a_changed_paper_file_is_loaded_anew(own_paper):
    assert smoke(own_paper(treatment="return 1.0")).value == 1.0
    assert smoke(own_paper(treatment="return 22.0")).value == 22.0


def test_drawings_are_made_only_when_asked_for():
    asked = trials.run(Trial("siren", "treatment", 0, "smoke", Source("china"), draw=True))
    assert {drawing.kind for drawing in asked.drawings} == {"png"}
    assert trials.run(Trial("siren", "treatment", 0, "smoke", Source("china"))).drawings == []


@pytest.mark.parametrize("slug", list(catalogue.entries()))
def test_every_paper_names_a_data_set_of_the_house(slug):
    from bakeoff.data import sets
    assert catalogue.entry(slug).claim.data in sets.SETS
