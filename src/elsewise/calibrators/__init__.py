"""Calibrators: fitted maps from logits to probabilities. To add a calibrator: a file and a line in CALIBRATORS.

calibrator = Temperature.fit(tune_logits, tune_codes)     # frozen, fitted
probabilities = calibrator(logits)                         # (n, k)
"""

from typing import Any, Final, Protocol, Self

from elsewise.arrays import Floats
from elsewise.calibrators.identity import Identity
from elsewise.calibrators.label_biases import LabelScale, TemperatureBias
from elsewise.calibrators.prior_correction import PriorCorrection
from elsewise.calibrators.temperature import Temperature

__all__ = ["CALIBRATORS", "Calibrator", "Identity", "LabelScale", "PriorCorrection", "Temperature", "TemperatureBias"]


class Calibrator(Protocol):
    """A fitted map from logits (n, k) to probabilities (n, k)."""

    @classmethod
    def fit(cls, logits: Any, codes: Any) -> Self:
        """Fit on logits (n, k) of texts that the model was not trained on, and their true codes (n,)."""
        ...

    def __call__(self, logits: Any) -> Floats:
        """Return the probabilities (n, k) of logits (n, k)."""
        ...

    @property
    def sentence(self) -> str:
        """Description of the calibrator: a clause without a full stop."""
        ...

    def fold(self, weight: Floats, bias: Floats | None) -> tuple[Floats, Floats | None]:
        """Return the last linear layer's weight (k, d) and bias (k,) whose plain softmax is calibrated."""
        ...


CALIBRATORS: Final[dict[str, type[Calibrator]]] = {
    "identity": Identity,
    "temperature": Temperature,
    "temperature_bias": TemperatureBias,
    "label_scale": LabelScale,
    "prior_correction": PriorCorrection,
}
