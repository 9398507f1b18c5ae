"""Familiarity: how much a text is like the training texts, by its logits and by its features or embedding.

Energy finds texts that raise no logit; distances find those between or beyond the labels. The parts are scaled on
in-scope tune texts and averaged. Where the engine asks the encoder as it came (`elsewise.engines.second_opinion`), its
embedding measures the distance, since fine-tuning folds away what separates unlike texts; a text that was not asked
about raised its logits so clearly that it counts as familiar. So does a text that the first stage of a cascade
answers (`elsewise.engines.cascade`), for that hands over what is unlike the train texts.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes, as_codes, log_sum_exp
from elsewise.errors import InputError
from elsewise.outputs import Evidence, References, as_evidence
from elsewise.scores.distances import Doubles, LabelGaussians, references_of
from elsewise.scores.likeness import Likeness

NOT_ASKED: Final = 10.0  # standard deviations: more alike than any text that was asked about
WEIGHTS: Final = {1: (1.0,), 2: (1 / 2, 1 / 2), 3: (1 / 2, 1 / 4, 1 / 4)}  # of energy, and of the distances


@dataclass(frozen=True, slots=True, eq=False)
class Familiarity:
    """The mean of energy and of closeness to the training texts, each in standard deviations of in-scope rows.

    Closeness is two signs of `Likeness` where the engine gives embeddings, else minus the Mahalanobis distance; only
    energy if it gives no features. Sources: see `Energy`, `Mahalanobis` and `Likeness`.

    Attributes
    ----------
    labels : LabelGaussians or None
        Gaussians of the features.
    centre, scale : (3,), (2,) or (1,) float64
        Mean and standard deviation of the parts over in-scope rows.
    likeness : Likeness or None
        Embeddings of training texts.
    """

    labels: LabelGaussians | None
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    likeness: Likeness | None = None

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
        likeness = None if references is None else _likeness(references, rows)
        return cls.scaled(labels, likeness, rows, truth)

    @classmethod
    def scaled(cls, labels: LabelGaussians | None, likeness: Likeness | None, rows: Evidence, truth: Codes) -> Self:
        """Fit the scale of given distances on in-scope rows with codes (n,), -1 for out-of-scope; raises as `fit`."""
        parts = _parts(rows, labels, likeness)[0]
        readable = (truth != ABSTAIN) & np.isfinite(parts[:, 0])
        if not readable.any():
            raise InputError("familiarity needs at least one in-scope row that can be read, got 0")
        parts = parts[readable if rows.early is None else readable & ~rows.early]
        known = [column[np.isfinite(column)] for column in parts.T]
        centre = np.array([column.mean() if len(column) else 0.0 for column in known])
        spread = np.array([column.std() if len(column) else 0.0 for column in known])
        return cls(labels, centre, np.where(spread > 0, spread, 1), likeness)

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        return self.judge(evidence)[0]

    def judge(self, evidence: Any) -> tuple[NDArray[np.float64], Codes]:
        """Return confidence (n,), and codes of the two nearest labels, (n, 2), by features, else by logits."""
        rows = as_evidence(evidence)
        parts, nearest = _parts(rows, self.labels, self.likeness)
        if nearest is None:
            nearest = _best_two(rows)
        scaled = (parts - self.centre) / self.scale
        if self.likeness is not None:
            scaled[:, 1:][np.isnan(parts[:, 1:]) & np.isfinite(parts[:, :1])] = NOT_ASKED
        confidence = (scaled * WEIGHTS[scaled.shape[1]]).sum(axis=1)
        if rows.early is not None:
            confidence[rows.early] = NOT_ASKED
            nearest[rows.early] = _best_two(rows.take(rows.early))
        return confidence, nearest


def _best_two(rows: Evidence) -> Codes:
    return np.argsort(-rows.logits, axis=1, kind="stable")[:, :2]


def _likeness(references: References, rows: Evidence) -> Likeness | None:
    """Fit likeness where the engine gives embeddings, and training texts have any."""
    embedding = references.embedding
    if rows.embedding is None or embedding is None or not np.isfinite(embedding).any():
        return None
    return Likeness.fit(embedding, references.codes, rows.logits.shape[1])


def _parts(rows: Evidence, labels: LabelGaussians | None, likeness: Likeness | None) -> tuple[Doubles, Codes | None]:
    energy = log_sum_exp(rows.logits)
    if labels is None:
        return energy[:, None], None
    nearest, apart = labels.nearest(rows.features)
    if likeness is not None:
        return np.column_stack([energy, likeness(rows)]), nearest
    return np.column_stack([energy, -np.sqrt(apart[:, 0])]), nearest
