"""The best temperature of logits, shared by the calibrators.

The log loss is convex in b = 1 / temperature, and its slope is ``mean(E_p[z] - z_true)`` with p = softmax(b z). So the
best temperature is the only root of an increasing function. A root is exact to the last digits; minimising the loss
stops at half of them.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from elsewise.arrays import Codes, Floats, as_codes, as_logits, row_blocks
from elsewise.errors import InputError

LOG_RANGE = 5.0  # the temperature is sought within e**-5 .. e**5 times the spread of the logits
FEW_ROWS, NEAR = 20_000, 0.03  # these rows give the log of the temperature to about 0.005


def best_temperature(logits: Any, codes: Any) -> float | None:
    """Find the temperature of least log loss for logits (n, k) and codes (n,); None if no finite temperature is best.

    Errors as in `Temperature.fit`.
    """
    z = as_logits(logits)
    y = as_codes(codes, like=z)
    if not len(z):
        raise InputError("a temperature cannot be fitted on 0 rows")
    step = max(1, len(z) // FEW_ROWS)
    spread = spread_of(z[::step])
    if spread == 0:
        return None

    def slope_on(step: int) -> Callable[[float], float]:
        return cache(lambda x: _slope(z[::step], y[::step], math.exp(x) / spread))

    # A step on a million rows takes a second: a few rows first show about where the root lies.
    near = _root(slope_on(step), -LOG_RANGE, LOG_RANGE) if step > 1 else None
    root = None if near is None else _root(slope_on(1), near - NEAR, near + NEAR)
    root = _root(slope_on(1), -LOG_RANGE, LOG_RANGE) if root is None else root
    return None if root is None else spread / math.exp(root)


def _root(slope: Callable[[float], float], low: float, high: float) -> float | None:
    """Find where an increasing function is zero; None unless between `low` and `high`."""
    if not slope(low) < 0 < slope(high):
        return None
    from scipy.optimize import brentq  # noqa: PLC0415  0.3 s to import

    return brentq(slope, low, high, xtol=1e-10)


def spread_of(z: Floats) -> float:
    """Scale of logits (n, k): their root mean square around their row means."""
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
