"""Marks of labelled rows besides their labels: the group that a row belongs to, and its time."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Floats, is_missing
from elsewise.errors import InputError

KINDS: Final = {"number": "is a number", "zoned": "has a time zone", "local": "has no time zone"}


def numbered_groups(files: Sequence[Iterable[Any] | None]) -> list[NDArray[np.int64] | None]:
    """Turn the groups of the rows of several files into numbers, alike in all of them.

    A row without a group is a group by itself.

    Examples
    --------
    >>> [groups.tolist() for groups in numbered_groups([["ann", "", "ann"], [None, "bob", "ann"]])]
    [[0, 1, 0], [2, 3, 0]]
    """
    known: dict[object, int] = {}
    return [None if rows is None else np.array([_number(value, known) for value in rows], dtype=np.int64)
            for rows in files]  # fmt: skip


def has_no_group(value: Any) -> bool:
    """Tell whether a value names no group: None, NaN and blanks do not."""
    return is_missing(value) or not str(value).strip()


def _number(value: Any, known: dict[object, int]) -> int:
    key = object() if has_no_group(value) else str(value)
    return known.setdefault(key, len(known))


def seconds(times: Iterable[Any], name: str) -> Floats:
    """Turn n times into seconds or other numbers that grow with time, shape (n,): numbers, dates or ISO 8601.

    InputError, with the `name` of the rows, for a time that cannot be read, and for times of several kinds.

    Examples
    --------
    >>> np.diff(seconds(["2024-05-31", "2024-06-01 12:00"], "the data")).tolist()
    [129600.0]
    """
    found: dict[str, tuple[int, Any]] = {}
    numbers = []
    for row, value in enumerate(times):
        kind, number = _read(value)
        if kind not in KINDS:
            raise InputError(f"{name}: the time {value!r} in row {row} cannot be read; write it as in 2024-05-31T14:30")
        numbers.append(number)
        found.setdefault(kind, (row, value))
    if len(found) > 1:
        (one, (row, value)), (other, (next_row, next_value)) = list(found.items())[:2]
        first, second = f"{value!r} in row {row} {KINDS[one]}", f"{next_value!r} in row {next_row} {KINDS[other]}"
        raise InputError(f"{name}: the time {first}, and {second}; write all of them alike")
    return np.array(numbers, dtype=np.float64)


def _read(value: Any) -> tuple[str, float]:
    """Give the kind of a time, a key of KINDS or "unknown", and its number."""
    if not isinstance(value, date | np.datetime64):
        try:
            number = float(value)
        except (TypeError, ValueError):
            pass
        else:
            return "number" if math.isfinite(number) else "unknown", number
    try:
        moment = datetime.fromisoformat(str(value).strip())
    except ValueError:
        return "unknown", math.nan
    is_zoned = moment.tzinfo is not None
    return ("zoned" if is_zoned else "local"), (moment if is_zoned else moment.replace(tzinfo=UTC)).timestamp()
