"""A threshold chosen after looking: one of an accuracy band, which holds at all of its thresholds at once.

Method and sources: see elsewise.rules.accuracy_band.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from elsewise.outputs import as_evidence
from elsewise.rules.accuracy_band import AccuracyBand
from elsewise.rules.certificate import Certificate
from elsewise.rules.decisions import Decisions, Gate, decide
from elsewise.rules.fixed_sequence import CertifyRows
from elsewise.rules.gates import Asked, as_gates
from elsewise.scores import MaximumProbability, Score


@dataclass(frozen=True, slots=True)
class BandThreshold:
    """Rule that answers where the confidence reaches a threshold of an accuracy band.

    Attributes
    ----------
    certificate : Certificate
        The promise that the band keeps at its threshold. If it keeps none there, everything is Other.
    wanted : float
        The threshold that was asked for; the band's next threshold at or above it is used.
    score, gates : Score, tuple of Gate
        The confidence; texts that a gate flags are never answered.
    """

    tested: ClassVar[bool] = True
    certificate: Certificate
    wanted: float
    score: Score = field(default_factory=MaximumProbability)
    gates: tuple[Gate, ...] = ()

    @property
    def threshold(self) -> float:
        """The band's threshold, unrounded."""
        return self.certificate.threshold

    @property
    def asked(self) -> Asked:
        """Arguments of `fit` besides rows, score and looks."""
        level = self.certificate.confidence_level
        return {"threshold": self.wanted, "confidence_level": level, "gates": self.gates}

    @classmethod
    def fit(
        cls,
        evidence: Any,
        codes: Any,
        *,
        reference: Any,
        reference_codes: Any = None,  # noqa: ARG003  every tested rule's call
        threshold: float = 0.6,
        confidence_level: float = 0.95,
        score: Score | None = None,
        looks: int = 1,
        gates: Sequence[Gate] = (),
        ambiguity_margin: float | None = None,
    ) -> Self:
        """Bound the accuracy at 20 thresholds, and take the lowest at or above the one that is asked for.

        Parameters
        ----------
        evidence, codes, reference, confidence_level, score, looks, gates, ambiguity_margin
            As for `CertifiedThreshold.fit`: n certify rows and their codes (n,), m reference rows.
        reference_codes : (m,), optional
            Not used.
        threshold : float
            May be chosen after any look at the band: all its bounds hold together. -inf answers everything readable.

        Returns
        -------
        BandThreshold
            Its certificate promises the accuracy that the band holds there. InputError for a threshold above the
            band's strictest, and as for `CertifiedThreshold.fit`.

        Examples
        --------
        >>> import numpy as np
        >>> p = np.tile([0.9, 0.1], (100, 1))
        >>> rule = BandThreshold.fit(p, np.zeros(100), reference=p.copy(), threshold=0.6)
        >>> rule.threshold, round(rule.certificate.target_accuracy, 4)
        (0.9, 0.9638)
        """
        barring = as_gates(gates, ambiguity_margin)
        band = AccuracyBand.fit(
            evidence, codes, reference=reference, confidence_level=confidence_level, score=score, looks=looks,
            gates=barring,
        )  # fmt: skip
        rows = CertifyRows.of(evidence, codes, reference, score, barring, looks)
        return cls(rows.with_barred(band.rule(threshold).certificate), threshold, band.score, band.gates)

    def __call__(self, evidence: Any) -> Decisions:
        """Answer exactly where ``confidence >= threshold``."""
        return decide(as_evidence(evidence), self.score, self.threshold, self.gates)
