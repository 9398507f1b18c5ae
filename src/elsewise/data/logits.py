"""Logits and true codes from files: arrays, Parquet, or columns of rows."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from elsewise.data.labelled_texts import Reading
from elsewise.data.rows import Columns, Row, Rows, options_of, own_names, refuse_repeats, require_columns
from elsewise.engines.machine import memory
from elsewise.errors import InputError, need
from elsewise.storage.stand_ins import refuse_pointer

HEADLESS = re.compile(r"-?\d*[.,]\d+(e[+-]?\d+)?|-?\d+e[+-]?\d+", re.IGNORECASE)  # a number, and no code
WITH_COMMA = re.compile(r"\s*[+-]?\d*,\d+(e[+-]?\d+)?\s*", re.IGNORECASE)
PARQUET = (".parquet", ".pq")
COPIES = 4  # of unpacked numbers, while they are checked and answered
GB = 1e9


def read_logits(
    path: str, how: Reading, names: tuple[str, ...] | None = None
) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Read logits (n, k) and the names of their columns, None if the file has no names.

    A .npy array is memory-mapped. With `names`, only these columns are read, in this order, if the file has them.
    """
    if is_array(path):
        return read_array(path, "logits"), None
    if path.endswith(PARQUET):
        return _read_parquet(path, how, names)
    with how.open(path) as rows:
        columns = logit_columns(rows.columns, how, names, path)
        numbers = [_logits(row, columns, path, how.decimal) for row in _usable(rows, path)]
    return np.array(numbers, dtype=np.float64).reshape(len(numbers), len(columns)), columns


def logit_columns(present: Iterable[str], how: Reading, names: tuple[str, ...] | None, path: str) -> tuple[str, ...]:
    """Choose the columns with logits: those named like the labels, or, if there are none, all in order."""
    columns = tuple(name for name in present if names or name != how.label_column)
    if any(HEADLESS.fullmatch(column) for column in columns):
        raise InputError(f"the first line of {path} holds numbers, not names; put the labels there, one a column")
    if names is None:
        return columns
    own = own_names(names, columns)
    if not any(own):
        return columns
    if None in own:
        missing = names[own.index(None)]
        raise InputError(f"{path} has no column {missing!r}; name the columns like the labels, or none of them")
    return tuple(name for name in own if name is not None)


def logits_of(row: Row, columns: tuple[str, ...], decimal: str = ".") -> list[float] | str:
    """Read the logits of one row, or return its problem as text."""
    values = []
    for column in columns:
        cell = row.cells.get(column, "")
        try:
            values.append(float(cell.replace(",", ".") if decimal == "," else cell))
        except ValueError:
            words = f"has {cell!r} in column {column!r}, not a number"
            has_comma = decimal == "." and WITH_COMMA.fullmatch(cell)
            return f"{words} with a decimal point; read it with decimal=','" if has_comma else words
    return values


def read_codes(path: str, how: Reading, code_of: Callable[[str], int]) -> NDArray[np.int64]:
    """Read true codes (n,) from an array, or from the label column or only column of a file of rows.

    `code_of` turns a cell into a code, and raises InputError for an unknown label.
    """
    if is_array(path):
        return read_array(path, "codes")
    with how.open(path) as rows:
        is_only = len(rows.columns) == 1 and how.label_column == Reading().label_column  # the default
        named = rows.columns[0] if is_only else how.label_column
        (column,) = require_columns(rows.columns, {named: "label_column="}, path)
        return np.array([_code(row, column, path, code_of) for row in _usable(rows, path)], dtype=np.int64)


def read_columns(path: str, how: Reading, slices: Columns) -> dict[str, list[str]]:
    """Read columns of a file of rows, by name; empty cells for keys that a row of JSON Lines lacks.

    `slices` are the columns, or a mapping from them to the options that name them.
    """
    options = options_of(slices)
    if options and (path == "-" or is_array(path)):
        option = next(iter(options.values()))
        raise InputError(f"{option} needs columns, and {path} has none to read; keep them in a .csv with the labels")
    with how.open(path) as rows:
        own = dict(zip(options, require_columns(rows.columns, options, path), strict=True))
        cells = [row.cells for row in _usable(rows, path)]
    return {name: [row.get(own[name], "") for row in cells] for name in slices}


def is_array(path: str) -> bool:
    """Whether a path names a file of arrays (.npy, .npz)."""
    return path.endswith((".npy", ".npz"))


def read_array(path: str, name: str) -> NDArray[Any]:
    """Read numbers, (n,) or (n, k), from a .npy file (memory-mapped), or from the array `name` of a .npz file.

    A single array in a .npz file may have any name. InputError if there is no such file or array, or it holds objects:
    reading those can run code.
    """
    kind, save = path[-4:], "savez" if path.endswith(".npz") else "save"
    refuse_pointer(Path(path))
    try:
        array = _of_archive(path, name) if kind == ".npz" else np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (OSError, ValueError, EOFError, MemoryError, OverflowError, BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as a {kind} array of numbers; save it with numpy.{save}") from error
    if not isinstance(array, np.ndarray) or array.ndim == 0 or array.dtype.kind not in "fiu":
        raise InputError(f"{path} holds no array of numbers; save one with numpy.{save}")
    return array


def _of_archive(path: str, name: str) -> Any:
    with open(path, "rb") as file:  # noqa: PTH123  numpy would leave a damaged file open
        arrays = np.load(file, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            return arrays
        names = arrays.files
        if name not in names and len(names) != 1:
            raise InputError(f"{path} holds {', '.join(map(repr, names)) or 'no array'}; save one array as {name!r}")
        chosen = name if name in names else names[0]
        packed = arrays.zip.infolist() if arrays.zip else []
        _refuse_large(path, sum(part.file_size for part in packed if part.filename.removesuffix(".npy") == chosen))
        return arrays[chosen]


def _refuse_large(path: str, unpacked: int) -> None:
    """Raise InputError before a file is unpacked to more bytes than this machine can work on."""
    room = memory()
    if room and unpacked * COPIES > room:
        raise InputError(
            f"{path} unpacks to {unpacked / GB:,.0f} GB, too much for {room / GB:,.0f} GB of memory; save it as .npy, "
            "which is read piece by piece"
        )


def _read_parquet(path: str, how: Reading, names: tuple[str, ...] | None) -> tuple[NDArray[Any], tuple[str, ...]]:
    parquet = need("pyarrow.parquet", extra="parquet")
    refuse_pointer(Path(path))
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            refuse_repeats(schema.names, path)
            columns = logit_columns(schema.names, how, names, path)
            for column in columns:
                if not re.fullmatch(r"u?int\d+|halffloat|float|double", kind := str(schema.field(column).type)):
                    raise InputError(f"{path}: column {column!r} holds {kind}, not numbers")
            _refuse_large(path, file.metadata.num_rows * len(columns) * np.dtype(np.float64).itemsize)
            table = file.read(columns=list(columns))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (OSError, ValueError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    return np.column_stack([table.column(column).to_numpy() for column in columns]).astype(np.float64), columns


def _usable(rows: Rows, path: str) -> Iterator[Row]:
    for row in rows:
        if row.problem:
            raise InputError(f"{path} line {row.line}: row {row.number} {row.problem}")
        yield row


def _logits(row: Row, columns: tuple[str, ...], path: str, decimal: str) -> list[float]:
    values = logits_of(row, columns, decimal)
    if isinstance(values, str):
        raise InputError(f"{path} line {row.line}: row {row.number} {values}")
    return values


def _code(row: Row, column: str, path: str, code_of: Callable[[str], int]) -> int:
    try:
        return code_of(row.cells.get(column, ""))
    except InputError as error:
        raise InputError(f"{path} line {row.line}: {error}") from None


def read_names(path: str, encoding: str | None = None) -> tuple[str, ...]:
    """Read label names, one a line, in the order of the columns of logits.

    In a .json file they are a list, or lie under ``id2label``, as in the config.json of `transformers`.
    """
    try:
        text = Path(path).read_text(encoding=encoding or "utf-8-sig")
    except (OSError, UnicodeDecodeError, LookupError) as error:
        raise InputError(f"{path} cannot be read as label names, one a line: {error}") from error
    if path.endswith(".json"):
        return _names_in_json(text, path)
    lines = text.removesuffix("\n").split("\n")
    for line, name in enumerate(lines, start=1):
        if not name.strip():
            raise InputError(f"{path} line {line} holds no label name; write one a line, in the order of the columns")
    return tuple(lines)


def _names_in_json(text: str, path: str) -> tuple[str, ...]:
    with suppress(json.JSONDecodeError, RecursionError):
        found = json.loads(text)
        given = found.get("id2label", found) if isinstance(found, dict) else found
        if isinstance(given, dict) and sorted(given) == sorted(map(str, range(len(given)))):
            given = [given[str(code)] for code in range(len(given))]
        if isinstance(given, list) and given and all(isinstance(name, str) and name.strip() for name in given):
            return tuple(given)
    raise InputError(f'{path} holds no label names; write a list of them, as in ["yes", "no"]')
