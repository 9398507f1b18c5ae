"""A threshold set by hand: exact, and without a promise."""

import numpy as np
import pytest

from elsewise.errors import InputError
from elsewise.rules import FixedThreshold
from elsewise.scores import Margin


def test_a_text_exactly_at_the_threshold_is_answered():
    below = np.nextafter(0.6, 0)

    decisions = FixedThreshold(0.6)([[0.6, 0.4], [below, 1 - below], [0.3, 0.7]])

    assert decisions.labels == ["0", "Other", "1"]


def test_float32_probabilities_are_compared_unrounded():
    """0.6 in float32 is a little above 0.6, and 0.7 a little below 0.7."""
    p = np.array([[0.6, 0.4], [0.7, 0.3]], dtype=np.float32)

    assert FixedThreshold(0.6)(p).abstained.tolist() == [False, False]
    assert FixedThreshold(0.7)(p).abstained.tolist() == [True, True]


def test_fitting_keeps_the_threshold_and_the_score():
    rule = FixedThreshold.fit([[0.9, 0.1]], [0], threshold=0.75, score=Margin())

    assert rule == FixedThreshold(0.75, Margin())
    assert rule.certificate is None
    assert FixedThreshold.fit([[0.9, 0.1]], [0]).threshold == 0.6


def test_an_unreadable_text_is_other_at_any_threshold():
    assert FixedThreshold(-np.inf)([[np.nan, np.nan], [0.5, 0.5]]).labels == ["Other", "0"]


def test_nan_is_no_threshold():
    with pytest.raises(InputError, match=r"^threshold must be a number, got nan$"):
        FixedThreshold(float("nan"))


def test_a_margin_bars_close_calls():
    rule = FixedThreshold(0.4, ambiguity_margin=0.25)

    assert rule([[0.5, 0.25, 0.25], [0.5, 0.375, 0.125]]).reasons.tolist() == ["answered", "ambiguous"]


@pytest.mark.parametrize("margin", [-0.1, 1.1, float("nan")])
def test_a_margin_that_is_no_share_is_refused(margin):
    with pytest.raises(InputError, match=r"^ambiguity_margin must lie in 0\.\.1, got"):
        FixedThreshold(0.4, ambiguity_margin=margin)
