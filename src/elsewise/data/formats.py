r"""Files of rows: a path in, rows out, and back; ``-`` is stdin or stdout.

Reading and writing stream, so a file may be larger than memory. To add a format of text: a file here and a line in
FORMATS. Files of typed columns are in `columnar`, sheets in `excel`.

Examples
--------
>>> import io
>>> with open_rows("-", stdin=io.BytesIO(b"text;label\nhello;01\nbye\n")) as rows:
...     print(rows.columns, rows.notes[0])
...     for row in rows:
...         print(row.number, row.cells, row.problem)
('text', 'label') delimiter ';' (read from the header)
1 {'text': 'hello', 'label': '01'} None
2 {} has 1 field, the header has 2
"""

import os
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from os import PathLike, fspath
from pathlib import Path
from typing import IO, TypeAlias

from elsewise.data import columnar, csv, jsonl
from elsewise.data import excel as excel_file
from elsewise.data.compressed import FAULTS, Packer, compression_of, plain_name, unpacked
from elsewise.data.lines import BLOCK, open_lines, refuse_binary
from elsewise.data.rows import Cells, Format, Rows, refuse_repeats
from elsewise.errors import InputError
from elsewise.storage.target_file import Part, open_target, try_to_write

FORMATS: dict[str, Format] = {".csv": csv, ".tsv": csv, ".jsonl": jsonl, ".ndjson": jsonl}
READ_AS = {".json": ".jsonl"}  # suffixes that are read and never written
DELIMITERS = {".tsv": "\t"}  # suffixes with a fixed delimiter


def open_rows(
    path: str | PathLike[str],
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    format: str | None = None,  # noqa: A002  the word of the command line
    literal_quotes: bool = False,
    sheet: str | None = None,
    stdin: IO[bytes] | None = None,
) -> Rows:
    """Open a file of rows and read its header; rows are read lazily.

    Parameters
    ----------
    path : str or path
        File, or ``-`` for stdin. The suffix gives the format: CSV, TSV or JSON Lines, also compressed (``.csv.gz``,
        ``.jsonl.zst``), ``.parquet``, ``.arrow`` or ``.xlsx``. Without one (stdin, ``/dev/fd/63``) it is CSV, or JSON
        Lines if the first character is ``{``.
    delimiter : str, optional
        One character for CSV. Default: tab for ``.tsv``, else found in the header among ``,`` ``;`` and tab.
    encoding : str, optional
        Default: UTF-8; a byte order mark is dropped.
    format : str, optional
        csv, tsv, jsonl or ndjson. Default: by the suffix.
    literal_quotes : bool
        In CSV, a quote is a character like any other. Default: it encloses a cell.
    sheet : str, optional
        Sheet of an Excel file. Default: the first one.
    stdin : binary file, optional
        Default: the stdin of the process.

    Raises
    ------
    InputError
        If the file cannot be opened, has no rows or header, or is not in its format. While reading: for a byte not in
        the encoding, or a quote that is never closed. Other bad records are rows with a problem.
    """
    if not format and (kind := _table_of(path)):
        return excel_file.open_sheet(path, sheet) if kind == "xlsx" else columnar.open_columns(path)
    with ExitStack() as stack:
        lines = stack.enter_context(closing(open_lines(path, encoding, stdin)))
        suffix = _suffix_to_read(path, format)
        if not suffix:
            suffix = ".jsonl" if lines.head.lstrip()[:1] == b"{" else ".csv"
        rows = FORMATS[suffix].read(lines, delimiter or DELIMITERS.get(suffix), literal_quotes=literal_quotes)
        stack.pop_all()
        return rows


def count_rows(path: str | PathLike[str], *, format: str | None = None) -> int:  # noqa: A002
    r"""Count the rows of a file at a glance, to say how many are left; 0 for stdin, pipes and devices.

    Line ends outside quotes are counted: exact for a sound file in UTF-8 without blank lines, near it for others.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "a.csv").write_text('text\n"two\nlines"\nlast', encoding="utf-8")
    ...     count_rows(Path(folder, "a.csv"))
    21
    2
    """
    if fspath(path) == "-" or not Path(path).is_file():
        return 0
    if not format and (table := _table_of(path)):
        return 0 if table == "xlsx" else columnar.count_rows(path)
    kind = FORMATS[_suffix(path, format) or ".csv"]
    rows, quotes, end = 0, 0, b"\n"
    with closing(unpacked(Path(path).open("rb"), path)) as file, suppress(*FAULTS):
        while block := file.read(BLOCK):
            parts = block.split(b'"') if kind.HAS_HEADER else [block]
            rows += sum(part.count(b"\n") for part in parts[quotes % 2 :: 2])
            quotes += len(parts) - 1
            end = block[-1:]
    return max(rows + (end != b"\n") - kind.HAS_HEADER, 0)


class Writer:
    """Writes rows of text, inside its ``with``, compressed where the name says so."""

    def __init__(self, file: IO[bytes], name: str, encode: Callable[[Cells], bytes], head: bytes = b"") -> None:
        packer = Packer(file, ending) if (ending := compression_of(name)) else None
        self._write = file.write if packer is None else packer.write
        self._finish = None if packer is None else packer.finish
        self._name, self._encode, self._head = name, encode, head
        try_to_write(name, self._write, head)

    def write(self, rows: Iterable[Cells]) -> None:
        """Write rows, each a mapping from column to value.

        InputError if writing fails, as on a full disk, or a row does not fit the format; BrokenPipeError if the reader
        of the pipe has gone.
        """
        for row in rows:
            try_to_write(self._name, self._write, self._encode(row))

    def append(self, path: str | PathLike[str]) -> None:
        """Append the rows of a file that was written with the same columns and in the same format."""
        with closing(unpacked(Path(path).open("rb"), path)) as rows:
            rows.read(len(self._head))
            while block := rows.read(BLOCK):
                try_to_write(self._name, self._write, block)

    def finish(self) -> None:
        """Write what a compression still holds."""
        if self._finish is not None:
            try_to_write(self._name, self._finish)


RowWriter: TypeAlias = Writer | columnar.ColumnWriter


@contextmanager
def open_writer(
    path: str | PathLike[str],
    columns: Iterable[str],
    *,
    format: str | None = None,  # noqa: A002
    delimiter: str | None = None,
    stdout: IO[bytes] | None = None,
    parts: list[Part] | None = None,
    like: str | PathLike[str] | None = None,
    excel: bool = False,
    safe: bool = False,
    types: Mapping[str, object] | None = None,
) -> Iterator[RowWriter]:
    """Open a file to write rows to, in a ``with``.

    Rows go to a hidden file in the same folder, which replaces `path` at the end of the ``with``, and is removed after
    an error. Stdout (``-``), pipes and devices are written directly. UTF-8, LF line ends; format as in `open_rows`,
    default: CSV. With the `parts` of `elsewise.storage.target_file.together`, the file gets its name with theirs; a new
    one is as private as the file `like`. For `excel` a CSV begins with a byte order mark, and a text that would be a
    formula with an apostrophe; with semicolons, numbers have decimal commas. `safe` does only the apostrophes. Parquet
    and Arrow files have columns of `types`, of pyarrow or by their names there, and else of strings.

    InputError if the file cannot be written, two columns have one name, or a file for Excel is no CSV.

    Examples
    --------
    >>> import io
    >>> out = io.BytesIO()
    >>> with open_writer("-", ["text", "abstained"], stdout=out) as writer:
    ...     writer.write([{"text": "hello, world", "abstained": False}])
    >>> print(out.getvalue().decode())
    text,abstained
    "hello, world",false
    <BLANKLINE>
    """
    names = tuple(columns)
    refuse_repeats(names, "the output")
    ending = ending_of(path, format, excel=excel, safe=safe)
    if ending in columnar.ENDINGS:
        with open_target(path, stdout, parts=parts, like=like) as file:
            typed = columnar.ColumnWriter(file, fspath(path), names, types or {})
            yield typed
            typed.finish()
        return
    suffix = plain_name(ending)
    kind, separator = FORMATS[suffix], delimiter or DELIMITERS.get(suffix, ",")
    encode = kind.encoder(names, separator, excel=excel, safe=safe)
    mark = BOM_UTF8 if excel else b""
    head = mark + (encode({name: name for name in names}) if kind.HAS_HEADER else b"")
    with open_target(path, stdout, parts=parts, like=like) as file:
        text = Writer(file, fspath(path), encode, head)
        yield text
        text.finish()


def check_readable(path: str, encoding: str | None, format_: str | None) -> None:
    """Raise InputError for a file that no other option of `open_rows` makes readable: binary, or of no known format."""
    if not is_text(path, format_):
        open_rows(path).close()
        return
    with closing(unpacked(Path(path).open("rb"), path)) as file, suppress(*FAULTS):
        refuse_binary(file.read(BLOCK), path, encoding)
    _suffix_to_read(path, format_)


def same_file(a: str | PathLike[str], b: str | PathLike[str]) -> bool:
    """Whether two paths are the same file, also by links and spellings; False for stdin and stdout.

    Examples
    --------
    >>> same_file("data/../tickets.csv", "tickets.csv")
    True
    """
    if "-" in (fspath(a), fspath(b)):
        return False
    if Path(a).exists() and Path(b).exists():
        return Path(a).samefile(b)
    return os.path.realpath(a) == os.path.realpath(b)


def ending_of(path: str | PathLike[str], format_: str | None = None, *, excel: bool = False, safe: bool = False) -> str:
    """Give the ending of files that are written as `path` is, as in ".csv" or ".csv.gz"; raises as `open_writer`."""
    if not format_ and (table := _table_of(path)):
        if table == "xlsx":
            raise InputError(
                f"{fspath(path)}: Excel files are read, not written; name the output .csv, with excel=True"
            )
        suffix = Path(path).suffix.lower()
    else:
        suffix = (_suffix(path, format_) or ".csv") + compression_of(path)
    if excel and suffix != ".csv":
        raise InputError(f"{fspath(path)} is not CSV, which Excel opens; name the output .csv, or leave out excel=")
    if safe and not suffix.startswith((".csv", ".tsv")):
        raise InputError(f"{fspath(path)} is not CSV, which spreadsheets open; leave out spreadsheet_safe=")
    return suffix


def is_text(path: str | PathLike[str], format_: str | None = None) -> bool:
    """Whether a file is one of text, compressed or not, by its name: no sheet, and no file of typed columns."""
    return bool(format_) or not _table_of(path)


def _table_of(path: str | PathLike[str]) -> str:
    """Tell Excel files, "xlsx", and files of columns, "columns"; "" for all others."""
    suffix = Path(path).suffix.lower()
    return "xlsx" if suffix in excel_file.ENDINGS else "columns" if suffix in columnar.ENDINGS else ""


def _suffix_to_read(path: str | PathLike[str], format_: str | None) -> str:
    own = READ_AS.get(Path(plain_name(path)).suffix.lower())
    return own if own and not format_ else _suffix(path, format_)


def _suffix(path: str | PathLike[str], format_: str | None) -> str:
    """Return the key of FORMATS for a path, or "" for a path without suffix."""
    suffix = f".{format_.lower().removeprefix('.')}" if format_ else Path(plain_name(path)).suffix.lower()
    if suffix and suffix not in FORMATS:
        known = ", ".join(name[1:] for name in FORMATS)
        if format_:
            raise InputError(f"unknown format {format_!r}; the formats are {known}")
        raise InputError(f"{fspath(path)}: cannot tell the format from {suffix!r}; name it with format= ({known})")
    return suffix
