"""``elsewise calibrate``."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elsewise.cli import options
from elsewise.cli.next_step import free_name, say_next, say_predict_next
from elsewise.cli.output import say_if_alike, to_stderr
from elsewise.cli.panels import DATA, typed
from elsewise.cli.reports import save_with_report
from elsewise.cli.stopping import wrote
from elsewise.cli.tables import show_fitted
from elsewise.errors import InputError
from elsewise.progress import showing

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier
    from elsewise.data.labelled_texts import Reading

OF_TEXTS = ("text_column", "maps", "dropped", "skip_bad_rows", "format")  # of files


@dataclass(frozen=True, slots=True)
class LogitsOptions:
    """Files of logits, which a folder makes of texts itself."""

    logits: options.Logits = None
    labels: options.LabelsOfLogits = None
    features: options.Features = None
    out_of_scope_logits: Annotated[
        str | None, DATA(metavar="FILE", help="Logits of more rows, which belong to none of the labels.")
    ] = None
    out_of_scope_features: Annotated[str | None, DATA(metavar="FILE", help="Features of the out-of-scope rows.")] = None
    test_logits: Annotated[str | None, DATA(metavar="FILE", help="Logits of rows to report on.")] = None
    test_labels: Annotated[str | None, DATA(metavar="FILE", help="Labels or codes of the test rows.")] = None
    test_features: Annotated[str | None, DATA(metavar="FILE", help="Features of the test rows.")] = None

    def check(self) -> None:
        """Raise InputError for labels or features without their logits."""
        if (self.test_logits is None) != (self.test_labels is None):
            raise InputError("test rows need both --test-logits and --test-labels")
        for part, with_logits, with_features in (
            ("out-of-scope", self.out_of_scope_logits, self.out_of_scope_features),
            ("test", self.test_logits, self.test_features),
        ):
            if (with_features is not None) != (self.features is not None and with_logits is not None):
                raise InputError(f"--{part}-features belongs to --features and --{part}-logits: give it where both are")


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """Options of a folder, which logits have no use for."""

    test: options.Test = None
    engine: options.Engine = "auto"
    precision: options.Precision = "auto"
    windows: options.Windows = 1


def calibrate(
    context: typer.Context,
    folder: Annotated[
        str | None,
        typer.Argument(metavar="FOLDER", help="Fine-tuned BERT, as save_pretrained() wrote it. Or give --logits."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="Labelled texts that it was not trained on: .csv, .tsv or .jsonl."),
    ] = None,
    *,
    files: options.Files,
    names: Annotated[
        str | None,
        DATA(metavar="FILE", help="Label names, one a line or a list in .json, in the order of the model's codes."),
    ] = None,
    of_logits: LogitsOptions,
    of_folder: FolderOptions,
    out_of_scope_label: options.OutOfScope = None,
    population: options.PopulationOptions,
    seed: options.Seed = 0,
    promise: options.PromiseOptions,
    strict: options.Strict = False,
    gates: options.GateOptions,
    other: options.Other = "Other",
    score: options.Score = "auto",
    out: options.Out,
    overwrite: options.Overwrite = False,
    refit_rows: options.RefitRows = True,
    verbose: options.Verbose = False,
    as_json: options.AsJson = False,
) -> None:
    """Calibrate a fine-tuned folder, or logits.

    No weight is trained. A folder needs the extra train; logits need no torch.
    """
    from elsewise.storage.sealed_folder import check_target

    check_target(out)
    options.refuse_replacing(out, overwrite=overwrite)
    given = {"count_repeats": population.count_repeats, "out_of_scope_label": out_of_scope_label, "other": other,
        "score": score, "seed": seed, "keep_refit_rows": refit_rows, "strict": strict, **asdict(promise),
        **asdict(gates)}  # fmt: skip
    if folder is None:
        _refuse(context, FolderOptions, "a folder")
        _refuse(context, options.Files, "texts", OF_TEXTS)
        with showing(f"calibrating {of_logits.logits or 'logits'}"):
            classifier = _of_logits(of_logits, names, files.reading(), population, given)
    else:
        _refuse(context, LogitsOptions, f"logits, and {folder} answers texts")
        classifier = _of_folder(folder, data, names, of_folder, files, population, given)
    with showing(f"writing {out}") as progress:
        save_with_report(classifier, out, progress)
    wrote(out)
    show_fitted(classifier, out, as_json=as_json, verbose=verbose)
    if as_json:
        return
    if data is not None:
        say_predict_next(classifier, out, of_folder.test or data, files.reading())
    else:
        _say_logits_next(out, of_logits)


def _say_logits_next(out: Path, own: LogitsOptions) -> None:
    """Name the command that answers rows of logits."""
    rows, beside = (own.test_logits, own.test_features) if own.test_logits else (own.logits, own.features)
    say_next("predict", out, rows, *(["--features", beside] if beside else []), "-o", free_name("answers.csv"))


def _refuse(context: typer.Context, group: type[Any], about: str, names: tuple[str, ...] | None = None) -> None:
    """Raise InputError for the first option of a group that was typed."""
    for option in typed(context, group, names):
        raise InputError(f"{option} is about {about}; leave it out")


def _of_folder(
    folder: str, data: str | None, names: str | None, own: FolderOptions, files: options.Files,
    population: options.PopulationOptions, given: dict[str, Any],
) -> "Classifier":  # fmt: skip
    from elsewise.data.logits import read_names
    from elsewise.fitting.calibrate import calibrate as calibrate_folder
    from elsewise.training.saved_folder import check_folder

    if data is None:
        raise typer.BadParameter(f"name labelled texts too: elsewise calibrate {folder} held_out.csv -o model")
    check_folder(folder)
    asked = read_names(names, files.encoding) if names else None
    rows, mended = options.rows_of({"data": data, "test": own.test}, files, population)
    texts, labels, groups, times = rows.pop("data")
    say_if_alike(given["other"], asked or labels)
    with showing("loading the libraries") as progress:
        made = calibrate_folder(
            Path(folder), texts, labels, names=asked, groups=groups, times=times, engine=own.engine,
            precision=own.precision, windows=own.windows, progress=progress, note=to_stderr, **rows, **given,
        )  # fmt: skip
    return options.noted(made, mended)


def _of_logits(
    own: LogitsOptions, names: str | None, how: "Reading", population: options.PopulationOptions, given: dict[str, Any]
) -> "Classifier":
    from elsewise.data.labels import label_codes
    from elsewise.data.logits import read_codes, read_columns, read_logits, read_names
    from elsewise.fitting.calibrate import calibrate as calibrate_logits
    from elsewise.messages.wording import counted, listed

    if own.logits is None or own.labels is None:
        raise typer.BadParameter("name a folder and labelled texts, or --logits FILE and --labels FILE")
    own.check()
    asked = read_names(names, how.encoding) if names else None
    array, columns = read_logits(own.logits, how, asked)
    if asked and len(asked) != array.shape[-1]:
        counts = counted(len(asked), "name"), counted(array.shape[-1], "column")
        holds = f"{names} holds {counts[0]}, and {own.logits} has {counts[1]}"
        raise InputError(f"{holds}; write one name for each column, in their order")
    if columns and not asked:
        to_stderr(f"{own.logits}: its {len(columns):,} columns are the labels {listed(columns)}")
    known = asked or columns or tuple(map(str, range(array.shape[-1])))
    say_if_alike(given["other"], known)
    code_of = label_codes(known, given["out_of_scope_label"])
    outside = _rows(own.out_of_scope_logits, own.out_of_scope_features, how, known)
    tested = _rows(own.test_logits, own.test_features, how, known)
    if tested and own.test_labels is not None:
        tested = (tested[0], read_codes(own.test_labels, how, code_of), *tested[1:])
    marked = read_columns(own.labels, how, population.columns) if population.columns else {}
    groups, times = population.marks(marked)
    return calibrate_logits(
        array, read_codes(own.labels, how, code_of), known, test=tested,
        features=None if own.features is None else read_logits(own.features, how)[0],
        out_of_scope=outside[0] if outside and own.features is None else outside,
        groups=groups, times=times, **given,
    )  # fmt: skip


def _rows(logits: str | None, features: str | None, how: "Reading", known: tuple[str, ...]) -> tuple[Any, ...] | None:
    """Read logits, and features where there are any; None where there are no logits."""
    from elsewise.data.logits import read_logits

    if logits is None:
        return None
    beside = () if features is None else (read_logits(features, how)[0],)
    return (read_logits(logits, how, known)[0], *beside)
