"""How answers are laid out in a file: its columns and their names, and its format."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from elsewise.batch.answers import COLUMNS, Answered, MoreColumns
from elsewise.batch.source import Chunk, Source
from elsewise.data.columnar import ENDINGS
from elsewise.data.compressed import plain_name
from elsewise.data.formats import RowWriter, ending_of, open_writer
from elsewise.data.labelled_texts import Reading
from elsewise.data.rows import output_names, require_columns
from elsewise.storage.json_files import Json
from elsewise.storage.target_file import Part

FLAGS = ("abstained", "truncated")
NUMBERS = ("confidence", "probability", "p_")
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
    safe : bool
        Whether no cell is a formula to a spreadsheet.
    types : mapping
        Types of columns, of pyarrow or by their names there, for formats that have types.
    kept : frozenset of str or None
        Columns of the input that are written; None for all.
    """

    columns: tuple[str, ...]
    names: Mapping[str, str]
    ending: str
    format: str | None
    delimiter: str | None
    excel: bool
    notes: tuple[str, ...]
    safe: bool = False
    types: Mapping[str, object] = field(default_factory=dict)
    kept: frozenset[str] | None = None

    @classmethod
    def of(
        cls, source: Source, labels: tuple[str, ...], data: str, out: str, how: Reading, more: MoreColumns, *,
        excel: bool, safe: bool = False, keep: Sequence[str] | None = None,
    ) -> "Layout":  # fmt: skip
        """Lay out the answers to a source of rows: in the format of `out`, on stdout in that of `data`.

        With `keep`, only these columns of the input are written. InputError for a column that the input lacks.
        """
        ours = (*COLUMNS, *more.names(labels))
        given = source.columns if keep is None else require_columns(source.columns, dict.fromkeys(keep, "keep="), data)
        names, renamed = output_names(given, ours)
        columns = (*(names.get(column, column) for column in given), *ours)
        like_data = how.format or LIKE_DATA.get(Path(plain_name(data)).suffix[1:])
        format_ = "csv" if excel and out == "-" else like_data if out == "-" else None
        delimiter = ";" if excel and source.file is not None and source.file.delimiter == ";" else None
        theirs = {} if source.file is None else source.file.types
        types = {names.get(column, column): theirs[column] for column in given if column in theirs} | types_of(ours)
        ending = ending_of(out, format_, excel=excel, safe=safe)
        kept = None if keep is None else frozenset(given)
        return cls(columns, names, ending, format_, delimiter, excel, renamed, safe, types, kept)

    def open(self, path: str | PathLike[str], parts: list[Part] | None = None) -> AbstractContextManager[RowWriter]:
        """Open a file of answers to write."""
        how: dict[str, Any] = {"format": self.format, "delimiter": self.delimiter, "excel": self.excel}
        how |= {"safe": self.safe, "types": self.types}
        return open_writer(path, self.columns, parts=parts, **how)

    def cells(self, chunk: Chunk, answers: Answered) -> Iterator[dict[str, object]]:
        """Yield the cells of each answered row: those of the input, and ours."""
        for row, answer in zip(chunk.rows, answers.rows, strict=True):
            cells = row.cells if self.kept is None else {key: row.cells[key] for key in row.cells if key in self.kept}
            yield {self.names.get(key, key): cell for key, cell in cells.items()} | answer

    @property
    def described(self) -> Json:
        """What the bytes of a file depend on (JSON)."""
        typed = {name: str(type_) for name, type_ in self.types.items()} if self.ending in ENDINGS else None
        return {
            "columns": list(self.columns),
            "format": self.ending[1:],
            "delimiter": self.delimiter,
            "excel": self.excel,
            "spreadsheet_safe": self.safe,
            "types": typed,
        }


def types_of(columns: Iterable[str]) -> dict[str, str]:
    """Name the types of our own columns, as pyarrow does.

    Examples
    --------
    >>> types_of(["label", "truncated", "p_refund"])
    {'label': 'string', 'truncated': 'bool_', 'p_refund': 'float64'}
    """
    return {name: "bool_" if name in FLAGS else "float64" if name.startswith(NUMBERS) else "string" for name in columns}
