"""Rows onto a file that appears only when it is whole, or onto stdout."""

from collections.abc import Callable, Iterable
from typing import IO

from elsewise.data.rows import Cells
from elsewise.storage.target_file import try_to_write


class Writer:
    """Takes rows while its ``with`` lasts."""

    def __init__(self, file: IO[bytes], name: str, encode: Callable[[Cells], bytes]) -> None:
        self._file = file
        self._name = name
        self._encode = encode

    def write(self, rows: Iterable[Cells]) -> None:
        """Write rows, each a value by column.

        Raises
        ------
        InputError
            If the disk refuses (full, gone), or a row does not fit the format.
        BrokenPipeError
            If the reader of the pipe has gone.
        """
        for row in rows:
            line = self._encode(row)
            try_to_write(self._name, self._file.write, line)
