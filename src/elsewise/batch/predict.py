"""Files in, files out: every row that goes in comes out once, answered, as Other, or rejected with its reason."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.classifier.classifier import Classifier
from elsewise.data.formats import Row, open_writer, output_names, same_file
from elsewise.data.labelled_texts import Reading, text_of
from elsewise.data.logits import PARQUET, is_array, logit_columns, logits_of, read_logits
from elsewise.engines import prepared, reads_logits
from elsewise.engines.batching import WINDOW, prefetch
from elsewise.engines.logits import check_features
from elsewise.errors import InputError
from elsewise.messages import messages
from elsewise.outputs import Evidence
from elsewise.progress import Progress
from elsewise.rules.decisions import Decisions

CHUNK_ROWS = WINDOW
CHUNK_CHARACTERS = 4_000_000  # whichever comes first ends a chunk, so memory is bounded whatever the lengths
COLUMNS = ("label", "abstained", "reason", "best_label", "confidence", "probability", "truncated")
SENTENCES = ("sentence", "customer_sentence")  # where they are asked for

REJECTED = ".rejected.jsonl"

Item = tuple[Row, Any]  # a row of the file, and what of it the engine reads


@dataclass(slots=True)
class Summary:
    """What became of the rows: ``read == answered + other + rejected``.

    Attributes
    ----------
    read, answered, other, rejected : int
        Counts.
    reasons : dict
        Why the others are Other, with counts.
    rejects : str or None
        The file that holds the rejected rows.
    notes : tuple of str
        How the file was read.
    """

    read: int = 0
    answered: int = 0
    other: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    rejects: str | None = None
    notes: tuple[str, ...] = ()


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
    progress: Progress | None = None,
) -> Summary:
    """Answer every row of a file, in order, in bounded memory.

    Parameters
    ----------
    classifier : Classifier
        Of texts; or of logits, then `data` holds logits (.npy, .npz, or one numeric column a label).
    data, out : str
        CSV or JSON Lines by suffix; ``-`` is stdin and stdout.
    how : Reading, optional
        Columns and format of `data`.
    top : int
        Add the labels and probabilities of so many best labels.
    probabilities : bool
        Add the probability of every label.
    sentences : str, optional
        Add the sentence that says why, and the customer's one without numbers, in this language of `elsewise.messages`.
    features : str, optional
        A file of features (.npy, or .csv of numbers), a row for each row of logits, for a classifier that reads them.
    progress : callable, optional
        Called with (words, rows done, 0).

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
        messages(sentences)  # it is there
    if same_file(data, out) or same_file(data, f"{out}{REJECTED}"):
        raise InputError(f"{data} is the input file, and would be overwritten; choose another name for the output")
    top = min(top, len(classifier.labels))
    with ExitStack() as stack:
        columns, notes, items = _open(classifier, data, how, stack)
        items = _beside(classifier, items, features, how)
        ours = [*COLUMNS, *_more_columns(classifier, top, probabilities, sentences)]
        names, words = output_names(columns, ours)
        summary = Summary(notes=(*notes, *words))
        format_ = (how.format or _format(data)) if out == "-" else None
        writer = stack.enter_context(open_writer(out, [*(names.get(c, c) for c in columns), *ours], format=format_))
        rejects = _Rejects(out, stack)
        for usable, rejected, ready in prefetch(_prepared(classifier, items)):
            rejects.write(rejected)
            answers = _answers(classifier, ready, top, probabilities, sentences, summary)
            given = ({names.get(c, c): cell for c, cell in row.cells.items()} for row in usable)
            writer.write({**cells, **answer} for cells, answer in zip(given, answers, strict=True))
            summary.read += len(usable) + len(rejected)
            summary.rejected += len(rejected)
            if progress:
                progress("predicting", summary.read, 0)
    summary.rejects = rejects.close(rejected=summary.rejected)
    return summary


def _format(data: str) -> str | None:
    return Path(data).suffix[1:] if Path(data).suffix in (".jsonl", ".ndjson", ".tsv") else None


def _open(
    classifier: Classifier, data: str, how: Reading, stack: ExitStack
) -> tuple[tuple[str, ...], tuple[str, ...], Iterator[Item]]:
    """Give the columns to pass through, the notes, and each row with what of it the engine reads."""
    is_logits = reads_logits(classifier.engine)
    if is_logits and (is_array(data) or data.endswith(PARQUET)):
        logits, _ = read_logits(data, how, classifier.labels)
        return ("row",), (), ((Row(n, n, {"row": str(n)}, None, ""), row) for n, row in enumerate(logits, start=1))
    rows = stack.enter_context(how.open(data))
    if is_logits:
        columns = logit_columns(rows.columns, classifier.labels, data)
        if len(columns) != len(classifier.labels):
            raise InputError(f"{data} has {len(columns)} columns, the model has {len(classifier.labels)} labels")
        return rows.columns, rows.notes, (_logits_item(row, columns) for row in rows)
    columns = how.text_columns(rows.columns, data)
    return rows.columns, rows.notes, (_text_item(row, columns) for row in rows)


def _text_item(row: Row, columns: tuple[str, ...]) -> Item:
    text, problem = text_of(row, columns)
    return (row, text) if problem is None else (_unusable(row, problem), "")


def _logits_item(row: Row, columns: tuple[str, ...]) -> Item:
    values = row.problem or logits_of(row, columns)
    return (_unusable(row, values), []) if isinstance(values, str) else (row, values)


def _beside(classifier: Classifier, items: Iterator[Item], features: str | None, how: Reading) -> Iterator[Item]:
    """Put features behind the logits, where the classifier reads them."""
    wanted = check_features(classifier.engine, features)
    if features is None:
        return items
    table, _ = read_logits(features, how)
    if table.shape[1] != wanted:
        raise InputError(f"{features} has {table.shape[1]} columns, and the model reads {wanted} features")
    return _joined(items, table, features)


def _joined(items: Iterator[Item], table: NDArray[Any], features: str) -> Iterator[Item]:
    number = 0
    for row, item in items:
        number = row.number
        if number > len(table):
            break
        yield row, item if row.problem else [*item, *table[number - 1]]
    if number != len(table):
        more = "more" if number > len(table) else f"only {number:,}"
        raise InputError(f"{features} has {len(table):,} rows, and there are {more} rows of logits")


def _unusable(row: Row, problem: str) -> Row:
    return Row(row.number, row.line, {}, problem, row.raw)


def _prepared(classifier: Classifier, items: Iterable[Item]) -> Iterator[tuple[list[Row], list[Row], Any]]:
    """Give the rows to answer, those to reject, and what the engine makes ready of the first, chunk by chunk."""
    for chunk in _chunks(items):
        usable = [(row, item) for row, item in chunk if row.problem is None]
        rejected = [row for row, _ in chunk if row.problem is not None]
        yield [row for row, _ in usable], rejected, prepared(classifier.engine, [item for _, item in usable])


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    chunk: list[Item] = []
    size = 0
    for row, item in items:
        chunk.append((row, item))
        size += len(row.raw)
        if len(chunk) >= CHUNK_ROWS or size >= CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _more_columns(classifier: Classifier, top: int, probabilities: bool, sentences: str | None) -> list[str]:
    ranked = [f"{what}_{place}" for place in range(1, top + 1) for what in ("label", "probability")]
    ranked += SENTENCES if sentences else []
    return ranked + ([f"p_{label}" for label in classifier.labels] if probabilities else [])


def _answers(
    classifier: Classifier, prepared: Any, top: int, probabilities: bool, sentences: str | None, summary: Summary
) -> Iterator[dict[str, Any]]:
    if not len(prepared):
        return
    evidence = classifier.evidence(prepared)
    decisions = classifier.decisions(evidence)
    abstained = int(decisions.abstained.sum())
    summary.answered += len(decisions) - abstained
    summary.other += abstained
    counts = Counter(decisions.reasons[decisions.abstained].tolist())
    summary.reasons = {key: summary.reasons.get(key, 0) + counts[key] for key in summary.reasons | counts}
    truncated = None if evidence.outputs is None else evidence.outputs.truncated
    extra = _extra(classifier, evidence, top, probabilities=probabilities)
    for i, (answer, more) in enumerate(zip(_columns(decisions), extra, strict=True)):
        said = _said(decisions, i, sentences) if sentences else {}
        yield {**answer, "truncated": bool(truncated is not None and truncated[i]), **more, **said}


def _said(decisions: Decisions, i: int, language: str) -> dict[str, Any]:
    return {name: getattr(decisions, name)(i, language) for name in SENTENCES}


def _columns(decisions: Decisions) -> Iterator[dict[str, Any]]:
    columns = (
        decisions.labels,
        decisions.abstained.tolist(),
        decisions.reasons.tolist(),
        [decisions.name(code) for code in decisions.best.tolist()],
        decisions.confidence.tolist(),
        decisions.best_probability.tolist(),
    )
    return (dict(zip(COLUMNS, values, strict=False)) for values in zip(*columns, strict=True))


def _extra(classifier: Classifier, evidence: Evidence, top: int, *, probabilities: bool) -> Iterator[dict[str, Any]]:
    if not top and not probabilities:
        yield from ({} for _ in range(len(evidence)))
        return
    best = np.argsort(-evidence.probabilities, axis=1, kind="stable")[:, :top] if top else None
    for i, row in enumerate(evidence.probabilities.tolist()):
        more: dict[str, Any] = {}
        if best is not None:
            is_read = not np.isnan(row[0])
            for place, code in enumerate(best[i].tolist(), start=1):
                more[f"label_{place}"] = classifier.labels[code] if is_read else ""
                more[f"probability_{place}"] = row[code]
        if probabilities:
            more |= {f"p_{label}": p for label, p in zip(classifier.labels, row, strict=True)}
        yield more


class _Rejects:
    """The rejects file, made when the first row is rejected; beside stdout, pipes and devices they are only counted."""

    def __init__(self, out: str, stack: ExitStack) -> None:
        self.path = Path(f"{out}{REJECTED}")
        self.stack = stack
        self.is_wanted = out != "-" and (Path(out).is_file() or not Path(out).exists())
        self.writer: Any = None

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows with a problem."""
        for row in rows:
            if self.writer is None and self.is_wanted:
                self.writer = self.stack.enter_context(open_writer(self.path, ("row", "line", "problem", "raw")))
            if self.writer is not None:
                self.writer.write([{"row": row.number, "line": row.line, "problem": row.problem, "raw": row.raw}])

    def close(self, *, rejected: int) -> str | None:
        """Name the file when there is one; an earlier run's rejects are not this run's."""
        if self.is_wanted and not rejected:
            self.path.unlink(missing_ok=True)
        return str(self.path) if self.is_wanted and rejected else None
