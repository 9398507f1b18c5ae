"""Gates: texts that a rule never answers, whatever their confidence. To add a gate: a class and a line in GATES.

    rule = CertifiedThreshold.fit(evidence, codes, reference=reference, gates=(AmbiguityMargin(0.1),))

A gate acts alike on the rows that certify a rule and on the texts it serves: see `decisions.confidence_of`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from elsewise.outputs import Evidence
from elsewise.rules.decisions import Gate, Reason, top_two
from elsewise.rules.fixed_sequence import check_share

__all__ = ["GATES", "AmbiguityMargin", "Asked", "Gate", "as_gates"]

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

    def fit(self, evidence: Any, codes: Any) -> Self:  # noqa: ARG002  every gate's call
        """Return the same gate; evidence of n rows and codes (n,) are ignored."""
        return self

    def __call__(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Flag the texts below the margin, shape (n,); False for an unreadable text."""
        _, _, first, second = top_two(evidence.probabilities)
        return first - second < self.margin


GATES: Final[dict[str, type[Gate]]] = {"ambiguity_margin": AmbiguityMargin}


def as_gates(gates: Sequence[Gate], ambiguity_margin: float | None) -> tuple[Gate, ...]:
    """Set the ambiguity margin, 0..1 (else InputError), among the gates of a rule: None keeps it, 0 removes it.

    Examples
    --------
    >>> as_gates((), 0.1), as_gates((AmbiguityMargin(0.1),), 0), as_gates((AmbiguityMargin(0.1),), None)
    ((AmbiguityMargin(margin=0.1),), (), (AmbiguityMargin(margin=0.1),))
    """
    if ambiguity_margin is None:
        return tuple(gates)
    others = tuple(gate for gate in gates if not isinstance(gate, AmbiguityMargin))
    gate = AmbiguityMargin(ambiguity_margin)  # checked also where it is 0
    return (gate, *others) if ambiguity_margin else others
