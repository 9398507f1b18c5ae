"""Temperature scaling: one positive number that divides every logit.

Source: Guo, Pleiss, Sun & Weinberger (2017), "On Calibration of Modern Neural Networks",
section 4.2, https://arxiv.org/abs/1706.04599.

The best temperature is found as a root, by `elsewise.calibrators.best_temperature`.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any, Self

from elsewise.arrays import Floats, as_logits, softmax
from elsewise.calibrators.best_temperature import best_temperature
from elsewise.errors import ElsewiseWarning, InputError


@dataclass(frozen=True, slots=True)
class Temperature:
    """A fitted temperature; call it on logits to get probabilities. The top label never changes.

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
        """Find the temperature with the least log loss.

        Parameters
        ----------
        logits : (n, k)
            Logits of texts that the model was *not* trained on.
        codes : (n,)
            Their true label codes, 0..k-1; leave out-of-scope rows out.

        Returns
        -------
        Temperature
            1, with an ElsewiseWarning, when no finite temperature is best (every row right, or none
            better than chance): the probabilities are then as the model gave them.

        Raises
        ------
        InputError
            If there are no rows, shapes disagree, a logit is not finite, or a code is out of range.

        Examples
        --------
        Four texts, one of them wrong with the same margin: the best temperature is 2 / ln 3.

        >>> logits = [[2, 0], [2, 0], [2, 0], [2, 0]]
        >>> round(Temperature.fit(logits, [0, 0, 0, 1]).temperature, 4)
        1.8205
        """
        temperature = best_temperature(logits, codes)
        if temperature is None:
            message = "no finite temperature is best on these rows; probabilities stay uncalibrated (temperature 1)"
            warnings.warn(message, ElsewiseWarning, stacklevel=2)
        return cls(temperature or 1.0)

    def __call__(self, logits: Any) -> Floats:
        """Return calibrated probabilities, shape (n, k)."""
        z = as_logits(logits)
        return softmax(z / z.dtype.type(self.temperature))

    @property
    def sentence(self) -> str:
        """Say what it does, for people."""
        return f"Temperature {self.temperature:.4f}"

    def fold(self, weight: Floats, bias: Floats | None) -> tuple[Floats, Floats | None]:
        """Divide the last linear layer's weight (k, d) and bias (k,), so that its plain softmax is calibrated."""
        return weight / self.temperature, None if bias is None else bias / self.temperature
