"""The certificate of a threshold: the promise, over what randomness it holds, and the test behind it."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from elsewise.errors import InputError
from elsewise.messages import messages
from elsewise.messages.certificates import (
    MIXED,
    PLAIN,
    Barred,
    Caught,
    CertificateFacts,
    Population,
    Scope,
    certificate_sentence,
    headline,
)
from elsewise.messages.notebook import html_table
from elsewise.messages.wording import percent
from elsewise.storage.json_files import Json


@dataclass(frozen=True, slots=True)
class Certificate:
    """The promise about the answered texts, and the test behind it.

    Attributes
    ----------
    certified : bool
        False: nothing could be promised, the threshold is infinite and everything is Other.
    target_accuracy, confidence_level : float
        "At least `target_accuracy` of what is answered is right, at `confidence_level`." Where nothing is certified,
        the target that was asked for.
    threshold : float
        Certified threshold on confidence; -inf answers everything readable, inf nothing.
    rows, n, errors : int
        Number of labelled rows tested, of rows answered at the threshold, and of errors among the answers.
    coverage, coverage_low, coverage_high : float
        Share of the rows answered, with its exact (Clopper-Pearson) interval at `confidence_level`.
    out_of_scope_share : float
        Share of the rows that belong to none of the labels.
    method : str
        Name of the test.
    looks : int
        Number of certifications on the same rows, this one included.
    earlier_delta : float or None
        Sum of 1 - level of the others: all hold together at ``1 - earlier_delta - (1 - level)``. None: each of them
        was made at this level.
    best_accuracy : float
        Best accuracy that these rows support (exploratory, corrected for the whole grid).
    rows_needed : int or None
        If the target that was asked for is not certified: about how many labelled rows would certify it; None if more
        rows would not help.
    words : str
        The promise in English, in folders written before certificates had a scope; else empty.
    scope : Mixture, Band, Group, FallenBack, Groups or None
        Subject of the promise, if not all answers; see `elsewise.messages.certificates`.
    barred, caught : tuple of Barred, Caught or None
        How many in-scope rows each gate barred, and how many out-of-scope rows all gates did; None for no such rows.
    population : Population or None
        The texts that the promise is about, if not distinct ones, each by itself.
    asked_accuracy : float or None
        Target that was asked for, if a lower one is certified instead.
    ladder : bool
        Whether lower targets were tried too, in the same test.
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
    method: str = PLAIN
    looks: int = 1
    earlier_delta: float | None = None
    words: str = ""
    scope: Scope | None = None
    barred: tuple[Barred, ...] = ()
    caught: Caught | None = None
    population: Population | None = None
    asked_accuracy: float | None = None
    ladder: bool = False

    def __post_init__(self) -> None:
        if math.isnan(self.threshold):
            raise InputError("threshold must be a number, got nan")

    @property
    def asked_for(self) -> float:
        """Target that was asked for: `target_accuracy`, or above it."""
        return self.target_accuracy if self.asked_accuracy is None else self.asked_accuracy

    @property
    def is_lower(self) -> bool:
        """Whether less is promised than was asked for."""
        return self.certified and self.target_accuracy < self.asked_for

    @property
    def promised(self) -> tuple[Any, ...]:
        """Accuracy, confidence level, method and stated out-of-scope share: equal for two equal promises."""
        share = self.out_of_scope_share if self.method == MIXED else None
        return self.target_accuracy, self.confidence_level, self.method, share

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        rows = {
            "certified": "yes" if self.certified else "no",
            "target accuracy": percent(self.target_accuracy),
            "confidence level": percent(self.confidence_level),
            "threshold": f"{self.threshold:.4g}",
            "rows, answered, wrong": f"{self.rows:,}, {self.n:,}, {self.errors:,}",
            "coverage": f"{self.coverage:.1%} ({self.coverage_low:.1%} to {self.coverage_high:.1%})",
            "looks": self.looks,
        }
        return html_table(self.sentence, ("promise", ""), rows.items())

    def as_dict(self) -> Json:
        """All fields but the scope, and the sentence; with a scope, `words` is that sentence."""
        own = {**asdict(self), "asked_accuracy": self.asked_for}
        words = self.sentence if own.pop("scope") else self.words
        return {**own, "words": words, "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """The promise in English: over what randomness, for which texts, and what is not covered."""
        return self.say()

    def headline(self, language: str = "en") -> str:
        """Write in one line what must not be missed: less is promised than asked for; all texts are answered, or none.

        Empty where the target asked for is certified at a threshold. InputError for an unknown language.
        """
        return headline(self._facts(), messages(language))

    def say(self, language: str = "en") -> str:
        """Write the promise in a language of `elsewise.messages`; InputError for an unknown language.

        A certificate of an older folder with `words` has these alone.
        """
        templates = messages(language)
        if self.words:
            return self.words
        return certificate_sentence(self._facts(), self.scope, templates, self.population)

    def _facts(self) -> CertificateFacts:
        return CertificateFacts(*(getattr(self, field.name) for field in fields(CertificateFacts)))
