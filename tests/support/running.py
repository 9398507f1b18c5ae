"""Run the command line in this process: starting one for each command takes seconds."""

import os
import signal
import subprocess
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


def run(*words, text=None, folder=None):
    """Run a command in a process of its own."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
    return subprocess.run(
        [sys.executable, "-m", "elsewise", *map(str, words)],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=folder,
    )
