import math

import pytest
import torch

from bakeoff.parts.schedules import rise_and_fall


def rates(steps, rise, peak=2.0):
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=peak)
    schedule, seen = rise_and_fall(optimiser, steps, rise), []
    for _ in range(steps):
        seen.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return torch.tensor(seen, dtype=torch.float64)


def test_the_rate_rises_to_its_peak_and_falls_as_half_a_cosine():
    found = rates(1000, 0.1)
    assert found.argmax() == 100
    assert (found[:100].diff() > 0).all()
    assert (found[100:].diff() < 0).all()
    assert found[500] == pytest.approx(1 + math.cos(math.pi * 0.5005))
    assert found[0] == pytest.approx(2 * 0.005, rel=1e-4)
    assert found[-1] < 1e-5


def test_the_mean_rate_does_not_hang_on_the_number_of_steps():
    torch.testing.assert_close(rates(4000, 0.05).mean(), rates(500, 0.05).mean(), atol=1e-4, rtol=0)
