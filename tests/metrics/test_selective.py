"""Risk-coverage areas against closed forms, all orders of small ties, and invariances."""

from itertools import permutations

import numpy as np
import pytest

from elsewise.errors import InputError
from elsewise.metrics.intervals import Ranking
from elsewise.metrics.ranking import auc
from elsewise.metrics.selective import _areas, augrc, aurc, risk_coverage_areas, risk_coverage_curve

N, K = 1000, 100
LAST_K_WRONG = np.arange(N) < N - K


def values(confidence, correct):
    """Both areas without their bootstraps."""
    ranking = Ranking.of(np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool))
    harmonic = np.append(0.0, np.cumsum(1 / np.arange(1.0, 2 * ranking.counts.sum() + 1)))
    return _areas(ranking, ranking.counts, harmonic)


def by_definition(correct):
    """AURC and AUGRC of rows already in order, as sums over i."""
    wrong = np.cumsum(1 - np.asarray(correct, dtype=float))
    n = len(wrong)
    return np.mean(wrong / np.arange(1, n + 1)), np.mean(wrong) / n


def test_the_oracle_has_the_closed_form_aurc_and_augrc():
    areas = risk_coverage_areas(-np.arange(N), LAST_K_WRONG)

    assert areas.aurc.value == pytest.approx(0.0052255183, abs=5e-11)
    assert areas.augrc.value == pytest.approx(0.00505, abs=1e-12)


def test_the_worst_order_has_the_closed_form_aurc():
    assert aurc(np.arange(N), LAST_K_WRONG).value == pytest.approx(0.3298093343, abs=5e-11)


def test_equal_confidences_have_the_areas_of_a_random_order():
    """AURC is r = 0.1 and AUGRC is r (n + 1) / (2n), exactly."""
    areas = risk_coverage_areas(np.full(N, 0.7), LAST_K_WRONG)

    assert areas.aurc.value == pytest.approx(0.1, abs=1e-12)
    assert areas.augrc.value == pytest.approx(0.05005, abs=1e-12)


def test_random_orders_have_these_areas_on_average():
    rng = np.random.default_rng(0)

    areas = [values(rng.random(N), LAST_K_WRONG) for _ in range(500)]

    assert np.mean([a["aurc"] for a in areas]) == pytest.approx(0.1, abs=0.003)
    assert np.mean([a["augrc"] for a in areas]) == pytest.approx(0.05005, abs=0.0015)


def test_augrc_without_ties_follows_from_the_auroc_of_errors():
    """AUGRC = r (1 - r) (1 - AUROC) + r^2 / 2 + r / (2n)."""
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(500), rng.random(500) < 0.8
    r, area = 1 - correct.mean(), auc(confidence, correct).value

    value = augrc(confidence, correct).value

    assert value == pytest.approx(r * (1 - r) * (1 - area) + r * r / 2 + r / 1000, abs=1e-12)


@pytest.mark.parametrize("ties", [[3, 3, 2, 2, 2, 1], [1, 1, 1, 1, 1, 1], [4, 3, 3, 3, 3, 2]])
def test_ties_count_with_the_mean_over_all_their_orders(ties):
    confidence, correct = np.array(ties, dtype=float), np.array([1, 0, 0, 1, 1, 0])
    orders = [
        by_definition(correct[list(o)]) for o in permutations(range(6)) if (np.diff(confidence[list(o)]) <= 0).all()
    ]

    areas = values(confidence, correct)

    assert (areas["aurc"], areas["augrc"]) == pytest.approx(tuple(np.mean(orders, axis=0)), abs=1e-12)


def test_the_order_of_rows_leaves_no_trace_not_even_in_the_interval():
    rng = np.random.default_rng(0)
    confidence, correct, rows = rng.integers(0, 9, 200), rng.random(200) < 0.8, rng.permutation(200)

    assert risk_coverage_areas(confidence[rows], correct[rows]) == risk_coverage_areas(confidence, correct)


def test_increasing_transforms_change_nothing():
    rng = np.random.default_rng(0)
    confidence, correct = rng.integers(0, 50, 200) / 50, rng.random(200) < 0.8

    assert risk_coverage_areas(np.log(confidence + 1e-3), correct) == risk_coverage_areas(confidence, correct)


def test_a_weight_of_two_is_a_row_that_is_there_twice():
    rng = np.random.default_rng(0)
    confidence, correct = rng.integers(0, 9, 60), rng.random(60) < 0.8
    ranking = Ranking.of(confidence.astype(float), correct)
    harmonic = np.append(0.0, np.cumsum(1 / np.arange(1.0, 200)))

    doubled = _areas(ranking, 2 * ranking.counts, harmonic)

    assert doubled == pytest.approx(values(np.tile(confidence, 2), np.tile(correct, 2)), abs=1e-12)


def test_nan_ranks_as_one_tie_below_everything():
    with_nan = [0.9, np.nan, -np.inf, np.nan, 0.5]
    correct = [True, False, False, True, True]

    areas = risk_coverage_areas(with_nan, correct)

    same = risk_coverage_areas([3, 0, 1, 0, 2], correct)
    assert areas == same


def test_the_curve_lists_each_threshold_once_and_never_answers_nan():
    curve = risk_coverage_curve([0.5, 0.9, np.nan, 0.5, 0.5], [True, False, True, False, True])

    assert curve.threshold.tolist() == [0.9, 0.5]
    assert curve.coverage.tolist() == [0.2, 0.8]
    assert curve.risk.tolist() == [1.0, 0.5]


def test_the_curve_is_what_the_threshold_rule_does():
    rng = np.random.default_rng(0)
    confidence, correct = np.round(rng.random(300), 2), rng.random(300) < 0.7

    curve = risk_coverage_curve(confidence, correct)

    answered = confidence >= curve.threshold[:, None]
    assert curve.coverage == pytest.approx(answered.mean(axis=1))
    assert curve.risk == pytest.approx((answered & ~correct).sum(axis=1) / answered.sum(axis=1))


def test_the_mean_of_the_curve_without_ties_is_aurc():
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(300), rng.random(300) < 0.7

    assert risk_coverage_curve(confidence, correct).risk.mean() == pytest.approx(aurc(confidence, correct).value)


def test_intervals_hold_the_truth():
    """P(correct) = confidence, uniform on 1/2..1; truth from 300,000 rows."""
    rng = np.random.default_rng(0)

    def draw(n):
        confidence = rng.uniform(0.5, 1, n)
        return confidence, rng.random(n) < confidence

    truth = values(*draw(300_000))
    areas = [risk_coverage_areas(*draw(300)) for _ in range(150)]

    for name in ("aurc", "augrc"):
        held = [getattr(a, name).low <= truth[name] <= getattr(a, name).high for a in areas]
        assert 0.88 <= np.mean(held) <= 0.99


def test_no_rows_give_nan_and_an_empty_curve():
    areas, curve = risk_coverage_areas([], []), risk_coverage_curve([], [])

    assert np.isnan([areas.aurc.value, areas.augrc.value]).all()
    assert (len(curve.coverage), len(curve.risk), len(curve.threshold)) == (0, 0, 0)


def test_rows_that_are_all_nan_make_an_empty_curve_and_areas_of_chance():
    curve, areas = risk_coverage_curve([np.nan] * 2, [1, 0]), risk_coverage_areas([np.nan] * 2, [1, 0])

    assert len(curve.coverage) == 0
    assert (areas.aurc.value, areas.augrc.value) == (0.5, 0.375)


@pytest.mark.parametrize(("correct", "area"), [(True, 0), (False, 1)])
def test_one_row_works(correct, area):
    areas = risk_coverage_areas([0.3], [correct])

    assert (areas.aurc.value, areas.augrc.value) == (area, area)


def test_flags_that_are_neither_true_nor_false_are_refused():
    with pytest.raises(InputError, match="correct must be true or false"):
        aurc([0.5], [0.5])
