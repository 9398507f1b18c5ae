"""Calibration error: published null values, hand-made bins, interval coverage."""

import tracemalloc

import numpy as np
import pytest

from elsewise.errors import InputError
from elsewise.metrics.calibration import (
    calibration_error,
    classwise_calibration_error,
    debiased_calibration_error,
    reliability,
)

BINNINGS = ["equal_mass", "equal_width"]


def rows(confidence, correct, k=64, dtype=np.float64):
    """Probabilities whose top label is 0 with the given confidence, the rest spread evenly; a wrong row has code 1."""
    c = np.asarray(confidence, dtype=dtype)[:, None]
    p = np.concatenate([c, np.repeat((1 - c) / (k - 1), k - 1, axis=1)], axis=1)
    return p, np.where(correct, 0, 1)


def calibrated(n, rng):
    confidence = rng.beta(3, 0.6, n).clip(0.02, 1)
    return rows(confidence, rng.random(n) < confidence)


def ece(p, codes, **options):
    """The plug-in value alone, from the reliability columns."""
    bins = reliability(p, codes, **options)
    return float(bins.count @ np.abs(bins.confidence - bins.accuracy) / bins.count.sum())


@pytest.mark.parametrize("binning", BINNINGS)
@pytest.mark.parametrize(
    ("n", "samples", "known"), [(200, 300, 0.060), (500, 150, 0.039), (1000, 80, 0.028), (3000, 40, 0.016)]
)
def test_perfect_calibration_measures_the_known_error(n, samples, known, binning):
    rng = np.random.default_rng(0)

    values = [ece(*calibrated(n, rng), binning=binning) for _ in range(samples)]

    assert np.mean(values) == pytest.approx(known, rel=0.1)


@pytest.mark.parametrize(("n", "known"), [(200, 0.060), (1000, 0.028), (10_000, 0.009)])
def test_the_null_value_is_what_perfect_calibration_measures(n, known):
    p, codes = calibrated(n, np.random.default_rng(1))

    assert calibration_error(p, codes).null == pytest.approx(known, rel=0.1)


@pytest.mark.parametrize("binning", BINNINGS)
def test_constant_over_confidence_is_measured(binning):
    p, codes = rows(np.full(1000, 0.9), np.arange(1000) < 700)

    error = calibration_error(p, codes, binning=binning)

    assert error.value == pytest.approx(0.2, abs=1e-12)
    assert 0.17 < error.low < 0.2 < error.high < 0.23
    assert error.null < 0.01


def test_the_null_value_of_one_bin_is_the_mean_deviation_of_a_binomial():
    """E |right / n - 0.9| is about sqrt(2 / pi) * sqrt(0.09 / n)."""
    p, codes = rows(np.full(1000, 0.9), np.arange(1000) < 900)

    assert calibration_error(p, codes).null == pytest.approx((2 / np.pi * 0.09 / 1000) ** 0.5, rel=0.15)


def test_a_base_rate_predictor_is_calibrated():
    p = np.tile([0.5, 0.3, 0.2], (100, 1))

    assert calibration_error(p, np.repeat([0, 1, 2], [50, 30, 20])).value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_width_bins_are_closed_on_the_right_in_every_dtype(dtype):
    """Edges 0.2, 0.4, ... of five bins belong to the bin below; 1.0 to the last; each row counts once."""
    confidence = [0.2, 0.21, 0.4, 0.6, 0.61, 0.8, 1.0, 1.0]

    bins = reliability(*rows(confidence, [True] * 8, dtype=dtype), bins=5, binning="equal_width")

    assert bins.count.tolist() == [1, 2, 1, 2, 2]
    assert bins.confidence == pytest.approx([0.2, 0.305, 0.6, 0.705, 1.0], abs=1e-6)


def test_equal_mass_bins_have_equal_numbers_of_distinct_rows():
    confidence = np.random.default_rng(0).permutation(np.linspace(0.3, 0.9, 60))

    bins = reliability(*rows(confidence, confidence > 0.5))

    assert bins.count.tolist() == [4] * 15
    assert (np.diff(bins.confidence) > 0).all()


def test_equal_confidences_share_a_bin():
    """Six rows at 0.5 among ten, two bins: they stay together, the four others are the rest."""
    confidence = [0.3, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.8, 0.9]

    bins = reliability(*rows(confidence, [False] * 10), bins=2)

    assert sorted(bins.count.tolist()) in ([2, 8], [4, 6])
    assert bins.count.sum() == 10


def test_fewer_rows_than_bins_have_a_bin_each():
    """|0.5 - 1|, |0.75 - 0| and |1 - 1| over three rows."""
    p, codes = rows([0.5, 0.75, 1.0], [True, False, True])

    assert reliability(p, codes).count.tolist() == [1, 1, 1]
    assert calibration_error(p, codes).value == pytest.approx(1.25 / 3)


@pytest.mark.parametrize("binning", BINNINGS)
def test_the_order_of_rows_leaves_no_trace_even_under_ties(binning):
    rng = np.random.default_rng(0)
    confidence = np.round(rng.uniform(0.1, 1, 200), 1)
    p, codes = rows(confidence, rng.random(200) < confidence)
    order = rng.permutation(200)

    assert calibration_error(p[order], codes[order], binning=binning) == calibration_error(p, codes, binning=binning)


@pytest.mark.parametrize("binning", BINNINGS)
def test_repeating_all_rows_keeps_the_value(binning):
    p, codes = calibrated(150, np.random.default_rng(0))

    once, twice = ece(p, codes, binning=binning), ece(np.tile(p, (2, 1)), np.tile(codes, 2), binning=binning)

    assert twice == pytest.approx(once, abs=1e-12)


def test_the_value_is_made_from_the_reliability_columns():
    p, codes = calibrated(500, np.random.default_rng(0))

    for binning in BINNINGS:
        value = calibration_error(p, codes, bins=10, binning=binning).value
        assert value == pytest.approx(ece(p, codes, bins=10, binning=binning), abs=1e-12)


def test_one_bin_compares_the_means():
    p, codes = calibrated(500, np.random.default_rng(0))

    gap = abs(p.max(axis=1).mean() - np.mean(codes == 0))

    assert calibration_error(p, codes, bins=1).value == pytest.approx(gap, abs=1e-12)


def test_the_interval_reaches_zero_for_calibrated_models():
    """Percentiles of the replicates alone would never do so. At most 11 of 120 misses (97.5 % by design)."""
    rng = np.random.default_rng(0)

    errors = [calibration_error(*calibrated(300, rng)) for _ in range(120)]

    assert sum(e.low > 0 for e in errors) <= 11
    assert all(e.low <= e.value <= e.high for e in errors)


@pytest.mark.slow
def test_the_interval_holds_a_real_over_confidence():
    """P(right) = confidence - 0.1, so the noiseless error is 0.1 in any bins."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(120):
        confidence = rng.uniform(0.4, 1, 1000)
        error = calibration_error(*rows(confidence, rng.random(1000) < confidence - 0.1))
        held += error.low <= 0.1 <= error.high

    assert held / 120 >= 0.85


@pytest.mark.parametrize("binning", BINNINGS)
def test_no_rows_give_nan_and_one_row_works(binning):
    nothing = calibration_error(np.zeros((0, 3)), [], binning=binning)
    one = calibration_error([[0.75, 0.25]], [0], binning=binning)

    assert np.isnan(list(nothing.as_dict().values())).all()
    assert len(reliability(np.zeros((0, 3)), [], binning=binning).count) == 0
    assert one.value == 0.25
    assert one.low <= 0.25 <= one.high


def test_wrong_options_are_refused():
    p, codes = rows([0.5], [True])

    with pytest.raises(InputError, match="bins must be at least 1, got 0"):
        calibration_error(p, codes, bins=0)
    with pytest.raises(InputError, match="binning must be 'equal_mass' or 'equal_width', got 'quantile'"):
        reliability(p, codes, binning="quantile")
    with pytest.raises(InputError, match="got -1 in row 0"):
        calibration_error(p, [-1])


def squared(estimate):
    return estimate.value * abs(estimate.value)


def test_the_debiased_square_is_zero_on_average_for_perfect_probabilities():
    rng = np.random.default_rng(0)

    squares = [squared(debiased_calibration_error(*calibrated(500, rng))) for _ in range(300)]

    assert abs(np.mean(squares)) < 3 * np.std(squares) / len(squares) ** 0.5
    assert 0.3 < np.mean(np.array(squares) < 0) < 0.8


@pytest.mark.parametrize("n", [60, 300, 3000])
def test_the_debiased_square_finds_a_constant_over_confidence_at_every_size(n):
    """P(right) = confidence - 0.1: the squared error is 0.01, however few the rows."""
    rng, squares, held = np.random.default_rng(0), [], 0
    for _ in range(200):
        confidence = rng.uniform(0.4, 1, n)
        error = debiased_calibration_error(*rows(confidence, rng.random(n) < confidence - 0.1))
        squares.append(squared(error))
        held += error.low <= 0.1 <= error.high

    assert np.mean(squares) == pytest.approx(0.01, abs=3 * np.std(squares) / 200**0.5)
    assert held / 200 >= 0.88


def test_the_debiased_square_is_that_of_kumar_liang_and_ma_where_confidences_are_discrete():
    """Sum over levels of share * ((c - a)^2 - a (1 - a) / (m - 1))."""
    rng = np.random.default_rng(0)
    confidence = np.repeat([0.5, 0.7, 0.9], 100)
    correct = rng.random(300) < confidence - 0.15
    a = correct.reshape(3, 100).mean(axis=1)
    known = np.mean((np.array([0.5, 0.7, 0.9]) - a) ** 2 - a * (1 - a) / 99)

    assert squared(debiased_calibration_error(*rows(confidence, correct), bins=3)) == pytest.approx(known, abs=1e-12)


def test_the_debiased_error_of_few_rows():
    p, codes = rows([0.6, 0.6, 0.6], [True, True, False])

    assert np.isnan(debiased_calibration_error(np.zeros((0, 3)), []).value)
    assert np.isnan(debiased_calibration_error(p[:1], codes[:1]).value)
    assert debiased_calibration_error(p[:2], codes[:2]).value == pytest.approx(0.4)  # both right: no spread is seen
    # Gap -1/15, variance of three flags 1/3, so 1/225 - 1/9.
    assert squared(debiased_calibration_error(p, codes)) == pytest.approx(1 / 225 - 1 / 9)


@pytest.mark.parametrize(("right", "error"), [(True, 0.25), (False, 0.75)])
def test_calibration_errors_where_all_rows_are_tied_and_right_or_wrong(right, error):
    p, codes = rows([0.75] * 40, [right] * 40, k=2)

    assert debiased_calibration_error(p, codes).value == pytest.approx(error)
    assert classwise_calibration_error(p, codes).value == pytest.approx(error)


def classwise_by_loops(p, codes, bins):
    """The definition, label by label and bin by bin."""
    total, edges = 0.0, np.arange(bins + 1) / bins
    for label in range(p.shape[1]):
        for i in range(bins):
            inside = (p[:, label] > edges[i]) & (p[:, label] <= edges[i + 1]) | ((i == 0) & (p[:, label] == 0))
            if inside.any():
                total += inside.mean() * abs(p[inside, label].mean() - (codes[inside] == label).mean())
    return total / p.shape[1]


@pytest.mark.parametrize("k", [2, 7])
def test_classwise_error_is_its_definition(k):
    rng = np.random.default_rng(0)
    p, codes = rng.dirichlet(np.ones(k), 500), rng.integers(0, k, 500)

    assert classwise_calibration_error(p, codes).value == pytest.approx(classwise_by_loops(p, codes, 15), abs=1e-12)
    assert classwise_calibration_error(p, codes, bins=1).value == pytest.approx(classwise_by_loops(p, codes, 1))


@pytest.mark.parametrize("k", [2, 20])
def test_classwise_null_is_what_perfect_probabilities_measure(k):
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(60):
        p = rng.dirichlet(np.full(k, 0.3), 400)
        codes = (p.cumsum(axis=1) < rng.random((400, 1))).sum(axis=1).clip(max=k - 1)
        errors.append(classwise_calibration_error(p, codes))

    assert np.mean([e.value for e in errors]) == pytest.approx(np.mean([e.null for e in errors]), rel=0.04)
    assert sum(e.low > 0 for e in errors) <= 3


def test_classwise_null_of_one_bin_is_de_moivres():
    """Ten rows of 1/2: E |X - 5| of a fair binomial is 10 C(9, 5) / 2^10... over ten rows."""
    assert classwise_calibration_error([[0.5, 0.5]] * 10, [0] * 5 + [1] * 5).null == pytest.approx(1.23046875 / 10)


def test_classwise_interval_holds_a_real_over_confidence():
    """P(label 0) is 0.7 where 0.9 is said."""
    rng = np.random.default_rng(0)
    errors = [classwise_calibration_error([[0.9, 0.1]] * 300, rng.binomial(1, 0.3, 300)) for _ in range(300)]

    assert np.mean([e.low <= 0.2 <= e.high for e in errors]) >= 0.9
    assert min(e.low for e in errors) > 0


def test_classwise_error_does_not_depend_on_the_names_of_labels_or_the_order_of_rows():
    rng = np.random.default_rng(0)
    p, codes = rng.dirichlet(np.ones(5), 300), rng.integers(0, 5, 300)
    labels, order = rng.permutation(5), rng.permutation(300)

    renamed = classwise_calibration_error(p[order][:, np.argsort(labels)], labels[codes[order]])

    assert renamed.as_dict() == pytest.approx(classwise_calibration_error(p, codes).as_dict(), abs=1e-12)


def test_classwise_error_in_float32_and_float64_and_in_blocks():
    """Two decimals, many of them on edges of 20 bins; 30,000 x 10 is more than a block."""
    rng = np.random.default_rng(0)
    p, codes = rng.multinomial(50, np.full(10, 0.1), 30_000) / 50, rng.integers(0, 10, 30_000)

    single, double = (classwise_calibration_error(p.astype(d), codes, bins=20) for d in (np.float32, np.float64))

    assert single.value == pytest.approx(double.value, rel=1e-5)
    assert double.value == pytest.approx(classwise_by_loops(p, codes, 20), rel=1e-9)


def test_classwise_error_of_no_rows_one_row_and_ten_thousand_labels():
    nothing = classwise_calibration_error(np.zeros((0, 3)), [])
    one = classwise_calibration_error([[0.75, 0.25]], [0])
    p = np.full((40, 10_000), 1e-4, dtype=np.float32)
    many = classwise_calibration_error(p, np.arange(40))

    assert np.isnan(list(nothing.as_dict().values())).all()
    assert (one.value, one.low, one.high) == (0.25, 0, 1)
    # 40 labels have a row each, 1/40 against 1e-4; the others none.
    assert many.value == pytest.approx((40 * (1 - 40e-4) + 9960 * 40e-4) / 40 / 10_000, rel=1e-6)
    with pytest.raises(InputError, match="bins must be at least 1, got 0"):
        classwise_calibration_error([[0.75, 0.25]], [0], bins=0)


def test_classwise_error_never_copies_the_rows():
    p = np.random.default_rng(0).dirichlet(np.ones(200), 30_000).astype(np.float32)
    codes = np.zeros(len(p), dtype=np.int64)

    tracemalloc.start()
    classwise_calibration_error(p, codes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < p.nbytes / 2
