"""Receipts of answers, so that true labels can come later, and the audit file of a random share of the answers."""

import json
import os
import random
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from elsewise.errors import InputError

KEPT: Final = 50_000  # receipts in memory, the oldest go first
READABLE_BY_OWNER: Final = 0o600


class Receipt(NamedTuple):
    """What is remembered of an answer, until it is forgotten.

    Attributes
    ----------
    model, label, audited : str, str or None, bool
        What answered; the label, None for Other; and whether the answer was drawn for the audit file.
    """

    model: str
    label: str | None
    audited: bool


@dataclass(slots=True, eq=False)
class Receipts:
    """The last receipts, and the true labels that came for them."""

    known: OrderedDict[str, Receipt] = field(default_factory=OrderedDict)
    judged: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def add(self, receipt: str, what: Receipt) -> None:
        """Remember an answer."""
        self.known[receipt] = what
        if len(self.known) > KEPT:
            old, _ = self.known.popitem(last=False)
            self.judged.pop(old, None)

    def judge(self, receipt: str) -> bool:
        """Note that a label came; False if one came before."""
        is_new = receipt not in self.judged
        self.judged[receipt] = None
        return is_new


@dataclass(slots=True, eq=False)
class AuditFile:
    """A file of JSON Lines with a random share of the answers, and the labels that came for any.

    Each line of an answer has the `share` with which it was drawn, so that labelled lines stand for all answers.
    """

    share: float
    file: Any
    lock: threading.Lock = field(default_factory=threading.Lock)
    chance: random.Random = field(default_factory=random.SystemRandom)

    @classmethod
    def open(cls, path: Path, share: float) -> "AuditFile":
        """Open a file to add to, readable by its owner alone; InputError if it cannot be written."""
        try:
            number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, READABLE_BY_OWNER)
        except OSError as error:
            wrong = f"{path} cannot be written: {error.strerror}"
            raise InputError(f"{wrong}; name a different file with audit_file=") from error
        return cls(share, os.fdopen(number, "w", encoding="utf-8", buffering=1))

    def draws(self) -> bool:
        """Draw whether the next answer is kept."""
        return self.chance.random() < self.share

    def write(self, kind: str, **cells: Any) -> None:
        """Add a line, whole, also where several workers write."""
        line = json.dumps({"kind": kind, "time": round(time.time(), 3), **cells}, ensure_ascii=False)
        with self.lock:
            self.file.write(line.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")

    def close(self) -> None:
        """Close the file."""
        self.file.close()
