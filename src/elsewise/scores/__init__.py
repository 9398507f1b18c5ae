"""Scores: fitted maps from evidence to one number per text, larger = surer. A new one is a file and a line in SCORES.

score = MaximumProbability.fit(evidence, codes)
confidence = score(evidence)                               # (n,) float64
"""

from typing import Any, Final, Protocol, Self

from numpy import float64
from numpy.typing import NDArray

from elsewise.outputs import References
from elsewise.scores.energy import Energy
from elsewise.scores.entropy import NegativeEntropy
from elsewise.scores.epistemic import Epistemic
from elsewise.scores.margin import Margin
from elsewise.scores.maximum_probability import MaximumProbability

__all__ = ["SCORES", "Energy", "Epistemic", "Margin", "MaximumProbability", "NegativeEntropy", "Score"]


class Score(Protocol):
    """A fitted map from evidence, or an (n, k) array of probabilities, to confidence (n,)."""

    @classmethod
    def fit(cls, evidence: Any, codes: Any, *, references: References | None = None) -> Self:
        """Fit on tune rows, code -1 marks an out-of-scope row; distances are from `references`, or else these rows."""
        ...

    def __call__(self, evidence: Any) -> NDArray[float64]:
        """Return confidence, larger = surer; NaN for a text that could not be read."""
        ...


SCORES: Final[dict[str, type[Score]]] = {
    "maximum_probability": MaximumProbability,
    "margin": Margin,
    "entropy": NegativeEntropy,
    "energy": Energy,
    "epistemic": Epistemic,
}
