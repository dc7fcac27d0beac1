"""The batch as minibatches, a learner's own experience, actions in units of their bounds, targets that follow."""

import numpy as np
import pytest
import torch

from bakeoff.data.kinds.discrete_transitions import DiscreteTransitions
from bakeoff.data.kinds.transitions import Transitions
from bakeoff.errors import DataError
from bakeoff.parts import replay
from bakeoff.parts.mlp import mlp
from bakeoff.parts.replay import Box, DiscreteReplay, Experience, Replay, asked, asked_both, follow, slow_copy


def batch() -> Transitions:
    rows = np.arange(6.0)[:, None]
    return Transitions(rows, 3 + rows / 5, rows[:, 0], rows + 1, [0, 0, 1, 0, 0, 1], [0, 0, 1, 0, 0, 1], [3.0], [4.0])


def choices() -> DiscreteTransitions:
    rows = np.arange(6.0)
    images = (rows[:, None, None, None] == np.arange(6)[None, None, None]).repeat(2, 1)  # (6, 2, 1, 6) bool, row i lit at i
    return DiscreteTransitions(images, np.arange(6) % 3, rows, np.roll(images, -1, 0), [0, 0, 1, 0, 0, 1], [0, 0, 1, 0, 0, 1], actions=3)


def test_bounds_are_one_away_from_the_middle_and_the_way_back_is_exact():
    box = Box([0.0, -1.0, 5.0], [4.0, 1.0, 5.0])  # the third cannot vary
    action = torch.tensor([[0.0, -1.0, 5.0], [4.0, 1.0, 5.0], [3.0, 0.25, 5.0]])
    assert box.unit(action).tolist() == [[-1, -1, 0], [1, 1, 0], [0.5, 0.25, 0]]
    assert torch.equal(box.action(box.unit(action)), action)


def test_a_minibatch_holds_whole_rows_and_its_seed_decides_which():
    drawn = list(Replay(batch()).minibatches(50, steps=3, seed=4))
    observation, action, reward, following, alive = (torch.cat(one) for one in zip(*drawn, strict=True))
    assert torch.equal(observation[:, 0], reward)
    assert torch.equal(following, observation + 1)
    torch.testing.assert_close(action, 2 * observation / 5 - 1)
    assert torch.equal(alive == 0, (reward == 2) | (reward == 5))
    assert set(reward.tolist()) == set(range(6))
    for one, again in zip(drawn, Replay(batch()).minibatches(50, steps=3, seed=4), strict=True):
        assert torch.equal(one[2], again[2])


def test_a_target_follows_by_its_rate_and_takes_no_gradient():
    network = mlp(1, 2)
    slow = slow_copy(network)
    with torch.no_grad():
        network[0].weight += 1
    before = slow[0].weight.clone()
    follow(slow, network, 0.25)
    torch.testing.assert_close(slow[0].weight, before + 0.25)
    assert not any(one.requires_grad for one in slow.parameters())


def test_rows_read_ahead_are_those_of_single_draws(monkeypatch):
    monkeypatch.setattr(replay, "BLOCK", 4 * 5 * 3)  # three minibatches of four rows with five numbers
    rng = torch.Generator().manual_seed(4)
    drawn = list(Replay(batch()).minibatches(4, steps=8, seed=4))
    assert len(drawn) == 8
    for _, _, reward, _, _ in drawn:
        assert torch.equal(reward, torch.randint(6, (4,), generator=rng).float())


def test_discrete_minibatches_hold_whole_rows_with_images_as_floats():
    batch = DiscreteReplay(choices())
    assert (batch.observation_shape, batch.actions) == ((2, 1, 6), 3)
    observation, action, reward, following, alive = next(batch.minibatches(200, steps=1, seed=0))
    assert observation.dtype == following.dtype == torch.float32
    assert torch.equal(observation[:, 1, 0].argmax(1).float(), reward)
    assert torch.equal(following[:, 0, 0].argmax(1).float(), (reward + 1) % 6)
    assert torch.equal(action, reward.long() % 3)
    assert torch.equal(alive == 0, (reward == 2) | (reward == 5))


def test_a_batch_of_the_other_sort_of_actions_is_told():
    with pytest.raises(DataError, match="discrete actions, one of 3; this method is for continuous"):
        Replay(choices())
    with pytest.raises(DataError, match="continuous actions of size 1; this method is for discrete"):
        DiscreteReplay(batch())


def test_experience_forgets_the_oldest_and_keeps_steps_whole():
    seen, rng = Experience(4, (2,), 1), torch.Generator().manual_seed(0)
    for step in range(10):
        seen.add(np.full(2, step), torch.tensor([step / 10]), 2.0 * step, np.full(2, step + 1), terminated=step % 2 == 0)
    observation, action, reward, following, alive = seen.draw(200, rng)
    assert len(seen) == 4
    assert set(observation[:, 0].tolist()) == {6, 7, 8, 9}
    torch.testing.assert_close(action[:, 0], observation[:, 1] / 10)
    assert torch.equal(reward, 2 * observation[:, 0])
    assert torch.equal(following, observation + 1)
    assert torch.equal(alive, observation[:, 0] % 2)
    few = Experience(100, (1,), None, np.uint8)
    few.add([255], 2, 0.0, [0], terminated=False)
    observation, action, *_ = few.draw(3, rng)  # only what was lived through
    assert observation.tolist() == [[255.0]] * 3
    assert action.tolist() == [2] * 3


def test_a_question_of_another_shape_or_with_a_gap_is_told_and_so_is_a_single_observation():
    for values, said in ((np.zeros((4, 2)), r"shape \(4, 2\); this policy learned from \(N, 3\)"), (np.zeros(3), r"one\[None\]"),
                         (np.array([[0.0, 1, 2], [0, np.nan, 2]]), "in row 1")):
        with pytest.raises(ValueError, match=said):
            asked(values, (3,))
    with pytest.raises(ValueError, match="4 observations and 2 actions"):
        asked_both(np.zeros((4, 3)), np.zeros((2, 1)), (3,), 1)
    read_only = np.zeros((2, 3))
    read_only.flags.writeable = False
    assert asked(read_only, (3,)).tolist() == [[0.0] * 3] * 2


def test_what_is_no_batch_or_no_number_of_steps_is_told():
    for wrong in (None, np.zeros((3, 2)), {}):
        with pytest.raises(TypeError, match="expected a batch of transitions"):
            Replay(wrong)
    every = np.ones(4)
    replay = Replay(Transitions(np.zeros((4, 2)), np.zeros((4, 1)), every, np.zeros((4, 2)), every, every, [-1.0], [1.0]))
    for options in ((0, 5, 0), (8, -1, 0), (8, 2.5, 0)):
        with pytest.raises(ValueError, match="expected a whole number"):
            replay.minibatches(*options)
