"""Physical lines of a file: opening, decoding and splitting, in bounded memory.

A line ends in LF, CR or CR LF, in any mixture. U+2028, U+0085 and form feeds are text. (`str.splitlines` splits at
those; `io.TextIOWrapper` cannot tell the line of a bad byte, and holds a line of any length.)
"""

import codecs
import io
import re
import sys
from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import IO

from elsewise.data.compressed import FAULTS, unpacked
from elsewise.errors import InputError
from elsewise.storage.stand_ins import FETCH, POINTER

BLOCK = 1 << 18  # bytes
LIMIT = 1 << 24  # characters of one line or record: a text of 16 million characters is an unclosed quote
MARKS = (  # the long ones first: the mark of utf-32-le begins with that of utf-16-le
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MARKED = ("utf-16", "utf-32")  # the mark gives the byte order
LONGEST_MARK = 4  # bytes
WIDE = 2  # bytes of a character of UTF-16, or of half of one
SAVE, UNPACK = "not text; save it as CSV", "unpack it first"
NO_TEXT = (  # beginnings of files that people take for text; no text begins so
    (b"PK\x03\x04", f"a zip archive, as an Excel file is, {SAVE}, or name it .xlsx"),
    (b"\xd0\xcf\x11\xe0", f"an old Excel or Word file, {SAVE}"),
    (b"PAR1\x15", "a Parquet file, not text; name it .parquet"),
    (b"ARROW1\0\0", "an Arrow file, not text; name it .arrow"),
    (b"FEA1\0", f"a Feather file, {SAVE}"),
    (b"\x89HDF\r\n\x1a\n", f"an HDF5 file, {SAVE}"),
    (b"SQLite format 3\0", f"an SQLite database, {SAVE}"),
    (b"Obj\x01", f"an Avro file, {SAVE}"),
    (b"%PDF-", f"a PDF file, {SAVE}"),
    (b"{\\rtf", f"an RTF document, {SAVE}"),
    (b"\x89PNG\r\n\x1a\n", f"a PNG image, {SAVE}"),
    (b"\x93NUMPY", "a .npy array, not text; give it the ending .npy"),
    (b"\x80\x04\x95", f"a pickle, {SAVE}"),
    (b"\x80\x05\x95", f"a pickle, {SAVE}"),
    (b"\x1f\x8b", f"compressed with gzip; {UNPACK}, or name it .csv.gz"),
    (b"\x1f\x9d", f"compressed with compress; {UNPACK}"),
    *((b"BZh%d1AY&SY" % level, f"compressed with bzip2; {UNPACK}") for level in range(1, 10)),
    (b"\xfd7zXZ\0", f"compressed with xz; {UNPACK}"),
    (b"]\0\0\x80\0", f"compressed with LZMA; {UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"compressed with Zstandard; {UNPACK}, or name it .csv.zst"),
    (b"\x04\x22\x4d\x18", f"compressed with LZ4; {UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7-Zip archive; {UNPACK}"),
    (b"Rar!\x1a\x07", f"a RAR archive; {UNPACK}"),
    (POINTER, FETCH.removeprefix("is ")),
)
CONTROL = re.compile(rb"[\x07\x08\x0e-\x1a\x1c-\x1f\x7f]")  # in no text; lower ones are half of Cyrillic in UTF-16
CONTROL_SHARE = 0.03  # of bytes; random ones have 8 %, Turkish in UTF-16 has 1 % (ğ)
NO_FILES = {"idna", "punycode", "unicode-escape", "raw-unicode-escape"}  # codecs of names and of source code
LOOK = 1 << 16  # bytes of blanks, after which the format cannot be guessed


class Lines:
    """Physical lines of a file, each with its line end, to be read once.

    Attributes
    ----------
    name, note : str
        Path, or "stdin", for messages; and the encoding, in words.
    head : bytes
        First bytes after a byte order mark, to guess the format from.
    start : int
        Bytes before the first line: those of the mark.
    """

    def __init__(self, file: IO[bytes], name: str, encoding: str | None = None, *, keep_open: bool = False) -> None:
        self.name = name
        self._file = file
        self._keep_open = keep_open
        self._fault: UnicodeDecodeError | None = None
        head = self._look()
        self.encoding = _codec(encoding)
        self._unit = _unit(self.encoding)
        refuse_binary(head, name, encoding)
        mark = _mark(head, self.encoding, name)
        self.head = head[len(mark) :]
        self.start = len(mark)
        self.note = f"encoding {self.encoding}" + (" with byte order mark" if mark else "")
        # The decoders of utf-16 and utf-32 need their mark; the others would keep it as a character.
        self._first = head if self.encoding in MARKED else self.head
        self._lines = self._cut()

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def size(self, text: str) -> int:
        """Count the bytes of a text in the encoding of the file.

        It is exact in UTF-8, UTF-16, UTF-32 and encodings of one byte a character.
        """
        if self._unit is None:
            return len(text) if text.isascii() else len(text.encode(self.encoding, "replace"))
        return self._unit * len(text) if self._unit != WIDE else len(text.encode("utf-16-le", "replace"))

    def close(self) -> None:
        """Close the file, unless it is stdin."""
        if not self._keep_open:
            self._file.close()

    def _read(self) -> bytes:
        try:
            # read1 returns what a pipe has, so that rows are read as they come.
            return self._file.read1(BLOCK) if isinstance(self._file, io.BufferedIOBase) else self._file.read(BLOCK)
        except FAULTS as error:
            raise InputError(f"{self.name} {_reason(error)}") from error

    def _look(self) -> bytes:
        head = b""
        while (len(head) < LONGEST_MARK or not head.strip()) and len(head) < LOOK:
            block = self._read()
            if not block:
                break
            head += block
        return head

    def _texts(self) -> Iterator[str]:
        """Decode block by block; at a bad byte, yield the text before it, keep the error and stop."""
        decoder = codecs.getincrementaldecoder(self.encoding)()
        block, more = self._first, True
        while more:
            state = decoder.getstate()
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                self._fault = error
                held = len(error.object) - len(block)
                decoder.setstate(state)
                yield decoder.decode(block[: max(0, error.start - held)])
                return
            yield text
            more = bool(block)
            block = self._read() if more else b""

    def _cut(self) -> Iterator[str]:
        number, size, parts = 0, 0, [""]
        for text in self._texts():
            # A CR at the end may be half of CR LF.
            end = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
            if not end:
                parts.append(text)
                size += len(text)
                if size > LIMIT:
                    raise InputError(f"{self.name} line {number + 1} is longer than {LIMIT:,} characters")
                continue
            whole = "".join([*parts, text[:end]])
            parts, size = [text[end:]], len(text) - end
            number += _line_ends(whole)
            yield from io.StringIO(whole, newline="")
        rest = "".join(parts)
        if self._fault is not None:
            raise InputError(self._complaint(number + _line_ends(rest) + 1, self._fault))
        yield from io.StringIO(rest, newline="")

    def _complaint(self, line: int, fault: UnicodeDecodeError) -> str:
        byte = fault.object[fault.start]
        others = [name for name in ("utf-8", "cp1254", "cp1252") if name != self.encoding][:2]
        likely, other = (f"{name}{' (Turkish Excel)' * ('cp1254' in name)}" for name in (repr(others[0]), others[1]))
        where = f"{self.name} line {line}: byte 0x{byte:02x} is not {self.encoding}"
        return f"{where}; try encoding={likely} or {other}"


def refuse_binary(head: bytes, name: str, encoding: str | None = None) -> None:
    r"""Raise InputError for a file whose first bytes are those of a compressed or binary format.

    Bytes of no known format are refused where no encoding is given.

    Examples
    --------
    >>> refuse_binary(b"\x1f\x8b\x08", "tickets.csv")
    Traceback (most recent call last):
    elsewise.errors.InputError: tickets.csv is compressed with gzip; unpack it first, or name it .csv.gz
    """
    kind = next((words for start, words in NO_TEXT if head.startswith(start)), None)
    if kind is not None:
        raise InputError(f"{name} is {kind}")
    if encoding is None and _is_binary(head[:LOOK]):
        raise InputError(f"{name} is no text: its bytes are those of a binary file; save it as CSV")


def _is_binary(head: bytes) -> bool:
    """Tell bytes that are neither UTF-8 nor marked as UTF-16, and are full of control characters."""
    if len(CONTROL.findall(head)) <= CONTROL_SHARE * len(head) or any(head.startswith(mark) for mark, _ in MARKS):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return True
    return False


def open_lines(path: str | PathLike[str], encoding: str | None = None, stdin: IO[bytes] | None = None) -> Lines:
    """Open the lines of a file, or of stdin for ``-``.

    InputError if it cannot be opened, the encoding is unknown, or a byte order mark says a different encoding.
    """
    if fspath(path) == "-":
        source = stdin or sys.stdin.buffer
        return Lines(getattr(source, "raw", source), "stdin", encoding, keep_open=True)
    try:
        file = Path(path).open("rb", buffering=0)  # noqa: SIM115  Lines closes it, also while a thread waits for a pipe
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise InputError(f"{fspath(path)} {_reason(error)}") from error
    try:
        return Lines(unpacked(file, path), fspath(path), encoding)
    except BaseException:
        file.close()
        raise


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, IsADirectoryError):
        return "is a folder, not a file"
    return f"cannot be read: {(getattr(error, 'strerror', None) or str(error)).lower()}"


def _codec(encoding: str | None) -> str:
    try:
        name = codecs.lookup(encoding or "utf-8").name
        "a".encode(name)  # "hex" and "rot13" are codecs, and turn no bytes into text
    except (LookupError, ValueError):
        name = ""
    if not name or name in NO_FILES:
        raise InputError(f"unknown encoding {encoding!r}; try utf-8, utf-16, cp1254 or cp1252")
    return name


def _unit(encoding: str) -> int | None:
    """Count the bytes of every character of an encoding; None where they differ. UTF-16 has pairs of 2."""
    if encoding.startswith("utf-16"):
        return WIDE
    if encoding.startswith("utf-32"):
        return 4
    if encoding.startswith("utf"):
        return None
    try:
        return 1 if len(bytes(range(256)).decode(encoding, "replace")) == 256 else None  # noqa: PLR2004
    except UnicodeError:
        return None


def _mark(head: bytes, encoding: str, name: str) -> bytes:
    mark, meant = next(((mark, meant) for mark, meant in MARKS if head.startswith(mark)), (b"", ""))
    if not encoding.startswith(meant):
        raise InputError(f"{name} starts with the byte order mark of {meant}; read it with encoding={meant!r}")
    if head and not mark and encoding in MARKED:
        raise InputError(f"{name} has no byte order mark; read it with encoding='{encoding}-le', or {encoding}-be")
    return mark


def _line_ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")
