"""Rows sorted by a value, with their flags: the common part of AUC and risk-coverage metrics."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import to_numpy
from elsewise.errors import InputError
from elsewise.metrics.intervals import Column, Flags


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Rows from the largest value to the smallest, where rows of equal value and flag are one cell with a count.

    Attributes
    ----------
    values, flags, counts : (c,) float64, bool and float64
        Value of each cell, descending, nan last; its flag, false before true; its number of rows.
    ends : (g,) int64
        Index of the last cell of each of the g distinct values.
    """

    values: Column
    flags: Flags
    counts: Column
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, values: Column, flags: Flags) -> "Ranking":
        """Rank values (n,) with their flags (n,); the order of the rows does not matter.

        Examples
        --------
        >>> ranking = Ranking.of(np.array([1.0, 2.0, 1.0, 1.0]), np.array([True, True, False, True]))
        >>> ranking.values.tolist(), ranking.counts.tolist(), ranking.ends.tolist()
        ([2.0, 1.0, 1.0], [1.0, 1.0, 2.0], [0, 2])
        """
        order = np.lexsort((flags, -values))
        v, f = values[order], flags[order]
        new_value, new_cell = np.ones(len(v), dtype=bool), np.ones(len(v), dtype=bool)
        new_value[1:] = (v[1:] != v[:-1]) & ~(np.isnan(v[1:]) & np.isnan(v[:-1]))
        new_cell[1:] = new_value[1:] | (f[1:] != f[:-1])
        first = np.flatnonzero(new_cell)
        ends = np.flatnonzero(np.append(new_value[first][1:], [True] * bool(len(v))))
        return cls(v[first], f[first], np.diff(np.append(first, len(v))).astype(np.float64), ends)

    @classmethod
    def of_rows(cls, values: Column, flags: Flags) -> "tuple[Ranking, NDArray[np.int64]]":
        """Rank values and flags (n,) with each row as its own cell; returns also the row of each cell, (n,).

        Examples
        --------
        >>> ranking, rows = Ranking.of_rows(np.array([1.0, 2.0, 1.0]), np.array([True, True, False]))
        >>> rows.tolist(), ranking.values.tolist(), ranking.ends.tolist()
        ([1, 2, 0], [2.0, 1.0, 1.0], [0, 2])
        """
        order = np.lexsort((flags, -values))
        v = values[order]
        last = np.ones(len(v), dtype=bool)
        last[:-1] = (v[1:] != v[:-1]) & ~(np.isnan(v[1:]) & np.isnan(v[:-1]))
        return cls(v, flags[order], np.ones(len(v)), np.flatnonzero(last)), order

    def cumulate(self, weights: Column) -> tuple[Column, Column]:
        """Sum the weights of flagged and of unflagged rows down to each distinct value: (g,) each, or (b, g)."""
        flagged = np.cumsum(weights * self.flags, axis=-1).take(self.ends, axis=-1)
        return flagged, np.cumsum(weights, axis=-1).take(self.ends, axis=-1) - flagged


def as_ranking(values: Any, flags: Any, *, names: tuple[str, str], allow_nan: bool = False) -> Ranking:
    """Check and rank numbers (n,) with flags (n,), which are booleans or 0 and 1.

    Examples
    --------
    >>> as_ranking([0.5, 0.7], [True], names=("scores", "positives"))
    Traceback (most recent call last):
    elsewise.errors.InputError: positives must have shape (2,), one for each of scores, got (1,)
    """
    return Ranking.of(*as_pairs(values, flags, names=names, allow_nan=allow_nan))


def as_pairs(values: Any, flags: Any, *, names: tuple[str, str], allow_nan: bool = False) -> tuple[Column, Flags]:
    """Check numbers and flags as `as_ranking` does; returns (n,) float64 and (n,) bool in the order of the rows."""
    number, flag = as_column(values, names[0]), to_numpy(flags)
    if flag.shape != number.shape:
        raise InputError(f"{names[1]} must have shape {number.shape}, one for each of {names[0]}, got {flag.shape}")
    if flag.dtype.kind != "b" and not np.isin(flag, (0, 1)).all():
        raise InputError(f"{names[1]} must be true or false, got {flag.dtype}")
    missing = np.isnan(number)
    if missing.any() and not allow_nan:
        raise InputError(f"{names[0]} must not be nan: {missing.sum()} are, first is row {int(np.argmax(missing))}")
    return number, flag.astype(bool)


def as_column(values: Any, name: str) -> Column:
    """Check and give numbers (n,) as float64; InputError, with their `name`, for any other shape or kind."""
    array = to_numpy(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "fiu"):
        raise InputError(f"{name} must be numbers of shape (n,), got {array.dtype} of shape {array.shape}")
    return array.astype(np.float64)
