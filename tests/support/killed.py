"""Runs commands in children that are killed: ``python killed.py``, then on stdin one line of JSON for each command.

A line has the words, and when kill -9 comes: after so many seconds, or at one of the calls that put files on the disk,
counted from 1; None lets the command end. The answer is the exit status. Everything is imported before, so that the
seconds are those of the command itself. A fourth thing is a mapping: `rows` of a part; `log`, a file that gets the
first row of each part that is answered; `power`, a folder whose files lose what was not synced when the process is
killed; `broken`, a fault of BUILDS.
"""

import json
import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import jinja2  # noqa: F401
import numpy  # noqa: F401, ICN001
import pydantic.type_adapter  # noqa: F401
import rich.console  # noqa: F401
import scipy.optimize  # noqa: F401
import threadpoolctl  # noqa: F401

from elsewise import cli
from elsewise.batch import predict, source  # noqa: F401
from elsewise.batch import run as batch_run
from elsewise.fitting import calibrate, threshold  # noqa: F401
from elsewise.report import pages  # noqa: F401
from elsewise.storage import target_file
from support.written import CALLS


def without_sync():
    """Break the build: nothing is synced."""
    os.fsync = lambda descriptor: None


def named_first():
    """Break the build: a file gets its name before it is written."""

    @contextmanager
    def opened(path, alike, parts):
        path = Path(path)
        with path.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        parts.append(target_file.Part(path, path, None))

    target_file._hidden = opened
    target_file._place = lambda parts: None
    target_file._remove = lambda files: None


BUILDS = {"without sync": without_sync, "named before it is written": named_first}


def state_of(stats):
    return stats.st_ino, stats.st_size, stats.st_mtime_ns


def cut_power(place, synced):
    """Take from every file in a folder what was not synced."""
    for path in Path(place).rglob("*"):
        if path.is_file() and state_of(path.stat()) not in synced:
            os.truncate(path, 0)


def noting_syncs(synced):
    sync = os.fsync

    def noted(descriptor):
        sync(descriptor)
        synced.add(state_of(os.fstat(descriptor)))

    os.fsync = noted


def logging_to(log):
    answered = batch_run.answered

    def noted(classifier, chunk, *more):
        with open(log, "a", encoding="ascii") as file:
            file.write(f"{chunk.first}\n")
        return answered(classifier, chunk, *more)

    batch_run.answered = noted


def child(words, call, rows=None, log=None, power=None, broken=None):
    """Run one command as a process of its own would."""
    left, synced = iter(range(call or 0)), set()
    if rows:
        source.CHUNK_ROWS = rows
    if log:
        logging_to(log)
    noting_syncs(synced)
    if broken:
        BUILDS[broken]()

    def killing(function):
        def asked(*arguments, **more):
            if next(left, None) == (call or 0) - 1:
                if power:
                    cut_power(power, synced)
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **more)

        return asked

    for name in CALLS:
        setattr(os, name, killing(getattr(os, name)))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.argv = ["elsewise", *words]
    code = 1
    try:
        cli.main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        os._exit(code)


def main():
    """Answer every line."""
    for line in sys.stdin:
        words, seconds, call, how = json.loads(line)
        number = os.fork() or child(words, call, **how)
        if seconds is not None:
            time.sleep(seconds)
            os.kill(number, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
