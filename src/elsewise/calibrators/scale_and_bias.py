"""A scale and a bias for every label, pulled towards shared ones: the solver that calibrators share.

The logits of label j become ``(b + r_j) u_j + c_j``, where u is a row of logits less its mean, over the spread of all.
One b is shared and free; the r_j (where labels have their own) and the c_j cost ``penalty / 2`` times their squares,
beside the summed log loss. That is a normal prior of variance 1 / penalty for each, in units of log odds. The sum is
convex, so there is one answer.

Newton's method finds it, from the slope of all rows and the curvature of some. Every step is judged by all rows, so
the answer is exact, where a quasi-Newton method stops at half of the digits.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats, as_codes, as_logits, row_blocks
from elsewise.calibrators.best_temperature import best_temperature, spread_of
from elsewise.errors import InputError

Vector = NDArray[np.float64]

STEPS, HALVINGS, INNER = 100, 40, 60  # limits that a convex function of this kind does not come near
CLOSE = 1e-8  # of log odds: a step as short as this was the last
NOISE = 1e-14  # of the log loss: sums of floats are not known better
PATIENCE = 4  # steps before slowness is put down to the rows that show the curvature
BLOCK = 1 << 15  # several arrays of so many numbers stay in the processor's cache
TINY = 1e-12  # a curvature that underflowed is still divided by
ROUGH = 0.01  # how exactly a step is solved for: the next step repairs the rest
CURVED, CURVED_AT_MOST, ROWS_A_LABEL = 1 << 21, 1 << 26, 20  # how many numbers, or rows, show the curvature

NO_TEMPERATURE = "no finite temperature is best on these rows; probabilities stay uncalibrated (temperature 1)"
REVERSED = "the best scale of some label is not positive on these rows; all labels share one temperature"


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """Scales (k,) and biases (k,) for rows less their means; `trouble` says why they are not the best ones."""

    scales: Vector
    biases: Vector
    trouble: str | None = None


def best_affine(logits: Any, codes: Any, *, penalty: float, by_label: bool) -> Affine:
    """Find the scales and biases with the least penalised log loss.

    Parameters
    ----------
    logits : (n, k)
        Of texts that the model was not trained on.
    codes : (n,)
        Their true codes, 0..k-1.
    penalty : float
        How many times 1 / variance the prior has; infinite pull is the best temperature.
    by_label : bool
        Whether every label has its own scale. If not, all scales are equal.

    Raises
    ------
    InputError
        If there are no rows, shapes disagree, a logit is not finite, a code is out of range, or the penalty is not
        positive.
    """
    if not (penalty > 0 and math.isfinite(penalty)):
        raise InputError(f"penalty must be positive and finite, got {penalty}")
    z = as_logits(logits)
    y = as_codes(codes, like=z)
    temperature, zero = best_temperature(z, y), np.zeros(z.shape[1])
    if temperature is None:
        return Affine(zero + 1, zero, NO_TEMPERATURE)
    problem = _Problem(z, y, spread_of(z), penalty / len(z), by_label)
    scale, biases = problem.parts(_newton(problem, problem.start(temperature)))
    scales = zero + scale / problem.spread
    if (scales <= 0).any():
        return Affine(zero + 1 / temperature, zero, REVERSED)
    return Affine(scales, biases)


def checked_vector(values: Any, name: str) -> Vector:
    """Take k >= 2 finite numbers as an array that nobody changes.

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

    def start(self, temperature: float) -> Vector:
        """Begin at the best temperature."""
        k = self.z.shape[1]
        return np.concatenate([[self.spread / temperature], np.zeros(2 * k if self.by_label else k)])

    def parts(self, x: Vector) -> tuple[Vector, Vector]:
        """Divide parameters, or a direction among them, into scales, (k,) or (1,), and biases (k,)."""
        k = self.z.shape[1]
        return x[0] + x[1 + k :] if self.by_label else x[:1], x[1 : 1 + k]

    def penalties(self) -> Vector:
        """Give what each parameter pays; the shared scale is free."""
        penalties = np.full(1 + self.z.shape[1] * (1 + self.by_label), self.penalty)
        penalties[0] = 0
        return penalties

    def centred(self, z: Floats) -> Floats:
        """Take the means out of rows, and the spread of all: what is scaled by label must not know a row's constant."""
        u = z - z.mean(axis=1, keepdims=True)
        u /= u.dtype.type(self.spread)
        return u

    def sums(self, m: Floats, u: Floats) -> Vector:
        """Chain a derivative (n, k) with respect to the logits to the parameters, summed over rows."""
        own = np.einsum("ij,ij->j", m, u, dtype=np.float64)
        parts = [[own.sum()], m.sum(axis=0, dtype=np.float64)]
        return np.concatenate([*parts, own] if self.by_label else parts)

    def diagonal(self, p: Floats, u: Floats) -> Vector:
        """Give the curvature of every parameter by itself, as if the labels did not compete, summed over rows."""
        m = p * (1 - p)
        own = m.sum(axis=0, dtype=np.float64)
        m *= u
        sums = self.sums(m, u)
        sums[1 : 1 + len(own)] = own
        return sums

    def softmax(self, x: Vector, u: Floats) -> tuple[Floats, Floats, Floats]:
        """Give the probabilities of rows, their logits less the largest, and the sums of those exponentials."""
        scale, biases = self.parts(x)
        logits = u * scale.astype(u.dtype) + biases.astype(u.dtype)
        logits -= logits.max(axis=1, keepdims=True)
        p = np.exp(logits)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        return p, logits, total

    def derivatives(self, x: Vector) -> tuple[float, Vector]:
        """Give the value and the gradient, in one pass over the rows."""
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
    """Walk to where the slope is zero; where some rows are a poor guide to it, ask more of them."""
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
    """Say that every so-manieth row shows the curvature well enough to begin with."""
    n, k = z.shape
    return max(1, n // max(CURVED // k, min(ROWS_A_LABEL * k, CURVED_AT_MOST // k), 1))


def _downhill(
    problem: _Problem, x: Vector, here: tuple[float, Vector], step: Vector
) -> tuple[Vector, tuple[float, Vector], float] | None:
    """Take the step, or as much of it as lowers the value; None when nothing does."""
    slope, share = float(here[1] @ step), 1.0
    for _ in range(HALVINGS):
        there = problem.derivatives(x + share * step)
        if there[0] <= here[0] + 1e-4 * share * slope + NOISE * (1 + abs(here[0])):
            return x + share * step, there, share * float(np.abs(step).max())
        share /= 2
    return None


def _curvature(problem: _Problem, x: Vector, every: int) -> tuple[Callable[[Vector], Vector], Vector]:
    """Make the product of the curvature with a vector, and its diagonal, from some rows in single precision."""
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
