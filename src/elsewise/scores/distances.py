"""Distances of the features of texts from those of the training texts.

All products run in blocks of one shape, so that the distances of a text are bit-identical alone and in a batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes, Floats, row_blocks
from elsewise.errors import InputError
from elsewise.outputs import Evidence, References

ROWS = 32  # of one product: few enough for a single text, enough for a matrix kernel
Doubles: TypeAlias = NDArray[np.float64]


def references_of(evidence: Evidence, codes: Codes) -> References:
    """Make references of the in-scope rows of evidence, codes (n,), with finite features (n, d).

    Raises
    ------
    InputError
        If there are none, or the engine gives no features.
    """
    return references(evidence.features, codes, evidence.embedding)


def references(features: Floats, codes: Codes, embedding: Floats | None = None) -> References:
    """Make references of the in-scope rows, codes (n,), with finite features (n, d); raises as `references_of`."""
    usable = (codes != ABSTAIN) & np.isfinite(features).all(axis=1)
    return checked(References(features[usable], codes[usable], None if embedding is None else embedding[usable]))


def checked(references: References) -> References:
    """Check references, features (m, d) and codes (m,): InputError if no distance can be measured from them."""
    features = np.asarray(references.features)
    if features.ndim != 2 or features.shape[:1] != np.shape(references.codes):  # noqa: PLR2004
        raise InputError(
            f"references must be features (m, d) with codes (m,), got {features.shape} and {np.shape(references.codes)}"
        )
    if not len(features):
        raise InputError("distances need at least one in-scope reference text with features, got 0")
    if not np.isfinite(features).all():
        row = int(np.argmax(~np.isfinite(features).all(axis=1)))
        raise InputError(f"features of references must be finite, and row {row} is not")
    return references


def unit(features: Doubles) -> Doubles:
    """Scale every row of (n, d) to length 1; a row of zeros stays zeros."""
    length = np.sqrt(np.einsum("ij,ij->i", features, features))[:, None]
    return features / np.where(length > 0, length, 1)


def products(rows: Doubles, matrix: Doubles) -> Doubles:
    """Multiply (n, d) by (d, g) so that a row's result is independent of the other rows.

    Only in float64: in float32, on processors with AVX2, last digits differ in the second half of a block.
    """
    out = np.empty((len(rows), matrix.shape[1]))
    whole = len(rows) - len(rows) % ROWS
    for start in range(0, whole, ROWS):
        np.matmul(rows[start : start + ROWS], matrix, out=out[start : start + ROWS])
    if whole < len(rows):
        filled = np.zeros((ROWS, rows.shape[1]))
        filled[: len(rows) - whole] = rows[whole:]
        out[whole:] = np.matmul(filled, matrix)[: len(rows) - whole]
    return out


def each_row(function: Callable[[Doubles], Doubles], features: Any, width: int) -> Doubles:
    """Apply a function of unit features (n, d) in blocks; returns (n,) or (n, g), NaN where a feature is not finite.

    Raises
    ------
    InputError
        If the features do not have the `width` of the references.
    """
    array = np.asarray(features)
    if array.ndim != 2 or array.shape[1] != width:  # noqa: PLR2004
        raise InputError(f"features must have shape (n, {width}) as the references have, got {array.shape}")
    blocks = [_finite(function, array[rows]) for rows in row_blocks(array, numbers=1 << 21)]
    return np.concatenate(blocks) if blocks else function(array.astype(np.float64))


def _finite(function: Callable[[Doubles], Doubles], block: Floats) -> Doubles:
    known = np.asarray(np.isfinite(block).all(axis=1))
    values = function(unit(np.where(known[:, None], block, 0).astype(np.float64)))
    values[~known] = np.nan
    return values


@dataclass(frozen=True, slots=True, eq=False)
class LabelGaussians:
    """Gaussians of the features of each label, with one covariance, on features of length 1.

    Source: Lee, Lee, Lee & Shin (2018), https://arxiv.org/abs/1807.03888; the covariance is shrunk as Ledoit & Wolf
    (2004), https://doi.org/10.1016/S0047-259X(03)00096-4, so that it can be inverted whatever the number of rows.

    Attributes
    ----------
    whitening : (d, d) float64
        Matrix that turns features into coordinates of unit variance.
    centres, codes : (g, d) float64 and (g,)
        Whitened mean and code of each label with references.
    """

    whitening: Doubles
    centres: Doubles
    codes: Codes

    @classmethod
    def fit(cls, references: References) -> Self:
        """Fit on references.

        Examples
        --------
        >>> two = References(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1]))
        >>> LabelGaussians.fit(two).nearest([[2.0, 0.1]])[0].tolist()
        [[0, 1]]
        """
        features, codes = checked(references).features, references.codes
        codes, of_row = np.unique(codes, return_inverse=True)
        rows = unit(np.asarray(features, dtype=np.float64))
        means = np.zeros((len(codes), rows.shape[1]))
        np.add.at(means, of_row, rows)
        means /= np.bincount(of_row)[:, None]
        rows -= means[of_row]
        whitening = _whitening(shrunk_covariance(rows))
        return cls(whitening, means @ whitening, codes)

    def squared(self, features: Any) -> Doubles:
        """Squared Mahalanobis distance to each label's mean, (n, g); NaN rows where a feature is not finite."""
        lengths = np.einsum("ij,ij->i", self.centres, self.centres)
        across = np.ascontiguousarray(-2 * self.centres.T)

        def distances(rows: Doubles) -> Doubles:
            white = products(rows, self.whitening)
            apart = products(white, across)
            apart += np.einsum("ij,ij->i", white, white)[:, None]
            apart += lengths
            return np.maximum(apart, 0, out=apart)

        return each_row(distances, features, len(self.whitening))

    def least(self, features: Any) -> Doubles:
        """Squared distance of features (n, d) to the nearest mean, (n,), in bounded memory."""
        return self.nearest(features, among=1)[1][:, 0]

    def nearest(self, features: Any, among: int = 2) -> tuple[Codes, Doubles]:
        """Find the `among` nearest labels of features (n, d), nearest first: codes and squared distances, (n, among).

        A row that is not finite has -1 and NaN; missing labels have -1 and infinity.
        """
        array = np.asarray(features)
        width = array.shape[1]
        numbers = (1 << 22) * width // max(width, len(self.centres), 1)  # a row has g distances, if more
        blocks = [self._nearest(array[rows], among) for rows in row_blocks(array, numbers=numbers)]
        codes, apart = zip(*blocks or [self._nearest(array, among)], strict=True)
        return np.concatenate(codes), np.concatenate(apart)

    def _nearest(self, features: Any, among: int) -> tuple[Codes, Doubles]:
        left, codes = self.squared(features), np.full((len(features), among), ABSTAIN)
        rows, apart = np.arange(len(features)), np.full((len(features), among), np.inf)
        for place in range(min(among, len(self.codes))):
            at = left.argmin(axis=1)
            apart[:, place] = left[rows, at]
            codes[:, place] = np.where(np.isnan(apart[:, place]), ABSTAIN, self.codes[at])
            left[rows, at] = np.inf
        return codes, apart


def shrunk_covariance(centred: Doubles) -> Doubles:
    """Covariance of centred rows (m, d), shrunk towards a multiple of the identity by Ledoit & Wolf's share."""
    m, d = centred.shape
    covariance = centred.T @ centred / m
    scale = np.trace(covariance) / d
    spread = float(np.square(covariance - scale * np.eye(d)).sum())
    fourth = float(np.square(np.einsum("ij,ij->i", centred, centred)).sum()) / m
    noise = min(spread, (fourth - float(np.square(covariance).sum())) / m)
    share = noise / spread if spread > 0 else 0.0
    return (1 - share) * covariance + share * scale * np.eye(d)


def _whitening(covariance: Doubles) -> Doubles:
    values, vectors = np.linalg.eigh(covariance)
    floor = max(float(values.max()) * 1e-10, np.finfo(np.float64).tiny)
    if values.max() <= 0:  # every text is at its label's mean: all directions count alike
        return np.eye(len(covariance))
    return vectors / np.sqrt(np.maximum(values, floor))
