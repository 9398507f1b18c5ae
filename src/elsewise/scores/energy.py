"""Energy: the log-sum-exp of the logits (Liu et al. 2020, https://arxiv.org/abs/2010.03759)."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import log_sum_exp
from elsewise.outputs import as_evidence


@dataclass(frozen=True, slots=True)
class Energy:
    """Log-sum-exp of the logits, at temperature 1 (the negative of Liu's energy, so that larger is surer).

    Examples
    --------
    >>> from elsewise.outputs import Evidence, Outputs
    >>> z = np.zeros((1, 2))
    >>> Energy()(Evidence(np.full((1, 2), 0.5), Outputs(z))).round(4).tolist()
    [0.6931]
    """

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: Any = None) -> Self:  # noqa: ARG003  every score's call
        """Return the score; evidence (n, k) and codes (n,) are ignored, as nothing is fitted."""
        return cls()

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        return log_sum_exp(as_evidence(evidence).logits)
