"""What is said when Ctrl-C or a signal stops a command: what it has written or keeps, and how to go on."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from elsewise.cli.options import program
from elsewise.cli.output import to_stderr

_written: list[str] = []
_kept: list[str] = []
_waiting: list[bool] = []  # whether a signal waits until a part is written
_asked: list[int] = []  # the signal that waits

WAIT = b"\nelsewise: stopping when this part is written; a second signal stops at once\n"


def begin() -> None:
    """Forget what an earlier command of this process has written."""
    for state in (_written, _kept, _waiting, _asked):
        state.clear()


def wrote(*paths: object) -> None:
    """Remember that files or folders have their names by now."""
    _written.extend(map(str, paths))


def kept(words: str) -> None:
    """Remember what a stopped command keeps, from which the same command goes on."""
    _kept.append(words)


@contextmanager
def part_by_part() -> Iterator[None]:
    """Let the first signal wait until a part is written."""
    _waiting.append(True)
    try:
        yield
    finally:
        _waiting.clear()


def part_done(folder: Path, parts: int, rows: int) -> None:
    """Remember the parts that are on the disk."""
    _kept[:] = [f"{rows:,} rows in {parts:,} part{'s' * (parts != 1)} ({folder})"]


def end_as_asked() -> NoReturn:
    """End with the exit code of the signal that was put off, now that its part is written."""
    sys.exit(128 + (_asked or [2])[0])


def put_off(number: int) -> bool:
    """Put a signal off until the present part is written; False where nothing is written in parts, or one waits."""
    if _asked or not _waiting:
        return False
    _asked.append(number)
    with suppress(OSError):
        os.write(2, WAIT)
    return True


def is_put_off() -> bool:
    """Tell whether a signal was put off."""
    return bool(_asked)


def say_kept() -> None:
    """Say of a run that failed what it keeps, and the command that goes on from there."""
    if _kept:
        to_stderr(f"kept: {', '.join(_kept)}; the same command goes on from there")


def say_stopped() -> None:
    """Say what is there, and name the command that goes on; nothing where nobody can read it any more."""
    again = f"Next: {program()} {shlex.join(sys.argv[1:])}"
    with suppress(OSError):
        if _written:
            to_stderr(f"stopped; written before that: {', '.join(_written)}")
        elif _kept:
            to_stderr(f"stopped; kept: {', '.join(_kept)}")
            to_stderr(again, whole=True)
        else:
            to_stderr("stopped; no file was changed, and nothing is kept")
            to_stderr(again, whole=True)
