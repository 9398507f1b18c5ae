"""Read the rows of a file in chunks of bounded size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from numpy.typing import NDArray

from elsewise.classifier.classifier import Classifier
from elsewise.data.formats import count_rows
from elsewise.data.labelled_texts import Reading, noted, text_of
from elsewise.data.logits import PARQUET, is_array, logit_columns, logits_of, read_logits
from elsewise.data.paths import files_of
from elsewise.data.rows import Opened, Row, Rows, column_names
from elsewise.engines import reads_logits
from elsewise.engines.batching import WINDOW
from elsewise.engines.logits import check_features
from elsewise.errors import InputError
from elsewise.messages.wording import counted

CHUNK_ROWS = WINDOW
LONG = 2000  # characters of a text that is not remembered
CHUNK_CHARACTERS = 2_000_000  # whichever comes first ends a chunk, so memory is bounded whatever the lengths

Item = tuple[Row, Any]  # a row of the file, and what of it the engine reads


@dataclass(frozen=True, slots=True)
class Source:
    """An open file: its columns to pass through, each row with the engine's input, and the open rows if it has rows.

    `count` gives the number of its rows at a glance, as `count_rows` does.
    """

    columns: tuple[str, ...]
    items: Iterator[Item]
    count: Callable[[], int]
    file: Rows | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """How the file is read; once it is read, also which rows seem to be several."""
        return () if self.file is None else (*self.file.notes, *noted(self.file))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows: the rows to answer, their prepared input, and the rows to reject.

    Attributes
    ----------
    rows, prepared, rejected : tuple of Row, Any, tuple of Row
        Usable rows, what the engine reads of them, and unusable rows.
    first, last : int
        Numbers of the first and the last row of the file that it stands for, from 1.
    repeated : int
        Usable rows whose text came before in this chunk.
    is_wanted : bool
        False: nobody asks for its answers, and it is empty.
    texts, fresh, dropped : tuple of str, the first or None
        The texts of all usable rows; those among them that `prepared` is of, the others came before; and those whose
        answers are not needed after this chunk. No texts where every row is prepared.
    """

    rows: tuple[Row, ...]
    prepared: Any
    rejected: tuple[Row, ...]
    first: int = 0
    last: int = 0
    repeated: int = 0
    is_wanted: bool = True
    texts: tuple[str, ...] | None = None
    fresh: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def asked(self) -> int:
        """Number of texts, or rows of logits, that the engine is asked about."""
        return len(self.rows) if self.texts is None else len(self.fresh)


class Seen:
    """Texts that came before: their answers are known when those of the present chunk are made.

    Attributes
    ----------
    most : int
        Number of texts that are remembered; 0 for none. The oldest are forgotten.

    Examples
    --------
    >>> seen = Seen(2)
    >>> seen.apart(["a", "b", "a"]), seen.apart(["b", "c"]), seen.apart(["a"])
    ((('a', 'b'), ()), (('c',), ('a',)), (('a',), ('b',)))
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._texts: dict[str, None] = {}

    def apart(self, texts: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Give the texts that are new, each once, and those to forget after this chunk."""
        fresh = tuple(text for text in dict.fromkeys(texts) if text not in self._texts)
        long = tuple(text for text in fresh if len(text) > LONG or not self.most)
        self._texts.update(dict.fromkeys(fresh))
        for text in long:
            del self._texts[text]
        old = tuple(islice(self._texts, max(len(self._texts) - self.most, 0)))
        for text in old:
            del self._texts[text]
        return fresh, (*long, *old)


@contextmanager
def open_source(classifier: Classifier, data: str, how: Reading, features: str | None) -> Iterator[Source]:
    """Open a file of texts, or of logits with features, as the classifier reads them.

    InputError if a file cannot be read, or its columns do not fit the model.
    """
    is_logits = reads_logits(classifier.engine)
    if is_logits and (is_array(data) or data.endswith(PARQUET)):
        logits, _ = read_logits(data, how, classifier.labels)
        items = ((Row(n, n, {"row": str(n)}, None, ""), row) for n, row in enumerate(logits, start=1))
        yield Source(("row",), _beside(classifier, items, features, how), lambda: len(logits))
        return
    with _open_all(files_of(data), how) as rows:
        if is_logits:
            columns = logit_columns(rows.columns, how, classifier.labels, data)
            if len(columns) != len(classifier.labels):
                raise InputError(f"{data} has {len(columns)} columns, the model has {len(classifier.labels)} labels")
            items = (_logits_item(row, columns, how.decimal) for row in rows)
        else:
            columns = how.text_columns(rows.columns, data)
            items = (_text_item(row, columns) for row in rows)
        beside = _beside(classifier, items, features, how)
        yield Source(rows.columns, beside, lambda: _count(files_of(data), how), rows)


@contextmanager
def _open_all(files: Sequence[str], how: Reading) -> Iterator[Rows]:
    """Open files one after the other, as if they were one; InputError for one with other columns than the first."""
    with how.open(files[0]) as first:
        if len(files) == 1:
            yield first
            return
        note = f"{counted(len(files), 'file')}, as {files[0]}: {first.notes[-1]}"
        rows = _chained(first, files, how)
        yield Rows(
            Opened(note, lambda: None), first.columns, first.notes[:-1], rows, first.delimiter, types=first.types
        )


def _chained(first: Rows, files: Sequence[str], how: Reading) -> Iterator[Row]:
    before = 0
    for path in files:
        with nullcontext(first) if path == files[0] else how.open(path) as rows:
            if set(rows.columns) != set(first.columns) and rows.has_header:
                raise InputError(f"{path} has the columns {column_names(rows.columns)}, and {files[0]} has others")
            number = before
            for row in rows:
                number = before + row.number
                problem = row.problem and f"({path}) {row.problem}"
                yield replace(row, number=number, problem=problem)
            before = number


def _count(files: Sequence[str], how: Reading) -> int:
    """Count the rows of files at a glance; 0 if one of them does not tell."""
    counts = [count_rows(file, format=how.format) for file in files]
    return sum(counts) if all(counts) else 0


def chunks(
    items: Iterable[Item],
    prepare: Callable[[Sequence[Any]], Any],
    is_wanted: Callable[[int, int], bool] = lambda *_: True,
    seen: Seen | None = None,
) -> Iterator[Chunk]:
    """Cut rows into chunks, and prepare each for the engine; not those that are not wanted, by first and last row.

    With `seen`, of texts, only those that did not come before are prepared.
    """
    for some in _cut(items):
        first, last = some[0][0].number, some[-1][0].number
        if not is_wanted(first, last):
            yield Chunk((), None, (), first, last, is_wanted=False)
            continue
        usable = [(row, item) for row, item in some if row.problem is None]
        rejected = tuple(row for row, _ in some if row.problem is not None)
        rows, given = tuple(row for row, _ in usable), [item for _, item in usable]
        if seen is None:
            yield Chunk(rows, prepare(given), rejected, first, last)
            continue
        fresh, dropped = seen.apart(given)
        repeated = len(given) - len(set(given))
        more: dict[str, Any] = {"texts": tuple(given), "fresh": fresh, "dropped": dropped}
        yield Chunk(rows, prepare(fresh), rejected, first, last, repeated, **more)


def _cut(items: Iterable[Item]) -> Iterator[list[Item]]:
    some: list[Item] = []
    size = 0
    for row, item in items:
        some.append((row, item))
        size += len(row.raw)
        if len(some) >= CHUNK_ROWS or size >= CHUNK_CHARACTERS:
            yield some
            some, size = [], 0
    if some:
        yield some


def _text_item(row: Row, columns: tuple[str, ...]) -> Item:
    text, problem = text_of(row, columns)
    return (row, text) if problem is None else (replace(row, cells={}, problem=problem), "")


def _logits_item(row: Row, columns: tuple[str, ...], decimal: str) -> Item:
    values = row.problem or logits_of(row, columns, decimal)
    return (replace(row, cells={}, problem=values), []) if isinstance(values, str) else (row, values)


def _beside(classifier: Classifier, items: Iterator[Item], features: str | None, how: Reading) -> Iterator[Item]:
    """Append features to the logits, where the classifier reads them."""
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
