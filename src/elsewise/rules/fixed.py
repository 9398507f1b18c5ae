"""A threshold set by hand: easy to say, and it promises nothing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from elsewise.errors import InputError
from elsewise.outputs import as_evidence
from elsewise.rules.certificate import Certificate
from elsewise.rules.decisions import Decisions, decide
from elsewise.rules.fixed_sequence import check_share
from elsewise.scores import MaximumProbability, Score


@dataclass(frozen=True, slots=True)
class FixedThreshold:
    """Answer where the confidence reaches a number that somebody chose.

    With an `ambiguity_margin`, a text whose best two probabilities are closer than that is not answered.

    Examples
    --------
    >>> FixedThreshold(0.6)([[0.6, 0.4], [0.59, 0.41]]).labels
    ['0', 'Other']
    """

    tested: ClassVar[bool] = False
    threshold: float
    score: Score = field(default_factory=MaximumProbability)
    ambiguity_margin: float = 0.0

    def __post_init__(self) -> None:
        if math.isnan(self.threshold):
            raise InputError("threshold must be a number, got nan")
        check_share("ambiguity_margin", self.ambiguity_margin)

    @property
    def certificate(self) -> Certificate | None:
        """None: a threshold set by hand carries no certificate."""
        return None

    @property
    def asked(self) -> Mapping[str, Any]:
        """What `fit` was called with, beside rows and score."""
        return {"threshold": self.threshold, "ambiguity_margin": self.ambiguity_margin}

    @classmethod
    def fit(
        cls,
        evidence: Any,  # noqa: ARG003  every rule's call
        codes: Any,  # noqa: ARG003
        *,
        threshold: float = 0.6,
        score: Score | None = None,
        ambiguity_margin: float = 0.0,
    ) -> Self:
        """Take evidence and codes as every rule does; the threshold stays what it is."""
        return cls(threshold, score or MaximumProbability(), ambiguity_margin)

    def __call__(self, evidence: Any) -> Decisions:
        """Answer exactly where ``confidence >= threshold``."""
        return decide(as_evidence(evidence), self.score, self.threshold, self.ambiguity_margin)
