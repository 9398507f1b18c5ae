"""Likeness: how much a text is like the training texts of its label, in the embedding of the encoder as it came.

Two signs: the cosine to the centroid of the label that the classifier says, and that to the nearest of its training
texts. Sources: Sun, Ming, Zhu & Li (2022), https://arxiv.org/abs/2204.06507, for neighbours; Reimers & Gurevych (2019),
https://arxiv.org/abs/1908.10084, for the embedding. To search all training texts takes longer, and was hardly better
on CLINC150.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats
from elsewise.outputs import Evidence
from elsewise.scores.distances import Doubles, each_row, products, unit


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """Signs of likeness. Call it on evidence with embeddings.

    Attributes
    ----------
    centroids : (k, e) float32
        Centroid of each label's training texts, at length 1; zeros for a label without any.
    references, starts : (m, e) float16 and (k + 1,) int64
        Training texts, sorted by label; first index of each label, and m.
    """

    centroids: NDArray[np.float32]
    references: NDArray[np.float16]
    starts: Codes

    @classmethod
    def fit(cls, embedding: Floats, codes: Codes, k: int) -> Self:
        """Fit on embeddings (m, e) of training texts with codes (m,), 0..k-1; rows of NaN are left out."""
        known = np.flatnonzero(np.isfinite(embedding).all(axis=1))
        order = known[np.argsort(codes[known], kind="stable")]
        rows, codes = unit(np.asarray(embedding[order], dtype=np.float64)), codes[order]
        sums = np.zeros((k, rows.shape[1]))
        np.add.at(sums, codes, rows)
        starts = np.searchsorted(codes, np.arange(k + 1))
        return cls(unit(sums).astype(np.float32), rows.astype(np.float16), starts)

    def __call__(self, evidence: Evidence) -> Doubles:
        """Return both signs of n texts, (n, 2), larger is more alike; NaN for a text without embedding.

        A text whose label has no training text is like none: both are -1.
        """
        embedding = np.asarray(evidence.embedding)
        asked = np.isfinite(embedding).all(axis=1)
        said = np.where(asked, evidence.logits.argmax(axis=1), -1)
        signs = np.full((len(embedding), 2), np.nan)
        for label in np.unique(said[asked]).tolist():
            rows = np.flatnonzero(said == label)
            signs[rows] = each_row(self._to(label), embedding[rows], self.centroids.shape[1])
        return signs

    def _to(self, label: int) -> Any:
        """Give the function of rows (n, e) that compares them with a label."""
        own = self.references[self.starts[label] : self.starts[label + 1]]
        matrix = np.concatenate([self.centroids[[label]], own]).T.astype(np.float64)

        def compared(rows: Doubles) -> Doubles:
            if not len(own):
                return np.full((len(rows), 2), -1.0)
            cosines = products(rows, matrix)
            return np.column_stack([cosines[:, 0], cosines[:, 1:].max(axis=1)])

        return compared
