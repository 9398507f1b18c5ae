"""Calibrate and certify a model that is already trained, on labelled texts that are new to it."""

from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

from elsewise.classifier.classifier import Classifier
from elsewise.classifier.kept_rows import refit_outputs, refit_rows
from elsewise.data.checks import examine, warn
from elsewise.data.splits import DividedTexts, LabelledTexts, Pairs, divide
from elsewise.engines import Stored, as_engine, prepared, reads_logits
from elsewise.engines.output_kinds import check_logits
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import InputError
from elsewise.fitting.certify import (
    Answered,
    Indices,
    Promise,
    Words,
    certified_engine,
    evaluated,
    of_splits,
    sampled,
    warn_of_promise,
)
from elsewise.progress import Note, Progress


def fit_external(
    model: Any, rows: Pairs, promise: Promise, words: Words, *,
    held_out: Pairs | None = None, test: Pairs | None = None, count_repeats: bool = False,
    keep_refit_rows: bool = True, seed: int = 0,
    progress: Progress | None = None, note: Note | None = None,
) -> Classifier:  # fmt: skip
    """Calibrate and certify a model that is already trained, as `elsewise.fit` does with ``engine=model``.

    Parameters
    ----------
    model : engine
        Has ``labels`` and ``run(texts) -> Outputs``; `elsewise.wrap` makes an engine of any model.
    rows : (texts, labels), or (texts, labels, groups, times)
        n rows that the model was not trained on: 25 % tune, 50 % certify, 25 % test. With `held_out`, the rows that it
        was trained on, from which distances of features are measured.
    held_out, test : (texts, labels), optional
        Rows to calibrate and certify on, one third and two thirds, and to report on.
    promise, words
        What is certified, and the words for texts without a label.
    count_repeats, keep_refit_rows, seed, progress, note
        As in `elsewise.fit`.

    Raises
    ------
    InputError
        If the model cannot be used as an engine, its outputs do not fit its labels or are probabilities, or a row has a
        label that the model does not have.

    Examples
    --------
    >>> from elsewise.engines.memory import MemoryEngine
    >>> known = {f"text {i}": [4.0, 0.0] if i % 2 else [0.0, 4.0] for i in range(1200)}
    >>> said = ["no" if i % 2 == 0 or i % 99 == 0 else "yes" for i in range(1200)]
    >>> promise, words = Promise(0.95, 0.95, "auto"), Words("Other", None)
    >>> classifier = fit_external(MemoryEngine(("yes", "no"), known), (list(known), said), promise, words)
    >>> classifier.decide(["text 7"]).labels, classifier.certificate.rows
    (['yes'], 600)
    """
    engine = as_engine(model)
    if reads_logits(engine):
        raise InputError("a model of logits reads no texts; calibrate it with elsewise.calibrate(logits, codes)")
    parts = divide_for(
        engine.labels, rows, promise, words, seed, note, held_out=held_out, test=test, count_repeats=count_repeats
    ).parts
    if progress:
        progress("answering tune and certify rows", 0, 0)
    asked = {"tune": parts.tune, "certify": parts.certify}
    ready = {name: prepared(engine, part.texts) for name, part in asked.items()}
    answered = {name: (engine.run(ready[name]), part.codes) for name, part in asked.items()}
    check_logits(answered["tune"][0].logits)
    known = _known(engine, parts.train, seed) if answered["tune"][0].features is not None else None
    made, judging = certified_engine(engine, answered, known, promise, words, seed, parts.population)
    kept = {**_tokens(engine, ready, judging), **refit_outputs(answered, judging)} if keep_refit_rows else {}
    splits, seen = of_splits(parts)
    classifier = made.with_provenance(record={**made.provenance.record, **splits}, arrays={**seen, **kept})
    if progress:
        progress("judging", 0, 0)
    warn_of_promise(classifier.certificate)
    return evaluated(classifier, parts.test.texts, parts.test.codes)


def divide_for(
    labels: tuple[str, ...], rows: Pairs, promise: Promise, words: Words, seed: int, note: Note | None, *,
    held_out: Pairs | None = None, test: Pairs | None = None, count_repeats: bool = False,
) -> DividedTexts:  # fmt: skip
    """Divide rows for a model with these `labels` that is trained already, check them, and say what they are taken for.

    InputError if none is left to calibrate on, or one has a label that the model does not have.
    """
    divided = divide(rows, held_out, test, words.out_of_scope_label, seed, names=labels, count_repeats=count_repeats)
    if not len(divided.parts.tune):
        raise InputError("no row is left to calibrate on; hand over labelled texts that the model was not trained on")
    warn(examine(divided, promise.tested).findings)
    if note and held_out is None:
        note(f"all {len(divided.rows):,} rows are taken as texts that the model was not trained on")
    return divided


def refuse_training(names: Iterable[str]) -> None:
    """Raise InputError for the first training option: a model that is already trained takes none."""
    for name in names:
        raise InputError(f"{name} is about training, and the engine is a model that is trained already; leave it out")


def _known(engine: Stored, train: LabelledTexts, seed: int) -> Answered | None:
    """Run the engine on texts of every label that it was trained on; None without train rows."""
    if not len(train):
        return None
    rows = train.take(sampled(train.codes, seed))
    return engine.run(prepared(engine, rows.texts)), rows.codes


def _tokens(engine: Stored, ready: Mapping[str, Any], judging: Indices) -> dict[str, NDArray[Any]]:
    """Name the tokens of tune and certify rows, to certify other engines on; empty where the engine reads texts."""
    if not isinstance(ready["tune"], Tokens):
        return {}
    parts = {"train": prepared(engine, []), **ready, "tune": ready["tune"].take(judging)}  # no train rows for int8
    return {name: array for split, tokens in parts.items() for name, array in refit_rows(split, tokens).items()}
