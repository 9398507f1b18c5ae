"""The explanation of a decision on one text: reason, words, neighbours and receipt."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from elsewise.outputs import ReadSpan
from elsewise.storage.json_files import Json


@dataclass(frozen=True, slots=True)
class Pull:
    """Effect of a word on the best label; in a long text, of several words in a row.

    Attributes
    ----------
    words, start, end : str, int, int
        The words as in the text: ``text[start:end]``.
    pull, without : float
        Fall of the log-odds of the best label when the words are left out (negative if they speak against it); and the
        probability of that label without them.
    """

    words: str
    start: int
    end: int
    pull: float
    without: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A known text with its label and its similarity: the cosine of the features, 1 for the same direction."""

    text: str
    label: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision on one text, and why.

    `Decisions.explain` fills in what the decisions hold; `elsewise.evaluation.explain` asks the model for the rest.

    Attributes
    ----------
    label, abstained : str, bool
        Label or the word for Other; and whether it is an abstention, since a real label may be called Other.
    reason : str
        As in `elsewise.rules.decisions.Reason`.
    sentence, customer_sentence : str
        The reason in words: with its numbers, and for a customer.
    probabilities : mapping from label to probability
        The best labels, best first; empty for an unreadable text.
    confidence, threshold, score : float, float, str
        A text is answered exactly when ``confidence >= threshold``. The score names the confidence; empty if unknown.
    nearest : tuple of str
        Labels with the nearest training texts; empty if unknown.
    familiarity : float or None
        At most this share of in-scope texts is as unlike the training texts.
    possible : tuple of str, or None
        Labels that stay possible.
    epistemic : float or None
        Disagreement of models, in nats.
    words : tuple of Pull
        Effect of each word on the best label, from the strongest for it to the strongest against it.
    neighbours : tuple of Neighbour
        The nearest known texts, nearest first.
    extent : ReadSpan or None
        How much of the text was read.
    receipt : mapping or None
        Record (JSON) that proves later that the same model gives the same answer.
    """

    label: str
    abstained: bool
    reason: str
    sentence: str
    customer_sentence: str = field(repr=False)
    probabilities: Mapping[str, float]
    confidence: float
    threshold: float
    score: str = field(default="", repr=False)
    nearest: tuple[str, ...] = field(default=(), repr=False)
    familiarity: float | None = field(default=None, repr=False)
    possible: tuple[str, ...] | None = field(default=None, repr=False)
    epistemic: float | None = field(default=None, repr=False)
    words: tuple[Pull, ...] = field(default=(), repr=False)
    neighbours: tuple[Neighbour, ...] = field(default=(), repr=False)
    extent: ReadSpan | None = field(default=None, repr=False)
    receipt: Json | None = field(default=None, repr=False)

    def as_dict(self) -> Json:
        """Return all fields as plain values, for JSON."""
        return asdict(self)
