"""Excel files (.xlsx), read and never written: one sheet, its first row that is not empty is the header, cells as text.

A formula gives the value that Excel stored for it. Rows without a value are skipped, like blank lines.
"""

import zipfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final

from elsewise.data.rows import Opened, Row, Rows, refuse_repeats
from elsewise.engines.machine import memory
from elsewise.errors import InputError, need
from elsewise.messages.wording import counted, listed
from elsewise.storage.stand_ins import refuse_pointer

ENDINGS: Final = (".xlsx", ".xlsm")
OLD: Final = b"\xd0\xcf\x11\xe0"  # an older format, or a file with a password
COPIES: Final = 6  # of unpacked XML, while it is read
LONGEST_ROW: Final = 16_384  # columns that Excel can have


def open_sheet(path: str | PathLike[str], sheet: str | None = None) -> Rows:
    """Open a sheet, by default the first one; InputError if there is none, it is empty, or its header is no header."""
    name = fspath(path)
    book = _opened(name)
    try:
        return _read(book, name, sheet)
    except BaseException:
        book.close()
        raise


def _read(book: Any, name: str, sheet: str | None) -> Rows:
    names = book.sheetnames
    if sheet is not None and sheet not in names:
        raise InputError(f"{name} has no sheet {sheet!r}; it has {listed(map(repr, names))}")
    chosen = sheet or names[0]
    filled = _filled(book[chosen], name)
    line, header = next(filled, (0, []))
    if not header:
        raise InputError(f"{name} is empty: there is nothing in sheet {chosen!r}")
    columns = _header(header, f"{name} row {line}")
    note = f"sheet {chosen!r}" + (f" of {counted(len(names), 'sheet')}" if len(names) > 1 else "")
    return Rows(Opened(note, book.close), columns, (), _rows(filled, columns))


def _opened(name: str) -> Any:
    excel = need("openpyxl", extra="excel")
    refuse_pointer(Path(name))
    try:
        size = _size(name)
        room = memory()
        if not room or size * COPIES <= room:
            return excel.load_workbook(name, read_only=True, data_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{name} does not exist") from error
    except InputError:
        raise
    except Exception as error:  # openpyxl raises what its parts raise
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{name} cannot be read as Excel: {said}; save it as CSV") from error
    raise InputError(f"{name} unpacks to {size / 1e9:,.1f} GB, too much for this machine; save it as CSV")


def _size(name: str) -> int:
    """Count the bytes that a file unpacks to."""
    with open(name, "rb") as file:  # noqa: PTH123  as every input
        is_old = file.read(len(OLD)) == OLD
    if is_old:
        raise InputError(f"{name} has a password or is of an older Excel; save it as .xlsx without a password")
    with zipfile.ZipFile(name) as archive:
        return sum(part.file_size for part in archive.infolist())


def _filled(sheet: Any, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each row with a value."""
    rows = sheet.iter_rows(values_only=True)
    line = 0
    while True:
        try:
            values = next(rows, None)
        except Exception as error:
            said = next(iter(str(error).splitlines()), type(error).__name__)
            raise InputError(f"{name} cannot be read after row {line:,}: {said}; save it as CSV") from error
        if values is None:
            return
        line += 1
        if any(value is not None for value in values):
            yield line, [_text(value) for value in islice(values, LONGEST_ROW)]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)  # noqa: PLR2004
    with suppress(AttributeError):
        return (
            str(value.isoformat(" ")) if hasattr(value, "hour") and hasattr(value, "year") else str(value.isoformat())
        )
    return str(value)


def _header(cells: list[str], where: str) -> tuple[str, ...]:
    while cells and not cells[-1].strip():
        cells.pop()
    blank = [number for number, cell in enumerate(cells, 1) if not cell.strip()]
    if blank:
        raise InputError(f"{where}: column {blank[0]} of {len(cells)} has no name in the header; give it one")
    refuse_repeats(cells, where)
    return tuple(cells)


def _rows(filled: Iterator[tuple[int, list[str]]], columns: tuple[str, ...]) -> Iterator[Row]:
    width = len(columns)
    for number, (line, cells) in enumerate(filled, 1):
        raw = "\t".join(cells)
        more = next((cell for cell in cells[width:] if cell), None)
        if more is not None:
            yield Row(number, line, {}, f"has {more!r} beside the {counted(width, 'column')} of the header", raw)
        else:
            padded = [*cells[:width], *[""] * (width - len(cells))]
            yield Row(number, line, dict(zip(columns, padded, strict=True)), None, raw)
