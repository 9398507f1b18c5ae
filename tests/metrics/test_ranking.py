"""AUC, macro AUC, average precision and FPR at a recall: hand cases, scikit-learn, DeLong written out, coverage."""

import numpy as np
import pytest
from scipy.special import ndtr
from sklearn import metrics as oracle

from elsewise.errors import InputError
from elsewise.metrics.ranked import Ranking
from elsewise.metrics.ranking import auc, aupr_in, aupr_out, average_precision, false_positive_rate_at, macro_auc

EVERY = [auc, average_precision, false_positive_rate_at]


def tied_sample(n=300, seed=0):
    """Scores on eleven levels, larger for the positives."""
    rng = np.random.default_rng(seed)
    positives = rng.random(n) < 0.3
    return np.round(rng.beta(2, 3, n) + 0.2 * positives, 1), positives


def soft_rows(n, k, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, k, n)
    z = rng.normal(size=(n, k)) + 1.5 * np.eye(k)[codes]
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), codes


def delong_half_width(scores, positives):
    """Written out as in the paper: all pairs, S10 / m + S01 / n."""
    x, y = scores[positives][:, None], scores[~positives][None, :]
    psi = (x > y) + (x == y) / 2
    variance = psi.mean(axis=1).var(ddof=1) / len(x) + psi.mean(axis=0).var(ddof=1) / y.size
    return 1.959963985 * variance**0.5


def test_auc_by_hand():
    """Pairs won: 0.6 beats 0.1 and ties 0.6; 0.3 beats 0.1 and loses to 0.6: (1 + 1/2 + 1 + 0) / 4."""
    assert auc([0.6, 0.3, 0.6, 0.1], [1, 1, 0, 0]).value == 0.625


def test_auc_of_tied_scores_is_a_half():
    constant = auc(np.zeros(10), np.arange(10) < 3)

    assert (constant.value, constant.low, constant.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_auc_and_its_interval_are_those_of_delong(seed):
    scores, positives = tied_sample(seed=seed)

    interval = auc(scores, positives)

    assert interval.value == pytest.approx(oracle.roc_auc_score(positives, scores), abs=1e-12)
    half = delong_half_width(scores, positives)
    assert (interval.high - interval.value, interval.value - interval.low) == pytest.approx((half, half), rel=1e-8)


def test_auc_interval_covers_the_binormal_truth():
    """Scores N(0, 1) and N(1, 1): the area is Phi(1 / sqrt 2)."""
    rng, truth = np.random.default_rng(0), ndtr(2**-0.5)
    positives = np.arange(120) < 40

    intervals = [auc(rng.normal(size=120) + positives, positives) for _ in range(600)]

    assert 0.92 <= np.mean([e.low <= truth <= e.high for e in intervals]) <= 0.975


def test_swapping_the_classes_mirrors_auc():
    scores, positives = tied_sample()

    there, back = auc(scores, positives), auc(-scores, ~positives)
    mirrored = auc(scores, ~positives)

    assert there.value == pytest.approx(back.value, abs=1e-12)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - there.high, 1 - there.low), abs=1e-12)


def test_auc_with_a_single_positive_says_so_by_its_interval():
    interval = auc([0.9, 0.1, 0.2], [True, False, False])

    assert (interval.value, interval.low, interval.high) == (1, 0, 1)


def test_macro_auc_is_the_mean_over_labels_as_in_scikit_learn():
    p, codes = soft_rows(400, 7, seed=0)

    value = macro_auc(p, codes).value

    assert value == pytest.approx(oracle.roc_auc_score(codes, p, multi_class="ovr", average="macro"), abs=1e-12)


def test_macro_auc_of_more_labels_than_one_block_of_columns():
    p, codes = soft_rows(900, 40, seed=1)

    value = macro_auc(p.astype(np.float32), codes).value

    assert value == pytest.approx(np.mean([auc(p[:, j].astype(np.float32), codes == j).value for j in range(40)]))


def test_macro_auc_of_two_labels_has_the_interval_of_auc():
    """The second column is the mirror of the first, so both areas move together."""
    positive = np.round(np.random.default_rng(0).random(100), 2)
    codes = (np.random.default_rng(1).random(100) < positive).astype(int)

    macro, two_way = macro_auc(np.column_stack([1 - positive, positive]), codes), auc(positive, codes == 1)

    assert (macro.value, macro.low, macro.high) == pytest.approx((two_way.value, two_way.low, two_way.high), abs=1e-9)


def test_macro_auc_interval_is_as_wide_as_the_spread_over_samples():
    """Labels that share rows are not independent; the joint interval knows that."""
    intervals = [macro_auc(*soft_rows(150, 4, seed)) for seed in range(600)]

    spread = np.std([e.value for e in intervals])
    claimed = np.mean([(e.high - e.low) / 2 / 1.96 for e in intervals])
    assert claimed == pytest.approx(spread, rel=0.1)


def test_macro_auc_leaves_out_labels_without_rows():
    p, codes = soft_rows(200, 3, seed=0)
    wider = np.column_stack([p[:, :1], np.zeros(200), p[:, 1:]])

    assert macro_auc(wider, codes + (codes > 0)).value == pytest.approx(macro_auc(p, codes).value, abs=1e-12)


@pytest.mark.parametrize(("p", "codes"), [(np.zeros((0, 3)), []), ([[0.2, 0.8]], [1]), ([[0.2, 0.8]] * 3, [1] * 3)])
def test_macro_auc_with_no_label_left_is_nan(p, codes):
    interval = macro_auc(p, codes)

    assert np.isnan([interval.value, interval.low, interval.high]).all()


def test_macro_auc_with_one_row_of_each_label_claims_nothing():
    interval = macro_auc([[0.8, 0.2], [0.4, 0.6]], [0, 1])

    assert (interval.value, interval.low, interval.high) == (1, 0, 1)


def test_average_precision_names_the_positive_class():
    """Positives at ranks 1 and 3 of 3; with the classes swapped, at rank 2."""
    scores, positives = [0.9, 0.8, 0.7], np.array([True, False, True])

    assert average_precision(scores, positives).value == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(scores, ~positives).value == pytest.approx(1 / 2)


def test_average_precision_of_one_big_tie_is_the_share_of_positives():
    assert average_precision(np.zeros(8), np.arange(8) < 2).value == 0.25


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_handles_ties_as_scikit_learn_does(seed):
    scores, positives = tied_sample(seed=seed)

    value = average_precision(scores, positives).value

    assert value == pytest.approx(oracle.average_precision_score(positives, scores), abs=1e-12)


@pytest.mark.slow
def test_average_precision_interval_covers_the_truth():
    rng = np.random.default_rng(0)

    def draw(n):
        positives = rng.random(n) < 0.3
        return rng.normal(size=n) + positives, positives

    truth = oracle.average_precision_score(*draw(400_000)[::-1])
    intervals = [average_precision(*draw(300)) for _ in range(150)]

    assert 0.88 <= np.mean([e.low <= truth <= e.high for e in intervals]) <= 0.99


def test_false_positive_rate_by_hand():
    """20 positives: the 18th scores 0.9, the 19th 0.3, the last 0.1; 1, 3 and 10 of 10 negatives score so much."""
    positives = np.repeat([True, False], [20, 10])
    scores = np.concatenate([np.full(18, 0.9), [0.3, 0.1], [0.95, 0.5, 0.3], np.full(7, 0.2)])

    assert false_positive_rate_at(scores, positives).value == 0.3
    assert false_positive_rate_at(scores, positives, recall=1).value == 1
    assert false_positive_rate_at(scores, positives, recall=0.9).value == 0.1


def test_false_positive_rate_is_zero_for_scores_in_the_right_direction_only():
    out_of_scope = np.arange(40) < 10
    novelty = np.where(out_of_scope, 1.0, 0.0)

    assert false_positive_rate_at(novelty, out_of_scope).value == 0
    assert false_positive_rate_at(-novelty, out_of_scope).value == 1


@pytest.mark.parametrize("recall", [0.5, 0.7, 0.95, 1.0])
def test_false_positive_rate_is_read_off_the_roc_curve(recall):
    scores, positives = tied_sample()
    false_rates, recalls, _ = oracle.roc_curve(positives, scores, drop_intermediate=False)

    value = false_positive_rate_at(scores, positives, recall=recall).value

    assert value == pytest.approx(false_rates[recalls >= recall - 1e-12][0], abs=1e-12)


@pytest.mark.parametrize("metric", EVERY)
def test_the_order_of_rows_leaves_no_trace(metric):
    scores, positives = tied_sample()
    rows = np.random.default_rng(1).permutation(len(scores))

    value, shuffled = metric(scores, positives), metric(scores[rows], positives[rows])

    assert (shuffled.value, shuffled.low, shuffled.high) == pytest.approx((value.value, value.low, value.high))


@pytest.mark.parametrize("metric", EVERY)
def test_only_the_order_of_scores_matters(metric):
    scores, positives = tied_sample()

    assert metric(np.exp(5 * scores) - 3, positives) == metric(scores, positives)


@pytest.mark.parametrize("metric", EVERY)
def test_repeating_all_rows_keeps_the_value(metric):
    scores, positives = tied_sample()

    assert metric(np.tile(scores, 2), np.tile(positives, 2)).value == pytest.approx(metric(scores, positives).value)


@pytest.mark.parametrize("metric", EVERY)
def test_no_rows_or_no_positives_give_nan(metric):
    for scores, positives in (([], []), ([0.1, 0.2], [False, False])):
        interval = metric(scores, positives)

        assert np.isnan([interval.value, interval.low, interval.high]).all()


def test_without_negatives_only_average_precision_has_a_value():
    assert np.isnan(auc([0.3], [True]).value)
    assert np.isnan(false_positive_rate_at([0.3], [True]).value)
    assert average_precision([0.3], [True]).value == 1


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="scores must not be nan: 1 are, first is row 1"):
        auc([0.1, np.nan], [True, False])
    with pytest.raises(InputError, match="recall must be above 0 and at most 1, got 95"):
        false_positive_rate_at([0.1, 0.2], [True, False], recall=95)


def test_infinite_scores_are_ordinary_scores():
    assert auc([np.inf, 0, -np.inf], [True, False, False]).value == 1
    assert Ranking.of(np.array([-np.inf, np.inf, 0]), np.zeros(3, dtype=bool)).values.tolist() == [np.inf, 0, -np.inf]


def test_both_ways_of_average_precision_name_their_positives():
    rng = np.random.default_rng(0)
    confidence, in_scope = np.round(rng.random(300), 1), rng.random(300) < 0.8

    assert aupr_in(confidence, in_scope).value == pytest.approx(
        oracle.average_precision_score(in_scope, confidence), abs=1e-12
    )
    assert aupr_out(confidence, in_scope).value == pytest.approx(
        oracle.average_precision_score(~in_scope, -confidence), abs=1e-12
    )


def test_average_precision_without_the_other_kind():
    assert aupr_in([0.1, 0.2], [True, True]).value == 1
    assert np.isnan(aupr_out([0.1, 0.2], [True, True]).value)
    assert np.isnan(aupr_in([], []).value)


@pytest.mark.parametrize("metric", [aupr_in, aupr_out])
def test_confidences_that_are_nan_are_refused_by_their_name(metric):
    with pytest.raises(InputError, match="confidence must not be nan: 1 are, first is row 1"):
        metric([0.5, np.nan], [True, False])
