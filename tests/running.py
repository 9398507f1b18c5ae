"""Run the command line in this process: starting one for each command takes seconds."""

import signal
import sys
import warnings

from elsewise import cli


def elsewise(words, monkeypatch):
    """Run a command in this process, as it would run in its own; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["elsewise", *words])
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings():
            cli.main()
    except SystemExit as done:
        return done.code
    finally:
        signal.signal(signal.SIGTERM, terminated)
    return 0
