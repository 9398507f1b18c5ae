"""Nearest neighbours: the similarity of a text's features to the k-th most similar training text.

Source: Sun, Ming, Zhu & Li (2022), "Out-of-Distribution Detection with Deep Nearest Neighbors",
https://arxiv.org/abs/2204.06507.
The search is exact: references are grouped by label, and a group is searched only if, by the triangle inequality, it
can hold one of the k nearest. Most texts need one group.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, as_codes, row_blocks
from elsewise.errors import InputError
from elsewise.outputs import References, as_evidence
from elsewise.scores.distances import Doubles, each_row, products, references_of, unit

NEIGHBOURS: Final = 10
SLACK: Final = 1e-3  # of a distance, as references are float32; searching a group too many is no error
AT_ONCE: Final = 1 << 22  # numbers


@dataclass(frozen=True, slots=True, eq=False)
class NearestNeighbours:
    """Cosine similarity to the k-th most similar reference, -1..1 (to the least similar if there are fewer than k).

    NaN for features that are not finite.

    Attributes
    ----------
    references, starts : (m, d) float32 and (g + 1,)
        References of length 1, sorted by label; first index of each label, and m.
    centres, radii : (g, d) float32 and (g,) float64
        Mean of each label's references, and their largest distance from it.
    k : int
        Rank of the neighbour that counts.
    """

    references: NDArray[np.float32]
    starts: Codes
    centres: NDArray[np.float32]
    radii: NDArray[np.float64]
    k: int = NEIGHBOURS

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: References | None = None, k: int = NEIGHBOURS) -> Self:
        """Keep `references`, else the in-scope rows of the evidence, codes (n,) (each is its own nearest neighbour).

        Raises
        ------
        InputError
            If the engine gives no features, no row is in scope, or k is below 1.

        Examples
        --------
        >>> from elsewise.outputs import Evidence, Outputs
        >>> def rows(*features):
        ...     z = np.zeros((len(features), 2))
        ...     return Evidence(z + 0.5, Outputs(z, np.array(features)))
        >>> nearest = NearestNeighbours.fit(rows([1.0, 0.0], [0.0, 1.0]), [0, 1], k=1)
        >>> nearest(rows([2.0, 0.0], [-1.0, -1.0])).round(4).tolist()
        [1.0, -0.7071]
        """
        if k < 1:
            raise InputError(f"k must be at least 1, got {k}")
        rows = as_evidence(evidence)
        known = references or references_of(rows, as_codes(codes, like=rows.probabilities, allow_abstain=True))
        order = np.argsort(known.codes, kind="stable")
        vectors = unit(np.asarray(known.features, dtype=np.float64)[order]).astype(np.float32)
        _, starts = np.unique(known.codes[order], return_index=True)
        sizes = np.diff(starts, append=len(order))
        centres = np.add.reduceat(vectors, starts, axis=0, dtype=np.float64) / sizes[:, None]
        apart = np.linalg.norm(vectors - np.repeat(centres, sizes, axis=0), axis=1)
        radii = np.maximum.reduceat(apart, starts)
        return cls(vectors, np.append(starts, len(order)), centres.astype(np.float32), radii, k)

    def __call__(self, evidence: Any) -> NDArray[np.float64]:
        """Return confidence, shape (n,)."""
        return each_row(self._kth, as_evidence(evidence).features, self.references.shape[1])

    def _kth(self, rows: Doubles) -> Doubles:
        """Similarity of the k-th most similar reference: the nearest label first, then labels that can still matter."""
        k = min(self.k, len(self.references))
        reach = self._least_distance(rows)
        best = np.full((len(rows), k), -np.inf)  # ascending: the k-th most similar comes first
        first = reach.argmin(axis=1)
        for label in range(len(self.radii)):
            self._merge(best, rows, np.flatnonzero(first == label), label)
        for label in range(len(self.radii)):
            within = np.sqrt(np.maximum(2 - 2 * best[:, 0], 0)) + SLACK  # infinite until there are k
            self._merge(best, rows, np.flatnonzero((first != label) & (reach[:, label] <= within)), label)
        return best[:, 0]

    def _least_distance(self, rows: Doubles) -> Doubles:
        """Lower bound of the distance from each row to any reference of each label, (n, g)."""
        across = np.ascontiguousarray(self.centres.T, dtype=np.float64)
        apart = -2 * products(rows, across)
        apart += np.einsum("ij,ij->i", rows, rows)[:, None]
        apart += np.einsum("ij,ij->j", across, across)
        return np.sqrt(np.maximum(apart, 0, out=apart), out=apart) - self.radii

    def _merge(self, best: Doubles, rows: Doubles, chosen: Codes, label: int) -> None:
        """Merge the references of one label into the k most similar of the chosen rows."""
        if not len(chosen):
            return
        k = best.shape[1]
        group = np.ascontiguousarray(self.references[self.starts[label] : self.starts[label + 1]].T, dtype=np.float64)
        for part in row_blocks(np.broadcast_to(0.0, (len(chosen), group.shape[1])), numbers=AT_ONCE):
            at = chosen[part]
            both = np.concatenate([best[at], products(rows[at], group)], axis=1)
            best[at] = np.sort(np.partition(both, -k, axis=1)[:, -k:], axis=1)
