"""Scores: fitted maps from evidence to the confidence of each text. To add a score: a file and a line in SCORES.

score = MaximumProbability.fit(evidence, codes)
confidence = score(evidence)                               # (n,) float64
"""

from typing import Any, Final, Protocol, Self

from numpy import float64
from numpy.typing import NDArray

from elsewise.outputs import References
from elsewise.scores.combined import Combined
from elsewise.scores.familiarity import Familiarity
from elsewise.scores.mahalanobis import Mahalanobis, RelativeMahalanobis
from elsewise.scores.neighbours import NearestNeighbours
from elsewise.scores.normalised_maximum_logit import NormalisedMaximumLogit
from elsewise.scores.unfitted import Energy, Epistemic, Margin, MaximumLogit, MaximumProbability, NegativeEntropy

__all__ = [
    "SCORES",
    "Combined",
    "Energy",
    "Epistemic",
    "Familiarity",
    "Mahalanobis",
    "Margin",
    "MaximumLogit",
    "MaximumProbability",
    "NearestNeighbours",
    "NegativeEntropy",
    "NormalisedMaximumLogit",
    "RelativeMahalanobis",
    "Score",
]


class Score(Protocol):
    """A fitted map from evidence, or an (n, k) array of probabilities, to confidence (n,)."""

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: References | None = None) -> Self:
        """Fit on n tune rows with codes (n,), -1 for out-of-scope; distances are from `references`, else these rows."""
        ...

    def __call__(self, evidence: Any) -> NDArray[float64]:
        """Return confidence (n,), larger = surer; NaN for an unreadable text."""
        ...


SCORES: Final[dict[str, type[Score]]] = {
    "maximum_probability": MaximumProbability,
    "margin": Margin,
    "entropy": NegativeEntropy,
    "energy": Energy,
    "maximum_logit": MaximumLogit,
    "normalised_maximum_logit": NormalisedMaximumLogit,
    "mahalanobis": Mahalanobis,
    "relative_mahalanobis": RelativeMahalanobis,
    "neighbours": NearestNeighbours,
    "familiarity": Familiarity,
    "combined": Combined,
    "epistemic": Epistemic,
}
