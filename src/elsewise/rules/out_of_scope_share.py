"""A promise for a stated share of out-of-scope texts: in-scope and out-of-scope rows, bounded apart and mixed.

A share pi of the texts is out-of-scope, and f of them are answered, always wrongly. Of the in-scope texts c are
answered, and r of those wrongly. The risk among all answers is

    (pi f + (1 - pi) c r) / (pi f + (1 - pi) c),

which grows with f, r and pi, and falls with c. So upper bounds of f and r and a lower bound of c, each at a third of
delta, give an upper bound at confidence 1 - delta (Bonferroni), which holds for every smaller pi too.
Source of the three bounds: Clopper & Pearson (1934), https://doi.org/10.1093/biomet/26.4.404.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elsewise.arrays import ABSTAIN, Codes
from elsewise.messages.certificates import Mixture
from elsewise.metrics.intervals import clopper_pearson_lower, clopper_pearson_upper
from elsewise.rules.fixed_sequence import MANY_ROWS, BinomialTest, Counts, Numbers, Thresholds


def mixed_risk(share: ArrayLike, f: ArrayLike, c: ArrayLike, r: ArrayLike) -> Thresholds:
    """Share of errors among all answers; 0 without answers.

    Parameters
    ----------
    share : float
        Share of out-of-scope texts, 0..1.
    f, c, r : floats, or arrays (g,) that broadcast
        Shares of out-of-scope and of in-scope texts answered, and of errors among the in-scope answers.

    Examples
    --------
    Wrong are 0.1 x 0.1 and 0.9 x 0.9 x 0.02, of 0.1 x 0.1 + 0.9 x 0.9 answers.

    >>> round(float(mixed_risk(0.1, f=0.1, c=0.9, r=0.02)), 4)
    0.032
    """
    outside = np.multiply(share, f)
    inside = np.multiply(np.subtract(1, share), c)
    answered = outside + inside
    return np.where(answered > 0, (outside + inside * np.asarray(r)) / np.where(answered > 0, answered, 1), 0.0)[()]


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Measured f, c and r at g thresholds, and bounds on them, (g,) each.

    r is 0 without answers. Upper bounds of f and r and the lower bound of c hold together at confidence 1 - delta.
    """

    f: Thresholds
    c: Thresholds
    r: Thresholds
    f_high: Thresholds
    c_low: Thresholds
    r_high: Thresholds

    def upper(self, share: float) -> Thresholds:
        """Upper bound of the risk of the mixture at each threshold, (g,)."""
        return np.where(self.c_low * (1 - share) > 0, mixed_risk(share, self.f_high, self.c_low, self.r_high), 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """Counts of in-scope and out-of-scope rows, for texts of which a share `share` is out-of-scope.

    Without out-of-scope rows f is bounded by 1.
    """

    inside: Counts
    outside: Counts
    share: float

    @classmethod
    def of(cls, confidence: Thresholds, wrong: NDArray[np.bool_], truth: Codes, share: float) -> "Strata":
        """Divide confidences (n,), errors (n,) and true codes (n,) by the codes; -1 is out-of-scope."""
        inside, outside = (Counts.of(confidence[kind], wrong[kind]) for kind in (truth != ABSTAIN, truth == ABSTAIN))
        return cls(inside, outside, share)

    @property
    def rows(self) -> int:
        """Number of rows of both kinds."""
        return self.inside.rows + self.outside.rows

    @property
    def parts(self) -> int:
        """Number of bounds needed: r alone, r and c, or all three."""
        return 1 if self.share == 0 else 2 + bool(self.outside.rows)

    def at(self, thresholds: Thresholds) -> tuple[Numbers, Numbers]:
        """Count the answers at thresholds (g,), and the errors among them, (g,) each, unmixed."""
        (n, errors), (m, _) = self.inside.at(thresholds), self.outside.at(thresholds)
        return n + m, errors + m

    def bounds(self, thresholds: Thresholds, delta: float, *, times: float = 1) -> Bounds:
        """Bound f, c and r at thresholds (g,); for planning, as if there were `times` as many rows."""
        (n, errors), (m, _) = self.inside.at(thresholds), self.outside.at(thresholds)
        level, inside, outside = delta / self.parts, np.rint(self.inside.rows * times), self.outside.rows * times
        n, errors, m = np.floor(n * times), np.ceil(errors * times), np.ceil(m * times)
        nothing, f = np.zeros(len(thresholds)), m / max(outside, 1)
        return Bounds(
            f=f if outside else nothing + 1,
            c=n / max(inside, 1),
            r=errors / np.maximum(n, 1),
            f_high=clopper_pearson_upper(m, np.ceil(outside), level) if outside else nothing + 1,
            c_low=clopper_pearson_lower(n, inside, level) if self.share else (n > 0).astype(np.float64),
            r_high=clopper_pearson_upper(np.minimum(errors, n), n, level),
        )

    def best_bounds(self, thresholds: Thresholds, delta: float) -> tuple[Thresholds, Thresholds, Thresholds]:
        """Best case at thresholds (g,): lower bound of f, upper of c, lower of r, (g,) each, together at 1 - delta."""
        (n, errors), (m, _) = self.inside.at(thresholds), self.outside.at(thresholds)
        inside, outside, level = self.inside.rows, self.outside.rows, delta / self.parts
        f_low = clopper_pearson_lower(m, outside, level) if outside else np.ones(len(thresholds))
        return f_low, clopper_pearson_upper(n, inside, level), clopper_pearson_lower(errors, n, level)

    def upper(self, thresholds: Thresholds, delta: float) -> Thresholds:
        """Bound the risk of the mixture at each of g thresholds by itself, shape (g,)."""
        return self.bounds(thresholds, delta).upper(self.share)

    def passed(self, thresholds: Thresholds, test: BinomialTest) -> NDArray[np.bool_]:
        """Test each of g thresholds by itself, shape (g,); at a share of 0, in-scope rows alone."""
        if self.share == 0:
            return self.inside.passed(thresholds, test)
        return self.upper(thresholds, test.delta) <= test.alpha

    def first_coverage(self, test: BinomialTest, times: int = 1) -> float:
        """Share that the strictest threshold answers: at least half, so that in-scope answers outweigh the others."""
        alone = self.inside.first_coverage(test.shared(self.parts), times)
        return max(alone, 0.5) if self.share else alone

    def coverage(self, threshold: float, delta: float) -> tuple[float, float, float]:
        """Share of the mixture answered at a threshold, with an interval from both kinds at delta / 2."""
        if not self.outside.rows or self.share == 0:
            c, low, high = self.inside.coverage(threshold, delta)
            return c * (1 - self.share), low * (1 - self.share), high * (1 - self.share) + self.share
        ends = (kind.coverage(threshold, delta / 2) for kind in (self.inside, self.outside))
        value, low, high = ((1 - self.share) * c + self.share * f for c, f in zip(*ends, strict=True))
        return value, low, high

    def rows_needed(self, grid: Thresholds, test: BinomialTest) -> int | None:
        """Estimate how many rows, of both kinds as now, would certify if f, c and r stay as they are."""
        if self.share == 0:
            return self.inside.rows_needed(grid, test)
        if self.inside.rows < test.fewest:
            return test.fewest + self.outside.rows

        def enough(times: float) -> bool:
            return bool((self.bounds(grid, test.delta, times=times).upper(self.share) <= test.alpha).any())

        low, high = 1.0, 2.0
        while not enough(high):
            low, high = high, 2 * high
            if high * self.rows > MANY_ROWS:
                return None
        while high - low > low / 100:
            middle = (low + high) / 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        return math.ceil(high * self.rows)

    def scope(self, threshold: float, delta: float) -> Mixture:
        """Out-of-scope rows answered at a threshold, and the bound of f at confidence 1 - delta."""
        at = np.array([threshold])
        return Mixture(self.outside.rows, int(self.outside.at(at)[0][0]), float(self.bounds(at, delta).f_high[0]))
