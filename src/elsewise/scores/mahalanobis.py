"""Mahalanobis distances of a text's features from the training texts: to the nearest label, alone and relative."""

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
        return cls(LabelGaussians.fit(_known(evidence, codes, references)))

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,), at most 0."""
        return -np.sqrt(self.labels.least(as_evidence(evidence).features))


@dataclass(frozen=True, slots=True, eq=False)
class RelativeMahalanobis:
    """Squared distance to the mean of all references, minus that to the mean of the nearest label.

    Source: Ren, Fort, Liu, Guha Roy, Padhy & Lakshminarayanan (2021), "A Simple Fix to Mahalanobis Distance",
    https://arxiv.org/abs/2106.09022. NaN for features that are not finite.
    """

    labels: LabelGaussians
    all_texts: LabelGaussians

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: References | None = None) -> Self:
        """Fit on `references`, else on in-scope rows of the evidence, codes (n,); errors as in `Mahalanobis.fit`."""
        known = _known(evidence, codes, references)
        one = References(known.features, np.zeros(len(known.codes), dtype=np.int64))
        return cls(LabelGaussians.fit(known), LabelGaussians.fit(one))

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        features = as_evidence(evidence).features
        return self.all_texts.least(features) - self.labels.least(features)


def _known(evidence: Any, codes: Any, references: References | None) -> References:
    rows = as_evidence(evidence)
    return references or references_of(rows, as_codes(codes, like=rows.probabilities, allow_abstain=True))
