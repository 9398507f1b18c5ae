"""Runs commands in children that are killed: ``python killed.py``, then on stdin one line of JSON for each command.

A line has the words and the seconds after which kill -9 comes; None lets the command end. The answer is the exit
status. Everything is imported before, so that the seconds are those of the command itself.
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


def child(words):
    """Run one command as a process of its own would."""
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
        words, seconds = json.loads(line)
        number = os.fork() or child(words)
        if seconds is not None:
            time.sleep(seconds)
            os.kill(number, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
