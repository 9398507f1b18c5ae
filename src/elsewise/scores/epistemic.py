"""Epistemic: how little models disagree, for engines with an ensemble, MC dropout or Laplace."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.outputs import as_evidence


@dataclass(frozen=True, slots=True)
class Epistemic:
    """Minus the mutual information of label and model in nats; 0 where all models agree.

    Source: Houlsby, Huszar, Ghahramani & Lengyel (2011), https://arxiv.org/abs/1112.5745 (there for active learning).
    It finds unfamiliar texts, and not those that are ambiguous to every model.

    Examples
    --------
    >>> from elsewise.outputs import Evidence, Outputs
    >>> outputs = Outputs(np.zeros((2, 2)), epistemic=np.array([0.0, 0.3]))
    >>> Epistemic()(Evidence(np.full((2, 2), 0.5), outputs)).tolist()
    [-0.0, -0.3]
    """

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: Any = None) -> Self:  # noqa: ARG003  every score's call
        """Return the score; evidence (n, k) and codes (n,) are ignored, as nothing is fitted."""
        return cls()

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,); InputError where the engine gives no mutual information."""
        return -as_evidence(evidence).epistemic.astype(np.float64)
