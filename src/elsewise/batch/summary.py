"""The summary of a run: counts that add up, and whether the promise can still be believed for the file."""

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from elsewise.batch.answers import Ledger, Totals
from elsewise.classifier.classifier import Classifier
from elsewise.errors import ArtifactError
from elsewise.evaluation.shift import BINS, MOST_REFERENCES, Shift, Tally, reference_of, shift
from elsewise.metrics import wilson
from elsewise.storage.json_files import Json, finite, read_json
from elsewise.storage.target_file import Part, open_target, try_to_write

SUMMARY: Final = ".summary.json"  # ends the name of the file beside an output
WORTH_ASKING: Final = 1000  # rows from which on certify rows are answered again, to compare with ...
SHARE_ASKED: Final = 20  # ... one for so many rows, which costs a twentieth of the time


@dataclass(frozen=True, slots=True)
class Pace:
    """What was answered now, by this process, in how many seconds; parts of an earlier run are not counted."""

    rows: int = 0
    tokens: int = 0
    seconds: float = 0.0

    @classmethod
    def since(cls, began: float, rows: int, tokens: int) -> "Pace":
        """Take the time since `began`, a value of `time.monotonic`."""
        return cls(rows, tokens, max(time.monotonic() - began, 1e-9))

    def as_dict(self) -> dict[str, float]:
        """All fields, and rows and tokens a second (JSON)."""
        each = self.seconds or 1.0
        return {**asdict(self), "rows_per_second": self.rows / each, "tokens_per_second": self.tokens / each}


@dataclass(frozen=True, slots=True)
class Summary(Ledger):
    """Counts of a whole file, the file of its rejected rows, and how it was read.

    Attributes
    ----------
    rejects : str or None
        The file of the rejected rows, where there are some.
    notes : tuple of str
        How the input was read.
    tally : Tally
        Counts of the decisions: labels, reasons, probabilities, truncated texts.
    repeated : int
        Rows whose text came before in the same part.
    pace : Pace
        How fast rows were answered.
    shift : Shift or None
        Whether the promise can still be believed for this file; None where nothing is promised.
    """

    rejects: str | None = None
    notes: tuple[str, ...] = ()
    tally: Tally = field(default_factory=Tally)
    repeated: int = 0
    pace: Pace = field(default_factory=Pace)
    shift: Shift | None = None

    @classmethod
    def of(
        cls, classifier: Classifier, totals: Totals, pace: Pace, rejects: Path | None, notes: tuple[str, ...]
    ) -> "Summary":
        """Sum up a run, and compare the decisions with those on certify rows."""
        ledger, tally = totals.ledger, totals.tally
        most = min(MOST_REFERENCES, tally.rows // SHARE_ASKED) if tally.rows >= WORTH_ASKING else 0
        reference = reference_of(classifier, most)
        return cls(
            **asdict(ledger),
            rejects=str(rejects) if rejects and ledger.rejected else None,
            notes=notes,
            tally=tally,
            repeated=totals.repeated,
            pace=pace,
            shift=None if reference is None else shift(tally, reference),
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything as a JSON object, the number of all rows first."""
        tally = self.tally
        return {
            "read": self.read,
            "answered": self.answered,
            "other": self.other,
            "rejected": self.rejected,
            "reasons": dict(self.reasons),
            "rejects": self.rejects,
            "notes": list(self.notes),
            "other_share": wilson(self.other, self.answered + self.other).as_dict(),
            "labels": dict(sorted(tally.labels.items(), key=lambda pair: (-pair[1], pair[0]))),
            "truncated": tally.truncated,
            "repeated": self.repeated,
            "probabilities": {
                "edges": [edge / BINS for edge in range(BINS + 1)],
                "readable": list(tally.bins),
                "answered": list(tally.answered_bins),
            },
            "promise": self.shift and self.shift.as_dict(),
            "speed": self.pace.as_dict(),
        }


def write_summary(summary: Summary, out: str, placed: list[Part], run: Json | None = None) -> None:
    """Write ``OUT.summary.json``; it gets its name with the other files of the output, before the output itself.

    `run` is what `whole_run` gives again.
    """
    with open_target(f"{out}{SUMMARY}", parts=placed, like=out) as file:
        told = summary.as_dict() | ({} if run is None else {"run": run})
        text = json.dumps(finite(told), indent=1, ensure_ascii=False, allow_nan=False)
        try_to_write(f"{out}{SUMMARY}", file.write, f"{text}\n".encode("utf-8", "backslashreplace"))
    placed.insert(0, placed.pop())


def run_of(identity: Json, totals: Totals, size: int) -> Json:
    """Describe the run that wrote an output of `size` bytes (JSON)."""
    return {"identity": identity, "totals": asdict(totals), "bytes": size}


def whole_run(out: str) -> tuple[Json, Totals] | None:
    """Read which run wrote an output, and what it counted; None where no run did, or the output was changed since."""
    with suppress(OSError, ArtifactError, KeyError, TypeError):
        run = read_json(Path(f"{out}{SUMMARY}"))["run"]
        if Path(out).stat().st_size == run["bytes"]:
            return run["identity"], Totals.read(run["totals"])
    return None
