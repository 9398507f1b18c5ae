"""Calibrators with a bias for every label: for labels that the model predicts too often or too rarely.

The parameters are regularised towards one temperature and biases of 0, as plain vector scaling overfits labels with few
rows.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Floats, as_logits, softmax
from elsewise.calibrators.scale_and_bias import best_affine, checked_vector
from elsewise.errors import InputError, warn_caller

PENALTY = 10.0  # a standard deviation of 1/3: better than 1 and 100 on simulated rows of 3 to 50 labels
SCALES_PENALTY = 25.0  # of 1/5: twice as many parameters as with one temperature, so a stronger prior


@dataclass(frozen=True, slots=True, eq=False)
class TemperatureBias:
    """Temperature scaling with biases; call it on logits to get probabilities. The best label can change.

    Source: Alexandari, Kundaje & Shrikumar (2020), "Maximum Likelihood with Bias-Corrected Calibration Is Hard-To-Beat
    at Label Shift Adaptation", section 3.1, https://arxiv.org/abs/1901.06852. The biases are pulled towards 0 here.

    Attributes
    ----------
    temperature, biases : float, (k,) float64
        Temperature, which divides every logit; biases in log odds, added afterwards, 0 for a label that is predicted
        as often as it is true.
    """

    temperature: float
    biases: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and np.isfinite(self.temperature)):
            raise InputError(f"temperature must be positive and finite, got {self.temperature}")
        object.__setattr__(self, "biases", checked_vector(self.biases, "biases"))

    @classmethod
    def fit(cls, logits: Any, codes: Any, *, penalty: float = PENALTY) -> Self:
        """Find the temperature and biases of least log loss plus ``penalty / 2`` times the squared biases.

        Parameters
        ----------
        logits, codes : (n, k) and (n,)
            As for `Temperature.fit`. A label without rows gets almost no bias.
        penalty : float
            Inverse prior variance of the biases, above 0 (else InputError); the larger, the closer to one temperature.

        Returns
        -------
        TemperatureBias
            Temperature 1 and no biases, with an ElsewiseWarning, if no finite temperature is best. Errors as in
            `Temperature.fit`.

        Examples
        --------
        Label 0 leads by 2 in four texts, three of them right; label 1 leads by 2 in four, two of them right. Almost
        without penalty the log odds of label 0 are ``2 / T + d = ln 3`` and ``-2 / T + d = 0``: T is 4 / ln 3, and d,
        the difference of the two biases, is ln(3) / 2.

        >>> logits = [[2, 0]] * 4 + [[0, 2]] * 4
        >>> fitted = TemperatureBias.fit(logits, [0, 0, 0, 1, 0, 0, 1, 1], penalty=1e-9)
        >>> round(fitted.temperature, 4), fitted.biases.round(4).tolist()
        (3.641, [0.2747, -0.2747])
        """
        best = best_affine(logits, codes, penalty=penalty, by_label=False)
        if best.trouble:
            warn_caller(best.trouble)
        return cls(float(1 / best.scales[0]), best.biases)

    def __call__(self, logits: Any) -> Floats:
        """Return calibrated probabilities, shape (n, k)."""
        z = _columns(logits, len(self.biases))
        scaled = z / z.dtype.type(self.temperature)
        scaled += self.biases.astype(z.dtype)
        return softmax(scaled)

    @property
    def sentence(self) -> str:
        """Description of the calibrator."""
        low, high = self.biases.min(), self.biases.max()
        return f"Temperature {self.temperature:.4f} and a bias for each label, from {low:.2f} to {high:.2f}"

    def fold(self, weight: Floats, bias: Floats | None) -> tuple[Floats, Floats]:
        """Return the last linear layer's weight (k, d) and bias (k,) whose plain softmax is calibrated."""
        return weight / self.temperature, self.biases + (0 if bias is None else bias / self.temperature)


@dataclass(frozen=True, slots=True, eq=False)
class LabelScale:
    """Vector scaling; call it on logits to get probabilities. The best label can change.

    Source: Guo, Pleiss, Sun & Weinberger (2017), "On Calibration of Modern Neural Networks", section 4.2,
    https://arxiv.org/abs/1706.04599. Here labels with few rows keep nearly the shared temperature. Rows of logits are
    centred first, as a constant added to a row must not change its probabilities.

    Attributes
    ----------
    scales, biases : (k,) float64
        Scale of each label's logit, less the mean of its row (1 / temperature if all labels agree); and its bias in log
        odds, added afterwards.
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
    def fit(cls, logits: Any, codes: Any, *, penalty: float = SCALES_PENALTY) -> Self:
        """Find the scales and biases of least log loss plus ``penalty / 2`` times their squared deviations.

        Parameters
        ----------
        logits, codes : (n, k) and (n,)
            As for `Temperature.fit`. A label without rows gets nearly the shared scale and no bias.
        penalty : float
            Inverse prior variance of the biases, in log odds, and of the scales times the spread of the logits; above 0
            (else InputError). The larger, the closer to one temperature.

        Returns
        -------
        LabelScale
            With an ElsewiseWarning: scales 1 if no finite temperature is best, and the scales of one temperature if
            the best scale of some label is not positive, or if masks make labels impossible. Errors as in
            `Temperature.fit`.

        Examples
        --------
        One temperature, 2 / ln 3, explains these four texts, whatever the penalty.

        >>> logits = [[2, 0], [2, 0], [2, 0], [2, 0]]
        >>> fitted = LabelScale.fit(logits, [0, 0, 0, 1], penalty=1e9)
        >>> (1 / fitted.scales).round(4).tolist(), abs(fitted.biases).round(4).tolist()
        ([1.8205, 1.8205], [0.0, 0.0])
        """
        best = best_affine(logits, codes, penalty=penalty, by_label=True)
        if best.trouble:
            warn_caller(best.trouble)
        return cls(best.scales, best.biases)

    def __call__(self, logits: Any) -> Floats:
        """Return calibrated probabilities, shape (n, k)."""
        z = _columns(logits, len(self.biases))
        is_one = (self.scales == self.scales[0]).all()  # then a row's constant does not matter, and masks spoil no mean
        scaled = z - (0 if is_one else z.mean(axis=1, keepdims=True))
        scaled *= self.scales.astype(z.dtype)
        scaled += self.biases.astype(z.dtype)
        return softmax(scaled)

    @property
    def sentence(self) -> str:
        """Description of the calibrator."""
        t, b = 1 / self.scales, self.biases
        return (
            f"A temperature for each label, from {t.min():.4f} to {t.max():.4f}, "
            f"and a bias, from {b.min():.2f} to {b.max():.2f}"
        )

    def fold(self, weight: Floats, bias: Floats | None) -> tuple[Floats, Floats]:
        """Return the last linear layer's weight (k, d) and bias (k,) whose plain softmax is calibrated."""
        centred = 0 if bias is None else bias - bias.mean()
        return self.scales[:, None] * (weight - weight.mean(axis=0)), self.scales * centred + self.biases


def _columns(logits: Any, k: int) -> Floats:
    z = as_logits(logits)
    if z.shape[1] != k:
        raise InputError(f"logits must have {k} columns, as when this was fitted, got {z.shape[1]}")
    return z
