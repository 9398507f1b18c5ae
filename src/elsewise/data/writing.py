"""Writer of rows to a file that appears only when complete, or to stdout."""

from collections.abc import Callable, Iterable
from typing import IO

from elsewise.data.rows import Cells
from elsewise.storage.target_file import try_to_write


class Writer:
    """Writes rows, inside its ``with``."""

    def __init__(self, file: IO[bytes], name: str, encode: Callable[[Cells], bytes]) -> None:
        self._file = file
        self._name = name
        self._encode = encode

    def write(self, rows: Iterable[Cells]) -> None:
        """Write rows, each a mapping from column to value.

        Raises
        ------
        InputError
            If writing fails (such as on a full disk), or a row does not fit the format.
        BrokenPipeError
            If the reader of the pipe has gone.
        """
        for row in rows:
            line = self._encode(row)
            try_to_write(self._name, self._file.write, line)
