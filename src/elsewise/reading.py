"""Labelled texts and logits from files, for `fit`, `evaluate` and `calibrate`."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.errors import InputError
from elsewise.formats import Row, Rows, open_rows, problem_with, require_columns

HEADLESS = re.compile(r"-?\d*\.\d+(e[+-]?\d+)?|-?\d+e[+-]?\d+", re.IGNORECASE)  # a number, and no code


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read files of rows: column names, and what the file itself does not say.

    Attributes
    ----------
    text_column, label_column : str
        Columns.
    delimiter, encoding, format : str or None
        As in `elsewise.formats.open_rows`.
    """

    text_column: str = "text"
    label_column: str = "label"
    delimiter: str | None = None
    encoding: str | None = None
    format: str | None = None

    def open(self, path: str) -> Rows:
        """Open a file of rows."""
        return open_rows(path, delimiter=self.delimiter, encoding=self.encoding, format=self.format)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts and labels of a file, equally many; how it was read; how many rows were left out, and why the first.

    `columns` holds what else was asked for, by name, one cell for each text.
    """

    texts: list[str]
    labels: list[str]
    notes: tuple[str, ...]
    rejected: int
    columns: Mapping[str, list[str]] = field(default_factory=dict)


def read_labelled(path: str, how: Reading, *, strict: bool, slices: Sequence[str] = ()) -> Labelled:
    """Read texts and labels.

    Parameters
    ----------
    path : str
        A file, or - for stdin.
    how : Reading
        Its columns and format.
    strict : bool
        Stop at the first row that cannot be used; else leave such rows out and count them.
    slices : names
        Columns to read too; a row of JSON Lines that lacks one has an empty cell there.

    Raises
    ------
    InputError
        If the file or a column is missing, or, when strict, a row cannot be used; the message names the line.
    """
    texts: list[str] = []
    labels: list[str] = []
    rejected, first = 0, ""
    columns = (how.text_column, how.label_column)
    more: dict[str, list[str]] = {name: [] for name in slices}
    with how.open(path) as rows:
        require_columns(rows.columns, dict(zip(columns, ("--text-column", "--label-column"), strict=True)), path)
        require_columns(rows.columns, dict.fromkeys(slices, "--slice"), path)
        for row in rows:
            problem = _labelled_problem(row, *columns)
            if problem and strict:
                raise InputError(f"{path} line {row.line}: row {row.number} {problem}; mend the row or take it out")
            if problem:
                rejected += 1
                first = first or f"first of the rejected rows: line {row.line} {problem}"
                continue
            texts.append(row.cells[columns[0]])
            labels.append(row.cells[columns[1]])
            for name, cells in more.items():
                cells.append(row.cells.get(name, ""))
        return Labelled(texts, labels, (*rows.notes, first) if first else rows.notes, rejected, more)


def _labelled_problem(row: Row, text_column: str, label_column: str) -> str | None:
    problem = problem_with(row, (text_column, label_column))
    if problem is None and not row.cells[label_column].strip():
        return f"has an empty label in {label_column!r}"
    return problem


def read_logits(
    path: str, how: Reading, names: tuple[str, ...] | None = None
) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Read logits (n, k): a .npy array (not loaded whole), or numbers in the columns of a file of rows.

    Returns the logits, and the names of the columns where the file has them. With `names`, only these
    columns are read, in this order, if the file has them all.
    """
    if path.endswith(".npy"):
        return _read_npy(path), None
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
    """Read true labels as codes: a .npy array of codes, or the label column of a file of rows (or its only one).

    Parameters
    ----------
    code_of : callable
        Turns the cell of a row into a code; raises InputError for an unknown label.
    """
    if path.endswith(".npy"):
        return _read_npy(path)
    with how.open(path) as rows:
        is_only = len(rows.columns) == 1 and how.label_column == Reading().label_column  # none was asked for
        column = rows.columns[0] if is_only else how.label_column
        require_columns(rows.columns, {column: "--label-column"}, path)
        return np.array([_code(row, column, path, code_of) for row in _usable(rows, path)], dtype=np.int64)


def read_columns(path: str, how: Reading, slices: Sequence[str]) -> dict[str, list[str]]:
    """Read some columns of a file of rows, by name; a row of JSON Lines that lacks one has an empty cell there."""
    if path == "-" or path.endswith(".npy"):
        raise InputError(f"--slice needs columns, and {path} has none to read; keep them in a .csv with the labels")
    with how.open(path) as rows:
        require_columns(rows.columns, dict.fromkeys(slices, "--slice"), path)
        cells = [row.cells for row in _usable(rows, path)]
    return {name: [row.get(name, "") for row in cells] for name in slices}


def _read_npy(path: str) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read as a .npy array of numbers; save it with numpy.save") from error
    if not isinstance(array, np.ndarray) or array.ndim == 0 or array.dtype.kind not in "fiu":
        raise InputError(f"{path} holds no array of numbers; save one with numpy.save")
    return array


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
