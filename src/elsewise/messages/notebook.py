"""Tables of HTML for notebooks: everything in them is escaped, and shown in its own direction."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any


def html_table(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write a table, its first column as the names of the rows.

    Examples
    --------
    >>> html_table("a < b", ("", "value"), [("x", 1)])[:39]
    '<table><caption>a &lt; b</caption><tr><'
    """
    lines = [f"<tr>{''.join(f'<th>{_cell(name)}</th>' for name in header)}</tr>"]
    for name, *cells in rows:
        lines.append(f"<tr><th>{_cell(name)}</th>{''.join(f'<td>{_cell(cell)}</td>' for cell in cells)}</tr>")
    return f"<table><caption>{escape(title)}</caption>{''.join(lines)}</table>"


def _cell(value: Any) -> str:
    return f"<bdi>{escape(str(value))}</bdi>" if str(value) else ""
