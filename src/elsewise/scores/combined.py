"""Combined score: a logistic regression on six scores, fitted on tune rows, that predicts right answers.

Source: Vazhentsev et al. (2023), "Hybrid Uncertainty Quantification for Selective Text Classification in Ambiguous
Tasks", https://aclanthology.org/2023.acl-long.652.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Floats, as_codes, log_sum_exp, map_rows
from elsewise.errors import InputError
from elsewise.outputs import Evidence, References, as_evidence
from elsewise.scores.distances import LabelGaussians, references_of

PENALTY: Final = 1.0  # on the squared weights of standardised scores, as scikit-learn's C = 1
LARGEST_BIAS: Final = 20.0  # reached if all rows are right, or none
LEAST: Final = 1e-30  # probability


@dataclass(frozen=True, slots=True, eq=False)
class Combined:
    """Log-odds of being right, from log-odds of the best label, margin, entropy, energy and two distances.

    The distances (to the nearest label, and relative) are left out if the engine gives no features.

    Attributes
    ----------
    labels, all_texts : LabelGaussians or None
        Gaussians of the features, for each label and for all texts.
    centre, scale, weights, bias : (s,) float64, and float
        Mean, standard deviation and weight, 0 or more, of each of the s scores; and the bias.
    """

    labels: LabelGaussians | None
    all_texts: LabelGaussians | None
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: float

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: References | None = None) -> Self:
        """Fit right against wrong and out-of-scope rows (-1), given codes (n,); distances on `references`.

        Raises
        ------
        InputError
            If no row is readable.
        """
        rows = as_evidence(evidence)
        truth = as_codes(codes, like=rows.probabilities, allow_abstain=True)
        if references is None and rows.has_features:
            references = references_of(rows, truth)
        labels, all_texts = _gaussians(references)
        signs = _signs(rows, labels, all_texts)
        known = np.isfinite(signs).all(axis=1)
        if not known.any():
            raise InputError("the combined score needs at least one row that can be read, got 0")
        right = (rows.probabilities[known].argmax(axis=1) == truth[known]).astype(np.float64)
        centre, spread = signs[known].mean(axis=0), signs[known].std(axis=0)
        scale = np.where(spread > 0, spread, 1)
        weights, bias = _logistic((signs[known] - centre) / scale, right)
        return cls(labels, all_texts, centre, scale, weights, bias)

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        signs = _signs(as_evidence(evidence), self.labels, self.all_texts)
        return ((signs - self.centre) / self.scale * self.weights).sum(axis=1) + self.bias


def _gaussians(references: References | None) -> tuple[LabelGaussians | None, LabelGaussians | None]:
    if references is None:
        return None, None
    one = References(references.features, np.zeros(len(references.codes), dtype=np.int64))
    return LabelGaussians.fit(references), LabelGaussians.fit(one)


def _signs(rows: Evidence, labels: LabelGaussians | None, all_texts: LabelGaussians | None) -> NDArray[np.float64]:
    signs = np.column_stack([map_rows(_of_probabilities, rows.probabilities), log_sum_exp(rows.logits)])
    if labels is None or all_texts is None:
        return signs
    near = labels.least(rows.features)
    return np.column_stack([signs, -np.sqrt(near), all_texts.least(rows.features) - near])


def _of_probabilities(probabilities: Floats) -> NDArray[np.float64]:
    """Log-odds of the best label, margin and minus the entropy, (n, 3)."""
    p = probabilities.astype(np.float64)
    entropy = (p * np.log(np.where(p > 0, p, 1))).sum(axis=1)
    best = p.argmax(axis=1)[:, None]
    top = np.take_along_axis(p, best, axis=1)[:, 0]
    np.put_along_axis(p, best, 0, axis=1)  # the others are summed, as 1 - top would be rounding error
    odds = np.log(np.maximum(top, LEAST)) - np.log(np.maximum(p.sum(axis=1), LEAST))
    return np.column_stack([odds, top - p.max(axis=1), entropy])


def _logistic(signs: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Fit weights (s,), none below 0, and a bias.

    Every score is larger for a surer text. A weight below 0 would only offset a second score on rows like these, and
    make texts unlike them look sure.
    """
    from scipy.optimize import minimize  # noqa: PLC0415  0.3 s to import

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = signs @ at[:-1] + at[-1]
        p = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
        value = np.logaddexp(0, z).sum() - right @ z + PENALTY / 2 * at[:-1] @ at[:-1]
        return value, np.append(signs.T @ (p - right) + PENALTY * at[:-1], (p - right).sum())

    count = signs.shape[1]
    bounds = [(0, None)] * count + [(-LARGEST_BIAS, LARGEST_BIAS)]
    options = {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-9}
    at = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return at[:-1], float(at[-1])
