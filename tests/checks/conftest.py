"""The warm processes that every test of the checks runs its papers in."""

import pytest

from bakeoff.checks import Bench


@pytest.fixture(scope="session")
def bench():
    with Bench() as one:
        yield one
