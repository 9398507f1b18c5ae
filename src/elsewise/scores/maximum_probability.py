"""Maximum probability: probability of the best label (Hendrycks & Gimpel 2017, https://arxiv.org/abs/1610.02136)."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.outputs import as_evidence


@dataclass(frozen=True, slots=True)
class MaximumProbability:
    """The largest probability of each row.

    Examples
    --------
    >>> MaximumProbability()([[0.2, 0.8]]).tolist()
    [0.8]
    """

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: Any = None) -> Self:  # noqa: ARG003  every score's call
        """Return the score; evidence (n, k) and codes (n,) are ignored, as nothing is fitted."""
        return cls()

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        return as_evidence(evidence).probabilities.max(axis=1).astype(np.float64)
