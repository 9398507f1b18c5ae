"""``elsewise predict``."""

from typing import Annotated

import typer

from elsewise.cli.options import (
    Delimiter,
    Encoding,
    Features,
    Format,
    Json,
    ModelPath,
    ServedEngine,
    ServedPrecision,
    TextColumn,
    Threads,
    engine_of,
    reading,
    refuse_inside,
)
from elsewise.cli.output import print_json, progress_bar, say


def predict(
    model: ModelPath,
    data: Annotated[
        str,
        typer.Argument(metavar="DATA", help="Texts (.csv, .tsv, .jsonl) or logits (.npy, .npz, .csv); - for stdin."),
    ],
    out: Annotated[str, typer.Option("--out", "-o", metavar="OUT", help="A .csv or .jsonl file; - for stdout.")] = "-",
    text_column: TextColumn = "text",
    top: Annotated[int, typer.Option(min=0, help="Add so many best labels with their probabilities.")] = 0,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Add the probability of every label.")] = False,
    sentences: Annotated[
        str | None,
        typer.Option(
            metavar="LANGUAGE",
            help="Add the sentences that say why, one with numbers and one for the customer, in en (English) or tr.",
        ),
    ] = None,
    features: Features = None,
    engine: ServedEngine = None,
    precision: ServedPrecision = None,
    threads: Threads = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    file_format: Format = None,
    as_json: Json = False,
) -> None:
    """Answer every row of a file: a label, or Other with its reason."""
    from elsewise.batch.predict import predict_file
    from elsewise.classifier.load import load

    how = reading(text_column, "label", delimiter, encoding, file_format)
    refuse_inside(out, model)
    classifier = load(model, engine=engine_of(engine), precision=precision, threads=threads)
    with progress_bar() as progress:
        summary = predict_file(
            classifier,
            data,
            out,
            how=how,
            top=top,
            probabilities=probabilities,
            sentences=sentences,
            features=features,
            progress=progress,
        )
    for note in summary.notes:
        say(f"{data}: {note}")
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(summary.reasons.items()))
    rejected = f"{summary.rejected:,} rejected" + (f" (see {summary.rejects})" if summary.rejects else "")
    other = f"{summary.other:,} {classifier.other}" + (f" ({reasons})" if reasons else "")
    say(f"{summary.read:,} rows = {summary.answered:,} answered + {other} + {rejected}")
    if classifier.certificate is not None and not classifier.certificate.certified:
        say("this model promises nothing, so that every row is Other; best_label and probability say what it thinks")
    if as_json:
        print_json(summary.as_dict(), to_stderr=out == "-")
