"""BCQ: its target and divergence on known numbers, its limits (cloning, the support of the batch), the measures of the score."""

import numpy as np
import pytest
import torch

from bakeoff.baselines.td3 import TD3
from bakeoff.claim import Budget
from bakeoff.data.kinds.environment import Environment
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.papers.offline_rl import bcq as paper
from bakeoff.papers.offline_rl.bcq import BCQ, ActionVAE, soft_clipped
from bakeoff.parts.seeding import seeded

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
    target = policy._target(torch.tensor([5.0, 5.0]), torch.ones(2, 1), torch.tensor([0.0, 1.0]))
    assert target[0] == 5
    assert target[1] != 5


def test_the_divergence_is_the_closed_form_and_the_loss_adds_its_mean():
    with seeded(0):
        mean, log_deviation, model = torch.randn(5, 4), torch.randn(5, 4), ActionVAE(3, 2, hidden=(8,))
    normal = torch.distributions.Normal
    known = torch.distributions.kl_divergence(normal(mean, log_deviation.exp()), normal(0.0, 1.0))
    torch.testing.assert_close(paper.divergence(mean, log_deviation), known.sum(1))

    x, action = torch.ones(5, 3), torch.full((5, 2), 0.5)
    mean, log_deviation = model.encode(x, action)
    noise = torch.randn(5, 4, generator=torch.Generator().manual_seed(7))
    found = (model.decode(x, mean + log_deviation.exp() * noise) - action).square().mean()
    expected = found + 0.5 * torch.distributions.kl_divergence(normal(mean, log_deviation.exp()), normal(0.0, 1.0)).mean()
    torch.testing.assert_close(model.loss(x, action, torch.Generator().manual_seed(7)), expected)


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


def test_actions_are_drawn_from_latents_cut_at_half_a_deviation():
    model, rng = ActionVAE(3, 2, hidden=(8,)), torch.Generator().manual_seed(0)
    model.decoder = torch.nn.Identity()  # an observation and the latent itself
    latent = model.sample(torch.zeros(20_000, 3), rng)[:, 3:]
    assert latent.abs().max() == 0.5
    assert (latent == 0.5).double().mean().item() == pytest.approx(0.3085, abs=0.01)  # the chance of a normal above 0.5


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


def test_the_score_counts_every_reward_and_compares_the_value_with_what_came():
    class Still:
        discount = 0.5

        def act(self, observation):
            return torch.zeros(len(observation), 1)

        def value(self, observation, action):
            return torch.full((len(observation),), 3.0)

    test = Environment("InvertedPendulum-v5", (3, 4))
    lengths = []
    for seed in test.seeds:
        with test.make() as task:
            task.reset(seed=seed)
            lengths.append(next(step for step in range(1, 1001) if task.step(np.zeros(1))[2]))
    batch = bandit()  # every episode is a step; chance balances for a few
    scored = paper.score((Still(), batch), test)
    paid = np.mean(lengths) - 1  # the step that falls pays nothing
    assert scored["return"] == pytest.approx(paid)
    assert scored["overestimate"] == pytest.approx(3 - np.mean([2 - 2 * 0.5 ** (length - 1) for length in lengths]))
    shown, chance = scored["return of the batch"], scored["return by chance"]
    assert shown == pytest.approx(batch.reward.mean(), abs=1e-6)
    assert 2 < chance == paper.by_chance(batch, test)
    assert scored["scaled return"] == pytest.approx((paid - chance) / (shown - chance))


def test_the_return_of_the_batch_is_the_mean_of_its_episodes():
    columns = np.zeros((5, 1)), np.zeros((5, 1)), np.array([1.0, 2, 3, 4, 5]), np.zeros((5, 1)), np.zeros(5)
    batch = Transitions(*columns, np.array([0, 0, 1, 0, 1]), [-1.0], [1.0])
    assert paper.demonstrated(batch) == (6 + 9) / 2
