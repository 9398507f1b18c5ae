"""Mahalanobis: minus the distance of a text's features to the mean of the nearest label."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import as_codes
from elsewise.outputs import References, as_evidence
from elsewise.scores.distances import LabelGaussians, references_of


@dataclass(frozen=True, slots=True, eq=False)
class Mahalanobis:
    """Minus the Mahalanobis distance to the nearest label's mean, on features of length 1.

    Source: Lee, Lee, Lee & Shin (2018), "A Simple Unified Framework for Detecting Out-of-Distribution Samples",
    https://arxiv.org/abs/1807.03888. NaN for features that are not finite.
    """

    labels: LabelGaussians

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: References | None = None) -> Self:
        """Fit means and covariance on `references`, else on the in-scope rows of the evidence, codes (n,).

        Raises
        ------
        InputError
            If the engine gives no features, or no row is in scope.
        """
        rows = as_evidence(evidence)
        truth = as_codes(codes, like=rows.probabilities, allow_abstain=True)
        return cls(LabelGaussians.fit(references or references_of(rows, truth)))

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,), at most 0."""
        return -np.sqrt(self.labels.least(as_evidence(evidence).features))
