"""A threshold chosen for a promise on accuracy and tested: exact binomial tests in a fixed sequence.

Source: Bauer (1991), "Multiple testing in clinical trials"; Angelopoulos, Bates, Candes, Jordan & Lei (2021),
"Learn then Test", https://arxiv.org/abs/2110.01052, section 2.3 (fixed-sequence testing).

For a fixed threshold t the errors among n answered rows are Binomial(n, R(t)), so "R(t) > alpha" is
rejected at level delta when BinomCDF(errors; n, alpha) <= delta. Thresholds are tried from strict to
loose in an order that was fixed before any certify row was read, and the first failure ends the
sequence. So the chance of a threshold with R(t) > alpha is at most delta, whatever the shape of R.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, as_codes
from elsewise.decisions import Certificate, Decisions, confidence_of, decide
from elsewise.errors import InputError
from elsewise.metrics.intervals import binomial_cdf, clopper_pearson_lower, clopper_pearson_upper
from elsewise.outputs import Evidence, as_evidence
from elsewise.scores import MaximumProbability, Score

GRID_SIZE = 50
MANY_ROWS = 1 << 30  # the search for rows needed ends here; nobody labels more
FIRST_STEP = 3.0  # the strictest threshold keeps about 3 times the fewest rows that could pass: fewest empty hands
FIRST_MARGIN = 1.25  # ... or half of all rows, but never so few that it can hardly pass: a failure there ends it all

Thresholds = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CertifiedThreshold:
    """Answer where the confidence reaches a threshold that a promise was tested for.

    Attributes
    ----------
    score : Score
        The confidence.
    certificate : Certificate
        The promise; when nothing could be certified its threshold is inf, and everything is Other.
    """

    certificate: Certificate
    score: Score = field(default_factory=MaximumProbability)

    @property
    def threshold(self) -> float:
        """The certified threshold, unrounded."""
        return self.certificate.threshold

    @classmethod
    def fit(
        cls,
        evidence: Any,
        codes: Any,
        *,
        reference: Any,
        target_accuracy: float = 0.95,
        confidence_level: float = 0.95,
        score: Score | None = None,
        looks: int = 1,
    ) -> Self:
        """Find the loosest threshold that passes the tests.

        Parameters
        ----------
        evidence : Evidence, or probabilities (n, k)
            Certify rows: used for nothing else before, one row per distinct text.
        codes : (n,)
            True codes; -1 marks an out-of-scope row, on which every answer is an error.
        reference : Evidence, or probabilities (m, k)
            Other rows (tune rows, or unlabelled ones) that place the grid of thresholds.
        target_accuracy, confidence_level : float
            Both within 0..1, exclusive.
        score : Score, optional
            Fixed before; the maximum probability by default.
        looks : int
            How many certifications are made on these rows, this one included.

        Returns
        -------
        CertifiedThreshold
            Not certifiable is an ordinary answer: see ``rule.certificate.sentence``.

        Raises
        ------
        InputError
            If the certify rows are their own reference, a code is out of range, or a share is not within 0..1.

        Examples
        --------
        59 rows without an error are the fewest that certify 95 % at level 95 %.

        >>> p = np.tile([0.9, 0.1], (59, 1))
        >>> CertifiedThreshold.fit(p, np.zeros(59), reference=p.copy()).certificate.certified
        True
        >>> CertifiedThreshold.fit(p[:58], np.zeros(58), reference=p.copy()).certificate.rows_needed
        59
        """
        check_promise(target_accuracy, confidence_level)
        rows, others = as_evidence(evidence), as_evidence(reference)
        if evidence is reference or np.shares_memory(rows.probabilities, others.probabilities):
            raise InputError("the certify rows cannot be their own reference; pass tune rows, or unlabelled ones")
        score = score or MaximumProbability()
        truth = as_codes(codes, like=rows.probabilities, allow_abstain=True)
        alpha, delta = round(1 - target_accuracy, 12), round(1 - confidence_level, 12)  # 0.05, not 0.05000000000000004
        test = _Test(alpha, delta, *_ranked(rows, truth, score))
        strict_to_loose = _known(confidence_of(others, score))
        grid = _grid(strict_to_loose, test)
        out_of_scope = float(np.mean(truth == ABSTAIN)) if len(truth) else 0.0
        wide = _at_coverages(strict_to_loose, np.linspace(1 / GRID_SIZE, 1, GRID_SIZE))
        return cls(_certificate(test, grid, wide=wide, out_of_scope_share=out_of_scope, looks=looks), score)

    def __call__(self, evidence: Any) -> Decisions:
        """Answer exactly where ``confidence >= threshold``."""
        return decide(as_evidence(evidence), self.score, self.threshold)


def check_promise(target_accuracy: float, confidence_level: float) -> None:
    """Raise InputError unless both are shares between 0 and 1, exclusive."""
    for name, share in (("target_accuracy", target_accuracy), ("confidence_level", confidence_level)):
        if not 0 < share < 1:
            raise InputError(f"{name} must lie between 0 and 1, got {share}")


def _ranked(evidence: Evidence, truth: NDArray[np.int64], score: Score) -> tuple[Thresholds, NDArray[np.int64], int]:
    """Sort the answerable rows by confidence, surest first; count errors down the list; count all rows."""
    confidence = confidence_of(evidence, score)
    wrong = evidence.probabilities.argmax(axis=1) != truth
    order = np.argsort(-confidence, kind="stable")
    order = order[: len(order) - int(np.isnan(confidence).sum())]  # NaN sorts last and is never answered
    return confidence[order], np.concatenate([[0], np.cumsum(wrong[order])]), len(confidence)


@dataclass(frozen=True, slots=True, eq=False)
class _Test:
    """The certify rows, seen only through integer counts."""

    alpha: float
    delta: float
    surest_first: Thresholds
    errors_among_first: NDArray[np.int64]
    rows: int

    @property
    def fewest(self) -> int:
        """How many rows without an error would pass."""
        return math.ceil(round(math.log(self.delta) / math.log1p(-self.alpha), 9))

    def counts(self, thresholds: Thresholds) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Count the rows answered at each threshold, and the errors among them."""
        n = np.searchsorted(-self.surest_first, -thresholds, side="right")
        return n, self.errors_among_first[n]

    def loosest(self, grid: Thresholds) -> float:
        """Walk the grid from strict to loose, and return the last threshold before the first failure."""
        n, errors = self.counts(grid)
        passed = (n > 0) & (binomial_cdf(errors, n, self.alpha) <= self.delta)
        steps = len(grid) if passed.all() else int(np.argmin(passed))
        return float(grid[steps - 1]) if steps else math.inf


def _known(reference: Thresholds) -> Thresholds:
    """Sort the confidences of the reference rows, surest first; unreadable ones have none."""
    known = np.sort(reference[~np.isnan(reference)])[::-1]
    if not len(known):
        raise InputError("the reference rows place the grid of thresholds: at least one readable row is needed, got 0")
    return known


def _grid(reference: Thresholds, test: _Test) -> Thresholds:
    """Thresholds at even coverages of the reference rows, strict to loose, then "answer everything".

    The strictest one is chosen from numbers of rows alone, never from certify labels.
    """
    fewest = test.fewest / max(test.rows, 1)
    strictest = min(FIRST_STEP * fewest, max(0.5, FIRST_MARGIN * fewest), 1.0)
    return _at_coverages(reference, np.linspace(strictest, 1, GRID_SIZE))


def _at_coverages(surest_first: Thresholds, coverages: Thresholds) -> Thresholds:
    at = np.clip(np.ceil(coverages * len(surest_first)).astype(int) - 1, 0, len(surest_first) - 1)
    return np.append(np.unique(surest_first[at])[::-1], -math.inf)


def _certificate(
    test: _Test, grid: Thresholds, *, wide: Thresholds, out_of_scope_share: float, looks: int
) -> Certificate:
    threshold = test.loosest(grid)
    certified = threshold < math.inf
    n, errors = (int(count[0]) for count in test.counts(np.array([threshold])))
    return Certificate(
        certified=certified,
        target_accuracy=round(1 - test.alpha, 12),
        confidence_level=round(1 - test.delta, 12),
        threshold=threshold,
        rows=test.rows,
        n=n,
        errors=errors,
        coverage=n / test.rows if test.rows else 0.0,
        coverage_low=float(clopper_pearson_lower(n, test.rows, test.delta / 2)),
        coverage_high=float(clopper_pearson_upper(n, test.rows, test.delta / 2)),
        out_of_scope_share=out_of_scope_share,
        best_accuracy=_best_accuracy(test, wide),
        rows_needed=None if certified else _rows_needed(test, grid),
        looks=looks,
    )


def _best_accuracy(test: _Test, grid: Thresholds) -> float:
    """Best accuracy supported at any threshold of a grid that no target shaped, corrected for all (Bonferroni)."""
    n, errors = test.counts(grid)
    return float(np.max(1 - clopper_pearson_upper(errors, n, test.delta / len(grid))))


def _rows_needed(test: _Test, grid: Thresholds) -> int | None:
    """About how many labelled rows would certify, if errors and coverage stay as these rows show them."""
    if test.rows < test.fewest:
        return test.fewest
    n, errors = test.counts(grid)
    answered = n > 0
    rates, shares = errors[answered] / n[answered], n[answered] / test.rows
    needed = [_rows_at(rate, test) / share for rate, share in zip(rates, shares, strict=True) if rate < test.alpha]
    more = [rows for rows in needed if rows > test.rows]  # the others pass alone, behind a stricter one that does not
    return math.ceil(min(more)) if more else None


def _rows_at(rate: float, test: _Test) -> int:
    """Fewest answered rows with this share of errors that pass the test."""
    low, high = test.fewest - 1, test.fewest
    while high < MANY_ROWS and binomial_cdf(math.ceil(rate * high), high, test.alpha) > test.delta:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        passes = binomial_cdf(math.ceil(rate * middle), middle, test.alpha) <= test.delta
        low, high = (low, middle) if passes else (middle, high)
    return high
