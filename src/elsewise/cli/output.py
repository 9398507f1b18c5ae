"""Print results on stdout, words and progress on stderr."""

import codecs
import json
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from elsewise.cli.parameters import in_options

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier
    from elsewise.storage.json_files import Json

# Characters that control a terminal or its text direction: control characters (ESC begins a command),
# direction marks, line and paragraph separators; and halves of surrogate pairs, which cannot be shown.
STEERING = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


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


def print_table(title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, wide: bool = False) -> None:
    """Print a table that fits the terminal, or 120 columns."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    table = Table(box=box.SIMPLE_HEAD, title=Text(_cell(title)) if title else None, title_justify="left")
    for name in header:
        table.add_column(Text(_cell(name)), overflow="fold", ratio=1 if wide else None)
    for row in rows:
        table.add_row(*(Text(_cell(cell)) for cell in row))  # Text: a customer's [brackets] are no mark-up
    console.print(table)


def _cell(text: str) -> str:
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")  # one line is one row


def print_json(value: Any, *, to_stderr: bool = False) -> None:
    """Print one JSON object, infinities as words; what the stream's encoding lacks becomes an escape of JSON."""
    from elsewise.storage.json_files import finite

    stream = sys.stderr if to_stderr else sys.stdout
    is_unicode = codecs.lookup(stream.encoding or "ascii").name.startswith("utf")
    text = json.dumps(finite(value), ensure_ascii=not is_unicode, allow_nan=False)
    typer.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"), err=to_stderr)


def to_stdout(words: str, *, bold: bool = False) -> None:
    """Write words to stdout, as a result for people; bold on a terminal alone."""
    typer.echo(_styled(words, bold=bold))


def to_stderr(words: str, *, bold: bool = False, typed: str = "") -> None:
    """Write words to stderr, which no program reads, with options in them; bold on a terminal alone."""
    typer.echo(_styled(in_options(words, typed), bold=bold), err=True)


def _styled(words: str, *, bold: bool) -> str:
    return typer.style(visible(words), bold=True) if bold else visible(words)


def say_if_alike(other: str, labels: Collection[str]) -> None:
    """Say so if a label has the same name as an abstention."""
    if other in labels:
        to_stderr(
            f"a label is called {other!r}, as abstentions are: tell them apart by the column abstained, or by --other"
        )


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None] | None]:
    """Show a progress bar with the time left on a terminal; print nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda words, done, total: bar.update(task, description=words, completed=done, total=total or None)
