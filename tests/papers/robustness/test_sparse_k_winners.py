"""k-winners, duty cycles and sparse weights against what their definitions say."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bakeoff.data.kinds.images import Images
from bakeoff.papers.robustness import sparse_k_winners as paper
from bakeoff.papers.robustness.sparse_k_winners import KWinners, bright_noise, sparse_weights


def drawn(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_without_boosting_the_largest_k_pass_and_all_others_are_zero():
    x = drawn(50, 40).exp()
    found = KWinners(40, 12, boost=0.0)(x)
    assert (found != 0).sum(1).tolist() == [12] * 50
    for wide in (drawn(9, 20), drawn(9, 5, 2, 2)):  # as many winners as places are ReLU
        assert torch.equal(KWinners(wide.shape[1], 20)(wide), F.relu(wide))
    limit = x.sort(1, descending=True).values[:, 11:12]
    assert torch.equal(found, torch.where(x >= limit, x, 0.0))
    places = drawn(6, 4, 5, 5).exp()  # of a convolution, where all places of all channels compete
    assert torch.equal(KWinners(4, 30, boost=0.0)(places).flatten(1), KWinners(100, 30, boost=0.0)(places.flatten(1)))


def test_gradient_flows_to_winners_only():
    x = drawn(3, 10).requires_grad_()
    found = KWinners(10, 4)(x)
    (found * torch.arange(10.0)).sum().backward()
    assert torch.equal(x.grad, torch.where(found != 0, torch.arange(10.0).expand(3, 10), 0.0))
    assert (x.grad[:, 1:] != 0).any(0).any()


def test_the_boost_is_the_paper_s_and_only_chooses():
    layer = KWinners(4, 2, boost=3.0).train()
    layer.duty_cycle.copy_(torch.tensor([0.9, 0.5, 0.1, 0.5]))
    x = torch.tensor([[1.0, 0.9, 0.4, 0.2]])
    boosted = x * torch.exp(3.0 * (2 / 4 - layer.duty_cycle))  # 0.30, 0.90, 1.33, 0.20
    assert boosted.topk(2).indices.sort().values.tolist() == [[1, 2]]
    assert layer(x).tolist() == [[0, pytest.approx(0.9), pytest.approx(0.4), 0]]
    layer.boost.zero_()
    assert layer(x).tolist() == [[1.0, pytest.approx(0.9), 0, 0]]


def test_duty_cycles_are_the_mean_over_all_samples_then_over_a_thousand():
    layer, batches = KWinners(8, 3, boost=0.0), [drawn(100, 8).roll(shift, 1).exp() for shift in range(9)]
    won = [(layer(batch) > 0).float() for batch in batches]
    assert torch.allclose(layer.duty_cycle, torch.cat(won).mean(0), atol=1e-6)
    assert layer.duty_cycle.mean().item() == pytest.approx(3 / 8)
    before = layer.duty_cycle.clone()
    for number in range(20):
        layer(torch.tensor([[3.0, 2, 1, 0, 0, 0, 0, 0]]).expand(100, 8))
        wanted = min(1, (9 + number + 1) * 100 / 1000)
    assert wanted == 1
    assert torch.allclose(layer.duty_cycle[3:], before[3:] * 0.9 * 0.9 ** 19, atol=1e-6)  # the first of 20 brings 900 to 1,000 samples


def test_values_below_zero_may_win_but_count_for_nothing_and_a_convolution_remembers_the_mean_over_places():
    places = KWinners(2, 3, boost=0.0)
    places(torch.tensor([[[[4.0, 3.0], [2.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]]]))
    assert places.duty_cycle.tolist() == [0.75, 0]
    layer = KWinners(4, 3, boost=0.0)
    assert layer(torch.tensor([[1.0, -3.0, -1.0, -2.0]])).tolist() == [[1.0, 0.0, -1.0, -2.0]]
    assert layer.duty_cycle.tolist() == [1, 0, 0, 0]


def test_boosting_brings_units_that_never_win_to_the_rate_of_the_others():
    strengths = torch.tensor([2.0] * 5 + [1.0] * 15)
    rates = []
    for boost in (0.0, 10.0):
        layer, rng = KWinners(20, 5, boost=boost), torch.Generator().manual_seed(0)
        for _ in range(200):
            layer(strengths + 0.1 * torch.rand(20, 20, generator=rng))
        rates.append(layer.duty_cycle.min().item())
    assert rates[0] == 0
    assert 0.15 < rates[1] <= 5 / 20


def test_evaluation_has_more_winners_changes_no_duty_cycle_and_epochs_weaken_the_boost():
    layer = KWinners(20, 5)
    layer(drawn(4, 20).exp())
    before = deepcopy(layer.state_dict())
    assert (layer.eval()(drawn(4, 20).exp()) != 0).sum(1).tolist() == [7] * 4  # 5 x 1.5, rounded down
    assert all(torch.equal(layer.state_dict()[name], value) for name, value in before.items())
    layer.decay()
    layer.decay()
    assert layer.boost.item() == pytest.approx(1.5 * 0.85**2)


@pytest.mark.parametrize("layer", [nn.Linear(20, 7), nn.Conv2d(5, 7, 2)])
def test_each_unit_keeps_its_share_of_inputs_whatever_is_learnt(layer):
    before = layer.weight.detach().clone()
    sparse_weights(layer, 0.3, seed=1)
    mask = layer.weight != 0
    assert mask.flatten(1).sum(1).tolist() == [6] * 7
    assert torch.allclose(layer.weight[mask], before[mask] / 0.3**0.5)
    optimiser = torch.optim.AdamW(layer.parameters(), 0.1)
    for _ in range(3):
        optimiser.zero_grad()
        layer(drawn(4, *((20,) if before.ndim == 2 else (5, 4, 4)))).pow(2).sum().backward()
        optimiser.step()
    assert torch.equal(layer.weight != 0, mask)
    assert not torch.allclose(layer.weight[mask], before[mask] / 0.3**0.5, atol=0.05)


def test_noise_sets_exactly_its_share_of_the_pixels_and_leaves_the_rest():
    x = torch.rand(50, 1, 8, 8)
    for share in (0.0, 0.25, 1.0):
        noisy = bright_noise(x, share, 7.0)
        assert (noisy == 7).sum((1, 2, 3)).tolist() == [64 * share] * 50
        assert torch.equal(torch.where(noisy == 7, x, noisy), x)
    assert (bright_noise(x, 0.5, 7.0) == 7).float().mean(0).std() > 0  # another choice in each image
    assert torch.equal(bright_noise(x, 0.5, 7.0), bright_noise(x, 0.5, 7.0))


def test_the_score_is_the_mean_over_eleven_levels_of_noise():
    class Bright(nn.Module):
        """Says 1 where more than 32 % of the standardised pixels are 2."""

        def forward(self, x):
            score = ((x - 2).abs() < 1e-3).float().flatten(1).mean(1) - 0.32
            return torch.stack([-score, score], 1)

    test = Images(torch.zeros(10, 1, 10, 10).numpy(), [0] * 9 + [1], ("a", "b"))
    found = paper.score((Bright(), torch.tensor(0.2), torch.tensor(0.1), 10), test)
    assert found["mean accuracy in noise"] == pytest.approx((7 * 90 + 4 * 10) / 11)  # 0 to 30 %, then 35 to 50 %
    assert found["accuracy with 0 % of the pixels bright"] == 90
    assert found["accuracy with 50 % of the pixels bright"] == 10
    few = paper.score((Bright(), torch.tensor(0.2), torch.tensor(0.1), 9), test)  # without the one image of the other class
    assert few["accuracy with 0 % of the pixels bright"] == 100


def test_the_full_test_has_more_training_and_test_images():
    rows = {name: [] for name in ("quick", "full")}
    pixels = torch.zeros(20_000, 1, 6, 6)
    pixels[8000:], pixels[:, :, 0] = 1.0, 1.0  # a bright row, and all bright behind the first 8,000
    train = Images(pixels.numpy(), torch.zeros(20_000).long().numpy(), ("a", "b"))
    for name, found in rows.items():
        budget = SimpleNamespace(name=name, steps=1, spend=lambda loss: None)
        network = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
        _, mean, _, tested = paper.trained(train, budget, 0, network, weight_decay=0.0)
        found += [mean.item(), tested]
    assert rows == {"quick": [pytest.approx(1 / 6), 300], "full": [pytest.approx(0.4 / 6 + 0.6), 10_000]}


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match="of 1 or more"):
        KWinners(10, 0)
    with pytest.raises(ValueError, match="expected 10 units"):
        KWinners(10, 2)(torch.zeros(3, 11))
    with pytest.raises(ValueError, match="density in"):
        sparse_weights(nn.Linear(2, 2), 0.0)
    with pytest.raises(ValueError, match="no mask yet"):
        sparse_weights(sparse_weights(nn.Linear(4, 2), 0.5), 0.5)
    with pytest.raises(ValueError, match=r"share in \[0, 1\], not 1.5"):
        bright_noise(torch.zeros(1, 1, 2, 2), 1.5, 1.0)
    with pytest.raises(ValueError, match=r"finite floats, found torch.uint8 from 0 to 0"):
        bright_noise(torch.zeros(1, 1, 2, 2).byte(), 0.5, 0.7)
    for side in (1, 4, 5):
        with pytest.raises(ValueError, match="6 x 6 pixels or more"):
            paper.small_net((1, 28, side), 10, 0, sparse=True)
    x = drawn(3, 1, 6, 6)
    for sparse in (True, False):
        assert paper.small_net((1, 6, 6), 10, 0, sparse=sparse).eval()(x).isfinite().all()
    budget = SimpleNamespace(name="smoke", steps=2, spend=lambda loss: None)
    strange = SimpleNamespace(pixels=x.sigmoid().numpy(), labels=torch.tensor([0, 3, -1]).numpy())
    with pytest.raises(ValueError, match=r"3 class numbers from 0 to 2, one for each input; found .* from -1 to 3"):
        paper.trained(strange, budget, 0, paper.small_net((1, 6, 6), 3, 0, sparse=True), weight_decay=0.0)
