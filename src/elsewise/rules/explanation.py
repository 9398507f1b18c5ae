"""Why a text was decided as it was: everything that there is to tell of it, as one value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from elsewise.outputs import ReadSpan
from elsewise.storage.json_files import Json


@dataclass(frozen=True, slots=True)
class Pull:
    """A word of a text, or several in a row where it has many, and what it did for the best label.

    Attributes
    ----------
    words : str
        As they stand in the text.
    start, end : int
        Where: ``text[start:end]``.
    pull : float
        By how much the log-odds of the best label fall when they are left out; negative where they speak against it.
    without : float
        The probability of the best label without them.
    """

    words: str
    start: int
    end: int
    pull: float
    without: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A known text with its label, and how similar it is: the cosine of the features, 1 for the same direction."""

    text: str
    label: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was decided on one text, and why.

    `Decisions.explain` knows what the decisions hold; `elsewise.evaluation.explain` asks the model for the rest.

    Attributes
    ----------
    label : str
        What is shown: a label, or Other's name.
    abstained : bool
        Compare with this, since a real label may be called Other.
    reason : str
        As in `elsewise.rules.decisions.Reason`.
    sentence, customer_sentence : str
        The reason in words: with its numbers, and as a customer can be told it.
    probabilities : mapping from label to probability
        The best labels, best first; empty for an unreadable text.
    confidence, threshold : float
        A text is answered exactly when ``confidence >= threshold``.
    score : str
        What the confidence is; empty where only decisions are known.
    nearest : tuple of str
        The labels whose training texts are nearest, where it is known.
    familiarity : float or None
        At most this share of in-scope texts is as unlike the training texts.
    possible : tuple of str, or None
        The labels that stay possible, where they are known.
    epistemic : float or None
        What models disagree by, in nats.
    words : tuple of Pull
        What each word did for the best label, the strongest for it first and the strongest against it last.
    neighbours : tuple of Neighbour
        The known texts that are nearest, nearest first.
    extent : ReadSpan or None
        How much of the text was read.
    receipt : mapping or None
        With which it can be shown later that the same model gives the same answer (JSON).
    """

    label: str
    abstained: bool
    reason: str
    sentence: str
    customer_sentence: str
    probabilities: Mapping[str, float]
    confidence: float
    threshold: float
    score: str = ""
    nearest: tuple[str, ...] = ()
    familiarity: float | None = None
    possible: tuple[str, ...] | None = None
    epistemic: float | None = None
    words: tuple[Pull, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    extent: ReadSpan | None = None
    receipt: Json | None = None

    def as_dict(self) -> Json:
        """Give everything as plain values, for JSON."""
        return asdict(self)
