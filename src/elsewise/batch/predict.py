"""Predict files: every input row comes out once, answered, as Other, or rejected with its reason."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from elsewise.batch.answers import MoreColumns
from elsewise.batch.layout import Layout
from elsewise.batch.meter import Watch
from elsewise.batch.rejects import REJECTED
from elsewise.batch.run import AfterPart, GoingOn, Job, in_parts, stream
from elsewise.batch.source import open_source
from elsewise.batch.summary import SUMMARY, Summary
from elsewise.classifier.classifier import Classifier
from elsewise.data.formats import same_file
from elsewise.data.labelled_texts import Reading
from elsewise.data.paths import files_of
from elsewise.engines.machine import one_thread_of_blas, processor
from elsewise.errors import InputError
from elsewise.messages import messages
from elsewise.progress import Progress


def predict_file(
    classifier: Classifier,
    data: str,
    out: str = "-",
    *,
    how: Reading | None = None,
    top: int = 0,
    probabilities: bool = False,
    sentences: str | None = None,
    features: str | None = None,
    excel: bool = False,
    keep: Sequence[str] | None = None,
    spreadsheet_safe: bool = False,
    progress: Progress | None = None,
    overwrite: bool = False,
    mixed_processors: bool = False,
    shard: tuple[int, int] | None = None,
    join: bool = False,
    parts: bool = False,
    after_part: AfterPart | None = None,
    stops: Callable[[], bool] = lambda: False,
    watch: Watch | None = None,
) -> Summary:
    """Answer every row of a file, in order, in bounded memory; the same call goes on where an earlier one was stopped.

    Answers to a file are kept in parts, in the folder ``OUT.parts``, until all of them become `out`. Pipes, devices,
    stdin and stdout are answered in one stream.

    Parameters
    ----------
    classifier : Classifier
        A classifier of texts, or of logits: then `data` holds logits (.npy, .npz, or one numeric column a label).
    data, out : str
        Files, by suffix: CSV, TSV or JSON Lines, also compressed (``.csv.gz``, ``.jsonl.zst``), Parquet or Arrow.
        `data` may be ``.xlsx``, a folder, or a pattern such as ``new/*.csv`` too. ``-`` is stdin and stdout.
    how : Reading, optional
        Columns and format of `data`.
    top, probabilities : int, bool
        How many of the best labels to add with their probabilities, and whether to add every label's probability.
    sentences : str, optional
        Add the sentence that says why, and the customer's one without numbers, in this language of `elsewise.messages`.
    features : str, optional
        A file of features (.npy, or .csv of numbers), a row for each row of logits, for a classifier that reads them.
    excel : bool
        Write a CSV that Excel opens by a double click: with a byte order mark, and with semicolons and decimal commas
        where `data` has semicolons. A text that would be a formula begins with an apostrophe.
    keep : sequence of str, optional
        Columns of the input to write; none for an empty list. Default: all.
    spreadsheet_safe : bool
        In CSV, write an apostrophe before a text that a spreadsheet would run as a formula.
    progress : callable, optional
        Called with (words, rows done, rows in all), 0 where the number of rows is unknown, as of a pipe.
    overwrite : bool
        Begin anew where ``OUT.parts``, or a whole `out`, is of this or another run. Default: do no work twice, and of
        another run refuse, and say what changed.
    mixed_processors : bool
        Take parts that different kinds of processors answer, whose last digits may differ. A column ``processor`` tells
        which. Default: refuse.
    shard : (int, int), optional
        Answer a share of the parts, as (2, 3) every third one from the second on, and write no output. Other processes
        answer the other shares, on this machine or on others that see the same files.
    join : bool
        Answer nothing: write the output of the parts of all shards. It has the bytes that one process would write.
    parts : bool
        Leave the answers in ``OUT.parts``, each part a file of the format of `out`. Default: one file.
    after_part : callable, optional
        Called with (folder, parts, rows) after each part that is on the disk.
    stops : callable
        Asked before each part whether to stop: then KeyboardInterrupt is raised when all that was begun is written.
    watch : callable, optional
        Called with an `elsewise.batch.meter.Standing` after each part: rows done, pace, share of Other, seconds left.

    Returns
    -------
    Summary
        Counts that add up, and whether the promise can still be believed for this file. It is also written to
        ``OUT.summary.json``, and rejected rows to ``OUT.rejected.jsonl``; on stdout they are only counted.

    Raises
    ------
    InputError
        If a file cannot be read or written, a column is missing, the language is unknown, `out` is `data`, another run
        writes `out`, or what the answers depend on changed since `out` was begun.
    """
    how = how or Reading()
    if sentences is not None:
        messages(sentences)  # raises for an unknown language
    written = [f"{out}{ending}" for ending in ("", REJECTED, SUMMARY)]
    read = next((file for file in files_of(data) if any(same_file(file, one) for one in written)), None)
    if read is not None:
        raise InputError(f"{read} is the input file, and would be overwritten; choose another name for the output")
    if (shard is not None or join or parts) and not is_resumable(data, out):
        raise InputError(
            "parts need an input and an output that are files; name both, or leave shard=, join= and parts= out"
        )
    here = processor() if mixed_processors else None
    more = MoreColumns(min(top, len(classifier.labels)), probabilities, sentences, here)
    with one_thread_of_blas(), open_source(classifier, data, how, features) as source:
        looks: dict[str, Any] = {"excel": excel, "safe": spreadsheet_safe, "keep": keep}
        layout = Layout.of(source, classifier.labels, data, out, how, more, **looks)
        job = Job(classifier, source, layout, data, out, how, features, more, progress, watch)
        if is_resumable(data, out):
            return in_parts(job, GoingOn(overwrite, mixed_processors, _checked(shard), join, parts, after_part, stops))
        return stream(job)


def is_again_readable(data: str) -> bool:
    """Tell whether an input is made of files, which can be read again, and no pipe."""
    return data != "-" and (Path(data).is_dir() or not Path(data).exists() or Path(data).is_file())


def is_resumable(data: str, out: str) -> bool:
    """Tell whether a stopped run can go on: the input can be read again, and the output is a file."""
    return is_again_readable(data) and out != "-" and (Path(out).is_file() or not Path(out).exists())


def _checked(shard: tuple[int, int] | None) -> tuple[int, int] | None:
    if shard is not None and not 1 <= shard[0] <= shard[1]:
        raise InputError(f"a shard is one of 1/n to n/n, got {shard[0]}/{shard[1]}")
    return shard
