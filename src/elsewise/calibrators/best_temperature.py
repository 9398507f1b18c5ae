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
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats, as_codes, as_logits, row_blocks
from elsewise.errors import InputError

LOG_RANGE = 5.0  # the temperature is sought from e**-5 times the usual lead to e**5 times the spread of the logits
FEW_ROWS, NEAR = 20_000, 0.03  # these rows give the log of the temperature to about 0.005
LEADS = 2_000  # rows that give the usual lead
FAR = 1000.0  # a logit so much lower, and so many times the usual lead of the best label, is no logit but a mask


def best_temperature(logits: Any, codes: Any) -> float | None:
    """Find the temperature of least log loss for logits (n, k) and codes (n,); None if no finite temperature is best.

    Labels that a mask makes impossible in a row do not count there, and neither do rows whose true label is one of
    them. Errors as in `Temperature.fit`.
    """
    z = as_logits(logits)
    y = as_codes(codes, like=z)
    if not len(z):
        raise InputError("a temperature cannot be fitted on 0 rows")
    mask = mask_depth(z)
    z, y = possible_rows(z, y, mask)
    step = max(1, len(z) // FEW_ROWS)
    spread = spread_of(z[::step], mask)
    if spread == 0:
        return None
    low, high = -LOG_RANGE, LOG_RANGE + max(0.0, math.log(spread / usual_lead(z)))

    def slope_on(step: int) -> Callable[[float], float]:
        return cache(lambda x: _slope(z[::step], y[::step], math.exp(x) / spread, mask))

    # A step on a million rows takes a second: a few rows first show about where the root lies.
    near = _root(slope_on(step), low, high) if step > 1 else None
    root = None if near is None else _root(slope_on(1), near - NEAR, near + NEAR)
    root = _root(slope_on(1), low, high) if root is None else root
    return None if root is None else spread / math.exp(root)


def mask_depth(z: Floats) -> float:
    """Tell how far below the best of its row a logit is a mask, of a label that cannot be; infinite without masks.

    Masks are what people write over logits: -10,000, -1e9, the lowest number. They say nothing of the scale of logits.

    Examples
    --------
    >>> mask_depth(np.array([[2.0, -1.0, -1e9], [0.0, 1.0, -1e9]]))  # the usual lead is 2
    2000.0
    >>> mask_depth(np.array([[2e9, 1e9], [0.0, 1e9]]))
    inf
    """
    if not len(z) or float(z.max()) - float(z.min()) <= FAR:
        return math.inf
    depth = FAR * max(1.0, usual_lead(z))
    lowest = (z[rows].max(axis=1) - z[rows].min(axis=1) for rows in row_blocks(z))
    return depth if any((low > depth).any() for low in lowest) else math.inf


def usual_lead(z: Floats) -> float:
    """Give the median lead of the best label over the next, among rows (n, k) that have one; infinite if none has.

    Unlike the spread, it does not depend on labels that nearly cannot be.
    """
    best = np.partition(z[:: max(1, len(z) // LEADS)], -2, axis=1)[:, -2:].astype(np.float64)
    leads = best[:, 1] - best[:, 0]
    return float(np.median(leads[leads > 0])) if (leads > 0).any() else math.inf


def is_possible(z: Floats, mask: float) -> NDArray[np.bool_]:
    """Tell which labels of rows (n, k) no mask makes impossible."""
    return np.asarray(z >= z.max(axis=1, keepdims=True) - z.dtype.type(mask))


def possible_rows(z: Floats, y: Codes, mask: float) -> tuple[Floats, Codes]:
    """Leave out the rows whose true label a mask makes impossible; no copy without masks."""
    if mask == math.inf:
        return z, y
    kept = is_possible(z, mask)[np.arange(len(y)), y]
    return z[kept], y[kept]


def _root(slope: Callable[[float], float], low: float, high: float) -> float | None:
    """Find where an increasing function is zero; None unless between `low` and `high`."""
    if not slope(low) < 0 < slope(high):
        return None
    from scipy.optimize import brentq  # noqa: PLC0415  0.3 s to import

    return brentq(slope, low, high, xtol=1e-10)


def spread_of(z: Floats, mask: float = math.inf) -> float:
    """Scale of logits (n, k): the root mean square of possible ones around their row means; 0 for no rows."""
    total = counted = 0.0
    for rows in row_blocks(z):
        block = centred(z[rows].astype(np.float64), mask)
        possible = block if mask == math.inf else block[np.isfinite(block)]
        total, counted = total + float(np.square(possible).sum()), counted + possible.size
    return math.sqrt(total / max(counted, 1))


def centred(z: Floats, mask: float = math.inf) -> Floats:
    """Subtract from rows (n, k) the mean of their possible labels; masked ones become minus infinity."""
    if mask == math.inf:
        return z - z.mean(axis=1, keepdims=True)
    possible = is_possible(z, mask)
    kept = np.where(possible, z, 0)
    return np.where(possible, kept - kept.sum(axis=1, keepdims=True) / possible.sum(axis=1, keepdims=True), -np.inf)


def _slope(z: Floats, y: Codes, b: float, mask: float) -> float:
    """Slope of the mean log loss in b = 1 / temperature: mean of E_p[z] - z_true, increasing in b."""
    total = 0.0
    for rows in row_blocks(z):
        block, true = z[rows], y[rows]
        shifted = block - block.max(axis=1, keepdims=True)
        weight = np.exp(shifted * shifted.dtype.type(b))
        if mask < math.inf:
            weight *= is_possible(block, mask)
        expected = np.einsum("ij,ij->i", weight, shifted) / weight.sum(axis=1)
        total += float(np.sum(expected - shifted[np.arange(len(true)), true], dtype=np.float64))
    return total / len(z)
