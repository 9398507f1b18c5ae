"""Numbers with closed-form intervals, for all metrics; `bootstrap` has the intervals by resampling.

Sources: Wilson (1927), "Probable Inference, the Law of Succession, and Statistical Inference",
https://doi.org/10.1080/01621459.1927.10502953; Clopper & Pearson (1934), "The Use of Confidence or Fiducial
Limits Illustrated in the Case of the Binomial", https://doi.org/10.1093/biomet/26.4.404.
Intervals are for rows drawn independently: repeated texts make them too narrow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elsewise.errors import InputError

Column: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Statistic: TypeAlias = Callable[[Column], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured number and the ends of its interval; nan if there is nothing to measure.

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
        """Return the three numbers by name."""
        return {"value": self.value, "low": self.low, "high": self.high}


NOTHING = Estimate(float("nan"), float("nan"), float("nan"))


def normal_quantile(level: float) -> float:
    """Half width of a two-sided normal interval, in standard errors; InputError unless `level` is between 0 and 1.

    Examples
    --------
    >>> round(normal_quantile(0.95), 6)
    1.959964
    """
    from statistics import NormalDist  # noqa: PLC0415  it takes 0.02 s to import, and scipy 0.2 s

    check_level(level)
    return -NormalDist().inv_cdf((1 - level) / 2)


def check_level(level: float, name: str = "level") -> None:
    """Raise InputError, naming the argument `name`, unless a confidence level lies between 0 and 1."""
    if not 0 < level < 1:
        raise InputError(f"{name} must lie between 0 and 1, got {level}")


def wilson(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Share of successes among n rows, with Wilson's score interval.

    Parameters
    ----------
    successes, n : int
        0 <= successes <= n (else InputError). With n = 0 the value is nan and the interval 0..1.
    level : float
        Probability, between 0 and 1 (else InputError), that the interval holds the true share, averaged over shares.

    Examples
    --------
    With no success in n rows, the upper end is z^2 / (n + z^2), here 3.8415 / 13.8415.

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
    """Exact upper bound, at confidence 1 - delta, of the error rate behind k errors in n rows.

    Parameters
    ----------
    errors, n : whole numbers, scalar or arrays (g,) that broadcast
        0 <= errors <= n. The bound is 1 if n = 0 or all rows are errors.
    delta : float
        Probability, 0..1, that the bound is below the true rate (one-sided).

    Raises
    ------
    InputError
        If errors lie outside 0..n or delta outside 0..1.

    Examples
    --------
    Without errors in n rows: 1 - delta^(1/n).

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
    """Exact lower bound, at confidence 1 - delta, of the rate behind k events in n rows; 0 if k = 0.

    Scalar for scalars, or the shape (g,) of the arrays. Parameters and errors as in `clopper_pearson_upper`.

    Examples
    --------
    With n events in n rows: delta^(1/n).

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
    """Exact probability of at most k successes in n trials of probability p; 0 for k < 0, 1 for k >= n.

    All are scalars, or arrays that broadcast, such as (g,). It is the p-value of "the error rate is at least p" after
    k errors in n rows.

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
        No values give nan; a single value gives the interval lowest..highest.
    level : float
        Confidence level, 0..1.
    lowest, highest : float
        Range of the mean, at which the interval is cut.

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
