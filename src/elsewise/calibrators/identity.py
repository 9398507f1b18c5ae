"""No calibration: plain softmax. What a folder holds once its calibration is folded into the model."""

from dataclasses import dataclass
from typing import Any, Self

from elsewise.arrays import Floats, as_codes, as_logits, softmax


@dataclass(frozen=True, slots=True)
class Identity:
    """Plain softmax, for logits that are calibrated already.

    Examples
    --------
    >>> Identity()([[0.0, 0.0]]).tolist()
    [[0.5, 0.5]]
    """

    @classmethod
    def fit(cls, logits: Any, codes: Any) -> Self:
        """Check logits (n, k) and codes (n,); there is nothing to fit."""
        as_codes(codes, like=as_logits(logits))
        return cls()

    def __call__(self, logits: Any) -> Floats:
        """Return softmax probabilities, shape (n, k)."""
        return softmax(as_logits(logits))

    @property
    def sentence(self) -> str:
        """Say what it does, for people."""
        return "No calibration"

    def fold(self, weight: Floats, bias: Floats | None) -> tuple[Floats, Floats | None]:
        """Leave the last linear layer's weight (k, d) and bias (k,) as they are."""
        return weight, bias
