"""Receipts of answers, so that true labels can come later, and the audit file of a random share of the answers."""

import hmac
import json
import os
import random
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

from elsewise.arrays import ABSTAIN
from elsewise.errors import InputError
from elsewise.server.asgi import new_id

KEPT: Final = 50_000  # receipts that were judged, the oldest go first
OTHER: Final = "other"  # in an id, for the code of Other
READABLE_BY_OWNER: Final = 0o600


class Receipt(NamedTuple):
    """What the id of an answer says of it.

    Attributes
    ----------
    model, code, audited : str, int, bool
        What answered; the label's code, -1 for Other; and whether the answer was drawn for the audit file.
    """

    model: str
    code: int
    audited: bool


@dataclass(slots=True, eq=False)
class Receipts:
    """Ids of answers that say themselves what was answered, under a seal: no worker has to remember them.

    Examples
    --------
    >>> receipts = Receipts(b"secret")
    >>> receipt = receipts.issue(Receipt("52c0fcc0", 3, False))
    >>> receipts.read(receipt), receipts.read(receipt.replace("-3-", "-4-"))
    (Receipt(model='52c0fcc0', code=3, audited=False), None)
    """

    secret: bytes
    judged: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def issue(self, what: Receipt) -> str:
        """Make the id of an answer, which no other answer has."""
        code = OTHER if what.code == ABSTAIN else what.code
        said = f"{what.model}-{code}-{int(what.audited)}-{new_id()}"
        return f"{said}-{self._seal(said)}"

    def read(self, receipt: str) -> Receipt | None:
        """Read an id; None if this server did not issue it."""
        said, _, seal = receipt.rpartition("-")
        if not hmac.compare_digest(seal.encode("utf-8", "replace"), self._seal(said).encode()):
            return None
        model, code, audited, _ = said.split("-")
        return Receipt(model, ABSTAIN if code == OTHER else int(code), audited == "1")

    def judge(self, receipt: str) -> bool:
        """Note that a label came; False if one came before, among the last ones."""
        is_new = receipt not in self.judged
        self.judged[receipt] = None
        if len(self.judged) > KEPT:
            self.judged.popitem(last=False)
        return is_new

    def _seal(self, said: str) -> str:
        return blake2b(said.encode("utf-8", "replace"), digest_size=8, key=self.secret).hexdigest()


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
