"""Fit the baseline: TF-IDF and logistic regression, on the train rows of the encoder."""

import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from elsewise.calibrators.choice import choose_calibrator
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.kept_rows import refit_outputs
from elsewise.classifier.load import kept_aside
from elsewise.classifier.provenance import Provenance
from elsewise.data.splits import Splits
from elsewise.engines.files import ModelFiles
from elsewise.errors import ElsewiseWarning, InputError, MissingExtra
from elsewise.fitting.certify import Promise, Words, certified_engine, certified_parts, of_splits
from elsewise.outputs import Evidence
from elsewise.progress import Note, Progress
from elsewise.storage.json_files import Json

if TYPE_CHECKING:
    from elsewise.engines.tfidf import TfidfEngine

MOST_ROWS: Final = 200_000
MOST_LABELS: Final = 1_000

Learned = tuple["TfidfEngine", Json]  # the engine, and the seconds that training took


def fit_baseline(
    learned: Learned, parts: Splits, promise: Promise, words: Words, progress: Progress | None = None
) -> ModelFiles:
    """Certify the baseline for the same promise as the encoder, and write its folder.

    Its certificate counts as a second look at the certify rows.
    """
    if progress:
        progress("certifying the baseline", 0, 0)
    engine, record = learned
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


def served_baseline(
    learned: Learned, parts: Splits, promise: Promise, words: Words, record: Json, seed: int,
    progress: Progress | None = None,
) -> Classifier:  # fmt: skip
    """Certify the baseline as the model that is served; its folder keeps logits of tune and certify rows.

    InputError if there is no tune row.
    """
    if progress:
        progress("certifying", 0, 0)
    engine, seconds = learned
    if not len(parts.tune):
        raise InputError("no row is left to calibrate the baseline on")
    answered = {
        name: (engine.run(part.texts), part.codes) for name, part in (("tune", parts.tune), ("certify", parts.certify))
    }
    made, judging = certified_engine(engine, answered, None, promise, words, seed, parts.population)
    splits, seen = of_splits(parts)
    record = {"baseline": seconds, **record, **made.provenance.record, **splits}
    return made.with_provenance(record=record, arrays={**seen, **refit_outputs(answered, judging)})


def train_baseline(
    parts: Splits, names: tuple[str, ...], note: Note | None = None, progress: Progress | None = None, *,
    quick: bool = False,
) -> Learned | None:  # fmt: skip
    """Train the baseline on train rows, with the strength of regularisation that is best on tune rows.

    If `quick`, with the usual strength, which takes a third of the time. None where it is left out (`note` gets the
    reason).
    """
    if progress:
        progress("fitting the baseline", 0, 0)
    from elsewise.engines.tfidf import TfidfEngine  # noqa: PLC0415

    began, train, tune = time.perf_counter(), parts.train, parts.tune
    try:
        _check_size(len(train), len(names))
        tried = tune.take(np.arange(0)) if quick else tune
        engine = TfidfEngine.fit(train.texts, train.codes, names, tried.texts, tried.codes)
    except (InputError, MissingExtra) as error:
        if note:
            note(f"the baseline is left out: {error}")
        return None
    return engine, {"seconds": time.perf_counter() - began}


def _check_size(rows: int, labels: int) -> None:
    for number, what, most in ((rows, "train rows", MOST_ROWS), (labels, "labels", MOST_LABELS)):
        if number > most:
            raise InputError(f"{number:,} {what} are more than the {most:,} that it learns in minutes")
