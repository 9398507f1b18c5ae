"""`predict`, `threshold` and saving, killed at any moment: files are whole, and the next run clears leftovers away."""

import os
import time
from collections import Counter

import numpy as np
import pytest

from support import written
from support.running import run
from support.written import refusing

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no process can be forked there")
kills_each = pytest.mark.parametrize("kills", [5, pytest.param(300, marks=pytest.mark.faults)])


@kills_each
def test_what_is_killed_leaves_only_whole_files_and_the_next_run_clears_away(kills, ran, tmp_path):
    rng, ended, every = np.random.default_rng(0), Counter(), list(written.commands(tmp_path / "all"))
    usual, calls = {}, {}
    for number in range(kills):
        command, spare = every[number % len(every)]
        command.begin(spare)
        if command not in usual:
            began = time.monotonic()
            assert ran(command.words) == 0
            usual[command] = time.monotonic() - began
            command.begin(spare)
            with refusing(0, 0) as done:
                run(*command.words)
            calls[command] = done["calls"]
            command.begin(spare)

        if rng.integers(2):
            code = ran(command.words, seconds=float(rng.uniform(0, 1.1 * usual[command])))
        else:
            code = ran(command.words, call=int(rng.integers(1, calls[command] + 1)))

        found = command.found()
        left = [found.pop(name) for name in list(found) if name[0] == "." or name == "out.csv.parts"]
        for name, content in found.items():
            assert content in {command.old.get(name), command.new.get(name)}, (command.words, name)
        which = "old" if found == command.old else "new" if found == command.new else "no output"
        assert which != "no output" or (command.words[0] == "predict" and "out.csv" not in found), (
            command.words,
            found,
        )
        ended[command.words[0], "killed" if code < 0 else "ended", which, "left" if left else ""] += 1
        assert ran(command.words) == 0
        assert command.found() == command.new
    for outcome, times in sorted(ended.items()):
        print(*outcome, times)  # noqa: T201  seen with -rP
    assert sum(times for outcome, times in ended.items() if outcome[1] == "killed") >= kills / 2
