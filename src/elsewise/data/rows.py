"""Rows of files in any format: a row, a stream of rows, and checks of their columns."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol, Self, TypeAlias

from elsewise.data.lines import Lines
from elsewise.errors import InputError
from elsewise.messages.wording import counted, listed

JSON_LINES = "json lines"  # the first note of such a file
NAMES_SHOWN = 12  # a message stays readable for a file of a thousand columns


class JsonText(str):
    """A JSON number, true, false, null, list or object as its own JSON text.

    It compares and prints like any cell, so a label may be ``7``. The JSON Lines writer leaves it unquoted, so ``7``
    does not become ``"7"``, nor ``0.10`` ``0.1``.

    Examples
    --------
    >>> JsonText("7") == "7"
    True
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file.

    Attributes
    ----------
    number, line : int
        Number of the row, from 1, unusable rows included; and its first physical line, from 1.
    cells : dict of str
        Text by column, exactly as written: ``01``, ``NA`` and ``1.0`` stay. Empty if there is a problem.
    problem : str or None
        Why the record is unusable, worded to follow "row 3"; None for a usable record.
    raw : str
        The record as in the file, without its last line end.
    byte : int or None
        Bytes of the file before the record; None where the file has no such place.
    """

    number: int
    line: int
    cells: dict[str, str]
    problem: str | None
    raw: str
    byte: int | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """An open file that is not of lines: how it is read, in words, and what closes it."""

    note: str
    close: Callable[[], object]


class Rows:
    """Rows of an open file, read lazily and once. Use it in a ``with``.

    Attributes
    ----------
    columns : tuple of str
        The header; for JSON Lines the keys of the first object (later rows may have different keys).
    notes : tuple of str
        How the file was read, such as ``"delimiter ';' (read from the header)"``.
    delimiter : str or None
        The delimiter of CSV.
    merged : sequence of int
        Lines of the rows read so far that seem to be several: a quoted cell of a tab-separated file has tabs and line
        ends.
    types : mapping
        The types of columns, of pyarrow, where the file has types.
    """

    def __init__(
        self, lines: Lines | Opened, columns: tuple[str, ...], notes: tuple[str, ...], rows: Iterator[Row],
        delimiter: str | None = None, merged: Sequence[int] = (), types: Mapping[str, object] | None = None,
    ) -> None:  # fmt: skip
        self.columns = columns
        self.delimiter = delimiter
        self.merged = merged
        self.types = types or {}
        self.notes = (*notes, lines.note)
        self._lines = lines
        self._rows = rows

    @property
    def has_header(self) -> bool:
        """Whether every row has the same columns; rows of JSON Lines may differ."""
        return self.notes[0] != JSON_LINES

    def __iter__(self) -> Iterator[Row]:
        return self._rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; stdin stays open."""
        self._lines.close()


Columns: TypeAlias = Sequence[str] | Mapping[str, str]  # further columns to read, or the parameter that names each
Cells: TypeAlias = Mapping[str, object]  # a row to write: a value by column


class Format(Protocol):
    """What the module of a format provides."""

    HAS_HEADER: bool

    def read(self, lines: Lines, delimiter: str | None, *, literal_quotes: bool) -> Rows:
        """Open the rows, given the delimiter or None for the format's default, and what quotes are."""

    def encoder(self, columns: tuple[str, ...], delimiter: str, *, excel: bool, safe: bool) -> Callable[[Cells], bytes]:
        """Make the function that encodes one row, given columns and delimiter; for Excel, or safe for spreadsheets."""


def merged_rows(lines: Sequence[int]) -> tuple[str, str]:
    """Say that rows seem to be several that a quote has merged, and the remedy."""
    words = f"{counted(len(lines), 'row')} with tabs and line ends in a quoted cell"
    return f"{words}: several rows, where a quote is a character", "if so, read quotes so with literal_quotes=True"


def column_names(columns: Iterable[str]) -> str:
    """Write the first dozen names of columns for a message, quoted.

    Examples
    --------
    >>> column_names(["body", "topic"])
    "'body', 'topic'"
    """
    return listed((repr(str(name)) for name in columns), NAMES_SHOWN)


def refuse_repeats(columns: Iterable[str], name: str) -> None:
    """Raise InputError if a column name occurs more than once."""
    twice = [column for column, times in Counter(columns).items() if times > 1]
    if twice:
        raise InputError(f"{name} has more than one column named {column_names(twice)}; rename all but one")


def own_names(wanted: Iterable[str], names: Iterable[str]) -> tuple[str | None, ...]:
    """Find names among names: each the same, or the only one that differs in its Unicode form alone; else None.

    Examples
    --------
    >>> own_names(["u\N{COMBINING DIAERESIS}ru\N{COMBINING DIAERESIS}n", "tarih"], ["metin", "ürün"])
    ('ürün', None)
    """
    known = dict.fromkeys(names)
    alike: dict[str, list[str]] = defaultdict(list)
    for name in known:
        alike[unicodedata.normalize("NFC", name)].append(name)
    found = ((name, alike.get(unicodedata.normalize("NFC", name), [])) for name in wanted)
    return tuple(name if name in known else own[0] if len(own) == 1 else None for name, own in found)


def require_columns(columns: Iterable[str], wanted: Mapping[str, str], path: object) -> tuple[str, ...]:
    """Find the columns that a command needs, under the file's own names for them; see `own_names`.

    `wanted` leads from each needed column to the parameter that names a different column; `path` is for the message.
    InputError for the first missing column; upper and lower case differ.

    Examples
    --------
    >>> require_columns(["body", "topic"], {"text": "text_column="}, "tickets.csv")
    Traceback (most recent call last):
    elsewise.errors.InputError: tickets.csv has no column 'text'; it has 'body', 'topic'; name the right one with text_column=
    """  # noqa: E501
    present = list(columns)
    found: list[str] = []
    for (column, option), own in zip(wanted.items(), own_names(wanted, present), strict=True):
        if own is None:
            has = column_names(present) or "none"
            raise InputError(f"{path} has no column {column!r}; it has {has}; name the right one with {option}")
        found.append(own)
    return tuple(found)


def options_of(columns: Columns) -> Mapping[str, str]:
    """Give the parameter that names each of further columns; slices= unless a mapping says."""
    return columns if isinstance(columns, Mapping) else dict.fromkeys(columns, "slices=")


def is_null(cell: object) -> bool:
    """Whether a cell is missing, None or the null of JSON, not the text "null"."""
    return cell is None or (isinstance(cell, JsonText) and cell == "null")


def marks_of(read: Mapping[str, list[str]], columns: Iterable[str | None]) -> list[list[str] | None]:
    """Give the cells of columns that were read, "" for null; None for a column of None.

    Examples
    --------
    >>> marks_of({"customer": ["ann", JsonText("null")]}, ["customer", None])
    [['ann', ''], None]
    """
    return [None if name is None else ["" if is_null(cell) else cell for cell in read[name]] for name in columns]


def problem_with(row: Row, wanted: Iterable[str]) -> str | None:
    """Problem of a row that needs these columns, or None.

    A row of JSON Lines may lack a key, or hold null, a list or an object instead of text.

    Examples
    --------
    >>> problem_with(Row(1, 1, {"body": "hello"}, None, ""), ["text"])
    "has no 'text'"
    """
    if row.problem is not None:
        return row.problem
    for column in wanted:
        cell = row.cells.get(column)
        if cell is None:
            return f"has no {column!r}"
        if isinstance(cell, JsonText) and (cell == "null" or cell[0] in "[{"):
            kind = {"n": "null", "[": "a list", "{": "an object"}[cell[0]]
            return f"has {kind} in {column!r}, not text"
    return None


def output_names(columns: Iterable[str], reserved: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Rename input columns that have the name of an output column.

    Returns the new name of an input column for each reserved name (apply it with ``names.get(column, column)``, also to
    late keys of JSON Lines); and a sentence for each renamed column of this file.

    Examples
    --------
    >>> output_names(["text", "label", "input_label"], ["label"])
    ({'label': 'input_label_2'}, ("the input column 'label' is written as 'input_label_2'",))
    """
    present, ours = tuple(columns), tuple(reserved)
    taken, names = {*present, *ours}, {}
    for name in ours:
        tries = (f"input_{name}" + (f"_{n}" if n > 1 else "") for n in count(1))
        names[name] = next(new for new in tries if new not in taken)
        taken.add(names[name])
    words = tuple(f"the input column {name!r} is written as {names[name]!r}" for name in ours if name in present)
    return names, words
