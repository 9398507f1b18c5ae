"""A threshold chosen for a promise on accuracy and tested: exact binomial tests in a fixed sequence.

Source: Bauer (1991), "Multiple testing in clinical trials"; Angelopoulos, Bates, Candes, Jordan & Lei (2021),
"Learn then Test", https://arxiv.org/abs/2110.01052, section 2.3 (fixed-sequence testing).
See elsewise.rules.fixed_sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from elsewise.messages.certificates import MIXED, PLAIN
from elsewise.outputs import as_evidence
from elsewise.rules.certificate import Certificate
from elsewise.rules.decisions import Decisions, Gate, decide
from elsewise.rules.fixed_sequence import (
    BinomialTest,
    CertifyRows,
    Sample,
    Thresholds,
    certify,
    check_looks,
    check_share,
)
from elsewise.rules.gates import Asked, as_gates
from elsewise.rules.out_of_scope_share import Strata
from elsewise.scores import MaximumProbability, Score


@dataclass(frozen=True, slots=True)
class CertifiedThreshold:
    """Answer where the confidence reaches a threshold that a promise was tested for.

    Attributes
    ----------
    certificate : Certificate
        The promise; when nothing could be certified its threshold is inf, and everything is Other.
    score : Score
        The confidence.
    gates : tuple of Gate
        Texts that they flag are never answered.
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
        """What `fit` was called with, beside rows, score and looks; None of a threshold that another test chose."""
        c = self.certificate
        if c.method not in (PLAIN, MIXED):
            return None
        return {
            "target_accuracy": c.target_accuracy,
            "confidence_level": c.confidence_level,
            "gates": self.gates,
            "out_of_scope_share": c.out_of_scope_share if c.method == MIXED else None,
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
        reference_codes : (m,), optional
            Their true codes, which tell where on the grid the tests had best begin.
        target_accuracy, confidence_level : float
            Both within 0..1, exclusive.
        score : Score, optional
            Fixed before; the maximum probability by default.
        looks : int
            How many certifications are made on these rows, this one included.
        gates : sequence of Gate
            Fixed before: texts that they flag are never answered. They act before the test, so what is certified is
            what is served.
        ambiguity_margin : float, optional
            0..1, the gate that is used most: a text whose best two probabilities are closer than this is never
            answered.
        out_of_scope_share : float, optional
            0..1: certify for texts of which up to this share is out-of-scope, whatever the share among the certify
            rows is. By default these rows are taken as the texts come, their out-of-scope share included.

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

        >>> import numpy as np
        >>> p = np.tile([0.9, 0.1], (59, 1))
        >>> CertifiedThreshold.fit(p, np.zeros(59), reference=p.copy()).certificate.certified
        True
        >>> CertifiedThreshold.fit(p[:58], np.zeros(58), reference=p.copy()).certificate.rows_needed
        59
        """
        test = BinomialTest.of(target_accuracy, confidence_level)
        check_looks(looks)
        rows = CertifyRows.of(evidence, codes, reference, score, as_gates(gates, ambiguity_margin))
        if out_of_scope_share is None:
            certificate = certify(
                rows.counts, test, rows.surest_first,
                out_of_scope_share=rows.out_of_scope_share, looks=looks, tried=rows.tried(reference_codes),
            )  # fmt: skip
        else:
            check_share("out_of_scope_share", out_of_scope_share)
            strata = Strata.of(rows.confidence, rows.wrong, rows.codes, out_of_scope_share)
            certificate = _mixed(strata, test, rows.surest_first, looks)
        return cls(certificate, rows.score, rows.gates)

    def __call__(self, evidence: Any) -> Decisions:
        """Answer exactly where ``confidence >= threshold``."""
        return decide(as_evidence(evidence), self.score, self.threshold, self.gates)


def _mixed(strata: Strata, test: BinomialTest, surest_first: Thresholds, looks: int) -> Certificate:
    """Certify for a stated share of out-of-scope texts, and say so."""
    sample: Sample = strata
    certificate = certify(sample, test, surest_first, out_of_scope_share=strata.share, looks=looks)
    scope = strata.scope(certificate.threshold, test.delta) if certificate.certified else None
    return replace(certificate, method=MIXED, scope=scope)
