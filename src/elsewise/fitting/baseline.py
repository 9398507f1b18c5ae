"""Fit the baseline: TF-IDF and logistic regression, on the train rows of the encoder."""

import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from elsewise.calibrators.choice import choose_calibrator
from elsewise.classifier.load import kept_aside
from elsewise.classifier.provenance import Provenance
from elsewise.data.splits import DividedTexts, Splits
from elsewise.engines.files import ModelFiles
from elsewise.errors import ElsewiseWarning, InputError, MissingExtra
from elsewise.fitting.certify import Promise, Words, certified_parts, of_splits
from elsewise.outputs import Evidence
from elsewise.progress import Note, Progress

if TYPE_CHECKING:
    from elsewise.engines.tfidf import TfidfEngine
    from elsewise.storage.json_files import Json

MOST_ROWS: Final = 200_000
MOST_LABELS: Final = 1_000


def fit_baseline(
    divided: DividedTexts, promise: Promise, words: Words, progress: Progress | None = None, note: Note | None = None
) -> ModelFiles | None:
    """Fit the baseline for the same promise as the encoder; None where it is left out (`note` gets the reason).

    Its certificate counts as a second look at the certify rows.
    """
    if progress:
        progress("fitting the baseline", 0, 0)
    parts = divided.parts
    made = train_baseline(parts, divided.names, note)
    if made is None:
        return None
    engine, record = made
    tune = parts.tune if len(parts.tune) else parts.train  # as `fit` does
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)  # warnings about the rows were given for the encoder already
        choice = choose_calibrator(engine.run(parts.tune.texts).logits, parts.tune.codes)
        tuned, certify = ((Evidence.of(engine.run(x.texts), choice.calibrator), x.codes) for x in (tune, parts.certify))
        certified = certified_parts(tuned, certify, None, replace(promise, score="auto", unfamiliar=0), looks=2)
    certified, (splits, seen) = certified.about(parts.population), of_splits(parts)
    record = {"baseline": record, "calibrator": choice.record, "score": certified.compared, **splits}
    provenance = Provenance(record=record, arrays=seen)
    return kept_aside(certified.classifier(engine, choice.calibrator, words, provenance))


def train_baseline(
    parts: Splits, names: tuple[str, ...], note: Note | None = None
) -> "tuple[TfidfEngine, Json] | None":
    """Train the baseline on train rows, with the strength of regularisation that is best on tune rows.

    Returns
    -------
    engine, record
        The record (JSON) has the seconds that training took. None where it is left out (`note` gets the reason).
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
