"""From labelled texts to a certified classifier; no step uses rows of a later step.

train -> weights    tune -> calibrator, grid     certify -> threshold + certificate    test -> evaluation
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any

from elsewise.classifier.classifier import Classifier
from elsewise.data.checks import examine, warn
from elsewise.data.defaults import CASCADE_CHANGE, CONFIDENCE_LEVEL, FLOOR, TARGET_ACCURACY
from elsewise.data.splits import DividedTexts, Pairs, divide
from elsewise.engines.cascade import KEY
from elsewise.engines.encoders import DEFAULT_ENCODER
from elsewise.engines.token_counts import TokenCounts
from elsewise.errors import InputError, refuse_unknown
from elsewise.fitting.baseline import Learned, fit_baseline, served_baseline, train_baseline
from elsewise.fitting.cascade import Asked, cascaded
from elsewise.fitting.certify import Promise, Words, evaluated, warn_of_promise
from elsewise.fitting.engines_to_try import Wanted
from elsewise.fitting.fit_external import fit_external, refuse_training
from elsewise.fitting.model_choice import BASELINE, BEST, ENCODER, FROZEN, Keeping, ModelChoice, choose_model
from elsewise.fitting.taught import Served, Taught, as_it_came, encoder_of, opened_encoder, served, taught_by, trained
from elsewise.fitting.text_model import certified_text_model
from elsewise.fitting.time_left import TimeLeft
from elsewise.fitting.uncertainty import UncertaintyMethod, train_member
from elsewise.progress import Choice, Note
from elsewise.reporting import Shown, heard, reported
from elsewise.training.checkpoint_folder import Unfinished
from elsewise.training.settings import Training


@reported("checking the rows")
def fit(
    texts: Iterable[str],
    labels: Iterable[Any],
    *,
    encoder: str = DEFAULT_ENCODER,
    target_accuracy: float = TARGET_ACCURACY,
    confidence_level: float = CONFIDENCE_LEVEL,
    strict: bool = False,
    out_of_scope_label: str | None = None,
    other: str = "Other",
    held_out: Pairs | None = None,
    test: Pairs | None = None,
    groups: Iterable[Any] | None = None,
    times: Iterable[Any] | None = None,
    count_repeats: bool = False,
    keep_refit_rows: bool = True,
    engine: Any = "auto",
    precision: str = "auto",
    score: str = "auto",
    floor: float = FLOOR,
    unfamiliar: float | None = None,
    ensemble: int | None = None,
    mc_dropout: int | None = None,
    laplace: bool = False,
    second_opinion: bool = True,
    cascade: bool = False,
    cascade_change: float = CASCADE_CHANGE,
    quick: bool = False,
    keep: str = BEST,
    baseline: bool = True,
    progress: Shown = "auto",
    note: Note | None = None,
    checkpoints: str | Path | None = None,
    restart: bool = False,
    **training: Any,
) -> Classifier:
    """Fine-tune an encoder, calibrate it, and certify the threshold below which a text is Other.

    Parameters
    ----------
    texts : n strings
        Also a column of a data frame, or a generator. A missing text (None, NaN) is a blank one: it teaches nothing,
        it is always Other, and a warning names its row.
    labels : n strings or whole numbers
        At least two different ones; they come back as strings, whole numbers in their order.
    encoder : str
        A BERT-family encoder by name or folder. "multilingual" is multilingual-e5-small, from the extra of that name:
        it needs no network, and keeps the pieces of the scripts that `texts` use.
    target_accuracy, confidence_level : float
        The promise: at least this share of the answered texts is right, at this confidence level.
    strict : bool
        Promise that accuracy or nothing. Default: where it cannot be certified, the best lower target that can be
        (99 %, 98 %, ... 50 %) is promised, by the same test; the certificate and a warning say so.
    out_of_scope_label : str, optional
        The label of rows that belong to none of the labels. They are never trained on; answering one is an error.
    other : str
        The word for an abstention.
    held_out, test : (texts, labels), optional
        Rows to calibrate and certify on, and rows to report on. Default: parts of `texts`. With groups or times, they
        follow: (texts, labels, groups, times), None for what there is not.
    groups : n values, optional
        The customer, thread or template of each row. Whole groups go to one part; tune, certify and test then have one
        row of each group, drawn by chance. The promise is about texts of new groups. None, NaN and blanks: the row is
        a group by itself.
    times : n numbers, dates or ISO 8601 strings, optional
        Train on the oldest rows, certify and test on the newest. With groups, a group is as old as its oldest row.
    count_repeats : bool
        The promise is about all texts that come in, where a text counts as often as it comes: for rows that are a draw
        of them. Default: it is about distinct texts, and repeated ones are left out of tune, certify and test.
    keep_refit_rows : bool
        Keep tokens, codes and logits of tune and certify rows, to certify again without the texts. Without them the
        baseline is left out of the folder too: its vocabulary holds words of the texts. Its figures stay.
    engine : {"auto", "native", "openvino", "onnxruntime", "torch"}, or your own trained model
        The engine that answers; auto is torch on a GPU, and native elsewhere, or openvino where native is not compiled,
        does not compute the encoder, or is not close enough in int8. Your own model (an object with ``labels`` and
        ``run(texts) -> Outputs``, as `elsewise.wrap` makes it) is only calibrated and certified: options about training
        are refused. `texts` must then be new to it (25 % tune, 50 % certify, 25 % test), or, with `held_out`, be the
        rows that it was trained on.
    precision : {"auto", "f32", "bf16", "f16", "int8"}
        The precision that answers; auto is the fastest that, on tune rows, is close enough to float32. "f32" also
        trains in float32.
    score : str
        The confidence that is compared with the threshold, a name in `elsewise.scores.SCORES`. auto is the maximum
        probability, unless tune rows show significantly that a different score tells right from wrong better.
    floor : float
        A text whose best label has a smaller probability is never answered, whatever all answers together promise: an
        answer that is more likely wrong than right helps nobody. 0 switches this off.
    unfamiliar : float, optional
        A text less familiar than all but this share of in-scope texts is never answered: at most this share of in-scope
        texts is lost so. 0 switches this off. Default: 0.02 where the engine gives features.
    ensemble, mc_dropout, laplace : int, int, bool
        An uncertainty method beyond softmax, at most one: the number of models to train and average (from seeds seed,
        seed + 1, ...), the number of MC-dropout passes on torch, or last-layer Laplace. Decisions then have
        `epistemic`.
    second_opinion : bool
        Also ask two other models, and mix what they say: token counts, and, where the fine-tuned model is unsure, the
        encoder as it came. Better probabilities, and a better eye for unfamiliar texts, for more time a text. Each is
        left out where tune rows do not show that it helps, above 1,000 labels, and beside an uncertainty method.
    cascade : bool
        Let token counts answer the texts that they are sure of, and the encoder the others, which is
        faster where many texts are short and easy. Texts unlike the train texts are always the encoder's. What both
        answer is calibrated and certified as one engine. Left out where tune rows do not show that few labels change,
        or that it is faster; `note` tells.
    cascade_change : float
        Share of labels that the cascade may change, by an upper bound on tune rows at confidence level 95 %.
    quick : bool
        Do not fine-tune: serve the encoder as it came, with a head of its own, and token counts where they help. A
        minute instead of many, and often nearly as good; with few rows as good or better.
    keep : {"best", "encoder", "frozen", "baseline"}
        The model that is served: the fine-tuned encoder with its opinions, the encoder as it came (as `quick`), the
        baseline, or, of what is fitted anyway, the best. best is the fine-tuned encoder unless tune rows show
        significantly that another one is better. The baseline is not compared where something is asked of an engine,
        a precision, a score, unfamiliar texts or refit rows, which it cannot follow.
    baseline : bool
        Also fit TF-IDF and logistic regression on the same rows, so that evaluations show what the encoder is worth.
        Left out above 200,000 train rows or 1,000 labels, and where scikit-learn is not installed.
    progress : "auto", False or a callable
        auto shows a bar in a terminal or a notebook, and writes nothing elsewhere; False shows none. A callable is
        called with (words, steps done, steps in all).
    note : callable, optional
        Called with words: how long training may take, where it continues, what the second opinion is worth, and why it
        or the baseline is left out. Default: lines above the bar, where one is shown.
    checkpoints : path, optional
        A folder for checkpoints. The same call continues from the last one, however it ended. Remove the folder when
        the classifier is saved.
    restart : bool
        Clear that folder first.
    **training
        Fields of `elsewise.training.settings.Training`: epochs, learning_rate, batch_size, patience, max_length,
        windows (longer texts are read in up to so many), seed,
        class_weights, lowercase ("tr": as in Turkish, before the encoder reads).

    Returns
    -------
    Classifier
        With its certificate, and an evaluation where there are test rows. Where nothing can be certified, every text
        is Other, and ``classifier.certificate.sentence`` says what is missing.

    Raises
    ------
    TypeError
        If a keyword is unknown; the message names the nearest one.
    InputError
        If lengths differ, there is only one label, a label is not in the training rows, groups or times are too few to
        divide the rows by, a time cannot be read, or `checkpoints` belong to a call with other arguments.
    ArtifactError
        If a checkpoint is damaged or foreign.
    MissingExtra
        If torch or transformers are not installed.

    Warns
    -----
    PromiseWarning
        If less is promised than was asked for, or nothing.
    ElsewiseWarning
        If the encoder does not fit the language, rows are too few to calibrate or certify well, or
        `elsewise.data.check` finds something as serious.
    """
    refuse_unknown("fit", training, [*signature(Training).parameters, *signature(fit).parameters])
    progress = heard(progress)
    promise = Promise(target_accuracy, confidence_level, score, floor, unfamiliar, strict)
    words, rows = Words.of(other, out_of_scope_label), (texts, labels, groups, times)
    about = {"encoder": encoder != DEFAULT_ENCODER, "precision": precision != "auto", "ensemble": bool(ensemble),
        "mc_dropout": bool(mc_dropout), "laplace": laplace, "second_opinion": not second_opinion,
        "cascade": cascade, "quick": quick}  # fmt: skip
    if not isinstance(engine, str):
        about |= {"keep": keep != BEST, "checkpoints": bool(checkpoints), "restart": restart}
        about |= {name: value is not None for name, value in training.items() if name != "seed"}
        refuse_training(name for name, is_asked in about.items() if is_asked)
        return fit_external(
            engine, rows, promise, words, held_out=held_out, test=test, count_repeats=count_repeats,
            keep_refit_rows=keep_refit_rows, seed=training.get("seed", 0), progress=progress, note=note,
        )  # fmt: skip
    method = UncertaintyMethod(ensemble, mc_dropout, laplace)
    usual = Training()
    about |= {name: value != getattr(usual, name) for name, value in training.items() if name != "seed"}
    about |= {"engine": engine != "auto", "unfamiliar": bool(unfamiliar), "score": score != "auto",
              "keep_refit_rows": not keep_refit_rows}  # fmt: skip
    keeping = Keeping.of(keep, quick=quick, method=method.record, baseline=baseline, given=about)
    first = Asked.of(cascade_change, is_wanted=cascade, method=method.record, score=score)
    how = Training(encoder=encoder, precision="f32" if precision == "f32" else "auto", **training)
    timed = TimeLeft(progress, note)
    timed("dividing the rows", 0, 0)
    divided = divide(rows, held_out, test, words.out_of_scope_label, how.seed, count_repeats=count_repeats)
    call = _Call(divided, promise, words, keeping, method, timed, note, keep_refit_rows=keep_refit_rows)
    if keep == BASELINE:
        made = _with_the_baseline(call, how)
    else:
        wanted = Wanted.of(method.inside(engine), precision)
        unfinished = Unfinished.open(checkpoints, restart=restart) if checkpoints else None
        asks = second_opinion and not method.record
        with encoder_of(how, divided, timed, note):
            made = _with_an_encoder(call, how, wanted, unfinished, asks=asks, baseline=baseline, cascade=first)
    timed("judging on test rows", 0, 0)
    made = evaluated(made, divided.parts.test.texts, divided.parts.test.codes)
    return made if keep_refit_rows else made.with_provenance(baseline=None)  # its vocabulary is of the texts


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """What a call of `fit` asks for, whichever model is served."""

    divided: DividedTexts
    promise: Promise
    words: Words
    keeping: Keeping
    method: UncertaintyMethod
    timed: TimeLeft
    note: Note | None
    keep_refit_rows: bool


def _with_the_baseline(call: _Call, how: Training) -> Classifier:
    """Train and certify the baseline, and open no encoder."""
    divided = call.divided
    warn(examine(divided, call.promise.tested).findings)
    reasons: list[str] = []
    learned = train_baseline(divided.parts, divided.names, reasons.append, call.timed)
    if learned is None:
        raise InputError(f"keep='baseline' serves the baseline, and {reasons[0]}")
    return _certified_baseline(call, learned, ModelChoice(BASELINE, BASELINE), how)


def _with_an_encoder(
    call: _Call, how: Training, wanted: Wanted, unfinished: Unfinished | None, *,
    asks: bool, baseline: bool, cascade: Asked | None,
) -> Classifier:  # fmt: skip
    """Teach the encoder as it came, train it, choose which model is served, and certify that."""
    divided, keeping, timed, note = call.divided, call.keeping, call.timed, call.note
    timed("opening the encoder", 0, 0)
    learner, how, wanted = opened_encoder(divided, how, wanted, call.promise, unfinished, note, trains=keeping.trains)
    taught = taught_by(learner, how, divided, timed, note, asked=asks, serves_it=not keeping.trains)
    if keeping.trains:
        members = call.method.ensemble or 1
        timed.expect(taught.costs(divided, wanted, opinions=asks, baseline=baseline, members=members))
        model = trained(taught, divided, how, unfinished, timed, note)
    else:
        model = as_it_came(taught, divided, note)
    member = train_member(divided, model.rows, how, timed, unfinished, note)
    found = served(model, divided, how, wanted, call.method, member, timed, note, quick=not keeping.trains)
    quick = not keeping.trains
    learned = train_baseline(divided.parts, divided.names, note, timed, quick=quick) if baseline else None
    choice = _chosen(keeping, found, taught, learned, divided)
    if note and choice.sentence:
        note(Choice(choice.sentence))
    if choice.kept == BASELINE and learned is not None:
        return _certified_baseline(call, learned, choice, how)
    if choice.kept != choice.first:
        model = as_it_came(taught, divided)
        found = served(model, divided, how, wanted, call.method, member, timed, note, quick=True)
    if cascade is not None:
        found = _cascaded(found, taught.counts(divided, how.seed), cascade, timed, note)
    made = certified_text_model(
        found.model, found.best, found.gate, divided.parts, call.promise, call.words,
        {**found.record, "kept": choice.record}, how.seed, timed, keep_refit_rows=call.keep_refit_rows,
    )  # fmt: skip
    warn_of_promise(made.certificate)
    if learned is None:
        return made
    return made.with_provenance(baseline=fit_baseline(learned, divided.parts, call.promise, call.words, timed))


def _cascaded(found: Served, counts: TokenCounts | None, asked: Asked, timed: TimeLeft, note: Note | None) -> Served:
    """Put token counts before the engine that was chosen, if that is worth it."""
    timed("choosing what token counts answer", 0, 0)
    best, record = cascaded(found.best, counts, asked, found.model.rows, note)
    return replace(found, best=best, record={**found.record, KEY: record})


def _chosen(
    keeping: Keeping, found: Served, taught: Taught, learned: Learned | None, divided: DividedTexts
) -> ModelChoice:
    """Compare the models that were fitted anyway, on tune rows, where the caller asks for the best."""
    first, tune = ENCODER if keeping.trains else FROZEN, divided.parts.tune
    logits = {first: found.best.outputs.logits}
    if keeping.keep == BEST and keeping.trains and taught.frozen is not None:
        logits[FROZEN] = taught.frozen
    if keeping.compares_baseline and learned is not None:
        logits[BASELINE] = learned[0].run(tune.texts).logits
    return choose_model(first, logits, tune.codes)


def _certified_baseline(call: _Call, learned: Learned, choice: ModelChoice, how: Training) -> Classifier:
    made = served_baseline(
        learned, call.divided.parts, call.promise, call.words, {"kept": choice.record}, how.seed, call.timed
    )
    warn_of_promise(made.certificate)
    return made
