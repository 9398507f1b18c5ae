"""The solver for a regularised scale and bias of every label, shared by two calibrators.

The logits of label j become ``(b + r_j) u_j + c_j``, where u is a row of logits less its mean, over the spread of all.
The shared b is free. The r_j (if labels have their own scales) and the c_j cost ``penalty / 2`` times their squares,
besides the summed log loss: a normal prior of variance 1 / penalty, in log odds. The sum is convex, with one solution.

Newton's method finds it, from the gradient of all rows and the curvature of some. Every step is judged on all rows, so
the solution is exact; a quasi-Newton method stops at half of the digits.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats, as_codes, as_logits, row_blocks
from elsewise.calibrators.best_temperature import best_temperature, centred, mask_depth, possible_rows, spread_of
from elsewise.errors import InputError

Vector = NDArray[np.float64]

STEPS, HALVINGS, INNER = 100, 40, 60  # limits, never nearly reached
CLOSE = 1e-8  # of log odds: the last step is at most this long
NOISE = 1e-14  # of the log loss: rounding error of sums
PATIENCE = 4  # steps before slow progress makes more rows give the curvature
BLOCK = 1 << 15  # several arrays of this size stay in the processor's cache
IMPOSSIBLE = -1e6  # in spreads of the logits: its exponential is 0
TINY = 1e-12  # least curvature, to divide by
ROUGH = 0.01  # precision of a step: the next step corrects the rest
CURVED, CURVED_AT_MOST, ROWS_A_LABEL = 1 << 21, 1 << 26, 20  # numbers, or rows, that give the curvature

NO_TEMPERATURE = "no finite temperature is best on these rows; probabilities stay uncalibrated (temperature 1)"
MASKED = "some logits are masks of labels that cannot be; all labels share one temperature"
REVERSED = "the best scale of some label is not positive on these rows; all labels share one temperature"


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """Scales (k,) and biases (k,) of centred rows; `trouble` says why they are not the best, else None."""

    scales: Vector
    biases: Vector
    trouble: str | None = None


def best_affine(logits: Any, codes: Any, *, penalty: float, by_label: bool) -> Affine:
    """Find the scales and biases of least penalised log loss for logits (n, k) and codes (n,).

    `penalty`, above 0 (else InputError), is 1 / variance of the prior. With `by_label` every label has its own scale,
    else all scales are equal. Errors as in `Temperature.fit`.
    """
    if not (penalty > 0 and math.isfinite(penalty)):
        raise InputError(f"penalty must be positive and finite, got {penalty}")
    z = as_logits(logits)
    y = as_codes(codes, like=z)
    temperature, zero, mask = best_temperature(z, y), np.zeros(z.shape[1]), mask_depth(z)
    if temperature is None:
        return Affine(zero + 1, zero, NO_TEMPERATURE)
    if by_label and mask < math.inf:
        return Affine(zero + 1 / temperature, zero, MASKED)
    z, y = possible_rows(z, y, mask)
    problem = _Problem(z, y, spread_of(z, mask), penalty / len(z), by_label, mask)
    start = np.zeros_like(problem.penalties())
    start[0] = problem.spread / temperature
    scale, biases = problem.parts(_newton(problem, start))
    scales = zero + scale / problem.spread
    if (scales <= 0).any():
        return Affine(zero + 1 / temperature, zero, REVERSED)
    return Affine(scales, biases)


def checked_vector(values: Any, name: str) -> Vector:
    """Check a vector of k >= 2 finite numbers, and make it read-only.

    Examples
    --------
    >>> checked_vector([1, float("inf")], "biases")
    Traceback (most recent call last):
    elsewise.errors.InputError: biases must be finite: number 1 is not
    """
    vector = np.array(values, dtype=np.float64)
    if vector.ndim != 1 or len(vector) < 2:  # noqa: PLR2004
        raise InputError(f"{name} must have shape (k,) with k >= 2, got {vector.shape}")
    if not np.isfinite(vector).all():
        raise InputError(f"{name} must be finite: number {int(np.argmin(np.isfinite(vector)))} is not")
    vector.flags.writeable = False
    return vector


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """The penalised mean log loss as a function of x = (b, c_1..c_k) or (b, c_1..c_k, r_1..r_k)."""

    z: Floats
    y: Codes
    spread: float
    penalty: float
    by_label: bool
    mask: float

    def parts(self, x: Vector) -> tuple[Vector, Vector]:
        """Split parameters, or a direction, into scales, (k,) or (1,), and biases (k,)."""
        k = self.z.shape[1]
        return x[0] + x[1 + k :] if self.by_label else x[:1], x[1 : 1 + k]

    def penalties(self) -> Vector:
        """Penalty of each parameter, 0 for the shared scale."""
        penalties = np.full(1 + self.z.shape[1] * (1 + self.by_label), self.penalty)
        penalties[0] = 0
        return penalties

    def centred(self, z: Floats) -> Floats:
        """Centre each row, and divide by the spread of all: a row's constant must not matter; masks are far below."""
        u = centred(z, self.mask)
        u /= u.dtype.type(self.spread)
        return u if self.mask == math.inf else np.maximum(u, u.dtype.type(IMPOSSIBLE))

    def sums(self, m: Floats, u: Floats) -> Vector:
        """Gradient of the parameters from a derivative (n, k) of the logits, summed over rows."""
        own = np.einsum("ij,ij->j", m, u, dtype=np.float64)
        parts = [[own.sum()], m.sum(axis=0, dtype=np.float64)]
        return np.concatenate([*parts, own] if self.by_label else parts)

    def diagonal(self, p: Floats, u: Floats) -> Vector:
        """Diagonal of the curvature, as if the labels did not compete, summed over rows."""
        m = p * (1 - p)
        own = m.sum(axis=0, dtype=np.float64)
        m *= u
        sums = self.sums(m, u)
        sums[1 : 1 + len(own)] = own
        return sums

    def softmax(self, x: Vector, u: Floats) -> tuple[Floats, Floats, Floats]:
        """Probabilities of rows, their logits less the largest, and the sums of the exponentials."""
        scale, biases = self.parts(x)
        logits = u * scale.astype(u.dtype) + biases.astype(u.dtype)
        logits -= logits.max(axis=1, keepdims=True)
        p = np.exp(logits)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        return p, logits, total

    def derivatives(self, x: Vector) -> tuple[float, Vector]:
        """Value and gradient, in one pass over the rows."""
        value, gradient = 0.0, np.zeros_like(x)
        for rows in row_blocks(self.z, BLOCK):
            u, true = self.centred(self.z[rows].astype(np.float64)), self.y[rows]
            p, logits, total = self.softmax(x, u)
            index = np.arange(len(true)), true
            value += float(np.log(total).sum() - logits[index].sum())
            p[index] -= 1
            gradient += self.sums(p, u)
        n, penalties = len(self.z), self.penalties()
        value = value / n + float(penalties @ x**2) / 2
        return value, gradient / n + penalties * x


def _newton(problem: _Problem, x: Vector) -> Vector:
    """Minimise by Newton's method; if progress is slow, more rows give the curvature."""
    here, every = problem.derivatives(x), _every(problem.z)
    for taken in range(STEPS):
        step = _solved(*_curvature(problem, x, every), -here[1])
        moved = _downhill(problem, x, here, step)
        if moved is None:
            break
        steep = float(np.abs(here[1]).max())
        x, here, length = moved
        if length <= CLOSE:
            break
        if taken >= PATIENCE and np.abs(here[1]).max() > steep / 4:
            every = max(min(every, 2), every // 4)  # half of them at most: their probabilities are kept
    return x


def _every(z: Floats) -> int:
    """Step m such that every m-th row gives the curvature well enough to begin with."""
    n, k = z.shape
    return max(1, n // max(CURVED // k, min(ROWS_A_LABEL * k, CURVED_AT_MOST // k), 1))


def _downhill(
    problem: _Problem, x: Vector, here: tuple[float, Vector], step: Vector
) -> tuple[Vector, tuple[float, Vector], float] | None:
    """Take the step, or as much of it as lowers the value; None if nothing does."""
    slope, share = float(here[1] @ step), 1.0
    for _ in range(HALVINGS):
        there = problem.derivatives(x + share * step)
        if there[0] <= here[0] + 1e-4 * share * slope + NOISE * (1 + abs(here[0])):
            return x + share * step, there, share * float(np.abs(step).max())
        share /= 2
    return None


def _curvature(problem: _Problem, x: Vector, every: int) -> tuple[Callable[[Vector], Vector], Vector]:
    """Product of the curvature with a vector, and its diagonal, from some rows in single precision."""
    z = problem.z[::every]
    p = np.empty(z.shape, dtype=np.float32)
    diagonal = np.zeros_like(x)
    for rows in row_blocks(z, BLOCK):
        u = problem.centred(z[rows].astype(np.float32))
        p[rows] = problem.softmax(x, u)[0]
        diagonal += problem.diagonal(p[rows], u)

    def product(v: Vector) -> Vector:
        total = np.zeros_like(v)
        scale, biases = (part.astype(np.float32) for part in problem.parts(v))
        for rows in row_blocks(z, BLOCK):
            u, q = problem.centred(z[rows].astype(np.float32)), p[rows]
            w = u * scale + biases
            w -= np.einsum("ij,ij->i", q, w)[:, None]
            w *= q
            total += problem.sums(w, u)
        return total / len(z) + problem.penalties() * v

    return product, np.maximum(diagonal / len(z) + problem.penalties(), TINY)


def _solved(product: Callable[[Vector], Vector], diagonal: Vector, goal: Vector) -> Vector:
    """Solve for the step roughly, by conjugate gradients preconditioned with the diagonal."""
    found, residual = np.zeros_like(goal), goal.copy()
    ready = residual / diagonal
    direction, size = ready.copy(), float(residual @ ready)
    enough = ROUGH**2 * size
    for _ in range(INNER):
        if size <= enough:
            break
        bent = product(direction)
        share = size / float(direction @ bent)
        found += share * direction
        residual -= share * bent
        ready = residual / diagonal
        size, before = float(residual @ ready), size
        direction = ready + size / before * direction
    return found
