"""The losses of CycleGAN and of its defences written out, what measures of honesty say of generators that are known, and the pairing."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bakeoff.data.kinds.images import Images
from bakeoff.papers.robustness import honest_cycle_gan as paper
from bakeoff.papers.robustness.honest_cycle_gan import HonestCycleGAN, dishonesty, guess_loss, nearest, noise_sensitivity
from bakeoff.parts.seeding import seeded


class Known:
    """Translates by two functions."""

    def __init__(self, to_b, to_a):
        self.to_b, self.to_a = to_b, to_a


def some(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def rng():
    return torch.Generator().manual_seed(0)


def fitted(steps=3, **options):
    return HonestCycleGAN(1, 1, width=2, batch_size=4, **options).fit(some(20, 1, 8, 8), some(16, 1, 8, 8, seed=1), steps=steps)


@pytest.mark.parametrize(("cycle", "identity"), [(10.0, 5.0), (0.3, 5.0), (10.0, 0.5)])
def test_the_generators_loss_is_cycle_gan_s_written_out(cycle, identity):
    model = fitted(noise=0.0, cycle_weight=cycle, identity_weight=identity)
    a, b = 2 * some(3, 1, 8, 8) - 1, 2 * some(3, 1, 8, 8, seed=2) - 1
    judges = [nn.Conv2d(1, 1, 3) for _ in range(2)]
    found = model._generators_loss(a, b, model._cycle(a, b, rng()), judges, rng())
    forth, back = model.forth, model.back
    known = ((judges[0](forth(a)) - 1) ** 2).mean() + ((judges[1](back(b)) - 1) ** 2).mean()
    known = known + cycle * (back(forth(a)) - a).abs().mean() + cycle * (forth(back(b)) - b).abs().mean()
    known = known + identity * (forth(b) - b).abs().mean() + identity * (back(a) - a).abs().mean()
    torch.testing.assert_close(found, known)


def test_the_discriminators_loss_is_least_squares_on_real_and_made_pictures():
    model, a, b, made = fitted(noise=0.0), some(3, 1, 8, 8), some(3, 1, 8, 8, seed=1), [some(3, 1, 8, 8, seed=i) for i in range(2, 6)]
    judges = [nn.Conv2d(1, 1, 3) for _ in range(2)]
    found = model._judges_loss(a, b, made, judges, [paper.Pool(50), paper.Pool(50)], rng())
    known = sum(((judge(real) - 1) ** 2).mean() / 2 + (judge(fake) ** 2).mean() / 2
                for judge, real, fake in ((judges[0], b, made[0]), (judges[1], a, made[1])))
    torch.testing.assert_close(found, known)


def test_only_the_cycle_sees_the_noise_and_it_has_the_stated_size():
    model, a, b = fitted(noise=0.3), 2 * some(400, 1, 8, 8) - 1, 2 * some(400, 1, 8, 8, seed=2) - 1
    heard = {}
    model.back.register_forward_pre_hook(lambda module, given: heard.update({len(heard): given[0]}))
    made = model._cycle(a, b, rng())
    quiet = model.forth(a)
    torch.testing.assert_close(made[0], quiet)
    noise = heard[1] - quiet
    spread = 0.3 * 0.5 * (quiet.max() - quiet.min())
    assert noise.std().item() == pytest.approx(spread.item(), rel=0.02)
    assert abs(noise.mean().item()) < 0.02 * spread.item()
    torch.testing.assert_close(made[2], model.back(heard[1]))


def test_without_defences_both_are_cycle_gan_and_a_defence_changes_what_is_learnt():
    a = some(5, 1, 8, 8)
    plain, again, loud, told = (fitted(learning_rate=0.01, **options).to_b(a) for options in
                                ({"noise": 0.0}, {"noise": 0.0, "guess_weight": 0.0}, {"noise": 0.1}, {"noise": 0.0, "guess_weight": 2.0}))
    assert torch.equal(plain, again)
    assert (plain - loud).abs().max() > 1e-4
    assert (plain - told).abs().max() > 1e-4


def test_the_guess_is_even_in_the_order_and_odd_in_who_is_told():
    x, y = some(2000, 1, 4, 4), some(2000, 1, 4, 4, seed=1)

    class First(nn.Module):  # says that the first of the pair is the reconstruction by as much as its mean is higher
        def forward(self, pair):
            return 0.5 + (pair[:, :1] - pair[:, 1:]).mean((2, 3), keepdim=True)

    class Coin(nn.Module):
        def forward(self, pair):
            return torch.full((len(pair), 1, 1, 1), 0.5)

    assert guess_loss(Coin(), x, y, rng()).item() == pytest.approx(0.25)
    right, wrong = guess_loss(First(), x, y + 0.3, rng()).item(), guess_loss(First(), y + 0.3, x, rng()).item()
    gap = (y + 0.3 - x).mean((1, 2, 3))
    assert right == pytest.approx(((0.5 - gap) ** 2).mean().item(), abs=1e-6)  # in either order the judge is as far from the truth
    assert wrong == pytest.approx(((0.5 + gap) ** 2).mean().item(), abs=1e-6)


def test_sensitivity_is_that_of_a_linear_translation_and_none_of_a_constant():
    a = some(50, 1, 8, 8)
    known = (2 / torch.pi) ** 0.5 * 3 * (0.1 + 0.3) / 2  # the mean of |3 n|, n of deviation 0.1 and 0.3
    assert noise_sensitivity(Known(lambda a: a, lambda b: 3 * b), a, scales=(0.1, 0.3)) == pytest.approx(known, rel=0.03)
    assert noise_sensitivity(Known(lambda a: a, torch.zeros_like), a) == 0


def test_rounding_uncovers_what_a_translation_hides():
    a, colours = some(30, 1, 8, 8), torch.tensor([[0.0], [1.0]])
    hides = Known(lambda a: (a > 0.5).float() + 0.01 * a, lambda b: 100 * (b - (b > 0.9).float()))  # a as the last digits of b
    tells = Known(lambda a: (a > 0.5).float(), lambda b: 0.25 + 0.5 * b)
    assert dishonesty(tells, a, colours) == 0
    assert dishonesty(hides, a, colours) == pytest.approx(a.mean().item(), rel=1e-3)  # nothing is left but black
    assert noise_sensitivity(hides, a) > 20 * noise_sensitivity(tells, a)


def test_a_pool_gives_back_what_it_was_given_and_mixes_old_with_new():
    pool, draws = paper.Pool(10), rng()
    given = torch.arange(400.0).view(100, 4, 1, 1, 1)
    first = pool(given[0], draws)
    assert torch.equal(first, given[0])
    told = torch.stack([pool(one, draws) for one in given[1:]])[5:]
    old = (told.flatten() != given[6:].flatten()).double().mean()
    assert 0.4 < old < 0.6
    assert torch.isin(told, given).all()
    assert told.unique().numel() == told.numel()  # nothing is shown twice


def test_the_pairing_is_known_and_dyes_leave_the_parts_alone():
    pixels = some(6, 1, 28, 28).numpy()
    (a, parts), (other, same) = paper.dyed(pixels, seed=1), paper.dyed(pixels, seed=2)
    light = F.avg_pool2d(torch.tensor(pixels), 2)
    assert a.shape == (6, 3, 14, 14)
    assert torch.equal(parts, same)
    assert torch.equal(parts, (light[:, 0] > 0.15).long() + (light[:, 0] > 0.55).long())
    torch.testing.assert_close(a / light, (a / light)[:, :, :1, :1].expand_as(a))  # one dye a picture
    assert (a - other).abs().max() > 0.1
    maps = paper.COLOURS[parts].permute(0, 3, 1, 2)
    with seeded(0):
        assert torch.equal(nearest(maps + 0.1 * torch.randn(maps.shape).clamp(-1, 1), paper.COLOURS), parts)


def test_no_picture_is_judged_in_the_dye_of_one_that_was_learnt_from():
    pixels, seen = some(8, 1, 16, 16).numpy(), []
    paper.score(Known(lambda a: seen.append(a) or a, lambda b: b), Images(pixels, [0] * 8, ("all",)))
    dyes = [a / torch.tensor(pixels) for a in (seen[0], *(paper.dyed(pixels, seed)[0] for seed in range(20)))]
    judged, *learnt = (dye[:, :, 0, 0] for dye in dyes)  # (8, 3) each
    assert torch.cdist(judged, torch.cat(learnt)).min() > 1e-3


def test_shapes_that_do_not_fit_are_refused():
    for a, b in (((4, 1, 8, 8), (4, 1, 8, 6)), ((4, 3, 8, 8), (4, 1, 8, 8)), ((4, 1, 7, 7), (4, 1, 7, 7))):
        with pytest.raises(ValueError, match="expected"):
            HonestCycleGAN(1, 1).fit(some(*a), some(*b), steps=1)


def test_bytes_are_refused_before_anything_is_learned_and_arrays_answered_as_tensors():
    a, b, steps = some(20, 1, 8, 8), some(16, 1, 8, 8, seed=1), []
    for given in ((255 * a, b), (a, (255 * b).byte()), ((255 * a).numpy(), b), (a - 1, b)):
        with pytest.raises(ValueError, match=r"expected values in \[0, 1\], found .*divide bytes by 255"):
            HonestCycleGAN(1, 1, width=2).fit(*given, steps=2, on_step=steps.append)
    assert not steps
    known, same = fitted(), HonestCycleGAN(1, 1, width=2, batch_size=4).fit(a.numpy(), b.double(), steps=3)
    assert torch.equal(same.to_b(a.double()), known.to_b(a))
    assert torch.equal(same.to_a(b.numpy()), known.to_a(b))
    with pytest.raises(ValueError, match="finite floats"):
        known.to_b((255 * a).byte())
    with pytest.raises(ValueError, match="even H and W"):
        HonestCycleGAN(1, 1, width=2).fit(a[:0], b, steps=2)
