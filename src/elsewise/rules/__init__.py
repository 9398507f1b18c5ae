"""Rules: a score and a threshold that turn evidence into decisions. A new one is a file here and a line in RULES.

    rule = CertifiedThreshold.fit(certify_evidence, certify_codes, reference=tune_evidence)
    decisions = rule(evidence)

Every rule answers the most probable label or abstains, and takes evidence or an (n, k) array of probabilities.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from elsewise.decisions import Certificate, Decisions
from elsewise.rules.by_label import ByLabel
from elsewise.rules.certified import CertifiedThreshold
from elsewise.rules.cost import CostThreshold
from elsewise.rules.coverage import TargetCoverage
from elsewise.rules.fixed import FixedThreshold
from elsewise.scores import Score

__all__ = [
    "RULES",
    "ByLabel",
    "CertifiedThreshold",
    "CostThreshold",
    "FixedThreshold",
    "Rule",
    "TargetCoverage",
    "threshold_words",
]


class Rule(Protocol):
    """A fitted map from evidence to decisions. Only a threshold that was tested carries a certificate."""

    tested: ClassVar[bool]
    """Whether `fit` tests a promise: it then takes certify rows, ``reference=`` other rows, and ``looks=``."""

    @property
    def asked(self) -> Mapping[str, Any] | None:
        """What makes `fit` the same rule again, beside rows, score and looks; None where that is not known."""
        ...

    @property
    def ambiguity_margin(self) -> float:
        """A text whose best two probabilities are closer than this is never answered."""
        ...

    @property
    def score(self) -> Score:
        """The confidence that is compared with the threshold."""
        ...

    @property
    def threshold(self) -> float | NDArray[np.float64]:
        """A text is answered exactly when its confidence reaches this; shape (k,) where labels have their own."""
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
    "by_label": ByLabel,
    "cost": CostThreshold,
}


def threshold_words(rule: Rule, digits: int | None = None) -> str:
    """Write a rule's threshold: one number, or the lowest and the highest where labels have their own.

    Examples
    --------
    >>> threshold_words(FixedThreshold(0.6)), threshold_words(FixedThreshold(0.6), digits=4)
    ('0.6', '0.6000')
    """
    form = "g" if digits is None else f".{digits}f"
    low, high = np.min(rule.threshold), np.max(rule.threshold)
    return f"{low:{form}}" if low == high else f"{low:{form}} to {high:{form}}"
