"""BEAR: its target, its whole update and its multiplier on known numbers, value iteration as a limit, and the support that it keeps to."""

import copy
import math

import numpy as np
import pytest
import torch

from bakeoff.baselines.td3 import TD3
from bakeoff.claim import Budget
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.papers.offline_rl import bear as paper
from bakeoff.papers.offline_rl.bear import BEAR
from bakeoff.parts.replay import Replay

SMALL = {"hidden": (32, 32), "model_hidden": (32, 32), "learning_rate": 3e-3, "actor_rate": 3e-3, "warm_up": 100}
NOW = np.ones((1, 1))


def bandit(count=500, width=0.5) -> Transitions:
    """One step that pays the action itself, tried only between -0.5 and 0.5."""
    action = np.random.default_rng(0).uniform(-width, width, (count, 1))
    start, every = np.ones((count, 1)), np.ones(count)
    return Transitions(start, action, action[:, 0], start, every, every, [-1.0], [1.0])


def minibatch(rows=16):
    observation = torch.linspace(-1, 1, rows)[:, None]
    return observation, (3 * observation).sin(), observation[:, 0], observation.flip(0), (torch.arange(rows) % 3 > 0).float()


def built(**settings) -> BEAR:
    policy = BEAR(**{"hidden": (8, 8), "model_hidden": (8, 8), "seed": 3} | settings)
    policy._build(Replay(bandit(64)))
    return policy


@pytest.mark.parametrize(("mixing", "known"), [(1.0, "smallest"), (0.0, "greatest")])
def test_the_target_takes_the_best_draw_by_the_smallest_or_the_greatest_critic(mixing, known):
    policy = built(mixing=mixing, critics=3)
    _, _, reward, following, alive = minibatch()
    again = torch.Generator().manual_seed(3)
    target = policy._target(reward, following, alive)
    actions = policy._slow_actor.sample(following, again, 10)[0]
    values = policy._slow_critics(following[:, None].expand(-1, 10, -1), actions).detach()  # (K, B, p)
    best = (values.amin(0) if known == "smallest" else values.amax(0)).amax(1)
    torch.testing.assert_close(target, reward + 0.99 * alive * best)
    assert (target[alive == 0] == reward[alive == 0]).all()


@pytest.mark.parametrize("warming", [False, True])
def test_an_update_is_the_plain_formula_one_network_after_the_other(warming):
    policy = built(samples=3)
    before = copy.deepcopy(policy.__dict__)
    observation, action, reward, following, alive = minibatch()
    policy._update(observation, action, reward, following, alive, warming)

    model, critics, actor, rng = before["_model"], before["_critics"], before["_actor"], torch.Generator().manual_seed(3)
    with torch.no_grad():
        drawn = before["_slow_actor"].sample(following, rng, 10)[0]
        values = torch.stack([before["_slow_critics"](following, drawn[:, i]) for i in range(10)], -1)  # (K, B, p)
        target = reward + 0.99 * alive * (0.75 * values.amin(0) + 0.25 * values.amax(0)).amax(-1)
    plain_step(model, model.loss(observation, action, rng), 1e-3)
    plain_step(critics, sum((value - target).square().mean() for value in critics(observation, action)), 1e-3)
    mean, log_deviation = actor.gaussian(observation)
    raw = mean[:, None] + log_deviation.exp()[:, None] * torch.randn(16, 3, 1, generator=rng)
    with torch.no_grad():
        latent = torch.randn(16, 3, 2, generator=rng).clamp(-0.5, 0.5)
        behaviour = model.decode_raw(observation[:, None].expand(-1, 3, -1), latent)

    def k(one, other):
        return (-(one[:, :, None] - other[:, None]).abs().sum(-1) / 40).exp().mean((1, 2))

    apart = (k(raw, raw) - 2 * k(raw, behaviour) + k(behaviour, behaviour) + 1e-6).sqrt().mean()
    value = torch.stack([critics(observation, raw[:, i].tanh()).amin(0) for i in range(3)]).mean()
    plain_step(actor, apart - (0 if warming else value), 1e-4)  # alpha starts at 1
    for name, known in (("_model", model), ("_critics", critics), ("_actor", actor)):
        for one, other in zip(getattr(policy, name).parameters(), known.parameters(), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert policy._log_alpha.item() == pytest.approx(math.copysign(1e-3, apart.item() - 0.05), rel=1e-3)
    for one, old, new in zip(policy._slow_actor.parameters(), before["_slow_actor"].parameters(), actor.parameters(), strict=True):
        torch.testing.assert_close(one, 0.995 * old + 0.005 * new, atol=1e-6, rtol=1e-4)


def plain_step(network, loss, rate):
    """Adam's first step: rate g / (|g| + 1e-8)."""
    slopes = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
    for one, slope in zip(network.parameters(), slopes, strict=True):
        one.data -= rate * slope / (slope.abs() + 1e-8)


def test_with_every_policy_allowed_the_backup_is_that_of_value_iteration():
    """Two states; action a < 0 stays, a > 0 changes; being in the second pays 1."""
    policy = built(target_samples=64, discount=0.9)
    value = torch.zeros(2, 2)  # of state and action
    for _ in range(200):
        policy._slow_critics = lambda s, a, now=value: now[s[..., 0].long(), (a[..., 0] > 0).long()].expand(2, *s.shape[:-1])
        following = torch.tensor([[0.0], [1.0], [1.0], [0.0]])  # from (0, stay), (0, change), (1, stay), (1, change)
        value = policy._target(torch.tensor([0.0, 0.0, 1.0, 1.0]), following, torch.ones(4)).view(2, 2)
    # v1 = 1 / (1 - 0.9) by staying, v0 = 0.9 v1 by changing
    torch.testing.assert_close(value, torch.tensor([[0.9 * 9, 9.0], [10.0, 1 + 0.9 * 9]]), atol=1e-3, rtol=0)


def test_the_multiplier_falls_while_the_constraint_holds_and_rises_while_it_does_not():
    moved = []
    for epsilon in (10.0, 0.0):
        policy = BEAR(**SMALL, epsilon=epsilon).fit(bandit(), steps=30)
        moved.append(policy._log_alpha.item())
    assert moved[0] == pytest.approx(-0.09, abs=0.01)  # about 30 steps of 0.003
    assert moved[1] == pytest.approx(0.09, abs=0.01)


def test_it_prefers_the_best_actions_of_the_batch_and_td3_leaves_the_batch():
    policy = BEAR(**SMALL, epsilon=0.1, seed=1).fit(bandit(), steps=500)
    free = TD3(hidden=(32, 32), learning_rate=3e-3, seed=1).fit(bandit(), steps=250)
    assert 0.2 < policy.act(NOW).item() < 0.75
    assert free.act(NOW).item() > 0.9
    assert policy.value(NOW, np.array([[0.3]])).item() == pytest.approx(0.3, abs=0.05)


def test_the_actor_warms_up_to_the_behaviour_alone():
    batch = bandit(width=0.05)
    batch = Transitions(batch.observation, batch.action - 0.5, batch.reward, batch.next_observation, batch.terminated, batch.ended,
                        [-1.0], [1.0])
    for divergence in ("mmd", "kl"):
        policy = BEAR(**SMALL | {"warm_up": 300}, divergence=divergence, sigma=1.0).fit(batch, steps=300)
        assert policy.act(NOW).item() == pytest.approx(-0.5, abs=0.12)


def test_kl_is_that_of_the_two_gaussians_and_none_between_a_policy_and_itself():
    policy = built(divergence="kl", samples=4000)
    x = torch.tensor([[0.5], [-1.0]])
    raw = policy._actor.sample_raw(x, policy._rng, 4000)[0]
    pair = [torch.distributions.Normal(mean, log_deviation.exp()) for mean, log_deviation in
            (policy._actor.gaussian(x), policy._model.gaussian(x))]
    known = torch.distributions.kl_divergence(*pair).sum(-1).mean().item()
    assert policy._apart(x, raw).item() == pytest.approx(known, rel=0.1)
    policy._model = policy._actor
    assert abs(policy._apart(x, raw).item()) < 1e-3


def test_an_unknown_divergence_is_told():
    with pytest.raises(ValueError, match="chi2"):
        BEAR(divergence="chi2").fit(bandit(), steps=1)


def test_both_arms_start_with_the_same_critics_and_first_meet_the_same_minibatch():
    pair = []
    for arm in (paper.treatment, paper.control):
        budget = Budget("smoke", 1)
        learned, _ = arm(bandit(), budget, seed=5)
        pair.append(list(learned._critics.parameters()))
        assert budget.spent == 1
    for one, other in zip(*pair, strict=True):  # every step of the bandit ends it: the targets are the rewards, for both
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
