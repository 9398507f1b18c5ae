"""Division by whole groups and by age."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elsewise.data.division import one_of_each, parts_of, stratified
from elsewise.errors import InputError

SHARES = (0.6, 0.1, 0.15, 0.15)


def divided(codes, groups=None, times=None, *, shares=SHARES, whole=2, seed=0):
    marks = (None if marks is None else np.array(marks) for marks in (groups, times))
    return parts_of(np.array(codes), shares, np.random.default_rng(seed), *marks, whole=whole)


def test_rows_without_marks_are_divided_by_label_alone():
    codes = np.arange(200) % 3

    by_label = stratified(codes, SHARES, np.random.default_rng(4))

    assert [part.tolist() for part in divided(codes, seed=4)] == [part.tolist() for part in by_label]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 30)), min_size=20, max_size=300), st.integers(0, 9))
def test_whole_groups_go_to_one_part_and_every_label_is_trained(rows, seed):
    codes, groups = np.array(rows).T
    if len(set(groups.tolist())) < 4:
        return

    parts = divided(codes, groups, seed=seed)

    assert np.sort(np.concatenate(parts)).tolist() == list(range(len(rows)))
    places = [set(groups[part].tolist()) for part in parts]
    assert sum(map(len, places)) == len(set().union(*places))
    assert set(codes[parts[0]].tolist()) >= set(codes.tolist()) - {-1}


def test_groups_are_shared_out_as_rows_are():
    groups = np.repeat(np.arange(400), 5)

    parts = divided(np.arange(400).repeat(5) % 4, groups)

    assert [len(np.unique(groups[part])) for part in parts] == [240, 40, 60, 60]


def test_a_row_of_each_group_is_drawn_by_chance():
    groups = np.repeat([0, 1], [4, 1])

    drawn = np.array([one_of_each(groups, np.random.default_rng(seed)) for seed in range(2000)])

    assert set(drawn[:, 1].tolist()) == {4}
    assert np.abs(np.bincount(drawn[:, 0]) / 2000 - 1 / 4).max() < 0.05


def test_the_oldest_rows_are_first_and_the_newest_last():
    times = np.random.default_rng(0).permutation(200)

    parts = divided(np.arange(200) % 2, times=times)

    assert [len(part) for part in parts] == [120, 20, 30, 30]
    assert all(times[one].max() < times[other].min() for one, other in itertools.pairwise(parts))


def test_equal_times_are_never_divided():
    times = np.repeat([3, 1, 2, 4], [35, 40, 15, 30])

    one, other = divided(np.zeros(120), times=times, shares=(1 / 3, 2 / 3), whole=0)

    assert (set(times[one].tolist()), set(times[other].tolist())) == ({1}, {2, 3, 4})


def test_a_group_is_as_old_as_its_oldest_row():
    groups, times = np.array([0, 1, 2, 3, 0]), np.array([1, 2, 3, 4, 9])

    parts = divided(np.zeros(5), groups, times, shares=(0.25, 0.25, 0.25, 0.25))

    assert [part.tolist() for part in parts] == [[0, 4], [1], [2], [3]]


@pytest.mark.parametrize(("groups", "said"), [([0] * 40, "1 group"), ([0, 1, 2, 2] * 10, "3 groups")])
def test_fewer_groups_than_parts_are_refused(groups, said):
    with pytest.raises(InputError, match=rf"^rows of {said} cannot be divided into 4 parts: whole groups go to one"):
        divided([0, 1] * 20, groups)


@pytest.mark.parametrize("times", [[7] * 40, [1, 2, 3, 4] * 10], ids=["all at once", "a cut falls between equal times"])
def test_too_few_times_are_refused(times):
    with pytest.raises(InputError, match=r"^40 rows with [14] times? cannot be divided by time into 4 parts"):
        divided([0, 1] * 20, times=times)
