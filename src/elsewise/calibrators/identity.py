"""No calibration: plain softmax, as in a folder whose calibration is folded into the model."""

from dataclasses import dataclass
from typing import Any, Self

from elsewise.arrays import Floats, as_codes, as_logits, softmax


@dataclass(frozen=True, slots=True)
class Identity:
    """Plain softmax, for calibrated logits.

    Examples
    --------
    >>> Identity()([[0.0, 0.0]]).tolist()
    [[0.5, 0.5]]
    """

    @classmethod
    def fit(cls, logits: Any, codes: Any) -> Self:
        """Check logits (n, k) and codes (n,); nothing is fitted."""
        as_codes(codes, like=as_logits(logits))
        return cls()

    def __call__(self, logits: Any) -> Floats:
        """Return softmax probabilities, shape (n, k)."""
        return softmax(as_logits(logits))

    @property
    def sentence(self) -> str:
        """Description of the calibrator."""
        return "No calibration"

    def fold(self, weight: Floats, bias: Floats | None) -> tuple[Floats, Floats | None]:
        """Return the last linear layer's weight (k, d) and bias (k,) unchanged."""
        return weight, bias
