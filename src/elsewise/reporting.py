"""Where long work that is called from Python shows its progress: in a terminal, in a notebook, or nowhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, Literal, ParamSpec, TypeAlias, TypeVar

from elsewise.errors import InputError
from elsewise.progress import Bar, Note, Progress, above, showing, time_words

P = ParamSpec("P")
R = TypeVar("R")
Shown: TypeAlias = Progress | Literal["auto", False] | None

AUTO: Final = "auto"
REWRITTEN: Final = 0.5  # seconds between two changes of a line in a notebook
COLUMNS: Final = 100


def reported(words: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function with the parameters `progress` and `note` take ``progress="auto"``, its default, or False.

    The function itself gets a callable or None; what it shows begins with `words`.
    """

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def run(*given: P.args, **named: P.kwargs) -> R:
            call: Any = function
            with reporting(named.pop("progress", AUTO), named.pop("note", None), words) as (progress, note):
                return call(*given, **named, progress=progress, note=note)

        return run

    return decorated


def heard(progress: Shown) -> Progress | None:
    """Give what is called with reports; None where nothing is."""
    return progress if callable(progress) else None


@contextmanager
def reporting(progress: Any, note: Any, words: str) -> Iterator[tuple[Progress | None, Note | None]]:
    """Give the two callbacks of long work, either None where nothing is to be said.

    ``progress="auto"`` shows a bar in a terminal or a notebook, and notes above it unless `note` takes them; nothing is
    written elsewhere, such as into a file. InputError for what is neither "auto", False, None nor a function.
    """
    if progress is None or progress is False or callable(progress):
        yield heard(progress), note
    elif progress != AUTO:
        raise InputError(f"progress must be 'auto', False or a function of (words, done, total), got {progress!r}")
    elif is_notebook():
        with _in_notebook(words) as line:
            yield line, note or print
    else:
        with showing(words) as bar:
            yield bar, note or (None if bar is None else _write_above)


def is_notebook() -> bool:
    """Tell whether this process runs the cells of a notebook."""
    if "IPython" not in sys.modules:
        return False
    from rich.console import Console  # noqa: PLC0415

    return Console().is_jupyter


def _write_above(words: str) -> None:
    with above():
        sys.stderr.write(f"{words}\n")


@contextmanager
def _in_notebook(words: str) -> Iterator[Progress]:
    """Show one line below the cell, which is written again as the work goes on: no widgets are needed."""
    from IPython.display import display  # type: ignore[import-not-found]  # noqa: PLC0415

    handle = display({"text/plain": words}, raw=True, display_id=True)
    line = NotebookLine(words, lambda text: handle.update({"text/plain": text}, raw=True))
    try:
        yield line
    except BaseException:
        line.write(f"{line.words}: stopped")
        raise
    line.write(f"done in {time_words(time.monotonic() - line.began)}")


class NotebookLine(Bar):
    """A bar that writes one line of a notebook, and rewrites it a few times a second at most.

    Examples
    --------
    >>> line = NotebookLine("opening the encoder", print)
    >>> line("training", 30, 120)
    training  ━━━━━━━───────────────────────   25 %  30 of 120
    """

    def __init__(self, words: str, write: Callable[[str], Any]) -> None:
        super().__init__(words)
        self.write, self.written = write, self.began

    def __call__(self, words: str, done: int, total: int, *, now: float | None = None) -> None:
        """Report a stage, and how much of it is done."""
        is_new = words != self.words or done == total
        super().__call__(words, done, total, now=now)
        if is_new or time.monotonic() - self.written >= REWRITTEN:
            self.written = time.monotonic()
            self.write(self.text(COLUMNS))
