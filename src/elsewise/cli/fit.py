"""``elsewise fit``."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from elsewise.cli import options
from elsewise.cli.endpoints import endpoint_engine, is_endpoint, labels_of_rows
from elsewise.cli.next_step import say_predict_next
from elsewise.cli.output import say_if_alike, to_stderr
from elsewise.cli.panels import ENGINE, TRAINING, Only, typed
from elsewise.cli.reports import save_with_report
from elsewise.cli.stopping import kept, wrote
from elsewise.cli.tables import show_fitted
from elsewise.data.defaults import CASCADE_CHANGE, MAX_LENGTH, TETHER
from elsewise.errors import ElsewiseError
from elsewise.progress import Choice, showing


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Options of training; a model that is already trained takes none of them."""

    encoder: options.Encoder = None
    epochs: options.Epochs = None
    learning_rate: Annotated[
        float | None, TRAINING(help="Peak learning rate of the encoder. Default: 2e-4 for MiniLM, 5e-5 for BERT-base.")
    ] = None
    batch_size: Annotated[
        int | None, TRAINING(min=1, help="Texts in one training step. Default: 64, fewer for few rows.")
    ] = None
    max_length: options.MaxLength = MAX_LENGTH
    windows: options.Windows = 1
    lowercase: options.Lowercase = None
    class_weights: Annotated[
        str | None, TRAINING(help="balanced: rare labels count as much as frequent ones in training. Default: none.")
    ] = None
    ensemble: Annotated[int | None, TRAINING(min=2, help="Train this many models and average their probabilities.")] = (
        None
    )
    mc_dropout: Annotated[
        int | None, TRAINING("--mc-dropout", min=2, help="Average this many MC-dropout passes (needs torch).")
    ] = None
    laplace: Annotated[
        bool, TRAINING("--laplace", help="Last-layer Laplace: lower confidence on texts unlike the training texts.")
    ] = False
    second_opinion: Annotated[
        bool, TRAINING(help="Also ask the encoder as it came where the fine-tuned model is unsure: better, and slower.")
    ] = True
    cascade: options.Cascade = False
    cascade_change: options.CascadeChange = CASCADE_CHANGE
    quick: Annotated[
        bool, TRAINING("--quick", help="Do not fine-tune: a minute instead of many, and often nearly as good.")
    ] = False
    keep: Annotated[
        str,
        TRAINING(
            metavar="MODEL",
            help="What to serve: encoder (fine-tuned), frozen (as --quick) or baseline. Default: best, the encoder "
            "unless tune rows show that another is better.",
        ),
    ] = "best"
    tether: Annotated[
        float, TRAINING(min=0, help="How strongly fine-tuning is kept near the encoder as it came. 0: not at all.")
    ] = TETHER
    restart: Annotated[bool, TRAINING("--restart", help="Start training anew instead of continuing.")] = False
    precision: options.Precision = "auto"


def fit(
    context: typer.Context,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled texts: .csv, .tsv or .jsonl. - is stdin.")],
    *,
    files: Annotated[options.Files, Only(*options.NEW_FILES)],
    held_out: options.HeldOut = None,
    test: options.Test = None,
    out_of_scope_label: options.OutOfScope = None,
    population: options.PopulationOptions,
    seed: options.Seed = 0,
    promise: options.PromiseOptions,
    strict: options.Strict = False,
    gates: options.GateOptions,
    other: options.Other = "Other",
    score: options.Score = "auto",
    engine: Annotated[
        str,
        ENGINE(
            help="Engine to certify: auto, native, openvino, onnxruntime or torch. "
            "auto: torch on a GPU, native elsewhere, or openvino where native does not serve. "
            "Or module:object, your own trained model. The module is imported (the current folder is searched too). "
            "DATA must be texts it was not trained on. Or systemone:URL or openai:URL, an endpoint that decides: each "
            "text is sent to it. #MODEL behind URL names its model.",
        ),
    ] = "auto",
    api_key_from: options.ApiKeyFrom = None,
    training: TrainingOptions,
    baseline: Annotated[
        bool, TRAINING(help="Also fit TF-IDF and logistic regression, to show what the encoder is worth.")
    ] = True,
    out: options.Out,
    overwrite: options.Overwrite = False,
    refit_rows: options.RefitRows = True,
    reporting: Annotated[options.ReportOptions, Only("language", "with_examples")],
    verbose: options.Verbose = False,
    as_json: options.AsJson = False,
) -> None:
    """Fine-tune an encoder and certify its threshold.

    A stopped run continues when the command is repeated. With --engine module:object nothing is trained: your own
    model is calibrated and certified.
    """
    from elsewise.engines.encoders import DEFAULT_ENCODER
    from elsewise.fitting.fit import fit as fit_texts
    from elsewise.fitting.fit_external import refuse_training
    from elsewise.storage.sealed_folder import check_target

    check_target(out)  # now, not after the training
    options.refuse_replacing(out, overwrite=overwrite)
    reporting.check()
    model = None if is_endpoint(engine) else options.engine_of(engine)
    asked = {**asdict(training), "encoder": training.encoder or DEFAULT_ENCODER, "baseline": baseline}
    if not isinstance(model, str):
        refuse_training(typed(context, TrainingOptions))
        asked = {}
    given, mended = options.rows_of({"data": data, "held_out": held_out, "test": test}, files, population)
    if model is None:
        named = labels_of_rows((rows[1] for rows in given.values()), out_of_scope_label)
        model = endpoint_engine(engine, named, api_key_from, out.with_name(f"{out.name}.answers.jsonl"))
    texts, labels, groups, times = given.pop("data")
    say_if_alike(other, labels)
    given |= {"groups": groups, "times": times, "count_repeats": population.count_repeats, "other": other,
        "out_of_scope_label": out_of_scope_label, **asdict(promise), **asdict(gates), "engine": model, "score": score,
        "strict": strict, "seed": seed, "keep_refit_rows": refit_rows}  # fmt: skip
    with _checkpoints_beside(out) as folder, showing("loading the libraries") as progress:
        if isinstance(model, str):
            asked["checkpoints"] = folder
        note = to_stderr if verbose else _worth_saying
        classifier = fit_texts(texts, labels, progress=progress, note=note, **asked, **given)
        classifier = options.noted(classifier, mended)
        save_with_report(classifier, out, progress, **reporting.how)
        wrote(out)
    show_fitted(classifier, out, as_json=as_json, verbose=verbose)
    if not as_json:
        say_predict_next(classifier, out, test or held_out or data, files.reading(), engine)


def _worth_saying(words: str) -> None:
    """Write a note on stderr, unless it tells of a choice on tune rows: what is served is said at the end."""
    if not isinstance(words, Choice):
        to_stderr(words)


@contextmanager
def _checkpoints_beside(out: Path) -> Iterator[Path]:
    """Give the folder of checkpoints beside the model: removed once the model is written, told if training stops."""
    from elsewise.training.checkpoint_folder import remove, what_is_kept

    place = out if out.name else out.absolute()  # the model may be made in "."
    folder = place.with_name(f"{place.name}.unfinished")
    try:
        yield folder
        remove(folder)
    except (KeyboardInterrupt, SystemExit):
        with suppress(ElsewiseError):
            if words := what_is_kept(folder):
                kept(f"{words}, in {folder}, from where the same command goes on")
        raise
    finally:
        with suppress(OSError):
            folder.rmdir()  # if nothing is in it
