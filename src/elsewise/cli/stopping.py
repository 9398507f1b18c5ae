"""What is said when Ctrl-C or a signal stops a command: what it has written or keeps, and how to go on."""

import shlex
import sys
from contextlib import suppress

from elsewise.cli.options import program
from elsewise.cli.output import to_stderr

_written: list[str] = []
_kept: list[str] = []


def begin() -> None:
    """Forget what an earlier command of this process has written."""
    _written.clear()
    _kept.clear()


def wrote(*paths: object) -> None:
    """Remember that files or folders have their names by now."""
    _written.extend(map(str, paths))


def kept(words: str) -> None:
    """Remember what a stopped command keeps, from which the same command goes on."""
    _kept.append(words)


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
