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
        "At least `target_accuracy` of what is answered is right, at `confidence_level`."
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
        If not certified: about how many labelled rows would certify; None if more rows would not help.
    words : str
        The promise in English, in folders written before certificates had a scope; else empty.
    scope : Mixture, Band, Group, FallenBack, Groups or None
        Subject of the promise, if not all answers; see `elsewise.messages.certificates`.
    barred, caught : tuple of Barred, Caught or None
        How many in-scope rows each gate barred, and how many out-of-scope rows all gates did; None for no such rows.
    population : Population or None
        The texts that the promise is about, if not distinct ones, each by itself.
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

    def __post_init__(self) -> None:
        if math.isnan(self.threshold):
            raise InputError("threshold must be a number, got nan")

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
        own = asdict(self)
        words = self.sentence if own.pop("scope") else self.words
        return {**own, "words": words, "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """The promise in English: over what randomness, for which texts, and what is not covered."""
        return self.say()

    def say(self, language: str = "en") -> str:
        """Write the promise in a language of `elsewise.messages`; InputError for an unknown language.

        A certificate of an older folder with `words` has these alone.
        """
        templates = messages(language)
        if self.words:
            return self.words
        facts = CertificateFacts(*(getattr(self, field.name) for field in fields(CertificateFacts)))
        return certificate_sentence(facts, self.scope, templates, self.population)
