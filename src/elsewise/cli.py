"""The command line: parse, call one function that Python users can call too, print.

stdout carries results, stderr words and progress. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

import os
import shutil
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elsewise.errors import ElsewiseError, ElsewiseWarning, InputError
from elsewise.showing import (
    description,
    print_breakdown,
    print_evaluation,
    print_gate,
    print_json,
    print_promise,
    print_table,
    progress_bar,
    say,
    show_fitted,
)

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
Score = Annotated[
    str, typer.Option(help="The confidence that meets the threshold, by name: auto is the best on tune rows.")
]
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
Ensemble = Annotated[int | None, typer.Option(min=2, help="Train so many models, and average them.")]
McDropout = Annotated[
    int | None, typer.Option("--mc-dropout", min=2, help="Average so many thinned networks of the model, on torch.")
]
Laplace = Annotated[
    bool, typer.Option("--laplace", help="Be less sure where train texts say little about the last layer.")
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

    with progress_bar() as progress:
        shown = run_demo(out, progress=progress, epochs=epochs)
    if as_json:
        print_json({"folder": str(out), "reasons": shown.reasons(), **description(shown.classifier)})
        return
    print_promise(shown.classifier)
    print_evaluation(shown.classifier.evaluation or {})
    print_table("Some of the new texts, and what was decided", ("text", "decision", "why"), shown.examples(), wide=True)
    answered = shown.reasons().get("answered", 0)
    typer.echo(
        f"\nOf {len(shown.new)} new texts {answered} were answered and {len(shown.new) - answered} left as Other:"
    )
    print_table("", ("reason", "texts"), [(reason, str(n)) for reason, n in sorted(shown.reasons().items())])
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
    score: Score = "auto",
    ensemble: Ensemble = None,
    mc_dropout: McDropout = None,
    laplace: Laplace = False,
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
        say(f"a label is called {other!r}, as abstentions are: tell them apart by the column abstained, or by --other")
    with progress_bar() as progress:
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
            score=score,
            ensemble=ensemble,
            mc_dropout=mc_dropout,
            laplace=laplace,
            held_out=_labelled(held_out, how) if held_out else None,
            test=_labelled(test, how) if test else None,
            seed=seed,
        )
    classifier.save(out)
    show_fitted(classifier, out, as_json=as_json)


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
    with progress_bar() as progress:
        summary = predict_file(classifier, data, out, how=how, top=top, probabilities=probabilities, progress=progress)
    for note in summary.notes:
        say(f"{data}: {note}")
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(summary.reasons.items()))
    rejected = f"{summary.rejected:,} rejected" + (f" (see {summary.rejects})" if summary.rejects else "")
    other = f"{summary.other:,} {classifier.other}" + (f" ({reasons})" if reasons else "")
    say(f"{summary.read:,} rows = {summary.answered:,} answered + {other} + {rejected}")
    if classifier.certificate is not None and not classifier.certificate.certified:
        say("this model promises nothing, so that every row is Other; best_label and probability say what it thinks")
    if as_json:
        print_json(asdict(summary), to_stderr=out == "-")


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
    slices: Annotated[
        list[str] | None,
        typer.Option("--slice", metavar="COLUMN", help="Judge the rows of each value of this column too; repeatable."),
    ] = None,
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
    with progress_bar() as progress:
        if progress:
            progress("evaluating", 0, 0)
        judge = _judged_logits if classifier.engine.name == "logits" else _judged_texts
        judged = judge(classifier, data, labels, how, out_of_scope_label, slices or [])
    if as_json:
        print_json(judged.as_dict())
    else:
        print_promise(classifier)
        print_evaluation(judged.as_dict())
        print_breakdown(judged.as_dict())


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
    score: Score = "auto",
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
        score=score,
        seed=seed,
    )
    classifier.save(out)
    show_fitted(classifier, out, as_json=as_json)


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

    with progress_bar() as progress:
        made = export_model(model, engine=engine, precision=precision, threads=threads, progress=progress)
    if as_json:
        print_json({"model": str(model), **description(made)})
        return
    print_gate(made.gate)
    print_promise(made)
    say(f"written: {model}")


@app.command()
def doctor(*, as_json: Json = False) -> None:
    """Show what is installed, which engine is used and why, and the commands that add what is missing."""
    from elsewise.doctor import diagnosis

    found = diagnosis()
    if as_json:
        print_json(found)
        return
    encoder = found["encoder"] or "not on this machine"
    machine = {**found["machine"], "default encoder": encoder}
    print_table("", ("machine", ""), [(name, str(value)) for name, value in machine.items()])
    print_table("", ("library", "version"), [(name, version or "-") for name, version in found["versions"].items()])
    print_table("", ("engine", "precisions", ""), [
        (name, ", ".join(engine["precisions"]) or "-", engine["note"]) for name, engine in found["engines"].items()
    ])  # fmt: skip
    for line in found["advice"] or ["Nothing is missing."]:
        typer.echo(line)


def _program() -> str:
    """Say how this program was started, so that a command that it prints works when it is typed."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return "python -m elsewise"
    found = shutil.which("elsewise")
    return "elsewise" if found and started.resolve() == Path(found).resolve() else os.path.relpath(started)


def _judged_texts(
    classifier: "Classifier",
    data: str,
    labels: str | None,
    how: "Reading",
    out_of_scope_label: str | None,
    slices: Sequence[str],
) -> "Evaluation":
    from elsewise.evaluation import evaluate as judge
    from elsewise.reading import read_labelled

    if labels is not None:
        raise InputError("--labels is for a model of logits; here the labels are a column of DATA")
    rows = read_labelled(data, how, strict=False, slices=slices)
    say(f"{data}: {len(rows.texts):,} rows, {', '.join(rows.notes)}")
    return judge(
        classifier,
        rows.texts,
        rows.labels,
        out_of_scope_label=out_of_scope_label,
        rejected=rows.rejected,
        slices=rows.columns,
    )


def _judged_logits(
    classifier: "Classifier",
    data: str,
    labels: str | None,
    how: "Reading",
    out_of_scope_label: str | None,
    slices: Sequence[str],
) -> "Evaluation":
    from elsewise.evaluation import evaluate as judge
    from elsewise.fitting import label_codes
    from elsewise.reading import read_codes, read_columns, read_logits

    if labels is None and (data == "-" or data.endswith(".npy")):
        raise InputError(f"{data} holds logits and no labels; pass the labels with --labels FILE")
    columns = read_columns(labels or data, how, slices) if slices else {}
    logits, _ = read_logits(data, how, classifier.labels)
    names = label_codes(classifier.labels, out_of_scope_label or classifier.out_of_scope_label)
    return judge(classifier, logits, codes=read_codes(labels or data, how, names), slices=columns)


def _reading(text: str, label: str, delimiter: str | None, encoding: str | None, file_format: str | None) -> "Reading":
    from elsewise.reading import Reading

    return Reading(text, label, delimiter, encoding, file_format)


def _labelled(path: str, how: "Reading") -> tuple[list[str], list[str]]:
    from elsewise.reading import read_labelled

    read = read_labelled(path, how, strict=True)
    say(f"{path}: {len(read.texts):,} rows, {', '.join(read.notes)}")
    return read.texts, read.labels


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
        say(f"elsewise: {error}")
        raise SystemExit(1) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: nothing more to say
        raise SystemExit(1) from None
    except OSError as error:
        say(f"elsewise: {error.filename or 'output'}: {error.strerror or error}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    say(f"warning: {message}")
