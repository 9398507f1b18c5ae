"""Rules: a score and a threshold that turn evidence into decisions. To add a rule: a file here and a line in RULES.

    rule = CertifiedThreshold.fit(certify_evidence, certify_codes, reference=tune_evidence)
    decisions = rule(evidence)

Every rule answers the most probable label or abstains, and takes evidence or an (n, k) array of probabilities.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final, Protocol, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from elsewise.messages.certificates import Population
from elsewise.rules.accuracy_band import AccuracyBand
from elsewise.rules.band import BandThreshold
from elsewise.rules.by_label import ByLabel
from elsewise.rules.certificate import Certificate
from elsewise.rules.certified import CertifiedThreshold
from elsewise.rules.cost import CostThreshold
from elsewise.rules.coverage import TargetCoverage
from elsewise.rules.decisions import Decisions, Gate
from elsewise.rules.fixed import FixedThreshold
from elsewise.rules.gates import GATES, AmbiguityMargin, Asked, Floor, Unfamiliar
from elsewise.rules.sample_size import plan
from elsewise.scores import Score
from elsewise.storage.json_files import Json

__all__ = [
    "GATES", "RULES", "AccuracyBand", "AmbiguityMargin", "BandThreshold", "ByLabel", "Certificate",
    "CertifiedThreshold", "CostThreshold", "Decisions", "FixedThreshold", "Floor", "Gate", "Rule", "TargetCoverage",
    "Unfamiliar", "about", "among_looks", "asked_record", "fit_as_asked", "plan", "threshold_words",
]  # fmt: skip


Labelled: TypeAlias = tuple[Any, Any]  # evidence of n rows, and their true codes (n,)


class Rule(Protocol):
    """A fitted map from evidence to decisions. Only a tested threshold carries a certificate."""

    tested: ClassVar[bool]
    """Whether `fit` tests a promise: it then takes certify rows, ``reference=`` rows and ``looks=``."""

    @property
    def asked(self) -> Asked | None:
        """Arguments that refit this rule, besides rows, score and looks; None where they are not known."""

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Gates: texts they flag are never answered, whatever their confidence."""

    @property
    def score(self) -> Score:
        """The confidence that is compared with the threshold."""

    @property
    def threshold(self) -> float | NDArray[np.float64]:
        """Threshold: a text is answered exactly when its confidence reaches it; (k,) for a threshold of each label."""

    @property
    def certificate(self) -> Certificate | None:
        """The tested promise, or None."""

    @property
    def fit(self) -> Callable[..., "Rule"]:
        """Class method ``fit(evidence, codes, ...)``, on rows that neither model nor calibrator was fitted on."""

    def __call__(self, evidence: Any) -> Decisions:
        """Answer or abstain, text by text."""


RuleT = TypeVar("RuleT", bound=Rule)
RULES: Final[dict[str, type[Rule]]] = {
    "fixed": FixedThreshold,
    "certified": CertifiedThreshold,
    "coverage": TargetCoverage,
    "by_label": ByLabel,
    "cost": CostThreshold,
    "accuracy_band": BandThreshold,
}


def among_looks(rule: Rule, looks: int, spent: float | None = None) -> Rule:
    """Tell a rule's certificates of all looks at their rows, and what these spent: the sum of 1 - level of each.

    Without `spent`, all looks are at the rule's own level.
    """
    if rule.certificate is None:
        return rule
    delta = 1 - rule.certificate.confidence_level
    earlier = None if spent is None or math.isclose(spent, looks * delta) else spent - delta
    return _told(rule, {"looks": looks, "earlier_delta": earlier})


def about(rule: RuleT, population: Population | None) -> RuleT:
    """Tell a rule's certificates which texts their rows stand for."""
    if rule.certificate is None or population is None or population.is_plain:
        return rule
    return _told(rule, {"population": population})


def _told(rule: RuleT, told: Mapping[str, Any]) -> RuleT:
    parts: Any = {"certificate": replace(cast("Certificate", rule.certificate), **told)}
    if isinstance(rule, ByLabel):
        parts["certificates"] = tuple(replace(certificate, **told) for certificate in rule.certificates)
    return replace(rule, **parts)  # type: ignore[type-var]


def fit_as_asked(
    name: str, asked: Asked, *, tune: Labelled, certify: Callable[[], Labelled], score: Score | None, looks: int
) -> Rule:
    """Fit the rule called `name` in RULES: on certify rows if it tests a promise, else on tune rows alone.

    Parameters
    ----------
    asked : mapping
        Arguments, as `Rule.asked` gives them.
    tune : pair of evidence of m rows and codes (m,)
        Rows that place the grid of a promise, or the threshold of a rule without one.
    certify : callable
        Returns evidence of n rows and codes (n,); called, so that the rows are read, only if a promise is tested.
    score : Score or None
        The confidence; None is the maximum probability.
    looks : int
        Number of certifications on these certify rows, this one included; used only for a promise.

    Examples
    --------
    >>> rows = ([[0.9, 0.1], [0.8, 0.2]], [0, 0])
    >>> fit_as_asked("coverage", {"coverage": 0.5}, tune=rows, certify=lambda: rows, score=None, looks=1).threshold
    0.9
    """
    fit: Any = RULES[name].fit  # a class method, which a Protocol cannot say
    if RULES[name].tested:
        return fit(*certify(), reference=tune[0], reference_codes=tune[1], looks=looks, **asked, score=score)
    return fit(*tune, **asked, score=score)


def asked_record(rule: Rule) -> Json | None:
    """Arguments that refit a rule, as JSON, its gates by their names in GATES; None where they are not known.

    Examples
    --------
    >>> asked_record(FixedThreshold(0.6, ambiguity_margin=0.1))
    {'threshold': 0.6, 'unfamiliar': 0.0, 'floor': 0.0, 'ambiguity_margin': 0.1}
    """
    if rule.asked is None:
        return None
    asked = {type(gate): gate.asked for gate in rule.gates}
    record: dict[str, object] = {}
    for name, value in rule.asked.items():
        record |= {gate: asked.get(kind, 0.0) for gate, kind in GATES.items()} if name == "gates" else {name: value}
    return record


def threshold_words(rule: Rule, digits: int | None = None) -> str:
    """Write a rule's threshold: one number, or the lowest and highest of the labels' own thresholds.

    Examples
    --------
    >>> threshold_words(FixedThreshold(0.6)), threshold_words(FixedThreshold(0.6), digits=4)
    ('0.6', '0.6000')
    """
    form = "g" if digits is None else f".{digits}f"
    low, high = np.min(rule.threshold), np.max(rule.threshold)
    return f"{low:{form}}" if low == high else f"{low:{form}} to {high:{form}}"
