"""Normalised maximum logit: the largest logit relative to the norm of all.

Source: Cattelan & Silva (2024), "How to Fix a Broken Confidence Estimator", https://arxiv.org/abs/2305.15508.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Floats, as_codes, row_blocks
from elsewise.metrics import auc
from elsewise.outputs import as_evidence

NORMS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)


@dataclass(frozen=True, slots=True)
class NormalisedMaximumLogit:
    """The largest centred logit, divided by the p-norm of all centred logits.

    Attributes
    ----------
    p : int
        Order of the norm; 0 for no division.

    Examples
    --------
    The centred logits are -1, -1 and 2: 2 / sqrt(6).

    >>> from elsewise.outputs import Evidence, Outputs
    >>> z = np.array([[0.0, 0.0, 3.0]])
    >>> NormalisedMaximumLogit(2)(Evidence(np.array([[0.1, 0.1, 0.8]]), Outputs(z))).round(4).tolist()
    [0.8165]
    """

    p: int

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: Any = None) -> Self:  # noqa: ARG003  every score's call
        """Choose the p of least AUGRC, given codes (n,); 0 if all rows are right, or none."""
        rows = as_evidence(evidence)
        right = rows.probabilities.argmax(axis=1) == as_codes(codes, like=rows.probabilities, allow_abstain=True)
        known = np.isfinite(rows.logits).all(axis=1)
        if not 0 < right[known].sum() < known.sum():
            return cls(0)
        # At one error rate the AUGRC is least where the AUC of right against wrong is largest.
        areas = [auc(_confidence(rows.logits[known], p), right[known]).value for p in NORMS]
        return cls(NORMS[int(np.argmax(areas))])

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        return _confidence(as_evidence(evidence).logits, self.p)


def _confidence(logits: Floats, p: int) -> NDArray[np.float64]:
    out = np.empty(len(logits))
    for rows in row_blocks(logits):
        z = logits[rows].astype(np.float64)
        z -= z.mean(axis=1, keepdims=True)
        top, largest = z.max(axis=1), np.abs(z).max(axis=1)
        if p:  # scaled first, as a large power of a large logit is infinite
            scaled = np.abs(z) / np.where(largest > 0, largest, 1)[:, None]
            size = largest * (scaled**p).sum(axis=1) ** (1 / p)
            top = top / np.where(largest > 0, size, 1)
        out[rows] = top
    return out
