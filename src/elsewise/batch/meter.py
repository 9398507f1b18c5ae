"""How far a run is and how fast it goes, for those who watch: rows and tokens a second, time left, share of Other."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from elsewise.batch.answers import Totals
from elsewise.batch.source import Chunk
from elsewise.batch.summary import Pace
from elsewise.progress import SETTLED, Progress, counting

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run is.

    Attributes
    ----------
    done, total : int
        Rows done, those of an earlier run included, and rows in all; 0 where they are unknown.
    rows_per_second, tokens_per_second : float
        How fast rows are answered now, since the run began.
    other_share : float or None
        Share of Other among the rows answered now; None before the first.
    seconds_left : float or None
        At this pace; None where it is unknown.
    """

    done: int
    total: int
    rows_per_second: float
    tokens_per_second: float
    other_share: float | None
    seconds_left: float | None


Watch = Callable[[Standing], None]


class Watched(Protocol):
    """A run that is metered."""

    @property
    def progress(self) -> Progress | None:
        """It is told of rows done."""

    @property
    def watch(self) -> Watch | None:
        """It is told of the pace."""

    @property
    def source(self) -> Any:
        """The input, whose `count` gives the number of its rows, or 0."""


class Meter:
    """Counts what a run has done, and tells those who watch it."""

    def __init__(self, run: Watched) -> None:
        self._run, self._began = run, time.monotonic()
        self._total = run.source.count() if run.progress or run.watch else 0
        self._done, self._now, self._words = 0, Totals(), "predicting"

    @property
    def pace(self) -> Pace:
        """How fast rows were answered since the beginning."""
        return Pace.since(self._began, self._now.ledger.read, self._now.tokens)

    def counting(self, chunk: Chunk) -> AbstractContextManager[None]:
        """Tell of rows while the model runs on a chunk."""
        return counting(self._run.progress, self._words, self._total, chunk.first - 1)

    def skipped(self, chunk: Chunk) -> None:
        """Count a chunk that was not answered here."""
        self._tell(chunk.last)

    def finished(self, chunk: Chunk, made: T, totals: Totals) -> tuple[Chunk, T]:
        """Count a chunk that is written, and give it with what was made of it."""
        self._now += totals
        self._tell(chunk.last)
        return chunk, made

    def _tell(self, done: int) -> None:
        self._done = done
        self._total = self._total if self._total >= done else 0  # miscounted
        standing = self._standing()
        if self.pace.seconds >= SETTLED and standing.other_share is not None:
            facts = [f"{standing.rows_per_second:,.0f} rows/s"]
            facts += [f"{standing.tokens_per_second:,.0f} tokens/s"] * bool(standing.tokens_per_second)
            self._words = f"predicting  {'  '.join(facts)}  {100 * standing.other_share:.1f} % Other"
        if self._run.progress:
            self._run.progress(self._words, done, self._total)
        if self._run.watch:
            self._run.watch(standing)

    def _standing(self) -> Standing:
        pace, ledger = self.pace, self._now.ledger
        usable = ledger.answered + ledger.other
        rate = pace.rows / pace.seconds
        left = (self._total - self._done) / rate if self._total and rate else None
        share = ledger.other / usable if usable else None
        return Standing(self._done, self._total, rate, pace.tokens / pace.seconds, share, left)
