"""Commands in children that are killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import killed


@pytest.fixture
def ran():
    """Run a command in a child of a process that has everything imported: give its exit status."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, Path(killed.__file__)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:

        def run(words, seconds=None, call=None, **how):
            process.stdin.write(json.dumps([words, seconds, call, how]) + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield run
        process.stdin.close()
