"""Run commands as a user types them: in this process, where one takes milliseconds, or in one of their own."""

import os
import signal
import subprocess
import sys
import warnings
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from unittest.mock import patch

from elsewise import cli


@dataclass(frozen=True)
class Done:
    """What `subprocess.run` tells of a command."""

    returncode: int
    stdout: str
    stderr: str


def run(*words, text=None, folder=None, encoding="utf-8"):
    """Run a command in this process, as it would run in its own; `encoding` is that of stdout and stderr."""
    stdin = TextIOWrapper(BytesIO((text or "").encode()), encoding="utf-8")
    stdout, stderr = (TextIOWrapper(BytesIO(), encoding=encoding) for _ in range(2))
    with ExitStack() as whole:
        whole.enter_context(chdir(folder or "."))
        whole.enter_context(patch.object(sys, "argv", ["elsewise", *map(str, words)]))
        whole.enter_context(patch.object(sys, "path", list(sys.path)))
        whole.enter_context(patch.object(sys, "stdin", stdin))
        whole.enter_context(patch.dict(os.environ, HF_HUB_OFFLINE="1"))
        whole.enter_context(redirect_stdout(stdout))
        whole.enter_context(redirect_stderr(stderr))
        whole.enter_context(warnings.catch_warnings())
        for number in (getattr(signal, name) for name in cli.STOPS if hasattr(signal, name)):
            whole.callback(signal.signal, number, signal.getsignal(number))
        whole.callback(_forget, Path.cwd())
        code = _code(cli.main)
    return Done(code, *(_written(stream) for stream in (stdout, stderr)))


def _code(main):
    try:
        main()
    except SystemExit as end:
        return 0 if end.code is None else end.code
    return 0


def _written(stream):
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding).replace("\r\n", "\n")


def _forget(place):
    """Drop the modules that were imported from a folder: the next command may find others of that name there."""
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    for name in [name for name, file in files.items() if file and os.path.dirname(file) == str(place)]:  # noqa: PTH120  fast
        del sys.modules[name]


def run_process(*words, text=None, folder=None, **more):
    """Run a command in a process of its own; `more` goes to `subprocess.run`."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "elsewise", *map(str, words)]
    more = {"text": True, "env": environment, **more}
    return subprocess.run(command, input=text, capture_output=True, check=False, cwd=folder, **more)
