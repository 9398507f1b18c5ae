"""Groups and times of rows: what can be read, and what is refused in one line."""

from datetime import date, datetime

import numpy as np
import pytest

from elsewise.data.marks import numbered_groups, seconds
from elsewise.errors import InputError


def test_groups_have_the_same_number_in_all_files():
    one, none, other = numbered_groups([["ann", "bob", "ann"], None, ["bob", "cem"]])

    assert (one.tolist(), none, other.tolist()) == ([0, 1, 0], None, [1, 2])


@pytest.mark.parametrize("empty", ["", "  ", None, float("nan")])
def test_a_row_without_a_group_is_a_group_by_itself(empty):
    (groups,) = numbered_groups([[empty, "ann", empty, empty]])

    assert len(set(groups.tolist())) == 4


@pytest.mark.parametrize(
    "times",
    [
        [3, 20, 100],
        ["3", "20", "100"],
        ["20240131", "20240201", "20250101"],
        ["2024-01-31", "2024-02-01", "2025-01-01"],
        ["2024-01-31T23:59", "2024-02-01 00:00:00.5", "2025-01-01"],
        ["2024-02-01T01:00+03:00", "2024-01-31T23:00Z", "2024-02-01T00:00+00:00"],
        [date(2024, 1, 31), datetime(2024, 1, 31, 1), np.datetime64("2024-02-01T00:00:00.000000001")],  # noqa: DTZ001
    ],
    ids=["numbers", "numbers as text", "digits", "dates", "moments", "time zones", "objects"],
)
def test_times_of_every_kind_keep_their_order(times):
    assert (np.diff(seconds(times, "the data")) > 0).all()


@pytest.mark.parametrize("value", ["soon", "", "31.05.2024", "nan", "inf", None])
def test_a_time_that_cannot_be_read_is_refused_with_its_row(value):
    with pytest.raises(InputError) as refused:
        seconds(["2024-05-31", value], "held_out")

    said = f"held_out: the time {value!r} in row 1 cannot be read; write it as in 2024-05-31T14:30"
    assert str(refused.value) == said


def test_times_with_and_without_a_time_zone_are_refused():
    said = (
        r"^the data: the time '2024-05-31T10:00' in row 0 has no time zone, and '2024-05-31T10:00\+03:00' in row 1 "
        r"has a time zone; write all of them alike$"
    )
    with pytest.raises(InputError, match=said):
        seconds(["2024-05-31T10:00", "2024-05-31T10:00+03:00"], "the data")
    with pytest.raises(InputError, match=r"is a number, and '2024-05-31' in row 1 has no time zone"):
        seconds([7, "2024-05-31"], "the data")
