"""Familiarity: how much a text is like the training texts, by its logits and by its features.

Energy finds texts that raise no logit, the Mahalanobis distance those between or beyond the labels. Both are scaled on
in-scope tune texts and averaged.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes, as_codes, log_sum_exp
from elsewise.errors import InputError
from elsewise.outputs import Evidence, References, as_evidence
from elsewise.scores.distances import LabelGaussians, references_of


@dataclass(frozen=True, slots=True, eq=False)
class Familiarity:
    """The mean of energy and minus the Mahalanobis distance, each in standard deviations of in-scope rows.

    Only energy if the engine gives no features. Sources: see `Energy` and `Mahalanobis`.

    Attributes
    ----------
    labels : LabelGaussians or None
        Gaussians of the features.
    centre, scale : (2,) or (1,) float64
        Mean and standard deviation of the two parts over in-scope rows.
    """

    labels: LabelGaussians | None
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: References | None = None) -> Self:
        """Fit the scale on in-scope rows, codes (n,), that the model was not trained on; distances on `references`.

        Raises
        ------
        InputError
            If no in-scope row is readable.
        """
        rows = as_evidence(evidence)
        truth = as_codes(codes, like=rows.probabilities, allow_abstain=True)
        if references is None and rows.has_features:
            references = references_of(rows, truth)
        labels = None if references is None else LabelGaussians.fit(references)
        parts, _ = _parts(rows, labels)
        usable = (truth != ABSTAIN) & np.isfinite(parts).all(axis=1)
        if not usable.any():
            raise InputError("familiarity needs at least one in-scope row that can be read, got 0")
        spread = parts[usable].std(axis=0)
        return cls(labels, parts[usable].mean(axis=0), np.where(spread > 0, spread, 1))

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        return self._scaled(_parts(as_evidence(evidence), self.labels)[0])

    def judge(self, evidence: Any) -> tuple[NDArray[np.float64], Codes]:
        """Return confidence (n,), and codes of the two nearest labels, (n, 2), by features, else by logits."""
        rows = as_evidence(evidence)
        parts, nearest = _parts(rows, self.labels)
        if nearest is None:
            nearest = np.argsort(-rows.logits, axis=1, kind="stable")[:, :2]
        return self._scaled(parts), nearest

    def _scaled(self, parts: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((parts - self.centre) / self.scale).mean(axis=1)


def _parts(rows: Evidence, labels: LabelGaussians | None) -> tuple[NDArray[np.float64], Codes | None]:
    energy = log_sum_exp(rows.logits)
    if labels is None:
        return energy[:, None], None
    nearest, apart = labels.nearest(rows.features)
    return np.column_stack([energy, -np.sqrt(apart[:, 0])]), nearest
