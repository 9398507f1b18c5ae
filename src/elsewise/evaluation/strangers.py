"""Count how many built-in strange texts a classifier would answer: a measurement, and never a promise.

Nothing is fitted, chosen or calibrated on these texts.
"""

import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from elsewise.classifier.classifier import Classifier
from elsewise.data.strangers import strange_texts
from elsewise.engines import reads_logits
from elsewise.engines.external import ExternalEngine
from elsewise.errors import ElsewiseWarning, InputError, reading
from elsewise.messages.wording import percent
from elsewise.rules.decisions import Decisions

KINDS = "weather, sports, greetings, other languages, random letters"


@dataclass(frozen=True, slots=True)
class Strangers:
    """How many of the built-in strange texts would get a label.

    Attributes
    ----------
    n, answered : int
        How many texts there are, and how many of them get a label.
    sentence : str
        The same in words. Some of the texts may belong to a label of the model, such as `weather`: these are rightly
        answered.
    """

    n: int
    answered: int
    sentence: str

    @classmethod
    def of(cls, decisions: Decisions) -> Self:
        """Count the answers to n strange texts.

        Examples
        --------
        >>> from elsewise import FixedThreshold
        >>> Strangers.of(FixedThreshold(0.8)([[0.9, 0.1], [0.6, 0.4]])).sentence[-23:]
        '50 % would get a label.'
        """
        n, answered = len(decisions), int((~decisions.abstained).sum())
        share = percent(answered / n) if answered else "none"
        return cls(n, answered, f"Of {n} built-in strange texts ({KINDS}) {share} would get a label.")


def measure_strangers(classifier: Classifier) -> Strangers | None:
    """Answer the built-in strange texts; None for a model of logits, or your own model where it cannot answer them.

    Examples
    --------
    >>> from elsewise import FixedThreshold, Identity
    >>> from elsewise.engines.memory import MemoryEngine
    >>> engine = MemoryEngine(("yes", "no"), {"hello": [4.0, 0.0]}, default=[0.1, 0.0])
    >>> measured = measure_strangers(Classifier(engine, Identity(), FixedThreshold(0.6)))
    >>> measured.n, measured.answered
    (200, 1)
    """
    engine = classifier.engine
    if reads_logits(engine):
        return None
    if not isinstance(engine, ExternalEngine):
        return _measured(classifier)
    if engine.answer is None:
        return None
    with warnings.catch_warnings(), suppress(InputError):  # it may fail on texts that its user never sends
        warnings.simplefilter("ignore", ElsewiseWarning)
        return _measured(classifier)
    return None


def _measured(classifier: Classifier) -> Strangers:
    return Strangers.of(classifier.rule(classifier.evidence(strange_texts())))


def strangers_of(classifier: Classifier) -> Strangers | None:
    """Give what the evaluation of this classifier says of strange texts; measure it where it says nothing.

    ArtifactError if the evaluation holds something else.
    """
    judged = classifier.evaluation or {}
    if "strangers" not in judged or judged["engine"]["fingerprint"] != classifier.engine.fingerprint:
        return measure_strangers(classifier)
    with reading("evaluation.json"):
        return None if judged["strangers"] is None else Strangers(**judged["strangers"])
