"""Paired differences: against scipy's exact test, by hand, and against known truth."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from elsewise.errors import InputError
from elsewise.metrics import auc_difference, macro_auc, macro_auc_difference, mcnemar, simultaneous_differences
from elsewise.metrics.paired import paired_counts
from elsewise.metrics.ranked import Ranking


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (1, 0), (5, 0), (6, 0), (3, 9), (40, 61), (500, 430)])
def test_the_p_value_is_that_of_the_exact_binomial_test(only_first, only_second):
    first = np.repeat([1, 0, 1], [only_first, only_second, 50])
    second = np.repeat([0, 1, 1], [only_first, only_second, 50])

    pair = mcnemar(first, second)

    apart = only_first + only_second
    assert pair.p_value == pytest.approx(binomtest(only_first, apart, 0.5).pvalue if apart else 1.0, rel=1e-9)
    assert (pair.only_first, pair.only_second) == (only_first, only_second)


def test_the_interval_leaves_out_zero_only_where_the_exact_test_does():
    for level in (0.9, 0.95, 0.99):
        for apart in range(40):
            for only_first in range(apart + 1):
                pair = paired_counts(only_first, apart - only_first, 60, level=level)
                leaves_out = pair.difference.low > 0 or pair.difference.high < 0

                assert not leaves_out or pair.p_value <= 1 - level + 1e-12


@pytest.mark.parametrize("n", [1, 3, 10, 100, 5000])
def test_rows_that_all_agree_do_not_rule_out_a_difference(n):
    """A share of differing rows of 2.5 / n would give no such row in 8 % of draws."""
    same, apart = paired_counts(0, 0, n).difference, paired_counts(n, 0, n).difference

    assert (same.value, same.low) == (0, -same.high)
    assert min(1.0, 2.5 / (n + 2)) < same.high < 3 / n
    assert apart.low < 1 - 1 / (n + 2)


def test_swapping_the_two_turns_the_sign():
    pair, swapped = (paired_counts(*counts, 100).difference for counts in ((12, 3), (3, 12)))

    assert (swapped.value, swapped.low, swapped.high) == pytest.approx((-pair.value, -pair.high, -pair.low), abs=1e-15)


@pytest.mark.parametrize("shares", [(0.02, 0.02), (0.1, 0.02), (0.3, 0.0), (0.25, 0.2)])
def test_the_interval_of_a_paired_difference_holds_the_truth(shares):
    n, trials = 150, 2000
    drawn = np.random.default_rng(0).multinomial(n, [*shares, 1 - sum(shares)], size=trials)

    intervals = [paired_counts(int(a), int(b), n).difference for a, b, _ in drawn]

    misses = sum(not e.low <= shares[0] - shares[1] <= e.high for e in intervals)
    assert misses <= binom.ppf(0.999, trials, 0.05)


def test_no_rows_show_nothing_and_flags_are_checked():
    empty = mcnemar([], [])

    assert np.isnan(empty.difference.value)
    assert empty.p_value == 1
    with pytest.raises(InputError, match="shapes \\(2,\\) and \\(1,\\)"):
        mcnemar([1, 0], [1])
    with pytest.raises(InputError, match="flags must be true or false"):
        mcnemar([0.5], [1])


@pytest.mark.slow
def test_intervals_of_all_pairs_hold_together():
    """Five means of the same spread: at least 95 % of draws have all ten differences inside, and not far more."""
    rng, trials, missed, alone = np.random.default_rng(0), 400, 0, 0
    pairs = [(i, j) for i in range(5) for j in range(i)]
    for _ in range(trials):
        rows = rng.normal(size=(80, 5)) + rng.normal(size=(80, 1))
        weights = rng.poisson(1, size=(300, 80))
        drawn = weights @ rows / weights.sum(axis=1, keepdims=True)
        together = simultaneous_differences(rows.mean(axis=0), drawn, pairs)
        one_by_one = [simultaneous_differences(rows.mean(axis=0), drawn, [pair])[0] for pair in pairs]
        missed += any(e.low > 0 or e.high < 0 for e in together)
        alone += any(e.low > 0 or e.high < 0 for e in one_by_one)

    assert missed <= binom.ppf(0.999, trials, 0.06)  # 300 replicates of 80 rows are a little too narrow
    assert alone > 0.15 * trials  # without the correction, many would be wrong


def test_replicates_without_a_value_do_not_count():
    nan = float("nan")

    first, missing = simultaneous_differences(
        [1.0, 0.0, nan], [[1.5, 0.0, nan], [nan, 0.0, nan], [0.5, 0.0, nan]], [(0, 1), (0, 2)]
    )

    assert (first.value, first.low, first.high) == (1.0, 0.5, 1.5)
    assert np.isnan([missing.value, missing.low, missing.high]).all()


def test_rows_of_their_own_cumulate_to_what_cells_do():
    rng = np.random.default_rng(0)
    values, flags = np.append(rng.integers(0, 8, 60) / 8, [np.nan] * 5), rng.random(65) < 0.6
    cells, (rows, order) = Ranking.of(values, flags), Ranking.of_rows(values, flags)

    assert np.array_equal(cells.cumulate(cells.counts), rows.cumulate(np.ones(65)[order]))
    assert np.array_equal(values[order][rows.ends], cells.values[cells.ends], equal_nan=True)


def test_the_macro_difference_is_that_of_the_two_areas():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 200)
    p, q = (np.eye(4)[y] + rng.gamma(1, s, size=(200, 4)) for s in (0.5, 1.0))
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)

    apart, none = macro_auc_difference(p, q, y), macro_auc_difference(p, p, y)

    assert apart.value == pytest.approx(macro_auc(p, y).value - macro_auc(q, y).value, abs=1e-12)
    assert apart.low > 0
    assert (none.low, none.value, none.high) == (0, 0, 0)


def test_of_two_labels_the_macro_difference_is_that_of_one():
    rng = np.random.default_rng(0)
    y, p, q = rng.integers(0, 2, 90), rng.random(90), rng.random(90)

    both = macro_auc_difference(np.column_stack([1 - p, p]), np.column_stack([1 - q, q]), y)

    one = auc_difference(p, q, y == 1)
    assert (both.value, both.low, both.high) == pytest.approx((one.value, one.low, one.high), abs=1e-12)


def test_scores_of_other_shapes_are_refused():
    with pytest.raises(InputError, match="both must have one shape"):
        macro_auc_difference(np.zeros((4, 2)), np.zeros((4, 3)), [0, 1, 0, 1])
