"""Intervals against closed forms, tables, exact duality and simulated coverage."""

import numpy as np
import pytest

from elsewise.errors import InputError
from elsewise.metrics.bootstrap import poisson_bootstrap
from elsewise.metrics.intervals import (
    Estimate,
    binomial_cdf,
    clopper_pearson_lower,
    clopper_pearson_upper,
    mean_interval,
    normal_quantile,
    wilson,
)
from elsewise.metrics.ranked import Ranking, as_ranking


def weighted_mean(x):
    return lambda w: {"mean": float(w @ x / w.sum()) if w.any() else float("nan")}


@pytest.mark.parametrize(
    ("errors", "n", "bound"),
    [
        (0, 59, 0.04950761),
        (0, 58, 0.05033934),
        (1, 93, 0.04999398),
        (3, 200, 0.03830971),
        (10, 500, 0.03368827),
        (25, 1000, 0.03474252),
        (40, 1000, 0.05175340),
        (0, 10, 0.25886555),
        (5, 10, 0.77755890),
        (0, 0, 1.0),
        (7, 7, 1.0),
    ],
)
def test_the_upper_bound_is_the_tabulated_one(errors, n, bound):
    assert clopper_pearson_upper(errors, n, 0.05) == pytest.approx(bound, abs=5e-9)


@pytest.mark.parametrize(
    ("alpha", "table"),
    [
        (0.05, [59, 93, 124, 153, 181, 208]),
        (0.10, [29, 46, 61, 76, 89, 103]),
        (0.02, [149, 236, 313, 386, 456, 523]),
        (0.01, [299, 473, 628, 773, 913, 1049]),
    ],
)
def test_the_smallest_n_that_certifies_is_the_tabulated_one(alpha, table):
    errors, n = np.arange(6)[:, None], np.arange(5, 1100)[None, :]

    certified = clopper_pearson_upper(errors, n, 0.05) <= alpha

    assert n[0, certified.argmax(axis=1)].tolist() == table


def test_the_upper_bound_and_the_binomial_test_always_agree():
    n, k = np.meshgrid(np.arange(201), np.arange(201), indexing="ij")
    n, k = n[k <= n], k[k <= n]

    for alpha in (0.01, 0.05, 0.3):
        for delta in (0.05, 0.2):
            by_bound = clopper_pearson_upper(k, n, delta) <= alpha
            by_test = binomial_cdf(k, n, alpha) <= delta

            assert np.array_equal(by_bound, by_test)


def test_the_lower_bound_mirrors_the_upper_one():
    k, n = np.array([0, 1, 30, 59, 0]), np.array([10, 10, 59, 59, 0])

    lower = clopper_pearson_lower(k, n, 0.05)

    assert lower == pytest.approx(1 - clopper_pearson_upper(n - k, n, 0.05), abs=1e-12)
    assert (lower[0], lower[-1]) == (0, 0)


def test_the_binomial_cdf_adds_up_the_probabilities():
    """Four tosses of a fair coin: 1, 5, 11, 15 and 16 sixteenths."""
    cdf = binomial_cdf([-1, 0, 1, 2, 3, 4, 5], 4, 0.5)

    assert cdf * 16 == pytest.approx([0, 1, 5, 11, 15, 16, 16], abs=1e-12)


def test_bounds_refuse_impossible_counts():
    with pytest.raises(InputError, match=r"errors must lie in 0\.\.n, got 3 errors in 2 rows"):
        clopper_pearson_upper([1, 3], 2, 0.05)
    with pytest.raises(InputError, match="delta must lie between 0 and 1, got 0"):
        clopper_pearson_lower(1, 2, 0)
    with pytest.raises(InputError, match=r"successes must lie in 0\.\.2, got 3"):
        wilson(3, 2)
    with pytest.raises(InputError, match="level must lie between 0 and 1, got 95"):
        wilson(1, 2, level=95)
    with pytest.raises(InputError, match="level must lie between 0 and 1, got 1"):
        poisson_bootstrap(weighted_mean(np.ones(2)), 2, level=1)


def test_wilson_ends_solve_the_score_equation():
    """(share - p)^2 = z^2 p (1 - p) / n at both ends."""
    interval, z = wilson(7, 40), normal_quantile(0.95)

    for p in (interval.low, interval.high):
        assert (7 / 40 - p) ** 2 == pytest.approx(z * z * p * (1 - p) / 40, rel=1e-9)


def test_wilson_edges():
    nothing, none, every = wilson(0, 0), wilson(0, 5), wilson(5, 5)

    assert np.isnan(nothing.value)
    assert (nothing.low, nothing.high) == (0, 1)
    assert (none.value, none.low) == (0, 0)
    assert (every.value, every.high) == (1, 1)
    assert none.high == pytest.approx(1 - every.low)


def test_wilson_covers_on_average_over_shares():
    """Exact coverage at n = 30, by the binomial probabilities, not by chance."""
    n, shares = 30, np.linspace(0.02, 0.98, 97)
    ends = [wilson(k, n) for k in range(n + 1)]
    k = np.arange(n + 1)[:, None]
    probability = binomial_cdf(k, n, shares) - binomial_cdf(k - 1, n, shares)

    holds = [(e.low <= shares) & (shares <= e.high) for e in ends]

    assert (probability * holds).sum(axis=0).mean() == pytest.approx(0.95, abs=0.01)


def test_the_mean_of_nothing_is_nan_and_of_one_value_unbounded():
    nothing, one = mean_interval([]), mean_interval([3.0], lowest=0.0)

    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
    assert one == Estimate(3.0, 0.0, np.inf)


def test_the_bootstrap_of_a_mean_has_its_standard_error():
    """Percentile ends lie 1.96 s / sqrt(n) from the mean, within the noise of the replicates."""
    x = np.random.default_rng(0).normal(size=400)

    interval = poisson_bootstrap(weighted_mean(x), 400, replicates=4000)["mean"]

    normal = mean_interval(x)
    assert interval.value == pytest.approx(normal.value)
    assert interval.high - interval.low == pytest.approx(normal.high - normal.low, rel=0.06)


@pytest.mark.slow
def test_the_bootstrap_covers_the_true_mean():
    rng, runs = np.random.default_rng(1), 400

    intervals = [poisson_bootstrap(weighted_mean(rng.exponential(size=80)), 80)["mean"] for _ in range(runs)]

    covered = sum(e.low <= 1 <= e.high for e in intervals) / runs
    assert 0.90 <= covered <= 0.97


@pytest.mark.parametrize("counts", [np.array([2, 0, 1, 3]), np.array([400, 10, 90, 0])])
def test_weights_of_counted_rows_are_poisson(counts):
    """Mean and variance equal the count and different rows are independent, on both ways of drawing."""
    seen = []

    poisson_bootstrap(lambda w: seen.append(w) or {"x": 0.0}, counts, replicates=20_000)

    assert np.array_equal(seen[0], counts)
    weights = np.array(seen[1:])
    noise = 5 * np.sqrt(counts / len(weights))
    assert (np.abs(weights.mean(axis=0) - counts) <= noise).all()
    assert np.cov(weights.T) == pytest.approx(np.diag(counts), abs=0.05 * counts.max())


def test_replicates_without_a_value_are_left_out():
    """With one row, 37 % of the replicates are empty."""
    interval = poisson_bootstrap(weighted_mean(np.array([5.0])), 1)["mean"]

    assert interval == Estimate(5.0, 5.0, 5.0)


def test_a_statistic_that_never_has_a_value_gives_nan():
    interval = poisson_bootstrap(lambda _: {"x": float("nan")}, 3)["x"]

    assert np.isnan([interval.value, interval.low, interval.high]).all()


def test_a_ranking_counts_equal_rows_and_puts_nan_last():
    values, flags = np.array([np.nan, 1, -np.inf, np.nan, 1, 1]), np.array([True, True, False, False, False, True])

    ranking = Ranking.of(values, flags)

    assert np.array_equal(ranking.values, [1, 1, -np.inf, np.nan, np.nan], equal_nan=True)
    assert ranking.flags.tolist() == [False, True, False, False, True]
    assert ranking.counts.tolist() == [1, 2, 1, 1, 1]
    assert ranking.ends.tolist() == [1, 2, 4]


def test_an_empty_ranking_is_empty():
    ranking = as_ranking([], [], names=("scores", "positives"))

    assert (len(ranking.values), len(ranking.counts), len(ranking.ends)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("values", "flags", "message"),
    [
        ([[0.5]], [[True]], r"scores must be numbers of shape \(n,\), got float64 of shape \(1, 1\)"),
        (["a"], [True], "scores must be numbers"),
        ([0.5, np.nan], [True, False], "scores must not be nan: 1 are, first is row 1"),
        ([0.5], [2], "positives must be true or false, got int64"),
    ],
)
def test_wrong_pairs_are_refused(values, flags, message):
    with pytest.raises(InputError, match=message):
        as_ranking(values, flags, names=("scores", "positives"))
