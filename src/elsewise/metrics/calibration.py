"""Calibration errors of probabilities: a label with probability 0.9 should be right nine times in ten.

Sources: Naeini, Cooper & Hauskrecht (2015), "Obtaining Well Calibrated Probabilities Using Bayesian Binning",
https://doi.org/10.1609/aaai.v29i1.9602; Guo, Pleiss, Sun & Weinberger (2017), "On Calibration of Modern Neural
Networks", https://arxiv.org/abs/1706.04599; the null value is the "consistency resampling" of Brocker & Smith (2007),
"Increasing the Reliability of Reliability Diagrams", https://doi.org/10.1175/WAF993.1; the debiased error is that of
Kumar, Liang & Ma (2019), "Verified Uncertainty Calibration", https://arxiv.org/abs/1909.10155, after Brocker (2012),
https://doi.org/10.1007/s00382-011-1191-1; the class-wise ECE that of Kull et al. (2019), "Beyond temperature scaling",
https://arxiv.org/abs/1910.12656.
A measured ECE is above 0 even for perfect probabilities: compare it with its null value.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats, as_codes, as_probabilities, row_blocks
from elsewise.errors import InputError
from elsewise.metrics.bootstrap import poisson_bootstrap
from elsewise.metrics.intervals import NOTHING, Column, Estimate, Flags, mean_interval, normal_quantile
from elsewise.metrics.ranked import Ranking

Binning: TypeAlias = Literal["equal_mass", "equal_width"]
REPLICATES = 200


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """A calibration error, its interval, and its null value.

    Attributes
    ----------
    value, low, high : float
        Mean over rows of the distance between confidence and accuracy in their bin, 0..1, and a 95 % interval for the
        value without noise, in the same bins.
    null : float
        Mean value of a perfectly calibrated model with these confidences.
    """

    value: float
    low: float
    high: float
    null: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f}; {self.null:.4f} if it were perfect)"

    def as_dict(self) -> dict[str, float]:
        """Return the four numbers by name."""
        return {"value": self.value, "low": self.low, "high": self.high, "null": self.null}


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Reliability diagram: the bins with rows, from the least to the most confident, as columns.

    Attributes
    ----------
    count, confidence, accuracy : (b,) int64, float64 and float64
        Number of rows; mean probability of the most probable label; share of rows where it is the true label.
    """

    count: NDArray[np.int64]
    confidence: Column
    accuracy: Column


def calibration_error(
    probabilities: Any, codes: Any, *, bins: int = 15, binning: Binning = "equal_mass"
) -> CalibrationError:
    """Measure the expected calibration error (ECE) of the most probable label.

    Parameters
    ----------
    probabilities, codes : (n, k) and (n,)
        Rows that sum to 1; true codes 0..k-1.
    bins, binning : int, "equal_mass" or "equal_width"
        As in `reliability`; bins without rows are left out.

    Returns
    -------
    CalibrationError
        All nan for no rows. The null value is from simulated outcomes, the interval from a Poisson bootstrap, 200
        replicates each, with fixed bins. Noise makes an ECE too large and a replicate's larger still, so the plain
        percentiles never hold a true value of 0. Here low = 2 * value - high percentile, or 0 unless the value is
        above 97.5 % of the simulated ones, and high = value + half the distance of the percentiles. Measured
        coverage: 86 to 98 %.

    Raises
    ------
    InputError
        If shapes disagree, rows are no probabilities, a code is out of range or out of scope (-1), bins < 1, or the
        binning is unknown.

    Examples
    --------
    Ten rows at confidence 0.9, seven of them right: the bin is off by 0.2.

    >>> round(calibration_error([[0.9, 0.1]] * 10, [0] * 7 + [1] * 3).value, 6)
    0.2
    """
    ranking, of_bin = _binned(*_top(probabilities, codes), bins, binning)
    if not len(of_bin):
        return CalibrationError(*[float("nan")] * 4)
    first = np.flatnonzero(np.diff(of_bin, prepend=-1))
    gap = ranking.values - ranking.flags

    def statistic(weights: Column) -> dict[str, float]:
        total = weights.sum()
        return {"ece": float(np.abs(np.add.reduceat(weights * gap, first)).sum() / total) if total else float("nan")}

    drawn = poisson_bootstrap(statistic, ranking.counts, replicates=REPLICATES)["ece"]
    value, perfect = drawn.value, _simulated_perfect(ranking, of_bin)
    low = max(0.0, 2 * value - drawn.high) if value > np.quantile(perfect, 0.975) else 0.0
    return CalibrationError(value, low, min(1.0, value + (drawn.high - drawn.low) / 2), null=float(perfect.mean()))


def _simulated_perfect(ranking: Ranking, of_bin: NDArray[np.int64]) -> Column:
    """Simulate calibration errors of perfect probabilities, (200,)."""
    rows = ranking.counts.astype(np.int64)
    confidence = np.repeat(ranking.values, rows)
    first = np.flatnonzero(np.diff(np.repeat(of_bin, rows), prepend=-1))
    expected, rng = np.add.reduceat(confidence, first), np.random.default_rng(0)
    drawn = [
        np.abs(np.add.reduceat(rng.random(len(confidence)) < confidence, first, dtype=np.float64) - expected).sum()
        for _ in range(REPLICATES)
    ]
    return np.array(drawn) / len(confidence)


def debiased_calibration_error(probabilities: Any, codes: Any, *, bins: int = 15) -> Estimate:
    """Root mean square calibration error of the most probable label, corrected for noise.

    In a bin of m rows with gaps g = confidence - correct, the squared mean gap is too large by the variance of the
    mean, estimated as s^2 / m (s with m - 1 degrees of freedom). The corrected squares, averaged over the rows, are
    right on average: 0 for perfect probabilities. For equal confidences in a bin this is the estimator of Kumar, Liang
    & Ma, definition 4.1.

    Parameters
    ----------
    probabilities, codes : (n, k) and (n,)
        Rows that sum to 1; true codes 0..k-1.
    bins : int
        At least 1, of equal mass as in `reliability`, and at most n / 2. Bins of one row are left out.

    Returns
    -------
    Estimate
        -1..1: the root of the squared error, with its sign; nan for fewer than two rows. If the true square is 0, the
        estimate is below 0 as often as above: "less than noise alone". To average, take the squares with their signs.
        The interval is normal, from the spread in the bins, on the squares; without spread it has no width. Measured
        coverage: 92 to 98 %. Errors as in `calibration_error`.

    Examples
    --------
    Ten rows at 0.9, seven right: the mean gap is 0.2, s^2 / m is 0.21 / 9, and 0.04 - 0.02333 is 0.12910 squared.

    >>> round(debiased_calibration_error([[0.9, 0.1]] * 10, [0] * 7 + [1] * 3).value, 5)
    0.1291
    """
    confidence, correct = _top(probabilities, codes)
    most = max(1, len(confidence) // 2)
    ranking, of_bin = _binned(confidence, correct, min(bins, most), "equal_mass")
    rows, gap, spread = _gaps(ranking, of_bin)
    if not len(rows):
        return NOTHING
    share, noise = rows / rows.sum(), spread / rows
    square = float(share @ (gap**2 - noise))
    # Var(gap^2 - noise) is 4 true^2 noise + 2 noise^2, and gap^2 - noise estimates true^2.
    variance = max(share**2 @ (4 * gap**2 * noise - 2 * noise**2), share**2 @ (2 * noise**2))
    half = normal_quantile(0.95) * float(variance) ** 0.5
    ends = np.clip([square, square - half, square + half], -1, 1).tolist()
    return Estimate(*(math.copysign(abs(end) ** 0.5, end) for end in ends))


def _gaps(ranking: Ranking, of_bin: NDArray[np.int64]) -> tuple[Column, Column, Column]:
    """Rows, mean gap (confidence - correct) and variance (m - 1 degrees of freedom) of bins of two rows or more."""
    gaps = ranking.values - ranking.flags
    rows = np.bincount(of_bin, ranking.counts).astype(np.float64)  # for no rows, bincount returns whole numbers
    mean = np.bincount(of_bin, ranking.counts * gaps) / np.maximum(rows, 1)
    square = np.bincount(of_bin, ranking.counts * (gaps - mean[of_bin]) ** 2)
    kept = rows > 1
    return rows[kept], mean[kept], square[kept] / (rows[kept] - 1)


def classwise_calibration_error(probabilities: Any, codes: Any, *, bins: int = 15) -> CalibrationError:
    """Class-wise ECE: the calibration error of each label's probability, averaged over the labels.

    For each label, all n rows are put in bins of equal width by its probability. The error is the mean over rows of the
    distance between mean probability and share of true rows in their bin. It is near 0 for a rare label, so with k
    labels the values are of size 1/k.

    Parameters
    ----------
    probabilities, codes : (n, k) and (n,)
        Rows that sum to 1, read in blocks and never copied; true codes 0..k-1.
    bins : int
        At least 1, for each label.

    Returns
    -------
    CalibrationError
        All nan for no rows. The null value is computed without simulation, as if the rows of a bin had equal
        probabilities. The interval is for the value without noise, in the same bins: noise adds between 0 and the null
        value, so low = value - null - half and high = value + half, with half the normal interval of the rows'
        contributions. It is wide: with many labels most of the value is noise. Errors as in `calibration_error`.

    Examples
    --------
    Ten rows with (0.9, 0.1), seven of label 0: both labels are off by 0.2.

    >>> round(classwise_calibration_error([[0.9, 0.1]] * 10, [0] * 7 + [1] * 3).value, 6)
    0.2
    """
    if bins < 1:
        raise InputError(f"bins must be at least 1, got {bins}")
    p = as_probabilities(probabilities)
    y = as_codes(codes, like=p)
    if not len(y):
        return CalibrationError(*[float("nan")] * 4)
    cells = _Cells.of(p, y, bins)
    gap, null = cells.said - cells.true, float(cells.null.sum()) / p.size
    value = float(np.abs(gap).sum()) / p.size
    half = mean_interval(_row_errors(p, y, bins, np.sign(gap))).high - value
    return CalibrationError(value, max(0.0, value - null - half), min(2 / p.shape[1], value + half), null)


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Rows, summed probabilities of the label, and rows with that label, in each bin of each label, (k * bins,)."""

    rows: Column
    said: Column
    true: Column

    @classmethod
    def of(cls, p: Floats, y: Codes, bins: int) -> "_Cells":
        size = p.shape[1] * bins
        rows, said, true = (np.zeros(size) for _ in range(3))
        for part, cell in _cells(p, bins):
            rows += np.bincount(cell.ravel(), minlength=size)
            said += np.bincount(cell.ravel(), p[part].ravel(), minlength=size)
            true += np.bincount(cell[np.arange(len(cell)), y[part]], minlength=size)
        return cls(rows, said, true)

    @property
    def null(self) -> Column:
        """Mean of |said - true| for perfect probabilities: the mean absolute deviation of a binomial, by de Moivre.

        With v the first whole number above m q it is 2 v C(m, v) q^v (1 - q)^(m - v + 1).
        """
        from scipy.special import gammaln, xlog1py, xlogy  # noqa: PLC0415

        m, q = self.rows, (self.said / np.maximum(self.rows, 1)).clip(0, 1)
        v = np.minimum(np.floor(m * q) + 1, np.maximum(m, 1))
        choose = gammaln(m + 1) - gammaln(v + 1) - gammaln(np.maximum(m - v, 0) + 1)
        exact = 2 * v * np.exp(choose + xlogy(v, q) + xlog1py(m - v + 1, -q))
        return np.where((m > 0) & (q < 1), exact, 0.0)


def _cells(p: Floats, bins: int) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """Yield blocks of rows, and the cell of each of their probabilities: bin + bins * label, (rows, k)."""
    # Edges rounded as the probabilities were: 0.6 is on the edge 3/5 in float32 and in float64.
    edges = (np.arange(1, bins) / bins).astype(p.dtype)
    first = bins * np.arange(p.shape[1])
    for part in row_blocks(p):
        yield part, np.searchsorted(edges, p[part], side="left") + first


def _row_errors(p: Floats, y: Codes, bins: int, sign: Column) -> Column:
    """Contribution of each row to the error, (n,): mean over labels of (p - y), with the sign of its bin."""
    errors = np.empty(len(y))
    for part, cell in _cells(p, bins):
        signs, own = sign[cell], (np.arange(len(cell)), y[part])
        errors[part] = np.einsum("ij,ij->i", signs, p[part]) - signs[own]
    return errors / p.shape[1]


def reliability(probabilities: Any, codes: Any, *, bins: int = 15, binning: Binning = "equal_mass") -> Reliability:
    """Reliability diagram: confidence and accuracy of the most probable label in each bin.

    Parameters
    ----------
    probabilities, codes : (n, k) and (n,)
        Rows that sum to 1; true codes 0..k-1.
    bins : int
        At least 1.
    binning : "equal_mass" or "equal_width"
        Bins of about n / bins rows each, which never split equal confidences (a tie goes where its middle row belongs);
        or bins of width 1 / bins, closed on the right, the first also on the left: of 5 bins, 0.2 lies in the first,
        1.0 in the last. Errors as in `calibration_error`.

    Examples
    --------
    >>> columns = reliability([[0.6, 0.4], [0.7, 0.3], [0.9, 0.1], [1.0, 0.0]], [1, 0, 0, 0], bins=2)
    >>> columns.count.tolist(), columns.confidence.round(6).tolist(), columns.accuracy.tolist()
    ([2, 2], [0.65, 0.95], [0.5, 1.0])
    """
    return reliability_of(*_top(probabilities, codes), bins=bins, binning=binning)


def reliability_of(
    confidence: Floats, correct: Flags, *, bins: int = 15, binning: Binning = "equal_mass"
) -> Reliability:
    """Give the reliability diagram of most probable labels: their probabilities (n,), and whether they are right (n,).

    Examples
    --------
    >>> reliability_of(np.array([0.9, 0.8]), np.array([True, False]), bins=1).accuracy.tolist()
    [0.5]
    """
    ranking, of_bin = _binned(confidence, correct, bins, binning)
    count, stated, right = (
        np.bincount(of_bin, ranking.counts * column)[::-1] for column in (1, ranking.values, ranking.flags)
    )
    kept = count > 0
    return Reliability(count[kept].astype(np.int64), stated[kept] / count[kept], right[kept] / count[kept])


def _top(probabilities: Any, codes: Any) -> tuple[Floats, Flags]:
    """Probability of each row's most probable label, and whether it is the true one."""
    p = as_probabilities(probabilities)
    y = as_codes(codes, like=p)
    best = p.argmax(axis=1)
    return p[np.arange(len(y)), best], best == y


def _binned(confidence: Floats, correct: Flags, bins: int, binning: Binning) -> tuple[Ranking, NDArray[np.int64]]:
    """Rank the rows and give each cell of the ranking its bin, 0 for the most confident rows."""
    if bins < 1:
        raise InputError(f"bins must be at least 1, got {bins}")
    if binning not in ("equal_mass", "equal_width"):
        raise InputError(f"binning must be 'equal_mass' or 'equal_width', got {binning!r}")
    ranking = Ranking.of(confidence.astype(np.float64), correct)
    if binning == "equal_width":
        # Edges rounded as the confidences were: 0.6 is on the edge 3/5 in float32 and in float64.
        edges = (np.arange(1, bins) / bins).astype(confidence.dtype).astype(np.float64)
        return ranking, bins - 1 - np.searchsorted(edges, ranking.values, side="left")
    last = np.cumsum(ranking.counts)[ranking.ends]
    sizes = np.diff(ranking.ends, prepend=-1)
    middle_twice = last + np.append(0, last[:-1])  # first row + last row of each tie, counted from 0, plus 1
    of_tie = (bins * middle_twice.astype(np.int64)) // (2 * max(len(confidence), 1))
    return ranking, np.repeat(of_tie, sizes)
