"""Calibrate and certify a model that is trained already: its engine answers labelled texts, and nothing is trained."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from elsewise.classifier.classifier import Classifier, check_other
from elsewise.classifier.kept_rows import refit_outputs, refit_rows
from elsewise.classifier.provenance import Provenance
from elsewise.data.checks import examine, warn
from elsewise.data.splits import LabelledTexts, Pairs, divide, stratified
from elsewise.engines import Stored, as_engine, prepared, reads_logits
from elsewise.engines.output_kinds import check_logits
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import InputError
from elsewise.fitting.certify import (
    REFERENCES,
    Answered,
    Indices,
    Promised,
    certified_classifier,
    evaluated,
    record_of,
    seen_by,
)
from elsewise.progress import Note, Progress


def fit_around(
    model: Any,
    texts: Iterable[str],
    labels: Iterable[Any],
    *,
    target_accuracy: float = 0.95,
    confidence_level: float = 0.95,
    out_of_scope_label: str | None = None,
    other: str = "Other",
    held_out: Pairs | None = None,
    test: Pairs | None = None,
    keep_refit_rows: bool = True,
    score: str = "auto",
    seed: int = 0,
    progress: Progress | None = None,
    note: Note | None = None,
) -> Classifier:
    """Calibrate and certify a model that is trained already; `elsewise.fit` with an engine does.

    Parameters
    ----------
    model : engine
        Has ``labels`` and ``run(texts) -> Outputs``; `elsewise.wrap` makes one of any model.
    texts, labels : n strings, n labels
        Rows that the model was not trained on: 25 % tune, 50 % certify, 25 % test. With `held_out` it is the other
        way round: these are the rows that it was trained on, from which distances of features are measured.
    held_out, test : (texts, labels), optional
        Rows to calibrate and certify on, one third and two thirds, and to report on.
    target_accuracy, confidence_level, out_of_scope_label, other, keep_refit_rows, score, seed, progress, note
        As in `elsewise.fit`.

    Raises
    ------
    InputError
        If the model is no engine, gives what does not fit its labels, or probabilities for logits, or a label of the
        rows is none of its own.

    Examples
    --------
    >>> from elsewise.engines.memory import MemoryEngine
    >>> known = {f"text {i}": [4.0, 0.0] if i % 2 else [0.0, 4.0] for i in range(1200)}
    >>> said = ["no" if i % 2 == 0 or i % 99 == 0 else "yes" for i in range(1200)]
    >>> classifier = fit_around(MemoryEngine(("yes", "no"), known), known, said)
    >>> classifier.decide(["text 7"]).labels, classifier.certificate.rows
    (['yes'], 600)
    """
    promise = Promised(target_accuracy, confidence_level, score)
    check_other(other)
    engine = as_engine(model)
    if reads_logits(engine):
        raise InputError("a model of logits reads no texts; calibrate it with elsewise.calibrate(logits, codes)")
    out_of_scope_label = None if out_of_scope_label is None else str(out_of_scope_label)
    divided = divide((texts, labels), held_out, test, out_of_scope_label, seed, names=engine.labels)
    parts = divided.parts
    if not len(parts.tune):
        raise InputError("no row is left to calibrate on; hand over labelled texts that the model was not trained on")
    warn(examine(divided, promise.tested).findings)
    if note and held_out is None:
        note(f"all {len(divided.rows):,} rows are taken as texts that the model was not trained on")
    if progress:
        progress("answering tune and certify rows", 0, 0)
    ready = {name: prepared(engine, part.texts) for name, part in (("tune", parts.tune), ("certify", parts.certify))}
    answered = {name: (engine.run(rows), getattr(parts, name).codes) for name, rows in ready.items()}
    check_logits(answered["tune"][0].logits)
    known = _known(engine, parts.train, seed) if answered["tune"][0].features is not None else None
    made, judging = certified_classifier(engine, answered, known, promise, seed)
    kept = {**_tokens(engine, ready, judging), **refit_outputs(answered, judging)} if keep_refit_rows else {}
    classifier = replace(
        made,
        other=other,
        out_of_scope_label=out_of_scope_label,
        provenance=Provenance(record={**made.provenance.record, **record_of(parts)}, arrays={**seen_by(parts), **kept}),
    )
    if progress:
        progress("judging", 0, 0)
    return evaluated(classifier, parts.test.texts, parts.test.codes)


def _known(engine: Stored, train: LabelledTexts, seed: int) -> Answered | None:
    """Ask the engine about texts that it was trained on, of every label."""
    if not len(train):
        return None
    share = min(1.0, REFERENCES / len(train))
    rows = train.take(stratified(train.codes, (share, 1 - share), np.random.default_rng(seed))[0])
    return engine.run(prepared(engine, rows.texts)), rows.codes


def _tokens(engine: Stored, ready: Mapping[str, Any], judging: Indices) -> dict[str, Any]:
    """Name the tokens of tune and certify rows where the engine reads tokens: others can be certified on them."""
    if not isinstance(ready["tune"], Tokens):
        return {}
    parts = {"train": prepared(engine, []), **ready, "tune": ready["tune"].take(judging)}  # no train rows for int8
    return {name: array for split, tokens in parts.items() for name, array in refit_rows(split, tokens).items()}
