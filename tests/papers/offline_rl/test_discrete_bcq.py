"""Discrete BCQ: its limits (Double DQN, cloning), the set of allowed actions, its values beside value iteration and linear algebra."""

import numpy as np
import pytest
import torch

from bakeoff.baselines.dqn import DQN
from bakeoff.claim import Budget
from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
from bakeoff.data.kinds.environment import Environment
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.errors import DataError
from bakeoff.papers.offline_rl import discrete_bcq as paper
from bakeoff.papers.offline_rl.discrete_bcq import DiscreteBCQ, allowed

SMALL = {"hidden": (16,), "learning_rate": 3e-3, "batch_size": 16, "target_every": 7}
TABULAR = {"hidden": (), "learning_rate": 0.01, "batch_size": 64, "target_every": 20, "discount": 0.9}
STATES = np.eye(4)


def table(after, reward, ends, behaviour) -> DiscreteTransitions:
    """A batch of a deterministic MDP: after, reward and ends (S, A); `behaviour` (S, A) says how often each pair is in it."""
    state, action = (np.repeat(one.ravel(), behaviour.ravel()) for one in np.indices(behaviour.shape))
    every = np.ones(len(state), bool)
    return DiscreteTransitions(STATES[state], action, reward[state, action], STATES[after[state, action]], ends[state, action], every,
                               actions=behaviour.shape[1])


def world():
    rng = np.random.default_rng(3)
    return rng.integers(4, size=(4, 3)), rng.uniform(-1, 1, (4, 3)), rng.random((4, 3)) < 0.15


def optimal(after, reward, ends, among, discount=0.9, rounds=300):
    """Value iteration (S, A) where only the actions in `among` (S, A) may be chosen."""
    value = np.zeros(after.shape)
    for _ in range(rounds):
        value = reward + discount * ~ends * np.where(among, value, -np.inf).max(1)[after]
    return value


def noisy(images=False, count=200) -> DiscreteTransitions:
    rng = np.random.default_rng(0)
    seen = rng.random((count + 1, 6, 6, 2)) < 0.3 if images else rng.normal(size=(count + 1, 4))
    ended = rng.random(count) < 0.1
    return DiscreteTransitions(seen[:-1], rng.integers(3, size=count), rng.normal(size=count), seen[1:], ended, ended, actions=3)


def test_with_threshold_0_every_update_is_that_of_double_dqn():
    batch = noisy()
    ours, known = DiscreteBCQ(threshold=0.0, **SMALL, seed=5).fit(batch, steps=40), DQN(double=True, **SMALL, seed=5).fit(batch, steps=40)
    for one, other in zip(ours._network.valued.parameters(), known._network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert torch.equal(ours.act(batch.observation), known.act(np.array(batch.observation)))
    other = DiscreteBCQ(threshold=0.9, **SMALL, seed=5).fit(batch, steps=40)
    assert not torch.allclose(other._network.valued[0].weight, known._network[1][0].weight, atol=1e-4)


def test_with_threshold_0_the_target_on_images_is_that_of_double_dqn():
    batch = noisy(images=True)
    ours, known = DiscreteBCQ(threshold=0.0, **SMALL).fit(batch, steps=9), DQN(double=True, **SMALL).fit(batch, steps=0)
    known._network[0].load_state_dict(ours._network.seen.state_dict())
    known._network[1].load_state_dict(ours._network.valued.state_dict())
    known._slow[0].load_state_dict(ours._slow.seen.state_dict())
    known._slow[1].load_state_dict(ours._slow.valued.state_dict())
    given = torch.tensor(batch.reward), torch.tensor(batch.next_observation, dtype=torch.float32), torch.ones(len(batch))
    torch.testing.assert_close(ours._target(*given), known._target(*given))


def test_with_threshold_1_it_does_what_the_batch_did_most_whatever_that_brings():
    behaviour = np.array([[9, 2, 3], [1, 8, 2], [2, 1, 9], [3, 9, 1]])
    after, _, ends = world()
    batch = table(after, np.where(behaviour == behaviour.max(1, keepdims=True), -1.0, 1.0), ends, behaviour)
    clone, free = (DiscreteBCQ(threshold=threshold, **TABULAR).fit(batch, steps=200) for threshold in (1.0, 0.0))
    assert clone.act(STATES).tolist() == behaviour.argmax(1).tolist()
    assert clone.allowed(STATES).sum(1).tolist() == [1, 1, 1, 1]
    assert (free.act(STATES) != clone.act(STATES)).all()


def test_the_likeliest_action_is_always_allowed_and_a_shift_of_the_logits_changes_nothing():
    logits = 30 * torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    for threshold in (0.0, 0.3, 1.0):
        found = allowed(logits, threshold)
        assert found[torch.arange(500), logits.argmax(1)].all()
        assert torch.equal(allowed(logits + 8.0, threshold), found)
    assert allowed(logits, 0.0).all()
    assert allowed(torch.tensor([0.6, 0.19, 0.21]).log()).tolist() == [True, True, True]
    assert allowed(torch.tensor([0.7, 0.2, 0.1]).log()).tolist() == [True, False, False]  # 0.2 / 0.7 < 0.3


def test_with_every_pair_in_the_batch_the_values_are_the_optimal_ones():
    after, reward, ends = world()
    batch = table(after, reward, ends, np.full((4, 3), 5))
    known = optimal(after, reward, ends, np.ones((4, 3), bool))
    policy = DiscreteBCQ(**TABULAR).fit(batch, steps=2500)
    found = torch.stack([policy.value(STATES, np.full(4, action)) for action in range(3)], 1)
    np.testing.assert_allclose(found, known, atol=0.02)
    assert policy.act(STATES).tolist() == known.argmax(1).tolist()


def test_pairs_that_the_batch_lacks_are_not_chosen_and_the_values_are_optimal_without_them():
    after, reward, ends = world()
    behaviour = np.array([[5, 5, 0], [0, 5, 5], [5, 0, 5], [5, 5, 0]])
    known = optimal(after, reward, ends, behaviour > 0)
    policy = DiscreteBCQ(**TABULAR).fit(table(after, reward, ends, behaviour), steps=2500)
    found = torch.stack([policy.value(STATES, np.full(4, action)) for action in range(3)], 1).numpy()
    np.testing.assert_allclose(found[behaviour > 0], known[behaviour > 0], atol=0.02)
    np.testing.assert_array_equal(policy.allowed(STATES), behaviour > 0)


@pytest.mark.parametrize("discount", [0.5, 0.9])
def test_two_states_that_lead_to_each_other_are_worth_what_linear_algebra_says(discount):
    flip, reward = np.array([[1], [0], [2], [3]]), np.array([[1.0], [2.0], [0.0], [0.0]])
    batch = table(flip, reward, np.zeros((4, 1), bool), np.array([[9], [9], [0], [0]]))
    policy = DiscreteBCQ(**TABULAR | {"discount": discount}).fit(batch, steps=2500)
    known = np.linalg.solve(np.eye(2) - discount * np.array([[0, 1], [1, 0]]), [1, 2])
    np.testing.assert_allclose(policy.value(STATES[:2], [0, 0]), known, rtol=0.01)


def test_a_batch_of_continuous_actions_is_told_at_once():
    one = np.ones((3, 1))
    with pytest.raises(DataError, match="continuous actions"):
        DiscreteBCQ().fit(Transitions(one, one, np.ones(3), one, np.ones(3), np.ones(3), [-1], [1]))


def test_both_arms_start_alike_spend_the_same_and_are_judged_by_their_return():
    batch = noisy()
    budget = [Budget("smoke", 20), Budget("smoke", 20)]
    arms = [arm(batch, one, 4) for arm, one in zip((paper.treatment, paper.control), budget, strict=True)]
    assert [one.spent for one in budget] == [20, 20]
    assert [type(policy).__name__ for policy, _ in arms] == ["DiscreteBCQ", "DQN"]
    names = ("hidden", "discount", "learning_rate", "batch_size", "target_every", "seed")
    assert len({tuple(getattr(policy, name) for name in names) for policy, _ in arms}) == 1


def test_the_score_is_the_return_that_the_policy_gets():
    class Still:
        discount = 0.5

        def act(self, observation):
            return torch.zeros(len(observation), dtype=torch.int64)

        def value(self, observation, action):
            return torch.full((len(observation),), 3.0)

    measures = paper.score((Still(), noisy()), Environment("CartPole-v1", (0, 1, 2)))
    made = Environment("CartPole-v1").make()
    lengths = []
    for seed in (0, 1, 2):
        made.reset(seed=seed)
        lengths.append(1)
        while not made.step(0)[2]:
            lengths[-1] += 1
    made.close()
    assert measures["return"] == pytest.approx(np.mean(lengths))
    assert measures["overestimate"] == pytest.approx(3 - np.mean([2 - 0.5 ** (length - 1) for length in lengths]))
