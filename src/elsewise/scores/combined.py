"""Combined: a logistic regression that learns from tune rows which signs of doubt go with wrong labels.

With out-of-scope rows among the tune rows it learns these too. Source of the idea and of its signs: Vazhentsev et al.
(2023), "Hybrid Uncertainty Quantification for Selective Text Classification in Ambiguous Tasks",
https://aclanthology.org/2023.acl-long.652.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import as_codes, log_sum_exp, map_rows
from elsewise.distances import LabelGaussians, references_of
from elsewise.errors import InputError
from elsewise.outputs import Evidence, References, as_evidence

PENALTY: Final = 1.0  # on the squared weights of standardised signs, as scikit-learn's C = 1
STEPS: Final = 50


@dataclass(frozen=True, slots=True, eq=False)
class Combined:
    """Log-odds of being right, from six signs: the odds of the best label, margin, entropy, energy and two distances.

    The distances (to the nearest label, and relative) are left out where the engine gives no features.

    Attributes
    ----------
    labels, all_texts : LabelGaussians or None
        Of the features.
    centre, scale, weights : (s,) float64
        Of the signs.
    bias : float
    """

    labels: LabelGaussians | None
    all_texts: LabelGaussians | None
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: float

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: References | None = None) -> Self:
        """Fit on tune rows, wrong and out-of-scope rows (-1) against right ones; distances on `references`.

        Raises
        ------
        InputError
            If no row can be read.
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


def _of_probabilities(p: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Log-odds of the best label, margin and minus the entropy, (n, 3)."""
    p = p.astype(np.float64)
    top = np.partition(p, -2, axis=1)[:, -2:]
    rest = np.maximum(p.sum(axis=1) - top[:, 1], 1e-12)
    entropy = (p * np.log(np.where(p > 0, p, 1))).sum(axis=1)
    return np.column_stack([np.log(np.maximum(top[:, 1], 1e-12)) - np.log(rest), top[:, 1] - top[:, 0], entropy])


def _logistic(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Fit weights (s,) and a bias by Newton's method; the bias counts half a row of each kind, and stays finite."""
    rate = (y.sum() + 0.5) / (len(y) + 1)
    design = np.column_stack([x, np.ones(len(x))])
    at = np.append(np.zeros(x.shape[1]), np.log(rate / (1 - rate)))
    penalty = np.append(np.full(x.shape[1], PENALTY), 1e-3)
    start = at.copy()
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ at, -500, 500)))
        slope = design.T @ (p - y) + penalty * (at - start)
        bend = (design * (p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(bend, slope)
        at = at - step * min(1.0, 5 / max(float(np.abs(step).max()), 1e-300))
        if np.abs(step).max() < 1e-10:  # noqa: PLR2004
            break
    return at[:-1], float(at[-1])
