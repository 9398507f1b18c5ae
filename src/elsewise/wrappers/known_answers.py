"""Answers of an endpoint that were paid for, by a hash of the text: in memory, and in a file for the next fit.

The file has no text in it: JSON lines, the first of which says of which endpoint and question the answers are.
"""

import json
import os
import threading
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from elsewise.errors import InputError
from elsewise.wrappers.protocols import Row

FORM: Final = 1


def hash_of(text: str) -> str:
    """Hash a text, to the letter."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(slots=True)
class KnownAnswers:
    """Rows of numbers (k,) by the hash of their text; None for a text that the endpoint refused.

    Attributes
    ----------
    file, of : Path or None, str
        Where they are kept, if anywhere; and a hash of the endpoint and the question.
    """

    file: Path | None
    of: str
    rows: dict[str, Row | None] = field(default_factory=dict)
    canaries: list[Row | None] | None = None
    lock: Any = field(default_factory=threading.Lock)

    def read(self) -> None:
        """Read the file, if there is one.

        InputError if it is none of answers, or of another endpoint or question. A last line that was cut is removed.
        """
        if self.file is None or not self.file.exists():
            return
        another = f"{self.file} holds no answers of this endpoint to this question; remove it, or name a file: cache="
        try:
            first, *lines = self.file.read_text(encoding="utf-8").split("\n")
            head = json.loads(first)
            if head["elsewise answers"] != FORM or head["of"] != self.of:
                raise InputError(another)
            self.canaries = [None if row is None else tuple(map(float, row)) for row in head["canaries"]]
            for line in lines[:-1]:
                digest, row = json.loads(line)
                self.rows[str(digest)] = None if row is None else tuple(map(float, row))
            if cut := len(lines[-1].encode("utf-8")):
                os.truncate(self.file, self.file.stat().st_size - cut)  # the next answer begins a line
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise InputError(another) from error

    def begin(self, canaries: list[Row | None]) -> None:
        """Write the first line of the file, if there is to be one and is none."""
        self.canaries = canaries
        if self.file is not None and not self.file.exists():
            head = {"elsewise answers": FORM, "of": self.of, "canaries": canaries}
            self._write(json.dumps(head) + "\n")

    def keep(self, answers: dict[str, Row | None]) -> None:
        """Add answers, by the hash of their text."""
        with self.lock:
            self.rows |= answers
            if self.file is not None and answers:
                self._write("".join(json.dumps([digest, row]) + "\n" for digest, row in answers.items()))

    def _write(self, words: str) -> None:
        try:
            with self._needed().open("a", encoding="utf-8", newline="\n") as file:
                file.write(words)
        except OSError as error:
            raise InputError(f"{self.file} cannot be written: {error.strerror or error}") from error

    def _needed(self) -> Path:
        if self.file is None:
            raise AssertionError
        return self.file


def change(before: list[Row | None], now: list[Row | None]) -> float:
    """Give the largest difference of probabilities in two lists of rows; infinity where only one of them is a row.

    Examples
    --------
    >>> change([(0.5, 0.5), None], [(0.5, 0.5), None]), change([(0.5, 0.5)], [None])
    (0.0, inf)
    """
    worst = 0.0
    for one, other in zip(before, now, strict=True):
        if one is None or other is None:
            worst = max(worst, 0.0 if one is other else float("inf"))
        else:
            worst = max(worst, float(np.abs(np.subtract(one, other)).max()))
    return worst
