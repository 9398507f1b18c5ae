"""Rows that certify: scored once, checked against the reference rows, and what gates bar of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes, Floats, as_codes, map_rows
from elsewise.errors import InputError
from elsewise.messages.certificates import Barred, Caught
from elsewise.metrics.intervals import clopper_pearson_lower, clopper_pearson_upper
from elsewise.outputs import Evidence, as_evidence
from elsewise.rules.certificate import Certificate
from elsewise.rules.decisions import Gate, confidence_of
from elsewise.rules.fixed_sequence import BinomialTest, Counts, Thresholds, certify
from elsewise.scores import MaximumProbability, Score

COPIES = 0.02  # share of the certify rows that may be reference rows too, by mistakes that hardly matter


@dataclass(frozen=True, slots=True, eq=False)
class CertifyRows:
    """Scored certify rows, and the scored reference rows that place the grid.

    Attributes
    ----------
    evidence, reference : Evidence
        Evidence of n certify rows and of m reference rows.
    confidence, expected : (n,) float64 and (m,) float64
        Confidences of the certify rows and of the reference rows; NaN for a row that is never answered.
    wrong, codes : (n,) bool and int64
        Whether the most probable label of a certify row is wrong; true codes, -1 for out-of-scope.
    score, gates, looks : Score, tuple of Gate, int
        The confidence; rows that a gate flags are never answered; number of certifications, the present one included.
    """

    evidence: Evidence
    reference: Evidence
    confidence: Thresholds
    expected: Thresholds
    wrong: NDArray[np.bool_]
    codes: Codes
    score: Score
    gates: tuple[Gate, ...]
    looks: int

    @classmethod
    def of(
        cls, evidence: Any, codes: Any, reference: Any, score: Score | None, gates: Sequence[Gate], looks: int = 1
    ) -> Self:
        """Check and score both kinds of rows: n certify rows with their codes (n,), and m others.

        InputError if certify rows are reference rows too, a code is out of range, no reference row can be
        read, or `looks` is below 1.
        """
        if looks < 1:
            raise InputError(f"looks must be at least 1, as this certification counts too, got {looks}")
        rows, others = as_evidence(evidence), as_evidence(reference)
        if evidence is reference or np.shares_memory(rows.probabilities, others.probabilities):
            raise InputError("the certify rows cannot be their own reference; pass tune rows, or unlabelled ones")
        if copies := count_copies(rows.probabilities, others.probabilities):
            raise InputError(
                f"{copies:,} of {len(rows.probabilities):,} certify rows are reference rows too: their probabilities "
                "are the same to the last bit; take them out of one of the two"
            )
        score, gates = score or MaximumProbability(), tuple(gates)
        wrong, truth = errors_of(rows, codes)
        confidence, expected = (confidence_of(e, score, gates) for e in (rows, others))
        if np.isnan(others.probabilities).any(axis=1).all():
            raise InputError(
                "the reference rows place the grid of thresholds: at least one readable row is needed, got 0"
            )
        return cls(rows, others, confidence, expected, wrong, truth, score, gates, looks)

    @property
    def counts(self) -> Counts:
        """Counts of the certify rows."""
        return Counts.of(self.confidence, self.wrong)

    @property
    def surest_first(self) -> Thresholds:
        """Confidences of the reference rows that can be answered, descending, shape (up to m,)."""
        return np.sort(self.expected[~np.isnan(self.expected)])[::-1]

    @property
    def out_of_scope_share(self) -> float:
        """Share of the certify rows that belong to none of the labels; 0 for no rows."""
        return float(np.mean(self.codes == ABSTAIN)) if len(self.codes) else 0.0

    def reference_errors(self, reference_codes: Any) -> NDArray[np.bool_]:
        """Whether the most probable label of each reference row is wrong, given their codes (m,), shape (m,)."""
        return errors_of(self.reference, reference_codes)[0]

    def with_barred(self, certificate: Certificate) -> Certificate:
        """Add what the gates bar of in-scope and out-of-scope rows, with exact bounds at the certificate's level."""
        if not self.gates:
            return certificate
        delta, readable = 1 - certificate.confidence_level, ~np.isnan(self.evidence.probabilities[:, 0])
        inside, outside = readable & (self.codes != ABSTAIN), readable & (self.codes == ABSTAIN)
        flags = [gate(self.evidence) for gate in self.gates]
        rows, caught = int(inside.sum()), int((np.any(flags, axis=0) & outside).sum())
        barred = [int((own & inside).sum()) for own in flags]
        high = clopper_pearson_upper(barred, rows, delta)
        low = float(clopper_pearson_lower(caught, int(outside.sum()), delta))
        return replace(
            certificate,
            barred=tuple(
                Barred(str(g.reason), rows, n, float(h)) for g, n, h in zip(self.gates, barred, high, strict=True)
            ),
            caught=Caught(int(outside.sum()), caught, low) if outside.any() else None,
        )

    def certify(self, test: BinomialTest, reference_codes: Any = None, *, ladder: bool = False) -> Certificate:
        """Certify one threshold of all rows; codes (m,) of the reference rows show where the tests may begin."""
        share, tried = self.out_of_scope_share, None
        if reference_codes is not None:
            tried = Counts.of(self.expected, self.reference_errors(reference_codes))
        return certify(
            self.counts, test, self.surest_first,
            out_of_scope_share=share, looks=self.looks, tried=tried, ladder=ladder,
        )  # fmt: skip


def count_copies(rows: Floats, others: Floats) -> int:
    """Count the readable rows (n, k) that stand among others (m, k) too, to the last bit; 0 where that may be chance.

    A model that gives few different answers repeats itself: repetition among the n rows says how many of them meet
    others by chance.

    Examples
    --------
    >>> p = np.random.default_rng(0).dirichlet([1, 1, 1], size=100)
    >>> count_copies(p[:50], p[50:]), count_copies(p[:60], p[50:]), count_copies(p.round(1), p.round(1))
    (0, 10, 0)
    """
    own, known = (_row_hashes(p[~np.isnan(p[:, 0])]) for p in (rows, others))
    repeated = 1 - len(np.unique(own)) / max(len(own), 1)
    if repeated > 1 / 2:
        return 0
    shared = int(np.isin(own, known).sum())
    return shared if shared > max(4, COPIES * len(own), 3 * 2 * repeated * len(known)) else 0


def _row_hashes(array: Floats) -> NDArray[np.uint64]:
    """Hash each row (n, k) of floats, bit by bit, shape (n,): two rows of the same values have the same hash."""
    weights = np.random.default_rng(0).integers(2**63, size=array.shape[1], dtype=np.uint64) * 2 + 1

    def of(rows: Floats) -> NDArray[np.uint64]:
        bits = np.ascontiguousarray(rows, dtype=np.float64).view(np.uint64).copy()
        bits ^= bits >> np.uint64(33)
        bits *= np.uint64(0xFF51AFD7ED558CCD)  # the finalizer of MurmurHash3: every bit of a value counts
        bits ^= bits >> np.uint64(33)
        return np.asarray((bits * weights).sum(axis=1, dtype=np.uint64))

    return np.asarray(map_rows(of, array))


def errors_of(evidence: Evidence, codes: Any) -> tuple[NDArray[np.bool_], Codes]:
    """Whether the most probable label of each row is wrong, (n,), and the checked codes, (n,); -1 is always wrong."""
    truth = as_codes(codes, like=evidence.probabilities, allow_abstain=True)
    return evidence.probabilities.argmax(axis=1) != truth, truth
