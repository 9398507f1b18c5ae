"""Learn the baseline: TF-IDF and logistic regression, on the rows that the encoder learned from."""

import time
from typing import TYPE_CHECKING, Any, Final

from elsewise.data.splits import Splits
from elsewise.errors import InputError, MissingExtra
from elsewise.progress import Note

if TYPE_CHECKING:
    from elsewise.engines.tfidf import TfidfEngine

MOST_ROWS: Final = 200_000
MOST_LABELS: Final = 1_000


def learned(
    parts: Splits, names: tuple[str, ...], note: Note | None = None
) -> "tuple[TfidfEngine, dict[str, Any]] | None":
    """Train the baseline on train rows; None where it is left out, and why is said.

    Parameters
    ----------
    parts : Splits
        Train rows are learned from, and tune rows choose how strongly.
    names : k strings
        The labels.
    note : callable, optional
        Called with words: why it is left out.

    Returns
    -------
    engine, record
        The record (JSON) tells the seconds that it took.
    """
    from elsewise.engines.tfidf import TfidfEngine  # noqa: PLC0415

    began, train, tune = time.perf_counter(), parts.train, parts.tune
    try:
        _check_size(len(train), len(names))
        engine = TfidfEngine.fit(train.texts, train.codes, names, tune.texts, tune.codes)
    except (InputError, MissingExtra) as error:
        if note:
            note(f"the baseline is left out: {error}")
        return None
    return engine, {"seconds": time.perf_counter() - began}


def _check_size(rows: int, labels: int) -> None:
    for number, what, most in ((rows, "train rows", MOST_ROWS), (labels, "labels", MOST_LABELS)):
        if number > most:
            raise InputError(f"{number:,} {what} are more than the {most:,} that it learns in minutes")
