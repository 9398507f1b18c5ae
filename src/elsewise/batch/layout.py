"""How answers are laid out in a file: its columns and their names, and its format."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from elsewise.batch.answers import COLUMNS, Answered, MoreColumns
from elsewise.batch.source import Chunk, Source
from elsewise.data.formats import Writer, ending_of, open_writer
from elsewise.data.labelled_texts import Reading
from elsewise.data.rows import output_names
from elsewise.storage.json_files import Json
from elsewise.storage.target_file import Part

LIKE_DATA = {name: name for name in ("jsonl", "ndjson", "tsv")} | {"json": "jsonl"}  # formats of answers on stdout


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns and format of an output.

    Attributes
    ----------
    columns : tuple of str
        All columns, in order.
    names : mapping
        The new name of an input column, where it would be called like a column of ours.
    ending : str
        The ending of the names of such files, as in ".csv".
    format, delimiter : str or None
        As `elsewise.data.formats.open_writer` takes them.
    excel : bool
        Whether the file is for Excel.
    notes : tuple of str
        A sentence for each renamed column.
    """

    columns: tuple[str, ...]
    names: Mapping[str, str]
    ending: str
    format: str | None
    delimiter: str | None
    excel: bool
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls, source: Source, labels: tuple[str, ...], data: str, out: str, how: Reading, more: MoreColumns, *,
        excel: bool,
    ) -> "Layout":  # fmt: skip
        """Lay out the answers to a source of rows: in the format of `out`, on stdout in that of `data`."""
        ours = (*COLUMNS, *more.names(labels))
        names, renamed = output_names(source.columns, ours)
        columns = (*(names.get(column, column) for column in source.columns), *ours)
        like_data = how.format or LIKE_DATA.get(Path(data).suffix[1:])
        format_ = "csv" if excel and out == "-" else like_data if out == "-" else None
        delimiter = ";" if excel and source.file is not None and source.file.delimiter == ";" else None
        return cls(columns, names, ending_of(out, format_, excel=excel), format_, delimiter, excel, renamed)

    def open(self, path: str | PathLike[str], parts: list[Part] | None = None) -> AbstractContextManager[Writer]:
        """Open a file of answers to write."""
        how: dict[str, Any] = {"format": self.format, "delimiter": self.delimiter, "excel": self.excel}
        return open_writer(path, self.columns, parts=parts, **how)

    def cells(self, chunk: Chunk, answers: Answered) -> Iterator[dict[str, object]]:
        """Yield the cells of each answered row: those of the input, and ours."""
        for row, answer in zip(chunk.rows, answers.rows, strict=True):
            yield {self.names.get(key, key): cell for key, cell in row.cells.items()} | answer

    @property
    def described(self) -> Json:
        """What the bytes of a file depend on (JSON)."""
        return {
            "columns": list(self.columns),
            "format": self.ending[1:],
            "delimiter": self.delimiter,
            "excel": self.excel,
        }
