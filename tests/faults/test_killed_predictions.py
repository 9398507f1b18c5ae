"""`predict` in many parts: killed, its disk refusing, its power cut; the same command goes on, to the same bytes."""

import errno
import os
from collections import Counter

import numpy as np
import pytest

import elsewise as ew
from elsewise.batch import source
from elsewise.engines.memory import MemoryEngine
from support.killed import BUILDS
from support.running import run
from support.written import contents, refusing

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no process can be forked there")
faults = pytest.mark.faults
BEST = {"a": [4.0, 0.0], "b": [0.0, 4.0], "c": [0.1, 0.0]}
REASONS = (errno.ENOSPC, errno.EIO, errno.EACCES)


def made(place, rows):
    """A model, and a file of so many rows, of which one in fifty is bad; the words of the command, and its output."""
    model, data, out = place / "model", place / "in.csv", place / "run" / "out.csv"
    ew.Classifier(MemoryEngine(("yes", "no"), BEST), ew.Identity(), ew.FixedThreshold(0.7)).save(model)
    lines = (f"{n},{'abc'[n % 3]}" if n % 50 else f"{n}" for n in range(rows))
    data.write_text("id,text\n" + "\n".join(lines) + "\n", encoding="utf-8")
    out.parent.mkdir()
    return tuple(map(str, ("predict", model, data, "-o", out))), out


def found(out):
    """What is there, parts and hidden files aside."""
    return {name: content for name, content in contents(out.parent).items() if content not in ("parts", "hidden")}


def cleared(out):
    unbroken = found(out)
    for name in unbroken:
        (out.parent / name).unlink()
    return unbroken


@pytest.mark.parametrize(("kills", "rows", "part"), [(8, 12_000, 1000), pytest.param(300, 60_000, 2048, marks=faults)])
def test_kills_lose_no_row_double_no_row_and_repeat_at_most_a_part_each(kills, rows, part, ran, tmp_path):
    rng, ended, outputs = np.random.default_rng(0), Counter(), 0
    words, out = made(tmp_path, rows)
    assert ran(words, rows=part) == 0
    unbroken, log, parts = cleared(out), tmp_path / "log", -(-rows // part)
    calls = 10 * parts
    while ended["killed"] < kills:
        code = None
        while code != 0:
            if rng.integers(3) and ended["killed"] < kills:
                code = ran(words, seconds=float(rng.uniform(0.05, 0.5)), rows=part, log=str(log))
            else:
                call = int(rng.integers(1, calls // 3)) if ended["killed"] < kills else None
                code = ran(words, call=call, rows=part, log=str(log))
            ended["killed" if code else "ended"] += 1
            assert found(out) == unbroken or "out.csv" not in found(out)
        assert found(out) == unbroken
        cleared(out)
        outputs += 1
    answered = len(log.read_text(encoding="ascii").splitlines())
    print(f"{ended['killed']} kills, {outputs * rows:,} rows, {answered - outputs * parts} parts repeated")  # noqa: T201
    assert outputs * parts <= answered <= outputs * parts + ended["killed"]


@pytest.mark.parametrize("step", [23, pytest.param(1, marks=faults)])
@pytest.mark.parametrize("has_old", [False, True])
def test_every_write_sync_and_rename_may_fail_and_the_same_command_goes_on(step, has_old, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "CHUNK_ROWS", 16)
    words, out = made(tmp_path, 120)
    old = dict.fromkeys(("out.csv", "out.csv.rejected.jsonl"), b"old") if has_old else {}
    words += ("--overwrite",) * has_old

    def begin():
        cleared(out)
        for name, content in old.items():
            (out.parent / name).write_bytes(content)

    begin()
    with refusing(0, 0, with_writes=True) as done:
        assert run(*words).returncode == 0
    unbroken, points, outcomes = found(out), range(1, done["calls"] + 1, step), Counter()
    for point in points:
        for reason in REASONS:
            begin()
            with refusing(point, reason, with_writes=True):
                ran = run(*words)
            assert "Traceback" not in ran.stderr
            assert ran.returncode in (0, 1)
            assert found(out) == (old if ran.returncode else unbroken), (point, ran)
            if ran.returncode:
                assert run(*words).returncode == 0
            assert found(out) == unbroken
            outcomes[ran.returncode] += 1
    print(f"{len(points) * len(REASONS)} points, {dict(outcomes)}")  # noqa: T201


def cut_at(point, words, out, unbroken, ran, broken=None):
    """Cut the power at one sync or rename: tell whether what is there is whole, and whether the command goes on."""
    cleared(out)
    for left in (out.parent, *out.parent.glob("*.parts")):
        for file in left.iterdir():
            file.unlink() if file.is_file() else None
    code = ran(words, call=point, rows=16, power=str(out.parent), broken=broken)
    there = found(out)
    is_whole = "out.csv" not in there or there == unbroken
    again = ran((*words, "--overwrite"), rows=16, broken=broken)
    return is_whole and again == 0 and found(out) == unbroken, code != 0


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=faults)])
def test_a_power_cut_at_every_sync_and_rename_leaves_nothing_that_is_not_whole(step, ran, tmp_path):
    words, out = made(tmp_path, 60)
    assert ran(words, rows=16) == 0
    unbroken, point, went_on = cleared(out), 1, True
    while went_on:
        is_sound, went_on = cut_at(point, words, out, unbroken, ran)
        assert is_sound, point
        point += step


@pytest.mark.parametrize("build", BUILDS)
def test_the_harness_sees_a_broken_build(build, ran, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "CHUNK_ROWS", 16)
    words, out = made(tmp_path, 60)
    with refusing(0, 0) as done:
        assert run(*words).returncode == 0
    unbroken = cleared(out)

    last = done["calls"] if build == "without sync" else done["calls"] * 2 // 5  # nothing is renamed there
    backwards = range(last, 0, -1)
    seen = next((point for point in backwards if not cut_at(point, words, out, unbroken, ran, build)[0]), None)

    assert seen is not None
