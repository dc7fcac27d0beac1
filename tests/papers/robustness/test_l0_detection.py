"""Lone extreme pixels found and painted over, and what the comparison can and cannot tell."""

import pytest
import torch
from torch import nn

from bakeoff.errors import NotFitted
from bakeoff.papers.robustness.l0_detection import AEPecker, Siamese, inpaint, midrange, squeezed, suspects


def smooth(count, channels=1, side=12):
    """Images that are sines along a random direction, values in [0.25, 0.75]: (count, channels, side, side)."""
    rng = torch.Generator().manual_seed(0)
    along = torch.linspace(0, 1, side)
    slope = 3 * torch.rand(count, channels, 2, 1, 1, generator=rng)
    start = 6 * torch.rand(count, channels, 1, 1, generator=rng)
    return 0.5 + 0.25 * torch.sin(slope[:, :, 0] * along + slope[:, :, 1] * along[:, None] + start)


def with_lone_pixels(images, count, values=(0.0, 1.0), seed=0):
    """`count` pixels of every image put to one of `values` in every channel, and where: (B, 1, H, W)."""
    rng = torch.Generator().manual_seed(seed)
    where = torch.zeros(len(images), images[0, 0].numel(), dtype=torch.bool)
    where.scatter_(1, torch.rand(where.shape, generator=rng).topk(count, dim=1).indices, True)
    where = where.view(len(images), 1, *images.shape[2:])
    value = torch.tensor(values)[torch.randint(len(values), where.shape, generator=rng)]
    return torch.where(where, value, images), where


def test_a_lone_extreme_pixel_on_a_smooth_image_is_found_and_what_it_hid_comes_back():
    images = smooth(50, channels=3)
    attacked, where = with_lone_pixels(images, 1)
    assert torch.equal(suspects(attacked), where)
    back = AEPecker().rectify(attacked)
    torch.testing.assert_close(back, images, atol=0.03, rtol=0)
    assert torch.equal(back[(~where).expand_as(back)], images[(~where).expand_as(back)])
    assert float((attacked - images).abs().amax((1, 2, 3)).min()) > 0.2


def test_without_suspects_an_image_stays_as_it_is():
    images = smooth(20)
    assert not bool(suspects(images).any())
    assert torch.equal(AEPecker().rectify(images), images)
    assert torch.equal(inpaint(images, torch.zeros_like(images, dtype=torch.bool)), images)


def test_extreme_pixels_in_company_are_no_suspects_unless_their_end_is_another():
    image = torch.zeros(1, 1, 7, 7)
    assert suspects(image).nonzero()[:, 2:].tolist() == []  # a corner has three neighbours
    image[0, 0, 3, 3] = 1.0
    assert suspects(image).nonzero()[:, 2:].tolist() == [[3, 3]]
    image[0, 0, 3:5, 3:5] = 1.0  # three neighbours each
    assert not bool(suspects(image).any())
    assert int(suspects(image, company=4).sum()) == 4 + 4  # the square, and now the corners of the image
    assert not bool(suspects(torch.where(image > 0, 0.9, 0.1), low=0.1 - 1e-3, high=0.9 + 1e-3).any())


def test_a_hole_is_filled_by_the_solution_of_laplace_s_equation():
    along = torch.linspace(-1, 1, 9)
    harmonic = (along[:, None] ** 2 - along ** 2 + along[:, None] * along)[None, None]  # also in the discrete sense
    holes = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
    holes[..., 2:6, 3:7] = True
    torch.testing.assert_close(inpaint(torch.where(holes, 7.0, harmonic), holes, sweeps=500), harmonic, atol=3e-3, rtol=0)
    edge = torch.zeros(1, 1, 3, 3, dtype=torch.bool)
    edge[..., 0, 0] = True
    assert float(inpaint(torch.tensor([[[[9.0, 1, 0], [2, 0, 0], [0, 0, 0]]]]), edge)[0, 0, 0, 0]) == 1.5  # of two neighbours


def test_the_two_branches_are_one_network_and_equal_images_differ_by_nothing():
    network, (x, other) = Siamese((1, 12, 12), 8, True, seed=0), smooth(2)[:, None]
    with torch.no_grad():
        same = network(torch.stack((x, x), 1))
        torch.testing.assert_close(same, network.head.bias.detach())
        torch.testing.assert_close(network(torch.stack((x, other), 1)), network(torch.stack((other, x), 1)))
        assert float((network(torch.stack((x, other), 1)) - same).abs().min()) > 1e-4
        alone = Siamese((1, 12, 12), 8, False, seed=0)
        assert [one.shape for one in alone.parameters()] == [one.shape for one in network.parameters()]
        torch.testing.assert_close(alone(torch.stack((x, other), 1)), alone(torch.stack((x, x), 1)), rtol=0, atol=0)


def test_attacks_of_a_kind_unseen_are_told_from_natural_images_unless_they_keep_to_the_middle():
    images = smooth(200)
    learned = with_lone_pixels(images[:120], 6)[0]
    detector = AEPecker(learning_rate=3e-3).fit(images[:120], learned, steps=60)
    natural = detector.score(images[120:])
    unseen = detector.score(with_lone_pixels(images[120:], 2, seed=1)[0])
    hidden = detector.score(with_lone_pixels(images[120:], 6, values=(0.03, 0.97), seed=2)[0])
    assert float(unseen.quantile(0.1)) > float(natural.quantile(0.9))
    torch.testing.assert_close(hidden, natural)  # nothing is suspect, so nothing differs


def test_the_adaptive_attacker_stays_within_the_thresholds_and_changes_as_few_pixels():
    x = smooth(30)
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 2)).requires_grad_(False)
    y = model(x).argmax(1)
    attacked = midrange(model, x, y, 0.02, 0.98)
    assert bool((model(attacked).argmax(1) != y).any())
    assert bool(((attacked != x).flatten(1).sum(1) <= 20).all())
    assert not bool(suspects(attacked).any())


def test_a_median_filter_moves_the_answer_to_a_lone_pixel_and_not_to_a_flat_image():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False))
    torch.nn.init.constant_(model[1].weight[0], 0.0)
    torch.nn.init.constant_(model[1].weight[1], 3.0)
    flat = torch.full((1, 1, 4, 4), 0.1)
    lone = flat.clone()
    lone[0, 0, 1, 2] = 1.0
    moved = 2 * (torch.sigmoid(torch.tensor(3 * (1.6 + 0.9))) - torch.sigmoid(torch.tensor(3 * 1.6)))
    torch.testing.assert_close(squeezed(model, torch.cat((flat, lone))), torch.tensor([0.0, float(moved)]), atol=1e-5, rtol=1e-4)


def test_what_cannot_be_is_refused_and_fitting_again_changes_nothing():
    images = smooth(10)
    detector = AEPecker()
    with pytest.raises(NotFitted):
        detector.score(images)
    with pytest.raises(ValueError, match="natural and attacked images of one shape"):
        detector.fit(images, images[:0])
    attacked = with_lone_pixels(images, 3)[0]
    once = detector.fit(images, attacked, steps=3).score(attacked)
    torch.testing.assert_close(detector.fit(images, attacked, steps=3).score(attacked), once, rtol=0, atol=0)


def test_bytes_are_refused_before_anything_is_learned_and_arrays_answered_as_tensors():
    natural = smooth(20)
    attacked, where = with_lone_pixels(natural, 2)
    steps, known = [], AEPecker().fit(natural, attacked, steps=3)
    for bad in ((255 * natural).byte(), 255 * natural, (255 * natural).numpy(), natural - 1):
        for ask in (lambda x: AEPecker().fit(x, attacked, steps=2, on_step=steps.append),
                    lambda x: AEPecker().fit(natural, x, steps=2, on_step=steps.append), known.score, known.rectify, suspects):
            with pytest.raises(ValueError, match=r"expected values in \[0, 1\], found .*divide bytes by 255"):
                ask(bad)
    assert not steps
    same = AEPecker().fit(natural.double(), attacked.numpy(), steps=3)
    assert same.score(natural.numpy()).tolist() == known.score(natural).tolist()
    assert torch.equal(same.rectify(attacked.numpy()), known.rectify(attacked))
    with pytest.raises(ValueError, match="expected holes as booleans"):
        inpaint(natural, where.float())
