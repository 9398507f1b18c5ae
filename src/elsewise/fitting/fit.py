"""From labelled texts to a certified classifier; no step uses rows of a later step.

train -> weights    tune -> calibrator, grid     certify -> threshold + certificate    test -> evaluation
"""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from elsewise.classifier.classifier import Classifier
from elsewise.data.checks import examine, warn
from elsewise.data.defaults import CONFIDENCE_LEVEL, FLOOR, PARTS, TARGET_ACCURACY
from elsewise.data.splits import DividedTexts, Pairs, divide
from elsewise.engines.encoder_facts import most_tokens
from elsewise.engines.encoders import DEFAULT_ENCODER
from elsewise.engines.files import ModelFiles
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import InputError, refuse_unknown
from elsewise.fitting.baseline import fit_baseline
from elsewise.fitting.certify import Promise, Words, evaluated, sampled, warn_of_promise
from elsewise.fitting.engine_choice import Rows, Serving, check_engine, precisions_to_try, serving
from elsewise.fitting.fit_external import fit_external, refuse_training
from elsewise.fitting.opinions import Opinions, learn_opinions, with_opinions
from elsewise.fitting.text_model import TextModel, certified_text_model, folded
from elsewise.fitting.time_left import Cost, TimeLeft, costs_of
from elsewise.fitting.uncertainty import UncertaintyMethod, in_scope, train_member
from elsewise.messages.wording import listed, percent
from elsewise.progress import Note, Progress, counting
from elsewise.reporting import Shown, heard, reported
from elsewise.storage.json_files import Json
from elsewise.training.checkpoint_folder import Unfinished, member_of
from elsewise.training.saved_folder import labels_of_head
from elsewise.training.settings import Training

if TYPE_CHECKING:
    from elsewise.engines.torch import TorchModel
    from elsewise.training.encoder import Learner


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
    quick: bool = False,
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
        A BERT-family encoder by name or folder.
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
    engine : {"auto", "openvino", "onnxruntime", "torch"}, or your own trained model
        The engine that answers; auto is torch on a GPU, openvino elsewhere. Your own model (an object with ``labels``
        and ``run(texts) -> Outputs``, as `elsewise.wrap` makes it) is only calibrated and certified: options about
        training are refused. `texts` must then be new to it (25 % tune, 50 % certify, 25 % test), or, with `held_out`,
        be the rows that it was trained on.
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
    quick : bool
        Do not fine-tune: serve the encoder as it came, with a head of its own, and token counts where they help. A
        minute instead of many, and often nearly as good; with few rows as good or better.
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
        Fields of `elsewise.training.settings.Training`: epochs, learning_rate, batch_size, patience, max_length, seed,
        class_weights.

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
    if not isinstance(engine, str):
        about = {"encoder": encoder != DEFAULT_ENCODER, "precision": precision != "auto", "ensemble": ensemble,
            "mc_dropout": mc_dropout, "laplace": laplace, "second_opinion": not second_opinion, "quick": quick,
            "checkpoints": checkpoints, "restart": restart}  # fmt: skip
        about |= {name: value is not None for name, value in training.items() if name != "seed"}
        refuse_training(name for name, is_asked in about.items() if is_asked)
        return fit_external(
            engine, rows, promise, words, held_out=held_out, test=test, count_repeats=count_repeats,
            keep_refit_rows=keep_refit_rows, seed=training.get("seed", 0), progress=progress, note=note,
        )  # fmt: skip
    method = UncertaintyMethod(ensemble, mc_dropout, laplace)
    wanted = check_engine(method.inside(engine), precision)
    how = Training(encoder=encoder, precision="f32" if precision == "f32" else "auto", **training)
    progress = timed = TimeLeft(progress, note)
    progress("dividing the rows", 0, 0)
    divided = divide(rows, held_out, test, words.out_of_scope_label, how.seed, count_repeats=count_repeats)
    unfinished = Unfinished.open(checkpoints, restart=restart) if checkpoints else None
    asks = second_opinion and not method.record
    if quick and method.record:
        raise InputError(f"{next(iter(method.record))} is about training, and quick=True trains nothing; leave one out")
    progress("opening the encoder", 0, 0)
    learner, how = _prepared(divided, how, promise, unfinished, note, trains=not quick)
    taught = _taught(learner, how, divided, progress, note, asked=asks or quick)
    if quick:
        model = _as_it_came(taught, divided, note)
    else:
        timed.expect(taught.costs(divided, wanted, opinions=asks, baseline=baseline, members=ensemble or 1))
        model = _trained(taught, divided, how, unfinished, timed, note)
    member = train_member(divided, model.rows, how, progress, unfinished, note)
    best, table, added = _served(model, divided, how, wanted, method, member, progress, note, quick=quick)
    made = certified_text_model(
        model, best, table, divided.parts, promise, words, added, how.seed, progress, keep_refit_rows=keep_refit_rows
    )
    warn_of_promise(made.certificate)
    if baseline:
        made = made.with_provenance(baseline=fit_baseline(divided, promise, words, progress, note))
    progress("judging on test rows", 0, 0)
    made = evaluated(made, divided.parts.test.texts, divided.parts.test.codes)
    return made if keep_refit_rows else made.with_provenance(baseline=None)  # its vocabulary is of the texts


@dataclass(frozen=True, slots=True, eq=False)
class _Taught:
    """The texts of train, tune and certify rows as tokens, and what can be learnt from them before any training."""

    learner: "Learner"
    train: Tokens
    tune: Tokens
    certify: Tokens
    quantised: Tokens
    opinions: Opinions

    def costs(self, divided: DividedTexts, wanted: tuple[str, str], **asked: Any) -> dict[str, Cost]:
        """Give what each stage after the training costs; `asked` as in `costs_of`."""
        sizes = {part: len(getattr(divided.parts, part)) for part in PARTS}
        layers = getattr(self.learner.model.model.config, "num_hidden_layers", 6)
        rows = Rows(self.tune, divided.parts.tune.codes, self.quantised)
        return costs_of(sizes, layers, precisions_to_try(wanted, rows), **asked)


def _taught(
    learner: "Learner", how: Training, divided: DividedTexts, progress: Progress | None, note: Note | None, *,
    asked: bool,
) -> _Taught:  # fmt: skip
    """Tokenise the rows, and learn what may be asked beside the fine-tuned model; say what it reaches."""
    from elsewise.training.int8 import quantise_rows  # noqa: PLC0415  torch

    parts, opinions = divided.parts, Opinions()
    train, tune, certify = (learner.tokenize(part.texts) for part in (parts.train, parts.tune, parts.certify))
    if asked:
        rows = sampled(parts.train.codes, how.seed)
        known = train.take(rows), parts.train.codes[rows]
        with counting(progress, "teaching the encoder as it came", len(rows)):
            opinions = learn_opinions(learner, how, known, divided.names, parts.tune.codes, note)
        if note and opinions.as_it_came is not None:
            right = learner.outputs(opinions.as_it_came.model, tune).logits.argmax(axis=1) == parts.tune.codes
            count = int((parts.tune.codes >= 0).sum())
            note(f"without fine-tuning, {percent(right.sum() / count)} of {count:,} tune rows get the right label")
    return _Taught(learner, train, tune, certify, quantise_rows(train, np.random.default_rng(how.seed)), opinions)


def _as_it_came(taught: _Taught, divided: DividedTexts, note: Note | None) -> TextModel:
    """Take the encoder as it came for the model."""
    second = taught.opinions.as_it_came
    if second is None:
        raise InputError("quick=True serves the encoder as it came, and that is left out here; fit without it")
    if note:
        note("the encoder as it came is served, without fine-tuning")
    return _text_model(taught, second.model, divided, Opinions(taught.opinions.counts))


def _trained(
    taught: _Taught, divided: DividedTexts, how: Training, unfinished: Unfinished | None, timed: TimeLeft,
    note: Note | None,
) -> TextModel:  # fmt: skip
    """Train the encoder on train rows, and calibrate it on tune rows."""
    from elsewise.training.fine_tune import train  # noqa: PLC0415  torch

    parts, before = divided.parts, member_of(unfinished, 0)
    model = train(
        taught.learner, parts.train, in_scope(parts.tune), how, timed, checkpoints=before, note=note,
        planned=timed.plan if timed.is_heard else None,
    )  # fmt: skip
    timed("calibrating", 0, 0)
    return _text_model(taught, model, divided, taught.opinions)


def _text_model(taught: _Taught, model: "TorchModel", divided: DividedTexts, opinions: Opinions) -> TextModel:
    """Fold the calibrator into a model's last layer."""
    learner, codes = taught.learner, divided.parts.tune.codes
    logits = learner.outputs(model, taught.tune).logits
    files, choice = folded(model, learner, logits, codes, divided.names)
    rows, known = Rows(taught.tune, codes, taught.quantised), (taught.train, divided.parts.train.codes)
    return TextModel(files, learner.tokenize.settings, choice, rows, known, taught.certify, opinions=opinions)


def _served(
    model: TextModel, divided: DividedTexts, how: Training, wanted: tuple[str, str], method: UncertaintyMethod,
    member: Callable[[int], ModelFiles], progress: Progress | None, note: Note | None, *, quick: bool,
) -> tuple[Serving, tuple[Json, ...], Json]:  # fmt: skip
    """Choose the engine, and add other opinions or the uncertainty method; also give the table and the record."""
    best, table = serving(model.files, divided.names, model.reading, wanted, model.rows, progress=progress)
    if progress:
        progress("mixing the opinions", 0, 0)
    best, worth = with_opinions(best, model.opinions, model.rows, note)
    record = {"training": {**asdict(how), **method.record, "quick": quick}, **worth}
    return *method.added_to(best, table, model.rows, model.known[0], member), record


def _prepared(
    divided: DividedTexts, how: Training, promise: Promise, unfinished: Unfinished | None, note: Note | None, *,
    trains: bool,
) -> "tuple[Learner, Training]":  # fmt: skip
    """Open the encoder, complete the settings, and warn of what `check` finds, and of a head that is left behind."""
    from elsewise.training.encoder import prepare  # noqa: PLC0415  torch
    from elsewise.training.onnx_graph import check_exportable  # noqa: PLC0415  torch

    first = member_of(unfinished, 0)
    before = first.settings() if first else None
    if before and how.precision == "auto":  # measured before; a new measurement could differ
        how = replace(how, precision=before["precision"])
    learner = prepare(divided.names, how)
    if trains:
        check_exportable(learner)
    positions = most_tokens(learner.model.model)
    tokenizer = (learner.tokenizer.backend_tokenizer, how.encoder, how.max_length, positions)
    warn(examine(divided, promise.tested, tokenizer=tokenizer).findings)
    if note and len(own := labels_of_head(how.encoder)) > 1:
        left = f"{how.encoder} is a classifier already: its head, for {listed(map(repr, own))}, is left behind"
        note(f"{left}; to keep it: elsewise calibrate {shlex.quote(how.encoder)} HELD_OUT -o MODEL")
    return learner, how.resolved(len(divided.parts.train), learner.model.model.config.hidden_size)
