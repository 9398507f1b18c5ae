"""Correction for changed label frequencies: probabilities are weighted by new prior / old prior.

If only the frequencies of labels changed, the right probabilities are the old ones times ``new prior / old prior``,
scaled to sum to 1. The new priors are known, or estimated from unlabelled texts by expectation maximisation.
Source: Saerens, Latinne & Decaestecker (2002), "Adjusting the outputs of a classifier to new a priori probabilities",
Neural Computation 14, https://doi.org/10.1162/089976602753284446.

New kinds of texts within a label, and out-of-scope texts, are not handled: they count towards some label.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Floats, as_codes, as_logits, row_blocks, softmax
from elsewise.calibrators.scale_and_bias import checked_vector
from elsewise.errors import InputError

SUM_TOLERANCE = 1e-6
CLOSE, ROUNDS = 1e-9, 10_000  # of a prior; and a limit for priors that the texts hardly determine


@dataclass(frozen=True, slots=True, eq=False)
class PriorCorrection:
    """Calibrator for changed label frequencies; call it on logits to get probabilities.

    Attributes
    ----------
    weights : (k,) float64
        New prior over old prior of each label; only their ratios matter.
    inner : Calibrator or None
        Calibrator under the old priors. None: plain softmax.
    estimated, rows : bool, int
        Whether the new priors were estimated, and from how many unlabelled texts.

    Examples
    --------
    Two labels were equally frequent; now the first is three times as frequent as the second.

    >>> correct = PriorCorrection.known([0.5, 0.5], [0.75, 0.25])
    >>> correct([[0.0, 0.0]]).round(6).tolist()
    [[0.75, 0.25]]
    """

    weights: NDArray[np.float64]
    inner: Any = None
    estimated: bool = False
    rows: int = 0

    def __post_init__(self) -> None:
        weights = checked_vector(self.weights, "weights")
        if (weights <= 0).any():
            raise InputError(f"weights must be positive, got {weights.min()} for label {int(weights.argmin())}")
        object.__setattr__(self, "weights", weights)

    @classmethod
    def fit(cls, logits: Any, codes: Any) -> Self:
        """Check logits (n, k) and codes (n,); all weights are 1, for unchanged priors."""
        z = as_logits(logits)
        as_codes(codes, like=z)
        return cls(np.ones(z.shape[1]))

    @classmethod
    def known(cls, old: Any, new: Any, *, inner: Any = None) -> Self:
        """Correct from known old priors to known new priors.

        Parameters
        ----------
        old, new : (k,)
            Shares of the labels where `inner` was fitted, and in use; positive, with sum 1.
        inner : Calibrator, optional
            Default: plain softmax.

        Raises
        ------
        InputError
            If priors are zero, negative, not finite, do not sum to 1, or have different lengths.
        """
        before, after = _priors(old, "old"), _priors(new, "new")
        if len(before) != len(after):
            raise InputError(f"old and new priors must be equally many, got {len(before)} and {len(after)}")
        return cls(after / before, inner)

    @classmethod
    def estimate(cls, logits: Any, old: Any, *, inner: Any = None) -> Self:
        """Estimate the new priors from unlabelled texts, by expectation maximisation.

        The old priors count as one further text: no prior becomes zero, and without texts nothing changes. The estimate
        is only as good as the calibration of `inner`.

        Parameters
        ----------
        logits : (n, k)
            Logits of present texts.
        old, inner : (k,), Calibrator
            As for `known`.

        Raises
        ------
        InputError
            As `known`, and if logits are not finite or do not have k columns.
        """
        z, before = as_logits(logits), _priors(old, "old")
        if z.shape[1] != len(before):
            raise InputError(f"logits have {z.shape[1]} columns, got {len(before)} old priors")
        p = np.empty_like(z)
        for rows in row_blocks(z):
            p[rows] = softmax(z[rows]) if inner is None else inner(z[rows])
        return cls(_estimated(p, before) / before, inner, estimated=True, rows=len(z))

    def __call__(self, logits: Any) -> Floats:
        """Return probabilities under the new priors, shape (n, k)."""
        z = as_logits(logits)
        if z.shape[1] != len(self.weights):
            raise InputError(f"logits must have {len(self.weights)} columns, one for each weight, got {z.shape[1]}")
        p = softmax(z) if self.inner is None else self.inner(z)
        if (self.weights == self.weights[0]).all():
            return p
        # Dividing by the largest weight changes no ratio, and nothing overflows in single precision.
        p *= np.maximum(self.weights / self.weights.max(), np.finfo(p.dtype).tiny).astype(p.dtype)
        p /= p.sum(axis=1, keepdims=True)
        return p

    @property
    def sentence(self) -> str:
        """Description of the calibrator, and of what no longer holds."""
        inner = "" if self.inner is None else f"{self.inner.sentence}, then "
        if (self.weights == self.weights[0]).all():
            words = "label frequencies as they were"
        else:
            low, high = self.weights.min(), self.weights.max()
            source = f"estimated from {self.rows:,} texts without labels" if self.estimated else "as given"
            words = (
                f"probabilities weighted by {low:.3g} to {high:.3g} for other label frequencies, {source}; "
                f"a certificate made before does not cover this until it is certified again"
            )
        return inner + words if inner else words[0].upper() + words[1:]

    def fold(self, weight: Floats, bias: Floats | None) -> tuple[Floats, Floats]:
        """Return the last linear layer's weight (k, d) and bias (k,) whose softmax has the new priors."""
        folded, inner_bias = (weight, bias) if self.inner is None else self.inner.fold(weight, bias)
        return folded, np.log(self.weights) + (0 if inner_bias is None else inner_bias)


def _priors(values: Any, name: str) -> NDArray[np.float64]:
    priors = checked_vector(values, f"{name} priors")
    if (priors <= 0).any():
        raise InputError(f"{name} priors must be positive, got {priors.min()} for label {int(priors.argmin())}")
    if abs(priors.sum() - 1) > SUM_TOLERANCE:
        raise InputError(f"{name} priors must sum to 1, got {priors.sum():.6g}")
    return priors


def _estimated(p: Floats, before: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate priors: weight the probabilities, take their mean as the next priors, and repeat."""
    priors = before
    for _ in range(ROUNDS):
        weights, shares = priors / before, np.zeros_like(before)
        for rows in row_blocks(p):
            block = p[rows].astype(np.float64)
            shares += (1 / (block @ weights)) @ block
        after = (weights * shares + before) / (len(p) + 1)
        moved, priors = float(np.abs(after - priors).max()), after
        if moved <= CLOSE:
            break
    return priors
