"""The certificate: what a threshold promises, over what randomness, and what it was tested on."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from elsewise.errors import InputError
from elsewise.messages import messages
from elsewise.messages.certificates import (
    MIXED,
    PLAIN,
    Band,
    CertificateFacts,
    FallenBack,
    Group,
    Groups,
    Mixture,
    certificate_sentence,
)
from elsewise.storage.json_files import Json


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
    words : str
        The sentence of a promise that is not the plain one, in folders written before certificates had a scope.
    scope : Mixture, Band, Group, FallenBack, Groups or None
        What a promise is about that is not the plain one about everything that is answered; see
        `elsewise.messages.certificates`.
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
    words: str = ""
    scope: Mixture | Band | Group | FallenBack | Groups | None = None

    def __post_init__(self) -> None:
        if math.isnan(self.threshold):
            raise InputError("threshold must be a number, got nan")

    @property
    def promised(self) -> tuple[Any, ...]:
        """What makes two promises the same: how much, how surely, of which answers and at which stated share."""
        share = self.out_of_scope_share if self.method == MIXED else None
        return self.target_accuracy, self.confidence_level, self.method, share

    def __str__(self) -> str:
        return self.sentence

    def as_dict(self) -> Json:
        """Give all fields but the scope, and the sentence; `words` is that sentence where the promise has a scope."""
        own = asdict(self)
        words = self.sentence if own.pop("scope") else self.words
        return {**own, "words": words, "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """What is promised, over what randomness, for which texts, and what is not covered; in English."""
        return self.say()

    def say(self, language: str = "en") -> str:
        """Say what is promised in a language of `elsewise.messages`.

        A certificate of an older folder whose promise is not the plain one has its English sentence only.

        Raises
        ------
        InputError
            If there is no such language.
        """
        templates = messages(language)
        if self.words:
            return self.words
        return certificate_sentence(
            CertificateFacts(*(getattr(self, field.name) for field in fields(CertificateFacts))), self.scope, templates
        )
