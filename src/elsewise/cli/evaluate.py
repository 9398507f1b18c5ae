"""``elsewise evaluate``."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elsewise.cli.next_step import reading_words, say_next, say_threshold_next
from elsewise.cli.options import (
    AsJson,
    Features,
    LabelledFiles,
    LabelsOfLogits,
    ModelPath,
    OutOfScope,
    Overwrite,
    ReportOptions,
    ServedOptions,
)
from elsewise.cli.output import print_json, to_stderr
from elsewise.cli.panels import DATA
from elsewise.cli.stopping import wrote
from elsewise.cli.tables import print_breakdown, print_evaluation, print_promise, print_strangers, print_verdict
from elsewise.errors import InputError
from elsewise.progress import Progress, showing

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier
    from elsewise.data.labelled_texts import Reading
    from elsewise.evaluation.evaluate import Evaluation


def evaluate(
    model: ModelPath,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Labelled texts (.csv, .tsv, .jsonl), or logits (.npy, .npz, .csv).")
    ],
    files: LabelledFiles,
    served: ServedOptions,
    labels: LabelsOfLogits = None,
    features: Features = None,
    out_of_scope_label: OutOfScope = None,
    slices: Annotated[
        list[str] | None,
        DATA("--slice", metavar="COLUMN", help="Also evaluate the rows of each value of this column. Repeatable."),
    ] = None,
    *,
    reporting: ReportOptions,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate a model on labelled rows, without and with Other.

    With --report, also write it as a page.
    """
    from elsewise.engines import reads_logits
    from elsewise.engines.logits import check_features

    how = files.reading()
    reporting.check(model, overwrite=overwrite)
    with showing(f"opening {model}") as progress:
        classifier = served.load(model)
        check_features(classifier.engine, features)
        if reads_logits(classifier.engine):
            judged = _judged_logits(classifier, data, labels, features, how, out_of_scope_label, slices or [], progress)
        else:
            judged = _judged_texts(classifier, data, labels, how, out_of_scope_label, slices or [], progress)
        if reporting.report is not None:
            if progress:
                progress("writing the report", 0, 0)
            _report(judged, classifier, model, reporting)
    if reporting.report is not None:
        wrote(reporting.report)
        to_stderr(f"written: {reporting.report}")
    if as_json:
        print_json(judged.as_dict())
        return
    print_promise(classifier)
    print_evaluation(judged.as_dict(), model)
    print_breakdown(judged)
    print_strangers(judged.strangers)
    print_verdict(judged.verdict)
    _say_next(model, data, judged, how, served)


def _say_next(model: Path, data: str, judged: "Evaluation", how: "Reading", served: ServedOptions) -> None:
    """Name the command that looks into a broken promise, or else the one that shows other thresholds."""
    if data != "-" and judged.verdict is not None and judged.verdict.outcome.value == "contradicted":
        columns = ("text_column", "label_column", "delimiter", "encoding", "format")
        say_next("check", data, *reading_words(how, *columns))
    else:
        say_threshold_next(model, served.engine, served.precision)


def _report(judged: "Evaluation", classifier: "Classifier", model: Path, reporting: ReportOptions) -> None:
    from elsewise.report import page

    page(judged, classifier, model=str(model), **reporting.how).write(reporting.report or "")


def _judged_texts(
    classifier: "Classifier", data: str, labels: str | None, how: "Reading", out_of_scope_label: str | None,
    slices: Sequence[str], progress: Progress | None,
) -> "Evaluation":  # fmt: skip
    from elsewise.data.labelled_texts import read_labelled
    from elsewise.evaluation.evaluate import evaluate as judge
    from elsewise.messages.wording import counted

    if labels is not None:
        raise InputError("--labels is for a model of logits; here the labels are a column of DATA")
    rows = read_labelled(data, how, strict=False, slices=slices)
    to_stderr(f"{data}: {counted(len(rows.texts), 'row')}, {', '.join(rows.notes)}")
    return judge(
        classifier, rows.texts, rows.labels,
        out_of_scope_label=out_of_scope_label, rejected=rows.rejected, slices=rows.columns,
        progress=progress,
    )  # fmt: skip


def _judged_logits(
    classifier: "Classifier", data: str, labels: str | None, features: str | None, how: "Reading",
    out_of_scope_label: str | None, slices: Sequence[str], progress: Progress | None,
) -> "Evaluation":  # fmt: skip
    from elsewise.data.labels import label_codes
    from elsewise.data.logits import is_array, read_codes, read_columns, read_logits
    from elsewise.engines.logits import rows_of
    from elsewise.evaluation.evaluate import evaluate as judge
    from elsewise.evaluation.true_labels import warn_of_unknown

    if how.maps or how.dropped:
        raise InputError("--map and --drop-label are for a model of texts; here a row is a row of logits")
    if labels is None and (data == "-" or is_array(data)):
        raise InputError(f"{data} holds logits and no labels; pass the labels with --labels FILE")
    columns = read_columns(labels or data, how, slices) if slices else {}
    logits, _ = read_logits(data, how, classifier.labels)
    rows = logits if features is None else rows_of(logits, read_logits(features, how)[0])
    mark = out_of_scope_label or classifier.out_of_scope_label
    unknown: Counter[str] = Counter()
    codes = read_codes(labels or data, how, label_codes(classifier.labels, mark, unknown))
    if unknown and sum(unknown.values()) == len(codes):
        read_codes(labels or data, how, label_codes(classifier.labels, mark))  # refuses the first
    warn_of_unknown(unknown, len(codes), classifier.labels)
    return judge(classifier, rows, codes=codes, slices=columns, progress=progress)
