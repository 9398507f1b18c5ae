"""From labelled texts to a certified classifier. Nothing flows back.

train -> weights    tune -> calibrator, grid     certify -> threshold + certificate    test -> evaluation
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from elsewise.arrays import Codes
from elsewise.calibrators.choice import CalibratorChoice, choose_calibrator
from elsewise.classifier.classifier import Classifier, check_other
from elsewise.classifier.kept_rows import refit_rows
from elsewise.classifier.load import kept_aside
from elsewise.classifier.provenance import Provenance
from elsewise.data.checks import examine, warn
from elsewise.data.splits import DividedTexts, Pairs, Splits, divide, stratified
from elsewise.engines.encoders import DEFAULT_ENCODER
from elsewise.engines.files import ModelFiles
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import ElsewiseWarning, InputError
from elsewise.fitting.baseline import learned
from elsewise.fitting.certify import REFERENCES, Promised, evaluated, judged, record_of, seen_by
from elsewise.fitting.engine_choice import Rows, Serving, check_engine, serving
from elsewise.fitting.fit_external import fit_around
from elsewise.fitting.uncertainty import Around, train_member
from elsewise.outputs import Evidence, Outputs, References
from elsewise.progress import Note, Progress
from elsewise.scores.distances import references_of
from elsewise.training.checkpoint_folder import Unfinished, member_of

if TYPE_CHECKING:
    from elsewise.engines.torch import TorchModel
    from elsewise.training.encoder import Learner
    from elsewise.training.settings import Training


class Tokenised(NamedTuple):
    """Tokens of the texts that something is fitted on."""

    train: Tokens
    tune: Tokens
    certify: Tokens


def fit(
    texts: Iterable[str],
    labels: Iterable[Any],
    *,
    encoder: str = DEFAULT_ENCODER,
    target_accuracy: float = 0.95,
    confidence_level: float = 0.95,
    out_of_scope_label: str | None = None,
    other: str = "Other",
    held_out: Pairs | None = None,
    test: Pairs | None = None,
    keep_refit_rows: bool = True,
    engine: Any = "auto",
    precision: str = "auto",
    score: str = "auto",
    ensemble: int | None = None,
    mc_dropout: int | None = None,
    laplace: bool = False,
    baseline: bool = True,
    progress: Progress | None = None,
    note: Note | None = None,
    checkpoints: str | Path | None = None,
    restart: bool = False,
    **training: Any,
) -> Classifier:
    """Fine-tune an encoder, calibrate it, and certify the threshold below which a text is Other.

    Parameters
    ----------
    texts : n strings
        Also a column of a data frame, or a generator.
    labels : n strings or whole numbers
        At least two different ones; they come back as strings, whole numbers in their order.
    encoder : str
        A BERT-family encoder by name or folder.
    target_accuracy, confidence_level : float
        The promise: at least so much of what is answered is right, at this confidence level.
    out_of_scope_label : str, optional
        The label of rows that belong to none of the labels: never trained on, an error when answered.
    other : str
        The word shown for an abstention.
    held_out, test : (texts, labels), optional
        Rows to calibrate and certify on, and to report on; by default parts of `texts`.
    keep_refit_rows : bool
        Keep tokens, codes and logits of tune and certify rows, to certify again without the texts.
    engine : {"auto", "openvino", "onnxruntime", "torch"}, or a model of yours
        What answers; auto is torch where it finds a GPU, openvino elsewhere. A model that is trained already (something
        with ``labels`` and ``run(texts) -> Outputs``, as `elsewise.wrap` makes it) is only calibrated and certified:
        then `texts` are rows that it was not trained on (25 % tune, 50 % certify, 25 % test), or, with `held_out`,
        those that it was, and all that concerns training is refused.
    precision : {"auto", "f32", "bf16", "f16", "int8"}
        In which it answers; auto is the fastest that, on tune rows, is close enough to float32. "f32" trains in
        float32 too.
    score : str
        The confidence that is compared with the threshold, a name in `elsewise.scores.SCORES`; auto is the maximum
        probability unless tune rows show, on significant evidence, that another tells right from wrong better.
    ensemble, mc_dropout, laplace : int, int, bool
        Uncertainty beyond softmax, one of them: so many models from seeds seed, seed + 1, ..., so many thinned networks
        of one torch model, or what train texts leave open about the last layer. Decisions then tell `epistemic`.
    baseline : bool
        Fit TF-IDF and logistic regression on the same rows too, so that evaluations tell what the encoder is worth;
        left out above 200,000 train rows or 1,000 labels, and where scikit-learn is not installed.
    progress : callable, optional
        Called with (words, steps done, steps in all).
    note : callable, optional
        Called with words: how long training may take, what it goes on from, and why the baseline is left out.
    checkpoints : path, optional
        A folder for checkpoints: the same call goes on from the last one, however it ended. Remove it when the
        classifier is saved.
    restart : bool
        Clear that folder first.
    **training
        Fields of `elsewise.training.settings.Training`: epochs, learning_rate, batch_size, patience, max_length, seed,
        class_weights.

    Returns
    -------
    Classifier
        With its certificate, and an evaluation where there are test rows. Not certifiable is an ordinary
        answer: everything is Other, and ``classifier.certificate.sentence`` says what is missing.

    Raises
    ------
    InputError
        If lengths differ, there is only one label, a label is not in the training rows, or `checkpoints` are of another
        call.
    ArtifactError
        If a checkpoint is damaged or foreign.
    MissingExtra
        If torch or transformers are not installed.

    Warns
    -----
    ElsewiseWarning
        If the encoder does not fit the language, rows are too few to calibrate or certify well, or anything else of
        that weight that `elsewise.data.check` finds.
    """
    if not isinstance(engine, str):
        _refuse_training(encoder, precision, ensemble, mc_dropout, laplace, checkpoints, restart, training)
        return fit_around(
            engine,
            texts,
            labels,
            target_accuracy=target_accuracy,
            confidence_level=confidence_level,
            out_of_scope_label=out_of_scope_label,
            other=other,
            held_out=held_out,
            test=test,
            keep_refit_rows=keep_refit_rows,
            score=score,
            seed=training.get("seed", 0),
            progress=progress,
            note=note,
        )
    from elsewise.training.fine_tune import train  # noqa: PLC0415  torch
    from elsewise.training.int8 import quantise_rows  # noqa: PLC0415  torch
    from elsewise.training.onnx_graph import write_model  # noqa: PLC0415  torch
    from elsewise.training.settings import Training  # noqa: PLC0415  torch

    promise = Promised(target_accuracy, confidence_level, score)  # refused now, and not when the training is over
    check_other(other)
    out_of_scope_label = None if out_of_scope_label is None else str(out_of_scope_label)
    words: dict[str, Any] = {"other": other, "out_of_scope_label": out_of_scope_label}
    around = Around(ensemble, mc_dropout, laplace)
    wanted = check_engine(around.inside(engine), precision)
    how = Training(encoder=encoder, precision="f32" if precision == "f32" else "auto", **training)
    divided = divide((texts, labels), held_out, test, out_of_scope_label, how.seed)
    names, parts = divided.names, divided.parts
    in_scope = parts.tune.take(np.flatnonzero(parts.tune.codes >= 0))
    unfinished = Unfinished.open(checkpoints, restart=restart) if checkpoints else None
    learner, how = _prepared(divided, how, promise, unfinished)
    model = train(learner, parts.train, in_scope, how, progress, checkpoints=member_of(unfinished, 0), note=note)
    _tell(progress, "calibrating")
    tokens = Tokenised(*(learner.tokenize(part.texts) for part in (parts.train, parts.tune, parts.certify)))
    choice = _chosen_calibrator(model, learner.outputs(model, tokens.tune), parts.tune.codes)
    rows = Rows(tokens.tune, parts.tune.codes, quantise_rows(tokens.train, np.random.default_rng(how.seed)))
    files = write_model(model.folded(choice.calibrator), learner, names)
    best, table = serving(files, names, learner.tokenize.settings, wanted, rows, progress=progress)
    member = train_member(names, parts.train, in_scope, rows, how, progress, unfinished, note)
    best, table = around.serving(best, table, rows, tokens.train, member)
    _tell(progress, "certifying and judging")
    certify = Evidence.of(best.engine.run(tokens.certify), best.calibrator)
    judged, compared = _judged_on(best, certify, tokens.train, parts, how.seed, promise)
    recorded = {"training": {**asdict(how), **around.record}, "calibrator": choice.record, "score": compared}
    kept = _refit_rows(rows, best, tokens.certify, certify, parts.certify.codes) if keep_refit_rows else {}
    beside = _baseline(divided, promise, words, progress, note) if baseline else None
    classifier = Classifier(
        engine=best.engine,
        calibrator=best.calibrator,
        **judged,
        **words,
        provenance=Provenance(
            folded=choice.calibrator,
            record={**recorded, **record_of(parts)},
            arrays={**seen_by(parts), **kept},
            gate=table,
            baseline=beside,
        ),
    )
    return evaluated(classifier, parts.test.texts, parts.test.codes)


def _tell(progress: Progress | None, words: str) -> None:
    if progress:
        progress(words, 0, 0)


def _refuse_training(
    encoder: str, precision: str, ensemble: Any, mc_dropout: Any, laplace: Any, checkpoints: Any, restart: Any,
    training: Mapping[str, Any],
) -> None:  # fmt: skip
    """Raise InputError for what concerns training, or files of ours, where a model is trained already."""
    asked = {
        "encoder": encoder != DEFAULT_ENCODER,
        "precision": precision != "auto",
        "ensemble": ensemble,
        "mc_dropout": mc_dropout,
        "laplace": laplace,
        "checkpoints": checkpoints,
        "restart": restart,
        **{name: value is not None for name, value in training.items() if name != "seed"},
    }
    if said := [name for name, value in asked.items() if value]:
        raise InputError(
            f"{said[0]} is about training, and the engine is a model that is trained already; leave it out"
        )


def _prepared(
    divided: DividedTexts, how: "Training", promise: Promised, unfinished: Unfinished | None
) -> "tuple[Learner, Training]":
    """Open the encoder, complete the settings, and say what `check` warns of."""
    from elsewise.training.encoder import prepare  # noqa: PLC0415  torch

    first = member_of(unfinished, 0)
    before = first.settings() if first else None
    if before and how.precision == "auto":  # a measurement, which could fall out otherwise this time
        how = replace(how, precision=before["precision"])
    learner = prepare(divided.names, how)
    tokenizer = (learner.tokenizer.backend_tokenizer, how.encoder, learner.tokenize.max_length)
    warn(examine(divided, promise.tested, tokenizer=tokenizer).findings)
    return learner, how.resolved(len(divided.parts.train), learner.model.model.config.hidden_size)


def _chosen_calibrator(model: "TorchModel", outputs: Outputs, codes: Codes) -> CalibratorChoice:
    from elsewise.engines.torch import last_linear  # noqa: PLC0415  torch

    return choose_calibrator(outputs.logits, codes, preserve_argmax=last_linear(model.model).bias is None)


def _judged_on(
    best: Serving, certify: Evidence, train: Tokens, parts: Splits, seed: int, promise: Promised
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Judge on what the engine that serves made of tune, certify and train rows."""
    tuned = (best.evidence, parts.tune.codes)
    if not len(parts.tune):  # those of train are too sure, and still in their order
        tuned = (Evidence.of(best.engine.run(train), best.calibrator), parts.train.codes)
    known = _references(best, train, parts.train.codes, seed)
    return judged(tuned, (certify, parts.certify.codes), known, promise)


def _refit_rows(rows: Rows, best: Serving, tokens: Tokens, certify: Evidence, codes: Codes) -> dict[str, Any]:
    return {
        **refit_rows("train", rows.train),
        **refit_rows("tune", rows.tune, codes=rows.codes, logits=best.outputs.logits),
        **refit_rows("certify", tokens, codes=codes, logits=certify.logits),
    }


def _references(best: Serving, tokens: Tokens, codes: Codes, seed: int) -> References | None:
    """Features of train texts, of every label; None from an engine that gives none."""
    share = min(1.0, REFERENCES / max(len(codes), 1))
    rows = stratified(codes, (share, 1 - share), np.random.default_rng(seed))[0]
    evidence = Evidence.of(best.engine.run(tokens.take(rows)), best.calibrator)
    return references_of(evidence, codes[rows]) if evidence.has_features else None


def _baseline(
    divided: DividedTexts, promise: Promised, words: Mapping[str, Any], progress: Progress | None, note: Note | None
) -> ModelFiles | None:
    """Fit the baseline as the encoder was; its certificate counts as a second look at the certify rows."""
    _tell(progress, "fitting the baseline")
    parts = divided.parts
    made = learned(parts, divided.names, note)
    if made is None:
        return None
    engine, record = made
    tune = parts.tune if len(parts.tune) else parts.train  # as `_judged_on`
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)  # of the rows, and said of the encoder already
        choice = choose_calibrator(engine.run(parts.tune.texts).logits, parts.tune.codes)
        tuned, certify = ((Evidence.of(engine.run(x.texts), choice.calibrator), x.codes) for x in (tune, parts.certify))
        fitted, compared = judged(tuned, certify, None, replace(promise, score="auto"), looks=2)
    record = {"baseline": record, "calibrator": choice.record, "score": compared, **record_of(parts)}
    provenance = Provenance(record=record, arrays=seen_by(parts))
    return kept_aside(Classifier(engine, choice.calibrator, **fitted, **words, provenance=provenance))
