"""Scores that need no fitting: functions of the probabilities, the logits or the mutual information of a text."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Floats, log_sum_exp, map_rows
from elsewise.outputs import as_evidence


class _Unfitted:
    __slots__ = ()

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: Any = None) -> Self:  # noqa: ARG003  every score's call
        """Return the score; evidence (n, k) and codes (n,) are ignored, as nothing is fitted."""
        return cls()


@dataclass(frozen=True, slots=True)
class MaximumProbability(_Unfitted):
    """The largest probability of each row.

    Source: Hendrycks & Gimpel (2017), https://arxiv.org/abs/1610.02136.

    Examples
    --------
    >>> MaximumProbability()([[0.2, 0.8]]).tolist()
    [0.8]
    """

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        return as_evidence(evidence).probabilities.max(axis=1).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Margin(_Unfitted):
    """The largest probability of each row minus the second largest, 0..1.

    Examples
    --------
    >>> Margin()([[0.25, 0.75]]).tolist()
    [0.5]
    """

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        return np.asarray(map_rows(_margin, as_evidence(evidence).probabilities))


def _margin(probabilities: Floats) -> NDArray[np.float64]:
    top = np.partition(probabilities, -2, axis=1)[:, -2:].astype(np.float64)
    return np.asarray(top[:, 1] - top[:, 0])


@dataclass(frozen=True, slots=True)
class NegativeEntropy(_Unfitted):
    """Minus the entropy of each row in nats, from -ln k (uniform) to 0 (certain).

    Examples
    --------
    >>> NegativeEntropy()([[0.5, 0.5], [0.0, 1.0]]).round(4).tolist()
    [-0.6931, 0.0]
    """

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        return np.asarray(map_rows(_negative_entropy, as_evidence(evidence).probabilities))


def _negative_entropy(probabilities: Floats) -> NDArray[np.float64]:
    p = probabilities.astype(np.float64)
    return np.asarray((p * np.log(np.where(p > 0, p, 1))).sum(axis=1))


@dataclass(frozen=True, slots=True)
class Energy(_Unfitted):
    """Log-sum-exp of the logits, at temperature 1 (the negative of Liu's energy, so that larger is surer).

    Source: Liu et al. (2020), https://arxiv.org/abs/2010.03759.

    Examples
    --------
    >>> from elsewise.outputs import Evidence, Outputs
    >>> z = np.zeros((1, 2))
    >>> Energy()(Evidence(np.full((1, 2), 0.5), Outputs(z))).round(4).tolist()
    [0.6931]
    """

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        return log_sum_exp(as_evidence(evidence).logits)


@dataclass(frozen=True, slots=True)
class MaximumLogit(_Unfitted):
    """The largest logit of each row, before softmax.

    Source: Hendrycks et al. (2022), "Scaling Out-of-Distribution Detection for Real-World Settings",
    https://arxiv.org/abs/1911.11132.

    Examples
    --------
    >>> from elsewise.outputs import Evidence, Outputs
    >>> z = np.array([[1.0, 3.0]])
    >>> MaximumLogit()(Evidence(np.array([[0.1, 0.9]]), Outputs(z))).tolist()
    [3.0]
    """

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        return as_evidence(evidence).logits.max(axis=1).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Epistemic(_Unfitted):
    """Minus the mutual information of label and model in nats; 0 where all models agree.

    Only engines with an ensemble, MC dropout or Laplace give it. It finds unfamiliar texts, and not those that are
    ambiguous to every model. Source: Houlsby, Huszar, Ghahramani & Lengyel (2011), https://arxiv.org/abs/1112.5745
    (there for active learning).

    Examples
    --------
    >>> from elsewise.outputs import Evidence, Outputs
    >>> outputs = Outputs(np.zeros((2, 2)), epistemic=np.array([0.0, 0.3]))
    >>> Epistemic()(Evidence(np.full((2, 2), 0.5), outputs)).tolist()
    [-0.0, -0.3]
    """

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,); InputError where the engine gives no mutual information."""
        return -as_evidence(evidence).epistemic.astype(np.float64)
