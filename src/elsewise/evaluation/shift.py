"""Whether a promise can still be believed for texts without labels: counts of their decisions against certify rows.

The accuracy of answers is estimated from calibrated confidences: the mean probability of the answered labels, corrected
where certify rows show that this mean is off. It sees texts that make the model less sure. It cannot see texts that the
model is sure of and wrong about: only labels can. Counts add up, over the parts of a file or over a sliding window.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import compress
from typing import Any, Final

import numpy as np

from elsewise.arrays import Codes
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.kept_rows import kept_evidence
from elsewise.messages import messages
from elsewise.messages.wording import localised
from elsewise.metrics import Estimate, wilson
from elsewise.metrics.intervals import clopper_pearson_lower, clopper_pearson_upper
from elsewise.rules.decisions import Decisions

BINS: Final = 20  # of probability, equally wide
DELTA: Final = 0.05  # both ends of an interval together; half of it for each of its two sources
HALF: Final = 2.241402727604947  # standard errors of a two-sided normal interval at 1 - DELTA / 2
FEWEST: Final = 30  # answers below which nothing is told
OTHER_MARGIN: Final = 0.10  # of the share of Other
LABELS_MARGIN: Final = 0.20  # of the answers that would need another label
MOST_REFERENCES: Final = 1000  # certify rows that are run again


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of decisions, which add up.

    Attributes
    ----------
    labels, reasons : mapping from str to int
        Answers by label, and abstentions by reason.
    truncated : int
        Texts that were longer than the model reads.
    bins, answered_bins : tuple of BINS int
        Readable texts, and answered ones, by the probability of the best label, in bins of equal width from 0 to 1.
    probability, variance : float
        Sum of the answered labels' probabilities p, and of p (1 - p).

    Examples
    --------
    >>> from elsewise import FixedThreshold
    >>> tally = Tally.of(FixedThreshold(0.6)([[0.9, 0.1], [0.55, 0.45]]))
    >>> tally.labels, tally.reasons, tally.answered, tally.other, (tally + tally).answered
    ({'0': 1}, {'ambiguous': 1}, 1, 1, 2)
    """

    labels: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    truncated: int = 0
    bins: tuple[int, ...] = (0,) * BINS
    answered_bins: tuple[int, ...] = (0,) * BINS
    probability: float = 0.0
    variance: float = 0.0

    @classmethod
    def of(cls, decisions: Decisions) -> "Tally":
        """Count n decisions."""
        answered, p = ~decisions.abstained, decisions.best_probability
        codes, counts = np.unique(decisions.codes[answered], return_counts=True)
        given = p[answered].astype(np.float64)
        return cls(
            labels={decisions.name(code): n for code, n in zip(codes.tolist(), counts.tolist(), strict=True)},
            reasons=dict(Counter(map(str, decisions.reasons[~answered].tolist()))),
            truncated=0 if decisions.truncated is None else int(decisions.truncated.sum()),
            bins=_binned(p[~np.isnan(p)]),
            answered_bins=_binned(given),
            probability=float(given.sum()),
            variance=float((given * (1 - given)).sum()),
        )

    @classmethod
    def of_columns(cls, columns: Mapping[str, Sequence[Any]]) -> "Tally":
        """Count n decisions, given their `Decisions.columns`."""
        answered = ~np.array(columns["abstained"], dtype=bool)
        p = np.array(columns["probability"], dtype=np.float64)
        given = p[answered]
        return cls(
            labels=dict(Counter(compress(columns["label"], answered.tolist()))),
            reasons=dict(Counter(compress(columns["reason"], (~answered).tolist()))),
            truncated=sum(columns["truncated"]),
            bins=_binned(p[~np.isnan(p)]),
            answered_bins=_binned(given),
            probability=float(given.sum()),
            variance=float((given * (1 - given)).sum()),
        )

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "Tally":
        """Read what `as_dict` gave; raises what an unusable mapping raises."""
        return cls(**{**said, "bins": tuple(said["bins"]), "answered_bins": tuple(said["answered_bins"])})

    def as_dict(self) -> dict[str, Any]:
        """All fields (JSON)."""
        return asdict(self)

    def __add__(self, more: "Tally") -> "Tally":
        """Count the decisions of both."""
        return Tally(
            dict(Counter(self.labels) + Counter(more.labels)),
            dict(Counter(self.reasons) + Counter(more.reasons)),
            self.truncated + more.truncated,
            tuple(one + other for one, other in zip(self.bins, more.bins, strict=True)),
            tuple(one + other for one, other in zip(self.answered_bins, more.answered_bins, strict=True)),
            self.probability + more.probability,
            self.variance + more.variance,
        )

    @property
    def answered(self) -> int:
        """Number of answers."""
        return sum(self.labels.values())

    @property
    def other(self) -> int:
        """Number of abstentions."""
        return sum(self.reasons.values())

    @property
    def rows(self) -> int:
        """Number of decisions."""
        return self.answered + self.other


def _binned(p: np.ndarray[Any, Any]) -> tuple[int, ...]:
    return tuple(np.bincount(np.minimum((p * BINS).astype(np.int64), BINS - 1), minlength=BINS).tolist())


@dataclass(frozen=True, slots=True)
class Reference:
    """What the decisions on certify rows were, and what of a certificate is known without these rows.

    Attributes
    ----------
    target : float
        Accuracy when answered that is promised.
    other_share : float
        Share of certify rows that were Other.
    tally : Tally or None
        Counts of decisions on certify rows; None where the folder does not keep them.
    right : int
        Right answers among those of `tally`.
    """

    target: float
    other_share: float
    tally: Tally | None = None
    right: int = 0

    @classmethod
    def of(cls, target: float, decisions: Decisions, codes: Codes) -> "Reference":
        """Count n decisions on certify rows, whose true codes (n,) are known."""
        tally = Tally.of(decisions)
        right = int((~decisions.abstained & (decisions.codes == codes)).sum())
        return cls(target, tally.other / max(tally.rows, 1), tally, right)


def reference_of(classifier: Classifier, most: int = MOST_REFERENCES) -> Reference | None:
    """Give what new decisions are compared with; None where nothing is promised.

    The engine answers at most `most` of the certify rows that the folder keeps again; with 0, or where it keeps none,
    only the certificate's numbers are given.
    """
    certificate, arrays = classifier.certificate, classifier.provenance.arrays
    if certificate is None or not certificate.certified:
        return None
    target = certificate.target_accuracy
    if not most or not len(arrays.get("refit.certify.codes", ())):
        return Reference(target, 1 - certificate.coverage)
    evidence, codes = kept_evidence(classifier, arrays, "certify", most)
    return Reference.of(target, classifier.decisions(evidence), codes)


class Standing(StrEnum):
    """What decisions without labels tell of a promise."""

    BELIEVED = "believed"
    BELOW = "below"
    OTHER = "other"
    LABELS = "labels"
    FEW = "few"


@dataclass(frozen=True, slots=True)
class Shift:
    """Whether a promise can still be believed, and how the texts differ from certify rows.

    Attributes
    ----------
    standing : Standing
        BELOW if the estimate is below the promise by more than chance; OTHER or LABELS if the share of Other, or the
        mix of labels, is off by more than its margin; FEW for too few answers; else BELIEVED.
    target : float
        Accuracy when answered that is promised.
    accuracy : Estimate
        Estimated accuracy when answered, with a 95 % interval; it counts the sampling of these texts and, where certify
        rows are known, how well confidences were calibrated on them.
    other_share : Estimate
        Share of Other, with Wilson's 95 % interval.
    expected_other_share : float
        Share of Other among certify rows.
    label_distance : float or None
        Share of the answers that would need another label to have the mix of certify rows, chance taken off; None
        where these are not known.
    reasons, expected_reasons : mapping from str to float, the latter or None
        Share of the texts that are Other, by reason; of certify rows the same.
    rows, answered : int
        Number of texts, and of answers.
    """

    standing: Standing
    target: float
    accuracy: Estimate
    other_share: Estimate
    expected_other_share: float
    label_distance: float | None
    reasons: Mapping[str, float]
    expected_reasons: Mapping[str, float] | None
    rows: int
    answered: int

    @property
    def is_warning(self) -> bool:
        """Whether the promise is in doubt."""
        return self.standing in (Standing.BELOW, Standing.OTHER, Standing.LABELS)

    @property
    def sentence(self) -> str:
        """What this tells, in English."""
        return self.say()

    def as_dict(self) -> dict[str, Any]:
        """All fields, and the sentence."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        estimates = {name: own[name].as_dict() for name in ("accuracy", "other_share")}
        return {**own, **estimates, "standing": self.standing.value, "sentence": self.sentence}

    def say(self, language: str = "en") -> str:
        """Write what this tells in a language of `elsewise.messages`; InputError for an unknown language."""
        words = messages(language)

        def percent(share: float, digits: int = 1) -> str:
            return words["percent"].format(number=number(share, digits))

        def number(share: float, digits: int = 1) -> str:
            return localised(f"{100 * share:.{digits}f}", words)

        share = self.label_distance if self.standing is Standing.LABELS else self.other_share.value
        return words[f"shift_{self.standing.value}"].format(
            rows=localised(f"{self.rows:,}", words), answered=localised(f"{self.answered:,}", words),
            value=percent(self.accuracy.value), low=number(self.accuracy.low), high=number(self.accuracy.high),
            target=words["percent"].format(number=localised(f"{100 * self.target:.4g}", words)),
            share=percent(share or 0.0), expected=percent(self.expected_other_share),
        )  # fmt: skip


def shift(tally: Tally, reference: Reference) -> Shift:
    """Judge counts of decisions without labels against certify rows.

    Examples
    --------
    1,000 answers whose mean probability is 0.9, where 95 % was promised:

    >>> tally = Tally({"yes": 1000}, {"unsure": 100}, probability=900.0, variance=90.0)
    >>> found = shift(tally, Reference(0.95, other_share=0.1))
    >>> found.standing.value, found.accuracy.value
    ('below', 0.9)
    """
    known = reference.tally
    accuracy, chance = _accuracy(tally, reference)
    distance = None if known is None else _label_distance(tally.labels, known.labels)
    other = wilson(tally.other, tally.rows)
    off = max(other.low - reference.other_share, reference.other_share - other.high)
    if tally.answered < FEWEST:
        standing = Standing.FEW
    elif accuracy.value + chance < reference.target:
        standing = Standing.BELOW
    elif off > OTHER_MARGIN:
        standing = Standing.OTHER
    else:
        standing = Standing.LABELS if (distance or 0) > LABELS_MARGIN else Standing.BELIEVED
    return Shift(
        standing, reference.target, accuracy, other, reference.other_share, distance, _shares(tally),
        None if known is None else _shares(known), tally.rows, tally.answered,
    )  # fmt: skip


def _accuracy(tally: Tally, reference: Reference) -> tuple[Estimate, float]:
    """Estimate the accuracy when answered, and how far chance alone may be off, 95 % each."""
    n, known = tally.answered, reference.tally
    if not n:
        return Estimate(float("nan"), 0.0, 1.0), 0.0
    mean, chance = tally.probability / n, HALF * float(np.sqrt(tally.variance)) / n
    low = high = off = 0.0
    if known is not None and known.answered:
        right, m = reference.right, known.answered
        expected = known.probability / m
        low = float(clopper_pearson_lower(right, m, DELTA / 4)) - expected
        high = float(clopper_pearson_upper(right, m, DELTA / 4)) - expected
        off = 0.0 if low <= 0 <= high else right / m - expected  # a few certify rows are off by chance alone
    ends = (mean + low - chance, mean + off, mean + high + chance)
    least, value, most = (min(max(end, 0.0), 1.0) for end in ends)
    return Estimate(value, least, most), chance


def _label_distance(here: Mapping[str, int], there: Mapping[str, int]) -> float:
    """Half the sum of the differences between two mixes, less what chance makes of equal ones."""
    n, m = sum(here.values()), sum(there.values())
    if not n or not m:
        return 0.0
    names = [*dict.fromkeys((*here, *there))]
    one = np.array([here.get(name, 0) for name in names], dtype=np.float64)
    other = np.array([there.get(name, 0) for name in names], dtype=np.float64)
    pooled = (one + other) / (n + m)
    chance = np.sqrt(2 / np.pi * pooled * (1 - pooled) * (1 / n + 1 / m)).sum() / 2
    return max(float(np.abs(one / n - other / m).sum() / 2 - chance), 0.0)


def _shares(tally: Tally) -> dict[str, float]:
    return {reason: n / tally.rows for reason, n in sorted(tally.reasons.items())}
