"""Every paper of the library passes every common check, because it is there."""

import pytest

from bakeoff import catalogue
from bakeoff.checks import Bench, all_checks, run_checks


@pytest.fixture(scope="module")
def bench():
    with Bench() as one:
        yield one


@pytest.mark.parametrize("slug", catalogue.entries())
def test_a_paper_passes_the_common_checks(slug, bench):
    findings = run_checks(slug, bench=bench)
    wrong = [f"{one.check}: {one.message} {one.hint}" for one in findings if not one.ok]
    assert not wrong, f"{catalogue.entry(slug).path}\n" + "\n".join(wrong)
    assert len(findings) == len(all_checks())
