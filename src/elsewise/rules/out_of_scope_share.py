"""What another share of out-of-scope texts does to a promise: the two kinds of text, bounded apart and mixed.

A share pi of the texts is out-of-scope and f of them are answered, every time wrongly; of the others c are answered
and r of those wrongly. The risk of all that is answered is

    (pi f + (1 - pi) c r) / (pi f + (1 - pi) c),

which grows with f, with r and with pi, and falls with c. So upper bounds of f and r and a lower bound of c, each
at a third of delta, make an upper bound at confidence 1 - delta (Bonferroni), and it holds for every smaller pi too.
Source of the three bounds: Clopper & Pearson (1934), https://doi.org/10.1093/biomet/26.4.404.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elsewise.arrays import ABSTAIN, Codes, as_codes
from elsewise.errors import InputError
from elsewise.messages.certificates import Mixture
from elsewise.metrics.intervals import check_level, clopper_pearson_lower, clopper_pearson_upper
from elsewise.rules.decisions import Decisions
from elsewise.rules.fixed_sequence import MANY_ROWS, BinomialTest, Counts, Numbers, Thresholds, check_share

SHARES = (0.0, 0.05, 0.10, 0.20)
MANY_LABELS = 1 << 30  # decisions do not tell how many labels there are


def mixed_risk(share: ArrayLike, f: ArrayLike, c: ArrayLike, r: ArrayLike) -> Thresholds:
    """Share of errors among all that is answered; 0 where nothing is.

    Parameters
    ----------
    share : float
        Of the texts that are out-of-scope, 0..1.
    f, c : float, or arrays (g,) that broadcast
        Shares of out-of-scope and of in-scope texts that are answered.
    r : float or array
        Share of errors among the in-scope texts that are answered.

    Examples
    --------
    0.1 x 0.1 and 0.9 x 0.9 x 0.02 are answered wrongly, of 0.1 x 0.1 + 0.9 x 0.9 answered.

    >>> round(float(mixed_risk(0.1, f=0.1, c=0.9, r=0.02)), 4)
    0.032
    """
    outside = np.multiply(share, f)
    inside = np.multiply(np.subtract(1, share), c)
    answered = outside + inside
    return np.where(answered > 0, (outside + inside * np.asarray(r)) / np.where(answered > 0, answered, 1), 0.0)[()]


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """What the two kinds of row say of the texts: measured, and bounded, each for itself.

    Attributes
    ----------
    f, c, r : (g,) float64
        As measured; r is 0 where nothing is answered.
    f_high, c_low, r_high : (g,) float64
        Upper bounds of f and r and a lower bound of c, at each of g thresholds, together at confidence 1 - delta.
    """

    f: Thresholds
    c: Thresholds
    r: Thresholds
    f_high: Thresholds
    c_low: Thresholds
    r_high: Thresholds

    def measured(self, share: float) -> Thresholds:
        """Risk of the mixture as measured."""
        return mixed_risk(share, self.f, self.c, self.r)

    def upper(self, share: float) -> Thresholds:
        """Bound the risk of the mixture."""
        return np.where(self.c_low * (1 - share) > 0, mixed_risk(share, self.f_high, self.c_low, self.r_high), 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """In-scope and out-of-scope rows, sampled apart, for texts of which a stated share is out-of-scope.

    Without out-of-scope rows nothing is known of f, and it is bounded by 1.
    """

    inside: Counts
    outside: Counts
    share: float

    @classmethod
    def of(cls, confidence: Thresholds, wrong: NDArray[np.bool_], truth: Codes, share: float) -> "Strata":
        """Divide confidences (n,), errors (n,) and true codes (n,) by the codes; -1 is out-of-scope."""
        outside = truth == ABSTAIN
        return cls(
            Counts.of(confidence[~outside], wrong[~outside]), Counts.of(confidence[outside], wrong[outside]), share
        )

    @property
    def rows(self) -> int:
        """How many rows there are of both kinds."""
        return self.inside.rows + self.outside.rows

    @property
    def parts(self) -> int:
        """How many numbers need a bound: r alone, r and c, or all three."""
        return 1 if self.share == 0 else 2 + bool(self.outside.rows)

    def at(self, thresholds: Thresholds) -> tuple[Numbers, Numbers]:
        """Count the rows answered, and the errors among them, as they stand."""
        (n, errors), (m, _) = self.inside.at(thresholds), self.outside.at(thresholds)
        return n + m, errors + m

    def bounds(self, thresholds: Thresholds, delta: float, *, times: float = 1) -> Bounds:
        """Bound f, c and r; `times` as many rows, with the same shares, is for planning."""
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

    def upper(self, thresholds: Thresholds, delta: float) -> Thresholds:
        """Bound the risk of the mixture at each threshold by itself."""
        return self.bounds(thresholds, delta).upper(self.share)

    def passed(self, thresholds: Thresholds, test: BinomialTest) -> NDArray[np.bool_]:
        """Test each of g thresholds by itself, shape (g,); a share of 0 is the test of in-scope rows alone."""
        if self.share == 0:
            return self.inside.passed(thresholds, test)
        return self.upper(thresholds, test.delta) <= test.alpha

    def first_coverage(self, test: BinomialTest, times: int = 1) -> float:
        """Never below one half where out-of-scope texts are to be carried: in-scope answers have to outweigh them."""
        alone = self.inside.first_coverage(test.shared(self.parts), times)
        return max(alone, 0.5) if self.share else alone

    def coverage(self, threshold: float, delta: float) -> tuple[float, float, float]:
        """Share of texts of the stated mixture that are answered, and an interval from both kinds at delta / 2."""
        if not self.outside.rows or self.share == 0:
            c, low, high = self.inside.coverage(threshold, delta)
            return c * (1 - self.share), low * (1 - self.share), high * (1 - self.share) + self.share
        pairs = zip(
            self.inside.coverage(threshold, delta / 2), self.outside.coverage(threshold, delta / 2), strict=True
        )
        value, low, high = ((1 - self.share) * c + self.share * f for c, f in pairs)
        return value, low, high

    def rows_needed(self, grid: Thresholds, test: BinomialTest) -> int | None:
        """About how many rows, of both kinds as now, would certify if f, c and r stay as they are."""
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
        """Tell what was seen of the out-of-scope rows at a threshold; the bound is at confidence 1 - delta."""
        at = np.array([threshold])
        return Mixture(self.outside.rows, int(self.outside.at(at)[0][0]), float(self.bounds(at, delta).f_high[0]))


@dataclass(frozen=True, slots=True)
class ShareRisk:
    """What a rule does where a share of the texts is out-of-scope.

    Attributes
    ----------
    share : float
        Of the texts that are out-of-scope.
    risk, risk_high : float
        Share of errors among what is answered: as measured, and its upper bound. One by one each bound holds at
        the confidence level, and all shares hold together too: they rest on the same three bounds.
    coverage : float
        Share of all texts that are answered, as measured.
    """

    share: float
    risk: float
    risk_high: float
    coverage: float


def share_table(
    decisions: Decisions, codes: Any, *, shares: Sequence[float] = SHARES, confidence_level: float = 0.95
) -> tuple[ShareRisk, ...]:
    """Tell what other shares of out-of-scope texts would do to a rule that was fitted on other rows.

    Parameters
    ----------
    decisions : Decisions
        Of a fitted rule, on labelled rows that it was not fitted on: ``rule(evidence)``.
    codes : (n,)
        True codes; -1 marks an out-of-scope row. Without such rows all out-of-scope texts are taken as answered.
    shares : numbers in 0..1
        Of out-of-scope texts.
    confidence_level : float
        Within 0..1, exclusive.

    Raises
    ------
    InputError
        If lengths differ, there is no in-scope row, or a share lies outside 0..1.

    Examples
    --------
    950 of 1,000 in-scope texts answered, 19 of them wrongly; 477 of 1,000 out-of-scope texts answered.

    >>> from elsewise import FixedThreshold
    >>> sure = np.repeat([0.9, 0.5, 0.9, 0.5], [950, 50, 477, 523])
    >>> codes = np.repeat([1, 0, -1], [19, 981, 1000])
    >>> rows = share_table(FixedThreshold(0.6)(np.column_stack([sure, 1 - sure])), codes, shares=(0, 0.182))
    >>> [round(row.risk, 4) for row in rows]
    [0.02, 0.1185]
    """
    check_level(confidence_level, "confidence_level")
    for share in shares:
        check_share("shares", share)
    truth = as_codes(codes, like=np.broadcast_to(0.0, (len(decisions), MANY_LABELS)), allow_abstain=True)
    if (truth == ABSTAIN).all():
        raise InputError(f"the table needs at least one in-scope row, got {len(truth)} rows, all out-of-scope")
    answered = np.where(decisions.abstained, np.nan, 1.0)
    strata = Strata.of(answered, decisions.codes != truth, truth, 1.0)
    bounds = strata.bounds(np.array([1.0]), 1 - confidence_level)
    return tuple(
        ShareRisk(
            share=float(share),
            risk=float(bounds.measured(share)[0]),
            risk_high=float(bounds.upper(share)[0]),
            coverage=float(share * bounds.f[0] + (1 - share) * bounds.c[0]),
        )
        for share in shares
    )
