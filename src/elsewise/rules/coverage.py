"""A threshold that answers a stated share of the texts; how many of the answers are right is only measured."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from elsewise.decisions import Certificate, Decisions, confidence_of, decide
from elsewise.errors import InputError
from elsewise.outputs import as_evidence
from elsewise.scores import MaximumProbability, Score


@dataclass(frozen=True, slots=True)
class TargetCoverage:
    """Answer the surest texts, as many as were asked for on the fitting rows (more when confidences tie).

    Examples
    --------
    >>> rows = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]]
    >>> TargetCoverage.fit(rows, coverage=0.5).threshold
    0.8
    """

    threshold: float
    coverage: float
    score: Score = field(default_factory=MaximumProbability)

    @property
    def certificate(self) -> Certificate | None:
        """None: a threshold chosen by coverage carries no certificate."""
        return None

    @classmethod
    def fit(cls, evidence: Any, codes: Any = None, *, coverage: float = 0.9, score: Score | None = None) -> Self:  # noqa: ARG003
        """Place the threshold on `evidence` of n texts; codes are not needed.

        Raises
        ------
        InputError
            If `coverage` is not within 0..1 or no text can be read.
        """
        if not 0 <= coverage <= 1:
            raise InputError(f"coverage must lie in 0..1, got {coverage}")
        score = score or MaximumProbability()
        confidence = confidence_of(as_evidence(evidence), score)
        surest_first = np.sort(confidence[~np.isnan(confidence)])[::-1]
        if not len(surest_first):
            raise InputError("coverage needs at least one text that can be read, got none")
        answered = min(int(np.ceil(round(coverage * len(confidence), 9))), len(surest_first))
        return cls(float(surest_first[answered - 1]) if answered else float("inf"), coverage, score)

    def __call__(self, evidence: Any) -> Decisions:
        """Answer exactly where ``confidence >= threshold``."""
        return decide(as_evidence(evidence), self.score, self.threshold)
