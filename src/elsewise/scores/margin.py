"""Margin: difference of the two largest probabilities."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Floats, map_rows
from elsewise.outputs import as_evidence


@dataclass(frozen=True, slots=True)
class Margin:
    """The largest probability of each row minus the second largest, 0..1.

    Examples
    --------
    >>> Margin()([[0.25, 0.75]]).tolist()
    [0.5]
    """

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: Any = None) -> Self:  # noqa: ARG003  every score's call
        """Return the score; evidence (n, k) and codes (n,) are ignored, as nothing is fitted."""
        return cls()

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        return np.asarray(map_rows(_margin, as_evidence(evidence).probabilities))


def _margin(probabilities: Floats) -> NDArray[np.float64]:
    top = np.partition(probabilities, -2, axis=1)[:, -2:].astype(np.float64)
    return np.asarray(top[:, 1] - top[:, 0])
