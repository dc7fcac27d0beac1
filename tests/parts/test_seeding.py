"""Draws inside a seeded block follow from its seed, and the world outside does not notice."""

import pytest
import torch

from bakeoff.parts.seeding import seeded


def draw(seed):
    with seeded(seed):
        return torch.rand(4)


def test_draws_follow_the_seed():
    first = draw(1)
    torch.rand(3)
    assert torch.equal(first, draw(1))
    assert not torch.equal(first, draw(2))
    assert torch.equal(first, torch.rand(4, generator=torch.Generator().manual_seed(1)))


def test_the_generator_outside_goes_on_as_if_nothing_had_happened():
    torch.manual_seed(9)
    expected = torch.rand(6)
    torch.manual_seed(9)
    found = [torch.rand(2)]
    draw(1)
    found.append(torch.rand(2))
    with pytest.raises(ZeroDivisionError), seeded(3):
        1 / torch.rand(1).long().item()
    found.append(torch.rand(2))
    assert torch.equal(torch.cat(found), expected)
