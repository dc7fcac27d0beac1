"""Lottery ticket: exact counts, masks equal to those of torch.nn.utils.prune, rewinding to the bit, pruned weights at 0 for good."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from bakeoff.errors import NotFitted
from bakeoff.papers.sparsity.lottery_ticket import LotteryTicket, lenet_300_100, prune_by_magnitude
from bakeoff.parts.seeding import seeded
from bakeoff.parts.supervised import train

X = torch.randn(300, 1, 4, 5, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0, 0, 0] > X[:, 0, 3, 4]).long() + (X[:, 0, 2, 2] > 1).long()  # 3 classes


def fitted(steps=120, **options) -> LotteryTicket:
    return LotteryTicket(**{"rounds": 3, **options}).fit(X, Y, steps=steps)


def own():
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3))


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_round_takes_the_smallest_of_what_remains_and_the_earlier_of_equals():
    w = torch.tensor([[0.5, -0.1, 0.0], [-0.5, 0.5, 0.2]])
    first = prune_by_magnitude(w, 0.5)
    assert first.tolist() == [[True, False, False], [True, True, False]]
    assert prune_by_magnitude(w, 0.5, first).tolist() == [[False, False, False], [False, True, False]]  # 1.5 rounds to 2
    assert torch.equal(prune_by_magnitude(w, 0.0, first), first)
    assert prune_by_magnitude(w, 0.9, first).sum() == 0  # 2.7 rounds to 3


def test_masks_are_those_of_torch_pruning_round_after_round():
    rng = torch.Generator().manual_seed(0)
    layer, mask = nn.Linear(37, 11, bias=False), None
    for _ in range(6):
        weight = torch.randn(11, 37, generator=rng)
        mask = prune_by_magnitude(weight, 0.2, mask)
        prune.l1_unstructured(layer, "weight", amount=0.2, importance_scores=weight)
        assert torch.equal(mask, layer.weight_mask.bool())


def test_what_remains_is_the_power_of_the_rate_and_half_the_rate_in_the_output():
    masks = fitted(rounds=7).masks_
    assert list(masks) == ["1.weight", "3.weight", "5.weight"]
    for (name, mask), kept in zip(masks.items(), (0.8, 0.8, 0.9), strict=True):
        assert int(mask.sum()) == pytest.approx(mask.numel() * kept ** 7, abs=0.5 / (1 - kept)), name
    hidden, output = 784 * 300 + 300 * 100, 100 * 10
    assert round(100 * (hidden * 0.8 ** 7 + output * 0.9 ** 7) / (hidden + output), 1) == 21.1  # the level that the paper names


def test_the_winning_ticket_starts_from_the_original_weights_and_its_pruned_ones_stay_at_zero():
    found = fitted()
    with seeded(0):
        origin = lenet_300_100(20, 3).state_dict()
    assert same(found.origin_, origin)
    assert same(found.start_, {name: value * found.masks_.get(name, 1) for name, value in origin.items()})
    trained = found.ticket_.state_dict()
    for name, mask in found.masks_.items():
        assert not trained[name][~mask].any()
        assert (trained[name][mask] != origin[name][mask]).double().mean() > 0.9
    assert trained["1.bias"].all()  # biases are never pruned


def test_a_redrawn_ticket_has_the_same_mask_and_a_fresh_start_of_the_same_law():
    winner, redrawn = fitted(), fitted(start="redrawn")
    assert same(winner.masks_, redrawn.masks_)
    assert same(winner.dense_.state_dict(), redrawn.dense_.state_dict())
    mask = winner.masks_["3.weight"]  # 100 x 300
    old, new = winner.start_["3.weight"][mask], redrawn.start_["3.weight"][mask]
    deviation = math.sqrt(2 / 400)  # Glorot's
    assert new.std().item() == pytest.approx(deviation, rel=4 / math.sqrt(2 * len(new)))
    assert abs(torch.corrcoef(torch.stack([old, new]))[0, 1]) < 4 / math.sqrt(len(new))
    assert not redrawn.start_["3.weight"][~mask].any()


def test_nothing_pruned_is_plain_training():
    found = fitted(rounds=1, rate=0.0, output_rate=0.0, seed=5, steps=60)
    with seeded(5):
        plain, again = lenet_300_100(20, 3), lenet_300_100(20, 3)
    again.load_state_dict(plain.state_dict())
    for network, seed, found_network in ((plain, 5, found.dense_), (again, 6, found.ticket_)):
        train(network, X, Y, steps=30, learning_rate=1.2e-3, batch_size=60, seed=seed)
        assert same(network.state_dict(), found_network.state_dict())
    assert found.remaining_ == [1.0, 1.0]


def test_fitting_again_changes_nothing_and_validating_does_not_either():
    losses = []
    found = LotteryTicket(own, rounds=3, seed=4).fit(X, Y, steps=500, validation=(X, Y), on_step=losses.append)
    before, at = found.ticket_.state_dict(), found.validation_
    assert [step for step, _ in at] == [100, 125]
    assert at[-1][1] == pytest.approx(nn.functional.cross_entropy(found.ticket_(X), Y).item(), abs=1e-6)
    assert len(losses) == 500
    assert same(before, found.fit(X.numpy(), Y.numpy(), steps=500).ticket_.state_dict())
    assert not same(before, fitted(network=own, steps=500, seed=3).ticket_.state_dict())


def test_it_prunes_a_network_of_ones_own_and_leaves_normalisation_alone():
    found = fitted(network=own, rounds=2, steps=300, learning_rate=1e-2)
    assert {name: int(mask.sum()) for name, mask in found.masks_.items()} == {"0.weight": 46, "4.weight": 117}  # of 72 and 144
    assert found.start_["1.running_mean"].tolist() == [0.0] * 8
    assert (found.predict(X) == Y).double().mean() > 0.8


def test_wrong_use_is_named():
    with pytest.raises(NotFitted):
        LotteryTicket().predict(X)
    for wrong in ({"rate": 1.0}, {"output_rate": -0.1}, {"rounds": 0}, {"rounds": 200}, {"start": "random"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            fitted(**wrong)
