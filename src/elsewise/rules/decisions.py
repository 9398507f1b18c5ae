"""Decisions, the reasons for abstaining, and the one place where confidence meets threshold."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes, Floats, as_codes, is_missing, row_blocks
from elsewise.errors import need
from elsewise.messages import Facts, customer_sentence, sentence
from elsewise.messages.notebook import html_table
from elsewise.messages.wording import shortened
from elsewise.outputs import Evidence
from elsewise.rules.explanation import Explanation

AMBIGUOUS_RATIO = 0.5  # the second label is at least half as probable as the best ...
AMBIGUOUS_SHARE = 0.6  # ... and the two together hold most of the probability

BITS = 8
SHOWN = 20  # decisions that a notebook shows
PRINTED, TEXT_SHOWN = 10, 60  # decisions that are printed, and characters of each text

Confidence: TypeAlias = Callable[[Evidence], Floats]  # a score, or any function that gives the confidence of n texts


class Reason(StrEnum):
    """Reason of a decision on a text. `unreadable` and the reasons of gates decide; the others explain."""

    ANSWERED = "answered"
    UNREADABLE = "unreadable"
    UNFAMILIAR = "unfamiliar"
    AMBIGUOUS = "ambiguous"
    UNSURE = "unsure"


class Gate(Protocol):
    """Texts that a rule never answers, whatever their confidence; `elsewise.rules.gates.GATES` lists the gates."""

    reason: ClassVar[Reason]
    """Reason given for the texts that the gate flags."""

    @property
    def asked(self) -> float:
        """Setting of the gate, as a number; 0 means no gate."""

    def __call__(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Flag the texts that are never answered, shape (n,)."""


@dataclass(frozen=True, slots=True, eq=False)
class PredictionSets:
    """Prediction sets of n texts, at one bit for each text and label.

    Attributes
    ----------
    bits : (n, ceil(k / 8)) uint8
        Whether each label is in the set, as written by `numpy.packbits`.
    k, names : int, tuple of str
        Number of labels, and their names; no names if only codes are known.
    """

    bits: NDArray[np.uint8]
    k: int
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Count the texts."""
        return len(self.bits)

    def __getitem__(self, i: int) -> tuple[str, ...]:
        """Name the labels in the set of text `i`, by code; codes as text if no names are known."""
        return tuple(self.names[code] if self.names else str(code) for code in self.codes(i).tolist())

    def codes(self, i: int) -> Codes:
        """List the codes of the labels in the set of text `i`, ascending, shape (s,)."""
        return np.flatnonzero(np.unpackbits(self.bits[i], count=self.k))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of labels in each set, shape (n,)."""
        return np.bitwise_count(self.bits).sum(axis=1, dtype=np.int64)

    def contain(self, codes: Any) -> NDArray[np.bool_]:
        """Whether the set of each text holds `codes[i]`, given codes (n,), shape (n,); False for -1."""
        y = as_codes(codes, like=np.broadcast_to(np.zeros(1), (len(self), self.k)), allow_abstain=True)
        shown = self.bits[np.arange(len(self)), y // BITS] >> (BITS - 1 - y % BITS) & 1
        return (shown == 1) & (y >= 0)


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision on one text, as `decisions[i]` gives it; the fields are named as the columns of an answers file.

    Attributes
    ----------
    label, abstained : str, bool
        A label, or the word for an abstention; and whether it is an abstention.
    reason, best_label : str
        Reason of the decision, and the most probable label, answered or not; "" for an unreadable text.
    confidence, probability : float
        What was compared with the threshold, and the probability of the best label; NaN where there is none.
    truncated : bool
        The text was longer than the model reads.
    text : str or None
        The text, where the decisions know it.
    place, decisions : int, Decisions
        The decisions that it is one of, and its place among them.

    Examples
    --------
    >>> from elsewise import FixedThreshold
    >>> FixedThreshold(0.6)([[0.75, 0.25]])[0]
    Decision(label='0', abstained=False, reason='answered', best_label='0', confidence=0.75, probability=0.75)
    """

    label: str
    abstained: bool
    reason: str
    best_label: str
    confidence: float
    probability: float
    truncated: bool = field(repr=False)
    text: str | None = field(repr=False)
    place: int = field(repr=False, compare=False)
    decisions: "Decisions" = field(repr=False, compare=False)

    def sentence(self, language: str = "en") -> str:
        """Explain the decision in one sentence: see `Decisions.sentence`."""
        return self.decisions.sentence(self.place, language)

    def customer_sentence(self, language: str = "en") -> str:
        """Explain the decision to a customer: see `Decisions.customer_sentence`."""
        return self.decisions.customer_sentence(self.place, language)

    def explain(self, language: str = "en") -> Explanation:
        """Explain the decision with its numbers: see `Decisions.explain`."""
        return self.decisions.explain(self.place, language)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Decisions:
    """Decisions on n texts: labels or abstentions, and why, as columns of equal length.

    ``decisions[0]`` is a `Decision`; a slice, a mask or an array of indices selects decisions; iteration gives each.

    Attributes
    ----------
    codes : (n,) int64
        Label code 0..k-1, or ABSTAIN (-1).
    confidence, threshold : (n,) float64
        A text is answered exactly when ``confidence >= threshold``. The confidence is NaN for a text that is never
        answered: it is unreadable, or a gate flags it. The threshold may depend on the best label.
    reasons : (n,) of Reason
        Reason of each decision.
    best, second : (n,) int64
        The two most probable labels, answered or not; -1 for an unreadable text.
    best_probability, second_probability : (n,) float64
        Probabilities of these two labels; NaN for an unreadable text.
    names, other : tuple of str, str
        Labels, empty if only codes are known; and the word shown for an abstention.
    familiarity : (n,) float64 or None
        P-value: at most a share p of in-scope texts has p or less.
    nearest : (n, 2) int64 or None
        The two labels with the nearest training texts; -1 for none.
    sets : PredictionSets or None
        Labels that stay possible for each text.
    epistemic : (n,) float64 or None
        Disagreement of models in nats: see `elsewise.outputs.uncertainty`.
    truncated : (n,) bool or None
        Whether each text was longer than the model reads; None where the engine does not say.
    texts : list of str, a column of pandas, or None
        The n texts that `Classifier.decide` was asked about; a column of pandas keeps its index.

    Examples
    --------
    >>> from elsewise import FixedThreshold
    >>> decisions = FixedThreshold(0.6)([[0.9, 0.1], [0.55, 0.45]])
    >>> decisions.labels, decisions.coverage
    (['0', 'Other'], 0.5)
    >>> decisions
    Decisions(n=2, answered=1, abstained=1)
    >>> decisions[0].probability, [decision.label for decision in decisions], decisions[decisions.abstained]
    (0.9, ['0', 'Other'], Decisions(n=1, answered=0, abstained=1))
    >>> print(decisions.sentence(1))
    Other: two labels are close together, "0" with probability 0.550 and "1" with 0.450; the confidence 0.550 is below the threshold 0.600.
    """  # noqa: E501  a sentence is one line

    codes: Codes
    confidence: NDArray[np.float64]
    threshold: NDArray[np.float64]
    reasons: NDArray[np.str_]
    best: Codes
    second: Codes
    best_probability: NDArray[np.float64]
    second_probability: NDArray[np.float64]
    names: tuple[str, ...] = ()
    other: str = "Other"
    familiarity: NDArray[np.float64] | None = None
    nearest: Codes | None = None
    sets: PredictionSets | None = None
    epistemic: NDArray[np.float64] | None = None
    truncated: NDArray[np.bool_] | None = None
    texts: Any = None

    def __len__(self) -> int:
        """Count the texts."""
        return len(self.codes)

    @overload
    def __getitem__(self, rows: int) -> Decision: ...

    @overload
    def __getitem__(self, rows: slice | Sequence[Any] | NDArray[Any]) -> "Decisions": ...

    def __getitem__(self, rows: Any) -> "Decision | Decisions":
        """Give the decision on one text, or the decisions that a slice, a mask (n,) or indices select."""
        at = np.arange(len(self))[rows]
        return self._taken(at) if at.ndim else next(iter(self._taken(at[None])))

    def __iter__(self) -> Iterator[Decision]:
        """Give the decision on each text, in order."""
        columns, texts = self.columns, [None] * len(self) if self.texts is None else self.texts
        for place, (text, *cells) in enumerate(zip(texts, *columns.values(), strict=True)):
            yield Decision(**dict(zip(columns, cells, strict=True)), text=text, place=place, decisions=self)

    def _taken(self, rows: NDArray[np.int64]) -> "Decisions":
        """Select rows by their indices (m,)."""
        columns = {one.name: getattr(self, one.name) for one in fields(self)}
        taken: dict[str, Any] = {name: array[rows] for name, array in columns.items() if isinstance(array, np.ndarray)}
        if self.sets is not None:
            taken["sets"] = replace(self.sets, bits=self.sets.bits[rows])
        if self.texts is not None:
            is_column = hasattr(self.texts, "iloc")
            taken["texts"] = self.texts.iloc[rows] if is_column else [self.texts[i] for i in rows.tolist()]
        return replace(self, **taken)

    def __repr__(self) -> str:
        abstained = int(self.abstained.sum())
        return f"Decisions(n={len(self)}, answered={len(self) - abstained}, abstained={abstained})"

    def _repr_html_(self) -> str:
        rows = [
            (i, label, f"{p:.3f}", self.name(int(best)), reason)
            for i, label, p, best, reason in zip(
                range(SHOWN), self.labels, self.best_probability, self.best, self.reasons, strict=False
            )
        ]
        return html_table(repr(self), ("", "label", "probability", "best label", "reason"), rows)

    def __str__(self) -> str:
        """Print the first decisions, a line each: label, confidence, reason, and the text where it is known."""
        first = list(self[:PRINTED])
        widest = max((len(one.label) for one in first), default=0)
        lines = (f"{one.label:{widest}}  {one.confidence:.3f}  {one.reason:10}{_quoted(one.text)}" for one in first)
        more = [f"... and {len(self) - PRINTED:,} more"] if len(self) > PRINTED else []
        return "\n".join([repr(self), *map(str.rstrip, lines), *more])

    @property
    def abstained(self) -> NDArray[np.bool_]:
        """Whether each text got no label, shape (n,); compare with this, not with the word for Other."""
        return self.codes == ABSTAIN

    @property
    def coverage(self) -> float:
        """Share of texts answered, 0..1; nan for no texts."""
        return float(np.mean(~self.abstained)) if len(self) else float("nan")

    @property
    def labels(self) -> list[str]:
        """Label of each text, or the word for Other; codes as text if no names are known."""
        return [self.other if code == ABSTAIN else self.name(code) for code in self.codes.tolist()]

    @property
    def columns(self) -> dict[str, list[Any]]:
        """The columns of an answers file, n plain values each: label, abstained, reason, ..., truncated."""
        return {
            "label": self.labels,
            "abstained": self.abstained.tolist(),
            "reason": [str(reason) for reason in self.reasons.tolist()],
            "best_label": [self.name(code) for code in self.best.tolist()],
            "confidence": self.confidence.tolist(),
            "probability": self.best_probability.tolist(),
            "truncated": [False] * len(self) if self.truncated is None else self.truncated.tolist(),
        }

    def to_frame(self) -> Any:
        """Give a pandas data frame: the texts where they are known, and `columns`.

        The rows of ``classifier.decide(frame["text"])`` have the index of `frame`.

        Raises
        ------
        MissingExtra
            If pandas is not installed.
        """
        pandas = need("pandas")
        texts = {} if self.texts is None else {"text": self.texts}
        index = getattr(self.texts, "index", None) if hasattr(self.texts, "iloc") else None
        return pandas.DataFrame({**texts, **self.columns}, index=index)

    def name(self, code: int) -> str:
        """Name of a label code; empty for -1."""
        if code == ABSTAIN:
            return ""
        return self.names[code] if self.names else str(code)

    def nearest_names(self, i: int) -> tuple[str, ...]:
        """Name the labels with the training texts nearest to text `i`, nearest first; empty if not known."""
        codes = [] if self.nearest is None else self.nearest[i].tolist()
        return tuple(self.name(code) for code in codes if code != ABSTAIN)

    def possible_names(self, i: int) -> tuple[str, ...]:
        """Name the labels that stay possible for text `i`; empty if not known."""
        return () if self.sets is None else tuple(map(self.name, self.sets.codes(i).tolist()))

    def sentence(self, i: int, language: str = "en") -> str:
        """Explain the decision on text `i` in one sentence, in a language of `elsewise.messages`."""
        return sentence(self._facts(i), language)

    def customer_sentence(self, i: int, language: str = "en") -> str:
        """Explain the decision on text `i` to a customer: without numbers and technical terms.

        Examples
        --------
        >>> from elsewise import FixedThreshold
        >>> FixedThreshold(0.6)([[0.55, 0.45]]).customer_sentence(0)
        'This text was not sorted automatically: both "0" and "1" would fit. A person will look at it.'
        """
        return customer_sentence(self._facts(i), language)

    def explain(self, i: int, language: str = "en") -> Explanation:
        """Explain the decision on text `i` from these columns: the best two labels, and no words.

        `elsewise.evaluation.explaining.explain` asks the model for more labels and for the words.

        Examples
        --------
        >>> from elsewise import FixedThreshold
        >>> explanation = FixedThreshold(0.6)([[0.75, 0.25]]).explain(0)
        >>> explanation.label, explanation.probabilities, explanation.threshold
        ('0', {'0': 0.75, '1': 0.25}, 0.6)
        """
        best = ((self.best, self.best_probability), (self.second, self.second_probability))
        code = int(self.codes[i])
        return Explanation(
            label=self.other if code == ABSTAIN else self.name(code),
            abstained=code == ABSTAIN,
            reason=str(self.reasons[i]),
            sentence=self.sentence(i, language),
            customer_sentence=self.customer_sentence(i, language),
            probabilities={self.name(int(codes[i])): float(p[i]) for codes, p in best if not np.isnan(p[i])},
            confidence=float(self.confidence[i]),
            threshold=float(self.threshold[i]),
            nearest=self.nearest_names(i),
            familiarity=_at(self.familiarity, i),
            possible=None if self.sets is None else self.possible_names(i),
            epistemic=_at(self.epistemic, i),
        )

    def _facts(self, i: int) -> Facts:
        """Facts about text `i` for its sentences."""
        return Facts(
            reason=str(self.reasons[i]),
            other=self.other,
            best=self.name(int(self.best[i])),
            second=self.name(int(self.second[i])),
            best_probability=float(self.best_probability[i]),
            second_probability=float(self.second_probability[i]),
            confidence=float(self.confidence[i]),
            threshold=float(self.threshold[i]),
            familiarity=_at(self.familiarity, i),
            nearest=self.nearest_names(i),
            possible=self.possible_names(i),
        )


def decide(
    evidence: Evidence, score: Confidence, threshold: float | NDArray[np.float64], gates: Sequence[Gate] = ()
) -> Decisions:
    """Answer the most probable label exactly where ``score(evidence) >= threshold`` and no gate forbids it.

    Certifying and serving both compare confidence with threshold here, so that they cannot differ.

    Parameters
    ----------
    evidence, score : Evidence, callable
        Evidence of n texts and k labels; and the function from it to the confidence (n,).
    threshold : float or (k,)
        Threshold of all texts, or of each label: that of the best label counts.
    gates : sequence of Gate
        Texts that a gate flags are never answered, with the reason of the first such gate.
    """
    p = evidence.probabilities
    unreadable, *barred = never = _never_answered(evidence, gates)
    confidence = _scored(evidence, score, never)
    best, second, first_p, second_p = top_two(p)
    thresholds = np.broadcast_to(np.asarray(threshold, dtype=np.float64), p.shape[1:])
    limit = np.where(unreadable, thresholds.max(), thresholds[best])
    answered = confidence >= limit  # False for NaN
    close = (second_p >= AMBIGUOUS_RATIO * first_p) & (first_p + second_p >= AMBIGUOUS_SHARE)
    reasons = np.select(
        [answered, unreadable, *barred, np.isnan(confidence), close],
        [Reason.ANSWERED, Reason.UNREADABLE, *(gate.reason for gate in gates), Reason.UNREADABLE, Reason.AMBIGUOUS],
        Reason.UNSURE,
    )
    return Decisions(
        codes=np.where(answered, best, ABSTAIN),
        confidence=confidence,
        threshold=limit,
        reasons=reasons,
        best=np.where(unreadable, ABSTAIN, best),
        second=np.where(unreadable, ABSTAIN, second),
        best_probability=first_p,
        second_probability=second_p,
        epistemic=None if evidence.outputs is None else evidence.outputs.epistemic,
        truncated=None if evidence.outputs is None else evidence.outputs.truncated,
    )


def confidence_of(evidence: Evidence, score: Confidence, gates: Sequence[Gate] = ()) -> NDArray[np.float64]:
    """Confidence of n texts, shape (n,); NaN for unreadable texts, and for those that a gate flags.

    Certifying and serving both call it, so the gates are part of what is certified.
    """
    return _scored(evidence, score, _never_answered(evidence, gates))


def _never_answered(evidence: Evidence, gates: Sequence[Gate]) -> list[NDArray[np.bool_]]:
    """Flag the unreadable texts, and then those that each gate flags, (n,) each."""
    return [np.isnan(evidence.probabilities.max(axis=1)), *(gate(evidence) for gate in gates)]


def _scored(evidence: Evidence, score: Confidence, never: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    return np.where(np.any(never, axis=0), np.nan, np.asarray(score(evidence), dtype=np.float64))


def top_two(p: Floats) -> tuple[Codes, Codes, NDArray[np.float64], NDArray[np.float64]]:
    """Two most probable labels of probabilities (n, k), and their probabilities, in blocks; shape (n,) each."""
    best, second = (np.empty(len(p), dtype=np.int64) for _ in range(2))
    first_p, second_p = (np.empty(len(p), dtype=np.float64) for _ in range(2))
    for rows in row_blocks(p):
        rest = p[rows].copy()
        at = np.arange(len(rest))
        best[rows] = top = rest.argmax(axis=1)
        first_p[rows] = rest[at, top]
        rest[at, top] = -1
        second[rows] = runner_up = rest.argmax(axis=1)
        second_p[rows] = p[rows][at, runner_up]
    return best, second, first_p, second_p


def _quoted(text: str | None) -> str:
    return "" if is_missing(text) else f"  {shortened(str(text), TEXT_SHOWN)!r}"


def _at(column: Any, i: int) -> float | None:
    return None if column is None else float(column[i])
