"""Numbers with intervals: what the other metrics share.

Sources: Wilson (1927), "Probable Inference, the Law of Succession, and Statistical Inference",
https://doi.org/10.1080/01621459.1927.10502953; Clopper & Pearson (1934), "The Use of Confidence or Fiducial
Limits Illustrated in the Case of the Binomial", https://doi.org/10.1093/biomet/26.4.404; Poisson bootstrap:
Chamandy, Muralidharan, Najmi & Naidu (2012), "Estimating Uncertainty for Massive Data Streams",
https://research.google/pubs/pub43157/.
Intervals are for rows drawn independently: repeated texts make every one of them too narrow.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elsewise.arrays import BLOCK, to_numpy
from elsewise.errors import InputError

Column: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Statistic: TypeAlias = Callable[[Column], Mapping[str, float]]

FEW_ROWS_PER_CELL = 4  # below this, drawing rows (7 ns each) beats drawing a Poisson number per cell (30 ns)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and the interval it may be trusted to.

    Attributes
    ----------
    value, low, high : float
        The number measured on these rows and the ends of its interval; nan where there is nothing to measure.

    Examples
    --------
    >>> print(Estimate(0.5, 0.25, 0.75))
    0.5000 (0.2500 to 0.7500)
    >>> Estimate(0.5, 0.25, 0.75).as_dict()
    {'value': 0.5, 'low': 0.25, 'high': 0.75}
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"

    def as_dict(self) -> dict[str, float]:
        """Return the three numbers under their names, as evaluations are written."""
        return {"value": self.value, "low": self.low, "high": self.high}


NOTHING = Estimate(float("nan"), float("nan"), float("nan"))


def normal_quantile(level: float) -> float:
    """Half width of a two-sided normal interval, in standard errors.

    Raises
    ------
    InputError
        If `level` does not lie between 0 and 1.

    Examples
    --------
    >>> round(normal_quantile(0.95), 6)
    1.959964
    """
    from scipy.special import ndtri  # noqa: PLC0415  scipy takes 0.1 s, and most imports of us need none

    _check_level(level)
    return float(ndtri((1 + level) / 2))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}")


def wilson(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Share of successes among n rows, with Wilson's score interval.

    Parameters
    ----------
    successes, n : int
        0 <= successes <= n. With n = 0 the value is nan and the interval 0..1.
    level : float
        Probability that the interval holds the true share, on average over shares.

    Raises
    ------
    InputError
        If successes lie outside 0..n or level outside 0..1.

    Examples
    --------
    No success in n rows: the upper end is z^2 / (n + z^2), here 3.8415 / 13.8415.

    >>> e = wilson(0, 10)
    >>> e.value, e.low, round(e.high, 6)
    (0.0, 0.0, 0.277533)
    """
    if not 0 <= successes <= n:
        raise InputError(f"successes must lie in 0..{n}, got {successes}")
    z = normal_quantile(level)
    if n == 0:
        return Estimate(float("nan"), 0.0, 1.0)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    # At shares 0 and 1 the exact end is the share itself, and rounding may pass it.
    return Estimate(share, max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share)))


def clopper_pearson_upper(errors: ArrayLike, n: ArrayLike, delta: float) -> Column:
    """Largest error rate that k errors in n rows do not rule out at confidence 1 - delta, exactly.

    Parameters
    ----------
    errors, n : whole numbers or arrays of them that broadcast
        0 <= errors <= n. The bound is 1 when n = 0 or every row is an error.
    delta : float
        Probability, 0..1, with which the bound may fall below the truth. One-sided.

    Raises
    ------
    InputError
        If errors lie outside 0..n or delta outside 0..1.

    Examples
    --------
    No error in n rows: 1 - delta^(1/n).

    >>> round(float(clopper_pearson_upper(0, 59, 0.05)), 8)
    0.04950761
    >>> clopper_pearson_upper([0, 5], [0, 5], 0.05).tolist()
    [1.0, 1.0]
    """
    from scipy.special import betaincinv  # noqa: PLC0415

    k, rows = _check_counts(errors, n, delta)
    bound = betaincinv(k + 1, np.maximum(rows - k, 1), 1 - delta)
    return np.where(k == rows, 1.0, bound)[()]


def clopper_pearson_lower(errors: ArrayLike, n: ArrayLike, delta: float) -> Column:
    """Smallest rate that k events in n rows do not rule out at confidence 1 - delta, exactly; 0 when k = 0.

    Parameters and errors as in `clopper_pearson_upper`.

    Examples
    --------
    Nothing but events in n rows: delta^(1/n).

    >>> round(float(clopper_pearson_lower(59, 59, 0.05)), 8)
    0.95049239
    """
    from scipy.special import betaincinv  # noqa: PLC0415

    k, rows = _check_counts(errors, n, delta)
    bound = betaincinv(np.maximum(k, 1), rows - k + 1, delta)
    return np.where(k == 0, 0.0, bound)[()]


def _check_counts(errors: ArrayLike, n: ArrayLike, delta: float) -> tuple[Column, Column]:
    k, rows = np.broadcast_arrays(np.asarray(errors, dtype=np.float64), np.asarray(n, dtype=np.float64))
    if not 0 < delta < 1:
        raise InputError(f"delta must lie between 0 and 1, got {delta}")
    bad = ~((k >= 0) & (k <= rows))
    if bad.any():
        raise InputError(f"errors must lie in 0..n, got {k[bad][0]:g} errors in {rows[bad][0]:g} rows")
    return k, rows


def binomial_cdf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Column:
    """Probability of at most k successes in n trials of probability p, exactly; the three broadcast.

    The p-value of "the error rate is at least p" after k errors in n rows. Below k = 0 it is 0, from k = n on 1.

    Examples
    --------
    >>> round(float(binomial_cdf(1, 2, 0.5)), 12)
    0.75
    """
    from scipy.special import betaincc  # noqa: PLC0415

    successes, trials = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    inside = betaincc(np.maximum(successes + 1, 1), np.maximum(trials - successes, 1), p)
    return np.where(successes < 0, 0.0, np.where(successes >= trials, 1.0, inside))[()]


def mean_interval(
    values: ArrayLike, level: float = 0.95, *, lowest: float = -np.inf, highest: float = np.inf
) -> Estimate:
    """Mean of n values with the normal interval, mean -+ z * s / sqrt(n), s with n - 1 degrees of freedom.

    Parameters
    ----------
    values : (n,)
        No values give nan. One value says nothing about the spread: its interval is lowest..highest.
    level : float
        Confidence, 0..1.
    lowest, highest : float
        What the mean can be at all; the interval is cut there.

    Examples
    --------
    Mean 2, standard deviation 1, so 2 -+ 1.96 / sqrt(3).

    >>> e = mean_interval([1, 2, 3])
    >>> e.value, round(e.low, 4), round(e.high, 4)
    (2.0, 0.8684, 3.1316)
    """
    x = np.asarray(values, dtype=np.float64)
    z = normal_quantile(level)
    if not x.size:
        return NOTHING
    mean = float(x.mean())
    half = z * float(x.std(ddof=1)) / x.size**0.5 if x.size > 1 else np.inf
    return Estimate(mean, max(lowest, mean - half), min(highest, mean + half))


def poisson_bootstrap(
    statistic: Statistic, n: int | ArrayLike, *, replicates: int = 200, seed: int = 0, level: float = 0.95
) -> dict[str, Estimate]:
    """Percentile intervals from rows re-weighted by independent Poisson(1) numbers.

    Several numbers share one set of replicates; one replicate is held in memory at a time.

    Parameters
    ----------
    statistic : callable
        Takes weights (n,), whole numbers held as float64, where weight 2 means the row is there twice;
        returns names and numbers, always the same names. A nan replicate is left out of its interval.
    n : int or (c,) whole numbers
        How many rows; or, where only c kinds of row differ, how many rows there are of each. A kind then gets
        Poisson(count) as its weight: the same distribution as row by row, for less work.
    replicates, seed : int
        200 replicates put the ends of a 95 % interval about 0.2 standard errors from where more would.
    level : float
        Confidence, 0..1.

    Returns
    -------
    dict of Estimate
        The value is the statistic at weights 1 (or at the counts).

    Examples
    --------
    Five rows right, none wrong: every replicate that has a row agrees.

    >>> right = np.ones(5)
    >>> share = lambda w: {"right": float(w @ right / w.sum()) if w.any() else float("nan")}
    >>> poisson_bootstrap(share, 5)["right"]
    Estimate(value=1.0, low=1.0, high=1.0)
    """
    _check_level(level)
    point, drawn = poisson_replicates(statistic, n, replicates=replicates, seed=seed)
    ends = [percentiles(column, level) for column in drawn.T]
    return {name: Estimate(value, *end) for (name, value), end in zip(point.items(), ends, strict=True)}


def poisson_replicates(
    statistic: Statistic, n: int | ArrayLike, *, replicates: int, seed: int = 0
) -> tuple[dict[str, float], Column]:
    """Give the numbers of `poisson_bootstrap` and their replicates, (replicates, numbers), with no interval yet.

    Examples
    --------
    >>> point, drawn = poisson_replicates(lambda w: {"rows": float(w.sum())}, 5, replicates=100)
    >>> point, drawn.shape
    ({'rows': 5.0}, (100, 1))
    """
    counts = np.asarray(n, dtype=np.float64)
    if not counts.ndim:
        counts = np.ones(int(counts))
    point = {name: float(value) for name, value in statistic(counts).items()}
    drawn = np.array([list(statistic(weights).values()) for weights in _poisson_weights(counts, replicates, seed)])
    return point, drawn.reshape(replicates, len(point))


def poisson_blocks(n: int, *, replicates: int, seed: int = 0) -> Iterator[Column]:
    """Yield the weights of `poisson_replicates` for n rows, as many replicates at a time as the cache holds, (b, n).

    Examples
    --------
    >>> [weights.shape for weights in poisson_blocks(60_000, replicates=5)]
    [(2, 60000), (2, 60000), (1, 60000)]
    """
    weights = _poisson_weights(np.ones(n), replicates, seed)
    while block := list(islice(weights, max(1, BLOCK // n))):
        yield np.array(block)


def _poisson_weights(counts: Column, replicates: int, seed: int) -> Iterator[Column]:
    """Yield weights whose every entry is an independent Poisson(count)."""
    rng, total = np.random.default_rng(seed), int(counts.sum())
    if total >= FEW_ROWS_PER_CELL * len(counts):
        for _ in range(replicates):
            yield rng.poisson(counts).astype(np.float64)
        return
    # A Poisson number of rows, each put in a cell at random: the cells' counts are independent Poisson again.
    cell = np.repeat(np.arange(len(counts)), counts.astype(np.int64))
    for _ in range(replicates):
        rows = rng.integers(0, total, rng.poisson(total))
        picked = rows if total == len(counts) else cell[rows]
        yield np.bincount(picked, minlength=len(counts)).astype(np.float64)


def percentiles(values: Column, level: float) -> tuple[float, float]:
    """Find the ends of the middle `level` of the values that are not nan; (nan, nan) without any.

    Examples
    --------
    >>> percentiles(np.array([0.0, 1.0, 2.0, np.nan]), 0.5)
    (0.5, 1.5)
    """
    kept = values[~np.isnan(values)]
    if not kept.size:
        return float("nan"), float("nan")
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Rows from the largest value to the smallest, equal rows counted together: what the bootstraps re-weigh.

    Attributes
    ----------
    values : (c,) float64
        Descending, nan last; a value comes twice when rows that have it differ in their flag.
    flags : (c,) bool
        False before true where the value is the same.
    counts : (c,) float64
        Rows with this value and flag.
    ends : (g,) int64
        Where each of the g distinct values ends: the index of its last cell.
    """

    values: Column
    flags: Flags
    counts: Column
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, values: Column, flags: Flags) -> "Ranking":
        """Sort (n,) values with their flags; the order of the rows leaves no trace.

        Examples
        --------
        >>> ranking = Ranking.of(np.array([1.0, 2.0, 1.0, 1.0]), np.array([True, True, False, True]))
        >>> ranking.values.tolist(), ranking.counts.tolist(), ranking.ends.tolist()
        ([2.0, 1.0, 1.0], [1.0, 1.0, 2.0], [0, 2])
        """
        order = np.lexsort((flags, -values))
        v, f = values[order], flags[order]
        new_value, new_cell = np.ones(len(v), dtype=bool), np.ones(len(v), dtype=bool)
        new_value[1:] = (v[1:] != v[:-1]) & ~(np.isnan(v[1:]) & np.isnan(v[:-1]))
        new_cell[1:] = new_value[1:] | (f[1:] != f[:-1])
        first = np.flatnonzero(new_cell)
        ends = np.flatnonzero(np.append(new_value[first][1:], [True] * bool(len(v))))
        return cls(v[first], f[first], np.diff(np.append(first, len(v))).astype(np.float64), ends)

    @classmethod
    def of_rows(cls, values: Column, flags: Flags) -> "tuple[Ranking, NDArray[np.int64]]":
        """Rank as `of` does with every row a cell of its own; the second value is the row that each cell is.

        Examples
        --------
        >>> ranking, rows = Ranking.of_rows(np.array([1.0, 2.0, 1.0]), np.array([True, True, False]))
        >>> rows.tolist(), ranking.values.tolist(), ranking.ends.tolist()
        ([1, 2, 0], [2.0, 1.0, 1.0], [0, 2])
        """
        order = np.lexsort((flags, -values))
        v = values[order]
        last = np.ones(len(v), dtype=bool)
        last[:-1] = (v[1:] != v[:-1]) & ~(np.isnan(v[1:]) & np.isnan(v[:-1]))
        return cls(v, flags[order], np.ones(len(v)), np.flatnonzero(last)), order

    def cumulate(self, weights: Column) -> tuple[Column, Column]:
        """Weight of flagged and of unflagged rows down to each distinct value, (g,) each; (b, g) of (b, c) weights."""
        flagged = np.cumsum(weights * self.flags, axis=-1).take(self.ends, axis=-1)
        return flagged, np.cumsum(weights, axis=-1).take(self.ends, axis=-1) - flagged


def as_ranking(values: Any, flags: Any, *, names: tuple[str, str], allow_nan: bool = False) -> Ranking:
    """Check (n,) numbers and (n,) flags (booleans, or 0 and 1) at the door, and rank them.

    Examples
    --------
    >>> as_ranking([0.5, 0.7], [True], names=("scores", "positives"))
    Traceback (most recent call last):
    elsewise.errors.InputError: positives must have shape (2,), one for each of scores, got (1,)
    """
    return Ranking.of(*as_pairs(values, flags, names=names, allow_nan=allow_nan))


def as_pairs(values: Any, flags: Any, *, names: tuple[str, str], allow_nan: bool = False) -> tuple[Column, Flags]:
    """Check as `as_ranking` does and return the two columns, float64 and bool, in the order of the rows."""
    number, flag = to_numpy(values), to_numpy(flags)
    if number.ndim != 1 or (number.size and number.dtype.kind not in "fiu"):
        raise InputError(f"{names[0]} must be numbers of shape (n,), got {number.dtype} of shape {number.shape}")
    if flag.shape != number.shape:
        raise InputError(f"{names[1]} must have shape {number.shape}, one for each of {names[0]}, got {flag.shape}")
    if flag.dtype.kind != "b" and not np.isin(flag, (0, 1)).all():
        raise InputError(f"{names[1]} must be true or false, got {flag.dtype}")
    number = number.astype(np.float64)
    missing = np.isnan(number)
    if missing.any() and not allow_nan:
        raise InputError(f"{names[0]} must not be nan: {missing.sum()} are, first is row {int(np.argmax(missing))}")
    return number, flag.astype(bool)
