"""Rules: a score and a threshold that turn evidence into decisions. A new one is a file here and a line in RULES.

    rule = CertifiedThreshold.fit(certify_evidence, certify_codes, reference=tune_evidence)
    decisions = rule(evidence)

Every rule answers the most probable label or abstains, and takes evidence or an (n, k) array of probabilities.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

from elsewise.decisions import Certificate, Decisions
from elsewise.rules.certified import CertifiedThreshold
from elsewise.rules.coverage import TargetCoverage
from elsewise.rules.fixed import FixedThreshold
from elsewise.scores import Score

__all__ = ["RULES", "CertifiedThreshold", "FixedThreshold", "Rule", "TargetCoverage"]


class Rule(Protocol):
    """A fitted map from evidence to decisions. Only a threshold that was tested carries a certificate."""

    @property
    def score(self) -> Score:
        """The confidence that is compared with the threshold."""
        ...

    @property
    def threshold(self) -> float:
        """A text is answered exactly when its confidence reaches this."""
        ...

    @property
    def certificate(self) -> Certificate | None:
        """The tested promise, or None."""
        ...

    @property
    def fit(self) -> Callable[..., "Rule"]:
        """A class method: ``fit(evidence, codes, ...)`` on rows that neither model nor calibrator was fitted on."""
        ...

    def __call__(self, evidence: Any) -> Decisions:
        """Answer or abstain, text by text."""
        ...


RULES: Final[dict[str, type[Rule]]] = {
    "fixed": FixedThreshold,
    "certified": CertifiedThreshold,
    "coverage": TargetCoverage,
}
