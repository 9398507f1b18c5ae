"""Counts of answered, Other and rejected rows that add up: of a chunk, of a part, of a whole file."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts of answered, Other and rejected rows.

    Attributes
    ----------
    answered, other, rejected : int
        Rows that got a label, rows that became Other, and rows that cannot be used.
    reasons : mapping
        Counts of the reasons for Other.

    Examples
    --------
    >>> (Ledger(3, 1, 0, {"ambiguous": 1}) + Ledger(2, 2, 1, {"ambiguous": 1, "unreadable": 1})).reasons
    {'ambiguous': 2, 'unreadable': 1}
    """

    answered: int = 0
    other: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """Number of all rows."""
        return self.answered + self.other + self.rejected

    def __add__(self, more: "Ledger") -> "Ledger":
        """Count the rows of both."""
        reasons = dict(Counter(self.reasons) + Counter(more.reasons))
        return Ledger(self.answered + more.answered, self.other + more.other, self.rejected + more.rejected, reasons)


@dataclass(frozen=True, slots=True)
class Summary(Ledger):
    """Counts of a whole file, the file of its rejected rows, and how it was read."""

    rejects: str | None = None
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give all fields as JSON has them."""
        return {"read": self.read, **asdict(self)}
