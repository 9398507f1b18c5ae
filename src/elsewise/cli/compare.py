"""``elsewise compare``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elsewise.cli import options
from elsewise.cli.next_step import say_next
from elsewise.cli.output import print_json, print_table, to_stderr, to_stdout
from elsewise.cli.panels import OUTPUT
from elsewise.cli.stopping import wrote
from elsewise.cli.tables import brief
from elsewise.errors import InputError
from elsewise.progress import showing

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier
    from elsewise.data.labelled_texts import LabelledFile, Reading
    from elsewise.evaluation.comparison import ChangedRow, Comparison, ModelFigures, Place, Primary
    from elsewise.evaluation.paired_bootstrap import Difference, Pair
    from elsewise.metrics import CalibrationError, Estimate

    Figure = Estimate | CalibrationError
    Line = tuple[str, Callable[[ModelFigures], Figure], str]

CHANGED_SHOWN = 10
LABELS_SHOWN = 10
LETTERS_SHOWN = 60


def compare(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL MODEL ... DATA",
            help="Two model folders or more, then labelled texts (.csv, .tsv, .jsonl). Write a model that was fitted "
            "around your own as FOLDER=module:object.",
        ),
    ],
    files: options.LabelledFiles,
    logits: options.LogitsOfModels = None,
    labels: options.LabelsOfLogits = None,
    out_of_scope_label: options.OutOfScope = None,
    threads: options.Threads = None,
    out: options.OutChanged = None,
    overwrite: options.Overwrite = False,
    shared_threshold: Annotated[
        float, OUTPUT(min=0, max=1, help="Show what this threshold would do to every model.")
    ] = 0.6,
    *,
    reporting: options.ReportOptions,
    as_json: options.AsJson = False,
) -> None:
    """Compare models on the same labelled rows, paired.

    The models are compared at equal coverage and at the same promise.
    """
    from elsewise.classifier.load import load
    from elsewise.evaluation.compare import compare as judge

    how = files.reading()
    named, data = (paths, None) if labels is not None else (paths[:-1], paths[-1])
    folders, engines = zip(*map(_parted, named), strict=True) if named else ((), ())
    _check_named(folders, data)
    reporting.check(*map(Path, folders), overwrite=overwrite)
    if out is not None:
        inputs = [path for path in (data, labels, *(logits or [])) if path is not None]
        _check_out(out, folders, inputs, overwrite=overwrite)
    with showing("opening the models") as progress:
        models = {
            name: load(folder, engine=options.engine_of(engine), threads=threads)
            for name, folder, engine in zip(_names(folders), folders, engines, strict=True)
        }
        read, rows = _rows(models, data, logits or [], labels, how, out_of_scope_label)
        compared = judge(
            *models.values(), names=tuple(models), out_of_scope_label=out_of_scope_label,
            shared_threshold=shared_threshold, progress=progress, **rows,
        )  # fmt: skip
    if out is not None:
        _write(out, compared.changed, read)
        wrote(out)
    if reporting.report is not None:
        _report(compared, read, reporting)
    if as_json:
        print_json(compared.as_dict())
        return
    for note in compared.notes:
        to_stderr(note)
    _show(compared, read)
    if out is not None:
        to_stderr(f"written: {out}, {len(compared.changed):,} rows that are decided differently")
    to_stdout(compared.verdict, bold=True)
    best = Path(folders[list(models).index(compared.leaderboard[0].name)])
    say_next("threshold", best)


def _report(compared: "Comparison", read: "LabelledFile | None", reporting: options.ReportOptions) -> None:
    from elsewise.report import comparison_page

    texts = read.texts if read is not None and reporting.with_examples else None
    page = comparison_page(compared, language=reporting.language, texts=texts, with_examples=reporting.with_examples)
    page.write(reporting.report or "")
    wrote(reporting.report)
    to_stderr(f"written: {reporting.report}")


def _check_named(folders: Sequence[str], data: str | None) -> None:
    """Raise InputError for too few models, or arguments in the wrong place."""
    if len(folders) < 2:  # noqa: PLR2004
        remedy = "--labels takes the place of DATA" if data is None else "name them before DATA"
        raise InputError(f"a comparison needs two models or more, got {len(folders)}; {remedy}")
    for folder in folders:
        if Path(folder).is_file():
            last = "--labels takes the place of DATA" if data is None else "DATA comes once, after the models"
            raise InputError(f"{folder} is a file, and not a model folder; {last}")
    if data is not None and Path(data).is_dir():
        instead = " (or, where all models are of logits, --labels FILE)"
        raise InputError(f"{data} is a folder, and not labelled texts; name DATA after the models{instead}")


def _check_out(out: str, folders: Sequence[str], inputs: Sequence[str], *, overwrite: bool) -> None:
    """Raise InputError where `out` would overwrite something, is stdout, or cannot be written."""
    from elsewise.data.formats import FORMATS, same_file

    if out == "-":
        raise InputError("stdout shows the comparison; name a .csv or .jsonl file with -o")
    if Path(out).suffix.lower() not in ("", *FORMATS):
        raise InputError(f"{out} cannot be written as {Path(out).suffix}; name a .csv or .jsonl file with -o")
    if not Path(out).parent.is_dir():
        raise InputError(f"{out} cannot be written: there is no folder {Path(out).parent}")
    for folder in folders:
        options.refuse_inside(out, Path(folder))
    for path in inputs:
        if same_file(path, out):
            raise InputError(f"{path} is an input file, and would be overwritten; choose another name for the output")
    options.refuse_replacing(out, overwrite=overwrite)


def _parted(model: str) -> tuple[str, str | None]:
    """Split FOLDER=module:object into the folder and the model, if one is given."""
    folder, _, named = model.partition("=")
    return (folder, named) if ":" in named and not Path(model).exists() else (model, None)


def _names(folders: Sequence[str]) -> list[str]:
    """Name models by their folders; by whole paths where two folders have the same name."""
    short = [Path(folder).resolve().name for folder in folders]
    names = short if len(set(short)) == len(short) else list(folders)
    if len(set(names)) < len(names):
        raise InputError(f"a model is compared with itself: {', '.join(folders)}")
    return names


def _rows(
    models: "Mapping[str, Classifier]", data: str | None, logits: Sequence[str], labels: str | None, how: "Reading",
    out_of_scope_label: str | None,
) -> "tuple[LabelledFile | None, dict[str, Any]]":  # fmt: skip
    """Read the models' inputs and true labels: rows of texts, if there are any, and arguments of `compare`."""
    from elsewise.data.labelled_texts import read_labelled
    from elsewise.data.logits import read_logits
    from elsewise.engines import reads_logits
    from elsewise.messages.wording import counted

    of_logits = [name for name, model in models.items() if reads_logits(model.engine)]
    if len(logits) != len(of_logits):
        whose = f" ({', '.join(of_logits)})" if of_logits else ""
        raise InputError(
            f"--logits is needed once for each model of logits, in their order: {len(of_logits)} of the models are"
            f"{whose}, got {len(logits)}",
        )
    read = {name: read_logits(path, how, models[name].labels)[0] for name, path in zip(of_logits, logits, strict=True)}
    if data is None:
        if len(of_logits) < len(models):
            lacking = next(name for name in models if name not in of_logits)
            raise InputError(f"{lacking} answers texts, so name DATA after the models instead of --labels")
        return None, {"texts": read, **_true(str(labels), how, list(models.values()), out_of_scope_label)}
    rows = read_labelled(data, how, strict=False)
    if rows.bad and of_logits:
        line, problem = rows.bad[0].line, rows.bad[0].problem
        raise InputError(
            f"{data} line {line}: row {rows.bad[0].number} {problem}; mend it, as every row has its logits",
        )
    to_stderr(f"{data}: {counted(len(rows.texts), 'row')}, {', '.join(rows.notes)}")
    texts = {name: read.get(name, rows.texts) for name in models}
    return rows, {"texts": texts, "labels": rows.labels, "rejected": rows.rejected}


def _true(path: str, how: "Reading", models: "Sequence[Classifier]", out_of_scope_label: str | None) -> dict[str, Any]:
    """Read true codes where all models have the same labels, or else names."""
    from elsewise.data.labels import label_codes
    from elsewise.data.logits import is_array, read_codes

    if how.maps or how.dropped:
        raise InputError("--map and --drop-label are for models of texts; here a row is a row of logits")
    first, *others = models
    if is_array(path) or all(model.labels == first.labels for model in others):
        marks = (out_of_scope_label, *(model.out_of_scope_label for model in models))
        mark = next((mark for mark in marks if mark is not None), None)
        return {"codes": read_codes(path, how, label_codes(first.labels, mark))}
    words: list[str] = []

    def keep(word: str) -> int:
        words.append(word)
        return 0

    read_codes(path, how, keep)
    return {"labels": words}


def _write(path: str, changed: "Sequence[ChangedRow]", read: "LabelledFile | None") -> None:
    from elsewise.data.formats import open_writer

    rows = [_flat(row, read) for row in changed]
    columns = list(rows[0]) if rows else ["row", "label"]
    with open_writer(path, columns) as writer:
        writer.write(rows)


def _flat(row: "ChangedRow", read: "LabelledFile | None") -> dict[str, Any]:
    """Put a changed row in columns."""
    from elsewise.storage.json_files import plain_fields

    text = {} if read is None else {"text": read.texts[row.row]}
    said = {f"{name} {part}": value for name, says in row.models.items() for part, value in plain_fields(says).items()}
    return {"row": _number(row, read), **text, "label": row.label or "", **said}


def _number(row: "ChangedRow", read: "LabelledFile | None") -> int:
    """Give the number of a row, from 1, as in its file, with the rows that were left out."""
    return row.row + 1 if read is None else read.numbers[row.row]


def _show(compared: "Comparison", read: "LabelledFile | None") -> None:
    models, rows, pairs = compared.models, compared.rows, compared.pairs
    rejected = f", {rows.rejected:,} rejected" if rows.rejected else ""
    to_stdout(
        f"Compared on {rows.in_scope:,} in-scope and {rows.out_of_scope:,} out-of-scope rows{rejected}, by "
        f"{len(compared.labels.common):,} labels.",
    )
    figures = list(_figures(models, compared.primary.target_accuracy))
    if len(pairs) == 1:
        _show_pair(pairs[0], models, figures)
    else:
        _show_board(compared.leaderboard, compared.primary)
        lines = [(words, *(brief(of(model)) for model in models.values())) for words, of, _ in figures]
        print_table("Every figure, with 95 % intervals", ("", *models), lines)
    _show_changed(compared.changed, list(models), read)
    for name, model in models.items():
        if model.texts_per_second is not None:
            then = model.texts_per_second_at_fit
            before = f", {then:,.0f} when it was fitted" if then else ""
            to_stderr(f"{name}: {model.texts_per_second:,.0f} texts/s in this one run, no benchmark{before}")


def _figures(models: "Mapping[str, ModelFigures]", target: float) -> "Iterator[Line]":
    """Yield each line of the table: its words, how to find it in a model, and the name of its difference."""

    def of_model(name: str) -> "Callable[[ModelFigures], Figure]":
        return lambda model: model.figures[name]

    def at_shared_threshold(name: str) -> "Callable[[ModelFigures], Figure]":
        return lambda model: getattr(model.shared_threshold, name)

    for words, name in (*_FIGURES, (f"coverage where the accuracy is {target:.4g}", "coverage_at_accuracy")):
        yield words, of_model(name), name
    shared = next(iter(models.values())).shared_threshold.threshold
    for words, name in (("coverage", "coverage"), ("accuracy when answered", "accuracy_when_answered")):
        yield f"one threshold for all, {shared:g}: {words}", at_shared_threshold(name), ""


_FIGURES = (
    ("accuracy of the best label", "accuracy"),
    ("log loss (less is better)", "log_loss"),
    ("Brier score (less is better)", "brier"),
    ("AUC, one versus rest", "auc"),
    ("calibration error", "ece"),
    ("AUGRC, risk and coverage (less is better)", "augrc"),
    ("own threshold: answered right", "right"),
    ("own threshold: answered wrongly", "wrong"),
    ("own threshold: coverage", "coverage"),
    ("own threshold: accuracy when answered", "accuracy_when_answered"),
    ("accuracy of the surest 80 %", "accuracy_at_coverage_0.8"),
    ("accuracy of the surest 90 %", "accuracy_at_coverage_0.9"),
)


def _show_pair(pair: "Pair", models: "Mapping[str, ModelFigures]", figures: "Sequence[Line]") -> None:
    a, b = pair.a, pair.b
    lines = []
    for words, of, name in figures:
        values = [of(models[which]) for which in (a, b)]
        lines.append(
            (words, *(brief(value).split(" ")[0] for value in values), *_apart(pair.figures.get(name), values))
        )
    header = ("", a, b, f"{a} minus {b}, 95 % interval", "p, McNemar", "shown")
    print_table("The same rows with both; each with its own interval in --json", header, lines)
    best, decided = pair.outcomes.best, pair.outcomes.decided
    to_stdout(
        f"Best label: {best.both_right:,} rows both right, {best.only_a:,} only {a}, {best.only_b:,} only "
        f"{b}, {best.both_wrong:,} neither. {pair.outcomes.changed:,} rows are decided differently.",
    )
    to_stdout(f"\nWhat becomes of the rows, with {a} (down) and with {b} (across):")
    lines = [(row, *(f"{count:,}" for count in counts.values())) for row, counts in decided.items()]
    print_table("", ("", *decided), lines)
    _show_labels(pair)


def _apart(found: "Difference | None", values: "Sequence[Figure]") -> tuple[str, str, str]:
    """Write the difference of two figures, its p-value, and whether it is shown; or the values of perfect models."""
    if found is not None:
        p_value = getattr(found, "p_value", None)
        return brief(found.difference), "" if p_value is None else f"{p_value:.4f}", "yes" if found.shown else "no"
    nulls = [f"{null:.3f}" for value in values if (null := getattr(value, "null", None)) is not None]
    return f"if perfect {' and '.join(nulls)}" if nulls else "", "", ""


def _show_labels(pair: "Pair") -> None:
    labels = sorted(pair.labels, key=lambda row: -abs(row.difference.value))[:LABELS_SHOWN]
    lines = [
        (row.label, f"{row.rows:,}", *(f"{value:.3f}" for both in (row.recall, row.f1) for value in (both.a, both.b)),
         brief(row.difference), "yes" if row.shown else "no")
        for row in labels
    ]  # fmt: skip
    a, b = pair.a, pair.b
    header = ("label", "rows", f"recall: {a}", b, f"F1: {a}", b, "difference in recall", "shown")
    title = f"The {len(labels)} of {len(pair.labels):,} labels whose recall differs most; all intervals hold together"
    print_table(title, header, lines)


def _show_board(board: "Sequence[Place]", primary: "Primary") -> None:
    words = {"right": "answered right at the same promise", "accuracy": "accuracy of the best label"}
    lines = [
        (place.name, brief(place.figure),
         *(("", "") if (apart := place.behind_the_best) is None else (brief(apart), "yes" if place.shown else "no")))
        for place in board
    ]  # fmt: skip
    header = ("", words[primary.figure], "the best minus it", "shown")
    print_table("Leaderboard; the intervals of all pairs hold together at 95 %", header, lines)


def _show_changed(changed: "Sequence[ChangedRow]", names: Sequence[str], read: "LabelledFile | None") -> None:
    if not changed:
        return
    from elsewise.messages.wording import shortened

    lines = [
        (f"{_number(row, read):,}",
         *([] if read is None else [shortened(read.texts[row.row], LETTERS_SHOWN)]), row.label or "-",
         *(row.models[name].label for name in names))
        for row in changed[:CHANGED_SHOWN]
    ]  # fmt: skip
    header = ("row", *([] if read is None else ["text"]), "true", *names)
    to_stdout(f"The first {len(lines)} of {len(changed):,} rows that are decided differently; -o FILE writes all:")
    print_table("", header, lines)
