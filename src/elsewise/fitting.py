"""From labelled texts, or labelled logits, to a certified classifier. Nothing flows back.

fit:        train -> weights    tune -> calibrator, grid     certify -> threshold + certificate    test -> evaluation
calibrate:                      tune -> calibrator, grid     certify -> threshold + certificate
"""

import platform
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from elsewise.around import Around, train_member
from elsewise.arrays import ABSTAIN, Codes, as_codes, as_logits
from elsewise.baseline import learned
from elsewise.calibrator_choice import CalibratorChoice, choose_calibrator
from elsewise.certifying import Promise
from elsewise.checking import examine, size_findings, warn
from elsewise.classifier import Classifier, check_other
from elsewise.conformal import SplitConformal
from elsewise.distances import references_of
from elsewise.encoders import DEFAULT_ENCODER
from elsewise.engines.logits import LogitsEngine
from elsewise.errors import ElsewiseWarning, InputError
from elsewise.evaluation import evaluate
from elsewise.export import Rows, check_engine, refit_rows, serving
from elsewise.familiarity import FamiliarityTest
from elsewise.gate import Serving
from elsewise.outputs import Evidence, Outputs, References
from elsewise.rules import CertifiedThreshold
from elsewise.rules.certified import check_promise
from elsewise.score_choice import check_score, named_score
from elsewise.splits import Divided, LabelledTexts, Pairs, Splits, divide, hashes, stratified
from elsewise.tokens import Tokens
from elsewise.unfinished import Unfinished, member_of

if TYPE_CHECKING:
    from elsewise.engines.torch import TorchModel
    from elsewise.training import Learner, Training

REFERENCES = 20_000  # train texts that distances are measured from

Progress = Callable[[str, int, int], None]
Note = Callable[[str], None]
Labelled = tuple[Evidence, Codes]


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
    engine: str = "auto",
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
    engine : {"auto", "openvino", "onnxruntime", "torch"}
        What answers; auto is torch where it finds a GPU, openvino elsewhere.
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
        Fields of `elsewise.training.Training`: epochs, learning_rate, batch_size, patience, max_length, seed,
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
        that weight that `elsewise.checking.check` finds.
    """
    from elsewise.graphs import quantise_rows, write_model  # noqa: PLC0415  torch
    from elsewise.training import Training, train  # noqa: PLC0415  torch

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
    if progress:
        progress("calibrating", 0, 0)
    tokens = Tokenised(*(learner.tokenize(part.texts) for part in (parts.train, parts.tune, parts.certify)))
    choice = _chosen_calibrator(model, learner.outputs(model, tokens.tune), parts.tune.codes)
    rows = Rows(tokens.tune, parts.tune.codes, quantise_rows(tokens.train, np.random.default_rng(how.seed)))
    files = write_model(model.folded(choice.calibrator), learner, names)
    best, table = serving(files, names, learner.tokenize.settings, wanted, rows, progress=progress)
    member = train_member(names, parts.train, in_scope, rows, how, progress, unfinished, note)
    best, table = around.serving(best, table, rows, tokens.train, member)
    if progress:
        progress("certifying and judging", 0, 0)
    certify = Evidence.of(best.engine.run(tokens.certify), best.calibrator)
    judged, compared = _judged_on(best, certify, tokens.train, parts, how.seed, promise)
    recorded = {"training": {**asdict(how), **around.record}, "calibrator": choice.record, "score": compared}
    kept = _refit_rows(rows, best, tokens.certify, certify, parts.certify.codes) if keep_refit_rows else {}
    classifier = Classifier(
        engine=best.engine,
        calibrator=best.calibrator,
        **judged,
        **words,
        folded=choice.calibrator,
        record={**recorded, **_record(parts)},
        arrays={**_seen(parts), **kept},
        gate=table,
        baseline=_baseline(divided, promise, words, progress, note) if baseline else None,
    )
    return _evaluated(classifier, parts.test)


def calibrate(
    logits: Any,
    codes: Any,
    *,
    labels: Iterable[str] | None = None,
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
        If shapes disagree, a logit is not finite, a code is out of range, or labels repeat.

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
    y = as_codes(codes, like=z, allow_abstain=True)
    engine = LogitsEngine(_names(labels, z.shape[1]))
    tune, certify = stratified(y, (1 / 3, 2 / 3), np.random.default_rng(seed))
    warn(size_findings(int((y[tune] >= 0).sum()), len(certify), len(y), promise.tested))
    calibration = choose_calibrator(z[tune], y[tune])
    tuned, certified = ((Evidence.of(Outputs(z[part]), calibration.calibrator), y[part]) for part in (tune, certify))
    judged, compared = _judged(tuned, certified, None, promise)
    sizes = {"tune": len(tune), "certify": len(certify)}
    kept = {
        f"refit.{name}.{column}": values[part]
        for name, part in (("tune", tune), ("certify", certify))
        for column, values in (("logits", z), ("codes", y))
        if keep_refit_rows
    }
    record = {"calibrator": calibration.record, "score": compared, "splits": sizes, "versions": _versions()}
    return Classifier(
        engine,
        calibration.calibrator,
        **judged,
        other=other,
        out_of_scope_label=out_of_scope_label,
        record=record,
        arrays=kept,
    )


def _names(labels: Iterable[str] | None, k: int) -> tuple[str, ...]:
    names = tuple(map(str, range(k) if labels is None else labels))
    if len(names) != k:
        raise InputError(f"logits have {k} columns, got {len(names)} labels")
    if len(set(names)) < k:
        raise InputError(f"labels must differ, got {next(name for name in names if names.count(name) > 1)!r} twice")
    return names


def _prepared(
    divided: Divided, how: "Training", promise: Promised, unfinished: Unfinished | None
) -> "tuple[Learner, Training]":
    """Open the encoder, complete the settings, and say what `check` warns of."""
    from elsewise.training import prepare  # noqa: PLC0415  torch

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
    return _judged(tuned, (certify, parts.certify.codes), known, promise)


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


def _judged(
    tuned: Labelled, certify: Labelled, known: References | None, promise: Promised, looks: int = 1
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Choose the score on tune rows and certify its threshold; add what explains decisions, and how it was chosen."""
    score, compared = named_score(promise.score, *tuned, known)
    rule = CertifiedThreshold.fit(
        *certify,
        reference=tuned[0],
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


def _baseline(
    divided: Divided, promise: Promised, words: Mapping[str, Any], progress: Progress | None, note: Note | None
) -> Classifier | None:
    """Fit the baseline as the encoder was; its certificate counts as a second look at the certify rows."""
    if progress:
        progress("fitting the baseline", 0, 0)
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
        judged, compared = _judged(tuned, certify, None, replace(promise, score="auto"), looks=2)
    record = {"baseline": record, "calibrator": choice.record, "score": compared, **_record(parts)}
    return Classifier(engine, choice.calibrator, **judged, **words, record=record, arrays=_seen(parts))


def _evaluated(classifier: Classifier, test: LabelledTexts) -> Classifier:
    if not len(test):
        return classifier
    return replace(classifier, evaluation=evaluate(classifier, test.texts, codes=test.codes).as_dict())


def _record(parts: Splits) -> dict[str, Any]:
    sizes = {name: len(getattr(parts, name)) for name in ("train", "tune", "certify", "test")}
    return {
        "splits": sizes,
        "dropped": {"untrained": parts.untrained, "repeated": parts.repeated, "seen": parts.seen},
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for library in (
        "elsewise",
        "numpy",
        "scipy",
        "tokenizers",
        "openvino",
        "onnxruntime",
        "scikit-learn",
        "torch",
        "transformers",
        "nncf",
    ):
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def _seen(parts: Splits) -> dict[str, Any]:
    named = (("train", parts.train), ("tune", parts.tune), ("certify", parts.certify))
    return {f"split.{name}": np.array(hashes(part.texts), dtype=np.uint64) for name, part in named}


def label_codes(names: Iterable[str], out_of_scope_label: str | None = None) -> Callable[[str], int]:
    """Make the function that turns one label into a code; codes themselves too, unless some label is a number.

    Examples
    --------
    >>> code_of = label_codes(["yes", "no"])
    >>> code_of("no"), code_of("-1")
    (1, -1)
    """
    known = {name: code for code, name in enumerate(names)}
    numbers = {} if any(name.strip().isdigit() for name in known) else {str(code): code for code in range(len(known))}
    numbers |= {"-1": -1} if out_of_scope_label is None else {out_of_scope_label: -1}

    def code_of(label: str) -> int:
        code = known.get(label, numbers.get(label.strip()))
        if code is None:
            raise InputError(
                f"label {label!r} is neither one of the {len(known)} names nor a code; name the columns with --names"
            )
        return code

    return code_of
