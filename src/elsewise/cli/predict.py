"""``elsewise predict``."""

import sys
from contextlib import nullcontext
from typing import Annotated

import typer

from elsewise.cli.options import AsJson, Features, ModelPath, OutRows, ServedOptions, TextFiles, TopAdded, refuse_inside
from elsewise.cli.output import print_json, to_stderr
from elsewise.cli.panels import OUTPUT
from elsewise.progress import showing


def predict(
    model: ModelPath,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Texts (.csv, .tsv, .jsonl) or logits (.npy, .npz, .csv). - is stdin.")
    ],
    files: TextFiles,
    served: ServedOptions,
    features: Features = None,
    out: OutRows = "-",
    top: TopAdded = 0,
    probabilities: Annotated[bool, OUTPUT("--probabilities", help="Add the probability of every label.")] = False,
    sentences: Annotated[
        str | None,
        OUTPUT(
            metavar="LANGUAGE",
            help="Add two sentences that explain each decision: one with numbers, one for the customer. en (English) "
            "or tr (Turkish).",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answer every row of a file: a label, or Other with the reason."""
    from elsewise.batch.predict import predict_file

    how = files.reading()
    refuse_inside(out, model)
    shows_rows = out == "-" and sys.stdout.isatty()  # a bar would stand among them
    with nullcontext() if shows_rows else showing(f"opening {model}") as progress:
        classifier = served.load(model)
        summary = predict_file(
            classifier, data, out, how=how, features=features, progress=progress,
            top=top, probabilities=probabilities, sentences=sentences,
        )  # fmt: skip
    for note in summary.notes:
        to_stderr(f"{data}: {note}")
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(summary.reasons.items()))
    rejected = f"{summary.rejected:,} rejected" + (f" (see {summary.rejects})" if summary.rejects else "")
    other = f"{summary.other:,} {classifier.other}" + (f" ({reasons})" if reasons else "")
    to_stderr(f"{summary.read:,} rows = {summary.answered:,} answered + {other} + {rejected}")
    if classifier.certificate is not None and not classifier.certificate.certified:
        to_stderr(
            "this model promises nothing, so that every row is Other; best_label and probability say what it thinks"
        )
    if as_json:
        print_json(summary.as_dict(), to_stderr=out == "-")
