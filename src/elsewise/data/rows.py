"""What every format shares: a row, a stream of rows, and questions about their columns."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from elsewise.data.lines import Lines
from elsewise.errors import InputError
from elsewise.messages.wording import listed

NAMES_SHOWN = 12  # a message stays readable for a file of a thousand columns


class JsonText(str):
    """A JSON number, true, false, null, list or object as its own JSON text.

    As a string it compares and prints like any cell, so a label may be ``7``; the JSON Lines writer
    puts it out bare, so ``7`` does not come back as ``"7"`` nor ``0.10`` as ``0.1``.

    Examples
    --------
    >>> JsonText("7") == "7"
    True
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one record of a file.

    Attributes
    ----------
    number : int
        Which data row this is, from 1; unusable rows count.
    line : int
        The physical line where it starts, from 1, so a cell with line breaks moves the next row on.
    cells : dict of str
        Text by column, exactly as written: ``01``, ``NA`` and ``1.0`` stay. Empty if there is a problem.
    problem : str or None
        Why the record cannot be used, to be read after "row 3"; None for a usable one.
    raw : str
        The record as it stood in the file, without its last line end.
    """

    number: int
    line: int
    cells: dict[str, str]
    problem: str | None
    raw: str


class Rows:
    """The rows of one open file, read as they are asked for, once. Use it in a ``with``.

    Attributes
    ----------
    columns : tuple of str
        The header; for JSON Lines the keys of the first object (later rows may have others).
    notes : tuple of str
        How the file was read, in words, such as ``"delimiter ';' (read from the header)"``.
    """

    def __init__(self, lines: Lines, columns: tuple[str, ...], notes: tuple[str, ...], rows: Iterator[Row]) -> None:
        self.columns = columns
        self.notes = (*notes, lines.note)
        self._lines = lines
        self._rows = rows

    def __iter__(self) -> Iterator[Row]:
        return self._rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; stdin stays open."""
        self._lines.close()


Cells: TypeAlias = Mapping[str, object]  # a row to write: a value by column


class Format(Protocol):
    """What the module of a format provides."""

    @property
    def read(self) -> Callable[[Lines, str | None], Rows]:
        """Start reading, given the delimiter or None for the format's own choice."""

    @property
    def encoder(self) -> Callable[[tuple[str, ...], str], Callable[[Cells], bytes]]:
        """Make the function that turns one row into bytes, given the columns and the delimiter."""

    @property
    def opening(self) -> Callable[[tuple[str, ...], str], bytes]:
        """Give what stands above the first row, from the same two."""


def column_names(columns: Iterable[str]) -> str:
    """Write the names of columns for a message, quoted; the first dozen.

    Examples
    --------
    >>> column_names(["body", "topic"])
    "'body', 'topic'"
    """
    return listed((repr(str(name)) for name in columns), NAMES_SHOWN)


def refuse_repeats(columns: Iterable[str], name: str) -> None:
    """Raise InputError if a column name appears more than once: only one of them could be meant."""
    twice = [column for column, times in Counter(columns).items() if times > 1]
    if twice:
        raise InputError(f"{name} has more than one column named {column_names(twice)}; rename all but one")


def require_columns(columns: Iterable[str], wanted: Mapping[str, str], path: object) -> None:
    """Check that a file has the columns a command needs.

    Parameters
    ----------
    columns : iterable of str
        Those of the file.
    wanted : mapping
        From each needed column to the command-line option that names a different column.
    path : str or path
        The file, for the message.

    Raises
    ------
    InputError
        For the first column that is not there; letters must agree in case.

    Examples
    --------
    >>> require_columns(["body", "topic"], {"text": "--text-column"}, "tickets.csv")
    Traceback (most recent call last):
    elsewise.errors.InputError: tickets.csv has no column 'text'; it has 'body', 'topic'; name the right one with --text-column
    """  # noqa: E501
    present = list(columns)
    for column, option in wanted.items():
        if column not in present:
            has = column_names(present) or "none"
            raise InputError(f"{path} has no column {column!r}; it has {has}; name the right one with {option}")


def problem_with(row: Row, wanted: Iterable[str]) -> str | None:
    """Say why a row cannot be used when it needs these columns, or None.

    In JSON Lines a row may lack a key, or hold null, a list or an object where text is needed.

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
    """Find other names for input columns that an output column would overwrite.

    Returns
    -------
    dict, tuple of str
        From every reserved name to the name an input column of that name is written under (apply it
        with ``names.get(column, column)``: it also holds for keys that appear late in JSON Lines), and
        a sentence for each column of this file that is renamed.

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
