"""Logs as tables: a row a step, in any order, under the names that people give; what is wrong is told by row and column."""

import time

import numpy as np
import pandas
import pytest

from bakeoff.data import discrete_transitions, transitions
from bakeoff.errors import DataError

OBSERVATIONS = np.concatenate([np.arange(8.0).reshape(4, 2), 10 + np.arange(6.0).reshape(3, 2)])  # the last of each has no action
KEPT = [4, 5, 0, 1, 2]  # episode 3, then 7


def table(**changed) -> pandas.DataFrame:
    columns = {"episode": [7, 7, 7, 7, 3, 3, 3], "step": [0, 1, 2, 3, 0, 1, 2], "obs_0": OBSERVATIONS[:, 0], "obs_1": OBSERVATIONS[:, 1],
               "act_0": [0.5, -0.25, 0.125, 0, 1.0, -1.0, 0], "reward": [1.0, 2, 3, 0, 4, 5, 0], "terminated": [False] * 7}
    return pandas.DataFrame({name: column for name, column in (columns | changed).items() if column is not None})


def load(folder, frame, loader=transitions, name="log.csv", **how):
    if name.endswith(".parquet"):
        frame.to_parquet(folder / name)
    else:
        frame.to_csv(folder / name, index=False, **how)
    return loader.load(folder / name)


def same(batch):
    np.testing.assert_array_equal(batch.observation, OBSERVATIONS[KEPT])
    np.testing.assert_array_equal(batch.next_observation, OBSERVATIONS[[one + 1 for one in KEPT]])
    assert batch.action[:, 0].tolist() == [1, -1, 0.5, -0.25, 0.125]
    assert batch.reward.tolist() == [4, 5, 1, 2, 3]
    assert batch.ended.tolist() == [False, True, False, False, True]
    assert not batch.terminated.any()


def test_a_table_gives_the_same_batch_whatever_its_order_form_and_separator(tmp_path):
    mixed = table().sample(frac=1, random_state=0)[["reward", "obs_1", "act_0", "obs_0", "step", "terminated", "episode"]]
    same(load(tmp_path, mixed))
    same(load(tmp_path, mixed, sep=";"))
    same(load(tmp_path, mixed, name="log.tsv", sep="\t", encoding="utf-8-sig"))
    same(load(tmp_path, mixed, name="log.parquet"))
    same(load(tmp_path, mixed.convert_dtypes(), name="log.parquet"))  # columns that may hold nothing


def test_empty_lines_do_no_harm_and_leave_the_numbers_of_rows(tmp_path):
    lines = table(reward=[1.0, 2, 3, 0, 4, "x", 0]).to_csv(index=False).splitlines()
    (tmp_path / "log.csv").write_text("\n".join([*lines[:3], "", *lines[3:], ""]))
    with pytest.raises(DataError, match="row 7, column 'reward': found 'x'"):
        transitions.load(tmp_path / "log.csv")
    (tmp_path / "log.csv").write_text("\n".join([*lines[:3], "", *lines[3:], ""]).replace("x", "5"))
    same(transitions.load(tmp_path / "log.csv"))


@pytest.mark.parametrize("words", [
    {"obs_0": "observation_0", "obs_1": "observation_1", "act_0": "action"}, {"obs_0": "o0", "obs_1": "o1", "act_0": "a0"},
    {"obs_0": "State_0", "obs_1": "State_1", "act_0": "Action_0", "reward": "Rewards", "terminated": "terminal"},
    {"obs_0": "obs[0]", "obs_1": "obs[1]", "act_0": "act[0]", "step": "t", "episode": "trajectory"},
    {"obs_0": "obs_place", "obs_1": "obs_speed", "act_0": "actions_0", "step": "timestep"}], ids=lambda words: words["obs_0"])
def test_other_common_names_are_understood(tmp_path, words):
    same(load(tmp_path, table().rename(columns=words)))


def test_columns_go_by_their_numbers(tmp_path):
    frame = table()
    for number in range(2, 11):
        frame[f"obs_{number}"] = float(number)
    assert load(tmp_path, frame[sorted(frame)]).observation[0, 2:].tolist() == list(range(2, 11))


def test_one_column_may_hold_lists(tmp_path):
    listed = table(obs_0=None, obs_1=None, obs=[str(one.tolist()) for one in OBSERVATIONS])
    same(load(tmp_path, listed))
    same(load(tmp_path, listed.assign(obs=list(OBSERVATIONS)), name="log.parquet"))
    with pytest.raises(DataError, match=r"row 2, column 'obs': found '\[2.0\]'\nExpected a list of 2 numbers"):
        load(tmp_path, listed.assign(obs=[str(one[:1 if row == 1 else 2].tolist()) for row, one in enumerate(OBSERVATIONS)]))


def test_episodes_may_be_called_by_texts_and_stay_in_their_order(tmp_path):
    batch = load(tmp_path, table(episode=["second"] * 4 + ["first"] * 3))
    assert batch.reward.tolist() == [1, 2, 3, 4, 5]


def test_the_last_row_of_a_terminated_episode_counts_and_that_of_a_cut_one_does_not(tmp_path):
    batch = load(tmp_path, table(terminated=[False, False, False, True, False, False, False]))
    assert batch.terminated.tolist() == [False, False, False, False, False, True]
    assert batch.ended.tolist() == [False, True, False, False, False, True]


def test_what_the_last_row_of_a_cut_episode_lacks_is_not_missed(tmp_path):
    last = [3, 6]
    frame = table()
    for name in ("act_0", "reward"):
        frame.loc[last, name] = np.nan
    same(load(tmp_path, frame))
    same(load(tmp_path, frame.convert_dtypes(), name="log.parquet"))


def test_next_observations_of_their_own_make_every_row_count(tmp_path):
    following = np.roll(OBSERVATIONS, -1, 0)
    following[[3, 6]] = 99
    batch = load(tmp_path, table(next_obs_0=following[:, 0], next_obs_1=following[:, 1]))
    assert len(batch) == 7
    assert batch.next_observation[batch.ended].tolist() == [[99, 99], [99, 99]]


def test_choices_are_read_by_one_loader_and_refused_by_the_other(tmp_path):
    choices = table(act_0=None, action=[0, 1, 2, np.nan, 1, 0, np.nan])
    batch = load(tmp_path, choices, discrete_transitions)
    assert batch.action.tolist() == [1, 0, 0, 1, 2]
    assert batch.actions == 3
    with pytest.raises(DataError, match="actions are whole numbers from 0 to 2, choices among a few"):
        load(tmp_path, choices)
    with pytest.raises(DataError, match=r"actions are continuous, from -1 to 1, 1 to a step\n.*bcq, bear and brac"):
        load(tmp_path, table(), discrete_transitions)


def test_a_column_may_name_the_environment(tmp_path):
    wide = table(Environment=["InvertedPendulum-v5", None, *["InvertedPendulum-v5"] * 5], obs_2=0.0, obs_3=0.0)
    batch = load(tmp_path, wide)
    assert batch.environment == "InvertedPendulum-v5"
    assert batch.action_high.tolist() == [3]
    assert load(tmp_path, table(environment=[None] * 7)).environment == ""


def test_a_very_wide_header_is_read_in_good_time(tmp_path):
    names = ["episode", "step", "obs_0", "act_0", "reward", "terminated", *(f"c{i}" for i in range(60_000)), "c7"]
    (tmp_path / "log.csv").write_text(",".join(names) + "\n1,0,0,0.5,0,1\n")
    start = time.process_time()
    with pytest.raises(DataError, match="2 columns are called 'c7'"):
        transitions.load(tmp_path / "log.csv")
    assert time.process_time() - start < 5


@pytest.mark.parametrize(("changed", "told"), [
    ({"terminated": None}, "lacks the columns terminated; found .*\nSay at every step whether the task ended"),
    ({"terminated": None, "done": [False] * 7}, "\n'done' does not say whether the task ended or time was up"),
    ({"episode": None, "act_0": None}, "lacks the columns episode, act_0; found step, obs_0, obs_1, reward, terminated"),
    ({"step": [0, 1, 2, 4, 0, 1, 2]}, "rows 3 and 4: the steps of episode 7 do not follow one another: found 2 and then 4"),
    ({"step": [0, 1, 1, 2, 0, 1, 2]}, "rows 2 and 3: .*: found 1 and then 1\nA step comes twice"),
    ({"step": [0, 0.5, 1, 2, 0, 1, 2]}, "rows 1 and 2: .*found 0 and then 0.5"),
    ({"step": ["10000000000000000000000", *"123012"]}, "do not follow one another"),
    ({"step": [0, np.nan, 2, 3, 0, 1, 2]}, "row 2: step holds no number"),
    ({"episode": [7, None, 7, 7, 3, 3, 3]}, "row 2: episode is empty"),
    ({"terminated": [False, True, False, False, False, False, False]}, "row 2: episode 7 goes on after a row with terminated"),
    ({"truncated": [0, 1, 0, 0, 0, 0, 0]}, "row 2: episode 7 goes on after a row with truncated"),
    ({"terminated": ["no"] * 7}, "row 1, column 'terminated': found 'no', the first of 7 such cells\nExpected true or false"),
    ({"terminated": [0, None, 0, None, 0, 0, 0]}, "row 2: terminated holds no number, the first of 2 such rows"),
    ({"terminated": [0, 0, 0, 2, 0, 0, 0]}, "row 4: terminated holds 2\nExpected true or false"),
    ({"episode": [7, 7, 7, 7, 3, 3, 2]}, "row 7: episode 2 has one row and no termination"),
    ({"obs_1": [0, np.nan, 0, 0, 0, 0, 0]}, "row 2: obs_1 is missing or infinite"),
    ({"act_0": [0.5, np.inf, 0, 0, 0, 0, 0]}, "row 2: act_0 is missing or infinite"),
    ({"reward": [0, 1, "1,5", 0, 0, 0, 0]}, "row 3, column 'reward': found '1,5'\nExpected a number"),
    ({"reward": [0, 1, 10**400, 0, 0, 0, 0]}, "column 'reward': a whole number is too large"),
    ({"action": [0.5] * 7}, "columns of 'act' and of 'action', which mean the same"),
    ({"obs_3": [0.5] * 7}, "among the columns obs_0 to obs_3 number 2 is missing"),
    ({"next_obs_0": [0.5] * 7}, "2 columns of observations and 1 of next ones"),
    ({"environment": ["Pendulum-v1"] * 6 + ["Hopper-v5"]}, "column 'environment': found 'Pendulum-v1' and 'Hopper-v5'"),
    ({"environment": "os:Task-v0"}, "names the environment 'os:Task-v0', for which a module would be imported"),
    ({"environment": "NoSuchTask-v0"}, "log.csv: no environment 'NoSuchTask-v0'"),
    ({"Reward": [0.5] * 7}, "columns of 'reward' and of 'Reward', which mean the same"),
])
def test_a_wrong_table_is_told(tmp_path, changed, told):
    with pytest.raises(DataError, match=told) as problem:
        load(tmp_path, table(**changed))
    assert "log.csv" in problem.value.message


def test_cells_of_other_types_are_told(tmp_path):
    for cells in (pandas.to_datetime(["2020-01-01"] * 7), [b"x"] * 7, [{"a": 1}] * 7):
        with pytest.raises(DataError, match=r"row 1, column 'reward'"):
            load(tmp_path, table(reward=cells), name="log.parquet")


def test_a_file_that_is_no_table_is_told(tmp_path):
    for name, content, told in (
            ("log.csv", b"episode,step,obs_0,act_0,reward,terminated\n", "there are no rows"),
            ("log.csv", "épisode,étape\n1,2\n".encode("latin-1"), "is not UTF-8 text"),
            ("log.csv", b"episode,step,obs_0,obs_0\n1,2,3,4\n", "2 columns are called 'obs_0'"),
            ("log.csv", b"episode," + b"x" * 200_000 + b"\n1,2\n", "cannot be read as a table: field larger than"),
            ("log.csv", b"a,b\n1,2\n1,2,3,4\n", "cannot be read as a table"), ("log.parquet", b"PAR1", "cannot be read as a table")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=told):
            transitions.load(tmp_path / name)
