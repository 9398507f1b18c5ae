"""Comparisons of classifiers on the same rows: differences, and whether they are more than chance.

Sources: McNemar (1947), "Note on the Sampling Error of the Difference Between Correlated Proportions or Percentages",
https://doi.org/10.1007/BF02295996, in its exact form; Bonett & Price (2012), "Adjusted Wald Confidence Interval
for a Difference of Binomial Proportions Based on Paired Data", https://doi.org/10.3102/1076998611411915; simultaneous
intervals by the largest of several studentised differences: Westfall & Young (1993), "Resampling-Based Multiple
Testing", and Tukey's all pairs for their family.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elsewise.arrays import to_numpy
from elsewise.errors import InputError
from elsewise.metrics.intervals import (
    NOTHING,
    Column,
    Estimate,
    Flags,
    binomial_cdf,
    clopper_pearson_lower,
    clopper_pearson_upper,
    normal_quantile,
)


@dataclass(frozen=True, slots=True)
class PairedShares:
    """Comparison of two shares of the same rows.

    Attributes
    ----------
    difference : Estimate
        The first share minus the second.
    only_first, only_second : int
        Number of rows that count for the first alone, and for the second alone.
    p_value : float
        McNemar's exact p-value: probability of a difference at least as large if there is none.
    """

    difference: Estimate
    only_first: int
    only_second: int
    p_value: float


def mcnemar(first: Any, second: Any, *, level: float = 0.95) -> PairedShares:
    """Compare two shares of the same rows by McNemar's exact test.

    If neither is better, a row that counts for one alone counts for either with probability 1/2.

    Parameters
    ----------
    first, second : (n,)
        True, or 1, where the row counts (is right, is answered, ...).
    level : float
        Confidence level of the interval.

    Returns
    -------
    PairedShares
        Each end of the interval is the wider of two: the exact end given the number of rows that count for one alone
        (Clopper-Pearson), and the normal end with the width of Bonett & Price, which lets that number vary. The
        interval excludes 0 only if the p-value is at most 1 - level. No rows: all nan, and a p-value of 1.

    Raises
    ------
    InputError
        If shapes disagree or a flag is neither true nor false.

    Examples
    --------
    Six rows of ten count for the first alone, none for the second: 2 * (1/2)^6.

    >>> pair = mcnemar([1] * 8 + [0] * 2, [1, 1] + [0] * 8)
    >>> pair.p_value, pair.only_first, round(pair.difference.value, 6)
    (0.03125, 6, 0.6)
    """
    a, b = _flags(first), _flags(second)
    if a.shape != b.shape:
        raise InputError(f"both must have one flag for each of the same rows, got shapes {a.shape} and {b.shape}")
    if not a.size:
        return PairedShares(NOTHING, 0, 0, 1.0)
    return paired_counts(int((a & ~b).sum()), int((b & ~a).sum()), len(a), level=level)


def paired_counts(only_first: int, only_second: int, n: int, *, level: float = 0.95) -> PairedShares:
    """Compute `mcnemar` from the numbers of rows, of n > 0, that count for the first or the second alone."""
    apart, value = only_first + only_second, (only_first - only_second) / n
    p_value = min(1.0, 2 * float(binomial_cdf(min(only_first, only_second), apart, 0.5)))
    # The share of the first among the rows apart, moved to -1..1 and scaled to all rows.
    low, high = (
        (2 * float(end(only_first, apart, (1 - level) / 2)) - 1) * apart / n
        for end in (clopper_pearson_lower, clopper_pearson_upper)
    )
    # One row more for each alone (Bonett & Price): else no width if no row, or every row, counts for one alone.
    rows = n + 2
    half = normal_quantile(level) * ((apart + 2) / rows - (n * value / rows) ** 2) ** 0.5 / rows**0.5
    difference = Estimate(value, max(-1.0, min(low, value - half)), min(1.0, max(high, value + half)))
    return PairedShares(difference, only_first, only_second, p_value)


def _flags(values: Any) -> Flags:
    array = to_numpy(values)
    if array.ndim != 1 or not np.isin(array, (0, 1)).all():
        raise InputError(f"flags must be true or false, shape (n,), got {array.dtype} of shape {array.shape}")
    return array.astype(bool)


def simultaneous_differences(
    values: ArrayLike, drawn: ArrayLike, pairs: Sequence[tuple[int, int]], *, level: float = 0.95
) -> list[Estimate]:
    """Differences of m numbers, with simultaneous intervals, from replicates of all m on the same rows.

    Each interval is value -+ c standard errors. The common c is the quantile, over replicates, of the largest distance
    of a pair from its value in standard errors.

    Parameters
    ----------
    values : (m,)
        Measured numbers.
    drawn : (r, m)
        The same numbers in r bootstrap replicates, each with one weighting of the rows for all m. A replicate with nan
        for one of a pair does not count.
    pairs : sequence of (i, j)
        Differences to estimate: number i minus number j.
    level : float
        Probability that all intervals hold the true differences.

    Returns
    -------
    list of Estimate
        Difference of each pair; nan if one of the two is nan, without width if no replicate differs from the value.

    Examples
    --------
    >>> simultaneous_differences([0.5, 0.25], [[0.5, 0.125], [0.5, 0.375]] * 50, [(0, 1), (1, 0)])
    [Estimate(value=0.25, low=0.125, high=0.375), Estimate(value=-0.25, low=-0.375, high=-0.125)]
    """
    measured, replicates = np.asarray(values, dtype=np.float64), np.asarray(drawn, dtype=np.float64)
    first, second = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    value = measured[first] - measured[second]
    away = np.abs(replicates[:, first] - replicates[:, second] - value)
    spread = np.array([_root_mean_square(column) for column in away.T])
    told = spread > 0
    if not told.any():
        return [Estimate(float(v), float(v), float(v)) for v in value]
    largest = np.nan_to_num(away[:, told] / spread[told]).max(axis=1)
    half = float(np.quantile(largest, level)) * spread
    return [Estimate(float(v), float(v - h), float(v + h)) for v, h in zip(value, half, strict=True)]


def _root_mean_square(away: NDArray[np.float64]) -> float:
    kept: Column = away[~np.isnan(away)]
    return float((kept @ kept / len(kept)) ** 0.5) if len(kept) else float("nan")
