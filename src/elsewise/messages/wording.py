"""Counts, shares and lists, as sentences write them."""

from collections.abc import Callable, Sequence

import numpy as np

LINES_SHOWN = 5


def percent(share: float, rounded: Callable[[float], float] = np.floor) -> str:
    """Write a share as a percentage of two decimals, rounded down: a promise is never rounded up, a risk never down."""
    return f"{in_percent(share, rounded)} %"


def n_rows(count: int) -> str:
    """Write a number of rows.

    Examples
    --------
    >>> n_rows(1), n_rows(1200)
    ('1 row', '1,200 rows')
    """
    return f"{count:,} row{'s' * (count != 1)}"


def at_lines(lines: Sequence[int]) -> str:
    """Write where rows are; the first few.

    Examples
    --------
    >>> at_lines([3]), at_lines([3, 4, 5, 6, 7, 8])
    ('line 3', 'lines 3, 4, 5, 6, 7, ...')
    """
    shown = ", ".join(map(str, lines[:LINES_SHOWN])) + ", ..." * (len(lines) > LINES_SHOWN)
    return f"line{'s' * (len(lines) != 1)} {shown}"


def in_percent(share: float, rounded: Callable[[float], float]) -> str:
    """Write a share in percent, as a number of at most two decimals."""
    return f"{rounded(round(share * 1e4, 6)) / 100:g}"
