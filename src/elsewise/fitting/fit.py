"""From labelled texts to a certified classifier; no step uses rows of a later step.

train -> weights    tune -> calibrator, grid     certify -> threshold + certificate    test -> evaluation
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes
from elsewise.calibrators.choice import CalibratorChoice, choose_calibrator
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.kept_rows import refit_rows
from elsewise.classifier.provenance import Provenance
from elsewise.data.checks import examine, warn
from elsewise.data.defaults import CONFIDENCE_LEVEL, FLOOR, TARGET_ACCURACY
from elsewise.data.splits import DividedTexts, Pairs, Splits, divide
from elsewise.engines.encoders import DEFAULT_ENCODER, find_positions
from elsewise.engines.files import ModelFiles
from elsewise.engines.tokenizer import Tokens
from elsewise.fitting.baseline import fit_baseline
from elsewise.fitting.certify import CertifiedParts, Promise, Words, certified_parts, evaluated, of_splits, sampled
from elsewise.fitting.engine_choice import Rows, Serving, check_engine, serving
from elsewise.fitting.fit_external import fit_external, refuse_training
from elsewise.fitting.opinions import Opinions, learn_opinions, with_opinions
from elsewise.fitting.uncertainty import UncertaintyMethod, in_scope, train_member
from elsewise.outputs import Evidence, References
from elsewise.progress import Note, Progress
from elsewise.scores.distances import references_of
from elsewise.storage.json_files import Json
from elsewise.training.checkpoint_folder import Unfinished, member_of
from elsewise.training.settings import Training

if TYPE_CHECKING:
    from elsewise.training.encoder import Learner


def fit(
    texts: Iterable[str],
    labels: Iterable[Any],
    *,
    encoder: str = DEFAULT_ENCODER,
    target_accuracy: float = TARGET_ACCURACY,
    confidence_level: float = CONFIDENCE_LEVEL,
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
        The promise: at least this share of the answered texts is right, at this confidence level.
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
    baseline : bool
        Also fit TF-IDF and logistic regression on the same rows, so that evaluations show what the encoder is worth.
        Left out above 200,000 train rows or 1,000 labels, and where scikit-learn is not installed.
    progress : callable, optional
        Called with (words, steps done, steps in all).
    note : callable, optional
        Called with words: how long training may take, where it continues, what the second opinion is worth, and why it
        or the baseline is left out.
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
    InputError
        If lengths differ, there is only one label, a label is not in the training rows, groups or times are too few to
        divide the rows by, a time cannot be read, or `checkpoints` belong to a call with other arguments.
    ArtifactError
        If a checkpoint is damaged or foreign.
    MissingExtra
        If torch or transformers are not installed.

    Warns
    -----
    ElsewiseWarning
        If the encoder does not fit the language, rows are too few to calibrate or certify well, or
        `elsewise.data.check` finds something as serious.
    """
    promise = Promise(target_accuracy, confidence_level, score, floor, unfamiliar)
    words, rows = Words.of(other, out_of_scope_label), (texts, labels, groups, times)
    if not isinstance(engine, str):
        about = {"encoder": encoder != DEFAULT_ENCODER, "precision": precision != "auto", "ensemble": ensemble,
            "mc_dropout": mc_dropout, "laplace": laplace, "second_opinion": not second_opinion,
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
    divided = divide(rows, held_out, test, words.out_of_scope_label, how.seed, count_repeats=count_repeats)
    unfinished = Unfinished.open(checkpoints, restart=restart) if checkpoints else None
    asks = second_opinion and not method.record
    model = _trained(divided, how, promise, unfinished, progress, note, second_opinion=asks)
    member = train_member(divided, model.rows, model.how, progress, unfinished, note)
    best, table, added = _served(model, divided.names, wanted, method, member, progress, note)
    if progress:
        progress("certifying and judging", 0, 0)
    certify = Evidence.of(best.engine.run(model.certify), best.calibrator)
    certified = _certified(best, certify, model, divided.parts, how.seed, promise).about(divided.parts.population)
    splits, seen = of_splits(divided.parts)
    provenance = Provenance(
        folded=model.choice.calibrator,
        record={**added, "score": certified.compared, **splits},
        arrays={**seen, **(_refit_rows(model, best, certify, divided) if keep_refit_rows else {})},
        gate=table,
        baseline=fit_baseline(divided, promise, words, progress, note) if baseline else None,
    )
    made = certified.classifier(best.engine, best.calibrator, words, provenance)
    made = evaluated(made, divided.parts.test.texts, divided.parts.test.codes)
    return made if keep_refit_rows else made.with_provenance(baseline=None)  # its vocabulary is of the texts


@dataclass(frozen=True, slots=True, eq=False)
class _Trained:
    """A trained model with its calibrator folded in, and the rows that its engine is chosen and certified on."""

    files: ModelFiles
    reading: Json  # settings of its tokenizer
    how: Training
    choice: CalibratorChoice
    rows: Rows
    train: Tokens
    certify: Tokens
    opinions: Opinions


def _trained(
    divided: DividedTexts, how: Training, promise: Promise, unfinished: Unfinished | None, progress: Progress | None,
    note: Note | None, *, second_opinion: bool,
) -> _Trained:  # fmt: skip
    """Train the encoder on train rows, and calibrate it on tune rows."""
    from elsewise.engines.torch import last_linear  # noqa: PLC0415  torch
    from elsewise.training.fine_tune import train  # noqa: PLC0415  torch
    from elsewise.training.int8 import quantise_rows  # noqa: PLC0415  torch
    from elsewise.training.onnx_graph import write_model  # noqa: PLC0415  torch

    parts, before = divided.parts, member_of(unfinished, 0)
    learner, how = _prepared(divided, how, promise, unfinished)
    model = train(learner, parts.train, in_scope(parts.tune), how, progress, checkpoints=before, note=note)
    if progress:
        progress("calibrating", 0, 0)
    train_tokens, tune, certify = (learner.tokenize(part.texts) for part in (parts.train, parts.tune, parts.certify))
    has_no_bias = last_linear(model.model).bias is None
    logits = learner.outputs(model, tune).logits
    choice = choose_calibrator(logits, parts.tune.codes, preserve_argmax=has_no_bias)
    rows = Rows(tune, parts.tune.codes, quantise_rows(train_tokens, np.random.default_rng(how.seed)))
    files = write_model(model.folded(choice.calibrator), learner, divided.names)
    opinions = Opinions()
    if second_opinion:
        if progress:
            progress("asking for other opinions", 0, 0)
        chosen = sampled(parts.train.codes, how.seed)
        known = train_tokens.take(chosen), parts.train.codes[chosen]
        opinions = learn_opinions(learner, how, known, divided.names, parts.tune.codes, note)
    return _Trained(files, learner.tokenize.settings, how, choice, rows, train_tokens, certify, opinions)


def _served(
    model: _Trained, labels: tuple[str, ...], wanted: tuple[str, str], method: UncertaintyMethod,
    member: Callable[[int], ModelFiles], progress: Progress | None, note: Note | None,
) -> tuple[Serving, tuple[Json, ...], Json]:  # fmt: skip
    """Choose the engine, and add the second opinion or the uncertainty method; also give the table and the record."""
    best, table = serving(model.files, labels, model.reading, wanted, model.rows, progress=progress)
    record: Json = {"training": {**asdict(model.how), **method.record}, "calibrator": model.choice.record}
    best, worth = with_opinions(best, model.opinions, model.rows, note)
    return *method.added_to(best, table, model.rows, model.train, member), {**record, **worth}


def _prepared(
    divided: DividedTexts, how: Training, promise: Promise, unfinished: Unfinished | None
) -> "tuple[Learner, Training]":
    """Open the encoder, complete the settings, and warn of what `check` finds."""
    from elsewise.training.encoder import prepare  # noqa: PLC0415  torch

    first = member_of(unfinished, 0)
    before = first.settings() if first else None
    if before and how.precision == "auto":  # measured before; a new measurement could differ
        how = replace(how, precision=before["precision"])
    learner = prepare(divided.names, how)
    tokenizer = (learner.tokenizer.backend_tokenizer, how.encoder, how.max_length, find_positions(how.encoder))
    warn(examine(divided, promise.tested, tokenizer=tokenizer).findings)
    return learner, how.resolved(len(divided.parts.train), learner.model.model.config.hidden_size)


def _certified(
    best: Serving, certify: Evidence, model: _Trained, parts: Splits, seed: int, promise: Promise
) -> CertifiedParts:
    """Certify the chosen engine's outputs of tune, certify and train rows."""
    train = model.train
    tuned = (best.evidence, parts.tune.codes)
    if not len(parts.tune):  # train texts: overconfident, but still ranked correctly
        tuned = (Evidence.of(best.engine.run(train), best.calibrator), parts.train.codes)
        promise = replace(promise, unfamiliar=0)  # train texts are more familiar than any other
    known = _references(best, train, parts.train.codes, seed, model.opinions)
    return certified_parts(tuned, (certify, parts.certify.codes), known, promise, labels=best.engine.labels)


def _refit_rows(model: _Trained, best: Serving, certify: Evidence, divided: DividedTexts) -> dict[str, NDArray[Any]]:
    return {
        **refit_rows("train", model.rows.train),
        **refit_rows("tune", model.rows.tune, codes=model.rows.codes, logits=best.outputs.logits),
        **refit_rows("certify", model.certify, codes=divided.parts.certify.codes, logits=certify.logits),
    }


def _references(best: Serving, tokens: Tokens, codes: Codes, seed: int, opinions: Opinions) -> References | None:
    """Take features of train texts of every label; None from an engine without features."""
    rows = sampled(codes, seed)
    outputs = best.engine.run(tokens.take(rows))
    if opinions.as_it_came is not None:
        outputs = replace(outputs, embedding=opinions.as_it_came.embedding)
    evidence = Evidence(outputs.logits, outputs)
    return references_of(evidence, codes[rows]) if evidence.has_features else None
