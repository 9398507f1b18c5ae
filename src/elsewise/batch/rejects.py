"""Rejected rows: where each stands, what is wrong with it, and the row as it was."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Final

from elsewise.data.formats import RowWriter, open_writer
from elsewise.data.rows import Row
from elsewise.storage.target_file import Part

REJECTED: Final = ".rejected.jsonl"  # ends the name of the file beside an output
REJECT_COLUMNS: Final = ("row", "line", "byte", "problem", "raw")


def rejects_of(out: str) -> Path | None:
    """Name the file of rejected rows; None for stdout, pipes and devices, where they are only counted."""
    return Path(f"{out}{REJECTED}") if out != "-" and (Path(out).is_file() or not Path(out).exists()) else None


def reject_rows(writer: RowWriter, rows: Iterable[Row]) -> None:
    """Write rejected rows."""
    bad = ((row.number, row.line, row.byte, row.problem, row.raw) for row in rows)
    writer.write(dict(zip(REJECT_COLUMNS, values, strict=True)) for values in bad)


def write_rejects(path: str | PathLike[str], rows: Iterable[Row], parts: list[Part]) -> None:
    """Write a file of rejected rows; it gets its name with the other `parts`."""
    with open_writer(path, REJECT_COLUMNS, parts=parts) as writer:
        reject_rows(writer, rows)
