"""What is done behind: its result is given once, and what fails is raised and never waited for."""

import pytest

from elsewise.batch.behind import Behind


class FullError(Exception):
    """What fails in these tests."""


def fails():
    raise FullError


def begun_and_taken(behind):
    behind.begin(fails)
    return list(behind.results())


@pytest.mark.parametrize("overlaps", [True, False])
def test_a_result_is_given_once(overlaps):
    with Behind(overlaps=overlaps) as behind:
        behind.begin(lambda: 7)

        assert [*behind.results(), *behind.results()] == [7]


@pytest.mark.parametrize("overlaps", [True, False])
def test_what_fails_is_raised_once_and_leaves_nothing_to_wait_for(overlaps):
    with Behind(overlaps=overlaps) as behind:
        with pytest.raises(FullError):
            begun_and_taken(behind)

        assert list(behind.results()) == []
