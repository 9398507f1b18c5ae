"""Predict files: every input row comes out once, answered, as Other, or rejected with its reason."""

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from elsewise.batch.answers import COLUMNS, Ledger, MoreColumns, Summary, answered
from elsewise.batch.source import chunks, open_source
from elsewise.classifier.classifier import Classifier
from elsewise.data.formats import Writer, open_writer, same_file
from elsewise.data.labelled_texts import Reading
from elsewise.data.rows import output_names
from elsewise.engines import prepared
from elsewise.engines.batching import prefetch
from elsewise.errors import InputError
from elsewise.messages import messages
from elsewise.progress import Progress, counting
from elsewise.storage.target_file import Part, together

REJECTED = ".rejected.jsonl"
LIKE_DATA = {name: name for name in ("jsonl", "ndjson", "tsv")} | {"json": "jsonl"}  # formats of answers on stdout
REJECT_COLUMNS = ("row", "line", "problem", "raw")


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
    progress: Progress | None = None,
) -> Summary:
    """Answer every row of a file, in order, in bounded memory.

    Parameters
    ----------
    classifier : Classifier
        A classifier of texts, or of logits: then `data` holds logits (.npy, .npz, or one numeric column a label).
    data, out : str
        CSV or JSON Lines by suffix; ``-`` is stdin and stdout.
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
    progress : callable, optional
        Called with (words, rows done, rows in all), 0 where the number of rows is unknown, as of a pipe.

    Returns
    -------
    Summary
        Rejected rows go to ``OUT.rejected.jsonl``; on stdout they are only counted.

    Raises
    ------
    InputError
        If a file cannot be read or written, a column is missing, the language is unknown, or `out` is `data`.
    """
    how = how or Reading()
    if sentences is not None:
        messages(sentences)  # raises for an unknown language
    if same_file(data, out) or same_file(data, f"{out}{REJECTED}"):
        raise InputError(f"{data} is the input file, and would be overwritten; choose another name for the output")
    more = MoreColumns(min(top, len(classifier.labels)), probabilities, sentences)
    ledger, rejects_path = Ledger(), _rejects_of(out)
    with open_source(classifier, data, how, features) as source:
        ours = (*COLUMNS, *more.names(classifier.labels))
        names, renamed = output_names(source.columns, ours)
        columns = (*(names.get(column, column) for column in source.columns), *ours)
        suffix = Path(data).suffix[1:]
        like_data = how.format or LIKE_DATA.get(suffix)
        format_ = "csv" if excel and out == "-" else like_data if out == "-" else None
        delimiter = ";" if excel and source.file is not None and source.file.delimiter == ";" else None
        total = source.count() if progress else 0
        with together() as parts:
            with (
                open_writer(out, columns, format=format_, delimiter=delimiter, parts=parts, excel=excel) as writer,
                _open_rejects(rejects_path, out, parts) as rejects,
            ):
                for chunk in prefetch(chunks(source.items, partial(prepared, classifier.engine))):
                    with counting(progress, "predicting", total, ledger.read):
                        answers = answered(classifier, chunk, more)
                    given = [{names.get(key, key): cell for key, cell in row.cells.items()} for row in chunk.rows]
                    writer.write(cells | answer for cells, answer in zip(given, answers.rows, strict=True))
                    bad = ((row.number, row.line, row.problem, row.raw) for row in chunk.rejected)
                    if rejects is not None:
                        rejects.write(dict(zip(REJECT_COLUMNS, values, strict=True)) for values in bad)
                    ledger += answers.counts
                    total = total if total >= ledger.read else 0  # miscounted
                    if progress:
                        progress("predicting", ledger.read, total)
            for unneeded in parts[:-1] if not ledger.rejected else ():
                unneeded.hidden.unlink()
    kept = str(rejects_path) if rejects_path and ledger.rejected else None
    notes = (*source.notes, *renamed)
    return Summary(ledger.answered, ledger.other, ledger.rejected, ledger.reasons, kept, notes)


def _rejects_of(out: str) -> Path | None:
    """Name the file of rejected rows; None for stdout, pipes and devices, where they are only counted."""
    return Path(f"{out}{REJECTED}") if out != "-" and (Path(out).is_file() or not Path(out).exists()) else None


def _open_rejects(path: Path | None, out: str, parts: list[Part]) -> AbstractContextManager[Writer | None]:
    return nullcontext() if path is None else open_writer(path, REJECT_COLUMNS, parts=parts, like=out)
