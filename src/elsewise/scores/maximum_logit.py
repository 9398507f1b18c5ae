"""Maximum logit: the largest logit of each text, before softmax."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.outputs import as_evidence


@dataclass(frozen=True, slots=True)
class MaximumLogit:
    """The largest logit of each row.

    Source: Hendrycks et al. (2022), "Scaling Out-of-Distribution Detection for Real-World Settings",
    https://arxiv.org/abs/1911.11132.

    Examples
    --------
    >>> from elsewise.outputs import Evidence, Outputs
    >>> z = np.array([[1.0, 3.0]])
    >>> MaximumLogit()(Evidence(np.array([[0.1, 0.9]]), Outputs(z))).tolist()
    [3.0]
    """

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: Any = None) -> Self:  # noqa: ARG003  every score's call
        """Return the score; evidence (n, k) and codes (n,) are ignored, as nothing is fitted."""
        return cls()

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        return as_evidence(evidence).logits.max(axis=1).astype(np.float64)
