"""The rate's rise and fall, told by how far Adam goes."""

import pytest
import torch
from torch import nn

from bakeoff.parts.warmed_adam import descend


class Place(nn.Module):
    def __init__(self):
        super().__init__()
        self.x = nn.Parameter(torch.zeros(()))


def test_each_step_goes_as_far_as_the_rate_which_rises_over_a_tenth_and_falls_to_nothing():
    place, seen = Place(), []

    def loss_of(rows, rng):
        seen.append(place.x.item())
        return -place.x  # of a constant slope, along which Adam's step is its rate

    descend([place], loss_of, 5, steps=20, rate=1.0, batch_size=2, seed=0)
    went = torch.tensor([*seen, place.x.item()]).diff().tolist()
    assert went == pytest.approx([0.5, 1.0] + [(20 - step) / 18 for step in range(2, 20)], abs=1e-4)


def test_what_is_drawn_and_the_order_come_from_the_seed_alone():
    drawn = []

    def loss_of(rows, rng):
        drawn[-1].append((rows.tolist(), torch.rand((), generator=rng).item(), torch.rand(()).item()))
        return place.x.square()

    for seed in (0, 0, 1):
        place = Place()
        drawn.append([])
        descend([place], loss_of, 9, steps=4, rate=0.1, batch_size=3, seed=seed)
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
