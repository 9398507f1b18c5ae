"""Runs commands in children that are killed: ``python killed.py``, then on stdin one line of JSON for each command.

A line has the words, and when kill -9 comes: after so many seconds, or at one of the calls that put files on the disk,
counted from 1; None lets the command end. The answer is the exit status. Everything is imported before, so that the
seconds are those of the command itself.
"""

import json
import os
import signal
import sys
import time

import numpy  # noqa: F401, ICN001

from elsewise import cli
from elsewise.batch import predict  # noqa: F401
from elsewise.fitting import calibrate, threshold  # noqa: F401
from support.written import CALLS


def child(words, call):
    """Run one command as a process of its own would."""
    left = iter(range(call or 0))

    def killing(function):
        def asked(*arguments, **more):
            if next(left, None) == (call or 0) - 1:
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
        words, seconds, call = json.loads(line)
        number = os.fork() or child(words, call)
        if seconds is not None:
            time.sleep(seconds)
            os.kill(number, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
