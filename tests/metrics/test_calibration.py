"""Calibration error: published null values, hand-made bins, interval coverage."""

import numpy as np
import pytest

from elsewise.errors import InputError
from elsewise.metrics.calibration import calibration_error, reliability

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
