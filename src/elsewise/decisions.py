"""Decisions, the reasons for abstaining, and the certificate that a threshold may carry."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes, Floats
from elsewise.outputs import Evidence

AMBIGUOUS_RATIO = 0.5  # the second label is at least half as probable as the best ...
AMBIGUOUS_SHARE = 0.6  # ... and the two together hold most of the probability


class Reason(StrEnum):
    """Why a text has the decision that it has. Reasons explain; they never decide, `unreadable` apart."""

    ANSWERED = "answered"
    UNREADABLE = "unreadable"
    AMBIGUOUS = "ambiguous"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Answers for n texts, as columns of equal length.

    Attributes
    ----------
    codes : (n,) int64
        Label code 0..k-1, or ABSTAIN (-1).
    confidence : (n,) float64
        The score that was compared with the threshold; larger is surer, NaN for an unreadable text.
    threshold : (n,) float64
        A text is answered exactly when ``confidence >= threshold``.
    reasons : (n,) of Reason
        Why.
    best, second : (n,) int64
        The two most probable labels, answered or not; -1 for an unreadable text.
    best_probability, second_probability : (n,) float64
        Their probabilities; NaN for an unreadable text.
    names : tuple of str
        The labels; empty when only codes are known.
    other : str
        The word shown for an abstention.
    epistemic : (n,) float64 or None
        What models disagree by, in nats, where the engine tells: see `elsewise.outputs.uncertainty`.

    Examples
    --------
    >>> from elsewise import FixedThreshold
    >>> decisions = FixedThreshold(0.6)([[0.9, 0.1], [0.55, 0.45]])
    >>> decisions.labels, decisions.coverage
    (['0', 'Other'], 0.5)
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
    epistemic: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        """Count the texts."""
        return len(self.codes)

    @property
    def abstained(self) -> NDArray[np.bool_]:
        """Which texts got no label, shape (n,); compare with this, not with Other's name."""
        return self.codes == ABSTAIN

    @property
    def coverage(self) -> float:
        """Share of texts answered, 0..1; nan for no texts."""
        return float(np.mean(~self.abstained)) if len(self) else float("nan")

    @property
    def labels(self) -> list[str]:
        """The label of each text, or Other's name; codes as text when no names are known."""
        return [self.other if code == ABSTAIN else self.name(code) for code in self.codes.tolist()]

    def name(self, code: int) -> str:
        """Name one label; an empty string for -1."""
        if code == ABSTAIN:
            return ""
        return self.names[code] if self.names else str(code)

    def sentence(self, i: int) -> str:
        """Say the decision on text `i`, and why, in one plain sentence."""
        best, second = self.name(int(self.best[i])), self.name(int(self.second[i]))
        p, q = self.best_probability[i], self.second_probability[i]
        match self.reasons[i]:
            case Reason.UNREADABLE:
                return f"{self.other}: the text holds nothing that the model can read."
            case Reason.ANSWERED:
                return f'"{best}" with probability {p:.3f}; the confidence {self._compared(i, "reaches")}.'
            case Reason.AMBIGUOUS:
                why = f'two labels are close together, "{best}" with probability {p:.3f} and "{second}" with {q:.3f}'
            case _:
                why = f'the model is not sure, its best label "{best}" has probability {p:.3f}'
        return f"{self.other}: {why}; the confidence {self._compared(i, 'is below')}."

    def _compared(self, i: int, verb: str) -> str:
        confidence, threshold = float(self.confidence[i]), float(self.threshold[i])
        if np.isinf(threshold) and threshold > 0:
            return f"{confidence:.3f} is not enough, because this rule answers nothing"
        if np.isinf(threshold):
            return f"{confidence:.3f} is enough, because every readable text is answered"
        # As many digits as tell the two apart: "0.950 is below 0.950" explains nothing.
        digits = next((d for d in range(3, 17) if f"{confidence:.{d}f}" != f"{threshold:.{d}f}"), 3)
        return f"{confidence:.{digits}f} {verb} the threshold {threshold:.{digits}f}"


def decide(evidence: Evidence, score: Callable[[Evidence], Floats], threshold: float) -> Decisions:
    """Answer the most probable label exactly where ``score(evidence) >= threshold``.

    The one place where confidence meets threshold: what certifies and what serves cannot differ.
    """
    p = evidence.probabilities
    unreadable = np.isnan(p).any(axis=1)
    confidence = confidence_of(evidence, score)
    best, second = _top_two(p)
    first_p, second_p = (np.take_along_axis(p, c[:, None], axis=1)[:, 0].astype(np.float64) for c in (best, second))
    answered = confidence >= threshold  # False for NaN
    close = (second_p >= AMBIGUOUS_RATIO * first_p) & (first_p + second_p >= AMBIGUOUS_SHARE)
    reasons = np.select(
        [answered, np.isnan(confidence), close], [Reason.ANSWERED, Reason.UNREADABLE, Reason.AMBIGUOUS], Reason.UNSURE
    )
    return Decisions(
        codes=np.where(answered, best, ABSTAIN),
        confidence=confidence,
        threshold=np.full(len(p), threshold, dtype=np.float64),
        reasons=reasons,
        best=np.where(unreadable, ABSTAIN, best),
        second=np.where(unreadable, ABSTAIN, second),
        best_probability=first_p,
        second_probability=second_p,
        epistemic=None if evidence.outputs is None else evidence.outputs.epistemic,
    )


def confidence_of(evidence: Evidence, score: Callable[[Evidence], Floats]) -> NDArray[np.float64]:
    """Score n texts; NaN for every text that could not be read, whatever the score says of it."""
    unreadable = np.isnan(evidence.probabilities).any(axis=1)
    return np.where(unreadable, np.nan, np.asarray(score(evidence), dtype=np.float64))


def _top_two(p: Floats) -> tuple[Codes, Codes]:
    best = p.argmax(axis=1)
    rest = p.copy()
    np.put_along_axis(rest, best[:, None], -1, axis=1)
    return best, rest.argmax(axis=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was promised about the texts that are answered, and the test that the promise rests on.

    Attributes
    ----------
    certified : bool
        False: nothing could be promised, the threshold is infinite and everything is Other.
    target_accuracy, confidence_level : float
        "At least `target_accuracy` of what is answered is right, at `confidence_level`."
    threshold : float
        The certified threshold on confidence; -inf answers everything readable, inf nothing.
    rows : int
        Labelled rows that the test was made on.
    n, errors : int
        How many of them were answered at the threshold, and how many of those wrongly.
    coverage, coverage_low, coverage_high : float
        Share of the rows answered, with its exact (Clopper-Pearson) interval at `confidence_level`.
    out_of_scope_share : float
        Share of the rows that belong to none of the labels.
    method : str
        The test.
    looks : int
        How many certifications were made on the same rows; all hold together at ``1 - looks * (1 - level)``.
    best_accuracy : float
        The best accuracy that these rows do support (exploratory, corrected for the whole grid).
    rows_needed : int or None
        When not certified: about how many labelled rows would do, None if more rows would not help.
    """

    certified: bool
    target_accuracy: float
    confidence_level: float
    threshold: float
    rows: int
    n: int
    errors: int
    coverage: float
    coverage_low: float
    coverage_high: float
    out_of_scope_share: float
    best_accuracy: float
    rows_needed: int | None = None
    method: str = "exact binomial test, fixed sequence"
    looks: int = 1

    def as_dict(self) -> dict[str, Any]:
        """Give all fields, and the sentence."""
        return {**asdict(self), "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """What is promised, over what randomness, for which texts, and what is not covered."""
        return self._promise() if self.certified else self._refusal()

    def _promise(self) -> str:
        delta = 1 - self.confidence_level
        risk = _percent(delta, np.ceil)
        held = max(0.0, 1 - self.looks * delta)
        together = f", and all {self.looks} looks at them hold together at {_percent(held)}" if self.looks > 1 else ""
        return (
            f"At least {_percent(self.target_accuracy)} of what is answered is right, at confidence level "
            f"{_percent(self.confidence_level)}: of {self.rows:,} labelled texts kept aside for this test, "
            f"{self.n:,} were answered and {self.errors:,} of those wrongly ({self.method}). The confidence is over "
            f"the draw of those texts: at most {risk} of such draws would promise too much{together}. "
            f"It holds for texts that come from the same source, {_percent(self.out_of_scope_share)} of them "
            f"out-of-scope; another share of out-of-scope texts is not covered."
        )

    def _refusal(self) -> str:
        if self.rows_needed is None:
            more = "more certify rows would not help this model; a better model or a lower target would"
        else:
            more = f"about {self.rows_needed:,} labelled rows would be needed"
            if (1 - self.confidence_level) < self.target_accuracy**self.rows:  # even without one error
                more = f"at least {self.rows_needed:,} labelled rows would be needed, more if some are answered wrongly"
        best = (
            "no accuracy"
            if self.best_accuracy <= 0
            else f"an accuracy of {_percent(self.best_accuracy)}, all thresholds taken together"
        )
        if self.best_accuracy >= self.target_accuracy:  # at a threshold behind a stricter one that failed
            best = f"an accuracy a little below {_percent(self.target_accuracy)}"
        return (
            f"Nothing is promised, and every text becomes Other: {_percent(self.target_accuracy)} right among what is "
            f"answered could not be certified at confidence level {_percent(self.confidence_level)} on "
            f"{self.rows:,} labelled rows; {more}. These rows support {best}."
        )


def _percent(share: float, rounded: Callable[[float], float] = np.floor) -> str:
    """Write a share as a percentage of two decimals, rounded down: a promise is never rounded up, a risk never down."""
    return f"{rounded(round(share * 1e4, 6)) / 100:g} %"
