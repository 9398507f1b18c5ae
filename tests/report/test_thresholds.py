"""Counts at every threshold: exact, whatever threshold is asked for, of all rows and by label."""

import numpy as np
import pytest

from elsewise.report.thresholds import ThresholdCounts, placed
from support.reported import of_logits


@pytest.fixture(scope="module")
def judged():
    return of_logits().provenance.judged.judged


def counted(judged, threshold, label=None):
    """The answers at a threshold and the errors among them, by comparing each row."""
    answered = judged.decisions.confidence >= threshold
    if label is not None:
        answered &= judged.decisions.best == label
    return int(answered.sum()), int((answered & ~judged.answers.correct).sum())


def test_counts_are_exact_at_every_threshold_and_between_them(judged):
    counts = ThresholdCounts.of(judged)

    for threshold in np.random.default_rng(0).random(200):
        at = int(np.searchsorted(counts.thresholds, threshold))
        assert (counts.whole.answered[at], counts.whole.wrong[at]) == counted(judged, threshold)
        for code, own in enumerate(counts.labels):
            assert (own.answered[at], own.wrong[at]) == counted(judged, threshold, code)


def test_labels_add_up_to_the_whole(judged):
    counts = ThresholdCounts.of(judged)

    assert np.array_equal(sum(own.answered for own in counts.labels), counts.whole.answered)
    assert np.array_equal(sum(own.wrong for own in counts.labels), counts.whole.wrong)
    assert counts.would_get.sum() == counts.rows == len(judged)


def test_few_thresholds_are_as_exact_as_many(judged):
    few = ThresholdCounts.of(judged, wanted=[0.4321], most=20)

    assert len(few.thresholds) <= 23
    for at, threshold in enumerate(few.thresholds):
        assert (few.whole.answered[at], few.whole.wrong[at]) == counted(judged, threshold)
    at = few.place(0.4321)
    assert (few.whole.answered[at], few.whole.wrong[at]) == counted(judged, 0.4321)


def test_the_ends_answer_everything_and_nothing(judged):
    counts = ThresholdCounts.of(judged)

    assert counts.thresholds[[0, -1]].tolist() == [-np.inf, np.inf]
    assert counts.whole.answered[[0, -1]].tolist() == [np.sum(~np.isnan(judged.decisions.confidence)), 0]
    assert counts.nearest_coverage(1.0) == 0
    assert counts.whole.answered[counts.nearest_coverage(0.5)] >= len(judged) / 2
    assert counts.whole.answered[counts.nearest_coverage(0.5) + 1] < len(judged) / 2


def test_packed_counts_hold_what_they_pack(judged):
    counts = ThresholdCounts.of(judged)
    n = np.zeros(len(counts.thresholds), dtype=int)
    at = 0
    for step, rows, _ in np.array(counts.whole.packed).reshape(-1, 3):
        at += step
        n[at] = rows

    assert np.array_equal(n, counts.whole.n)


def test_infinite_confidences_need_no_threshold_of_their_own():
    assert placed(np.array([np.inf, -np.inf]), [], 10).tolist() == [-np.inf, np.inf]
