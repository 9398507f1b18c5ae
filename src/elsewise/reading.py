"""Labelled texts and logits from files, for `fit`, `evaluate` and `calibrate`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.errors import InputError
from elsewise.formats import Row, Rows, open_rows, problem_with, require_columns


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
    """Texts and labels of a file, equally many, and how it was read."""

    texts: list[str]
    labels: list[str]
    notes: tuple[str, ...]
    rejected: int


def read_labelled(path: str, how: Reading, *, strict: bool) -> Labelled:
    """Read texts and labels.

    Parameters
    ----------
    path : str
        A file, or - for stdin.
    how : Reading
        Its columns and format.
    strict : bool
        Stop at the first row that cannot be used; else leave such rows out and count them.

    Raises
    ------
    InputError
        If the file or a column is missing, or, when strict, a row cannot be used; the message names the line.
    """
    texts: list[str] = []
    labels: list[str] = []
    rejected = 0
    columns = (how.text_column, how.label_column)
    with how.open(path) as rows:
        require_columns(rows.columns, dict(zip(columns, ("--text-column", "--label-column"), strict=True)), path)
        for row in rows:
            problem = _labelled_problem(row, *columns)
            if problem and strict:
                raise InputError(f"{path} line {row.line}: row {row.number} {problem}; mend the row or take it out")
            if problem:
                rejected += 1
                continue
            texts.append(row.cells[columns[0]])
            labels.append(row.cells[columns[1]])
        return Labelled(texts, labels, rows.notes, rejected)


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
        has_names = names is not None and set(names) <= set(rows.columns)
        columns = names if has_names and names is not None else rows.columns
        numbers = [[_number(row, column, path) for column in columns] for row in _usable(rows, path)]
    return np.array(numbers, dtype=np.float64).reshape(len(numbers), len(columns)), columns


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
        column = rows.columns[0] if len(rows.columns) == 1 else how.label_column
        require_columns(rows.columns, {column: "--label-column"}, path)
        return np.array([_code(row, column, path, code_of) for row in _usable(rows, path)], dtype=np.int64)


def _read_npy(path: str) -> NDArray[Any]:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"{path} is not there") from error
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read as a .npy array of numbers: {error}") from error


def _usable(rows: Rows, path: str) -> Iterator[Row]:
    for row in rows:
        if row.problem:
            raise InputError(f"{path} line {row.line}: row {row.number} {row.problem}")
        yield row


def _number(row: Row, column: str, path: str) -> float:
    cell = row.cells.get(column, "")
    try:
        return float(cell)
    except ValueError:
        raise InputError(f"{path} line {row.line}: {cell!r} in column {column!r} is not a number") from None


def _code(row: Row, column: str, path: str, code_of: Callable[[str], int]) -> int:
    try:
        return code_of(row.cells.get(column, ""))
    except InputError as error:
        raise InputError(f"{path} line {row.line}: {error}") from None


def read_names(path: str) -> tuple[str, ...]:
    """Read label names, one a line, in the order of the columns of logits."""
    try:
        return tuple(Path(path).read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as label names, one a line: {error}") from error
