"""Progress of long work: the callbacks, and one live line at the bottom of a terminal.

Work reports to a `Progress`. `showing` draws the line, and what is printed inside `above` stands above it.
"""

import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

Progress = Callable[[str, int, int], None]  # stage, done, total; a total of 0 is unknown
Note = Callable[[str], None]

LONG: Final = 90  # from here seconds are written as minutes, and minutes as hours
WINDOW: Final = 60.0  # seconds over which the present pace is measured
SETTLED: Final = 1.0  # seconds after which a pace is worth telling
REPORTED: Final = 0.1  # seconds between two reports of answered rows
REDRAWN: Final = 4  # times a second
FEWEST_CELLS: Final = 8  # of a drawn bar
MOST_CELLS: Final = 30
SIGNS: Final = ("\N{BOX DRAWINGS HEAVY HORIZONTAL}", "\N{BOX DRAWINGS LIGHT HORIZONTAL}")
PLAIN_SIGNS: Final = ("#", "-")  # for terminals without Unicode

_tick: ContextVar[Callable[[float], None] | None] = ContextVar("_tick", default=None)
_on_screen: "list[Bar]" = []  # the bar, if there is one


def time_words(seconds: float) -> str:
    """Write a duration in seconds, minutes or hours.

    Examples
    --------
    >>> [time_words(seconds) for seconds in (0.2, 45, 100, 720, 5400, 40_000)]
    ['1 second', '45 seconds', '2 minutes', '12 minutes', '1.5 hours', '11 hours']
    """
    unit, size = ("second", 1) if seconds < LONG else ("minute", 60) if seconds < 60 * LONG else ("hour", 3600)
    count = seconds / size
    number = f"{count:.1f}" if unit == "hour" and count < 10 else f"{max(round(count), 1)}"  # noqa: PLR2004
    return f"{number} {unit}" + ("" if number == "1" else "s")


def tick(rows: float) -> None:
    """Say that so many more rows were answered, to whoever counts them."""
    if (count := _tick.get()) is not None:
        count(rows)


@contextmanager
def sharing(models: float) -> Iterator[None]:
    """Count a row once where each of several models answers it; not at all for an infinite number."""
    count = _tick.get()
    token = _tick.set(None if count is None else lambda rows: count(rows / models))
    try:
        yield
    finally:
        _tick.reset(token)


@contextmanager
def counting(progress: Progress | None, words: str, total: int, done: int = 0) -> Iterator[None]:
    """Report rows to `progress` as engines answer them: from `done` on, never above `total`; 0 is an unknown total.

    Examples
    --------
    >>> seen = []
    >>> with counting(lambda *report: seen.append(report), "answering", 5):
    ...     tick(9)
    >>> seen
    [('answering', 0, 5), ('answering', 5, 5)]
    """
    if progress is None:
        yield
        return
    answered, told = float(done), 0.0

    def count(rows: float) -> None:
        nonlocal answered, told
        answered = min(answered + rows, total or math.inf)
        if time.monotonic() - told >= REPORTED or answered == total:
            told = time.monotonic()
            progress(words, int(answered), total)

    progress(words, done, total)
    token = _tick.set(count)
    try:
        yield
    finally:
        _tick.reset(token)


class Choice(str):
    """A note that tells what tune rows chose: the folder keeps it, and a command says at its end what is served."""

    __slots__ = ()


class Bar:
    """One live line: the stage, the share that is done, the counts, and the time left.

    Call it as a `Progress`. The time left comes from the pace of the last minute. Where `expect` is told how long all
    of the work still takes, the share and the time left are those of all stages together.

    Examples
    --------
    >>> bar = Bar("opening the model")
    >>> bar("predicting", 0, 2000, now=10.0)
    >>> bar("predicting", 500, 2000, now=20.0)
    >>> bar.text(80, now=20.0, signs=PLAIN_SIGNS)
    'predicting  #######-----------------------   25 %  500 of 2,000  30 seconds left'
    """

    def __init__(self, words: str) -> None:
        self.words, self.done, self.total = words, 0, 0
        self.began = self.stage_began = time.monotonic()
        self.end: float | None = None
        self.reports: deque[tuple[float, int]] = deque()
        self.live: Any = None  # rich's, while it is on the screen

    def __call__(self, words: str, done: int, total: int, *, now: float | None = None) -> None:
        """Report a stage, and how much of it is done."""
        now = time.monotonic() if now is None else now
        if total != self.total or done < self.done or not (total or words == self.words):
            self.reports.clear()
            self.stage_began = now
        self.words, self.done, self.total = words, done, total
        self.reports.append((now, done))
        while len(self.reports) > 2 and self.reports[1][0] < now - WINDOW:  # noqa: PLR2004
            self.reports.popleft()

    def expect(self, seconds: float) -> None:
        """Set how many seconds all of the work still takes."""
        self.end = time.monotonic() + seconds

    def text(self, width: int, *, now: float | None = None, signs: tuple[str, str] = SIGNS) -> str:
        """Write the line in at most `width` characters."""
        now = time.monotonic() if now is None else now
        counts = f"{self.done:,} of {self.total:,}" if self.total else f"{self.done:,}" if self.done else ""
        if self.end is not None:
            counts = ""  # of this stage alone
        left = self._left(now)
        if self.end is not None:
            share = (now - self.began) / max(now - self.began + max(self.end - now, 0), 1e-9)
        elif self.total:
            share = self.done / self.total
        else:
            return _line(self.words, None, counts, time_words(now - self.stage_began), width, signs)
        return _line(self.words, share, counts, "" if left is None else f"{time_words(left)} left", width, signs)

    def _left(self, now: float) -> float | None:
        """Seconds left of all the work, or else of this stage; None where no pace is known."""
        if self.end is not None:
            return max(self.end - now, 0)
        if len(self.reports) < 2 or not self.total:  # noqa: PLR2004
            return None
        (began, first), (_, last) = self.reports[0], self.reports[-1]
        seconds, steps = now - began, last - first
        return (self.total - last) * seconds / steps if steps and seconds >= SETTLED else None

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        """Draw the line."""
        from rich.text import Text  # noqa: PLC0415

        signs = PLAIN_SIGNS if options.ascii_only or options.legacy_windows else SIGNS
        yield Text(self.text(options.max_width, signs=signs), no_wrap=True, overflow="ellipsis", end="")


def _line(words: str, share: float | None, counts: str, last: str, width: int, signs: tuple[str, str]) -> str:
    """Write words, a bar, the percentage, counts and the time; where there is no room the bar goes first, then counts.

    Examples
    --------
    >>> for width in (56, 44, 36, 16):
    ...     _line("predicting", 0.5, "50 of 100", "9 seconds left", width, PLAIN_SIGNS)
    'predicting  #####-----   50 %  50 of 100  9 seconds left'
    'predicting   50 %  50 of 100  9 seconds left'
    'predicting   50 %  9 seconds left'
    'predicting   50 '
    """
    percent = "" if share is None else f"{int(100 * share):3d} %"
    for facts in ((percent, counts, last), (percent, last)):
        tail = "".join(f"  {fact}" for fact in facts if fact)
        room = width - len(words) - len(tail)
        if room >= 0:
            return words + ("" if share is None else _drawn(share, room - 2, signs)) + tail
    return (words + tail)[:width]


def _drawn(share: float, room: int, signs: tuple[str, str]) -> str:
    cells = min(room, MOST_CELLS) if room >= FEWEST_CELLS else 0
    full = int(cells * share)
    return "  " * bool(cells) + signs[0] * full + signs[1] * (cells - full)


@contextmanager
def showing(words: str) -> Iterator[Bar | None]:
    """Show a bar on the terminal of stderr until the block ends, beginning with `words`; None elsewhere.

    Inside a block that shows one already it is the same bar.
    """
    if _on_screen:
        yield _on_screen[0]
        return
    console = _console()
    if console is None:
        yield None
        return
    from rich.live import Live  # noqa: PLC0415

    bar = Bar(words)
    bar.live = Live(bar, console=console, transient=True, refresh_per_second=REDRAWN, redirect_stdout=False)
    _on_screen.append(bar)
    try:
        with bar.live:
            yield bar
    finally:
        _on_screen.clear()


def _console() -> Any:
    """Give the terminal of stderr, if a line can be redrawn on it."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True, highlight=False)
    return None if console.is_dumb_terminal else console


def clear_now() -> None:
    """Take the bar away without waiting for anybody: for a process that ends at once."""
    if _on_screen:
        os.write(2, b"\r\x1b[K\x1b[?25h")


@contextmanager
def above() -> Iterator[None]:
    """Take the bar away while something is printed, and draw it again below that."""
    bars = list(_on_screen)
    for bar in bars:
        bar.live.stop()
    try:
        yield
    finally:
        for bar in bars:
            bar.live.start(refresh=True)
