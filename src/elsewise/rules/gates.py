"""Gates: texts that a rule never answers, whatever their confidence. To add a gate: a class and a line in GATES.

    rule = CertifiedThreshold.fit(evidence, codes, reference=reference, gates=(Floor(0.5), Unfamiliar(0.02)))

A gate acts alike on the rows that certify a rule and on the texts it serves: see `decisions.confidence_of`. Nothing of
a gate is chosen on certify rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from elsewise.errors import InputError
from elsewise.outputs import Evidence
from elsewise.rules.decisions import Gate, Reason, top_two
from elsewise.rules.fixed_sequence import check_share

__all__ = ["GATES", "AmbiguityMargin", "Asked", "Floor", "Gate", "Unfamiliar", "as_gates", "with_gates"]

Asked: TypeAlias = Mapping[str, Any]  # arguments of a rule's `fit` besides rows, score and looks


@dataclass(frozen=True, slots=True)
class AmbiguityMargin:
    """Gate for texts whose best two probabilities differ by less than a margin, 0..1 (else InputError).

    Examples
    --------
    >>> AmbiguityMargin(0.25)(Evidence(np.array([[0.5, 0.25, 0.25], [0.5, 0.375, 0.125]]))).tolist()
    [False, True]
    """

    reason: ClassVar[Reason] = Reason.AMBIGUOUS
    margin: float

    def __post_init__(self) -> None:
        check_share("ambiguity_margin", self.margin)

    @property
    def asked(self) -> float:
        """The margin."""
        return self.margin

    def __call__(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Flag the texts below the margin, shape (n,); False for an unreadable text."""
        _, _, first, second = top_two(evidence.probabilities)
        return first - second < self.margin


@dataclass(frozen=True, slots=True)
class Floor:
    """Gate for texts whose best probability is below a floor, 0..1 (else InputError).

    Below one half, a calibrated answer is more likely wrong than right, whatever all answers together promise.

    Examples
    --------
    >>> Floor(0.5)(Evidence(np.array([[0.5, 0.25, 0.25], [0.4, 0.35, 0.25]]))).tolist()
    [False, True]
    """

    reason: ClassVar[Reason] = Reason.UNSURE
    floor: float

    def __post_init__(self) -> None:
        check_share("floor", self.floor)

    @property
    def asked(self) -> float:
        """The floor."""
        return self.floor

    def __call__(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Flag the texts below the floor, shape (n,); False for an unreadable text."""
        return np.asarray(evidence.probabilities.max(axis=1) < self.floor)


@dataclass(frozen=True, slots=True)
class Unfamiliar:
    """Gate for texts less familiar than all but a share of in-scope texts, 0..1 (else InputError).

    It bars at most this share of in-scope texts, on average over draws of the tune rows behind the p-values: see
    `elsewise.rules.familiarity.FamiliarityTest`. From 1 / share - 1 in-scope tune rows on it can bar a text at all.

    Examples
    --------
    >>> Unfamiliar(0.02)(Evidence(np.full((2, 2), 0.5), familiarity=np.array([0.5, 0.02]))).tolist()
    [False, True]
    """

    reason: ClassVar[Reason] = Reason.UNFAMILIAR
    share: float

    def __post_init__(self) -> None:
        check_share("unfamiliar", self.share)

    @property
    def asked(self) -> float:
        """The share."""
        return self.share

    def __call__(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Flag the unfamiliar texts, shape (n,); False for an unreadable text.

        InputError for evidence without p-values: `Classifier.evidence` gives them.
        """
        if evidence.familiarity is None:
            raise InputError("the gate unfamiliar needs to know how familiar texts are; take Classifier.evidence")
        return np.asarray(evidence.familiarity <= self.share)  # False for NaN


# In this order: where several gates bar a text, the first gives the reason.
GATES: Final[dict[str, type[Gate]]] = {"unfamiliar": Unfamiliar, "floor": Floor, "ambiguity_margin": AmbiguityMargin}


def with_gates(gates: Sequence[Gate], settings: Mapping[str, float | None]) -> tuple[Gate, ...]:
    """Set gates by their names in GATES among those of a rule: None keeps one, 0 removes it.

    InputError for a setting that is not within 0..1.

    Examples
    --------
    >>> with_gates((AmbiguityMargin(0.1), Floor(0.5)), {"ambiguity_margin": 0, "floor": None, "unfamiliar": 0.02})
    (Unfamiliar(share=0.02), Floor(floor=0.5))
    """
    kinds: list[Any] = list(GATES.values())
    made = [GATES[name](setting) for name, setting in settings.items() if setting is not None]  # type: ignore[call-arg]
    kept = [gate for gate in gates if type(gate) not in map(type, made)]
    found = [*(gate for gate in made if gate.asked), *kept]
    return tuple(sorted(found, key=lambda gate: kinds.index(type(gate)) if type(gate) in kinds else len(kinds)))


def as_gates(gates: Sequence[Gate], ambiguity_margin: float | None) -> tuple[Gate, ...]:
    """Set the ambiguity margin, 0..1 (else InputError), among the gates of a rule: None keeps it, 0 removes it.

    Examples
    --------
    >>> as_gates((), 0.1), as_gates((AmbiguityMargin(0.1),), 0), as_gates((AmbiguityMargin(0.1),), None)
    ((AmbiguityMargin(margin=0.1),), (), (AmbiguityMargin(margin=0.1),))
    """
    return tuple(gates) if ambiguity_margin is None else with_gates(gates, {"ambiguity_margin": ambiguity_margin})
