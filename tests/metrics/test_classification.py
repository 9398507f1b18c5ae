"""Accuracy, macro-F1, log loss and Brier score against hand cases, scikit-learn and invariances."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from elsewise.errors import InputError
from elsewise.metrics.classification import accuracy, brier, log_loss, macro_f1
from elsewise.metrics.intervals import wilson

EVERY = [accuracy, macro_f1, log_loss, brier]
HAND = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])


def sample(n, k, seed=0, sharpness=1.0):
    """Calibrated rows: codes are drawn from the probabilities themselves."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(k, 1 / sharpness), size=n)
    codes = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=k - 1)
    return p, codes


def test_accuracy_is_the_wilson_interval_of_the_hits():
    """Hits: rows 0 and 3, and row 2 by taking the first of two equal labels."""
    assert accuracy(HAND, [0, 0, 0, 2]) == wilson(3, 4)


def test_accuracy_counts_out_of_scope_rows_as_wrong():
    assert accuracy(HAND, [0, 1, 0, -1]).value == 0.75


@pytest.mark.parametrize("metric", [macro_f1, log_loss, brier])
def test_the_others_refuse_out_of_scope_rows(metric):
    with pytest.raises(InputError, match=r"codes must lie in 0\.\.2, got -1 in row 3"):
        metric(HAND, [0, 1, 0, -1])


def test_log_loss_and_brier_by_hand():
    """Row losses: ln 2, ln 4/3, ln 2, 0 and (.25+.0625+.0625), (.0156+.0625+.0156), (.25+.25), 0."""
    codes = [0, 1, 1, 2]

    assert log_loss(HAND, codes).value == pytest.approx((2 * np.log(2) + np.log(4 / 3)) / 4, abs=1e-15)
    assert brier(HAND, codes).value == pytest.approx((0.375 + 0.09375 + 0.5) / 4, abs=1e-15)


def test_the_worst_brier_score_is_two():
    assert brier([[1.0, 0.0], [1.0, 0.0]], [1, 1]).value == 2


@pytest.mark.parametrize(("dtype", "loss"), [(np.float32, 126 * np.log(2)), (np.float64, 1022 * np.log(2))])
def test_a_probability_of_zero_costs_a_finite_log_loss(dtype, loss):
    """The smallest normal numbers are 2^-126 and 2^-1022."""
    p = np.array([[1, 0], [1, 0]], dtype=dtype)

    assert log_loss(p, [1, 1]).value == pytest.approx(loss)


def test_a_base_rate_predictor_loses_the_entropy():
    rates = np.array([0.5, 0.3, 0.2])
    codes = np.repeat([0, 1, 2], [50, 30, 20])

    assert log_loss(np.tile(rates, (100, 1)), codes).value == pytest.approx(-(rates @ np.log(rates)))


def test_all_agree_with_scikit_learn():
    p, codes = sample(500, 6)
    best = p.argmax(axis=1)

    assert accuracy(p, codes).value == pytest.approx(oracle.accuracy_score(codes, best))
    assert macro_f1(p, codes).value == pytest.approx(oracle.f1_score(codes, best, average="macro"))
    assert log_loss(p, codes).value == pytest.approx(oracle.log_loss(codes, p, labels=range(6)))
    assert brier(p, codes).value == pytest.approx(
        oracle.brier_score_loss(codes, p, labels=range(6), scale_by_half=False)
    )


def test_macro_f1_leaves_out_labels_that_never_occur_and_counts_missed_ones_as_zero():
    """Label 0: F1 1. Label 1 is only true, label 2 only predicted, label 3 neither: (1 + 0 + 0) / 3."""
    p = np.eye(4)[[0, 0, 2]]

    assert macro_f1(p, [0, 0, 1]).value == pytest.approx(1 / 3)


def test_the_macro_f1_interval_holds_the_truth():
    """Truth from 200,000 rows of the same source; 40 samples of 400 rows, at most 6 misses (99.6 %)."""
    truth = macro_f1(*sample(200_000, 4, seed=1)).value

    intervals = [macro_f1(*sample(400, 4, seed=seed)) for seed in range(2, 42)]

    assert sum(not e.low <= truth <= e.high for e in intervals) <= 6


def test_the_macro_f1_interval_holds_the_truth_for_many_labels_with_few_rows():
    """50 labels, 6 rows each: percentiles would miss in 37 of 100 samples; at most 12 misses here."""

    def draw(n, seed):
        rng = np.random.default_rng(seed)
        codes = rng.integers(0, 50, n)
        z = np.exp(rng.normal(size=(n, 50)) + 3 * np.eye(50)[codes])
        return z / z.sum(axis=1, keepdims=True), codes

    truth = macro_f1(*draw(40_000, seed=0)).value

    intervals = [macro_f1(*draw(300, seed)) for seed in range(1, 101)]

    assert sum(not e.low <= truth <= e.high for e in intervals) <= 12


def test_normal_intervals_hold_the_truth():
    truth = [metric(*sample(200_000, 4, seed=1)).value for metric in (log_loss, brier)]

    for metric, value in zip((log_loss, brier), truth, strict=True):
        intervals = [metric(*sample(200, 4, seed=seed)) for seed in range(2, 202)]
        assert 0.90 <= np.mean([e.low <= value <= e.high for e in intervals]) <= 0.99


@pytest.mark.parametrize("metric", EVERY)
def test_the_order_of_rows_and_labels_does_not_matter(metric):
    p, codes = sample(200, 5)
    rows, labels = np.random.default_rng(1).permutation(200), np.array([3, 0, 4, 1, 2])

    shuffled = metric(p[rows], codes[rows])
    renamed = metric(p[:, labels], np.argsort(labels)[codes])

    value = metric(p, codes).value
    assert shuffled.value == pytest.approx(value, rel=1e-12)
    assert renamed.value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("metric", EVERY)
def test_repeating_all_rows_keeps_the_value_and_narrows_the_interval(metric):
    p, codes = sample(200, 5)

    once, four_times = metric(p, codes), metric(np.tile(p, (4, 1)), np.tile(codes, 4))

    assert four_times.value == pytest.approx(once.value, rel=1e-12)
    assert (four_times.high - four_times.low) / (once.high - once.low) == pytest.approx(0.5, rel=0.25)


@pytest.mark.parametrize("metric", EVERY)
def test_float32_agrees_with_float64(metric):
    p, codes = sample(200, 5)

    single = metric(p.astype(np.float32), codes)

    assert single.value == pytest.approx(metric(p.astype(np.float32).astype(np.float64), codes).value, rel=1e-6)


@pytest.mark.parametrize("metric", EVERY)
def test_no_rows_give_nan_and_one_row_a_number_inside_its_interval(metric):
    nothing, one = metric(np.zeros((0, 3)), []), metric([[0.7, 0.2, 0.1]], [0])

    assert np.isnan(nothing.value)
    assert one.low <= one.value <= one.high
