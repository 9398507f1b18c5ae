"""JSON Lines: one JSON object a line (https://jsonlines.org), by default in UTF-8.

Strings become cells as they are; all other values keep their JSON text (see `JsonText`), also when written. An array
of objects, or an object over several lines, is not read.
"""

import json
import math
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, NoReturn

from elsewise.data.lines import Lines
from elsewise.data.rows import JSON_LINES, Cells, JsonText, Row, Rows
from elsewise.errors import InputError

HAS_HEADER = False
NESTED = "is nested too deeply"
LOOK = 100  # unusable lines at the start after which the file is refused
KINDS = {list: "a list", str: "a string", JsonText: "a number", bool: "a boolean", type(None): "null"}


class _UnusableError(ValueError):
    """The line is JSON to the parser, but not usable."""


def read(lines: Lines, delimiter: str | None = None, *, literal_quotes: bool = False) -> Rows:
    """Read the columns, which are the keys of the first object, and return the rows, which are read lazily.

    Later rows may have different keys. Blank lines are skipped. A line that is not one JSON object, or holds NaN,
    Infinity or a repeated key, is a row with a problem. What is asked of CSV is ignored.

    InputError if the file is empty, or none of its first 100 rows is an object; while reading, for a byte not in the
    encoding.
    """
    del delimiter, literal_quotes
    rows = _rows(lines)
    looked: list[Row] = []
    for row in islice(rows, LOOK):
        looked.append(row)
        if row.problem is None:
            return Rows(lines, tuple(row.cells), (JSON_LINES,), chain(looked, rows))
    if not looked:
        raise InputError(f"{lines.name} is empty")
    first = looked[0]
    wrong = f"is not JSON Lines (one object a line): line {first.line} {first.problem}"
    is_list = first.raw.lstrip().startswith("[") and first.problem != NESTED
    remedy = f"; make them of a list: jq -c '.[]' {shlex.quote(lines.name)} > new.jsonl" if is_list else ""
    raise InputError(f"{lines.name} {wrong}{remedy}")


def _rows(lines: Lines) -> Iterator[Row]:
    number, byte = 0, lines.start
    for line, text in enumerate(lines, 1):
        if not text.isspace():
            number += 1
            raw = text.rstrip("\r\n")
            cells, problem = _cells(raw)
            yield Row(number, line, cells, problem, raw, byte)
        byte += lines.size(text)


def _cells(text: str) -> tuple[dict[str, str], str | None]:
    try:
        value = _DECODER.decode(text)
        if type(value) is not dict:
            return {}, f"is {KINDS[type(value)]}, not a JSON object"
        return {key: cell if isinstance(cell, str) else JsonText(_text(cell)) for key, cell in value.items()}, None
    except _UnusableError as error:
        return {}, str(error)
    except json.JSONDecodeError as error:
        fault = error.msg[:1].lower() + error.msg[1:].removesuffix(" at")
        return {}, f"is not JSON: {fault} at character {error.pos + 1}"
    except RecursionError:
        return {}, NESTED


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        times = Counter(key for key, _ in pairs)
        raise _UnusableError(f"has the key {next(key for key in times if times[key] > 1)!r} twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise _UnusableError(f"holds {name}, which is not JSON; write null or a string")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=JsonText, parse_int=JsonText, parse_constant=_refuse_constant
)
_quote = json.JSONEncoder(ensure_ascii=False).encode


def encoder(
    columns: tuple[str, ...], delimiter: str = ",", *, excel: bool = False, safe: bool = False
) -> Callable[[Cells], bytes]:
    r"""Make the function that encodes one row, with the row's own keys in their order.

    NaN and None become null, infinity the string "inf". Only lone surrogates, which UTF-8 cannot encode, are escaped.

    Examples
    --------
    >>> encoder(())({"text": "hi", "id": JsonText("0.10"), "threshold": float("inf")})
    b'{"text": "hi", "id": 0.10, "threshold": "inf"}\n'
    """
    del columns, delimiter, excel, safe
    # A lone surrogate occurs only in a string, where \ud800 is its JSON escape.
    return lambda row: f"{_text(row)}\n".encode("utf-8", "backslashreplace")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value) if isinstance(value, JsonText) else _quote(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join([f"{_quote(key)}: {_text(cell)}" for key, cell in value.items()]) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join([_text(item) for item in value]) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "null" if math.isnan(value) else f'"{float(value)}"'
    if value is None or isinstance(value, (bool, int, float)):
        return _quote(value)
    if hasattr(value, "item"):  # a numpy scalar
        return _text(value.item())
    kind = type(value).__name__
    raise TypeError(f"a JSON value must be text, a number, a boolean, None, a list or a dict, got {kind}")
