"""A lower bound on accuracy at many thresholds at once, so that a threshold chosen after looking still holds.

Sources: Clopper & Pearson (1934), https://doi.org/10.1093/biomet/26.4.404, at each of g thresholds at delta / g;
Dunn (1961), "Multiple Comparisons Among Means", https://doi.org/10.1080/01621459.1961.10482090 (Bonferroni).

Bands over all thresholds (Dvoretzky, Kiefer & Wolfowitz; Berk & Jones) bound errors and answers separately. Dividing
the two bounds costs more than using 20 thresholds: on 1,000 rows, both answer less at an accuracy of 95 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.errors import InputError
from elsewise.messages.certificates import Band
from elsewise.metrics.intervals import check_level
from elsewise.rules.certificate import Certificate
from elsewise.rules.certified import CertifiedThreshold
from elsewise.rules.certify_rows import CertifyRows
from elsewise.rules.decisions import Gate
from elsewise.rules.fixed_sequence import BinomialTest, Counts, Thresholds, at_coverages, certificate_at
from elsewise.rules.gates import as_gates
from elsewise.scores import Score

POINTS = 20
STRICTEST = 0.1  # stricter thresholds answer too few texts to be chosen, and each one loosens all bounds


@dataclass(frozen=True, slots=True, eq=False)
class AccuracyBand:
    """Lower bounds on accuracy at g thresholds, which hold all together.

    Attributes
    ----------
    thresholds, accuracy_low : (g,) float64
        Thresholds from strict to loose, the last -inf (answers everything readable); and the lower bounds on accuracy
        when answered, all of which hold together at `confidence_level`.
    n, errors : (g,) int64
        Number of rows answered at each threshold, and of errors among them.
    sample : Counts
        The labelled rows.
    confidence_level, out_of_scope_share : float
        Confidence level of the whole band; share of the rows that belong to none of the labels.
    score, gates : Score, tuple of Gate
        The confidence; texts that a gate flags are never answered.
    looks : int
        Number of certifications on these rows; all rules of one band count as one.
    """

    thresholds: Thresholds
    accuracy_low: Thresholds
    n: NDArray[np.int64]
    errors: NDArray[np.int64]
    sample: Counts
    confidence_level: float
    out_of_scope_share: float
    score: Score
    gates: tuple[Gate, ...]
    looks: int

    @classmethod
    def fit(
        cls,
        evidence: Any,
        codes: Any,
        *,
        reference: Any,
        confidence_level: float = 0.95,
        score: Score | None = None,
        looks: int = 1,
        gates: Sequence[Gate] = (),
        ambiguity_margin: float | None = None,
    ) -> Self:
        """Bound the accuracy at 20 thresholds that the reference rows place; `rule` chooses among them afterwards.

        Parameters and errors as for `CertifiedThreshold.fit`: n certify rows and their codes (n,), m reference rows.

        Examples
        --------
        One confidence gives two thresholds, 0.9 and "all", so each bound is at level 0.025: 0.025 ** (1 / 100).

        >>> import numpy as np
        >>> p = np.tile([0.9, 0.1], (100, 1))
        >>> band = AccuracyBand.fit(p, np.zeros(100), reference=p.copy())
        >>> band.thresholds.tolist(), band.accuracy_low.round(6).tolist()
        ([0.9, -inf], [0.963783, 0.963783])
        >>> band.rule(target_accuracy=0.96).certificate.certified
        True
        """
        check_level(confidence_level, "confidence_level")
        rows = CertifyRows.of(evidence, codes, reference, score, as_gates(gates, ambiguity_margin), looks)
        sample = rows.counts
        thresholds = at_coverages(rows.surest_first, np.linspace(STRICTEST, 1, POINTS))
        n, errors = sample.at(thresholds)
        low = 1 - sample.upper(thresholds, round(1 - confidence_level, 12) / len(thresholds))
        share = rows.out_of_scope_share
        return cls(thresholds, low, n, errors, sample, confidence_level, share, rows.score, rows.gates, looks)

    def rule(self, threshold: float | None = None, *, target_accuracy: float | None = None) -> CertifiedThreshold:
        """Make a rule with one threshold of the band and its certificate; may be called any number of times.

        Parameters
        ----------
        threshold : float, optional
            Uses the lowest threshold of the band at or above it: only those were bounded.
        target_accuracy : float, optional
            0..1, exclusive: uses the loosest threshold whose bound reaches it.

        Returns
        -------
        CertifiedThreshold
            Not certified, with an infinite threshold, if the band supports none. InputError unless exactly one of the
            two is given, or for a threshold above the band's strictest.
        """
        if (threshold is None) == (target_accuracy is None):
            raise InputError("a rule of a band needs either a threshold or a target_accuracy")
        at = self._from_above(threshold) if threshold is not None else self._loosest(float(target_accuracy or 0))
        target = target_accuracy or float(self.accuracy_low[at or 0])
        certificate = self._certificate(at, target)
        if at is None and threshold is not None:
            certificate = replace(certificate, scope=Band(len(self.thresholds), supported=False, at=threshold))
        return CertifiedThreshold(certificate, self.score, self.gates)

    def _from_above(self, threshold: float) -> int | None:
        """Find the lowest threshold at or above `threshold`; None where no accuracy is supported there."""
        if not threshold <= self.thresholds[0]:
            raise InputError(f"threshold must be at most the band's strictest, {self.thresholds[0]:g}, got {threshold}")
        at = int(np.searchsorted(-self.thresholds, -threshold, side="right")) - 1
        return at if self.accuracy_low[at] > 0 else None

    def _loosest(self, target_accuracy: float) -> int | None:
        """Find the loosest threshold whose bound reaches the target; None if none does."""
        BinomialTest.of(target_accuracy, self.confidence_level)  # refuses what is no share
        reached = np.flatnonzero(self.accuracy_low >= target_accuracy)
        return int(reached[-1]) if len(reached) else None

    def _certificate(self, at: int | None, target: float) -> Certificate:
        """Write the certificate of one threshold of the band, or of none."""
        points, test = len(self.thresholds), BinomialTest(round(1 - target, 12), round(1 - self.confidence_level, 12))
        hopeful = at is None and 0 < target < 1
        certificate = certificate_at(
            math.inf if at is None else float(self.thresholds[at]),
            self.sample,
            test,
            out_of_scope_share=self.out_of_scope_share,
            best_accuracy=float(self.accuracy_low.max()),
            rows_needed=self.sample.rows_needed(self.thresholds, test.shared(points)) if hopeful else None,
            method=f"exact bounds at {points} thresholds at once, Bonferroni",
            looks=self.looks,
            scope=Band(points),
        )
        return replace(certificate, target_accuracy=target, confidence_level=self.confidence_level)  # unrounded
