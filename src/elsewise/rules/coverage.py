"""A threshold that answers a given share of the texts, with no promise on accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from elsewise.errors import InputError
from elsewise.outputs import as_evidence
from elsewise.rules.certificate import Certificate
from elsewise.rules.decisions import Decisions, Gate, confidence_of, decide
from elsewise.rules.fixed_sequence import check_share
from elsewise.rules.gates import Asked, as_gates
from elsewise.scores import MaximumProbability, Score


@dataclass(frozen=True, slots=True)
class TargetCoverage:
    """Rule that answered a share `coverage` of its fitting rows, the surest (more when confidences tie).

    Texts that one of the `gates` flags are never answered.

    Examples
    --------
    >>> rows = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]]
    >>> TargetCoverage.fit(rows, coverage=0.5).threshold
    0.8
    """

    tested: ClassVar[bool] = False
    certificate: ClassVar[Certificate | None] = None  # a threshold chosen by coverage carries no certificate
    threshold: float
    coverage: float
    score: Score = field(default_factory=MaximumProbability)
    gates: tuple[Gate, ...] = ()

    @property
    def asked(self) -> Asked:
        """Arguments of `fit` besides rows and score."""
        return {"coverage": self.coverage, "gates": self.gates}

    @classmethod
    def fit(
        cls,
        evidence: Any,
        codes: Any = None,  # noqa: ARG003  every rule's call
        *,
        coverage: float = 0.9,
        score: Score | None = None,
        gates: Sequence[Gate] = (),
        ambiguity_margin: float | None = None,
    ) -> Self:
        """Fit the threshold on evidence of n texts; their codes (n,) are not needed.

        InputError if `coverage` or the margin is not within 0..1, or no text can be read.
        """
        check_share("coverage", coverage)
        score, gates = score or MaximumProbability(), as_gates(gates, ambiguity_margin)
        rows = as_evidence(evidence)
        if np.isnan(rows.probabilities).any(axis=1).all():
            raise InputError("coverage needs at least one text that can be read, got none")
        confidence = confidence_of(rows, score, gates)
        surest_first = np.sort(confidence[~np.isnan(confidence)])[::-1]
        answered = min(int(np.ceil(round(coverage * len(confidence), 9))), len(surest_first))
        threshold = float(surest_first[answered - 1]) if answered else float("inf")
        return cls(threshold, coverage, score, gates)

    def __call__(self, evidence: Any) -> Decisions:
        """Answer exactly where ``confidence >= threshold``."""
        return decide(as_evidence(evidence), self.score, self.threshold, self.gates)
