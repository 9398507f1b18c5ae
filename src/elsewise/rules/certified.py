"""A threshold chosen for a promise on accuracy and tested: exact binomial tests in a fixed sequence.

Source: Bauer (1991), "Multiple testing in clinical trials"; Angelopoulos, Bates, Candes, Jordan & Lei (2021),
"Learn then Test", https://arxiv.org/abs/2110.01052, section 2.3 (fixed-sequence testing).
See elsewise.rules.fixed_sequence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from elsewise.errors import InputError
from elsewise.outputs import as_evidence
from elsewise.rules.certificate import MIXED, PLAIN, Certificate
from elsewise.rules.decisions import Decisions, confidence_of, decide
from elsewise.rules.fixed_sequence import (
    Counts,
    Promise,
    Sample,
    Thresholds,
    as_separate,
    certify,
    check_looks,
    check_promise,
    check_share,
    errors_of,
    out_of_scope_share_of,
    strict_to_loose,
    tried_on,
)
from elsewise.rules.out_of_scope_share import Strata
from elsewise.scores import MaximumProbability, Score

__all__ = ["CertifiedThreshold", "check_promise"]


@dataclass(frozen=True, slots=True)
class CertifiedThreshold:
    """Answer where the confidence reaches a threshold that a promise was tested for.

    Attributes
    ----------
    certificate : Certificate
        The promise; when nothing could be certified its threshold is inf, and everything is Other.
    score : Score
        The confidence.
    ambiguity_margin : float
        A text whose best two probabilities are closer than this is never answered.
    """

    tested: ClassVar[bool] = True
    certificate: Certificate
    score: Score = field(default_factory=MaximumProbability)
    ambiguity_margin: float = 0.0

    @property
    def threshold(self) -> float:
        """The certified threshold, unrounded."""
        return self.certificate.threshold

    @property
    def asked(self) -> Mapping[str, Any] | None:
        """What `fit` was called with, beside rows, score and looks; None of a threshold that another test chose."""
        c = self.certificate
        if c.method not in (PLAIN, MIXED):
            return None
        return {
            "target_accuracy": c.target_accuracy,
            "confidence_level": c.confidence_level,
            "ambiguity_margin": self.ambiguity_margin,
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
        ambiguity_margin: float = 0.0,
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
        ambiguity_margin : float
            0..1, fixed before: a text whose best two probabilities are closer than this is never answered. The gate
            acts before the test, so what is certified is what is served.
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
        return cls.fit_targets(
            evidence,
            codes,
            reference=reference,
            reference_codes=reference_codes,
            target_accuracies=(target_accuracy,),
            confidence_level=confidence_level,
            score=score,
            earlier_looks=looks - 1,
            ambiguity_margin=ambiguity_margin,
            out_of_scope_share=out_of_scope_share,
        )[0]

    @classmethod
    def fit_targets(
        cls,
        evidence: Any,
        codes: Any,
        *,
        reference: Any,
        reference_codes: Any = None,
        target_accuracies: Sequence[float],
        confidence_level: float = 0.95,
        score: Score | None = None,
        earlier_looks: int = 0,
        ambiguity_margin: float = 0.0,
        out_of_scope_share: float | None = None,
    ) -> tuple[Self, ...]:
        """Certify several targets on the same rows, each of them counted as a look.

        Parameters are those of `fit`; `earlier_looks` counts the certifications made on these rows before. Each
        promise holds at the confidence level by itself, and its sentence says at which level all hold together.

        Examples
        --------
        >>> import numpy as np
        >>> p = np.tile([0.9, 0.1], (59, 1))
        >>> rules = CertifiedThreshold.fit_targets(p, np.zeros(59), reference=p.copy(), target_accuracies=(0.9, 0.95))
        >>> [(rule.certificate.certified, rule.certificate.looks) for rule in rules]
        [(True, 2), (True, 2)]
        """
        if not target_accuracies:
            raise InputError("target_accuracies must hold at least one accuracy, got none")
        promises = [Promise.of(target, confidence_level) for target in target_accuracies]
        looks = earlier_looks + len(promises)
        check_looks(looks - len(promises) + 1)
        check_share("ambiguity_margin", ambiguity_margin)
        rows, others = as_separate(evidence, reference)
        score = score or MaximumProbability()
        wrong, truth = errors_of(rows, codes)
        confidence = confidence_of(rows, score, ambiguity_margin)
        surest_first = strict_to_loose(others, score, ambiguity_margin)
        if out_of_scope_share is None:
            counts, share = Counts.of(confidence, wrong), out_of_scope_share_of(truth)
            tried = tried_on(others, reference_codes, score, ambiguity_margin)
            found = [
                certify(counts, p, surest_first, out_of_scope_share=share, looks=looks, tried=tried) for p in promises
            ]
        else:
            check_share("out_of_scope_share", out_of_scope_share)
            strata = Strata.of(confidence, wrong, truth, out_of_scope_share)
            found = [_mixed(strata, p, surest_first, looks) for p in promises]
        return tuple(cls(certificate, score, ambiguity_margin) for certificate in found)

    def __call__(self, evidence: Any) -> Decisions:
        """Answer exactly where ``confidence >= threshold``."""
        return decide(as_evidence(evidence), self.score, self.threshold, self.ambiguity_margin)


def _mixed(strata: Strata, promise: Promise, surest_first: Thresholds, looks: int) -> Certificate:
    """Certify for a stated share of out-of-scope texts, and say so."""
    sample: Sample = strata
    certificate = certify(sample, promise, surest_first, out_of_scope_share=strata.share, looks=looks)
    certificate = replace(certificate, method=MIXED)
    return replace(certificate, words=strata.worded(certificate)) if certificate.certified else certificate
