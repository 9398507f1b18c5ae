"""Print results on stdout, words and progress on stderr."""

import codecs
import json
import os
import re
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

import typer

from elsewise.cli.parameters import in_options
from elsewise.progress import above

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier
    from elsewise.storage.json_files import Json

# Characters that control a terminal or its text direction: control characters (ESC begins a command),
# direction marks, line and paragraph separators; and halves of surrogate pairs, which cannot be shown.
STEERING = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

USUAL: Final = 80  # columns of a terminal that does not tell
PIPED: Final = 120  # columns of a table that goes to no terminal, if it needs no more
WIDEST_WORD: Final = 24  # cells kept for a word among texts
INDENT: Final = re.compile(r" *(?:- )?")
COMMAND: Final = r"(?<=: )(?:python -m )?(?:elsewise|pip install) (?:(?!, )[^;])+$"
WHOLE: Final = (COMMAND, r"`[^`]+`\S*", r"(?<!\S)'[^']{1,60}'(?!\w)\S*", r"\([^() ]+ to [^() ]+\)\S*")
UNIT: Final = re.compile("|".join((*WHOLE, r"\S+")))  # what a line is never broken inside of


def visible(text: str) -> str:
    r"""Escape characters that would control a terminal; files and JSON are written without this.

    Examples
    --------
    >>> print(visible("paid \x1b[2J in full \u202etxt.exe"))
    paid \x1b[2J in full \u202etxt.exe
    """
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def description(classifier: "Classifier") -> "Json":
    """Describe a classifier in JSON: its certificate, engine, gate, evaluation and record."""
    return {
        "certificate": None if classifier.certificate is None else classifier.certificate.as_dict(),
        "served": {"engine": classifier.engine.name, **classifier.engine.settings},
        "gate": list(classifier.provenance.gate),
        "evaluation": classifier.evaluation,
        "record": dict(classifier.provenance.record),
    }


def print_table(
    title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, wide: bool = False, err: bool = False
) -> None:
    """Print a table whose first column is never folded; where it does not fit the terminal, row by row.

    A wide table has texts in its columns, which fold at words. Elsewhere than on a terminal the others fold nothing.
    With `err` it goes to stderr.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [tuple(map(_cell, row)) for row in rows]
    names = tuple(map(_cell, header))
    columns = list(zip(names, *cells, strict=True))
    least = [_longest_unit(column) if i or wide else _longest(column) for i, column in enumerate(columns)]
    if wide:
        least = [min(width, WIDEST_WORD) for width in least]
    around = 3 * len(columns) + 1
    wanted, width = [_longest(column) for column in columns], columns_of(sys.stderr if err else sys.stdout)
    if width is None:
        width = PIPED if wide else max(PIPED, sum(wanted) + around)
    elif sum(least) + around > width and not wide:
        _print_records(title, names, cells, err=err)
        return
    widths = _widths(least, wanted, width - around)
    table = Table(box=box.SIMPLE_HEAD)
    for name, its in zip(names, widths, strict=True):
        table.add_column(Text(folded(name, its)), overflow="fold", width=its)
    for row in cells:  # as Text: a customer's [brackets] are no mark-up
        table.add_row(*(Text(folded(cell, its)) for cell, its in zip(row, widths, strict=True)))
    if title:
        _write(title, err=err)
    with above():
        Console(width=width, highlight=False, stderr=err).print(table)


def _widths(least: Sequence[int], wanted: Sequence[int], room: int) -> list[int]:
    """Share out the room: each column gets its least width, and the one that lacks most the next cell.

    Examples
    --------
    >>> _widths([8, 4, 4], [8, 20, 6], 24)
    [8, 12, 4]
    """
    widths = list(least)
    for _ in range(max(room - sum(widths), 0)):
        lacking = [want - width for want, width in zip(wanted, widths, strict=True)]
        if max(lacking) <= 0:
            break
        widths[lacking.index(max(lacking))] += 1
    return widths


def _longest(cells: Sequence[str]) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, cells))


def _longest_unit(cells: Sequence[str]) -> int:
    return max(_longest(UNIT.findall(cell) or [""]) for cell in cells)


def _print_records(title: str, names: Sequence[str], rows: Sequence[Sequence[str]], *, err: bool) -> None:
    """Print a paragraph a row: its first cell, and below it each other one behind its column's name."""
    label = _longest(names[1:])
    _write(title, err=err)
    for first, *others in rows:
        _write(f"\n  {names[0]} {first}" if names[0] else f"\n  {first}", err=err)
        for name, cell in zip(names[1:], others, strict=True):
            _write(f"    {name:{label}}  {cell}", err=err)
    _write("", err=err)


def _cell(text: str) -> str:
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")  # one line is one row


def print_json(value: Any, *, to_stderr: bool = False) -> None:
    """Print one JSON object, infinities as words; what the stream's encoding lacks becomes an escape of JSON."""
    from elsewise.storage.json_files import finite

    stream = sys.stderr if to_stderr else sys.stdout
    is_unicode = codecs.lookup(stream.encoding or "ascii").name.startswith("utf")
    text = json.dumps(finite(value), ensure_ascii=not is_unicode, allow_nan=False)
    typer.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"), err=to_stderr)


def to_stdout(words: str, *, bold: bool = False, whole: bool = False) -> None:
    """Write words to stdout, as a result for people; a `whole` line is never folded."""
    _write(words, err=False, bold=bold, whole=whole)


def to_stderr(words: str, *, bold: bool = False, whole: bool = False, typed: str = "") -> None:
    """Write words to stderr, which no program reads, with options in them; a `whole` line is shown as it is."""
    _write(words if whole else in_options(words, typed), err=True, bold=bold, whole=whole)


def _write(words: str, *, err: bool, bold: bool = False, whole: bool = False) -> None:
    """Write words above a live bar, folded between words where a terminal is too narrow."""
    with above():
        width = None if whole else columns_of(sys.stderr if err else sys.stdout)
        shown = visible(words) if width is None else folded(visible(words), width)
        typer.echo(typer.style(shown, bold=True) if bold else shown, err=err)  # codes go to terminals only


def columns_of(stream: TextIO) -> int | None:
    """Give the columns of a terminal; None for a file or a pipe."""
    if not stream.isatty():
        return None
    try:
        return int(os.environ.get("COLUMNS", "0")) or os.get_terminal_size(stream.fileno()).columns or USUAL
    except (OSError, ValueError):
        return USUAL


def folded(words: str, width: int) -> str:
    """Break lines between words, at `width` cells; a path, a quoted name and a command to paste stay whole.

    Further lines are indented as the first, behind its bullet.

    Examples
    --------
    >>> print(folded("- a path: /very/long/path/of/a/model/folder, 'two words'; run: elsewise doctor --json", 20))
    - a path:
      /very/long/path/of/a/model/folder,
      'two words'; run:
      elsewise doctor --json
    """
    return "\n".join(_folded_line(line, width) for line in words.split("\n"))


def _folded_line(line: str, width: int) -> str:
    from rich.cells import cell_len

    if cell_len(line) <= width:
        return line
    begin = INDENT.match(line)
    indent = begin[0] if begin else ""
    lines, further = [indent], " " * len(indent)
    for unit in UNIT.findall(line[len(indent) :]):
        if lines[-1] in (indent, further) or cell_len(f"{lines[-1]} {unit}") <= width:
            lines[-1] += unit if lines[-1] in (indent, further) else f" {unit}"
        else:
            lines.append(further + unit)
    return "\n".join(lines)


def say_if_alike(other: str, labels: Collection[str]) -> None:
    """Say so if a label has the same name as an abstention."""
    if other in labels:
        to_stderr(
            f"a label is called {other!r}, as abstentions are: tell them apart by the column abstained, or by --other"
        )
