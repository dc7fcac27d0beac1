"""Camera stickers: the dots' optics, the search's promise, and that dots searched for fool more than dots at random."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from bakeoff.errors import NotFitted
from bakeoff.papers.robustness.camera_stickers import CameraSticker
from bakeoff.parts.evaluating import evaluating
from bakeoff.parts.small_cnn import small_cnn


def placed(centres, colours, **settings):
    """A sticker with these dots."""
    sticker = CameraSticker(**settings)
    sticker.centres, sticker.colours = torch.tensor(centres), torch.tensor(colours)
    return sticker


@pytest.fixture
def images():
    return torch.rand(5, 3, 20, 20, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    return nn.Sequential(small_cnn((3, 20, 20), 4, seed=0, width=4, hidden=16), nn.Dropout(0.5))


def test_dots_that_let_all_light_through_change_nothing(images):
    assert torch.equal(placed([[0.3, 0.6]], [[1.0, 0.0, 0.5]], alpha_max=0.0).apply(images), images)


def test_a_dots_opacity_is_alpha_max_at_its_centre_and_an_eth_of_it_at_its_radius():
    black, white = torch.zeros(1, 1, 21, 21), [[1.0]]
    seen = placed([[0.5, 0.5]], white, radius=5 / 21, alpha_max=0.4, beta=1.7).apply(black)[0, 0]
    assert float(seen[10, 10]) == pytest.approx(0.4, rel=1e-5)
    assert [float(seen[10, 15]), float(seen[5, 10])] == pytest.approx([0.4 / math.e] * 2, rel=1e-4)
    assert float(seen[10, 13]) == pytest.approx(0.4 * math.exp(-(9 / 25) ** 1.7), rel=1e-4)


def test_dots_are_composed_one_after_another_and_stay_in_range(images):
    first, second = [0.3, 0.4], [0.5, 0.5]
    red, grey = [1.0, 0.0, 0.0], [0.5, 0.5, 0.5]
    one_by_one = placed([second], [grey]).apply(placed([first], [red]).apply(images))
    together = placed([first, second], [red, grey]).apply(images)
    assert torch.allclose(together, one_by_one, atol=1e-6)
    assert together.min() >= 0
    assert together.max() <= 1


def test_the_gradient_in_the_centres_is_the_difference_quotient(images):
    torch.manual_seed(0)
    weights = torch.randn(images.shape)

    def value(centre):
        sticker = CameraSticker()
        through, tint = sticker._film(centre[None, None], torch.tensor([[[1.0, 0.2, 0.0]]]), (20, 20))
        return ((through * images + tint) * weights).sum()

    centre = torch.tensor([0.42, 0.57], requires_grad=True)
    slope = torch.autograd.grad(value(centre), centre)[0]
    for axis in range(2):
        step = torch.zeros(2)
        step[axis] = 5e-3
        assert float(slope[axis]) == pytest.approx(float(value(centre.detach() + step) - value(centre.detach() - step)) / 1e-2, rel=0.03)


def test_the_greedy_loss_never_rises_and_is_what_the_sticker_gives(images, model):
    sticker = CameraSticker(dots=3, grid=5).fit(model, images, source=0, target=2, calls=300)
    assert len(sticker.losses) > 3
    assert (np.diff(sticker.losses) < 0).all()
    assert len(sticker.centres) <= 3
    with evaluating(model), torch.no_grad():
        logits = model(sticker.apply(images))
    assert float((logits[:, 0] - logits[:, 2]).mean()) == pytest.approx(sticker.losses[-1], abs=1e-4)


@pytest.mark.parametrize("search", ["greedy", "random"])
def test_a_search_asks_as_often_as_it_may_and_leaves_the_model_as_it_was(search, images, model):
    asked = []
    CameraSticker(dots=3, search=search).fit(model, images, 0, 1, calls=137, on_step=lambda value, amount: asked.append(amount))
    assert sum(asked) == 137
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())


def test_dots_searched_for_lower_the_loss_further_than_dots_at_random(images, model):
    greedy, random = (CameraSticker(search=search).fit(model, images, 0, 1, calls=400).losses[-1] for search in ("greedy", "random"))
    assert greedy < random - 1e-3


def test_what_does_not_fit_is_said(images, model):
    with pytest.raises(NotFitted):
        CameraSticker().apply(images)
    with pytest.raises(ValueError, match=r"values in \[0, 1\]"):
        CameraSticker().fit(model, images * 2, 0, 1)
    with pytest.raises(ValueError, match="search"):
        CameraSticker(search="full").fit(model, images, 0, 1)
