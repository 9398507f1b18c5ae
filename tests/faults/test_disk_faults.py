"""Disks that refuse once, at any moment of a command: what is there is the old output or the new one, whole."""

import errno
import resource
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest

from support.running import run
from support.written import commands, refusing

REASONS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)
faults_each = pytest.mark.parametrize("faults", [5, pytest.param(500, marks=pytest.mark.faults)])


@contextmanager
def writing_at_most(size):
    """Let the system refuse every byte of a file after so many."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@faults_each
def test_a_disk_that_refuses_leaves_the_old_output_or_the_new_one_with_its_own_rejects(faults, tmp_path):
    rng, ended, every = np.random.default_rng(0), Counter(), list(commands(tmp_path / "all"))
    for number in range(faults):
        command, spare = every[number % len(every)]
        is_simple = bool(rng.integers(2))
        command.begin(spare)
        with refusing(0, 0, is_simple=is_simple) as done:
            run(*command.words)
        assert command.found() == command.new
        largest = max(path.stat().st_size for path in command.place.rglob("*") if path.is_file())
        command.begin(spare)

        kind = "write" if rng.integers(3) == 0 else "call"
        reason, call = int(rng.choice(REASONS)), int(rng.integers(1, done["calls"] + 1))
        fault = (
            writing_at_most(int(rng.integers(largest)))
            if kind == "write"
            else refusing(call, reason, is_simple=is_simple)
        )
        with fault:
            ran = run(*command.words)

        found = command.found()
        has_parts = found.pop("out.csv.parts", None) is not None
        which = "old" if found == command.old else "new" if found == command.new else str(sorted(found))
        ended[command.words[0], kind, which, ran.returncode, "parts" if has_parts else ""] += 1
        assert which in {"old", "new"}, (command.words, kind, call, ran)
        assert which == "new" or ran.returncode == 1, (command.words, kind, call, ran)
        assert "Traceback" not in ran.stderr
        assert run(*command.words).returncode == 0
        assert command.found() == command.new
    for outcome, times in sorted(ended.items()):
        print(*outcome, times)  # noqa: T201  seen with -rP
