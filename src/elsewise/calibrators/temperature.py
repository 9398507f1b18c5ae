"""Temperature scaling: one positive number that divides every logit.

Source: Guo, Pleiss, Sun & Weinberger (2017), "On Calibration of Modern Neural Networks",
section 4.2, https://arxiv.org/abs/1706.04599.

The log loss is convex in b = 1 / temperature, and its slope is ``mean(E_p[z] - z_true)`` with
p = softmax(b z): the best temperature is the one root of an increasing function. Finding a root
is exact to the last digits, where minimising the loss itself stops at half of them.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np

from elsewise.arrays import Codes, Floats, as_codes, as_logits, row_blocks, softmax
from elsewise.errors import ElsewiseWarning, InputError

LOG_RANGE = 5.0  # the temperature is sought within e**-5 .. e**5 times the spread of the logits
FEW_ROWS, NEAR = 20_000, 0.03  # so many rows know the logarithm of the temperature to about 0.005


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

    def fold(self, weight: Floats, bias: Floats | None) -> tuple[Floats, Floats | None]:
        """Divide the last linear layer's weight (k, d) and bias (k,), so that its plain softmax is calibrated."""
        return weight / self.temperature, None if bias is None else bias / self.temperature


def best_temperature(logits: Any, codes: Any) -> float | None:
    """Find the temperature with the least log loss; None when no finite one is best.

    Takes and raises what `Temperature.fit` does, without the warning.
    """
    z = as_logits(logits)
    y = as_codes(codes, like=z)
    if not len(z):
        raise InputError("a temperature cannot be fitted on 0 rows")
    step = max(1, len(z) // FEW_ROWS)
    spread = _spread(z[::step])
    if spread == 0:
        return None

    def slope_on(step: int) -> Callable[[float], float]:
        return cache(lambda x: _slope(z[::step], y[::step], math.exp(x) / spread))

    # Every step on a million rows takes a second: a few rows first show where the root must lie.
    near = _root(slope_on(step), -LOG_RANGE, LOG_RANGE) if step > 1 else None
    root = None if near is None else _root(slope_on(1), near - NEAR, near + NEAR)
    root = _root(slope_on(1), -LOG_RANGE, LOG_RANGE) if root is None else root
    return None if root is None else spread / math.exp(root)


def _root(slope: Callable[[float], float], low: float, high: float) -> float | None:
    """Find where an increasing function is zero; None when that is not between `low` and `high`."""
    if not slope(low) < 0 < slope(high):
        return None
    from scipy.optimize import brentq  # noqa: PLC0415  0.3 s to import

    return brentq(slope, low, high, xtol=1e-10)


def _spread(z: Floats) -> float:
    """Root mean square of the logits around their row means: their scale, whatever the model's."""
    total = 0.0
    for rows in row_blocks(z):
        block = z[rows].astype(np.float64)
        total += float(np.square(block - block.mean(axis=1, keepdims=True)).sum())
    return math.sqrt(total / z.size)


def _slope(z: Floats, y: Codes, b: float) -> float:
    """Slope of the mean log loss in b = 1 / temperature: mean of E_p[z] - z_true, increasing in b."""
    total = 0.0
    for rows in row_blocks(z):
        block, true = z[rows], y[rows]
        shifted = block - block.max(axis=1, keepdims=True)
        weight = np.exp(shifted * shifted.dtype.type(b))
        expected = np.einsum("ij,ij->i", weight, shifted) / weight.sum(axis=1)
        total += float(np.sum(expected - shifted[np.arange(len(true)), true], dtype=np.float64))
    return total / len(z)
