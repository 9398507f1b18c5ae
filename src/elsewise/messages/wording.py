"""Counts, shares and lists in words."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

LINES_SHOWN = 5


def percent(share: float, rounded: Callable[[float], float] = np.floor) -> str:
    """Write a share as a percentage with two decimals, rounded down (a promise) or with `np.ceil` up (a risk)."""
    return f"{in_percent(share, rounded)} %"


def counted(count: int, noun: str) -> str:
    """Write a count with its noun.

    Examples
    --------
    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def listed(names: Iterable[str], most: int = 5, between: str = ", ") -> str:
    """List the first names, and the number of further names.

    Examples
    --------
    >>> listed(map(repr, ["body", "topic"])), listed("abcdefg", most=2)
    ("'body', 'topic'", 'a, b and 5 more')
    """
    known = list(names)
    more = len(known) - most
    return between.join(known[:most]) + (f" and {more:,} more" if more > 0 else "")


def shortened(text: str, most: int) -> str:
    r"""Write a text on one line of at most `most` characters, "..." included where it is cut.

    Examples
    --------
    >>> shortened("where is my\norder", 18), shortened("where is my order", 12)
    ('where is my order', 'where is ...')
    """
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def localised(number: str, words: Mapping[str, str]) -> str:
    """Write a number that Python has formatted, such as 1,234.5, with the signs of a language.

    Examples
    --------
    >>> localised("1,234.5", {"decimal": ",", "thousands": "."})
    '1.234,5'
    """
    return number.translate({ord(","): words["thousands"], ord("."): words["decimal"]})


def at_lines(lines: Sequence[int], noun: str = "line") -> str:
    """Write the first few line numbers of rows, or other numbers of theirs.

    Examples
    --------
    >>> at_lines([3]), at_lines([3, 4, 5, 6, 7, 8], "row")
    ('line 3', 'rows 3, 4, 5, 6, 7, ...')
    """
    shown = ", ".join(map(str, lines[:LINES_SHOWN])) + ", ..." * (len(lines) > LINES_SHOWN)
    return f"{noun}{'s' * (len(lines) != 1)} {shown}"


def in_percent(share: float, rounded: Callable[[float], float]) -> str:
    """Write a share in percent, as a number of at most two decimals."""
    return f"{rounded(round(share * 1e4, 6)) / 100:g}"
