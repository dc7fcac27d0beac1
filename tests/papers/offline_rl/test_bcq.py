"""BCQ: its target and whole update on known numbers, and its limits (cloning, the support of the batch)."""

import copy
import math

import numpy as np
import pytest
import torch

from bakeoff.baselines.td3 import TD3
from bakeoff.claim import Budget
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.papers.offline_rl import bcq as paper
from bakeoff.papers.offline_rl.bcq import BCQ, soft_clipped
from bakeoff.parts.replay import Replay

SMALL = {"hidden": (32, 32), "model_hidden": (32, 32), "learning_rate": 3e-3}
NOW = np.ones((1, 1))


def bandit(count=500) -> Transitions:
    """One step that pays the action itself, tried only between -0.5 and 0.5."""
    action = np.random.default_rng(0).uniform(-0.5, 0.5, (count, 1))
    start, every = np.ones((count, 1)), np.ones(count)
    return Transitions(start, action, action[:, 0], start, every, every, [-1.0], [1.0])


@pytest.fixture(scope="module")
def policy():
    return BCQ(**SMALL, seed=1).fit(bandit(), steps=250)


def test_the_target_leans_to_the_smaller_critic_and_takes_the_best_action():
    values = torch.tensor([[[1.0, 4.0, 2.0], [0.0, -1.0, -2.0]], [[3.0, 0.0, 2.0], [0.0, -1.0, -6.0]]])  # (2, B, n)
    assert soft_clipped(values).tolist() == [2.0, 0.0]  # max(0.75 + 0.75, 0 + 1, 2) and max(0, -1, -5)
    assert soft_clipped(values, 1.0).tolist() == [2.0, 0.0]  # clipped double Q: max(1, 0, 2)
    assert soft_clipped(values, 0.0).tolist() == [4.0, 0.0]


def test_a_step_that_ends_the_task_is_worth_its_reward_alone(policy):
    target = policy._target(torch.tensor([5.0, 5.0]), torch.ones(2, 1), torch.tensor([0.0, 1.0]), torch.zeros(2, 3, 1))
    assert target[0] == 5
    assert target[1] != 5


def test_an_update_is_the_plain_formula_one_network_after_the_other():
    batch = bandit(64)
    policy = BCQ(hidden=(8, 8), model_hidden=(8, 8), samples=4, batch_size=16, seed=3)
    policy._build(Replay(batch))
    before = copy.deepcopy(policy.__dict__)
    observation, action, reward, following, alive = next(Replay(batch).minibatches(16, 1, 0))
    alive = (torch.arange(16) % 3 > 0).float()
    following = torch.linspace(-1, 1, 16)[:, None]
    policy._update(observation, action, reward, following, alive)

    model, critics, shift = before["_model"], before["_critics"], before["_shift"]
    rng = torch.Generator().manual_seed(3)
    plain_step(model, model.loss(observation, action, rng))
    noise = torch.randn(16, 5, 2, generator=rng).clamp(-0.5, 0.5)
    with torch.no_grad():
        target = torch.empty(16)
        for row in range(16):
            best = -math.inf
            for latent in noise[row, :4]:
                drawn = model.decode(following[row], latent)
                moved = (drawn + 0.05 * before["_slow_shift"](torch.cat([following[row], drawn]))).clamp(-1, 1)
                values = before["_slow_critics"](following[row], moved)
                best = max(best, 0.75 * values.min().item() + 0.25 * values.max().item())
            target[row] = reward[row] + 0.99 * alive[row] * best
        own = model.decode(observation, noise[:, 4])
    plain_step(critics, sum((value - target).square().mean() for value in critics(observation, action)))
    moved = (own + 0.05 * shift(torch.cat([observation, own], 1))).clamp(-1, 1)
    plain_step(shift, -critics(observation, moved)[0].mean())
    for name, known in (("_model", model), ("_critics", critics), ("_shift", shift)):
        for one, other in zip(getattr(policy, name).parameters(), known.parameters(), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    for slow, start in (("_slow_critics", critics), ("_slow_shift", shift)):
        for one, old, new in zip(getattr(policy, slow).parameters(), before[slow].parameters(), start.parameters(), strict=True):
            torch.testing.assert_close(one, 0.995 * old + 0.005 * new, atol=1e-6, rtol=1e-4)


def plain_step(network, loss):
    """The first step of Adam at a rate of 0.001: 0.001 g / (|g| + 1e-8)."""
    for one, slope in zip(network.parameters(), torch.autograd.grad(loss, list(network.parameters())), strict=True):
        one.data -= 1e-3 * slope / (slope.abs() + 1e-8)


def test_with_one_sample_and_no_perturbation_it_acts_as_the_model_of_the_batch_does():
    observations = np.linspace(-1, 1, 9)[:, None]
    clone = BCQ(**SMALL, samples=1, perturbation=0.0).fit(bandit(), steps=20)
    torch.testing.assert_close(clone.act(observations), clone.propose(observations, 1)[:, 0])


def test_the_perturbation_moves_an_action_by_at_most_phi_and_not_out_of_its_bounds():
    policy = BCQ(**SMALL, samples=1, perturbation=0.2).fit(bandit(), steps=20)
    with torch.no_grad():
        policy._shift[0][-1].bias += 50  # as far up as it can
    far = policy._moved(policy._shift, torch.ones(3, 1), torch.tensor([[0.1], [-1.0], [0.95]]))
    torch.testing.assert_close(far, torch.tensor([[0.3], [-0.8], [1.0]]))
    torch.testing.assert_close(policy.act(NOW), policy.propose(NOW, 1)[0] + 0.2)


def test_it_takes_the_best_of_its_proposals_and_moves_it_by_no_more_than_phi(policy):
    proposed = policy.propose(NOW, policy.samples)[0]  # (n, 1)
    action = policy.act(NOW)
    assert abs((action - proposed).abs().min().item()) <= policy.perturbation + 1e-6
    assert action.item() >= proposed.max().item()  # more is better here, and the critic knows


def test_it_stays_with_what_the_batch_has_tried_where_td3_does_not(policy):
    free = TD3(hidden=(32, 32), learning_rate=3e-3, seed=1).fit(bandit(), steps=250)
    assert 0 < policy.act(NOW).item() <= 0.5 + policy.perturbation
    assert free.act(NOW).item() > 0.9
    assert policy.value(NOW, np.array([[0.3]])).item() == pytest.approx(0.3, abs=0.05)


def test_the_model_of_the_batch_follows_its_two_modes():
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], (500, 1))
    action = 0.6 * x + 0.02 * rng.standard_normal((500, 1))
    every = np.ones(500)
    policy = BCQ(**SMALL).fit(Transitions(x, action, every, x, every, every, [-1.0], [1.0]), steps=250)
    torch.testing.assert_close(policy.propose([[-1.0], [1.0]], 20).mean(1), torch.tensor([[-0.6], [0.6]]), atol=0.08, rtol=0)


def test_both_arms_start_with_the_same_critics_and_first_meet_the_same_minibatch():
    pair = []
    for arm in (paper.treatment, paper.control):
        budget = Budget("smoke", 1)
        learned, _ = arm(bandit(), budget, seed=5)
        pair.append(list(learned._critics.parameters()))
        assert budget.spent == 1
    for one, other in zip(*pair, strict=True):  # every step of the bandit ends it: the targets are the rewards, for both
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
