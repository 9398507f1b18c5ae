"""``elsewise predict``."""

import re
import sys
from contextlib import nullcontext, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elsewise.cli.next_step import say_next, say_threshold_next, served_words
from elsewise.cli.options import (
    AsJson,
    Features,
    ModelPath,
    OutRows,
    Overwrite,
    ServedOptions,
    TextFiles,
    TopAdded,
    refuse_inside,
    refuse_replacing,
)
from elsewise.cli.output import print_json, print_table, to_stderr
from elsewise.cli.panels import OUTPUT
from elsewise.cli.stopping import part_by_part, part_done, say_kept, wrote
from elsewise.errors import ElsewiseError, InputError
from elsewise.progress import showing

if TYPE_CHECKING:
    from elsewise.batch.summary import Summary
    from elsewise.data.labelled_texts import Reading


MOST_LABELS = 10  # that are named
LOOKED_AT, LONGEST = 1000, 120  # rows of the output, and characters of a text that is shown
PLAIN = re.compile(r"[^\W_](?:[^'!\s]| (?! ))*")  # no shell sees more in it than a text in quotes


def predict(
    model: ModelPath,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Texts (.csv, .tsv, .jsonl) or logits (.npy, .npz, .csv). - is stdin.")
    ],
    files: TextFiles,
    served: ServedOptions,
    features: Features = None,
    out: OutRows = "-",
    overwrite: Overwrite = False,
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
    excel: Annotated[
        bool,
        OUTPUT(
            "--excel",
            help="Write a CSV that Excel opens by a double click: all letters are right, with semicolons and decimal "
            "commas where DATA has semicolons. A text that would be a formula begins with an apostrophe.",
        ),
    ] = False,
    mixed_processors: Annotated[
        bool,
        OUTPUT(
            "--mixed-processors",
            help="Go on from parts of another kind of processor; the last digits may differ. Default: refuse.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Answer every row of a file: a label, or Other with the reason. The same command goes on if it was stopped."""
    from elsewise.batch.parts import folder_of
    from elsewise.batch.predict import is_resumable, predict_file
    from elsewise.data.formats import same_file
    from elsewise.engines import reads_logits

    how = files.reading()
    refuse_inside(out, model)
    if not same_file(data, out) and not folder_of(out).exists():  # the one is refused anyway, the other goes on
        refuse_replacing(out, overwrite=overwrite)
    shows_rows = out == "-" and sys.stdout.isatty()  # a bar would stand among them
    with nullcontext() if shows_rows else showing(f"opening {model}") as progress:
        classifier = served.load(model)
        with part_by_part() if is_resumable(data, out) else nullcontext():
            try:
                summary = predict_file(
                    classifier, data, out, how=how, features=features, progress=progress,
                    top=top, probabilities=probabilities, sentences=sentences, excel=excel,
                    overwrite=overwrite, mixed_processors=mixed_processors, after_part=part_done,
                )  # fmt: skip
            except ElsewiseError:
                say_kept()
                raise
    if out != "-":
        wrote(out)
    for note in summary.notes:
        to_stderr(f"{data}: {note}")
    if not as_json and summary.read:
        _show(summary, classifier.other)
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(summary.reasons.items()))
    rejected = f"{summary.rejected:,} rejected" + (f" (see {summary.rejects})" if summary.rejects else "")
    other = f"{summary.other:,} {classifier.other}" + (f" ({reasons})" if reasons else "")
    to_stderr(f"{summary.read:,} rows = {summary.answered:,} answered + {other} + {rejected}")
    if summary.shift is not None:
        to_stderr(summary.shift.say(sentences or "en"), bold=summary.shift.is_warning)
    if classifier.certificate is not None and not classifier.certificate.certified:
        to_stderr(
            "this model promises nothing, so that every row is Other; best_label and probability say what it thinks",
            bold=True,
        )
    if as_json:
        print_json(summary.as_dict(), to_stderr=out == "-")
        return
    example = _some_other(out, how) if summary.other and not reads_logits(classifier.engine) else None
    if example is None:
        say_threshold_next(model, served.engine, served.precision)
    else:
        say_next("explain", model, *served_words(served.engine, served.precision), example)


def _show(summary: "Summary", other: str) -> None:
    """Print what became of the rows as a table on stderr: the commonest labels, Other by reason, and how fast."""
    done, tally, pace = summary.answered + summary.other, summary.tally, summary.pace.as_dict()

    def line(name: str, n: int) -> tuple[str, str, str]:
        return name, f"{n:,}", f"{100 * n / done:.1f} %" if done else ""

    ranked = sorted(tally.labels.items(), key=lambda pair: (-pair[1], pair[0]))
    rows = [line(label, n) for label, n in ranked[:MOST_LABELS]]
    if rest := ranked[MOST_LABELS:]:
        rows.append(line(f"{len(rest):,} more labels", sum(n for _, n in rest)))
    rows += [line(f"{other}: {reason}", n) for reason, n in sorted(tally.reasons.items())]
    rows += [line("truncated", tally.truncated)] * bool(tally.truncated)
    rows += [line("repeated", summary.repeated)] * bool(summary.repeated)
    speed = f"{pace['rows_per_second']:,.0f} rows/s"
    if pace["tokens"]:
        speed += f", {pace['tokens_per_second']:,.0f} tokens/s"
    print_table("", ("", "rows", "share"), [*rows, ("speed", speed, "")], err=True)


def _some_other(out: str, how: "Reading") -> str | None:
    """Find a short text that was left as Other, among the first rows of the output; None where none is in a file."""
    from elsewise.data.formats import open_rows
    from elsewise.data.labelled_texts import text_of

    if not Path(out).is_file():
        return None
    with suppress(InputError), open_rows(out) as rows:
        columns = how.text_columns(rows.columns, out)
        for row in islice(rows, LOOKED_AT):
            text, problem = text_of(row, columns)
            is_plain = PLAIN.fullmatch(text) and text.isprintable() and len(text) <= LONGEST
            if row.cells.get("abstained") == "true" and not problem and is_plain:
                return text
    return None
