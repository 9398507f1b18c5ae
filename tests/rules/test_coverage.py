"""A threshold by coverage: as many texts as were asked for."""

import numpy as np
import pytest

from elsewise.errors import InputError
from elsewise.rules import TargetCoverage
from elsewise.scores import Margin

ROWS = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])


@pytest.mark.parametrize(
    ("coverage", "threshold"), [(0, np.inf), (0.01, 0.9), (0.25, 0.9), (0.26, 0.8), (0.5, 0.8), (0.75, 0.7), (1, 0.6)]
)
def test_the_threshold_is_the_confidence_of_the_last_text_answered(coverage, threshold):
    rule = TargetCoverage.fit(ROWS, coverage=coverage)

    assert rule.threshold == threshold
    assert rule(ROWS).coverage == np.ceil(4 * coverage) / 4
    assert rule.certificate is None


def test_ties_answer_more_than_was_asked_for():
    rule = TargetCoverage.fit([[0.9, 0.1], [0.8, 0.2], [0.8, 0.2], [0.2, 0.8]], coverage=0.5)

    assert rule.threshold == 0.8
    assert rule([[0.8, 0.2]] * 3).coverage == 1


def test_rounding_never_asks_for_one_text_more():
    """0.07 of 100 is 7.000000000000001 in floating point."""
    p = np.linspace(0.5, 1, 100)

    assert TargetCoverage.fit(np.column_stack([p, 1 - p]), coverage=0.07)(np.column_stack([p, 1 - p])).coverage == 0.07


def test_unreadable_texts_count_as_texts_and_are_never_answered():
    rows = np.vstack([ROWS, [[np.nan, np.nan]] * 4])

    assert TargetCoverage.fit(rows, coverage=0.25).threshold == 0.8
    assert TargetCoverage.fit(rows, coverage=1).threshold == 0.6


def test_another_score_may_be_asked_for():
    assert TargetCoverage.fit(ROWS, coverage=0.25, score=Margin()).threshold == pytest.approx(0.8)


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(InputError, match=r"^coverage must lie in 0\.\.1, got 95$"):
        TargetCoverage.fit(ROWS, coverage=95)
    for nothing in (np.zeros((0, 2)), [[np.nan, np.nan]]):
        with pytest.raises(InputError, match=r"^coverage needs at least one text that can be read, got none$"):
            TargetCoverage.fit(nothing, coverage=0.5)
