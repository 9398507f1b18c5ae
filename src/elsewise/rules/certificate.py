"""The certificate: what a threshold promises, over what randomness, and what it was tested on."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from elsewise.errors import InputError
from elsewise.messages.wording import percent

PLAIN = "exact binomial test, fixed sequence"  # how a promise about everything that is answered is tested
MIXED = "exact bounds of both kinds of text, fixed sequence"  # ... at a stated share of out-of-scope texts


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
        The sentence, of a promise that is not the plain one about everything that is answered.
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

    def as_dict(self) -> dict[str, Any]:
        """Give all fields, and the sentence."""
        return {**asdict(self), "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """What is promised, over what randomness, for which texts, and what is not covered."""
        return self.words or (self._promise() if self.certified else self._refusal())

    def _promise(self) -> str:
        return (
            f"At least {percent(self.target_accuracy)} of what is answered is right, at confidence level "
            f"{percent(self.confidence_level)}: {self.tested} {self.over_draws} "
            f"It holds for texts that come from the same source, {percent(self.out_of_scope_share)} of them "
            f"out-of-scope; another share of out-of-scope texts is not covered."
        )

    @property
    def tested(self) -> str:
        """What the promise was tested on, in words."""
        return (
            f"of {self.rows:,} labelled texts kept aside for this test, {self.n:,} were answered and {self.errors:,} "
            f"of those wrongly ({self.method})."
        )

    @property
    def over_draws(self) -> str:
        """What the confidence is over, in words, and what is left of it after several looks at the same rows."""
        delta = 1 - self.confidence_level
        held = max(0.0, 1 - self.looks * delta)
        together = f", and all {self.looks} looks at them hold together at {percent(held)}" if self.looks > 1 else ""
        return (
            f"The confidence is over the draw of those texts: at most {percent(delta, np.ceil)} of such draws would "
            f"promise too much{together}."
        )

    def _refusal(self) -> str:
        if self.rows_needed is None:
            more = "more certify rows would not help this model; a better model or a lower target would"
        else:
            more = f"about {self.rows_needed:,} such rows would be needed, as far as these tell"
            if (1 - self.confidence_level) < self.target_accuracy**self.rows:  # even without one error
                more = f"at least {self.rows_needed:,} such rows would be needed, more if some are answered wrongly"
        best = (
            "no accuracy"
            if self.best_accuracy <= 0
            else f"an accuracy of {percent(self.best_accuracy)}, all thresholds taken together"
        )
        if self.best_accuracy >= self.target_accuracy:
            best = (
                f"an accuracy of {percent(self.target_accuracy)}, but at a threshold behind a stricter one that failed"
            )
        return (
            f"Nothing is promised, and every text becomes Other: {percent(self.target_accuracy)} right among what is "
            f"answered could not be certified at confidence level {percent(self.confidence_level)} on "
            f"{self.rows:,} labelled rows kept aside for this test; {more}. These rows support {best}."
        )
