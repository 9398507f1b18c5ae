"""``elsewise predict``."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from elsewise.cli.output import print_json, to_stderr, to_stdout
from elsewise.cli.panels import OUTPUT
from elsewise.cli.stopping import end_as_asked, is_put_off, part_by_part, part_done, say_kept, wrote
from elsewise.cli.summed_up import say_summary
from elsewise.errors import ElsewiseError, InputError
from elsewise.progress import showing

if TYPE_CHECKING:
    from elsewise.batch.meter import Standing
    from elsewise.batch.summary import Summary
    from elsewise.classifier.classifier import Classifier
    from elsewise.data.labelled_texts import Reading


LOOKED_AT, LONGEST = 1000, 120  # rows of the output, and characters of a text that is shown
PLAIN = re.compile(r"[^\W_](?:[^'!\s]| (?! ))*")  # no shell sees more in it than a text in quotes


@dataclass(frozen=True, slots=True)
class PieceOptions:
    """Options for the parts of an output."""

    parts: Annotated[
        bool, OUTPUT("--parts", help="Leave the answers in parts, in the folder OUT.parts. Default: one file OUT.")
    ] = False
    shard: Annotated[
        str | None,
        OUTPUT(metavar="I/N", help="Answer every Nth part from the Ith on, and write no OUT. Others answer the rest."),
    ] = None
    join: Annotated[bool, OUTPUT("--join", help="Answer nothing: write OUT of the parts of all shards.")] = False
    mixed_processors: Annotated[
        bool,
        OUTPUT(
            "--mixed-processors",
            help="Take parts of different kinds of processors, and tell them apart in a column. Default: refuse.",
        ),
    ] = False
    cluster: Annotated[
        str | None,
        OUTPUT(metavar="ADDRESS", help="Answer on a Ray cluster, by its address. local: a Ray of its own here."),
    ] = None
    actors: Annotated[
        int | None, OUTPUT(min=1, metavar="N", help="Actors of the cluster. Default: as many as it has room for.")
    ] = None
    estimate: Annotated[
        bool,
        OUTPUT(
            "--estimate", help="Say how many rows, tokens and minutes there are, and how many Other. Write nothing."
        ),
    ] = False

    progress: Annotated[
        str, OUTPUT(metavar="bar|json", help="How to show progress on stderr: a bar, or JSON lines for programs.")
    ] = "bar"

    @property
    def makes_output(self) -> bool:
        """Whether there is one output at the end."""
        return self.shard is None and not self.parts

    def going_on(self) -> dict[str, Any]:
        """Give the arguments of `predict_file`; InputError for a shard that there cannot be."""
        found = None if self.shard is None else re.fullmatch(r"(\d+)/(\d+)", self.shard)
        if self.shard is not None and (found is None or not 1 <= int(found[1]) <= int(found[2])):
            raise InputError(f"--shard {self.shard}: name one of 1/N to N/N, as in 2/3")
        if self.progress not in ("bar", "json"):
            raise InputError(f"--progress {self.progress}: name bar or json")
        place = None if found is None else (int(found[1]), int(found[2]))
        more = {"join": self.join, "parts": self.parts, "mixed_processors": self.mixed_processors}
        return {"shard": place, **more}


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """Options for what is written of each row."""

    top: TopAdded = 0
    probabilities: Annotated[bool, OUTPUT("--probabilities", help="Add the probability of every label.")] = False
    sentences: Annotated[
        str | None,
        OUTPUT(
            metavar="LANGUAGE",
            help="Add two sentences that explain each decision: one with numbers, one for the customer. en (English) "
            "or tr (Turkish).",
        ),
    ] = None
    excel: Annotated[
        bool,
        OUTPUT(
            "--excel",
            help="Write a CSV that Excel opens by a double click: all letters are right, with semicolons and decimal "
            "commas where DATA has semicolons. A text that would be a formula begins with an apostrophe.",
        ),
    ] = False
    keep: Annotated[
        str | None,
        OUTPUT(metavar="COLUMNS", help="Columns of DATA to write, separated by commas. Default: all."),
    ] = None
    spreadsheet_safe: Annotated[
        bool,
        OUTPUT(
            "--spreadsheet-safe",
            help="Write an apostrophe before texts that a spreadsheet would run as a formula. Default: as they came.",
        ),
    ] = False

    @property
    def how(self) -> dict[str, Any]:
        """The arguments of `predict_file`."""
        return {**asdict(self), "keep": None if self.keep is None else _columns(self.keep)}


def predict(
    model: ModelPath,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Texts (.csv, .tsv, .jsonl, .parquet, .arrow, .xlsx) or logits (.npy, .npz, .csv). - is stdin.",
        ),
    ],
    *,
    files: TextFiles,
    served: ServedOptions,
    pieces: PieceOptions,
    features: Features = None,
    out: OutRows = "-",
    overwrite: Overwrite = False,
    answers: AnswerOptions,
    as_json: AsJson = False,
) -> None:
    """Answer every row of a file: a label, or Other with the reason. The same command goes on if it was stopped."""
    from elsewise.batch.parts import folder_of
    from elsewise.batch.predict import is_resumable, predict_file
    from elsewise.batch.summary import whole_run
    from elsewise.data.formats import same_file

    how, going_on = files.reading(), pieces.going_on()
    refuse_inside(out, model)
    if pieces.estimate:
        _say_estimate(served.load(model), data, how, features, as_json=as_json)
        return
    goes_on = folder_of(out).exists() or (is_resumable(data, out) and whole_run(out) is not None)
    if not same_file(data, out) and not goes_on:  # the one is refused anyway
        refuse_replacing(out, overwrite=overwrite)
    watch = None if pieces.progress == "bar" else _tell_json
    hides = watch is not None or (out == "-" and sys.stdout.isatty())  # a bar would stand among the rows
    with nullcontext() if hides else showing(f"opening {model}") as progress:
        classifier = served.load(model)
        looks = {"how": how, "features": features, **answers.how, "overwrite": overwrite, "progress": progress}
        with _kept_when_stopped(is_resumable(data, out)):
            if pieces.cluster is None:
                going_on |= {"after_part": part_done, "stops": is_put_off, "watch": watch}
                summary = predict_file(classifier, data, out, **looks, **going_on)
            else:
                summary = _on_cluster(model, data, out, served, pieces, looks)
    if out != "-" and pieces.makes_output:
        wrote(out)
    say_summary(summary, classifier, data, answers.sentences or "en", as_json=as_json)
    if as_json:
        print_json(summary.as_dict(), to_stderr=out == "-")
    elif pieces.shard is not None:
        words = f"write {out} of their parts: the same command, with --join instead of --shard"
        to_stderr(f"shard {pieces.shard} is done; when all are, {words}")
    elif pieces.parts:
        to_stderr(f"the answers are in {folder_of(out)}")
    else:
        _say_next(model, served, classifier, summary, out, how)


@contextmanager
def _kept_when_stopped(in_parts: bool) -> Iterator[None]:
    """Let the first signal wait for a part, where there are parts; say what a run that is stopped or fails keeps."""
    with part_by_part() if in_parts else nullcontext():
        try:
            yield
        except KeyboardInterrupt:
            end_as_asked()
        except ElsewiseError:
            say_kept()
            raise


def _tell_json(standing: "Standing") -> None:
    """Write how far a run is as one JSON object on a line of stderr."""
    print_json({"stage": "predicting", **asdict(standing)}, to_stderr=True)


def _columns(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]


def _on_cluster(
    model: Path, data: str, out: str, served: ServedOptions, pieces: PieceOptions, looks: dict[str, Any]
) -> "Summary":
    from elsewise.batch.ray import Served, predict

    how = Served(served.engine, served.precision, served.threads or 1)
    more: dict[str, Any] = {"mixed_processors": pieces.mixed_processors}
    return predict(model, data, out, address=pieces.cluster or "", actors=pieces.actors, served=how, **looks, **more)


def _say_next(
    model: Path, served: ServedOptions, classifier: "Classifier", summary: "Summary", out: str, how: "Reading"
) -> None:
    """Name a command that goes on: why a text of the output is Other, or what other thresholds would do."""
    from elsewise.engines import reads_logits

    example = _some_other(out, how) if summary.other and not reads_logits(classifier.engine) else None
    if example is None:
        say_threshold_next(model, served.engine, served.precision)
    else:
        say_next("explain", model, *served_words(served.engine, served.precision), example)


def _say_estimate(classifier: "Classifier", data: str, how: "Reading", features: str | None, *, as_json: bool) -> None:
    from elsewise.batch.estimate import estimate_file

    with showing(f"reading {data}") as progress:
        found = estimate_file(classifier, data, how=how, features=features, progress=progress)
    if as_json:
        print_json(found.as_dict())
    else:
        to_stdout(found.sentence)
        to_stderr("nothing is written; leave --estimate out to predict")


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
