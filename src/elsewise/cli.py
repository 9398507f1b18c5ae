"""The command line: parse, call one function that Python users can call too, print.

stdout carries results, stderr words and progress. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

import json
import math
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elsewise.errors import ElsewiseError, ElsewiseWarning, InputError

if TYPE_CHECKING:
    from elsewise.classifier import Classifier
    from elsewise.evaluation import Evaluation
    from elsewise.reading import Reading

app = typer.Typer(
    name="elsewise",
    help="Text in, a label you can trust out, or else Other.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="MODEL", help="The model folder to write.")]
TextColumn = Annotated[str, typer.Option(help="The column that holds the texts.")]
LabelColumn = Annotated[str, typer.Option(help="The column that holds the labels.")]
Delimiter = Annotated[str | None, typer.Option(help="Of CSV files; read from the header otherwise.")]
Encoding = Annotated[str | None, typer.Option(help="Of the files, such as cp1254; UTF-8 otherwise.")]
Format = Annotated[
    str | None, typer.Option("--format", help="csv, tsv or jsonl, where the name of the file does not say.")
]
TargetAccuracy = Annotated[float, typer.Option(help="Promise: at least this share of what is answered is right ...")]
ConfidenceLevel = Annotated[float, typer.Option(help="... at this confidence level.")]
Other = Annotated[str, typer.Option(help="The word shown for an abstention.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the splits and the training.")]
Engine = Annotated[
    str, typer.Option(help="auto, openvino, onnxruntime or torch: auto is torch on a GPU, else openvino.")
]
Precision = Annotated[
    str, typer.Option(help="auto, f32, bf16, f16 or int8: auto is the fastest that is close enough to f32.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Of the engine; the cores that it may use otherwise.")]
ServedEngine = Annotated[
    str | None, typer.Option("--engine", help="One that MODEL is certified on; its default otherwise.")
]
ServedPrecision = Annotated[
    str | None, typer.Option("--precision", help="One that MODEL is certified on; its default otherwise.")
]
RefitRows = Annotated[bool, typer.Option(help="Keep tokens and logits of tune and certify rows in the folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Epochs = Annotated[
    int | None, typer.Option(min=1, help="At most so many passes; 3 to 12 by the number of rows otherwise.")
]
OutOfScope = Annotated[str | None, typer.Option(help="The label of rows that belong to none of the labels.")]


@app.callback(invoke_without_command=True)
def version_option(*, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Text in, a label you can trust out, or else Other."""
    if version:
        from elsewise import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where files and model go.")] = Path(
        "elsewise-demo"
    ),
    epochs: Epochs = None,
    as_json: Json = False,
) -> None:
    """Fit, certify and predict on a built-in sample of support texts, offline."""
    from elsewise.demo import run_demo

    with _progress() as progress:
        shown = run_demo(out, progress=progress, epochs=epochs)
    if as_json:
        _print_json({"folder": str(out), "reasons": shown.reasons(), **_description(shown.classifier)})
        return
    _print_promise(shown.classifier)
    _print_evaluation(shown.classifier.evaluation or {})
    _print_table(
        "Some of the new texts, and what was decided", ("text", "decision", "why"), shown.examples(), wide=True
    )
    answered = shown.reasons().get("answered", 0)
    typer.echo(
        f"\nOf {len(shown.new)} new texts {answered} were answered and {len(shown.new) - answered} left as Other:"
    )
    _print_table("", ("reason", "texts"), [(reason, str(n)) for reason, n in sorted(shown.reasons().items())])
    program = _program()
    typer.echo(
        f"\nNext:\n"
        f"  {program} predict {out}/model {out}/new.csv -o {out}/answers.csv\n"
        f"  {program} evaluate {out}/model {out}/new.csv\n"
        f"  {program} fit YOUR.csv -o model --text-column TEXT --label-column LABEL"
    )


@app.command()
def fit(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled texts: .csv, .tsv or .jsonl; - for stdin.")],
    out: Out,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    encoder: Annotated[str | None, typer.Option(help="A BERT-family encoder, by name or folder.")] = None,
    target_accuracy: TargetAccuracy = 0.95,
    confidence_level: ConfidenceLevel = 0.95,
    out_of_scope_label: OutOfScope = None,
    held_out: Annotated[str | None, typer.Option(metavar="FILE", help="Rows to calibrate and certify on.")] = None,
    test: Annotated[str | None, typer.Option(metavar="FILE", help="Rows to report on.")] = None,
    other: Other = "Other",
    epochs: Epochs = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of the encoder, at its peak; chosen by its width otherwise.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts in a training step.")] = 64,
    max_length: Annotated[int, typer.Option(min=8, help="Tokens read of a text.")] = 256,
    engine: Engine = "auto",
    precision: Precision = "auto",
    seed: Seed = 0,
    refit_rows: RefitRows = True,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    file_format: Format = None,
    as_json: Json = False,
) -> None:
    """Fine-tune an encoder on labelled texts, calibrate it, and certify when it says Other."""
    from elsewise.encoders import DEFAULT_ENCODER
    from elsewise.fitting import fit as fit_texts
    from elsewise.folder import check_target

    check_target(out)  # now, and not when the training is over
    how = _reading(text_column, label_column, delimiter, encoding, file_format)
    texts, labels = _labelled(data, how)
    if other in labels:
        _say(f"a label is called {other!r}, as abstentions are: tell them apart by the column abstained, or by --other")
    with _progress() as progress:
        classifier = fit_texts(
            texts,
            labels,
            encoder=encoder or DEFAULT_ENCODER,
            target_accuracy=target_accuracy,
            confidence_level=confidence_level,
            out_of_scope_label=out_of_scope_label,
            other=other,
            keep_refit_rows=refit_rows,
            progress=progress,
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            max_length=max_length,
            engine=engine,
            precision=precision,
            held_out=_labelled(held_out, how) if held_out else None,
            test=_labelled(test, how) if test else None,
            seed=seed,
        )
    classifier.save(out)
    _show_fitted(classifier, out, as_json=as_json)


@app.command()
def predict(
    model: ModelPath,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Texts (.csv, .tsv, .jsonl) or logits (.npy, .csv); - for stdin.")
    ],
    out: Annotated[str, typer.Option("--out", "-o", metavar="OUT", help="A .csv or .jsonl file; - for stdout.")] = "-",
    text_column: TextColumn = "text",
    top: Annotated[int, typer.Option(min=0, help="Add so many best labels with their probabilities.")] = 0,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Add the probability of every label.")] = False,
    engine: ServedEngine = None,
    precision: ServedPrecision = None,
    threads: Threads = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    file_format: Format = None,
    as_json: Json = False,
) -> None:
    """Answer every row of a file: a label, or Other with its reason."""
    from dataclasses import asdict

    from elsewise.classifier import load
    from elsewise.predict import predict_file

    how = _reading(text_column, "label", delimiter, encoding, file_format)
    if out != "-" and Path(out).resolve().is_relative_to(model.resolve()):
        raise InputError(f"{out} lies in the model folder, which must stay as it was written; choose another name")
    classifier = load(model, engine=engine, precision=precision, threads=threads)
    with _progress() as progress:
        summary = predict_file(classifier, data, out, how=how, top=top, probabilities=probabilities, progress=progress)
    for note in summary.notes:
        _say(f"{data}: {note}")
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(summary.reasons.items()))
    rejected = f"{summary.rejected:,} rejected" + (f" (see {summary.rejects})" if summary.rejects else "")
    other = f"{summary.other:,} {classifier.other}" + (f" ({reasons})" if reasons else "")
    _say(f"{summary.read:,} rows = {summary.answered:,} answered + {other} + {rejected}")
    if classifier.certificate is not None and not classifier.certificate.certified:
        _say("this model promises nothing, so that every row is Other; best_label and probability say what it thinks")
    if as_json:
        _print_json(asdict(summary), to_stderr=out == "-")


@app.command()
def evaluate(
    model: ModelPath,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Labelled texts (.csv, .tsv, .jsonl), or logits (.npy, .csv).")
    ],
    labels: Annotated[
        str | None, typer.Option(metavar="FILE", help="For logits: true codes (.npy), or labels or codes (.csv).")
    ] = None,
    out_of_scope_label: OutOfScope = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    engine: ServedEngine = None,
    precision: ServedPrecision = None,
    threads: Threads = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    file_format: Format = None,
    as_json: Json = False,
) -> None:
    """Judge a model on labelled rows: labels, probabilities, calibration, and what ships with Other."""
    from elsewise.classifier import load

    how = _reading(text_column, label_column, delimiter, encoding, file_format)
    classifier = load(model, engine=engine, precision=precision, threads=threads)
    with _progress() as progress:
        if progress:
            progress("evaluating", 0, 0)
        judge = _judged_logits if classifier.engine.name == "logits" else _judged_texts
        judged = judge(classifier, data, labels, how, out_of_scope_label)
    if as_json:
        _print_json(judged.as_dict())
    else:
        _print_promise(classifier)
        _print_evaluation(judged.as_dict())


@app.command()
def calibrate(
    logits: Annotated[str, typer.Option(metavar="FILE", help="Logits: .npy, or .csv with one numeric column a label.")],
    labels: Annotated[str, typer.Option(metavar="FILE", help="True codes (.npy), or labels or codes (.csv).")],
    out: Out,
    names: Annotated[
        str | None, typer.Option(metavar="FILE", help="Label names, one a line, in the order of the columns.")
    ] = None,
    out_of_scope_label: OutOfScope = None,
    label_column: LabelColumn = "label",
    target_accuracy: TargetAccuracy = 0.95,
    confidence_level: ConfidenceLevel = 0.95,
    other: Other = "Other",
    seed: Seed = 0,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    as_json: Json = False,
) -> None:
    """Calibrate and certify logits that you bring, of any model; no text model needed."""
    from elsewise.fitting import calibrate as calibrate_logits
    from elsewise.fitting import label_codes
    from elsewise.folder import check_target
    from elsewise.reading import read_codes, read_logits, read_names

    check_target(out)
    how = _reading("text", label_column, delimiter, encoding, None)
    asked = read_names(names, encoding) if names else None
    array, columns = read_logits(logits, how, asked)
    known = asked or columns or tuple(map(str, range(array.shape[-1])))
    codes = read_codes(labels, how, label_codes(known, out_of_scope_label))
    classifier = calibrate_logits(
        array,
        codes,
        labels=known,
        out_of_scope_label=out_of_scope_label,
        target_accuracy=target_accuracy,
        confidence_level=confidence_level,
        other=other,
        seed=seed,
    )
    classifier.save(out)
    _show_fitted(classifier, out, as_json=as_json)


@app.command()
def export(
    model: ModelPath,
    engine: Engine = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Certify MODEL on one more engine or precision, on the rows that it keeps: one more look at them."""
    from elsewise.export import export as export_model

    with _progress() as progress:
        made = export_model(model, engine=engine, precision=precision, threads=threads, progress=progress)
    if as_json:
        _print_json({"model": str(model), **_description(made)})
        return
    _print_gate(made.gate)
    _print_promise(made)
    _say(f"written: {model}")


@app.command()
def doctor(*, as_json: Json = False) -> None:
    """Show what is installed, which engine is used and why, and the commands that add what is missing."""
    from elsewise.doctor import diagnosis

    found = diagnosis()
    if as_json:
        _print_json(found)
        return
    encoder = found["encoder"] or "not on this machine"
    machine = {**found["machine"], "default encoder": encoder}
    _print_table("", ("machine", ""), [(name, str(value)) for name, value in machine.items()])
    _print_table("", ("library", "version"), [(name, version or "-") for name, version in found["versions"].items()])
    _print_table("", ("engine", "precisions", ""), [
        (name, ", ".join(engine["precisions"]) or "-", engine["note"]) for name, engine in found["engines"].items()
    ])  # fmt: skip
    for line in found["advice"] or ["Nothing is missing."]:
        typer.echo(line)


def _print_gate(gate: Sequence[Mapping[str, Any]]) -> None:
    header = ("", "texts/s", "MB", "accuracy", "log loss", "ECE", "other label", "worst change", "99 %", "close enough")
    rows = [
        (row["engine"], f"{row['texts_per_second']:,.0f}", f"{row['megabytes']:.0f}",
         *("-" if row[name] is None else f"{row[name]:.4f}" for name in ("accuracy", "log_loss", "ece")),
         f"{row['changed']:.2%}", f"{row['worst_change']:.4f}", f"{row['change_99']:.4f}",
         "yes" if row["passed"] else "no")
        for row in gate
    ]  # fmt: skip
    _print_table("Engines on tune rows, each after its own re-fit", header, rows)


def _program() -> str:
    """Say how this program was started, so that a command that it prints works when it is typed."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return "python -m elsewise"
    found = shutil.which("elsewise")
    return "elsewise" if found and started.resolve() == Path(found).resolve() else os.path.relpath(started)


def _judged_texts(
    classifier: "Classifier", data: str, labels: str | None, how: "Reading", out_of_scope_label: str | None
) -> "Evaluation":
    from elsewise.evaluation import evaluate as judge
    from elsewise.reading import read_labelled

    if labels is not None:
        raise InputError("--labels is for a model of logits; here the labels are a column of DATA")
    rows = read_labelled(data, how, strict=False)
    _say(f"{data}: {len(rows.texts):,} rows, {', '.join(rows.notes)}")
    return judge(classifier, rows.texts, rows.labels, out_of_scope_label=out_of_scope_label, rejected=rows.rejected)


def _judged_logits(
    classifier: "Classifier", data: str, labels: str | None, how: "Reading", out_of_scope_label: str | None
) -> "Evaluation":
    from elsewise.evaluation import evaluate as judge
    from elsewise.fitting import label_codes
    from elsewise.reading import read_codes, read_logits

    if labels is None and (data == "-" or data.endswith(".npy")):
        raise InputError(f"{data} holds logits and no labels; pass the labels with --labels FILE")
    logits, _ = read_logits(data, how, classifier.labels)
    names = label_codes(classifier.labels, out_of_scope_label or classifier.out_of_scope_label)
    return judge(classifier, logits, codes=read_codes(labels or data, how, names))


def _reading(text: str, label: str, delimiter: str | None, encoding: str | None, file_format: str | None) -> "Reading":
    from elsewise.reading import Reading

    return Reading(text, label, delimiter, encoding, file_format)


def _labelled(path: str, how: "Reading") -> tuple[list[str], list[str]]:
    from elsewise.reading import read_labelled

    read = read_labelled(path, how, strict=True)
    _say(f"{path}: {len(read.texts):,} rows, {', '.join(read.notes)}")
    return read.texts, read.labels


def _description(classifier: "Classifier") -> dict[str, Any]:
    return {
        "certificate": None if classifier.certificate is None else classifier.certificate.as_dict(),
        "served": {"engine": classifier.engine.name, **classifier.engine.settings},
        "gate": list(classifier.gate),
        "evaluation": classifier.evaluation,
        "record": dict(classifier.record),
    }


def _show_fitted(classifier: "Classifier", out: Path, *, as_json: bool) -> None:
    if as_json:
        _print_json({"model": str(out), **_description(classifier)})
        return
    sizes = ", ".join(f"{name} {count:,}" for name, count in classifier.record["splits"].items())
    dropped = ", ".join(
        f"{count:,} {_DROPPED[name]}" for name, count in classifier.record.get("dropped", {}).items() if count
    )
    _say(f"rows: {sizes}" + (f"; left out: {dropped}" if dropped else ""))
    _print_gate(classifier.gate)
    _print_promise(classifier)
    _print_evaluation(classifier.evaluation or {})
    _say(f"written: {out}")


_DROPPED = {
    "untrained": "out-of-scope in train",
    "repeated": "with a text that came before in the same part",
    "seen": "with a text of an earlier part",
}


def _print_promise(classifier: "Classifier") -> None:
    from elsewise.rules import threshold_words

    certificate = classifier.certificate
    if certificate is None:
        typer.echo(f"No promise: the threshold {threshold_words(classifier.rule)} was not tested for one.")
        return
    typer.echo(certificate.sentence)
    if certificate.certified:
        low, high = certificate.coverage_low, certificate.coverage_high
        typer.echo(
            f"Threshold {threshold_words(classifier.rule, digits=4)}; {certificate.coverage:.1%} of the rows answered "
            f"({low:.1%} to {high:.1%})."
        )


def _print_evaluation(judged: Mapping[str, Any]) -> None:
    if not judged:
        return
    rows, bare, system, outside = (judged[part] for part in ("rows", "classifier", "system", "out_of_scope"))
    counts = f"{rows['in_scope']:,} in-scope and {rows['out_of_scope']:,} out-of-scope rows"
    extra = "".join(f", {rows[name]:,} {name}" for name in ("unreadable", "rejected", "seen") if rows[name])
    typer.echo(f"\nJudged on {counts}{extra}.")
    if rows["seen"]:
        _say(f"{rows['seen']:,} of these texts were used to make the model: the figures flatter it")
    shown = [(name, bare[key]) for name, key in _CLASSIFIER_FIGURES]
    lines = [(name, *_figure(estimate)) for name, estimate in shown]
    lines[-1] = (lines[-1][0], lines[-1][1], f"{lines[-1][2]}; {bare['ece']['null']:.4f} if perfect")
    _print_table("The bare classifier, on in-scope rows", ("", "value", "95 % interval"), lines)
    parts = [("", system)] if not rows["out_of_scope"] else [("", system), (", in-scope rows", system["in_scope"])]
    lines = [(f"{name}{which}", *_figure(part[key])) for which, part in parts for name, key in _SYSTEM_FIGURES]
    if outside:
        lines += [(f"out-of-scope {name}", *_figure(outside[key])) for name, key in _OUTSIDE_FIGURES]
    _print_table("What ships, Other included", ("", "value", "95 % interval"), lines)


_CLASSIFIER_FIGURES = (
    ("accuracy", "accuracy"),
    ("macro-F1", "macro_f1"),
    ("log loss", "log_loss"),
    ("Brier score", "brier"),
    ("AUC, one versus rest", "auc"),
    ("calibration error", "ece"),
)
_SYSTEM_FIGURES = (("coverage", "coverage"), ("accuracy when answered", "accuracy_when_answered"))
_OUTSIDE_FIGURES = (("recall (left as Other)", "recall"), ("AUROC", "auroc"), ("AUPR", "aupr"))


def _figure(estimate: Mapping[str, float | None]) -> tuple[str, str]:
    value, low, high = (float("nan") if (x := estimate[key]) is None else x for key in ("value", "low", "high"))
    return ("-", "nothing to measure") if math.isnan(value) else (f"{value:.4f}", f"{low:.4f} to {high:.4f}")


def _print_table(title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, wide: bool = False) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", show_lines=False, padding=(0, 1))
    for name in header:
        table.add_column(name, overflow="fold", ratio=1 if wide else None)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a customer's [brackets] are no mark-up
    console.print(table)


def _print_json(value: Any, *, to_stderr: bool = False) -> None:
    from elsewise.folder import finite

    typer.echo(json.dumps(finite(value), ensure_ascii=False, allow_nan=False), err=to_stderr)


def _say(words: str) -> None:
    typer.echo(words, err=True)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None] | None]:
    """Show a bar with the time left on a terminal; say nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda words, done, total: bar.update(task, description=words, completed=done, total=total or None)


def main() -> None:
    """Run the command line; an error of the user's is one or two lines and exit 1, one of ours a traceback."""
    warnings.showwarning = _show_warning
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that half-written files are cleared away
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ElsewiseWarning)
    try:
        app()
    except ElsewiseError as error:
        _say(f"elsewise: {error}")
        raise SystemExit(1) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: nothing more to say
        raise SystemExit(1) from None
    except OSError as error:
        _say(f"elsewise: {error.filename or 'output'}: {error.strerror or error}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _say(f"warning: {message}")
