"""From a model that is trained already, or its logits, to a certified classifier: no torch, and nothing flows back.

fit_around:  texts -> the engine's outputs, and then as
calibrate:   tune -> calibrator, score, grid    certify -> threshold + certificate    test -> evaluation

Distances of features are measured from the texts that the model was trained on. Where nobody says which, half of the
tune rows take their place; the other half chooses the score, places the grid and tells what is unfamiliar, since a row
is always close to itself. Certify rows stay fresh either way.
"""

import platform
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes, as_codes, as_labels, as_logits
from elsewise.calibrators.choice import choose_calibrator
from elsewise.classifier.classifier import Classifier, check_other
from elsewise.classifier.kept_rows import refit_rows
from elsewise.classifier.provenance import Provenance
from elsewise.data.checks import examine, size_findings, warn
from elsewise.data.splits import LabelledTexts, Pairs, Splits, divide, hashes, stratified
from elsewise.engines import Engine, as_engine
from elsewise.engines.logits import LogitsEngine, rows_of
from elsewise.engines.output_kinds import check_logits
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import ElsewiseWarning, InputError
from elsewise.evaluation import evaluate
from elsewise.messages.wording import percent
from elsewise.metrics.intervals import clopper_pearson_upper
from elsewise.outputs import Evidence, Outputs, References
from elsewise.progress import Note, Progress
from elsewise.rules import CertifiedThreshold
from elsewise.rules.certified import check_promise
from elsewise.rules.conformal import SplitConformal
from elsewise.rules.familiarity import FamiliarityTest
from elsewise.rules.fixed_sequence import Promise
from elsewise.scores.choice import check_score, named_score
from elsewise.scores.distances import references_of

REFERENCES = 20_000  # train texts that distances are measured from
KEPT = ("logits", "features", "epistemic")  # columns of outputs that a folder keeps of tune and certify rows

Labelled = tuple[Evidence, Codes]
Answered = tuple[Outputs, Codes]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Promised:
    """What a threshold is certified for: a share that is right of what is answered, at a level, and by which score."""

    target_accuracy: float
    confidence_level: float
    score: str

    def __post_init__(self) -> None:
        check_promise(self.target_accuracy, self.confidence_level)
        check_score(self.score)

    @property
    def tested(self) -> Promise:
        """The share of errors that is tested, and at which level."""
        return Promise.of(self.target_accuracy, self.confidence_level)


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
    if engine.name == LogitsEngine.name:
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
    prepared = {name: engine.prepare(part.texts) for name, part in (("tune", parts.tune), ("certify", parts.certify))}
    answered = {name: (engine.run(rows), getattr(parts, name).codes) for name, rows in prepared.items()}
    check_logits(answered["tune"][0].logits)
    known = _known(engine, parts.train, seed) if answered["tune"][0].features is not None else None
    made, judging = _certified(engine, answered, known, promise, seed)
    kept = {**_tokens(engine, prepared, judging), **_kept(answered, judging)} if keep_refit_rows else {}
    classifier = replace(
        made,
        other=other,
        out_of_scope_label=out_of_scope_label,
        provenance=Provenance(record={**made.provenance.record, **record_of(parts)}, arrays={**seen_by(parts), **kept}),
    )
    if progress:
        progress("judging", 0, 0)
    return evaluated(classifier, parts.test.texts, parts.test.codes)


def _known(engine: Engine, train: LabelledTexts, seed: int) -> Answered | None:
    """Ask the engine about texts that it was trained on, of every label."""
    if not len(train):
        return None
    share = min(1.0, REFERENCES / len(train))
    rows = train.take(stratified(train.codes, (share, 1 - share), np.random.default_rng(seed))[0])
    return engine.run(engine.prepare(rows.texts)), rows.codes


def _tokens(engine: Engine, prepared: Mapping[str, Any], judging: Indices) -> dict[str, Any]:
    """Name the tokens of tune and certify rows where the engine reads tokens: others can be certified on them."""
    if not isinstance(prepared["tune"], Tokens):
        return {}
    parts = {"train": engine.prepare([]), **prepared, "tune": prepared["tune"].take(judging)}  # no train rows for int8
    return {name: array for split, tokens in parts.items() for name, array in refit_rows(split, tokens).items()}


def calibrate(
    logits: Any,
    codes: Any,
    *,
    labels: Iterable[str] | None = None,
    features: Any = None,
    out_of_scope: Any = None,
    test: tuple[Any, ...] | None = None,
    target_accuracy: float = 0.95,
    confidence_level: float = 0.95,
    other: str = "Other",
    out_of_scope_label: str | None = None,
    score: str = "auto",
    seed: int = 0,
    keep_refit_rows: bool = True,
) -> Classifier:
    """Calibrate and certify logits that you bring, of any model: no text model, no torch.

    One third of the rows fits the calibrator and places the grid, two thirds certify.

    Parameters
    ----------
    logits : (n, k)
        Of texts that the model was not trained on, each text once.
    codes : (n,)
        Their true codes 0..k-1, or -1 for out-of-scope.
    labels : k strings, optional
        "0", "1", ... by default.
    features : (n, d), optional
        The input of the model's last layer, for scores and explanations that use distances; the classifier then
        reads them behind the logits of a row: ``decide(numpy.hstack([logits, features]))``.
    out_of_scope : (m, k), optional
        Logits of more rows that belong to none of the labels; with features, the pair (logits, features).
    test : (logits, codes), optional
        Rows to report on, which nothing else looks at; with features, (logits, codes, features).
    target_accuracy, confidence_level, other
        As in `fit`.
    out_of_scope_label : str, optional
        What marks out-of-scope rows where labels are words.
    score : str
        As in `fit`.
    seed : int
        Of the division of the rows.
    keep_refit_rows : bool
        Keep logits and codes, to choose another threshold without them.

    Raises
    ------
    InputError
        If shapes disagree, a logit is not finite, rows are probabilities, a code is out of range, or labels repeat.

    Examples
    --------
    >>> z = np.tile([[2.0, 0.0], [0.0, 2.0]], (300, 1))
    >>> y = np.tile([0, 1], 300)
    >>> y[:12] = 1 - y[:12]
    >>> classifier = calibrate(z, y, labels=["yes", "no"])
    >>> classifier.decide([[3.0, 0.0]]).labels, classifier.certificate.certified
    (['yes'], True)
    """
    promise = Promised(target_accuracy, confidence_level, score)
    z = as_logits(logits)
    check_logits(z)
    y = as_codes(codes, like=z, allow_abstain=True)
    rows = z if features is None else rows_of(z, features)
    if out_of_scope is not None:
        more = _brought("out_of_scope", (out_of_scope,) if features is None else out_of_scope, features, rows.shape[1])
        rows, y = np.vstack([rows, more]), np.append(y, np.full(len(more), ABSTAIN))
    engine = LogitsEngine(_names(labels, z.shape[1]), features=rows.shape[1] - z.shape[1])
    tune, certify = stratified(y, (1 / 3, 2 / 3), np.random.default_rng(seed))
    warn(size_findings(int((y[tune] >= 0).sum()), len(certify), len(y), promise.tested))
    tested = None
    if test is not None:
        tested = _brought("test", (*test[:1], *test[2:]), features, rows.shape[1]), test[1] if len(test) > 1 else ()
    answered = {name: (engine.run(rows[part]), y[part]) for name, part in (("tune", tune), ("certify", certify))}
    made, judging = _certified(engine, answered, None, promise, seed)
    sizes = {name: len(y) for name, (_, y) in answered.items()} | ({"test": len(tested[0])} if tested else {})
    classifier = replace(
        made,
        other=other,
        out_of_scope_label=out_of_scope_label,
        provenance=Provenance(
            record={**made.provenance.record, "splits": sizes, "versions": versions()},
            arrays=_kept(answered, judging) if keep_refit_rows else {},
        ),
    )
    return evaluated(classifier, *tested) if tested else classifier


def _brought(name: str, given: tuple[Any, ...], features: Any, width: int) -> NDArray[Any]:
    """Check more rows that came with logits and features: (logits,) or (logits, features), as the first rows did."""
    needed = 1 if features is None else 2
    if not isinstance(given, tuple) or len(given) != needed:
        has = "logits alone" if features is None else "logits and features"
        raise InputError(f"{name} must have {has}, as the rows to calibrate on")
    z = as_logits(given[0])
    rows = z if features is None else rows_of(z, given[1])
    if rows.shape[1] != width:
        raise InputError(f"{name} must have {width} columns, as the rows to calibrate on, got {rows.shape[1]}")
    return rows


def _certified(
    engine: Engine, answered: Mapping[str, Answered], known: Answered | None, promise: Promised, seed: int
) -> tuple[Classifier, Indices]:
    """Calibrate and certify; say which tune rows no distance is measured from, so that they can judge."""
    outputs, codes = answered["tune"]
    if not np.isfinite(outputs.logits).all(axis=1).any():
        raise InputError(f"none of {len(codes):,} tune rows has finite logits: all are blank, or the model fails")
    _warn_of_order(outputs.logits, codes)
    choice = choose_calibrator(outputs.logits, codes)
    of_references, judging = _halves(outputs, codes, seed) if known is None else (None, np.arange(len(codes)))
    if of_references is not None:
        known = outputs.take(of_references), codes[of_references]
    references = None
    if known is not None and known[0].features is not None:
        references = references_of(Evidence(known[0].logits, known[0]), known[1])
    tuned, certify = (
        (Evidence.of(outputs, choice.calibrator), codes)
        for outputs, codes in ((outputs.take(judging), codes[judging]), answered["certify"])
    )
    parts, compared = judged(tuned, certify, references, promise)
    record = {"calibrator": choice.record, "score": compared}
    return Classifier(engine, choice.calibrator, **parts, provenance=Provenance(record=record)), judging


def _warn_of_order(logits: NDArray[Any], codes: Codes) -> None:
    """Warn where fewer rows are right than one and the same answer to all would be: labels in another order do that."""
    inside = (codes != ABSTAIN) & np.isfinite(logits).all(axis=1)
    n, right = int(inside.sum()), int((logits[inside].argmax(axis=1) == codes[inside]).sum())
    if n and clopper_pearson_upper(right, n, 0.001) < np.bincount(codes[inside]).max() / n:
        words = "the labels may stand in another order than the columns of the model"
        only = f"only {percent(right / n)} of the {n:,} tune rows are right"
        warnings.warn(f"{only}: {words}", ElsewiseWarning, stacklevel=4)


def _halves(outputs: Outputs, codes: Codes, seed: int) -> tuple[Indices | None, Indices]:
    """Divide tune rows into those that distances are measured from, where there are features, and the others."""
    everything = np.arange(len(codes))
    if outputs.features is None:
        return None, everything
    one, other = stratified(codes, (1 / 2, 1 / 2), np.random.default_rng(seed), whole=0)
    usable = (codes != ABSTAIN) & np.isfinite(outputs.features).all(axis=1)
    return (one, other) if usable[one].any() and usable[other].any() else (None, everything)


def _kept(answered: Mapping[str, Answered], judging: Indices) -> dict[str, Any]:
    """Name what the engine said of tune and certify rows, and their codes, as a folder keeps them."""
    outputs, codes = answered["tune"]
    rows = {**answered, "tune": (outputs.take(judging), codes[judging])}
    return {
        f"refit.{name}.{column}": values
        for name, (outputs, codes) in rows.items()
        for column, values in (*((column, getattr(outputs, column)) for column in KEPT), ("codes", codes))
        if values is not None
    }


def _names(labels: Iterable[str] | None, k: int) -> tuple[str, ...]:
    names = as_labels(map(str, range(k)) if labels is None else labels)
    if len(names) != k:
        raise InputError(f"logits have {k} columns, got {len(names)} labels")
    return names


def judged(
    tuned: Labelled, certify: Labelled, known: References | None, promise: Promised, looks: int = 1
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Choose the score on tune rows and certify its threshold; add what explains decisions, and how it was chosen."""
    score, compared = named_score(promise.score, *tuned, known)
    rule = CertifiedThreshold.fit(
        *certify,
        reference=tuned[0],
        reference_codes=tuned[1],
        score=score,
        target_accuracy=promise.target_accuracy,
        confidence_level=promise.confidence_level,
        looks=looks,
    )
    familiarity = FamiliarityTest.fit(*tuned, references=known) if _can_be_read(*tuned) else None
    sets = SplitConformal.fit(*certify) if _can_be_read(*certify) else None
    return {"rule": rule, "familiarity": familiarity, "sets": sets}, compared


def _can_be_read(rows: Evidence, codes: Codes) -> bool:
    return bool(((codes != ABSTAIN) & ~np.isnan(rows.probabilities).any(axis=1)).any())


def evaluated(classifier: Classifier, texts: Any, codes: Any) -> Classifier:
    """Add an evaluation on test rows, where there are any."""
    if not len(texts):
        return classifier
    return classifier.with_provenance(evaluation=evaluate(classifier, texts, codes=codes).as_dict())


def record_of(parts: Splits) -> dict[str, Any]:
    """Give the sizes of the parts, for the record."""
    sizes = {name: len(getattr(parts, name)) for name in ("train", "tune", "certify", "test")}
    return {
        "splits": sizes,
        "dropped": {"untrained": parts.untrained, "repeated": parts.repeated, "seen": parts.seen},
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Give the versions of what answers depend on."""
    found = {"python": platform.python_version()}
    for library in (
        "elsewise",
        "numpy",
        "scipy",
        "tokenizers",
        "openvino",
        "onnxruntime",
        "torch",
        "transformers",
        "nncf",
    ):
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def seen_by(parts: Splits) -> dict[str, Any]:
    """Give the hashes of the texts that a model was made with, as a folder keeps them."""
    named = (("train", parts.train), ("tune", parts.tune), ("certify", parts.certify))
    return {f"split.{name}": np.array(hashes(part.texts), dtype=np.uint64) for name, part in named}
