"""Files of text that are compressed, by their ending: .gz (gzip) and .zst (Zstandard); read and written in a stream.

Both may hold several streams one after the other. Zstandard needs pyarrow.
"""

import gzip
import zlib
from os import PathLike, fspath
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

from elsewise.errors import need

if TYPE_CHECKING:
    from collections.abc import Callable

ENDINGS: Final = (".gz", ".zst")
FAULTS: Final = (OSError, EOFError, zlib.error)  # what reading a damaged file raises
FRAME: Final = 1 << 20  # bytes before compression


def plain_name(path: str | PathLike[str]) -> str:
    """Give the name of a file without the ending of a compression.

    Examples
    --------
    >>> plain_name("new.csv.gz"), plain_name("new.csv")
    ('new.csv', 'new.csv')
    """
    name = fspath(path)
    return name[: -len(ending)] if (ending := compression_of(name)) else name


def compression_of(path: str | PathLike[str]) -> str:
    """Give the ending of a compression, or "" for none."""
    ending = Path(path).suffix.lower()
    return ending if ending in ENDINGS else ""


def unpacked(file: IO[bytes], path: str | PathLike[str]) -> IO[bytes]:
    """Read the text of an open file, by the ending of its name; closing it closes the file.

    MissingExtra if pyarrow is needed and not installed.
    """
    ending = compression_of(path)
    if ending == ".gz":
        return cast("IO[bytes]", _Gzip(fileobj=file, mode="rb"))
    if ending == ".zst":
        arrow = need("pyarrow", extra="parquet")
        stream: IO[bytes] = arrow.CompressedInputStream(arrow.PythonFile(file, mode="r"), "zstd")
        return stream
    return file


class _Gzip(gzip.GzipFile):
    """A file of gzip that closes the file that it reads."""

    def close(self) -> None:
        """Close both."""
        below: Any = self.fileobj
        super().close()
        if below is not None:
            below.close()


class Packer:
    """Compresses what is written to a file, by an ending; `finish` writes the rest, and leaves the file open.

    The same text always gives the same bytes.
    """

    def __init__(self, file: IO[bytes], ending: str) -> None:
        self._file = file
        if ending == ".gz":
            packer = gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0)
            self.write: Callable[[bytes], Any] = packer.write
            self.finish: Callable[[], Any] = packer.close
            return
        self._compress = need("pyarrow", extra="parquet").Codec("zstd").compress
        self._held = bytearray()
        self.write, self.finish = self._write_frames, self._flush

    def _write_frames(self, content: bytes) -> None:
        self._held += content
        if len(self._held) >= FRAME:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self._file.write(self._compress(bytes(self._held), asbytes=True))
            self._held.clear()
