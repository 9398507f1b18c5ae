"""An engine that looks its answers up in a table: for your own tests, with no model and no library.

engine = MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0], "hm": [0.1, 0.0]})
classifier = Classifier(engine, Identity(), FixedThreshold(0.6))
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from elsewise.arrays import as_texts
from elsewise.engines.files import Opening
from elsewise.errors import InputError, reading
from elsewise.outputs import Outputs
from elsewise.storage.json_files import Json, read_json


@dataclass(frozen=True, slots=True)
class MemoryEngine:
    """Looks logits up by text.

    Attributes
    ----------
    labels : tuple of str
        The k labels.
    table : mapping from text to k logits
        The known texts.
    default : k logits or None
        For any other text that is not empty; None makes it unreadable.

    Examples
    --------
    >>> MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0]}).run(["sure", "what?"]).logits.tolist()
    [[4.0, 0.0], [nan, nan]]
    """

    name: ClassVar[str] = "memory"
    labels: tuple[str, ...]
    table: Mapping[str, Sequence[float]]
    default: Sequence[float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))  # a list is welcome
        for text, logits in [*self.table.items(), ("default", self.default)]:
            if logits is not None and len(logits) != len(self.labels):
                raise InputError(f"{len(self.labels)} labels need as many logits, got {len(logits)} for {text!r}")

    @property
    def settings(self) -> Json:
        """Nothing: the table is in its own file."""
        return {}

    @property
    def fingerprint(self) -> str:
        """Hash of everything that the answers depend on."""
        table, default = self._numbers()
        return sha256(repr((self.labels, sorted(table.items()), default)).encode()).hexdigest()[:16]

    def _numbers(self) -> tuple[dict[str, list[float]], list[float] | None]:
        """Give table and default as floats, so that the fingerprint is the same before saving and after."""
        table = {text: [float(x) for x in logits] for text, logits in self.table.items()}
        return table, None if self.default is None else [float(x) for x in self.default]

    @classmethod
    def open(cls, opening: Opening) -> Self:
        """Open what `save` wrote."""
        file = opening.files.need("memory.json")
        saved = read_json(file)
        with reading(file):
            made = cls(opening.labels, saved["table"], saved["default"])
            return cls(made.labels, *made._numbers())

    def save(self, folder: Path) -> None:
        """Write memory.json."""
        table, default = self._numbers()
        (folder / "memory.json").write_text(json.dumps({"table": table, "default": default}), encoding="utf-8")

    @property
    def canaries(self) -> list[str]:
        """The first texts of the table."""
        return list(self.table)[:32]

    def run(self, texts: Sequence[str]) -> Outputs:
        """Look up n texts: logits (n, k)."""
        unread = [float("nan")] * len(self.labels)
        unknown = unread if self.default is None else self.default
        rows = [self.table.get(text, unknown if text else unread) for text in as_texts(texts)]
        return Outputs(np.array(rows, dtype=np.float64).reshape(len(rows), len(self.labels)))
