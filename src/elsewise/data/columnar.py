"""Files of typed columns, Parquet and Arrow: rows with their types in, and out; in batches, in bounded memory.

Strings are cells as in any file of rows. A number, a date or a list is a cell that knows its value, so a Parquet file
that is written again has the types that it had. A missing value is null.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from os import PathLike, fspath
from pathlib import Path
from typing import IO, Any, Final

from elsewise.data.rows import Cells, JsonText, Opened, Row, Rows, is_null, refuse_repeats
from elsewise.errors import InputError, need
from elsewise.storage.stand_ins import refuse_pointer

BATCH: Final = 1024  # rows that are read at once: a small file can hold many large cells
LONGEST: Final = 10_000_000  # characters of a cell
PARQUET, ARROW = (".parquet", ".pq"), (".arrow", ".feather", ".ipc")
ENDINGS: Final = (*PARQUET, *ARROW)
NULL: Final = JsonText("null")


class JsonValue(JsonText):
    """A number, a boolean, a list or an object, as its JSON text; `value` is what it was."""

    __slots__ = ("value",)
    value: Any


class TextValue(str):
    """A value that JSON has no form of, such as a date, as text; `value` is what it was."""

    __slots__ = ("value",)
    value: Any


def open_columns(path: str | PathLike[str]) -> Rows:
    """Open a file of columns; InputError if it cannot be read, or two columns have one name."""
    name = fspath(path)
    refuse_pointer(Path(path))
    try:
        file, schema, batches = (_open_parquet if name.lower().endswith(PARQUET) else _open_arrow)(name)
    except FileNotFoundError as error:
        raise InputError(f"{name} does not exist") from error
    except (OSError, ValueError, MemoryError) as error:
        raise InputError(f"{name} cannot be read as {_kind(name)}: {_first_line(error)}") from error
    refuse_repeats(schema.names, name)
    if not schema.names:
        file.close()
        raise InputError(f"{name} has no columns")
    opened = Opened(_kind(name), file.close)
    types = {field.name: field.type for field in schema}
    return Rows(opened, tuple(schema.names), (), _rows(batches, name), types=types)


def count_rows(path: str | PathLike[str]) -> int:
    """Give the number of rows that a Parquet file says it has; 0 for an Arrow file, or one that cannot be read."""
    if not fspath(path).lower().endswith(PARQUET):
        return 0
    parquet = need("pyarrow.parquet", extra="parquet")
    with suppress(OSError, ValueError), parquet.ParquetFile(path) as file:
        return int(file.metadata.num_rows)
    return 0


def _kind(name: str) -> str:
    return "Parquet" if name.lower().endswith(PARQUET) else "Arrow"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _open_parquet(path: str) -> tuple[Any, Any, Iterator[Any]]:
    arrow, parquet = need("pyarrow", extra="parquet"), need("pyarrow.parquet", extra="parquet")
    with parquet.ParquetFile(path) as file:
        texts = [field.name for field in file.schema_arrow if arrow.types.is_string(field.type)]
        schema = file.schema_arrow
    file = parquet.ParquetFile(path, read_dictionary=texts)  # a repeated cell is unpacked once
    return file, schema, file.iter_batches(batch_size=BATCH)


def _open_arrow(path: str) -> tuple[Any, Any, Iterator[Any]]:
    arrow = need("pyarrow", extra="parquet")
    opened = arrow.memory_map(path)
    try:
        file = arrow.ipc.open_file(opened)
    except arrow.ArrowInvalid:
        opened.seek(0)
        stream = arrow.ipc.open_stream(opened)
        return opened, stream.schema, _sliced(iter(stream))
    batches = (file.get_batch(i) for i in range(file.num_record_batches))
    return opened, file.schema, _sliced(batches)


def _sliced(batches: Iterable[Any]) -> Iterator[Any]:
    for batch in batches:
        for at in range(0, batch.num_rows, BATCH):
            yield batch.slice(at, BATCH)


def _rows(batches: Iterator[Any], name: str) -> Iterator[Row]:
    number = 0
    while True:
        try:
            batch = next(batches, None)
            if batch is None:
                return
            names, columns = batch.schema.names, [_cells_of(column) for column in batch.columns]
        except (OSError, ValueError, MemoryError) as error:
            raise InputError(f"{name} cannot be read after row {number:,}: {_first_line(error)}") from error
        for cells in zip(*columns, strict=True):
            number += 1
            long = next((column for column, cell in zip(names, cells, strict=True) if len(cell) > LONGEST), None)
            if long is not None:
                problem = f"has more than {LONGEST:,} characters in {long!r}"
                yield Row(number, number, {}, problem, "")
            else:
                yield Row(number, number, dict(zip(names, cells, strict=True)), None, "\t".join(cells))


def _cells_of(column: Any) -> list[str]:
    """Turn a column (n,) into cells."""
    arrow = need("pyarrow", extra="parquet")
    if arrow.types.is_dictionary(column.type):
        words = [_cell(value) for value in column.dictionary.to_pylist()]
        return [NULL if at is None else words[at] for at in column.indices.to_pylist()]
    return [_cell(value) for value in column.to_pylist()]


def _cell(value: Any) -> str:
    if value is None:
        return NULL
    if type(value) is str:
        return value
    with suppress(TypeError, ValueError):
        made: Any = JsonValue(json.dumps(value, ensure_ascii=False, allow_nan=False))
        made.value = value
        return made
    text = base64.b64encode(value).decode() if isinstance(value, bytes) else _words(value)
    made = TextValue(text)
    made.value = value
    return made


def _words(value: Any) -> str:
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


class ColumnWriter:
    """Writes rows as typed columns, each call of `write` as one group of rows."""

    def __init__(self, file: IO[bytes], name: str, columns: tuple[str, ...], types: Mapping[str, Any]) -> None:
        self._arrow = need("pyarrow", extra="parquet")
        self._name, self._is_parquet = name, name.lower().endswith(PARQUET)
        fields = [(column, types.get(column, "string")) for column in columns]
        self._schema = self._arrow.schema(
            [(column, getattr(self._arrow, type_)() if isinstance(type_, str) else type_) for column, type_ in fields]
        )
        self._writer = self._opened(file)

    def _opened(self, file: IO[bytes]) -> Any:
        if self._is_parquet:
            parquet = need("pyarrow.parquet", extra="parquet")
            return parquet.ParquetWriter(file, self._schema, compression="zstd")
        return self._arrow.ipc.new_file(file, self._schema)

    def write(self, rows: Iterable[Cells]) -> None:
        """Write rows, each a mapping from column to value; InputError for a column that is not one of the file."""
        names, known = self._schema.names, set(self._schema.names)
        columns: list[list[Any]] = [[] for _ in names]
        for row in rows:
            if late := row.keys() - known:
                shown = ", ".join(map(repr, sorted(late)[:3]))
                raise InputError(f"a row has {shown}, which the columns of {self._name} lack; write a .jsonl file")
            for name, cells in zip(names, columns, strict=True):
                cells.append(row.get(name))
        if columns[0]:
            self._put(self._table(columns))

    def append(self, path: str | PathLike[str]) -> None:
        """Append the rows of a file that was written with the same columns."""
        if self._is_parquet:
            parquet = need("pyarrow.parquet", extra="parquet")
            with parquet.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    self._put(file.read_row_group(group))
            return
        with self._arrow.memory_map(fspath(path)) as opened:
            for batch in _batches(self._arrow.ipc.open_file(opened)):
                self._put(self._arrow.Table.from_batches([batch]))

    def finish(self) -> None:
        """Write the end of the file, and leave it open."""
        self._trying(self._writer.close)

    def _put(self, table: Any) -> None:
        self._trying(lambda: self._writer.write_table(table))

    def _trying(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except BrokenPipeError:
            raise
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise InputError(f"{self._name} cannot be written: {said}") from error

    def _table(self, columns: list[list[Any]]) -> Any:
        arrays = []
        for field, cells in zip(self._schema, columns, strict=True):
            values = [_value(cell, self._arrow, field.type) for cell in cells]
            arrays.append(self._arrow.array(values, type=field.type, from_pandas=True))
        return self._arrow.Table.from_arrays(arrays, schema=self._schema)


def _batches(file: Any) -> Iterator[Any]:
    return (file.get_batch(i) for i in range(file.num_record_batches))


def _value(cell: Any, arrow: Any, type_: Any) -> Any:
    if is_null(cell):
        return None
    if isinstance(cell, JsonValue | TextValue):
        return cell.value
    if arrow.types.is_string(type_) or arrow.types.is_large_string(type_):
        return str(cell)
    return cell
