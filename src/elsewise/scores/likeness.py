"""Likeness: how much a text is like the training texts, in the embedding of the encoder as it came.

Two signs: the cosine to the centroid of the label that the classifier says, and that to the third nearest training
text. Sources: Sun, Ming, Zhu & Li (2022), https://arxiv.org/abs/2204.06507, for neighbours; Reimers & Gurevych (2019),
https://arxiv.org/abs/1908.10084, for the embedding.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats
from elsewise.outputs import Evidence, References
from elsewise.scores.distances import Doubles, each_row, products, unit
from elsewise.scores.neighbours import NearestNeighbours

NEIGHBOUR: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """Signs of likeness. Call it on evidence with embeddings.

    Attributes
    ----------
    centroids, known : (k, e) float32 and (k,) bool
        Centroid of each label's training texts, at length 1; whether the label has any.
    neighbours : NearestNeighbours
        The training texts.
    """

    centroids: NDArray[np.float32]
    known: NDArray[np.bool_]
    neighbours: NearestNeighbours

    @classmethod
    def fit(cls, embedding: Floats, codes: Codes, k: int) -> Self:
        """Fit on embeddings (m, e) of training texts with codes (m,), 0..k-1; rows of NaN are left out."""
        known = np.isfinite(embedding).all(axis=1)
        rows, codes = unit(np.asarray(embedding[known], dtype=np.float64)), codes[known]
        sums = np.zeros((k, rows.shape[1]))
        np.add.at(sums, codes, rows)
        neighbours = NearestNeighbours.of(References(rows.astype(np.float16), codes), k=NEIGHBOUR)
        return cls(unit(sums).astype(np.float32), np.bincount(codes, minlength=k) > 0, neighbours)

    def __call__(self, evidence: Evidence) -> Doubles:
        """Return both signs of n texts, (n, 2), larger is more alike; NaN for a text without embedding."""
        embedding = np.asarray(evidence.embedding)
        asked = np.flatnonzero(np.isfinite(embedding).all(axis=1))  # the others would cost as much
        rows, said = embedding[asked], evidence.logits[asked].argmax(axis=1)
        to_centroid = each_row(self._to_centroids, rows, self.centroids.shape[1])[np.arange(len(said)), said]
        near = self.neighbours.kth(rows)
        signs = np.full((len(embedding), 2), np.nan)
        signs[asked] = np.column_stack([np.where(self.known[said], to_centroid, near), near])
        return signs

    def _to_centroids(self, rows: Doubles) -> Doubles:
        return products(rows, np.ascontiguousarray(self.centroids.T, dtype=np.float64))
