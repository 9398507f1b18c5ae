"""Relative Mahalanobis: how much nearer a text is to one label than to all training texts together."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import as_codes
from elsewise.outputs import References, as_evidence
from elsewise.scores.distances import LabelGaussians, references_of


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
        """Fit on `references`, else on the in-scope rows of the evidence, codes (n,).

        Raises
        ------
        InputError
            If the engine gives no features, or no row is in scope.
        """
        rows = as_evidence(evidence)
        known = references or references_of(rows, as_codes(codes, like=rows.probabilities, allow_abstain=True))
        one = References(known.features, np.zeros(len(known.codes), dtype=np.int64))
        return cls(LabelGaussians.fit(known), LabelGaussians.fit(one))

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        features = as_evidence(evidence).features
        return self.all_texts.least(features) - self.labels.least(features)
