"""goalGAIL: without its discriminator it is DDPG with hindsight, bit for bit; the discriminator's optimum; both rewards by hand."""

import numpy as np
import pytest
import torch

from bakeoff.baselines.hindsight_ddpg import HindsightDDPG
from bakeoff.data.four_rooms import FourRooms, demonstrate
from bakeoff.data.kinds.demonstrations import Demonstrations
from bakeoff.data.kinds.goal_environment import GoalEnvironment
from bakeoff.errors import NotFitted
from bakeoff.papers.imitation import goal_gail as paper
from bakeoff.papers.imitation.goal_gail import Discriminator, GoalGAIL
from bakeoff.parts.goal_episodes import Steps
from bakeoff.parts.seeding import seeded

SHOWN = Demonstrations(**demonstrate(6, seed=1), action_low=[-1, -1], action_high=[1, 1], environment="four-rooms")
SMALL = {"hidden": (16, 16), "batch_size": 64, "demonstration_batch": 32, "updates": 0.2}
X, GOAL = SHOWN.observation[:9], SHOWN.goal[:9]


def fitted(**options):
    return GoalGAIL(**SMALL | options).fit(FourRooms(copies=3, horizon=20), SHOWN, 150)


def steps() -> Steps:
    columns = (SHOWN.observation, SHOWN.action, SHOWN.next_observation, SHOWN.achieved, SHOWN.goal)
    return Steps(*(torch.tensor(column) for column in columns))


def test_without_the_discriminators_reward_it_is_ddpg_with_hindsight_bit_for_bit():
    known = HindsightDDPG(**SMALL).fit(FourRooms(copies=3, horizon=20), SHOWN, 150)
    same, other = fitted(delta=0.0, goal_weight=1.0), fitted(delta=0.1, goal_weight=1.0)
    assert torch.equal(same.act(X, GOAL), known.act(X, GOAL))
    assert torch.equal(same.value(X, SHOWN.action[:9], GOAL), known.value(X, SHOWN.action[:9], GOAL))
    assert not torch.equal(other.act(X, GOAL), known.act(X, GOAL))


def test_the_reward_is_the_environments_own_test_and_the_logarithm_of_the_discriminator():
    model = fitted(delta=0.3, goal_weight=2.0)
    reached = torch.tensor(FourRooms().reached(SHOWN.achieved, SHOWN.goal), dtype=torch.float32)
    assert reached.sum() == 6
    likeness = model.likeness(steps())
    assert ((likeness > 0) & (likeness < 1)).all()
    torch.testing.assert_close(model.reward(steps(), reached), 2.0 * reached + 0.3 * (likeness + 1e-8).log())
    assert model._returns == (pytest.approx(0.3 * np.log(1e-8) / 0.02), 2.0)


def test_annealing_takes_its_share_of_delta_by_the_end():
    assert fitted(delta=0.4)._delta == pytest.approx(0.4)
    assert fitted(delta=0.4, annealing=0.75)._delta == pytest.approx(0.1)
    last = fitted(delta=0.4, annealing=1.0)
    reached = torch.ones(len(SHOWN))
    torch.testing.assert_close(last.reward(steps(), reached), reached)


def trained(discriminator, demonstrated, own, count=400):
    rng = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(discriminator.parameters(), 3e-3)
    for _ in range(count):
        rows = torch.randint(len(own), (128,), generator=rng)
        optimiser.zero_grad()
        discriminator.loss(demonstrated[rows], own[rows.flip(0)], rng).backward()
        optimiser.step()
    with torch.no_grad():
        return discriminator


def test_the_discriminator_finds_one_half_on_equal_data_and_the_ratio_of_densities_on_other():
    with seeded(0):
        equal, other = Discriminator(1, (32, 32), penalty=0.0), Discriminator(1, (32, 32), noise=0.0, penalty=0.0)
        x = torch.randn(4000, 1)
    found = trained(equal, x, x)(x).sigmoid().detach()
    np.testing.assert_allclose(found, 0.5, atol=0.06)
    places = torch.linspace(-0.5, 1.5, 5)[:, None]
    found = trained(other, x + 1, x)(places).sigmoid().detach()
    np.testing.assert_allclose(found, (places[:, 0] - 0.5).sigmoid(), atol=0.1)  # N(1, 1) / (N(1, 1) + N(0, 1))


def test_the_discriminators_loss_is_the_logistic_one_and_the_penalty_that_of_its_slope():
    with seeded(1):
        straight = Discriminator(2, (), noise=0.0, penalty=10.0)
        shown, own = torch.randn(2, 50, 2)
    weight, bias = straight.net[0].weight[0].detach(), straight.net[0].bias.detach()
    likeness, other = ((x @ weight + bias).sigmoid() for x in (shown, own))
    known = -likeness.log().mean() - (1 - other).log().mean() + 10 * (weight.norm() - 1) ** 2
    torch.testing.assert_close(straight.loss(shown, own, torch.Generator()).detach(), known)
    noisy = Discriminator(2, (), noise=0.15, penalty=0.0)
    noisy.load_state_dict(straight.state_dict())
    rng, again = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    blurred = [x + 0.15 * torch.randn(x.shape, generator=again) for x in (shown, own)]
    straight.noise, straight.penalty = 0.0, 0.0
    torch.testing.assert_close(noisy.loss(shown, own, rng), straight.loss(*blurred, rng))


def test_with_states_alone_no_action_of_the_demonstrations_is_read():
    shuffled = Demonstrations(SHOWN.observation, -SHOWN.action[::-1], SHOWN.next_observation, SHOWN.achieved, SHOWN.goal, SHOWN.ended,
                              [-1, -1], [1, 1])
    one = fitted(state_only=True)
    other = GoalGAIL(**SMALL, state_only=True).fit(FourRooms(copies=3, horizon=20), shuffled, 150)
    assert torch.equal(one.act(X, GOAL), other.act(X, GOAL))
    told = one.likeness(steps())
    assert torch.equal(told, one.likeness(steps()._replace(action=torch.zeros(len(SHOWN), 2))))
    assert not torch.equal(told, one.likeness(steps()._replace(following=torch.zeros(len(SHOWN), 2))))


def test_cloning_draws_the_actor_to_the_demonstrated_actions():
    def miss(policy):
        return (policy.act(SHOWN.observation, SHOWN.goal) - torch.tensor(SHOWN.action)).square().mean().item()

    assert miss(fitted(cloning=10.0, learning_rate=3e-3)) < 0.5 * miss(fitted(learning_rate=3e-3))


def test_the_score_counts_episodes_that_arrive_at_each_moment_and_the_last():
    class Policy:
        def __init__(self, share):
            self.share = share

        def act(self, observation, goal):
            rooms = FourRooms(len(observation))
            rooms._position, rooms._goal = np.array(observation, float), np.array(goal, float)
            still = np.arange(len(observation)) >= self.share * len(observation)
            return torch.tensor(np.where(still[:, None], 0.0, rooms.oracle()))

        def estimates(self, worlds, seed):
            return np.full(worlds.copies, 0.75), np.full(worlds.copies, 0.5)

    model = Policy(1.0)
    model.history = [(10, Policy(0.0)), (20, Policy(0.5)), (30, model)]
    found = paper.score(model, GoalEnvironment("four-rooms", 3))
    still = found["success while learning"] * 3 - 100 - 50  # those whose goal is where they start
    assert 0 <= still <= 15
    assert found["success at the end"] == 100
    assert (found["value at the start"], found["overestimate"]) == (0.75, 0.25)


def test_it_is_told_to_fit_first():
    for use in (lambda policy: policy.act(X, GOAL), lambda policy: policy.likeness(steps())):
        with pytest.raises(NotFitted):
            use(GoalGAIL())


def test_cloning_needs_actions():
    with pytest.raises(ValueError, match="no demonstrated actions to clone"):
        fitted(cloning=1.0, state_only=True)
