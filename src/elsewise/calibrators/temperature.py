"""Temperature scaling: one positive number that divides every logit.

Source: Guo, Pleiss, Sun & Weinberger (2017), "On Calibration of Modern Neural Networks",
section 4.2, https://arxiv.org/abs/1706.04599.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

from elsewise.arrays import Floats, as_logits, softmax
from elsewise.calibrators.best_temperature import best_temperature
from elsewise.errors import InputError, warn_caller


@dataclass(frozen=True, slots=True)
class Temperature:
    """Temperature scaling; call it on logits to get probabilities. The best label never changes.

    Attributes
    ----------
    temperature : float
        Above 1 softens the probabilities, below 1 sharpens them.
    """

    temperature: float

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise InputError(f"temperature must be positive and finite, got {self.temperature}")

    @classmethod
    def fit(cls, logits: Any, codes: Any) -> Self:
        """Find the temperature of least log loss.

        Parameters
        ----------
        logits, codes : (n, k) and (n,)
            Logits of texts that the model was *not* trained on; true codes 0..k-1, without out-of-scope rows.

        Returns
        -------
        Temperature
            1, with an ElsewiseWarning, if no finite temperature is best (all rows right, or no better than chance):
            the probabilities then stay as the model gives them.

        Raises
        ------
        InputError
            If there are no rows, shapes disagree, a logit is not finite, or a code is out of range.

        Examples
        --------
        Four texts with the same margin, one of them wrong: the best temperature is 2 / ln 3.

        >>> logits = [[2, 0], [2, 0], [2, 0], [2, 0]]
        >>> round(Temperature.fit(logits, [0, 0, 0, 1]).temperature, 4)
        1.8205
        """
        temperature = best_temperature(logits, codes)
        if temperature is None:
            message = "no finite temperature is best on these rows; probabilities stay uncalibrated (temperature 1)"
            warn_caller(message)
        return cls(temperature or 1.0)

    def __call__(self, logits: Any) -> Floats:
        """Return calibrated probabilities, shape (n, k)."""
        z = as_logits(logits)
        return softmax(z / z.dtype.type(self.temperature))

    @property
    def sentence(self) -> str:
        """Description of the calibrator."""
        return f"Temperature {self.temperature:.4f}"

    def fold(self, weight: Floats, bias: Floats | None) -> tuple[Floats, Floats | None]:
        """Divide the last linear layer's weight (k, d) and bias (k,), so that its plain softmax is calibrated."""
        return weight / self.temperature, None if bias is None else bias / self.temperature
