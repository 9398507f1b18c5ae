"""A scale and a bias for every label, pulled towards one temperature and 0.

Vector scaling, in Guo, Pleiss, Sun & Weinberger (2017), "On Calibration of Modern Neural Networks", section 4.2,
https://arxiv.org/abs/1706.04599, overfits where labels have few rows. Pulled towards the shared temperature, a label
with few rows keeps nearly that. Rows of logits are centred first: their constant means nothing to softmax, and would
mean something to scales that differ.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Floats, as_logits, softmax
from elsewise.calibrators.scale_and_bias import best_affine, checked_vector
from elsewise.errors import ElsewiseWarning, InputError

PENALTY = 25.0  # a standard deviation of 1/5: twice as many numbers as with one temperature, and a harder pull


@dataclass(frozen=True, slots=True, eq=False)
class LabelScale:
    """Fitted scales and biases; call it on logits to get probabilities. The top label can change.

    Attributes
    ----------
    scales : (k,) float64
        Multiply each label's logit, less the mean of its row; 1 / temperature where all labels agree.
    biases : (k,) float64
        Added afterwards, in units of log odds.
    """

    scales: NDArray[np.float64]
    biases: NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", checked_vector(self.scales, "scales"))
        object.__setattr__(self, "biases", checked_vector(self.biases, "biases"))
        if len(self.scales) != len(self.biases):
            raise InputError(f"scales and biases must be equally many, got {len(self.scales)} and {len(self.biases)}")
        if (self.scales <= 0).any():
            raise InputError(f"scales must be positive, got {self.scales.min()}")

    @classmethod
    def fit(cls, logits: Any, codes: Any, *, penalty: float = PENALTY) -> Self:
        """Find the scales and biases with the least log loss plus ``penalty / 2`` times their squared deviations.

        Parameters
        ----------
        logits : (n, k)
            Logits of texts that the model was *not* trained on.
        codes : (n,)
            Their true label codes, 0..k-1; leave out-of-scope rows out. A label without rows keeps nearly the shared
            scale and no bias.
        penalty : float
            The inverse variance that deviations are thought to have, of biases in log odds and of scales times the
            spread of the logits; the larger, the closer to one temperature.

        Returns
        -------
        LabelScale
            With an ElsewiseWarning, scales 1 when no finite temperature is best, and the scales of one temperature
            when the best scale of some label is not positive.

        Raises
        ------
        InputError
            If there are no rows, shapes disagree, a logit is not finite, a code is out of range, or the penalty is
            not positive.

        Examples
        --------
        One temperature, 2 / ln 3, explains these four texts; what pulls towards it leaves it alone.

        >>> logits = [[2, 0], [2, 0], [2, 0], [2, 0]]
        >>> fitted = LabelScale.fit(logits, [0, 0, 0, 1], penalty=1e9)
        >>> (1 / fitted.scales).round(4).tolist(), abs(fitted.biases).round(4).tolist()
        ([1.8205, 1.8205], [0.0, 0.0])
        """
        best = best_affine(logits, codes, penalty=penalty, by_label=True)
        if best.trouble:
            warnings.warn(best.trouble, ElsewiseWarning, stacklevel=2)
        return cls(best.scales, best.biases)

    def __call__(self, logits: Any) -> Floats:
        """Return calibrated probabilities, shape (n, k)."""
        z = as_logits(logits)
        if z.shape[1] != len(self.biases):
            raise InputError(f"logits must have {len(self.biases)} columns, as when this was fitted, got {z.shape[1]}")
        scaled = z - z.mean(axis=1, keepdims=True)
        scaled *= self.scales.astype(z.dtype)
        scaled += self.biases.astype(z.dtype)
        return softmax(scaled)

    @property
    def sentence(self) -> str:
        """Say what it does, for people."""
        t, b = 1 / self.scales, self.biases
        return (
            f"A temperature for each label, from {t.min():.4f} to {t.max():.4f}, "
            f"and a bias, from {b.min():.2f} to {b.max():.2f}"
        )

    def fold(self, weight: Floats, bias: Floats | None) -> tuple[Floats, Floats]:
        """Give the last linear layer's weight (k, d) and bias (k,) whose plain softmax is calibrated."""
        centred = 0 if bias is None else bias - bias.mean()
        return self.scales[:, None] * (weight - weight.mean(axis=0)), self.scales * centred + self.biases
