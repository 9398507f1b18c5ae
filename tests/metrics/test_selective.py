"""Risk-coverage areas against closed forms, all orders of small ties, and invariances."""

from itertools import permutations

import numpy as np
import pytest

from elsewise.errors import InputError
from elsewise.metrics.ranked import Ranking
from elsewise.metrics.ranking import auc
from elsewise.metrics.selective import (
    _areas,
    accuracies_at_coverages,
    accuracies_of,
    accuracy_at_coverage,
    augrc,
    augrc_of,
    aurc,
    coverage_at_accuracy,
    coverage_of,
    e_aurc,
    risk_coverage_areas,
    risk_coverage_curve,
)

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


@pytest.mark.slow
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


def test_the_excess_is_what_is_above_the_oracle():
    """AURC of the oracle 0.0052255183, of the worst order 0.3298093343, of a useless one r = 0.1 (n = 1000)."""
    assert e_aurc(-np.arange(N), LAST_K_WRONG).value == pytest.approx(0, abs=1e-12)
    assert e_aurc(np.arange(N), LAST_K_WRONG).value == pytest.approx(0.3298093343 - 0.0052255183, abs=1e-10)
    assert e_aurc(np.zeros(N), LAST_K_WRONG).value == pytest.approx(0.1 - 0.0052255183, abs=1e-10)


def test_the_excess_of_a_replicate_is_above_the_oracle_of_that_replicate():
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(80), rng.random(80) < 0.7
    order = np.argsort(-confidence)

    excess = e_aurc(confidence, correct)

    oracle = by_definition(np.sort(correct)[::-1])[0]
    assert excess.value == pytest.approx(by_definition(correct[order])[0] - oracle, abs=1e-12)
    assert 0 < excess.low < excess.value < excess.high


@pytest.mark.parametrize("correct", [[], [True], [False], [True] * 9, [False] * 9])
def test_the_excess_is_zero_where_no_order_could_be_better(correct):
    excess = e_aurc(np.arange(len(correct)), correct).value

    assert np.isnan(excess) if not correct else excess == 0


@pytest.mark.parametrize("ties", [[3, 3, 2, 2, 2, 1], [1, 1, 1, 1, 1, 1], [4, 3, 3, 3, 3, 2]])
def test_accuracy_at_a_coverage_is_the_mean_over_the_orders_of_ties(ties):
    confidence, correct = np.array(ties), np.array([1, 0, 0, 1, 1, 0])
    orders = [list(o) for o in permutations(range(6)) if (np.diff(confidence[list(o)]) <= 0).all()]

    for rows in range(1, 7):
        known = np.mean([correct[o][:rows].mean() for o in orders])
        assert accuracy_at_coverage(confidence, correct, rows / 6).value == pytest.approx(known, abs=1e-12)


def test_points_agree_with_the_curve():
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(300), rng.random(300) < 0.7
    curve = risk_coverage_curve(confidence, correct)

    for share in (0.1, 0.35, 0.8, 1.0):
        at = np.searchsorted(curve.coverage, share - 1e-12)
        assert accuracy_at_coverage(confidence, correct, share).value == pytest.approx(1 - curve.risk[at])
    for accuracy in (0.65, 0.7, 0.75):
        known = curve.coverage[1 - curve.risk >= accuracy - 1e-12].max(initial=0)
        assert coverage_at_accuracy(confidence, correct, accuracy).value == pytest.approx(known)


def test_several_coverages_are_each_what_one_is():
    rng = np.random.default_rng(0)
    confidence, correct = np.round(rng.random(200), 1), rng.random(200) < 0.7

    several = accuracies_at_coverages(confidence, correct, (0.3, 0.9))

    assert several == (accuracy_at_coverage(confidence, correct, 0.3), accuracy_at_coverage(confidence, correct, 0.9))


def test_points_with_nan_confidences():
    """Five rows, two of them nan: never answered, and last in the order."""
    confidence, correct = [0.9, 0.8, np.nan, 0.7, np.nan], [True, True, False, True, False]

    assert accuracy_at_coverage(confidence, correct, 0.6).value == 1
    assert accuracy_at_coverage(confidence, correct, 1.0).value == 0.6
    assert coverage_at_accuracy(confidence, correct, 0.5).value == 0.6
    assert coverage_at_accuracy([np.nan] * 3, [True] * 3, 0.5).value == 0


@pytest.mark.parametrize(("right", "coverage"), [(True, 1), (False, 0)])
@pytest.mark.parametrize("n", [1, 40])
def test_points_where_all_rows_are_tied_and_right_or_wrong(n, right, coverage):
    confidence, correct = np.full(n, 0.5), np.full(n, right)

    assert coverage_at_accuracy(confidence, correct, 0.95).value == coverage
    assert accuracy_at_coverage(confidence, correct, 0.5).value == coverage


def test_ties_are_answered_together_or_not_at_all():
    """Nine of the ten tied rows are right: 0.9, and never the nine alone."""
    assert coverage_at_accuracy(np.zeros(10), np.arange(10) > 0, 0.9).value == 1
    assert coverage_at_accuracy(np.zeros(10), np.arange(10) > 0, 0.91).value == 0


@pytest.mark.slow
def test_intervals_of_points_hold_the_truth():
    """P(correct) = confidence, uniform on 1/2..1: the surest half has accuracy 7/8, the surest 4/5 has 0.8."""
    rng = np.random.default_rng(0)
    accuracy, coverage = [], []
    for _ in range(100):
        confidence = rng.uniform(0.5, 1, 400)
        correct = rng.random(400) < confidence
        accuracy.append(accuracy_at_coverage(confidence, correct, 0.5))
        coverage.append(coverage_at_accuracy(confidence, correct, 0.8))

    assert np.mean([e.low <= 0.875 <= e.high for e in accuracy]) >= 0.88
    assert np.mean([e.low <= 0.8 <= e.high for e in coverage]) >= 0.85


def test_points_of_no_rows_and_shares_out_of_range():
    assert np.isnan(accuracy_at_coverage([], [], 0.5).value)
    assert np.isnan(coverage_at_accuracy([], [], 0.5).value)
    with pytest.raises(InputError, match="coverage must be above 0 and at most 1, got 0"):
        accuracy_at_coverage([0.5], [True], 0)
    with pytest.raises(InputError, match=r"accuracy must be above 0 and at most 1, got 1\.5"):
        coverage_at_accuracy([0.5], [True], 1.5)


def test_replicates_in_a_block_give_what_each_gives_alone():
    rng = np.random.default_rng(0)
    ranking = Ranking.of(rng.integers(0, 9, 40).astype(float), rng.random(40) < 0.7)
    weights = np.vstack([rng.poisson(1, (5, len(ranking.counts))), np.zeros((1, len(ranking.counts)))])
    known, wanted = ranking.values[ranking.ends] > 0, np.array([0.5, 1.0])

    right, wrong = ranking.cumulate(weights)

    for i, alone in enumerate(map(ranking.cumulate, weights)):
        np.testing.assert_array_equal((right[i], wrong[i]), alone)
        np.testing.assert_array_equal(augrc_of(right, wrong)[i], augrc_of(*alone))
        np.testing.assert_array_equal(accuracies_of(right, wrong, wanted)[i], accuracies_of(*alone, wanted))
        np.testing.assert_array_equal(coverage_of(right, wrong, known, 0.7)[i], coverage_of(*alone, known, 0.7))
    assert np.isnan(augrc_of(right, wrong)[-1])
