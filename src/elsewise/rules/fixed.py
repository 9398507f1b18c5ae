"""A threshold set by hand, which promises nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from elsewise.errors import InputError
from elsewise.outputs import as_evidence
from elsewise.rules.certificate import Certificate
from elsewise.rules.decisions import Decisions, Gate, decide
from elsewise.rules.gates import Asked, as_gates
from elsewise.scores import MaximumProbability, Score


@dataclass(frozen=True, slots=True)
class FixedThreshold:
    """Rule that answers where the confidence reaches a given number.

    Parameters
    ----------
    threshold : float
        -inf answers everything readable, inf nothing; nan raises InputError.
    score, gates, ambiguity_margin : optional
        As for `CertifiedThreshold.fit`.

    Examples
    --------
    >>> FixedThreshold(0.6)([[0.6, 0.4], [0.59, 0.41]]).labels
    ['0', 'Other']
    """

    tested: ClassVar[bool] = False
    certificate: ClassVar[Certificate | None] = None  # a threshold set by hand carries no certificate
    threshold: float
    score: Score
    gates: tuple[Gate, ...]

    def __init__(
        self,
        threshold: float,
        score: Score | None = None,
        gates: Sequence[Gate] = (),
        *,
        ambiguity_margin: float | None = None,
    ) -> None:
        if math.isnan(threshold):
            raise InputError("threshold must be a number, got nan")
        object.__setattr__(self, "threshold", threshold)
        object.__setattr__(self, "score", score or MaximumProbability())
        object.__setattr__(self, "gates", as_gates(gates, ambiguity_margin))

    @property
    def asked(self) -> Asked:
        """Arguments of `fit` besides rows and score."""
        return {"threshold": self.threshold, "gates": self.gates}

    @classmethod
    def fit(
        cls,
        evidence: Any,  # noqa: ARG003  every rule's call
        codes: Any,  # noqa: ARG003
        *,
        threshold: float = 0.6,
        score: Score | None = None,
        gates: Sequence[Gate] = (),
        ambiguity_margin: float | None = None,
    ) -> Self:
        """Make the rule; evidence of n rows and codes (n,) are ignored."""
        return cls(threshold, score, gates, ambiguity_margin=ambiguity_margin)

    def __call__(self, evidence: Any) -> Decisions:
        """Answer exactly where ``confidence >= threshold``."""
        return decide(as_evidence(evidence), self.score, self.threshold, self.gates)
