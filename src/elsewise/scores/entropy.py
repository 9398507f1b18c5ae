"""Negative entropy: how far the probabilities are from uniform."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Floats, map_rows
from elsewise.outputs import as_evidence


@dataclass(frozen=True, slots=True)
class NegativeEntropy:
    """Minus the entropy of each row in nats, from -ln k (uniform) to 0 (certain).

    Examples
    --------
    >>> NegativeEntropy()([[0.5, 0.5], [0.0, 1.0]]).round(4).tolist()
    [-0.6931, 0.0]
    """

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: Any = None) -> Self:  # noqa: ARG003  every score's call
        """Return the score; evidence (n, k) and codes (n,) are ignored, as nothing is fitted."""
        return cls()

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        return np.asarray(map_rows(_negative_entropy, as_evidence(evidence).probabilities))


def _negative_entropy(probabilities: Floats) -> NDArray[np.float64]:
    p = probabilities.astype(np.float64)
    return np.asarray((p * np.log(np.where(p > 0, p, 1))).sum(axis=1))
