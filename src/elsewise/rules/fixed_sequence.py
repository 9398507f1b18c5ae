"""Certification: labelled rows seen only through counts, a grid placed by other rows, tests in a fixed sequence.

Source: Bauer (1991), "Multiple testing in clinical trials"; Angelopoulos, Bates, Candes, Jordan & Lei (2021),
"Learn then Test", https://arxiv.org/abs/2110.01052, section 2.3 (fixed-sequence testing).

For a fixed threshold t the errors among n answered rows are Binomial(n, R(t)), so "R(t) > alpha" is rejected at level
delta when BinomCDF(errors; n, alpha) <= delta. Thresholds are tried from strict to loose, in an order fixed before any
certify row is read, until the first failure. So the chance of a threshold with R(t) > alpha is at most delta, whatever
the shape of R. The start of the sequence may depend on anything but the certify rows: labelled reference rows show
where it is likely to pass. Lower targets cost nothing where they stand in the same sequence: see `_best_passed`.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.errors import InputError
from elsewise.messages.certificates import LOWEST
from elsewise.metrics.intervals import binomial_cdf, clopper_pearson_lower, clopper_pearson_upper
from elsewise.rules.certificate import Certificate

GRID_SIZE = 200  # a fine grid costs nothing, as the tests end at the first failure, and overshoots less
BEST_OF = 50  # thresholds at which the best accuracy is bounded: each one loosens all bounds
MANY_ROWS = 1 << 30  # the search for rows needed ends here; nobody labels more
MORE_ROWS = (2, 4, 8)  # times as many rows may begin at a stricter threshold ...
FEW_ROWS = 20  # ... which must answer at least this many of the present rows
ROUNDING = 1e-9  # 0.02 * 150 is 3 errors and not 4
MEDIAN = 0.5  # the least p-value of as many errors as are expected
CANDIDATES = 8  # thresholds tried for the rows they need
QUANTILES = 32  # of the posterior of a risk, over which a chance is averaged
FIRST_STEP = 3.0  # the strictest threshold keeps about 3 times the fewest rows that could pass: certifies most often
FIRST_MARGIN = 1.25  # ... or half of all rows, but never fewer than can well pass: a failure there ends the sequence
# Targets that are certified where the one asked for cannot be: steps as people say them, down to where an answer is as
# likely wrong as right. More of them would cost no certainty, as all are steps of one sequence.
LADDER: Final = (
    0.995, 0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.93, 0.92, 0.91, 0.9,
    0.875, 0.85, 0.825, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, LOWEST,
)  # fmt: skip
HOPELESS = 0.05  # chance to pass, below which the target asked for is not even tried ...
LIKELY = 0.8  # ... but the highest lower one with at least this chance ...
COARSE = 8  # ... at one of every so many thresholds: the lower the target, the likelier

Thresholds = NDArray[np.float64]
Numbers = NDArray[np.int64]


def check_promise(target_accuracy: float, confidence_level: float) -> None:
    """Raise InputError unless both are shares between 0 and 1, exclusive."""
    for name, share in (("target_accuracy", target_accuracy), ("confidence_level", confidence_level)):
        if not 0 < share < 1:
            raise InputError(f"{name} must lie between 0 and 1, got {share}")


def check_share(name: str, share: float) -> None:
    """Raise InputError unless `share` lies in 0..1, the ends included."""
    if not 0 <= share <= 1:
        raise InputError(f"{name} must lie in 0..1, got {share}")


@dataclass(frozen=True, slots=True)
class BinomialTest:
    """Test of "at most a share `alpha` of errors"; it passes a false claim with probability `delta` at most.

    Examples
    --------
    At least 59 rows without an error pass for 95 % at confidence level 95 %.

    >>> BinomialTest.of(0.95, 0.95).fewest
    59
    """

    alpha: float
    delta: float

    @classmethod
    def of(cls, target_accuracy: float, confidence_level: float) -> Self:
        """Make the test of an accuracy at a confidence level, both between 0 and 1, exclusive; else InputError."""
        check_promise(target_accuracy, confidence_level)
        return cls(round(1 - target_accuracy, 12), round(1 - confidence_level, 12))  # 0.05, not 0.05000000000000004

    @property
    def target_accuracy(self) -> float:
        """The accuracy that is tested for."""
        return round(1 - self.alpha, 12)

    def lower(self) -> "tuple[BinomialTest, ...]":
        """Make the tests of the targets of `LADDER` below this one, from high to low.

        Examples
        --------
        >>> [test.target_accuracy for test in BinomialTest.of(0.6, 0.95).lower()]
        [0.55, 0.5]
        """
        return tuple(BinomialTest(round(1 - rung, 12), self.delta) for rung in LADDER if rung < self.target_accuracy)

    def shared(self, tests: int) -> "BinomialTest":
        """Make the test for each of `tests` promises that shall hold together at `delta` (Bonferroni)."""
        return BinomialTest(self.alpha, self.delta / max(tests, 1))

    @property
    def fewest(self) -> int:
        """Fewest rows that pass, if none is an error."""
        return math.ceil(round(math.log(self.delta) / math.log1p(-self.alpha), 9))

    def passed(self, n: NDArray[Any], errors: NDArray[Any]) -> NDArray[np.bool_]:
        """Test counts of answers (g,) and errors (g,) exactly; returns (g,), False for no answers.

        Chernoff's bound of the p-value says of most counts that they pass, the median of the binomial of most others
        that they do not; the dear exact tail is for the rest.
        """
        from scipy.special import rel_entr  # noqa: PLC0415

        n, errors = np.broadcast_arrays(n, errors)
        rate = np.maximum(errors, 0) / np.maximum(n, 1)
        nats = rel_entr(rate, self.alpha) + rel_entr(1 - rate, 1 - self.alpha)
        passes = (n > 0) & (rate < self.alpha) & (np.exp(-n * nats) < self.delta * (1 - ROUNDING))
        unclear = (n > 0) & ~passes & ((rate < self.alpha) | (self.delta >= MEDIAN))
        passes[unclear] = binomial_cdf(errors[unclear], n[unclear], self.alpha) <= self.delta
        return passes

    def allowed(self, n: NDArray[Any]) -> Numbers:
        """Most errors with which numbers of rows (g,) pass, shape (g,); -1 for too few rows.

        Examples
        --------
        >>> BinomialTest.of(0.95, 0.95).allowed(np.array([0, 58, 59, 1998])).tolist()
        [-1, -1, 0, 83]
        """
        low, high = np.full(n.shape, -1, dtype=np.int64), np.asarray(n, dtype=np.int64)  # passes, does not
        while (high - low > 1).any():
            middle = (low + high) // 2
            passes = self.passed(n, middle)
            low, high = np.where(passes, middle, low), np.where(passes, high, middle)
        return low


class Sample(Protocol):
    """Labelled rows, seen through counts, as `certify` needs them."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    def at(self, thresholds: Thresholds) -> tuple[Numbers, Numbers]:
        """Count the answers at thresholds (g,), and the errors among them; shape (g,) each."""

    def passed(self, thresholds: Thresholds, test: BinomialTest) -> NDArray[np.bool_]:
        """Test each of g thresholds by itself at level `test.delta`, shape (g,)."""

    def upper(self, thresholds: Thresholds, delta: float) -> Thresholds:
        """Bound the risk at each of g thresholds by itself, at confidence 1 - delta; shape (g,)."""

    def first_coverage(self, test: BinomialTest, times: int = 1) -> float:
        """Share of texts that the strictest threshold answers, with `times` as many rows; independent of labels."""

    def coverage(self, threshold: float, delta: float) -> tuple[float, float, float]:
        """Share of texts answered at a threshold, with its two-sided interval at confidence 1 - delta."""

    def rows_needed(self, grid: Thresholds, test: BinomialTest) -> int | None:
        """Estimate how many labelled rows would certify, if error rates and coverage stay as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Confidences of labelled rows, surest first, and the errors among the first of them.

    Attributes
    ----------
    surest_first, errors_among_first : (m,) float64 and (m + 1,) int64
        Confidences of the rows that can be answered, descending; errors among the first 0, 1, ..., m of them.
    rows : int
        Number of all rows, including those that are never answered.
    """

    surest_first: Thresholds
    errors_among_first: Numbers
    rows: int

    @classmethod
    def of(cls, confidence: Thresholds, wrong: NDArray[np.bool_]) -> Self:
        """Sort rows with confidences (n,) and errors (n,); a row with confidence NaN is never answered.

        Examples
        --------
        >>> counts = Counts.of(np.array([0.7, 0.9, np.nan, 0.8]), np.array([True, False, True, False]))
        >>> [column.tolist() for column in counts.at(np.array([0.8, -np.inf]))], counts.rows
        ([[2, 3], [0, 1]], 4)
        """
        order = np.argsort(-confidence, kind="stable")
        order = order[: len(order) - int(np.isnan(confidence).sum())]  # NaN sorts last
        return cls(confidence[order], np.concatenate([[0], np.cumsum(wrong[order])]), len(confidence))

    def at(self, thresholds: Thresholds) -> tuple[Numbers, Numbers]:
        """Count the answers at thresholds (g,), and the errors among them; shape (g,) each."""
        n = np.searchsorted(-self.surest_first, -thresholds, side="right")
        return n, self.errors_among_first[n]

    def passed(self, thresholds: Thresholds, test: BinomialTest) -> NDArray[np.bool_]:
        """Test each of g thresholds by itself, shape (g,): exactly, one-sided."""
        return test.passed(*self.at(thresholds))

    def upper(self, thresholds: Thresholds, delta: float) -> Thresholds:
        """Bound the risk at each of g thresholds by itself, shape (g,): Clopper-Pearson, one-sided."""
        n, errors = self.at(thresholds)
        return clopper_pearson_upper(errors, n, delta)

    def first_coverage(self, test: BinomialTest, times: int = 1) -> float:
        """Share of texts that the strictest threshold answers, from numbers of rows alone."""
        fewest = test.fewest / max(self.rows * times, 1)
        return min(FIRST_STEP * fewest, max(0.5, FIRST_MARGIN * fewest), 1.0)

    def coverage(self, threshold: float, delta: float) -> tuple[float, float, float]:
        """Share of rows answered at a threshold, with its Clopper-Pearson interval at confidence 1 - delta."""
        n = int(self.at(np.array([threshold]))[0][0])
        low, high = clopper_pearson_lower(n, self.rows, delta / 2), clopper_pearson_upper(n, self.rows, delta / 2)
        return n / self.rows if self.rows else 0.0, float(low), float(high)

    def rows_needed(self, grid: Thresholds, test: BinomialTest) -> int | None:
        """Estimate how many labelled rows would certify, if error rates and coverage stay as they are."""
        if self.rows < test.fewest:
            return test.fewest
        n, errors = self.at(grid)
        kept = np.flatnonzero((errors < test.alpha * n) & ~test.passed(n, errors))
        margins = (test.alpha - errors[kept] / n[kept]) ** 2 * n[kept]  # rows needed are about 1 / margin
        kept = kept[np.argsort(-margins, kind="stable")[:CANDIDATES]]
        return _rows_at(errors[kept] / n[kept], n[kept] / self.rows, test, self.rows) if len(kept) else None


def _rows_at(rates: Thresholds, shares: Thresholds, test: BinomialTest, rows: int) -> int:
    """Fewest rows above `rows` at which a threshold passes, from shares answered and error rates among those."""

    def enough(total: int) -> bool:
        n = np.floor(total * shares + ROUNDING)
        return bool(test.passed(n, np.ceil(rates * n - ROUNDING)).any())

    low, high = rows, 2 * rows
    while high < MANY_ROWS and not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def grid_of(surest_first: Thresholds, first_coverage: float) -> Thresholds:
    """Place thresholds at even coverages of m reference rows, from their confidences in descending order, (m,).

    Returns thresholds (g,) as `at_coverages` does, at most GRID_SIZE + 1.
    """
    return at_coverages(surest_first, np.linspace(first_coverage, 1, GRID_SIZE))


def at_coverages(surest_first: Thresholds, coverages: Thresholds) -> Thresholds:
    """Place thresholds that answer shares (c,) of m reference rows, from their confidences in descending order, (m,).

    Returns (g,), strict to loose, without repeats, and "answer everything" (-inf) at the end; that alone for no row.

    Examples
    --------
    >>> at_coverages(np.array([0.9, 0.8, 0.8, 0.6]), np.array([0.25, 0.5, 0.75])).tolist()
    [0.9, 0.8, -inf]
    """
    if not len(surest_first):
        return np.array([-math.inf])
    at = np.clip(np.ceil(coverages * len(surest_first)).astype(int) - 1, 0, len(surest_first) - 1)
    return np.append(np.unique(surest_first[at])[::-1], -math.inf)


def last_passed(grid: Thresholds, passed: NDArray[np.bool_]) -> float:
    """Last threshold of a grid (g,) before the first failure, from strict to loose; inf if the first fails.

    Examples
    --------
    >>> last_passed(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]))
    0.9
    """
    steps = len(grid) if passed.all() else int(np.argmin(passed))
    return float(grid[steps - 1]) if steps else math.inf


def chances(grid: Thresholds, tried: Counts, rows: int, test: BinomialTest) -> Thresholds:
    """Estimate the chance to pass of each threshold of a grid (g,) on `rows` rows, from m labelled reference rows.

    The errors of the reference rows at a threshold give a Beta posterior of its risk (Jeffreys' prior), and the chance
    is the mean over it.
    Source: Spiegelhalter, Freedman & Blackburn (1986), "Monitoring clinical trials: conditional or predictive power?",
    https://doi.org/10.1016/0197-2456(86)90003-6.
    """
    from scipy.special import betaincinv  # noqa: PLC0415

    n, errors = tried.at(grid)
    parts = (np.arange(QUANTILES) + 0.5) / QUANTILES
    rates = betaincinv(errors[:, None] + 0.5, (n - errors)[:, None] + 0.5, parts)
    answered = n * rows // max(tried.rows, 1)
    return np.asarray(binomial_cdf(test.allowed(answered)[:, None], answered[:, None], rates).mean(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """A test at thresholds in a fixed order, from strict to loose.

    Attributes
    ----------
    test, grid : BinomialTest, (g,) float64
        The test of each threshold, and the thresholds.
    chance : float
        Chance to pass of the likeliest threshold, as labelled reference rows tell it; 1 without these.
    """

    test: BinomialTest
    grid: Thresholds
    chance: float = 1.0

    @classmethod
    def of(cls, sample: Sample, test: BinomialTest, surest_first: Thresholds, tried: Counts | None) -> Self:
        """Place the thresholds by reference rows, confidences (m,) in descending order; begin where it is likely.

        Only numbers of certify rows are read, no label.
        """
        grid = grid_of(surest_first, sample.first_coverage(test))
        return cls(test, grid) if tried is None else cls.begun(grid, tried, sample.rows, test)

    @classmethod
    def begun(cls, grid: Thresholds, tried: Counts, rows: int, test: BinomialTest) -> Self:
        """Drop the strictest thresholds of a grid (g,), if looser ones are clearly likelier to pass on `rows` rows.

        Gains of at most 1 / sqrt(m) do not count, with m labelled reference rows: few labels say little.

        Examples
        --------
        Of 100 reference rows, the 6 surest hold 4 errors and the others 4: 90 % is likelier to pass on all rows.

        >>> tried = Counts.of(np.linspace(1, 0, 100), np.isin(np.arange(100), [0, 1, 2, 3, 30, 50, 70, 90]))
        >>> Walk.begun(np.array([0.9, 0.5, -np.inf]), tried, 2000, BinomialTest.of(0.9, 0.95)).grid.tolist()
        [-inf]
        """
        chance = chances(grid, tried, rows, test)
        likely = chance >= chance.max() - max(tried.rows, 1) ** -0.5
        return cls(test, grid[int(np.argmax(likely)) :], float(chance.max()))


def _walk(
    sample: Sample, tests: Sequence[BinomialTest], surest_first: Thresholds, tried: Counts | None
) -> tuple[Walk, Sequence[BinomialTest]]:
    """Choose the target to walk with, and the targets below it, before a certify label is read.

    It is the first of the tests, the target asked for, unless labelled reference rows leave it no chance. Then it is
    the highest of the others that is likely to pass; the last one, if none is.
    """
    asked, lower = Walk.of(sample, tests[0], surest_first, tried), tests[1:]
    if tried is None or not lower or asked.chance >= HOPELESS:
        return asked, lower
    some = grid_of(surest_first, sample.first_coverage(lower[-1]))[::-COARSE]
    at = bisect_left(lower[:-1], LIKELY, key=lambda test: chances(some, tried, sample.rows, test).max())
    return Walk.of(sample, lower[at], surest_first, tried), lower[at + 1 :]


def _best_passed(
    sample: Sample, tests: Sequence[BinomialTest], surest_first: Thresholds, tried: Counts | None
) -> tuple[BinomialTest, float]:
    """Best target that passes, from high to low, and its threshold; the first target and inf if none does.

    Why this holds at level delta. Before a certify label is read, reference rows fix one sequence of hypotheses
    "R(t) > alpha": at the first threshold the targets from the lowest up to the one walked with, then that one at
    looser thresholds, until the first failure. A false promise needs the rejection of the first true hypothesis of the
    sequence, which is one fixed test at level delta, whatever the shape of R. At one threshold a lower target allows
    more errors, so what passes for a target passes for all below it: the target walked with loses nothing by the steps
    before it, and trying from high to low finds the last step that passed.

    A walk for each target, each at delta, would not hold: each has a first true hypothesis of its own.
    """
    walk, lower = _walk(sample, tests, surest_first, tried)
    threshold = last_passed(walk.grid, sample.passed(walk.grid, walk.test))
    if threshold < math.inf:
        return walk.test, threshold
    first = walk.grid[:1]
    held = next((test for test in lower if sample.passed(first, test)[0]), None)
    return (tests[0], math.inf) if held is None else (held, float(first[0]))


def best_accuracy(sample: Sample, surest_first: Thresholds, delta: float) -> float:
    """Best accuracy supported at any threshold, corrected for all of them (Bonferroni).

    The grid lies at even coverages of m reference rows, whose confidences are given in descending order, (m,).
    """
    wide = at_coverages(surest_first, np.linspace(1 / BEST_OF, 1, BEST_OF))
    return float(np.max(1 - sample.upper(wide, delta / len(wide))))


def _rows_needed(sample: Sample, test: BinomialTest, surest_first: Thresholds) -> int | None:
    """Estimate how many rows would certify, on this grid or on the grids that more rows could begin at."""
    best = sample.rows_needed(grid_of(surest_first, sample.first_coverage(test)), test)
    for times in MORE_ROWS:
        if best is not None and best <= times * sample.rows:
            break
        grid = grid_of(surest_first, sample.first_coverage(test, times))
        told = grid[sample.at(grid)[0] >= FEW_ROWS]
        needed = sample.rows_needed(told, test) if len(told) else None
        if needed is not None:
            needed = max(needed, times * sample.rows)
            best = needed if best is None else min(best, needed)
    return best


def certify(
    sample: Sample,
    test: BinomialTest,
    surest_first: Thresholds,
    *,
    out_of_scope_share: float,
    looks: int,
    tried: Counts | None = None,
    ladder: bool = False,
) -> Certificate:
    """Certify the loosest threshold that passes; the certificate says so if none does.

    Parameters
    ----------
    sample, test : Sample, BinomialTest
        The certify rows, and the test of each threshold.
    surest_first : (m,)
        Confidences of the reference rows, descending, which place the grid.
    out_of_scope_share, looks : float, int
        Kept in the certificate.
    tried : Counts, optional
        Labelled reference rows: the sequence then begins where it is likely to pass.
    ladder : bool
        Certify the best lower target of `LADDER` where that of the test cannot be.
    """
    tests = (test, *test.lower()) if ladder else (test,)
    held, threshold = _best_passed(sample, tests, surest_first, tried)
    is_short = threshold == math.inf or held is not test
    return certificate_at(
        threshold,
        sample,
        held,
        out_of_scope_share=out_of_scope_share,
        best_accuracy=best_accuracy(sample, surest_first, test.delta),
        rows_needed=_rows_needed(sample, test, surest_first) if is_short else None,
        looks=looks,
        asked_accuracy=None if held is test else test.target_accuracy,
        ladder=ladder,
    )


def certificate_at(threshold: float, sample: Sample, test: BinomialTest, **others: Any) -> Certificate:
    """Write the certificate of a threshold, and of none where it is infinite; `others` are fields of it."""
    n, errors = (int(count[0]) for count in sample.at(np.array([threshold])))
    coverage, low, high = sample.coverage(threshold, test.delta)
    return Certificate(
        certified=threshold < math.inf,
        target_accuracy=test.target_accuracy,
        confidence_level=round(1 - test.delta, 12),
        threshold=threshold,
        rows=sample.rows,
        n=n,
        errors=errors,
        coverage=coverage,
        coverage_low=low,
        coverage_high=high,
        **others,
    )
