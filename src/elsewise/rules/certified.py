"""A threshold certified for a promise on accuracy, by exact binomial tests in a fixed sequence.

Method and sources: see elsewise.rules.fixed_sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from elsewise.messages.certificates import MIXED, PLAIN
from elsewise.outputs import as_evidence
from elsewise.rules.certificate import Certificate
from elsewise.rules.certify_rows import CertifyRows
from elsewise.rules.decisions import Decisions, Gate, decide
from elsewise.rules.fixed_sequence import BinomialTest, certify, check_share
from elsewise.rules.gates import Asked, as_gates
from elsewise.rules.out_of_scope_share import Strata
from elsewise.scores import MaximumProbability, Score


@dataclass(frozen=True, slots=True)
class CertifiedThreshold:
    """Rule that answers where the confidence reaches a certified threshold.

    Attributes
    ----------
    certificate : Certificate
        The promise. If nothing could be certified, its threshold is inf, and everything is Other.
    score, gates : Score, tuple of Gate
        The confidence; texts that a gate flags are never answered.
    """

    tested: ClassVar[bool] = True
    certificate: Certificate
    score: Score = field(default_factory=MaximumProbability)
    gates: tuple[Gate, ...] = ()

    @property
    def threshold(self) -> float:
        """The certified threshold, unrounded."""
        return self.certificate.threshold

    @property
    def asked(self) -> Asked | None:
        """Arguments of `fit` besides rows, score and looks; None for a threshold that a different test chose."""
        c = self.certificate
        if c.method not in (PLAIN, MIXED):
            return None
        return {
            "target_accuracy": c.asked_for,
            "confidence_level": c.confidence_level,
            "gates": self.gates,
            "out_of_scope_share": c.out_of_scope_share if c.method == MIXED else None,
            "strict": not c.ladder,
        }

    @classmethod
    def fit(
        cls,
        evidence: Any,
        codes: Any,
        *,
        reference: Any,
        reference_codes: Any = None,
        target_accuracy: float = 0.95,
        confidence_level: float = 0.95,
        score: Score | None = None,
        looks: int = 1,
        gates: Sequence[Gate] = (),
        ambiguity_margin: float | None = None,
        out_of_scope_share: float | None = None,
        strict: bool = True,
    ) -> Self:
        """Certify the loosest threshold that passes the tests.

        Parameters
        ----------
        evidence, codes : Evidence or probabilities (n, k), and (n,)
            Certify rows, never used before, one per distinct text; true codes, -1 for an out-of-scope row, on which
            every answer is an error.
        reference : Evidence, or probabilities (m, k)
            Other rows (tune rows, or unlabelled ones) that place the grid of thresholds.
        reference_codes : (m,), optional
            True codes of the reference rows: the tests begin where on the grid they are likely to pass.
        target_accuracy, confidence_level : float
            Both within 0..1, exclusive.
        score : Score, optional
            The confidence, fixed beforehand. Default: maximum probability.
        looks : int
            Number of certifications on these rows, this one included.
        gates : sequence of Gate
            Gates, fixed beforehand. Texts that they flag are never answered, in the test as in service.
        ambiguity_margin : float, optional
            0..1: texts whose best two probabilities differ by less are never answered.
        out_of_scope_share : float, optional
            0..1: certifies for texts of which up to this share is out-of-scope. Default: the share among the certify
            rows, taken as a sample of the texts.
        strict : bool
            False: where `target_accuracy` cannot be certified, certify the best lower target of
            `elsewise.rules.fixed_sequence.LADDER` instead, in the same test. The certificate has both targets, and
            counts one look.

        Returns
        -------
        CertifiedThreshold
            Not certified if no threshold passes: ``rule.certificate.sentence`` says why.

        Raises
        ------
        InputError
            If certify rows are reference rows too, a code is out of range, or a share is not within 0..1.

        Examples
        --------
        At least 59 rows without an error certify 95 % at level 95 %.

        >>> import numpy as np
        >>> p = np.tile([0.9, 0.1], (59, 1))
        >>> CertifiedThreshold.fit(p, np.zeros(59), reference=p.copy()).certificate.certified
        True
        >>> CertifiedThreshold.fit(p[:58], np.zeros(58), reference=p.copy()).certificate.rows_needed
        59
        >>> short = CertifiedThreshold.fit(p[:58], np.zeros(58), reference=p.copy(), strict=False).certificate
        >>> short.certified, short.target_accuracy, short.asked_accuracy
        (True, 0.94, 0.95)
        """
        test = BinomialTest.of(target_accuracy, confidence_level)
        rows = CertifyRows.of(evidence, codes, reference, score, as_gates(gates, ambiguity_margin), looks)
        if out_of_scope_share is None:
            certificate = rows.certify(test, reference_codes, ladder=not strict)
        else:
            certificate = _mixed(rows, test, out_of_scope_share, ladder=not strict)
        return cls(rows.with_barred(certificate), rows.score, rows.gates)

    def __call__(self, evidence: Any) -> Decisions:
        """Answer exactly where ``confidence >= threshold``."""
        return decide(as_evidence(evidence), self.score, self.threshold, self.gates)


def _mixed(rows: CertifyRows, test: BinomialTest, share: float, *, ladder: bool) -> Certificate:
    """Certify for a stated share of out-of-scope texts."""
    check_share("out_of_scope_share", share)
    strata = Strata.of(rows.confidence, rows.wrong, rows.codes, share)
    certificate = certify(strata, test, rows.surest_first, out_of_scope_share=share, looks=rows.looks, ladder=ladder)
    scope = strata.scope(certificate.threshold, test.delta) if certificate.certified else None
    return replace(certificate, method=MIXED, scope=scope)
