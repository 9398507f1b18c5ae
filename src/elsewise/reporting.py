"""Where long work that is called from Python shows its progress: in a terminal, in a notebook, or nowhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, Final, Literal, ParamSpec, TypeAlias, TypeVar

from elsewise.errors import InputError
from elsewise.progress import Note, Progress

P = ParamSpec("P")
R = TypeVar("R")
Shown: TypeAlias = Progress | Literal["auto", False] | None

AUTO: Final = "auto"
REDRAWN: Final = 0.5  # seconds between two changes of a line in a notebook


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
    elif progress == AUTO:
        notebook = is_notebook()
        with (_in_notebook if notebook else _in_terminal)(words) as shown:
            stream = sys.stdout if notebook else sys.stderr  # rich has put its own in place: lines stand above the bar
            yield shown, note or (shown and partial(print, file=stream))
    else:
        raise InputError(f"progress must be 'auto', False or a function of (words, done, total), got {progress!r}")


def is_notebook() -> bool:
    """Tell whether this process runs the cells of a notebook."""
    if "IPython" not in sys.modules:
        return False
    from rich.console import Console  # noqa: PLC0415

    return Console().is_jupyter


@contextmanager
def _in_terminal(words: str) -> Iterator[Progress | None]:
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, TimeElapsedColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(words, total=None)
        yield lambda words, done, total: bar.update(task, description=words, completed=done, total=total or None)


@contextmanager
def _in_notebook(words: str) -> Iterator[Progress]:
    """Show one line below the cell, which is written again as the work goes on: no widgets are needed."""
    from IPython.display import display  # type: ignore[import-not-found]  # noqa: PLC0415

    began = time.monotonic()
    line = NotebookLine(lambda text, **more: display({"text/plain": text}, raw=True, **more), words)
    try:
        yield line
    except BaseException:
        line.write(f"{line.text}: stopped")
        raise
    line.write(f"done in {time.monotonic() - began:,.0f} seconds")


class NotebookLine:
    """A `Progress` that writes one line of a notebook, and rewrites it a few times a second at most.

    Examples
    --------
    >>> line = NotebookLine(lambda text, **_: print(text), "opening the encoder")
    opening the encoder
    >>> line("training, epoch 1 of 3", 30, 120)
    training, epoch 1 of 3: 30 of 120, 25 %
    """

    def __init__(self, display: Callable[..., Any], words: str) -> None:
        self.words, self.written, self.text = words, time.monotonic(), words
        self.handle = display(words, display_id=True)
        self.display = display

    def __call__(self, words: str, done: int, total: int) -> None:
        """Report a stage, and how much of it is done."""
        self.text = f"{words}: {done:,} of {total:,}, {100 * done // total} %" if total else words
        is_new, self.words = words != self.words, words
        if is_new or done == total or time.monotonic() - self.written >= REDRAWN:
            self.write(self.text)

    def write(self, text: str) -> None:
        """Write the line anew."""
        self.written = time.monotonic()
        if self.handle is None:
            self.display(text)
        else:
            self.handle.update({"text/plain": text}, raw=True)
