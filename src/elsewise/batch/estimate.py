"""How long a file takes, and how many of its rows would be Other, from some of them; nothing is written."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from elsewise.batch.answers import MoreColumns, Totals, answered
from elsewise.batch.source import Item, chunks, open_source
from elsewise.classifier.classifier import Classifier
from elsewise.data.labelled_texts import Reading
from elsewise.engines import prepared
from elsewise.metrics import Estimate, wilson
from elsewise.progress import Progress, time_words

ROWS: Final = 1000  # that are answered
FIRST: Final = 32  # of them, answered before the time is taken: an engine begins slowly


@dataclass(frozen=True, slots=True)
class Estimated:
    """What a file will need.

    Attributes
    ----------
    rows, rejected : int
        Rows of the file, and how many of those looked at cannot be used.
    sampled : int
        Rows that were answered, evenly from the whole file.
    tokens, seconds : float
        Estimated tokens of all rows, 0 where the engine reads none, and seconds on this machine as it is now.
    other_share : Estimate
        Share of Other among usable rows, with Wilson's 95 % interval.
    """

    rows: int
    rejected: int
    sampled: int
    tokens: float
    seconds: float
    other_share: Estimate

    def as_dict(self) -> dict[str, Any]:
        """All fields (JSON)."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**own, "other_share": self.other_share.as_dict()}

    @property
    def sentence(self) -> str:
        """The estimate in English."""
        share = self.other_share
        tokens = f"about {self.tokens:,.0f} tokens, " if self.tokens else ""
        other = f"{100 * share.value:.1f} % Other ({100 * share.low:.1f} to {100 * share.high:.1f})"
        return f"{self.rows:,} rows, {tokens}about {time_words(self.seconds)}, {other}, from {self.sampled:,} rows"


def estimate_file(
    classifier: Classifier, data: str, *, how: Reading | None = None, features: str | None = None,
    progress: Progress | None = None,
) -> Estimated:  # fmt: skip
    """Answer 1,000 rows, evenly from the whole file, and estimate the rest.

    Raises
    ------
    InputError
        As `predict_file`, for an input that cannot be read.
    """
    with open_source(classifier, data, how or Reading(), features) as source:
        step = max(source.count() // ROWS, 1)
        taken: list[Item] = []
        rows = rejected = 0
        for item in source.items:
            rows, is_bad = rows + 1, item[0].problem is not None
            rejected += is_bad
            if (rows - 1) % step == 0 and len(taken) < ROWS and not is_bad:
                taken.append(item)
            if progress and rows % ROWS == 0:
                progress("reading", rows, 0)
    if not taken:
        return Estimated(rows, rejected, 0, 0.0, 0.0, wilson(0, 0))
    _ask(classifier, taken[:FIRST])
    began = time.monotonic()
    totals = _ask(classifier, taken)
    each, seconds = (rows - rejected) / len(taken), time.monotonic() - began
    other = wilson(totals.ledger.other, len(taken))
    return Estimated(rows, rejected, len(taken), totals.tokens * each, seconds * each, other)


def _ask(classifier: Classifier, items: list[Item]) -> Totals:
    prepare = partial(prepared, classifier.engine)
    each = (answered(classifier, chunk, MoreColumns()).totals for chunk in chunks(items, prepare))
    return sum(each, start=Totals())
