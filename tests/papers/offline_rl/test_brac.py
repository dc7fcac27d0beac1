"""BRAC: its settings against the formulas of the methods they stand for, its switches, and how near it stays to the batch."""

import copy

import numpy as np
import pytest
import torch

from bakeoff.claim import Budget
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.errors import NotFitted
from bakeoff.papers.offline_rl import brac as paper
from bakeoff.papers.offline_rl.bcq import BCQ
from bakeoff.papers.offline_rl.bear import BEAR
from bakeoff.papers.offline_rl.brac import BRAC
from bakeoff.parts.discrepancy import mmd
from bakeoff.parts.draws import repeated, rng_at
from bakeoff.parts.replay import Replay

SMALL = {"hidden": (16, 16), "actor_hidden": (16,), "batch_size": 32, "behaviour_steps": 40, "warm_start": 0}
BEARS = {"penalty": "policy", "divergence": "mmd", "alpha": "adaptive", "mixing": 0.75, "target_samples": 10}


def batch(count=400, dim=3) -> Transitions:
    """Noisy actions around half the first observation; the reward is the first action; one step in four ends the task."""
    rng = np.random.default_rng(0)
    x, following = rng.normal(size=(2, count, dim))
    action = np.clip(np.stack([x[:, 0] / 2, -x[:, 1] / 2], 1) + 0.2 * rng.normal(size=(count, 2)), -1, 1)
    ends = np.arange(count) % 4 == 3
    return Transitions(x, action, action[:, 0], following, ends, ends, [-1, -1], [1, 1])


def bandit(count=500) -> Transitions:
    """One step that pays the action itself, tried between -0.5 and 0.5 around 0."""
    action = np.random.default_rng(0).normal(0, 0.15, (count, 1)).clip(-0.5, 0.5)
    start, every = np.ones((count, 1)), np.ones(count)
    return Transitions(start, action, action[:, 0], start, every, every, [-1.0], [1.0])


def ready(steps=20, **setting) -> tuple[BRAC, tuple]:
    """A fitted policy and a minibatch it may not have met."""
    policy = BRAC(**(SMALL | setting)).fit(batch(), steps=steps)
    return policy, next(iter(Replay(batch()).minibatches(8, 1, seed=99)))


def again(policy) -> torch.Generator:
    """Start the policy's draws anew, and give a generator that will draw the same."""
    policy._rng = torch.Generator().manual_seed(7)
    return torch.Generator().manual_seed(7)


def test_at_bears_setting_target_and_actors_loss_are_bears():
    policy, (observation, _, reward, following, alive) = ready(**BEARS, threshold=0.02, slow_actor=True)
    bear = BEAR()
    bear._slow_actor, bear._slow_critics, bear._rng = policy._slow_actor, policy._slow_critics, again(policy)
    torch.testing.assert_close(policy._target(reward, following, alive), bear._target(reward, following, alive))

    rng = again(policy)
    action = policy._actor.sample(observation, rng, count=4)[0]
    behaviour, other = policy._behaviour.sample(observation, rng, count=8)[0].split(4, 1)
    distance = (mmd(action, behaviour, policy.bandwidth) - mmd(other, behaviour, policy.bandwidth).detach()).mean()
    held = policy._log_alpha.exp() * (distance - 0.02)  # the Lagrangian: the actor descends it, log alpha climbs it
    expected = held - policy._critics(observation, action[:, 0]).amin(0).mean()
    moving = list(policy._actor.parameters())
    found = torch.autograd.grad(policy._actor_loss(observation, climbing=True), [*moving, policy._log_alpha])
    wanted = torch.autograd.grad(expected, moving)
    for one, other in zip(found, wanted, strict=False):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(found[-1], -policy._log_alpha.exp() * (distance - 0.02))


def test_the_behaviour_meets_the_constraint_on_the_mmd_and_a_price_stays_in_bounds_where_nothing_does():
    policy, _ = ready(steps=0, **BEARS, bandwidth=1.0)  # the actor is the behaviour
    observation = torch.zeros(4000, 3)
    chance = mmd(*policy._behaviour.sample(observation, again(policy), count=8)[0].split(4, 1), policy.bandwidth)
    assert policy.distance(observation).mean().item() == pytest.approx(0, abs=0.05 * chance.mean().item())
    with torch.no_grad():
        policy._actor.network[-1].bias[:2] += 2
    assert policy.distance(observation).mean() > 0.5 * chance.mean()
    for threshold, bound in ((1.0, -5.0), (-1.0, 10.0)):
        assert ready(steps=24, **BEARS, threshold=threshold, alpha_rate=1.0)[0]._log_alpha.item() == bound


def test_at_kl_controls_setting_the_target_pays_for_every_log_ratio_of_densities_and_charges_their_mean():
    policy, (observation, _, reward, following, alive) = ready(penalty="value", divergence="kl", alpha=0.3, divergence_samples=1)
    rng = again(policy)
    action, ours = policy._actor.sample(following, rng, count=1)
    paid = 0.3 * (ours - policy._behaviour.log_density(following[:, None], action))  # (B, 1)
    value = policy._slow_critics(following[:, None], action).amin(0) - paid
    expected = reward + 0.99 * alive * value[:, 0]
    torch.testing.assert_close(policy._target(reward, following, alive), expected.detach(), atol=1e-4, rtol=1e-4)

    rng = again(policy)
    action, ours = policy._actor.sample(observation, rng, count=1)
    paid = 0.3 * (ours - policy._behaviour.log_density(observation[:, None], action))
    expected = (paid - policy._critics(observation[:, None], action).amin(0)).mean()
    torch.testing.assert_close(policy._actor_loss(observation, climbing=True), expected, atol=1e-4, rtol=1e-4)

    policy, _ = ready(steps=0, alpha=0.5)
    with torch.no_grad():
        policy._actor.network[-1].bias += torch.tensor([0.3, -0.2, -0.4, 0.2])  # means moved, deviations narrowed and widened
        (mean, log_deviation), (center, log_width) = (one.gaussian(torch.ones(1, 3)) for one in (policy._actor, policy._behaviour))
    ours, theirs = (torch.distributions.Normal(m, s.exp()) for m, s in ((mean, log_deviation), (center, log_width)))
    known = 0.5 * torch.distributions.kl_divergence(ours, theirs).sum()
    charged = policy.charges(np.ones((20_000, 3)))
    assert charged.mean().item() == pytest.approx(known.item(), abs=4 * charged.std().item() / 20_000 ** 0.5)
    assert 4 * charged.std().item() / 20_000 ** 0.5 < 0.1 * known
    policy.penalty = "policy"
    assert policy.charges(np.ones((2, 3))).tolist() == [0, 0]


def test_at_bcqs_setting_the_target_is_bcqs_no_action_is_further_than_phi_from_the_models_and_it_takes_the_best():
    policy, (observation, _, reward, following, alive) = ready(actor="perturbed", alpha=0, mixing=0.75, target_samples=10, slow_actor=True)
    rng = again(policy)
    many, bcq = repeated(following, 10), BCQ()
    bcq._slow_critics, bcq._slow_shift = policy._slow_critics, torch.nn.Sequential(policy._slow_actor, torch.nn.Tanh())
    drawn = policy._behaviour.sample(many, rng)
    torch.testing.assert_close(policy._target(reward, following, alive), bcq._target(reward, following, alive, drawn))
    moved = policy._draws(policy._slow_actor, following, 10, again(policy))[0]
    torch.testing.assert_close(moved, bcq._moved(bcq._slow_shift, many, drawn))
    assert 0 < (moved - drawn).abs().max() <= 0.05 + 1e-6

    action = policy.act(observation)
    assert torch.equal(action, policy.act(observation.numpy()))
    drawn = policy._draws(policy._actor, observation, 10, rng_at(observation, policy.seed))[0]
    values = torch.stack([policy.value(observation, drawn[:, one]) for one in range(10)])
    torch.testing.assert_close(policy.value(observation, action), values.amax(0).detach())


@pytest.mark.parametrize("penalty", ["value", "policy"])
def test_without_a_penalty_it_is_plain_actor_critic_update_for_update(penalty):
    setting = SMALL | {"behaviour_steps": 0, "critics": 4}
    policy = BRAC(**setting, penalty=penalty, alpha=0.0, learning_rate=1e-3, actor_rate=1e-3).fit(batch(), steps=6)
    start = BRAC(**setting, alpha=0.0).fit(batch(), steps=0)
    critics, actor, rng = start._critics, start._actor, torch.Generator().manual_seed(0)
    slow = copy.deepcopy(critics)
    optimizer = torch.optim.Adam([*critics.parameters(), *actor.parameters()], 1e-3)
    for observation, action, reward, following, alive in Replay(batch()).minibatches(32, 6, seed=0):
        with torch.no_grad():
            target = reward + 0.99 * alive * slow(following, actor.sample(following, rng)[0]).amin(0)
        own = [*critics.parameters()]
        by_critics = torch.autograd.grad((critics(observation, action) - target).square().mean(1).sum(), own)
        by_actor = torch.autograd.grad(-critics(observation, actor.sample(observation, rng)[0]).amin(0).mean(), [*actor.parameters()])
        for one, slope in zip([*own, *actor.parameters()], [*by_critics, *by_actor], strict=True):
            one.grad = slope
        optimizer.step()
        with torch.no_grad():
            for behind, ahead in zip(slow.parameters(), own, strict=True):
                behind.copy_(0.995 * behind + 0.005 * ahead)
    for found, known in ((policy._critics, critics), (policy._actor, actor), (policy._slow_critics, slow)):
        for one, other in zip(found.parameters(), known.parameters(), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("divergence", ["kl", "mmd", "kl_dual", "wasserstein"])
def test_the_price_of_the_divergence_is_all_that_the_two_penalties_targets_differ_by(divergence):
    policy, (_, _, reward, following, alive) = ready(penalty="value", divergence=divergence, alpha=0.3)
    rng = again(policy)
    charged = policy._target(reward, following, alive)
    drawn = policy._draws(policy._actor, following, 4, rng)
    free = reward + 0.99 * alive * policy._slow_critics(following, drawn[0][:, 0]).amin(0)
    distance = policy._distance(following, *drawn, rng)
    assert distance.abs().min() > 0
    torch.testing.assert_close(charged, (free - 0.3 * 0.99 * alive * distance).detach())

    policy.penalty, policy.divergence_samples = "policy", 1  # draws as many actions now as for the target alone
    targets = []
    for policy.alpha in (0.3, 1e6):
        again(policy)
        targets.append(policy._target(reward, following, alive))
    assert torch.equal(*targets)


def test_targets_lean_from_the_greatest_to_the_smallest_of_four_critics_as_lambda_goes_to_one():
    targets = {}
    for mixing in (0.0, 0.75, 1.0):
        policy, (_, _, reward, following, alive) = ready(steps=5, critics=4, alpha=0, mixing=mixing)
        policy.fit(batch(), steps=0)  # the same start, whatever lambda is
        rng = again(policy)
        values = policy._slow_critics(following, policy._actor.sample(following, rng)[0])  # (4, B)
        targets[mixing] = policy._target(reward, following, alive)
    torch.testing.assert_close(targets[0.0], (reward + 0.99 * alive * values.amax(0)).detach())
    torch.testing.assert_close(targets[1.0], (reward + 0.99 * alive * values.amin(0)).detach())
    torch.testing.assert_close(targets[0.75], 0.75 * targets[1.0] + 0.25 * targets[0.0])


def test_the_behaviour_is_the_likeliest_gaussian_acts_while_it_is_fitted_and_is_where_the_actor_starts():
    policy = BRAC(actor_hidden=(16,), hidden=(8,), behaviour_rate=1e-2, behaviour_steps=400, batch_size=200).fit(bandit(), steps=0)
    raw = torch.atanh(torch.tensor(bandit().action))
    mean, log_deviation = policy._behaviour.gaussian(torch.ones(1, 1))
    assert mean.item() == pytest.approx(raw.mean().item(), abs=0.02)
    assert log_deviation.exp().item() == pytest.approx(raw.std().item(), rel=0.08)
    assert policy.distance(np.ones((3, 1))).tolist() == [0, 0, 0]
    torch.testing.assert_close(policy.act(np.ones((1, 1))), mean.tanh())

    policy, seen = BRAC(**SMALL), []

    def watch(_):
        seen.append((policy.act(np.ones((2, 3))), policy._behaviour.mean(torch.ones(2, 3)).detach()))

    for _ in range(2):
        policy.fit(batch(), steps=1, on_step=watch)
    acted, behaviour = (torch.stack(one) for one in zip(*seen, strict=True))
    assert torch.equal(acted[:40], behaviour[:40])
    assert torch.equal(acted[:41], acted[41:])


def test_in_the_warm_start_the_actor_sees_the_divergence_alone():
    policy = BRAC(**(SMALL | {"warm_start": 15})).fit(batch(), steps=15)
    for one, other in zip(policy._actor.parameters(), policy._behaviour.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=5e-3, rtol=0)  # it started as the behaviour, where the divergence is least
    policy._log_alpha.grad = None
    observation = torch.ones(8, 3)
    again(policy)
    divergence = policy._actor_loss(observation, climbing=False)
    again(policy)
    climbing = policy._actor_loss(observation, climbing=True)
    action = policy._actor.sample(observation, again(policy), count=4)[0][:, 0]
    torch.testing.assert_close(divergence - climbing, policy._critics(observation, action).amin(0).mean(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("divergence", ["kl", "mmd", "kl_dual", "wasserstein"])
def test_a_dearer_divergence_keeps_the_policy_nearer_to_the_behaviour(divergence):
    setting = {"hidden": (32, 32), "actor_hidden": (32,), "behaviour_steps": 150, "behaviour_rate": 3e-3, "learning_rate": 3e-3,
               "actor_rate": 3e-3, "batch_size": 64, "warm_start": 0, "bandwidth": 0.1, "divergence": divergence, "witness_steps": 2}
    cheap, dear = (BRAC(**setting, alpha=alpha).fit(bandit(), steps=120) for alpha in (0.001, 10.0))
    means = [policy._actor.mean(torch.ones(1, 1)).item() for policy in (cheap, dear)]
    assert means[0] > 0.6
    assert abs(means[1]) < 0.4  # a witness and an actor that chase each other sway; the batch's actions lie within 0.5


def test_a_perturbed_actor_has_no_primal_kl_and_unknown_choices_are_told():
    with pytest.raises(NotFitted):
        BRAC().charges(np.ones((2, 3)))
    for wrong, told in (({"actor": "perturbed"}, "no density"), ({"penalty": "both"}, "value, policy"), ({"divergence": "js"}, "kl, mmd"),
                        ({"actor": "mixture"}, "gaussian, perturbed")):
        with pytest.raises(ValueError, match=told):
            BRAC(**SMALL, **wrong).fit(batch(), steps=1)


def test_both_arms_spend_the_same_and_start_with_the_same_behaviour_and_critics():
    pair = []
    for arm in (paper.treatment, paper.control):
        budget = Budget("smoke", 8)
        learned, _ = arm(batch(), budget, seed=5)
        assert budget.spent == 8
        pair.append(learned.fit(batch(), steps=0))
    for name in ("_behaviour", "_critics"):
        for one, other in zip(*(getattr(learned, name).parameters() for learned in pair), strict=True):
            assert torch.equal(one, other)
