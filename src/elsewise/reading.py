"""Labelled texts and logits from files, for `fit`, `evaluate` and `calibrate`."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from elsewise.engines.tokenizer import is_visible
from elsewise.errors import InputError, need
from elsewise.formats import JsonText, Row, Rows, open_rows, problem_with, require_columns
from elsewise.messages.wording import at_lines, n_rows
from elsewise.relabelling import Relabelling

HEADLESS = re.compile(r"-?\d*\.\d+(e[+-]?\d+)?|-?\d+e[+-]?\d+", re.IGNORECASE)  # a number, and no code
PARQUET = (".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read files of rows: column names, and what the file itself does not say.

    Attributes
    ----------
    text_column, label_column : str
        Columns. Several text columns, with commas between them, are joined; a column of that very name wins.
    delimiter, encoding, format : str or None
        As in `elsewise.formats.open_rows`.
    maps, dropped : tuple of str
        Rules such as ``old=new``, and labels whose rows are left out: see `elsewise.relabelling`.
    skip_bad_rows : bool
        Leave out rows that cannot be used, and those with a blank text, where every row would be wanted.
    """

    text_column: str = "text"
    label_column: str = "label"
    delimiter: str | None = None
    encoding: str | None = None
    format: str | None = None
    maps: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    skip_bad_rows: bool = False

    def open(self, path: str) -> Rows:
        """Open a file of rows."""
        return open_rows(path, delimiter=self.delimiter, encoding=self.encoding, format=self.format)

    def text_columns(self, columns: tuple[str, ...], path: str) -> tuple[str, ...]:
        """Say which columns of a header hold the texts; InputError for one that is not there."""
        name = self.text_column
        named = (name,) if name in columns else tuple(part.strip() for part in name.split(","))
        require_columns(columns, dict.fromkeys(named, "--text-column"), path)
        return named


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: its line, its number among the rows, and why, to be read after "row 3"."""

    line: int
    number: int
    problem: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts and labels of a file, equally many.

    Attributes
    ----------
    texts, labels : lists of str
        Labels after those that were to be renamed were.
    lines, numbers : lists of int
        Where the rows start in the file, and which rows of it they are, from 1; rows that were left out count.
    notes : tuple of str
        How it was read, and what was left out.
    bad : tuple of BadRow
        Rows that were left out because they cannot be used.
    renamed, dropped : int
        Rows whose label was renamed, and rows left out for their label.
    columns : mapping
        What else was asked for, by name, one cell for each text.
    """

    texts: list[str]
    labels: list[str]
    lines: list[int]
    numbers: list[int]
    notes: tuple[str, ...]
    bad: tuple[BadRow, ...] = ()
    renamed: int = 0
    dropped: int = 0
    columns: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        """How many rows cannot be used."""
        return len(self.bad)

    @property
    def record(self) -> dict[str, int]:
        """What was mended, in numbers; empty for a file that was taken as it is."""
        counts = {"bad": self.rejected, "renamed": self.renamed, "dropped": self.dropped}
        return {name: count for name, count in counts.items() if count}

    def mended(self, relabel: Relabelling) -> "Labelled":
        """Rename labels and leave rows out."""
        if not relabel.new and not relabel.dropped:
            return self
        new = [relabel(label) for label in self.labels]
        kept = [i for i, label in enumerate(new) if label is not None]
        renamed = sum(label in relabel.new for label in self.labels)
        dropped = len(new) - len(kept)
        counts = ((renamed, "renamed"), (dropped, "left out by label"))
        return replace(
            self,
            texts=[self.texts[i] for i in kept],
            labels=[label for label in new if label is not None],
            lines=[self.lines[i] for i in kept],
            numbers=[self.numbers[i] for i in kept],
            notes=(*self.notes, *(f"{n_rows(count)} {words}" for count, words in counts if count)),
            renamed=renamed,
            dropped=dropped,
            columns={name: [cells[i] for i in kept] for name, cells in self.columns.items()},
        )


def read_labelled(path: str, how: Reading, *, strict: bool, slices: Sequence[str] = ()) -> Labelled:
    """Read texts and labels of one file, as `read_files` does."""
    return read_files([path], how, strict=strict, slices=slices)[0]


def read_files(paths: Sequence[str], how: Reading, *, strict: bool, slices: Sequence[str] = ()) -> list[Labelled]:
    """Read texts and labels; a label that is renamed or dropped must be in one of the files.

    Parameters
    ----------
    paths : n paths
        Files, or - for stdin.
    how : Reading
        Their columns and format, and what of them is mended.
    strict : bool
        Refuse a file with a row that cannot be used, unless `how` says to skip such rows; else leave them out.
    slices : names
        Columns to read too; a row of JSON Lines that lacks one has an empty cell there.

    Raises
    ------
    InputError
        If a file or a column is missing, or, when strict, a row cannot be used; the message names the line.
    """
    read = [_read(path, how, strict=strict, slices=slices) for path in paths]
    relabel = Relabelling.of(how.maps, how.dropped, {label for one in read for label in one.labels})
    return [one.mended(relabel) for one in read]


def _read(path: str, how: Reading, *, strict: bool, slices: Sequence[str]) -> Labelled:
    texts: list[str] = []
    labels: list[str] = []
    lines: list[int] = []
    numbers: list[int] = []
    bad: list[BadRow] = []
    more: dict[str, list[str]] = {name: [] for name in slices}
    with how.open(path) as file:
        columns = how.text_columns(file.columns, path)
        require_columns(file.columns, {how.label_column: "--label-column"}, path)
        require_columns(file.columns, dict.fromkeys(slices, "--slice"), path)
        for row in file:
            text, problem = labelled_text(row, columns, how)
            if problem:
                bad.append(BadRow(row.line, row.number, problem))
                continue
            texts.append(text)
            labels.append(row.cells[how.label_column])
            lines.append(row.line)
            numbers.append(row.number)
            for name, cells in more.items():
                cells.append(row.cells.get(name, ""))
        notes = file.notes
    if bad and strict and not how.skip_bad_rows:
        raise InputError(_refusal(path, bad))
    if bad:
        first = bad[0]
        left_out = f"{n_rows(len(bad))} left out: {at_lines([one.line for one in bad])}"
        found = f"first of the rejected rows: line {first.line} {first.problem}"
        notes = (*notes, left_out, found) if strict else (*notes, found)
    return Labelled(texts, labels, lines, numbers, notes, tuple(bad), columns=more)


def _refusal(path: str, bad: Sequence[BadRow]) -> str:
    first = f"{path} line {bad[0].line}: row {bad[0].number} {bad[0].problem}"
    if len(bad) == 1:
        return f"{first}; mend the row, or leave it out with --skip-bad-rows"
    where = at_lines([row.line for row in bad])
    remedy = "elsewise check shows them all, --skip-bad-rows leaves them out"
    return f"{first}\n{n_rows(len(bad))} cannot be used ({where}): {remedy}"


def labelled_text(row: Row, columns: tuple[str, ...], how: Reading) -> tuple[str, str | None]:
    """Read the text of a row that needs a label too, or say what is wrong with the row."""
    text, problem = text_of(row, columns)
    problem = problem or problem_with(row, (how.label_column,))
    if problem is None and not row.cells[how.label_column].strip():
        problem = f"has an empty label in {how.label_column!r}"
    if problem is None and how.skip_bad_rows and not is_visible(text):
        problem = "has a blank text"
    return text, problem


def text_of(row: Row, columns: tuple[str, ...]) -> tuple[str, str | None]:
    """Read the text of a row, or say what is wrong with it; several cells are joined by a blank, blank ones left out.

    Examples
    --------
    >>> row = Row(1, 2, {"subject": "Refund", "tags": " ", "body": "Where is it?"}, None, "")
    >>> text_of(row, ("subject", "tags", "body"))
    ('Refund Where is it?', None)
    """
    if len(columns) == 1 or row.problem:
        problem = problem_with(row, columns)
        return ("", problem) if problem else (row.cells[columns[0]], None)
    there = [name for name in columns if name in row.cells and not _is_null(row.cells[name])]
    problem = problem_with(row, there or columns)
    return ("", problem) if problem else (" ".join(row.cells[name] for name in there if row.cells[name].strip()), None)


def _is_null(cell: str) -> bool:
    return isinstance(cell, JsonText) and cell == "null"


def read_logits(
    path: str, how: Reading, names: tuple[str, ...] | None = None
) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Read logits (n, k): a .npy array (not loaded whole), one of a .npz, or numbers in the columns of a file of rows.

    Returns the logits, and the names of the columns where the file has them. With `names`, only these
    columns are read, in this order, if the file has them all.
    """
    if is_array(path):
        return read_array(path, "logits"), None
    if path.endswith(PARQUET):
        return _read_parquet(path, how, names)
    with how.open(path) as rows:
        usable = rows.columns if names else tuple(c for c in rows.columns if c != how.label_column)
        columns = logit_columns(usable, names, path)
        numbers = [_logits(row, columns, path) for row in _usable(rows, path)]
    return np.array(numbers, dtype=np.float64).reshape(len(numbers), len(columns)), columns


def logit_columns(columns: tuple[str, ...], names: tuple[str, ...] | None, path: str) -> tuple[str, ...]:
    """Choose the columns that hold logits: those named like the labels, or, when none is, all of them in order."""
    if any(HEADLESS.fullmatch(column) for column in columns):
        raise InputError(f"the first line of {path} holds numbers, not names; put the labels there, one a column")
    missing = [] if names is None else [name for name in names if name not in columns]
    if names is None or len(missing) == len(names):
        return columns
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}; name the columns like the labels, or none of them")
    return names


def logits_of(row: Row, columns: tuple[str, ...]) -> list[float] | str:
    """Read the logits of one row, or say what is wrong with it."""
    values = []
    for column in columns:
        try:
            values.append(float(row.cells.get(column, "")))
        except ValueError:
            return f"has {row.cells.get(column, '')!r} in column {column!r}, not a number"
    return values


def read_codes(path: str, how: Reading, code_of: Callable[[str], int]) -> NDArray[np.int64]:
    """Read true labels as codes: a .npy or .npz array, or the label column of a file of rows (or its only one).

    Parameters
    ----------
    code_of : callable
        Turns the cell of a row into a code; raises InputError for an unknown label.
    """
    if is_array(path):
        return read_array(path, "codes")
    with how.open(path) as rows:
        is_only = len(rows.columns) == 1 and how.label_column == Reading().label_column  # none was asked for
        column = rows.columns[0] if is_only else how.label_column
        require_columns(rows.columns, {column: "--label-column"}, path)
        return np.array([_code(row, column, path, code_of) for row in _usable(rows, path)], dtype=np.int64)


def read_columns(path: str, how: Reading, slices: Sequence[str]) -> dict[str, list[str]]:
    """Read some columns of a file of rows, by name; a row of JSON Lines that lacks one has an empty cell there."""
    if path == "-" or is_array(path):
        raise InputError(f"--slice needs columns, and {path} has none to read; keep them in a .csv with the labels")
    with how.open(path) as rows:
        require_columns(rows.columns, dict.fromkeys(slices, "--slice"), path)
        cells = [row.cells for row in _usable(rows, path)]
    return {name: [row.get(name, "") for row in cells] for name in slices}


def is_array(path: str) -> bool:
    """Whether a path is that of a file of arrays, by its name."""
    return path.endswith((".npy", ".npz"))


def read_array(path: str, name: str) -> NDArray[Any]:
    """Read an array of numbers: a .npy file (not loaded whole), or what a .npz file has by this name, or alone.

    Raises
    ------
    InputError
        If there is no such file or array, or it holds objects: reading those can run code.
    """
    kind, save = path[-4:], "savez" if path.endswith(".npz") else "save"
    try:
        array = _of_archive(path, name) if kind == ".npz" else np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as a {kind} array of numbers; save it with numpy.{save}") from error
    if not isinstance(array, np.ndarray) or array.ndim == 0 or array.dtype.kind not in "fiu":
        raise InputError(f"{path} holds no array of numbers; save one with numpy.{save}")
    return array


def _of_archive(path: str, name: str) -> Any:
    with open(path, "rb") as file:  # noqa: PTH123  numpy itself would leave a damaged one open
        arrays = np.load(file, allow_pickle=False)
        return arrays[_named(arrays.files, name, path)] if isinstance(arrays, np.lib.npyio.NpzFile) else arrays


def _named(names: Sequence[str], name: str, path: str) -> str:
    """Say which array of a .npz file is meant."""
    if name not in names and len(names) != 1:
        raise InputError(f"{path} holds {', '.join(map(repr, names)) or 'no array'}, and none is called {name!r}")
    return name if name in names else names[0]


def _read_parquet(path: str, how: Reading, names: tuple[str, ...] | None) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Read columns of numbers; all but the label column, or those of `names`."""
    parquet = need("pyarrow.parquet", extra="parquet")
    try:
        table = parquet.read_table(path)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    usable = tuple(table.column_names if names else (c for c in table.column_names if c != how.label_column))
    columns = logit_columns(usable, names, path)
    arrays = [table.column(column).to_numpy() for column in columns]
    for column, array in zip(columns, arrays, strict=True):
        if array.dtype.kind not in "fiu":
            raise InputError(f"{path}: column {column!r} holds {array.dtype}, not numbers")
    return np.column_stack(arrays).astype(np.float64), columns


def _usable(rows: Rows, path: str) -> Iterator[Row]:
    for row in rows:
        if row.problem:
            raise InputError(f"{path} line {row.line}: row {row.number} {row.problem}")
        yield row


def _logits(row: Row, columns: tuple[str, ...], path: str) -> list[float]:
    values = logits_of(row, columns)
    if isinstance(values, str):
        raise InputError(f"{path} line {row.line}: row {row.number} {values}")
    return values


def _code(row: Row, column: str, path: str, code_of: Callable[[str], int]) -> int:
    try:
        return code_of(row.cells.get(column, ""))
    except InputError as error:
        raise InputError(f"{path} line {row.line}: {error}") from None


def read_names(path: str, encoding: str | None = None) -> tuple[str, ...]:
    """Read label names, one a line, in the order of the columns of logits."""
    try:
        lines = Path(path).read_text(encoding=encoding or "utf-8-sig").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError, LookupError) as error:
        raise InputError(f"{path} cannot be read as label names, one a line: {error}") from error
    for line, name in enumerate(lines, start=1):
        if not name.strip():
            raise InputError(f"{path} line {line} holds no label name; write one a line, in the order of the columns")
    return tuple(lines)
